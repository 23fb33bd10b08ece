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

#: What STS says to a token of no issuer that it knows.
WORTHLESS_TOKEN = {
    (400, "InvalidIdentityToken"),
    (403, "AccessDenied"),
    (400, "IDPCommunicationError"),
    (501, "NotImplemented"),
}
#: IAM and STS have fewer words: what S3 tells apart they mostly take for a wrong signature.
QUERY_REFUSALS = {
    (403, "SignatureDoesNotMatch"),
    (403, "InvalidClientTokenId"),
    (403, "IncompleteSignature"),
    (400, "IncompleteSignature"),
    (403, "MissingAuthenticationToken"),
    (403, "AccessDenied"),
    (400, "RequestExpired"),
    (403, "RequestExpired"),
    (400, "SignatureDoesNotMatch"),
    (403, "ExpiredToken"),
    (403, "InvalidToken"),
    (400, "MissingAuthenticationToken"),
}
#: The words for what they do tell apart.
QUERY = {
    frozenset(MISMATCH): MISMATCH,
    frozenset(UNKNOWN_KEY): {(403, "InvalidClientTokenId")},
    frozenset(SKEWED): {
        (403, "SignatureDoesNotMatch"),
        (400, "RequestExpired"),
        (403, "RequestExpired"),
    },
}


def of_service(service: str, expected) -> set:
    """What S3's refusals are in the words of this service."""
    if service == "s3":
        return set(expected)
    return set(QUERY.get(frozenset(expected), QUERY_REFUSALS))


#: Codes that refuse a caller, or take its request for no request at all. Any other answer than one
#: of these shows that the caller was let in, though perhaps to find nothing.
REFUSALS = {
    "AccessDenied",
    "AccessForbidden",
    "AuthorizationHeaderMalformed",
    "AuthorizationQueryParametersError",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidArgument",
    "InvalidClientTokenId",
    "InvalidRequest",
    "InvalidToken",
    "InvalidURI",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "MissingSecurityHeader",
    "OptInRequired",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnsupportedSignature",
    "XAmzContentSHA256Mismatch",
    "AllAccessDisabled",
    "InvalidIdentityToken",
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
