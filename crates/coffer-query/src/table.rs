//! Every operation of IAM and STS, built or not.
//!
//! The rows are those of AWS's own models, as botocore ships them; a test compares the two. An
//! operation that Coffer does not have is a row too: it is refused by name.

use coffer_sigv4::Service;

macro_rules! operations {
    ($($name:ident: $service:ident $state:ident,)*) => {
        /// One operation. The names are AWS's.
        #[allow(missing_docs)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operation {
            $($name,)*
        }

        impl Operation {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Operation] = &[$(Operation::$name,)*];

            /// What a request's `Action` says.
            pub fn name(self) -> &'static str {
                match self {
                    $(Operation::$name => stringify!($name),)*
                }
            }

            /// Whose operation it is.
            pub fn service(self) -> Service {
                match self {
                    $(Operation::$name => Service::$service,)*
                }
            }

            /// Whether Coffer has it.
            pub fn is_built(self) -> bool {
                match self {
                    $(Operation::$name => operations!(@built $state),)*
                }
            }

            /// Whether its reply has a result, be it an empty one.
            pub(crate) fn has_result(self) -> bool {
                match self {
                    $(Operation::$name => operations!(@result $state),)*
                }
            }
        }
    };
    (@built absent) => { false };
    (@built $state:ident) => { true };
    (@result result) => { true };
    (@result $state:ident) => { false };
}

impl Operation {
    /// The operation of `service` with this name.
    pub fn named(service: Service, name: &str) -> Option<Operation> {
        Operation::ALL.iter().copied().find(|op| op.service() == service && op.name() == name)
    }
}

