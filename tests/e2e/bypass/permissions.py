"""What each operation demands, as AWS documents it.

Written after the Service Authorization Reference ("Actions, resources, and condition keys for
Amazon S3", "… for AWS Identity and Access Management (IAM)", "… for AWS Security Token Service")
and the permission sections of the API references. Nothing here is taken from Coffer.
"""

from dataclasses import dataclass

#: What a needed action is on.
STORE, BUCKET, KEY, SOURCE = "store", "bucket", "key", "source"


@dataclass(frozen=True)
class Need:
    """An action that must be allowed, on what."""

    action: str
    on: str


def _on(kind, *names):
    """Operations whose action has their own name."""
    return {name: (Need(f"s3:{name}", kind),) for name in names}


def _as(kind, action, *names):
    return {name: (Need(f"s3:{action}", kind),) for name in names}


#: Every operation of the S3 model, and those of versions that have a name in `operations.OF_VERSIONS`. GetBucketLifecycle, PutBucketLifecycle, GetBucketNotification
#: and PutBucketNotification are old names of the same requests. Operations whose action has
#: another name than they have are written out.
S3 = {
    **_as(STORE, "ListAllMyBuckets", "ListBuckets"),
    # The same request as ListBuckets, to another host.
    **_as(STORE, "ListAllMyBuckets", "ListDirectoryBuckets"),
    **_on(BUCKET, "CreateBucket", "DeleteBucket", "GetBucketLocation", "GetBucketVersioning"),
    **_as(BUCKET, "ListBucket", "HeadBucket", "ListObjects", "ListObjectsV2"),
    **_as(BUCKET, "ListBucketVersions", "ListObjectVersions"),
    **_as(BUCKET, "ListBucketMultipartUploads", "ListMultipartUploads"),
    **_as(KEY, "GetObject", "GetObject", "HeadObject", "SelectObjectContent"),
    **_as(
        KEY,
        "PutObject",
        "PutObject",
        "CreateMultipartUpload",
        "UploadPart",
        "CompleteMultipartUpload",
    ),
    "CopyObject": (Need("s3:PutObject", KEY), Need("s3:GetObject", SOURCE)),
    "UploadPartCopy": (Need("s3:PutObject", KEY), Need("s3:GetObject", SOURCE)),
    # The same operations of a version that is named: "If you supply a versionId, you need the
    # s3:GetObjectVersion permission"; "s3:DeleteObjectVersion - To delete a specific version of an
    # object from a versioning-enabled bucket"; "If the source object version ID is specified".
    **_as(KEY, "GetObjectVersion", "GetObject of a version", "HeadObject of a version"),
    **_as(KEY, "DeleteObjectVersion", "DeleteObject of a version", "DeleteObjects of versions"),
    "CopyObject of a version": (Need("s3:PutObject", KEY), Need("s3:GetObjectVersion", SOURCE)),
    "UploadPartCopy of a version": (Need("s3:PutObject", KEY), Need("s3:GetObjectVersion", SOURCE)),
    # "If you use CopyObject's rights": RenameObject is of directory buckets.
    "RenameObject": (Need("s3express:CreateSession", BUCKET),),
    **_as(KEY, "DeleteObject", "DeleteObject", "DeleteObjects"),
    **_on(KEY, "AbortMultipartUpload", "RestoreObject"),
    **_as(KEY, "ListMultipartUploadParts", "ListParts"),
    "GetObjectAttributes": (Need("s3:GetObject", KEY), Need("s3:GetObjectAttributes", KEY)),
    **_on(
        KEY,
        "GetObjectAcl",
        "GetObjectLegalHold",
        "GetObjectRetention",
        "GetObjectTagging",
        "GetObjectTorrent",
        "PutObjectAcl",
        "PutObjectLegalHold",
        "PutObjectRetention",
        "PutObjectTagging",
        "DeleteObjectTagging",
        "GetObjectAnnotation",
        "PutObjectAnnotation",
        "DeleteObjectAnnotation",
        "ListObjectAnnotations",
        "UpdateObjectEncryption",
    ),
    **_on(
        BUCKET,
        "GetBucketAcl",
        "PutBucketAcl",
        "GetBucketLogging",
        "PutBucketLogging",
        "GetBucketPolicy",
        "PutBucketPolicy",
        "DeleteBucketPolicy",
        "GetBucketPolicyStatus",
        "GetBucketRequestPayment",
        "PutBucketRequestPayment",
        "GetBucketTagging",
        "PutBucketTagging",
        "PutBucketVersioning",
        "GetBucketWebsite",
        "PutBucketWebsite",
        "DeleteBucketWebsite",
        "GetBucketOwnershipControls",
        "PutBucketOwnershipControls",
        "GetBucketAbac",
        "PutBucketAbac",
    ),
    **_as(BUCKET, "PutBucketTagging", "DeleteBucketTagging"),
    **_as(BUCKET, "PutBucketOwnershipControls", "DeleteBucketOwnershipControls"),
    **_as(BUCKET, "GetBucketPublicAccessBlock", "GetPublicAccessBlock"),
    **_as(BUCKET, "PutBucketPublicAccessBlock", "PutPublicAccessBlock", "DeletePublicAccessBlock"),
    **_as(BUCKET, "GetBucketCORS", "GetBucketCors"),
    **_as(BUCKET, "PutBucketCORS", "PutBucketCors", "DeleteBucketCors"),
    **_as(BUCKET, "GetAccelerateConfiguration", "GetBucketAccelerateConfiguration"),
    **_as(BUCKET, "PutAccelerateConfiguration", "PutBucketAccelerateConfiguration"),
    **_as(
        BUCKET,
        "GetAnalyticsConfiguration",
        "GetBucketAnalyticsConfiguration",
        "ListBucketAnalyticsConfigurations",
    ),
    **_as(
        BUCKET,
        "PutAnalyticsConfiguration",
        "PutBucketAnalyticsConfiguration",
        "DeleteBucketAnalyticsConfiguration",
    ),
    **_as(
        BUCKET,
        "GetIntelligentTieringConfiguration",
        "GetBucketIntelligentTieringConfiguration",
        "ListBucketIntelligentTieringConfigurations",
    ),
    **_as(
        BUCKET,
        "PutIntelligentTieringConfiguration",
        "PutBucketIntelligentTieringConfiguration",
        "DeleteBucketIntelligentTieringConfiguration",
    ),
    **_as(
        BUCKET,
        "GetInventoryConfiguration",
        "GetBucketInventoryConfiguration",
        "ListBucketInventoryConfigurations",
    ),
    **_as(
        BUCKET,
        "PutInventoryConfiguration",
        "PutBucketInventoryConfiguration",
        "DeleteBucketInventoryConfiguration",
    ),
    **_as(
        BUCKET,
        "GetMetricsConfiguration",
        "GetBucketMetricsConfiguration",
        "ListBucketMetricsConfigurations",
    ),
    **_as(
        BUCKET,
        "PutMetricsConfiguration",
        "PutBucketMetricsConfiguration",
        "DeleteBucketMetricsConfiguration",
    ),
    **_as(BUCKET, "GetEncryptionConfiguration", "GetBucketEncryption"),
    **_as(BUCKET, "PutEncryptionConfiguration", "PutBucketEncryption", "DeleteBucketEncryption"),
    **_as(
        BUCKET,
        "GetLifecycleConfiguration",
        "GetBucketLifecycle",
        "GetBucketLifecycleConfiguration",
    ),
    **_as(
        BUCKET,
        "PutLifecycleConfiguration",
        "PutBucketLifecycle",
        "PutBucketLifecycleConfiguration",
        "DeleteBucketLifecycle",
    ),
    **_as(
        BUCKET,
        "GetBucketNotification",
        "GetBucketNotification",
        "GetBucketNotificationConfiguration",
    ),
    **_as(
        BUCKET,
        "PutBucketNotification",
        "PutBucketNotification",
        "PutBucketNotificationConfiguration",
    ),
    **_as(BUCKET, "GetReplicationConfiguration", "GetBucketReplication"),
    **_as(BUCKET, "PutReplicationConfiguration", "PutBucketReplication", "DeleteBucketReplication"),
    **_as(BUCKET, "GetBucketObjectLockConfiguration", "GetObjectLockConfiguration"),
    **_as(BUCKET, "PutBucketObjectLockConfiguration", "PutObjectLockConfiguration"),
    **_as(
        BUCKET,
        "CreateBucketMetadataTableConfiguration",
        "CreateBucketMetadataConfiguration",
        "CreateBucketMetadataTableConfiguration",
    ),
    **_as(
        BUCKET,
        "DeleteBucketMetadataTableConfiguration",
        "DeleteBucketMetadataConfiguration",
        "DeleteBucketMetadataTableConfiguration",
    ),
    **_as(
        BUCKET,
        "GetBucketMetadataTableConfiguration",
        "GetBucketMetadataConfiguration",
        "GetBucketMetadataTableConfiguration",
    ),
    **_as(
        BUCKET,
        "UpdateBucketMetadataInventoryTableConfiguration",
        "UpdateBucketMetadataInventoryTableConfiguration",
    ),
    **_as(
        BUCKET,
        "UpdateBucketMetadataJournalTableConfiguration",
        "UpdateBucketMetadataJournalTableConfiguration",
    ),
    **_as(
        BUCKET,
        "UpdateBucketMetadataAnnotationTableConfiguration",
        "UpdateBucketMetadataAnnotationTableConfiguration",
    ),
    "CreateSession": (Need("s3express:CreateSession", BUCKET),),
    "WriteGetObjectResponse": (Need("s3-object-lambda:WriteGetObjectResponse", STORE),),
}

