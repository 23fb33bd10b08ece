//! The closed list of actions.

use std::fmt;

/// What kind of thing an action acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The store as a whole.
    Store,
    /// One bucket.
    Bucket,
    /// One object name in a bucket.
    Object,
    /// An account's identities as a whole.
    Account,
    /// One user.
    User,
    /// One group.
    Group,
    /// One role.
    Role,
    /// One user, group or role: of an action that takes any of them. No resource is of this kind.
    Identity,
    /// One managed policy.
    Policy,
    /// One identity provider.
    Provider,
}

impl Scope {
    /// Whether an action of this kind may act on a resource of the kind `resource`.
    pub fn admits(self, resource: Scope) -> bool {
        match self {
            Scope::Identity => matches!(resource, Scope::User | Scope::Group | Scope::Role),
            scope => scope == resource,
        }
    }
}

macro_rules! actions {
    ($($variant:ident = $name:literal on $scope:ident;)*) => {
        /// What a request asks to do. Names as in AWS's policies where AWS has the action
        /// (`s3:`, `iam:`, `sts:`), `coffer:` where it is Coffer's own.
        #[allow(missing_docs)] // Their names say what AWS's reference says.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Action { $($variant,)* }

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
    // S3: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
    ListAllMyBuckets = "s3:ListAllMyBuckets" on Store;
    CreateBucket = "s3:CreateBucket" on Bucket;
    DeleteBucket = "s3:DeleteBucket" on Bucket;
    // ListObjects, ListObjectsV2, HeadBucket.
    ListBucket = "s3:ListBucket" on Bucket;
    ListBucketVersions = "s3:ListBucketVersions" on Bucket;
    ListBucketMultipartUploads = "s3:ListBucketMultipartUploads" on Bucket;
    GetBucketLocation = "s3:GetBucketLocation" on Bucket;
    GetBucketAcl = "s3:GetBucketAcl" on Bucket;
    PutBucketAcl = "s3:PutBucketAcl" on Bucket;
    GetBucketCORS = "s3:GetBucketCORS" on Bucket;
    PutBucketCORS = "s3:PutBucketCORS" on Bucket;
    GetBucketLogging = "s3:GetBucketLogging" on Bucket;
    PutBucketLogging = "s3:PutBucketLogging" on Bucket;
    GetBucketNotification = "s3:GetBucketNotification" on Bucket;
    PutBucketNotification = "s3:PutBucketNotification" on Bucket;
    GetBucketObjectLockConfiguration = "s3:GetBucketObjectLockConfiguration" on Bucket;
    PutBucketObjectLockConfiguration = "s3:PutBucketObjectLockConfiguration" on Bucket;
    GetBucketOwnershipControls = "s3:GetBucketOwnershipControls" on Bucket;
    PutBucketOwnershipControls = "s3:PutBucketOwnershipControls" on Bucket;
    GetBucketPolicy = "s3:GetBucketPolicy" on Bucket;
    PutBucketPolicy = "s3:PutBucketPolicy" on Bucket;
    DeleteBucketPolicy = "s3:DeleteBucketPolicy" on Bucket;
    GetBucketPolicyStatus = "s3:GetBucketPolicyStatus" on Bucket;
    GetBucketPublicAccessBlock = "s3:GetBucketPublicAccessBlock" on Bucket;
    // Also DeletePublicAccessBlock.
    PutBucketPublicAccessBlock = "s3:PutBucketPublicAccessBlock" on Bucket;
    GetBucketRequestPayment = "s3:GetBucketRequestPayment" on Bucket;
    PutBucketRequestPayment = "s3:PutBucketRequestPayment" on Bucket;
    GetBucketTagging = "s3:GetBucketTagging" on Bucket;
    PutBucketTagging = "s3:PutBucketTagging" on Bucket;
    GetBucketVersioning = "s3:GetBucketVersioning" on Bucket;
    PutBucketVersioning = "s3:PutBucketVersioning" on Bucket;
    GetBucketWebsite = "s3:GetBucketWebsite" on Bucket;
    PutBucketWebsite = "s3:PutBucketWebsite" on Bucket;
    DeleteBucketWebsite = "s3:DeleteBucketWebsite" on Bucket;
    GetAccelerateConfiguration = "s3:GetAccelerateConfiguration" on Bucket;
    PutAccelerateConfiguration = "s3:PutAccelerateConfiguration" on Bucket;
    GetAnalyticsConfiguration = "s3:GetAnalyticsConfiguration" on Bucket;
    PutAnalyticsConfiguration = "s3:PutAnalyticsConfiguration" on Bucket;
    GetEncryptionConfiguration = "s3:GetEncryptionConfiguration" on Bucket;
    PutEncryptionConfiguration = "s3:PutEncryptionConfiguration" on Bucket;
    GetIntelligentTieringConfiguration = "s3:GetIntelligentTieringConfiguration" on Bucket;
    PutIntelligentTieringConfiguration = "s3:PutIntelligentTieringConfiguration" on Bucket;
    GetInventoryConfiguration = "s3:GetInventoryConfiguration" on Bucket;
    PutInventoryConfiguration = "s3:PutInventoryConfiguration" on Bucket;
    GetLifecycleConfiguration = "s3:GetLifecycleConfiguration" on Bucket;
    PutLifecycleConfiguration = "s3:PutLifecycleConfiguration" on Bucket;
    GetMetricsConfiguration = "s3:GetMetricsConfiguration" on Bucket;
    PutMetricsConfiguration = "s3:PutMetricsConfiguration" on Bucket;
    GetReplicationConfiguration = "s3:GetReplicationConfiguration" on Bucket;
    PutReplicationConfiguration = "s3:PutReplicationConfiguration" on Bucket;
    // GetObject, HeadObject, the source of a copy.
    GetObject = "s3:GetObject" on Object;
    GetObjectVersion = "s3:GetObjectVersion" on Object;
    GetObjectAttributes = "s3:GetObjectAttributes" on Object;
    GetObjectVersionAttributes = "s3:GetObjectVersionAttributes" on Object;
    GetObjectAcl = "s3:GetObjectAcl" on Object;
    GetObjectVersionAcl = "s3:GetObjectVersionAcl" on Object;
    GetObjectLegalHold = "s3:GetObjectLegalHold" on Object;
    GetObjectRetention = "s3:GetObjectRetention" on Object;
    GetObjectTagging = "s3:GetObjectTagging" on Object;
    GetObjectVersionTagging = "s3:GetObjectVersionTagging" on Object;
    GetObjectTorrent = "s3:GetObjectTorrent" on Object;
    // PutObject, CopyObject, and creating, filling and completing an upload.
    PutObject = "s3:PutObject" on Object;
    PutObjectAcl = "s3:PutObjectAcl" on Object;
    PutObjectVersionAcl = "s3:PutObjectVersionAcl" on Object;
    PutObjectLegalHold = "s3:PutObjectLegalHold" on Object;
    PutObjectRetention = "s3:PutObjectRetention" on Object;
    PutObjectTagging = "s3:PutObjectTagging" on Object;
    PutObjectVersionTagging = "s3:PutObjectVersionTagging" on Object;
    BypassGovernanceRetention = "s3:BypassGovernanceRetention" on Object;
    // DeleteObject, each key of DeleteObjects.
    DeleteObject = "s3:DeleteObject" on Object;
    DeleteObjectVersion = "s3:DeleteObjectVersion" on Object;
    DeleteObjectTagging = "s3:DeleteObjectTagging" on Object;
    DeleteObjectVersionTagging = "s3:DeleteObjectVersionTagging" on Object;
    RestoreObject = "s3:RestoreObject" on Object;
    AbortMultipartUpload = "s3:AbortMultipartUpload" on Object;
    ListMultipartUploadParts = "s3:ListMultipartUploadParts" on Object;

    // IAM: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
    CreateUser = "iam:CreateUser" on User;
    GetUser = "iam:GetUser" on User;
    UpdateUser = "iam:UpdateUser" on User;
    DeleteUser = "iam:DeleteUser" on User;
    ListUsers = "iam:ListUsers" on Account;
    TagUser = "iam:TagUser" on User;
    UntagUser = "iam:UntagUser" on User;
    ListUserTags = "iam:ListUserTags" on User;
    PutUserPolicy = "iam:PutUserPolicy" on User;
    GetUserPolicy = "iam:GetUserPolicy" on User;
    DeleteUserPolicy = "iam:DeleteUserPolicy" on User;
    ListUserPolicies = "iam:ListUserPolicies" on User;
    AttachUserPolicy = "iam:AttachUserPolicy" on User;
    DetachUserPolicy = "iam:DetachUserPolicy" on User;
    ListAttachedUserPolicies = "iam:ListAttachedUserPolicies" on User;
    PutUserPermissionsBoundary = "iam:PutUserPermissionsBoundary" on User;
    DeleteUserPermissionsBoundary = "iam:DeleteUserPermissionsBoundary" on User;
    ListGroupsForUser = "iam:ListGroupsForUser" on User;
    CreateAccessKey = "iam:CreateAccessKey" on User;
    UpdateAccessKey = "iam:UpdateAccessKey" on User;
    DeleteAccessKey = "iam:DeleteAccessKey" on User;
    ListAccessKeys = "iam:ListAccessKeys" on User;
    GetAccessKeyLastUsed = "iam:GetAccessKeyLastUsed" on User;
    CreateLoginProfile = "iam:CreateLoginProfile" on User;
    GetLoginProfile = "iam:GetLoginProfile" on User;
    UpdateLoginProfile = "iam:UpdateLoginProfile" on User;
    DeleteLoginProfile = "iam:DeleteLoginProfile" on User;
    ChangePassword = "iam:ChangePassword" on User;
    ListMFADevices = "iam:ListMFADevices" on User;
    CreateGroup = "iam:CreateGroup" on Group;
    GetGroup = "iam:GetGroup" on Group;
    UpdateGroup = "iam:UpdateGroup" on Group;
    DeleteGroup = "iam:DeleteGroup" on Group;
    ListGroups = "iam:ListGroups" on Account;
    AddUserToGroup = "iam:AddUserToGroup" on Group;
    RemoveUserFromGroup = "iam:RemoveUserFromGroup" on Group;
    PutGroupPolicy = "iam:PutGroupPolicy" on Group;
    GetGroupPolicy = "iam:GetGroupPolicy" on Group;
    DeleteGroupPolicy = "iam:DeleteGroupPolicy" on Group;
    ListGroupPolicies = "iam:ListGroupPolicies" on Group;
    AttachGroupPolicy = "iam:AttachGroupPolicy" on Group;
    DetachGroupPolicy = "iam:DetachGroupPolicy" on Group;
    ListAttachedGroupPolicies = "iam:ListAttachedGroupPolicies" on Group;
    CreateRole = "iam:CreateRole" on Role;
    GetRole = "iam:GetRole" on Role;
    UpdateRole = "iam:UpdateRole" on Role;
    UpdateRoleDescription = "iam:UpdateRoleDescription" on Role;
    DeleteRole = "iam:DeleteRole" on Role;
    ListRoles = "iam:ListRoles" on Account;
    TagRole = "iam:TagRole" on Role;
    UntagRole = "iam:UntagRole" on Role;
    ListRoleTags = "iam:ListRoleTags" on Role;
    UpdateAssumeRolePolicy = "iam:UpdateAssumeRolePolicy" on Role;
    PutRolePolicy = "iam:PutRolePolicy" on Role;
    GetRolePolicy = "iam:GetRolePolicy" on Role;
    DeleteRolePolicy = "iam:DeleteRolePolicy" on Role;
    ListRolePolicies = "iam:ListRolePolicies" on Role;
    AttachRolePolicy = "iam:AttachRolePolicy" on Role;
    DetachRolePolicy = "iam:DetachRolePolicy" on Role;
    ListAttachedRolePolicies = "iam:ListAttachedRolePolicies" on Role;
    PutRolePermissionsBoundary = "iam:PutRolePermissionsBoundary" on Role;
    DeleteRolePermissionsBoundary = "iam:DeleteRolePermissionsBoundary" on Role;
    PassRole = "iam:PassRole" on Role;
    CreatePolicy = "iam:CreatePolicy" on Policy;
    GetPolicy = "iam:GetPolicy" on Policy;
    DeletePolicy = "iam:DeletePolicy" on Policy;
    ListPolicies = "iam:ListPolicies" on Account;
    CreatePolicyVersion = "iam:CreatePolicyVersion" on Policy;
    GetPolicyVersion = "iam:GetPolicyVersion" on Policy;
    DeletePolicyVersion = "iam:DeletePolicyVersion" on Policy;
    ListPolicyVersions = "iam:ListPolicyVersions" on Policy;
    SetDefaultPolicyVersion = "iam:SetDefaultPolicyVersion" on Policy;
    ListEntitiesForPolicy = "iam:ListEntitiesForPolicy" on Policy;
    TagPolicy = "iam:TagPolicy" on Policy;
    UntagPolicy = "iam:UntagPolicy" on Policy;
    ListPolicyTags = "iam:ListPolicyTags" on Policy;
    CreateOpenIDConnectProvider = "iam:CreateOpenIDConnectProvider" on Provider;
    GetOpenIDConnectProvider = "iam:GetOpenIDConnectProvider" on Provider;
    DeleteOpenIDConnectProvider = "iam:DeleteOpenIDConnectProvider" on Provider;
    ListOpenIDConnectProviders = "iam:ListOpenIDConnectProviders" on Account;
    UpdateOpenIDConnectProviderThumbprint = "iam:UpdateOpenIDConnectProviderThumbprint" on Provider;
    AddClientIDToOpenIDConnectProvider = "iam:AddClientIDToOpenIDConnectProvider" on Provider;
    RemoveClientIDFromOpenIDConnectProvider = "iam:RemoveClientIDFromOpenIDConnectProvider" on Provider;
    TagOpenIDConnectProvider = "iam:TagOpenIDConnectProvider" on Provider;
    UntagOpenIDConnectProvider = "iam:UntagOpenIDConnectProvider" on Provider;
    ListOpenIDConnectProviderTags = "iam:ListOpenIDConnectProviderTags" on Provider;
    GetAccountSummary = "iam:GetAccountSummary" on Account;
    GetAccountAuthorizationDetails = "iam:GetAccountAuthorizationDetails" on Account;
    CreateAccountAlias = "iam:CreateAccountAlias" on Account;
    DeleteAccountAlias = "iam:DeleteAccountAlias" on Account;
    ListAccountAliases = "iam:ListAccountAliases" on Account;
    GetAccountPasswordPolicy = "iam:GetAccountPasswordPolicy" on Account;
    UpdateAccountPasswordPolicy = "iam:UpdateAccountPasswordPolicy" on Account;
    DeleteAccountPasswordPolicy = "iam:DeleteAccountPasswordPolicy" on Account;
    SimulateCustomPolicy = "iam:SimulateCustomPolicy" on Account;
    SimulatePrincipalPolicy = "iam:SimulatePrincipalPolicy" on Identity;
    GetContextKeysForCustomPolicy = "iam:GetContextKeysForCustomPolicy" on Account;
    GetContextKeysForPrincipalPolicy = "iam:GetContextKeysForPrincipalPolicy" on Identity;

    // STS: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecuritytokenservice.html
    AssumeRole = "sts:AssumeRole" on Role;
    AssumeRoleWithSAML = "sts:AssumeRoleWithSAML" on Role;
    AssumeRoleWithWebIdentity = "sts:AssumeRoleWithWebIdentity" on Role;
    TagSession = "sts:TagSession" on Role;
    SetSourceIdentity = "sts:SetSourceIdentity" on Role;
    DecodeAuthorizationMessage = "sts:DecodeAuthorizationMessage" on Account;
    GetAccessKeyInfo = "sts:GetAccessKeyInfo" on Account;
    GetCallerIdentity = "sts:GetCallerIdentity" on Account;
    GetFederationToken = "sts:GetFederationToken" on User;
    GetSessionToken = "sts:GetSessionToken" on Account;

    // Coffer's own.
    PutBucketAck = "coffer:PutBucketAck" on Bucket;
    GetBucketAck = "coffer:GetBucketAck" on Bucket;
    // The simple face of users: `coffer user …`.
    AdminUsers = "coffer:AdminUsers" on Store;
    // Creating, listing and removing accounts.
    AdminAccounts = "coffer:AdminAccounts" on Store;
}

impl Action {
    /// The action of this name; names ignore case.
    pub fn named(name: &str) -> Option<Action> {
        Action::ALL.iter().copied().find(|action| action.name().eq_ignore_ascii_case(name))
    }

    /// The name's part before the colon.
    pub fn service(self) -> &'static str {
        self.name().split_once(':').map_or("", |(service, _)| service)
    }

    /// Whether the resource's own policy must allow it, whatever the caller's policies say: the
    /// trust policy of a role.
    pub fn needs_trust(self) -> bool {
        matches!(
            self,
            Action::AssumeRole
                | Action::AssumeRoleWithSAML
                | Action::AssumeRoleWithWebIdentity
                | Action::TagSession
                | Action::SetSourceIdentity
        )
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
