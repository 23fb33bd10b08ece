//! S3's error codes with their statuses and texts, and the one table that maps the domain's
//! errors to them.

use std::borrow::Cow;
use std::fmt;

use coffer_base::Timestamp;
use coffer_objects::{DigestKind, Error as ObjectsError, ObjectInfo, VersionId};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_RANGE, ETAG, EXPIRES, LAST_MODIFIED};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::time;
use crate::xml::Writer;

macro_rules! codes {
    ($($name:ident $code:literal $status:literal $message:literal;)*) => {
        /// An error code of S3, with the status and the text that AWS gives it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $message] $name,)*
        }

        impl Code {
            /// The code as clients match on it.
            pub fn name(self) -> &'static str {
                match self { $(Code::$name => $code,)* }
            }

            /// The status it comes with.
            pub fn status(self) -> StatusCode {
                let status = match self { $(Code::$name => $status,)* };
                StatusCode::from_u16(status).expect("the table has valid statuses")
            }

            /// What it says to people when the place it arose at has nothing better to say.
            pub fn message(self) -> &'static str {
                match self { $(Code::$name => $message,)* }
            }

            #[cfg(test)]
            const ALL: &[Code] = &[$(Code::$name,)*];
        }
    };
}

codes! {
    AccessDenied "AccessDenied" 403 "Access Denied";
    AccessForbidden "AccessForbidden" 403 "CORSResponse: CORS is not enabled for this bucket.";
    AuthorizationHeaderMalformed "AuthorizationHeaderMalformed" 400 "The authorization header you provided is invalid.";
    AuthorizationQueryParametersError "AuthorizationQueryParametersError" 400 "The authorization query parameters that you provided are not valid.";
    BadDigest "BadDigest" 400 "The Content-MD5 you specified did not match what we received.";
    BucketAlreadyExists "BucketAlreadyExists" 409 "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.";
    BucketAlreadyOwnedByYou "BucketAlreadyOwnedByYou" 409 "Your previous request to create the named bucket succeeded and you already own it.";
    BucketNotEmpty "BucketNotEmpty" 409 "The bucket you tried to delete is not empty.";
    ConditionalRequestConflict "ConditionalRequestConflict" 409 "The conditional request cannot succeed due to a conflicting operation against this resource.";
    EntityTooLarge "EntityTooLarge" 400 "Your proposed upload exceeds the maximum allowed object size.";
    EntityTooSmall "EntityTooSmall" 400 "Your proposed upload is smaller than the minimum allowed object size.";
    ExpiredToken "ExpiredToken" 400 "The provided token has expired.";
    IllegalVersioningConfiguration "IllegalVersioningConfigurationException" 400 "The Versioning element must be specified";
    IllegalLocationConstraintException "IllegalLocationConstraintException" 400 "The specified location-constraint is incompatible for the region specific endpoint this request was sent to.";
    IncompleteBody "IncompleteBody" 400 "You did not provide the number of bytes specified by the Content-Length HTTP header.";
    InsufficientStorage "InsufficientStorage" 507 "The store has no room for this write.";
    InternalError "InternalError" 500 "We encountered an internal error. Please try again.";
    InvalidAccessKeyId "InvalidAccessKeyId" 403 "The AWS Access Key Id you provided does not exist in our records.";
    InvalidArgument "InvalidArgument" 400 "Invalid Argument";
    InvalidBucketName "InvalidBucketName" 400 "The specified bucket is not valid.";
    InvalidBucketState "InvalidBucketState" 409 "The request is not valid with the current state of the bucket.";
    InvalidDigest "InvalidDigest" 400 "The Content-MD5 you specified is not valid.";
    InvalidEncryptionAlgorithm "InvalidEncryptionAlgorithmError" 400 "The encryption request you specified is not valid. The valid value is AES256.";
    InvalidLocationConstraint "InvalidLocationConstraint" 400 "The specified location-constraint is not valid.";
    InvalidObjectState "InvalidObjectState" 403 "The operation is not valid for the object's storage class.";
    InvalidPart "InvalidPart" 400 "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.";
    InvalidPartNumber "InvalidPartNumber" 416 "The requested partnumber is not satisfiable.";
    InvalidPartOrder "InvalidPartOrder" 400 "The list of parts was not in ascending order. The parts list must be specified in order by part number.";
    InvalidRange "InvalidRange" 416 "The requested range is not satisfiable.";
    InvalidRequest "InvalidRequest" 400 "Invalid Request";
    InvalidStorageClass "InvalidStorageClass" 400 "The storage class you specified is not valid.";
    InvalidTag "InvalidTag" 400 "The tag provided was not a valid tag.";
    InvalidToken "InvalidToken" 400 "The provided token is malformed or otherwise invalid.";
    InvalidURI "InvalidURI" 400 "Couldn't parse the specified URI.";
    KeyTooLong "KeyTooLongError" 400 "Your key is too long.";
    MalformedACL "MalformedACLError" 400 "The XML you provided was not well-formed or did not validate against our published schema.";
    MalformedPolicy "MalformedPolicy" 400 "This policy contains invalid Json";
    MalformedTrailer "MalformedTrailerError" 400 "The request contained trailing data that was not well-formed or did not conform to our published schema.";
    MalformedXML "MalformedXML" 400 "The XML you provided was not well-formed or did not validate against our published schema.";
    MaxMessageLengthExceeded "MaxMessageLengthExceeded" 400 "Your request was too big.";
    MetadataTooLarge "MetadataTooLarge" 400 "Your metadata headers exceed the maximum allowed metadata size.";
    MethodNotAllowed "MethodNotAllowed" 405 "The specified method is not allowed against this resource.";
    MissingContentLength "MissingContentLength" 411 "You must provide the Content-Length HTTP header.";
    MissingRequestBody "MissingRequestBodyError" 400 "Request Body is empty";
    MissingSecurityHeader "MissingSecurityHeader" 400 "Your request was missing a required header.";
    NoSuchBucket "NoSuchBucket" 404 "The specified bucket does not exist";
    NoSuchBucketPolicy "NoSuchBucketPolicy" 404 "The bucket policy does not exist";
    NoSuchCORSConfiguration "NoSuchCORSConfiguration" 404 "The CORS configuration does not exist";
    NoSuchKey "NoSuchKey" 404 "The specified key does not exist.";
    NoSuchLifecycleConfiguration "NoSuchLifecycleConfiguration" 404 "The lifecycle configuration does not exist";
    NoSuchPublicAccessBlockConfiguration "NoSuchPublicAccessBlockConfiguration" 404 "The public access block configuration was not found";
    NoSuchTagSet "NoSuchTagSet" 404 "The TagSet does not exist";
    NoSuchUpload "NoSuchUpload" 404 "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
    NoSuchVersion "NoSuchVersion" 404 "The specified version does not exist.";
    NotImplemented "NotImplemented" 501 "A header you provided implies functionality that is not implemented.";
    NotModified "NotModified" 304 "Not Modified";
    OperationAborted "OperationAborted" 409 "A conflicting conditional operation is currently in progress against this resource. Try again.";
    PermanentRedirect "PermanentRedirect" 301 "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.";
    PreconditionFailed "PreconditionFailed" 412 "At least one of the pre-conditions you specified did not hold";
    RequestHeaderSectionTooLarge "RequestHeaderSectionTooLarge" 400 "Your request header section exceeds the maximum allowed request header section size.";
    RequestTimeTooSkewed "RequestTimeTooSkewed" 403 "The difference between the request time and the current time is too large.";
    RequestTimeout "RequestTimeout" 400 "Your socket connection to the server was not read from or written to within the timeout period.";
    ServiceUnavailable "ServiceUnavailable" 503 "Service is unable to handle request.";
    SignatureDoesNotMatch "SignatureDoesNotMatch" 403 "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
    SlowDown "SlowDown" 503 "Please reduce your request rate.";
    TooManyBuckets "TooManyBuckets" 400 "You have attempted to create more buckets than allowed.";
    UnsupportedArgument "UnsupportedArgument" 400 "The request contained an unsupported argument.";
    UnsupportedSignature "UnsupportedSignature" 400 "The provided request is signed with an unsupported STS Token version or the signature version is not supported.";
    XAmzContentChecksumMismatch "XAmzContentChecksumMismatch" 400 "The provided 'x-amz-checksum' header does not match what was computed.";
    XAmzContentSHA256Mismatch "XAmzContentSHA256Mismatch" 400 "The provided 'x-amz-content-sha256' header does not match what was computed.";
}

