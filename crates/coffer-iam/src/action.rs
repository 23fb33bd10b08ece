//! The closed list of actions.

use std::fmt;

/// What kind of thing an action acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The store as a whole.
    Store,
    /// One bucket.
    Bucket,
    /// One object name in a bucket.
    Object,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal on $scope:ident;)*) => {
        /// What a request asks to do. Names as in IAM policies: `s3:` where AWS has the action,
        /// `coffer:` where it is Coffer's own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Action { $($(#[$doc])* $variant,)* }

        impl Action {
            /// All of them.
            pub const ALL: &'static [Action] = &[$(Action::$variant,)*];

            /// The name policies use, such as `s3:PutObject`.
            pub fn name(self) -> &'static str {
                match self { $(Action::$variant => $name,)* }
            }

            /// What it acts on.
            pub fn scope(self) -> Scope {
                match self { $(Action::$variant => Scope::$scope,)* }
            }
        }
    };
}

actions! {
    /// ListBuckets.
    ListAllMyBuckets = "s3:ListAllMyBuckets" on Store;
    /// CreateBucket.
    CreateBucket = "s3:CreateBucket" on Bucket;
    /// DeleteBucket.
    DeleteBucket = "s3:DeleteBucket" on Bucket;
    /// ListObjects, ListObjectsV2, HeadBucket.
    ListBucket = "s3:ListBucket" on Bucket;
    /// GetBucketLocation.
    GetBucketLocation = "s3:GetBucketLocation" on Bucket;
    /// ListMultipartUploads.
    ListBucketMultipartUploads = "s3:ListBucketMultipartUploads" on Bucket;
    /// GetObject, HeadObject, the source of a copy.
    GetObject = "s3:GetObject" on Object;
    /// PutObject, CopyObject, and creating, filling and completing an upload.
    PutObject = "s3:PutObject" on Object;
    /// DeleteObject, each key of DeleteObjects.
    DeleteObject = "s3:DeleteObject" on Object;
    /// AbortMultipartUpload.
    AbortMultipartUpload = "s3:AbortMultipartUpload" on Object;
    /// ListParts.
    ListMultipartUploadParts = "s3:ListMultipartUploadParts" on Object;
    /// Setting the acknowledgement level of a bucket.
    PutBucketAck = "coffer:PutBucketAck" on Bucket;
    /// Reading the acknowledgement level of a bucket.
    GetBucketAck = "coffer:GetBucketAck" on Bucket;
    /// Adding, listing, disabling and removing users.
    AdminUsers = "coffer:AdminUsers" on Store;
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
