//! Who asks.

use std::fmt;
use std::sync::Arc;

use crate::context::Context;
use crate::policy::Policy;

/// What kind of identity a principal is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrincipalKind {
    /// The account itself.
    Root,
    /// A user, also with temporary credentials of its own (GetSessionToken).
    User {
        /// Begins and ends with `/`.
        path: String,
        /// Unique in the account.
        name: String,
    },
    /// A session of a role.
    Role {
        /// The role's path; begins and ends with `/`.
        path: String,
        /// The role's name.
        name: String,
        /// The session's name.
        session: String,
    },
    /// The bearer of a token of an identity provider, who asks for a role
    /// (AssumeRoleWithWebIdentity) and for nothing else.
    WebIdentity {
        /// The provider's ARN.
        provider: String,
    },
    /// Nobody known.
    Anonymous,
}

/// A policy where it is attached.
#[derive(Clone, Debug)]
pub struct Attached {
    /// What explanations call it: a policy's ARN, or the name of an inline one.
    pub name: Arc<str>,
    /// The document.
    pub policy: Arc<Policy>,
}

impl Attached {
    /// A policy under a name.
    pub fn new(name: impl Into<Arc<str>>, policy: impl Into<Arc<Policy>>) -> Attached {
        Attached { name: name.into(), policy: policy.into() }
    }
}

/// The caller of a request, with everything that decides what it may do.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The account's id: 12 digits; empty for those without an account.
    pub account: String,
    /// Which identity of the account.
    pub kind: PrincipalKind,
    /// `aws:userid`: the account's id for root, the unique id of a user, `AROA…:session` of a
    /// role's session, `anonymous`.
    pub id: String,
    /// The canonical id of the account, the owner of what the principal makes; empty for those
    /// without an account.
    pub owner_id: String,
    /// Its identity policies: inline, attached, those of its groups.
    pub policies: Vec<Attached>,
    /// Its permissions boundary, which must allow too.
    pub boundary: Option<Attached>,
    /// Its session policies, one of which must allow too; `Some` of none can do nothing.
    pub session: Option<Vec<Attached>>,
    /// `aws:PrincipalTag/…`.
    pub tags: Vec<(String, String)>,
    /// Keys fixed when the credential was made: `aws:TokenIssueTime`,
    /// `aws:MultiFactorAuthPresent`, `aws:FederatedProvider`.
    pub context: Context,
}

impl Principal {
    /// The root of an account.
    pub fn root(account: impl Into<String>, owner_id: impl Into<String>) -> Principal {
        let account = account.into();
        let id = account.clone();
        Principal { account, id, owner_id: owner_id.into(), ..Principal::anonymous() }
            .of_kind(PrincipalKind::Root)
    }

    /// Nobody known.
    pub fn anonymous() -> Principal {
        Principal {
            account: String::new(),
            kind: PrincipalKind::Anonymous,
            id: "anonymous".to_owned(),
            owner_id: String::new(),
            policies: Vec::new(),
            boundary: None,
            session: None,
            tags: Vec::new(),
            context: Context::new(),
        }
    }

    /// A user at the path `/` without policies.
    pub fn user(
        account: impl Into<String>,
        owner_id: impl Into<String>,
        name: impl Into<String>,
        id: impl Into<String>,
    ) -> Principal {
        let kind = PrincipalKind::User { path: "/".to_owned(), name: name.into() };
        Principal {
            account: account.into(),
            id: id.into(),
            owner_id: owner_id.into(),
            ..Principal::anonymous()
        }
        .of_kind(kind)
    }

    /// The bearer of a token of the provider with this ARN; the token's claims go into `context`.
    pub fn web_identity(provider: impl Into<String>, context: Context) -> Principal {
        Principal { context, ..Principal::anonymous() }
            .of_kind(PrincipalKind::WebIdentity { provider: provider.into() })
    }

    fn of_kind(mut self, kind: PrincipalKind) -> Principal {
        self.kind = kind;
        self
    }

    /// Its ARN: of a role's session that of the session; of those without an account none, but
    /// `anonymous` or the provider's.
    pub fn arn(&self) -> String {
        let account = &self.account;
        match &self.kind {
            PrincipalKind::Root => format!("arn:aws:iam::{account}:root"),
            PrincipalKind::User { path, name } => {
                format!("arn:aws:iam::{account}:user{path}{name}")
            }
            PrincipalKind::Role { name, session, .. } => {
                format!("arn:aws:sts::{account}:assumed-role/{name}/{session}")
            }
            PrincipalKind::WebIdentity { provider } => provider.clone(),
            PrincipalKind::Anonymous => "anonymous".to_owned(),
        }
    }

    /// The ARN of the role of a session.
    pub fn role_arn(&self) -> Option<String> {
        match &self.kind {
            PrincipalKind::Role { path, name, .. } => {
                Some(format!("arn:aws:iam::{}:role{path}{name}", self.account))
            }
            _ => None,
        }
    }

    /// Its name, for logs and messages.
    pub fn name(&self) -> &str {
        match &self.kind {
            PrincipalKind::Root => "root",
            PrincipalKind::User { name, .. } => name,
            PrincipalKind::Role { session, .. } => session,
            PrincipalKind::WebIdentity { provider } => provider,
            PrincipalKind::Anonymous => "anonymous",
        }
    }

    /// Whether it is the root of its account.
    pub fn is_root(&self) -> bool {
        self.kind == PrincipalKind::Root
    }

    /// Whether nothing is known of who it is.
    pub fn is_anonymous(&self) -> bool {
        self.kind == PrincipalKind::Anonymous
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_those_of_aws() {
        let account = "111122223333";
        let root = Principal::root(account, "c");
        assert_eq!(root.arn(), "arn:aws:iam::111122223333:root");
        assert_eq!((root.id.as_str(), root.name()), (account, "root"));
        let mut user = Principal::user(account, "c", "ada", "AIDA1");
        assert_eq!(user.arn(), "arn:aws:iam::111122223333:user/ada");
        user.kind = PrincipalKind::User { path: "/eng/".into(), name: "ada".into() };
        assert_eq!(user.arn(), "arn:aws:iam::111122223333:user/eng/ada");
        assert_eq!(user.role_arn(), None);
        user.kind =
            PrincipalKind::Role { path: "/eng/".into(), name: "r".into(), session: "s".into() };
        assert_eq!(user.arn(), "arn:aws:sts::111122223333:assumed-role/r/s");
        assert_eq!(user.role_arn().unwrap(), "arn:aws:iam::111122223333:role/eng/r");
        assert_eq!(Principal::anonymous().arn(), "anonymous");
    }
}