/// What went wrong with a request, as its client is told.
#[derive(Clone, Debug)]
pub struct S3Error {
    /// What clients match on.
    pub code: Code,
    /// What people read.
    pub message: Cow<'static, str>,
    /// More elements of the document, in order: tag and text.
    pub extra: Vec<(&'static str, String)>,
    /// Headers of the reply.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What the log says besides, and the client is not told.
    pub cause: Option<Box<str>>,
}

impl S3Error {
    /// `code` with the text that AWS gives it.
    pub fn new(code: Code) -> Self {
        Self::with_message(code, code.message())
    }

    /// `code` with a text of one's own.
    pub fn with_message(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self { code, message, extra: Vec::new(), headers: Vec::new(), cause: None }
    }

    /// `InvalidArgument` about one argument, as AWS gives it.
    pub fn invalid_argument(
        name: impl Into<String>,
        value: impl Into<String>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::with_message(Code::InvalidArgument, message)
            .extra("ArgumentName", name)
            .extra("ArgumentValue", value)
    }

    /// An operation or a header that Coffer does not have.
    pub fn not_implemented(what: &str) -> Self {
        Self::with_message(Code::NotImplemented, format!("{what} is not implemented."))
    }

    /// Adds an element to the document.
    pub fn extra(mut self, tag: &'static str, text: impl Into<String>) -> Self {
        self.extra.push((tag, text.into()));
        self
    }