#: Operations that answer each part of a request for itself: a refusal stands in the reply's body.
ANSWERED_IN_PARTS = {"DeleteObjects", "DeleteObjects of versions"}

#: What an action of IAM or STS is on.
USER, GROUP, ROLE, POLICY, PROVIDER, ALL = "user", "group", "role", "policy", "provider", "*"

#: The actions of IAM that have a resource type, by it; "Actions, resources, and condition keys for
#: AWS Identity and Access Management (IAM)". All others are on `*`. Each operation demands the
#: action of its own name.
ON = {
    USER: """
        AttachUserPolicy CreateAccessKey CreateLoginProfile CreateServiceSpecificCredential CreateUser
        DeactivateMFADevice DeleteAccessKey DeleteLoginProfile DeleteSSHPublicKey
        DeleteServiceSpecificCredential DeleteSigningCertificate DeleteUser
        DeleteUserPermissionsBoundary DeleteUserPolicy DetachUserPolicy EnableMFADevice
        GetAccessKeyLastUsed GetLoginProfile GetSSHPublicKey GetUser GetUserPolicy ListAccessKeys
        ListAttachedUserPolicies ListGroupsForUser ListMFADevices ListSSHPublicKeys
        ListServiceSpecificCredentials ListSigningCertificates ListUserPolicies ListUserTags
        PutUserPermissionsBoundary PutUserPolicy ResetServiceSpecificCredential ResyncMFADevice TagUser
        UntagUser UpdateAccessKey UpdateLoginProfile UpdateSSHPublicKey UpdateServiceSpecificCredential
        UpdateSigningCertificate UpdateUser UploadSSHPublicKey UploadSigningCertificate ChangePassword
    """.split(),
    GROUP: """
        AddUserToGroup AttachGroupPolicy CreateGroup DeleteGroup DeleteGroupPolicy DetachGroupPolicy
        GetGroup GetGroupPolicy ListAttachedGroupPolicies ListGroupPolicies PutGroupPolicy
        RemoveUserFromGroup UpdateGroup
    """.split(),
    ROLE: """
        AttachRolePolicy CreateRole CreateServiceLinkedRole DeleteRole DeleteRolePermissionsBoundary
        DeleteRolePolicy DeleteServiceLinkedRole DetachRolePolicy GetRole GetRolePolicy
        ListAttachedRolePolicies ListInstanceProfilesForRole ListRolePolicies ListRoleTags
        PutRolePermissionsBoundary PutRolePolicy TagRole UntagRole UpdateAssumeRolePolicy UpdateRole
        UpdateRoleDescription
    """.split(),
    POLICY: """
        CreatePolicy CreatePolicyVersion DeletePolicy DeletePolicyVersion GetPolicy GetPolicyVersion
        ListEntitiesForPolicy ListPolicyTags ListPolicyVersions SetDefaultPolicyVersion TagPolicy
        UntagPolicy
    """.split(),
    PROVIDER: """
        AddClientIDToOpenIDConnectProvider CreateOpenIDConnectProvider DeleteOpenIDConnectProvider
        GetOpenIDConnectProvider ListOpenIDConnectProviderTags RemoveClientIDFromOpenIDConnectProvider
        TagOpenIDConnectProvider UntagOpenIDConnectProvider UpdateOpenIDConnectProviderThumbprint
    """.split(),
}

#: Operations of STS that demand nothing of who has credentials: GetCallerIdentity, "No permissions
#: are required"; GetSessionToken, "No permissions are required for users".
STS_FOR_EVERYBODY = {"GetCallerIdentity", "GetSessionToken"}

#: Operations of STS that take a token instead of a signature.
STS_UNSIGNED = {"AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"}


def needs(service: str, operation: str) -> tuple:
    """What the operation demands."""
    if service == "s3":
        return S3[operation]
    if service == "sts":
        if operation in STS_FOR_EVERYBODY | STS_UNSIGNED:
            return ()
        return (Need(f"sts:{operation}", ROLE if operation == "AssumeRole" else ALL),)
    for kind, names in ON.items():
        if operation in names:
            return (Need(f"iam:{operation}", kind),)
    return (Need(f"iam:{operation}", ALL),)
