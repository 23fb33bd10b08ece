"""Which refusal is the right one, as status and code (AWS's lists of error codes)."""

DENIED = {(403, "AccessDenied")}
MISMATCH = {(403, "SignatureDoesNotMatch")}
UNKNOWN_KEY = {(403, "InvalidAccessKeyId")}
SKEWED = {(403, "RequestTimeTooSkewed")}
MALFORMED = {(400, "AuthorizationHeaderMalformed")}
MALFORMED_QUERY = {(400, "AuthorizationQueryParametersError")}
INVALID_TOKEN = {(400, "InvalidToken"), (403, "InvalidToken")}
EXPIRED_TOKEN = {(400, "ExpiredToken"), (403, "ExpiredToken")}
#: What S3 says to mechanisms that it does not have, or to two at once.
MECHANISM = {(400, "InvalidRequest"), (400, "InvalidArgument")}
DIGEST = {(400, "XAmzContentSHA256Mismatch")}

#: Codes that refuse a caller, or take its request for no request at all. Any other answer than one
#: of these shows that the caller was let in, though perhaps to find nothing.
REFUSALS = {
    "AccessDenied", "AccessForbidden", "AuthorizationHeaderMalformed",
    "AuthorizationQueryParametersError", "ExpiredToken", "ExpiredTokenException",
    "IncompleteSignature", "InvalidAccessKeyId", "InvalidArgument", "InvalidClientTokenId",
    "InvalidRequest", "InvalidToken", "InvalidURI", "MissingAuthenticationToken",
    "MissingAuthenticationTokenException", "MissingSecurityHeader", "OptInRequired",
    "RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "UnsupportedSignature",
    "XAmzContentSHA256Mismatch", "AllAccessDisabled", "AccountProblem", "NotSignedUp",
}
#: Statuses of refusals, for replies that have no body.
REFUSING_STATUSES = {400, 401, 403}


def is_refusal(reply) -> bool:
    if reply.code:
        return reply.status >= 400 and reply.code in REFUSALS
    return reply.status in REFUSING_STATUSES


def matches(reply, expected) -> bool:
    """Whether the reply is one of those; a reply to HEAD has only its status."""
    if reply.code or reply.body:
        return (reply.status, reply.code) in expected
    return any(reply.status == status for status, _ in expected)