    /// Adds what only the log says.
    pub fn caused_by(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string().into());
        self
    }

    /// Adds a header to the reply, unless HTTP can't carry its value.
    pub fn header(mut self, name: HeaderName, value: impl AsRef<[u8]>) -> Self {
        if let Ok(value) = HeaderValue::from_bytes(value.as_ref()) {
            self.headers.push((name, value));
        }
        self
    }

    /// The document that tells it: `resource` is the path the request named.
    pub fn to_xml(&self, resource: &str, request_id: &str, host_id: &str) -> String {
        let mut xml = Writer::new();
        xml.open("Error").text("Code", self.code.name()).text("Message", &self.message);
        for (tag, text) in &self.extra {
            xml.text(tag, text);
        }
        xml.text("Resource", resource).text("RequestId", request_id).text("HostId", host_id);
        xml.finish()
    }
}

impl fmt::Display for S3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for S3Error {}

impl From<ObjectsError> for S3Error {
    fn from(error: ObjectsError) -> S3Error {
        let plain = S3Error::new;
        match &error {
            ObjectsError::NoSuchBucket => plain(Code::NoSuchBucket),
            ObjectsError::BucketExists { owned_by_caller: true } => {
                plain(Code::BucketAlreadyOwnedByYou)
            }
            ObjectsError::BucketExists { owned_by_caller: false } => {
                plain(Code::BucketAlreadyExists)
            }
            ObjectsError::BucketNotEmpty => plain(Code::BucketNotEmpty),
            ObjectsError::NoSuchBucketPolicy => plain(Code::NoSuchBucketPolicy),
            ObjectsError::NoSuchPublicAccessBlock => {
                plain(Code::NoSuchPublicAccessBlockConfiguration)
            }
            ObjectsError::MalformedPolicy(why) => {
                S3Error::with_message(Code::MalformedPolicy, why.clone())
            }
            ObjectsError::PublicPolicyBlocked => S3Error::with_message(
                Code::AccessDenied,
                "User is not authorized to perform: s3:PutBucketPolicy because public policies are \
                 prevented by the BlockPublicPolicy setting in S3 Block Public Access.",
            ),
            ObjectsError::InvalidBucketName => plain(Code::InvalidBucketName),
            ObjectsError::NoSuchKey => plain(Code::NoSuchKey),
            ObjectsError::NoSuchVersion => plain(Code::NoSuchVersion),
            ObjectsError::DeleteMarker { version_id, modified, named } => {
                delete_marker(*version_id, *modified, *named)
            }
            ObjectsError::NoSuchUpload => plain(Code::NoSuchUpload),
            ObjectsError::InvalidPart { number } => {
                plain(Code::InvalidPart).extra("PartNumber", number.to_string())
            }
            ObjectsError::InvalidPartOrder => plain(Code::InvalidPartOrder),
            ObjectsError::InvalidPartNumber { parts } => {
                plain(Code::InvalidPartNumber).extra("ActualPartCount", parts.to_string())
            }
            ObjectsError::EntityTooSmall { number, size, min } => plain(Code::EntityTooSmall)
                .extra("PartNumber", number.to_string())
                .extra("ProposedSize", size.to_string())
                .extra("MinSizeAllowed", min.to_string()),
            ObjectsError::EntityTooLarge { size, max } => plain(Code::EntityTooLarge)
                .extra("ProposedSize", size.to_string())
                .extra("MaxSizeAllowed", max.to_string()),
            ObjectsError::MetadataTooLarge { size } => plain(Code::MetadataTooLarge)
                .extra("Size", size.to_string())
                .extra("MaxSizeAllowed", coffer_objects::USER_METADATA_BYTES_MAX.to_string()),
            ObjectsError::PreconditionFailed { condition } => {
                plain(Code::PreconditionFailed).extra("Condition", *condition)
            }
            ObjectsError::NotModified(info) => not_modified(info),
            ObjectsError::InvalidRange { size } => plain(Code::InvalidRange)
                .extra("ActualObjectSize", size.to_string())
                .header(CONTENT_RANGE, format!("bytes */{size}")),
            ObjectsError::BadDigest(DigestKind::Md5) => plain(Code::BadDigest),
            ObjectsError::BadDigest(DigestKind::Checksum(algorithm)) => S3Error::with_message(
                Code::BadDigest,
                format!("The {algorithm} you specified did not match the calculated checksum."),
            ),
            ObjectsError::InvalidRequest(why) => {
                S3Error::with_message(Code::InvalidRequest, why.clone())
            }
            ObjectsError::InvalidArgument(why) => {
                S3Error::with_message(Code::InvalidArgument, why.clone())
            }
            ObjectsError::KeyTooLong { size } => plain(Code::KeyTooLong)
                .extra("Size", size.to_string())
                .extra("MaxSizeAllowed", coffer_objects::KEY_BYTES_MAX.to_string()),
            ObjectsError::IncompleteBody => plain(Code::IncompleteBody),
            ObjectsError::ReadOnly(_) => {
                S3Error::with_message(Code::ServiceUnavailable, "The store takes no writes now.")
                    .caused_by(error)
            }
            ObjectsError::Full => plain(Code::InsufficientStorage).caused_by(error),
            ObjectsError::Unavailable(_) => plain(Code::ServiceUnavailable).caused_by(error),
            ObjectsError::Corrupt(_) | ObjectsError::Unknown(_) => {
                plain(Code::InternalError).caused_by(error)
            }
        }
    }
}

