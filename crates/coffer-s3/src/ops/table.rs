//! Every S3 operation, and what its request looks like.
//!
//! The rows are those of the general purpose bucket API. An operation that Coffer does not have is
//! a row too: its requests are told apart from others, and refused by name.

use Place::{Bucket, Object, Service};

/// What a request's address names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Neither bucket nor key.
    Service,
    /// A bucket.
    Bucket,
    /// A key in a bucket.
    Object,
}

macro_rules! operations {
    ($($name:ident: $method:ident $place:ident $sub:literal $state:ident,)*) => {
        /// One operation of S3 (or of Coffer, where the name says so in the table).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Operation {
            $($name,)*
        }

        impl Operation {
            /// All of them, in the order of the table.
            pub(crate) const ALL: &'static [Operation] = &[$(Operation::$name,)*];

            /// The name that S3's documentation gives it.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Operation::$name => stringify!($name),)*
                }
            }

            /// The HTTP method of its request.
            pub(crate) fn method(self) -> &'static str {
                match self {
                    $(Operation::$name => stringify!($method),)*
                }
            }

            /// What its request's address names.
            pub(crate) fn place(self) -> Place {
                match self {
                    $(Operation::$name => $place,)*
                }
            }

            /// The query parameter that selects it; empty when none does.
            pub(crate) fn sub_resource(self) -> &'static str {
                match self {
                    $(Operation::$name => $sub,)*
                }
            }

            /// Whether Coffer has it.
            pub(crate) fn is_built(self) -> bool {
                match self {
                    $(Operation::$name => operations!(@ $state),)*
                }
            }
        }
    };
    (@ built) => { true };
    (@ absent) => { false };
}