operations! {
    AcceptDelegationRequest: Iam absent,
    AcquireRole: Iam absent,
    AddClientIDToOpenIDConnectProvider: Iam void,
    AddRoleToInstanceProfile: Iam absent,
    AddUserToGroup: Iam void,
    AssociateDelegationRequest: Iam absent,
    AttachGroupPolicy: Iam void,
    AttachRolePolicy: Iam void,
    AttachUserPolicy: Iam void,
    ChangePassword: Iam absent,
    CreateAccessKey: Iam result,
    CreateAccountAlias: Iam absent,
    CreateDelegationRequest: Iam absent,
    CreateGroup: Iam result,
    CreateInstanceProfile: Iam absent,
    CreateLoginProfile: Iam absent,
    CreateOpenIDConnectProvider: Iam result,
    CreatePolicy: Iam result,
    CreatePolicyVersion: Iam result,
    CreateRole: Iam result,
    CreateSAMLProvider: Iam absent,
    CreateServiceLinkedRole: Iam absent,
    CreateServiceSpecificCredential: Iam absent,
    CreateUser: Iam result,
    CreateVirtualMFADevice: Iam absent,
    DeactivateMFADevice: Iam absent,
    DeleteAccessKey: Iam void,
    DeleteAccountAlias: Iam absent,
    DeleteAccountPasswordPolicy: Iam absent,
    DeleteGroup: Iam void,
    DeleteGroupPolicy: Iam void,
    DeleteInstanceProfile: Iam absent,
    DeleteLoginProfile: Iam absent,
    DeleteOpenIDConnectProvider: Iam void,
    DeletePolicy: Iam void,
    DeletePolicyVersion: Iam void,
    DeleteRole: Iam void,
    DeleteRolePermissionsBoundary: Iam void,
    DeleteRolePolicy: Iam void,
    DeleteSAMLProvider: Iam absent,
    DeleteSSHPublicKey: Iam absent,
    DeleteServerCertificate: Iam absent,
    DeleteServiceLinkedRole: Iam absent,
    DeleteServiceSpecificCredential: Iam absent,
    DeleteSigningCertificate: Iam absent,
    DeleteUser: Iam void,
    DeleteUserPermissionsBoundary: Iam void,
    DeleteUserPolicy: Iam void,
    DeleteVirtualMFADevice: Iam absent,
    DetachGroupPolicy: Iam void,
    DetachRolePolicy: Iam void,
    DetachUserPolicy: Iam void,
    DisableOrganizationsRootCredentialsManagement: Iam absent,
    DisableOrganizationsRootSessions: Iam absent,
    DisableOutboundWebIdentityFederation: Iam absent,
    EnableMFADevice: Iam absent,
    EnableOrganizationsRootCredentialsManagement: Iam absent,
    EnableOrganizationsRootSessions: Iam absent,
    EnableOutboundWebIdentityFederation: Iam absent,
    GenerateCredentialReport: Iam absent,
    GenerateOrganizationsAccessReport: Iam absent,
    GenerateServiceLastAccessedDetails: Iam absent,
    GetAccessKeyLastUsed: Iam result,
    GetAccountAuthorizationDetails: Iam result,
    GetAccountPasswordPolicy: Iam absent,
    GetAccountProperties: Iam absent,
    GetAccountSummary: Iam result,
    GetContextKeysForCustomPolicy: Iam absent,
    GetContextKeysForPrincipalPolicy: Iam absent,
    GetCredentialReport: Iam absent,
    GetDelegationRequest: Iam absent,
    GetGroup: Iam result,
    GetGroupPolicy: Iam result,
    GetHumanReadableSummary: Iam absent,
    GetInstanceProfile: Iam absent,
    GetLoginProfile: Iam absent,
    GetMFADevice: Iam absent,
    GetOpenIDConnectProvider: Iam result,
    GetOrganizationsAccessReport: Iam absent,
    GetOutboundWebIdentityFederationInfo: Iam absent,
    GetPolicy: Iam result,
    GetPolicyVersion: Iam result,
    GetRole: Iam result,
    GetRolePolicy: Iam result,
    GetRoleTemplateVersion: Iam absent,
    GetSAMLProvider: Iam absent,
    GetSSHPublicKey: Iam absent,
    GetServerCertificate: Iam absent,
    GetServiceLastAccessedDetails: Iam absent,
    GetServiceLastAccessedDetailsWithEntities: Iam absent,
    GetServiceLinkedRoleDeletionStatus: Iam absent,
    GetUser: Iam result,
    GetUserPolicy: Iam result,
    ListAccessKeys: Iam result,
    ListAccountAliases: Iam absent,
    ListAttachedGroupPolicies: Iam result,
    ListAttachedRolePolicies: Iam result,
    ListAttachedUserPolicies: Iam result,
    ListDelegationRequests: Iam absent,
    ListEntitiesForPolicy: Iam result,
    ListGroupPolicies: Iam result,
    ListGroups: Iam result,
    ListGroupsForUser: Iam result,
    ListInstanceProfileTags: Iam absent,
    ListInstanceProfiles: Iam absent,
    ListInstanceProfilesForRole: Iam absent,
    ListMFADeviceTags: Iam absent,
    ListMFADevices: Iam absent,
    ListOpenIDConnectProviderTags: Iam result,
    ListOpenIDConnectProviders: Iam result,
    ListOrganizationsFeatures: Iam absent,
    ListPolicies: Iam result,
    ListPoliciesGrantingServiceAccess: Iam absent,
    ListPolicyTags: Iam result,
    ListPolicyVersions: Iam result,
    ListRolePolicies: Iam result,
    ListRoleTags: Iam result,
    ListRoles: Iam result,
    ListSAMLProviderTags: Iam absent,
    ListSAMLProviders: Iam absent,
    ListSSHPublicKeys: Iam absent,
    ListServerCertificateTags: Iam absent,
    ListServerCertificates: Iam absent,
    ListServiceSpecificCredentials: Iam absent,
    ListSigningCertificates: Iam absent,
    ListUserPolicies: Iam result,
    ListUserTags: Iam result,
    ListUsers: Iam result,
    ListVirtualMFADevices: Iam absent,
    PutAccountProperties: Iam absent,
    PutGroupPolicy: Iam void,
    PutRolePermissionsBoundary: Iam void,
    PutRolePolicy: Iam void,
    PutUserPermissionsBoundary: Iam void,
    PutUserPolicy: Iam void,
    RejectDelegationRequest: Iam absent,
    RemoveClientIDFromOpenIDConnectProvider: Iam void,
    RemoveRoleFromInstanceProfile: Iam absent,
    RemoveUserFromGroup: Iam void,
    ResetServiceSpecificCredential: Iam absent,
    ResyncMFADevice: Iam absent,
    SendDelegationToken: Iam absent,
    SetDefaultPolicyVersion: Iam void,
    SetSecurityTokenServicePreferences: Iam absent,
    SimulateCustomPolicy: Iam result,
    SimulatePrincipalPolicy: Iam result,
    TagInstanceProfile: Iam absent,
    TagMFADevice: Iam absent,
    TagOpenIDConnectProvider: Iam void,
    TagPolicy: Iam void,
    TagRole: Iam void,
    TagSAMLProvider: Iam absent,
    TagServerCertificate: Iam absent,
    TagUser: Iam void,
    UntagInstanceProfile: Iam absent,
    UntagMFADevice: Iam absent,
    UntagOpenIDConnectProvider: Iam void,
    UntagPolicy: Iam void,
    UntagRole: Iam void,
    UntagSAMLProvider: Iam absent,
    UntagServerCertificate: Iam absent,
    UntagUser: Iam void,
    UpdateAccessKey: Iam void,
    UpdateAccountPasswordPolicy: Iam absent,
    UpdateAssumeRolePolicy: Iam void,
    UpdateDelegationRequest: Iam absent,
    UpdateGroup: Iam void,
    UpdateLoginProfile: Iam absent,
    UpdateOpenIDConnectProviderThumbprint: Iam void,
    UpdateRole: Iam result,
    UpdateRoleDescription: Iam result,
    UpdateSAMLProvider: Iam absent,
    UpdateSSHPublicKey: Iam absent,
    UpdateServerCertificate: Iam absent,
    UpdateServiceSpecificCredential: Iam absent,
    UpdateSigningCertificate: Iam absent,
    UpdateUser: Iam void,
    UploadSSHPublicKey: Iam absent,
    UploadServerCertificate: Iam absent,
    UploadSigningCertificate: Iam absent,
    AssumeRole: Sts result,
    AssumeRoleWithSAML: Sts absent,
    AssumeRoleWithWebIdentity: Sts result,
    AssumeRoot: Sts absent,
    DecodeAuthorizationMessage: Sts absent,
    GetAccessKeyInfo: Sts result,
    GetCallerIdentity: Sts result,
    GetDelegatedAccessToken: Sts absent,
    GetFederationToken: Sts absent,
    GetSessionToken: Sts result,
    GetWebIdentityToken: Sts absent,
}