impl From<coffer_identity::Error> for S3Error {
    fn from(error: coffer_identity::Error) -> Self {
        use coffer_identity::Error;
        let code = match &error {
            Error::InvalidToken => Code::InvalidToken,
            Error::ExpiredToken => Code::ExpiredToken,
            Error::Unavailable(_) | Error::ReadOnly(_) | Error::Full => Code::ServiceUnavailable,
            _ => Code::InternalError,
        };
        S3Error::new(code).caused_by(error)
    }
}

/// "If the specified version in the request is a delete marker, the response returns a 405 Method Not
/// Allowed error and the Last-Modified: timestamp response header. If the current version of the
/// object is a delete marker, Amazon S3 behaves as if the object was deleted and includes
/// x-amz-delete-marker: true in the response."
fn delete_marker(version_id: VersionId, modified: Timestamp, named: bool) -> S3Error {
    const MARKER: HeaderName = HeaderName::from_static("x-amz-delete-marker");
    const VERSION_ID: HeaderName = HeaderName::from_static("x-amz-version-id");
    let error = if named {
        S3Error::new(Code::MethodNotAllowed)
            .extra("Method", "GET")
            .extra("ResourceType", "DeleteMarker")
            .header(ALLOW, "DELETE")
            .header(LAST_MODIFIED, time::http_date(modified))
    } else {
        S3Error::new(Code::NoSuchKey)
    };
    error.header(MARKER, "true").header(VERSION_ID, version_id.to_string())
}

/// RFC 9110, 15.4.5: a 304 has the headers that a 200 would have had for caches.
fn not_modified(info: &ObjectInfo) -> S3Error {
    let mut error = S3Error::new(Code::NotModified)
        .header(ETAG, format!("\"{}\"", info.etag))
        .header(LAST_MODIFIED, time::http_date(info.modified));
    if let Some(value) = &info.headers.cache_control {
        error = error.header(CACHE_CONTROL, value);
    }
    if let Some(value) = &info.headers.expires {
        error = error.header(EXPIRES, value);
    }
    error
}

#[cfg(test)]
mod tests;