operations! {
    ListBuckets: GET Service "" built,
    CreateBucket: PUT Bucket "" built,
    DeleteBucket: DELETE Bucket "" built,
    DeleteObjects: POST Bucket "delete" built,
    GetBucketAck: GET Bucket "x-coffer-ack" built,
    GetBucketLocation: GET Bucket "location" built,
    GetBucketVersioning: GET Bucket "versioning" built,
    HeadBucket: HEAD Bucket "" built,
    ListMultipartUploads: GET Bucket "uploads" built,
    ListObjects: GET Bucket "" built,
    ListObjectsV2: GET Bucket "" built,
    ListObjectVersions: GET Bucket "versions" built,
    PutBucketAck: PUT Bucket "x-coffer-ack" built,
    PutBucketVersioning: PUT Bucket "versioning" built,
    DeleteBucketPolicy: DELETE Bucket "policy" built,
    DeletePublicAccessBlock: DELETE Bucket "publicAccessBlock" built,
    GetBucketPolicy: GET Bucket "policy" built,
    GetBucketPolicyStatus: GET Bucket "policyStatus" built,
    GetPublicAccessBlock: GET Bucket "publicAccessBlock" built,
    PutBucketPolicy: PUT Bucket "policy" built,
    PutPublicAccessBlock: PUT Bucket "publicAccessBlock" built,
    CreateBucketMetadataConfiguration: POST Bucket "metadataConfiguration" absent,
    CreateBucketMetadataTableConfiguration: POST Bucket "metadataTable" absent,
    CreateSession: GET Bucket "session" absent,
    DeleteBucketAnalyticsConfiguration: DELETE Bucket "analytics" absent,
    DeleteBucketCors: DELETE Bucket "cors" absent,
    DeleteBucketEncryption: DELETE Bucket "encryption" absent,
    DeleteBucketIntelligentTieringConfiguration: DELETE Bucket "intelligent-tiering" absent,
    DeleteBucketInventoryConfiguration: DELETE Bucket "inventory" absent,
    DeleteBucketLifecycle: DELETE Bucket "lifecycle" absent,
    DeleteBucketMetadataConfiguration: DELETE Bucket "metadataConfiguration" absent,
    DeleteBucketMetadataTableConfiguration: DELETE Bucket "metadataTable" absent,
    DeleteBucketMetricsConfiguration: DELETE Bucket "metrics" absent,
    DeleteBucketOwnershipControls: DELETE Bucket "ownershipControls" absent,
    DeleteBucketReplication: DELETE Bucket "replication" absent,
    DeleteBucketTagging: DELETE Bucket "tagging" absent,
    DeleteBucketWebsite: DELETE Bucket "website" absent,
    GetBucketAbac: GET Bucket "abac" absent,
    GetBucketAccelerateConfiguration: GET Bucket "accelerate" absent,
    GetBucketAcl: GET Bucket "acl" absent,
    GetBucketAnalyticsConfiguration: GET Bucket "analytics" absent,
    GetBucketCors: GET Bucket "cors" absent,
    GetBucketEncryption: GET Bucket "encryption" absent,
    GetBucketIntelligentTieringConfiguration: GET Bucket "intelligent-tiering" absent,
    GetBucketInventoryConfiguration: GET Bucket "inventory" absent,
    GetBucketLifecycleConfiguration: GET Bucket "lifecycle" absent,
    GetBucketLogging: GET Bucket "logging" absent,
    GetBucketMetadataConfiguration: GET Bucket "metadataConfiguration" absent,
    GetBucketMetadataTableConfiguration: GET Bucket "metadataTable" absent,
    GetBucketMetricsConfiguration: GET Bucket "metrics" absent,
    GetBucketNotificationConfiguration: GET Bucket "notification" absent,
    GetBucketOwnershipControls: GET Bucket "ownershipControls" absent,
    GetBucketReplication: GET Bucket "replication" absent,
    GetBucketRequestPayment: GET Bucket "requestPayment" absent,
    GetBucketTagging: GET Bucket "tagging" absent,
    GetBucketWebsite: GET Bucket "website" absent,
    GetObjectLockConfiguration: GET Bucket "object-lock" absent,
    ListBucketAnalyticsConfigurations: GET Bucket "analytics" absent,
    ListBucketIntelligentTieringConfigurations: GET Bucket "intelligent-tiering" absent,
    ListBucketInventoryConfigurations: GET Bucket "inventory" absent,
    ListBucketMetricsConfigurations: GET Bucket "metrics" absent,
    PostObject: POST Bucket "" absent,
    PutBucketAbac: PUT Bucket "abac" absent,
    PutBucketAccelerateConfiguration: PUT Bucket "accelerate" absent,
    PutBucketAcl: PUT Bucket "acl" absent,
    PutBucketAnalyticsConfiguration: PUT Bucket "analytics" absent,
    PutBucketCors: PUT Bucket "cors" absent,
    PutBucketEncryption: PUT Bucket "encryption" absent,
    PutBucketIntelligentTieringConfiguration: PUT Bucket "intelligent-tiering" absent,
    PutBucketInventoryConfiguration: PUT Bucket "inventory" absent,
    PutBucketLifecycleConfiguration: PUT Bucket "lifecycle" absent,
    PutBucketLogging: PUT Bucket "logging" absent,
    PutBucketMetricsConfiguration: PUT Bucket "metrics" absent,
    PutBucketNotificationConfiguration: PUT Bucket "notification" absent,
    PutBucketOwnershipControls: PUT Bucket "ownershipControls" absent,
    PutBucketReplication: PUT Bucket "replication" absent,
    PutBucketRequestPayment: PUT Bucket "requestPayment" absent,
    PutBucketTagging: PUT Bucket "tagging" absent,
    PutBucketWebsite: PUT Bucket "website" absent,
    PutObjectLockConfiguration: PUT Bucket "object-lock" absent,
    UpdateBucketMetadataAnnotationTableConfiguration: PUT Bucket "metadataAnnotationTable" absent,
    UpdateBucketMetadataInventoryTableConfiguration: PUT Bucket "metadataInventoryTable" absent,
    UpdateBucketMetadataJournalTableConfiguration: PUT Bucket "metadataJournalTable" absent,
    WriteGetObjectResponse: POST Bucket "" absent,
    AbortMultipartUpload: DELETE Object "uploadId" built,
    CompleteMultipartUpload: POST Object "uploadId" built,
    CopyObject: PUT Object "" built,
    CreateMultipartUpload: POST Object "uploads" built,
    DeleteObject: DELETE Object "" built,
    GetObject: GET Object "" built,
    HeadObject: HEAD Object "" built,
    ListParts: GET Object "uploadId" built,
    PutObject: PUT Object "" built,
    UploadPart: PUT Object "uploadId" built,
    UploadPartCopy: PUT Object "uploadId" built,
    DeleteObjectAnnotation: DELETE Object "annotation" absent,
    DeleteObjectTagging: DELETE Object "tagging" absent,
    GetObjectAcl: GET Object "acl" absent,
    GetObjectAnnotation: GET Object "annotation" absent,
    GetObjectAttributes: GET Object "attributes" absent,
    GetObjectLegalHold: GET Object "legal-hold" absent,
    GetObjectRetention: GET Object "retention" absent,
    GetObjectTagging: GET Object "tagging" absent,
    GetObjectTorrent: GET Object "torrent" absent,
    ListObjectAnnotations: GET Object "annotation" absent,
    PutObjectAcl: PUT Object "acl" absent,
    PutObjectAnnotation: PUT Object "annotation" absent,
    PutObjectLegalHold: PUT Object "legal-hold" absent,
    PutObjectRetention: PUT Object "retention" absent,
    PutObjectTagging: PUT Object "tagging" absent,
    RenameObject: PUT Object "renameObject" absent,
    RestoreObject: POST Object "restore" absent,
    SelectObjectContent: POST Object "select" absent,
    UpdateObjectEncryption: PUT Object "encryption" absent,
    OptionsObject: OPTIONS Object "" absent,
}
