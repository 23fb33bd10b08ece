//! Whom a statement of a resource's policy is about: Principal and NotPrincipal.

use crate::ask::Question;
use crate::principal::{Principal, PrincipalKind};

/// How closely a resource's policy names a principal, the loosest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// As one of its account, which gives the account's policies leave to allow it.
    Account,
    /// As everyone.
    Everyone,
    /// By something that its boundary and its session policies still narrow: the ARN of the role
    /// that it is a session of.
    Role,
    /// By the very ARN of its requests.
    Exact,
}

/// One that is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// `*`: also who is not known.
    Everyone,
    /// An account, by its 12 digits or its root's ARN.
    Account(String),
    /// An account by its canonical id.
    Canonical(String),
    /// A user by ARN.
    User(String),
    /// A role by ARN.
    Role(String),
    /// A role's session by ARN.
    Session(String),
    /// A user or a role by its unique id.
    Id(String),
    /// An identity provider.
    Federated(String),
    /// A service. None calls Coffer.
    Service(String),
}

/// Whom a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Everyone: in a policy of an identity, which has no Principal.
    Bearer,
    /// Those named.
    These(Vec<Named>),
    /// All others.
    AllBut(Vec<Named>),
}

impl Who {
    /// How closely it names the caller; `None` if it is not about it.
    pub(crate) fn reach(&self, q: &Question<'_>) -> Option<Reach> {
        match self {
            Who::Bearer => Some(Reach::Everyone),
            Who::These(named) => named.iter().filter_map(|named| named.reach(q)).max(),
            Who::AllBut(named) => (!excepts(named, q)).then_some(Reach::Everyone),
        }
    }

    /// Whether it is about who is not known.
    pub(crate) fn reaches_anonymous(&self) -> bool {
        match self {
            Who::Bearer => true,
            Who::These(named) => named.contains(&Named::Everyone),
            Who::AllBut(named) => !named.contains(&Named::Everyone),
        }
    }
}

/// Whether the caller is excepted from a NotPrincipal: AWS validates the account, then the role,
/// then the session or the user, so each of them must be listed. Who has a permissions boundary
/// never is (User guide, "AWS JSON policy elements: NotPrincipal").
fn excepts(named: &[Named], q: &Question<'_>) -> bool {
    let p = q.principal;
    if named.contains(&Named::Everyone) {
        return true;
    }
    if p.boundary.is_some() {
        return false;
    }
    let account = || named.iter().any(|named| named.is_account_of(p));
    let exact = || named.iter().any(|named| named.reach(q) == Some(Reach::Exact));
    let role = || named.iter().any(|named| named.names_role(q));
    match p.kind {
        PrincipalKind::Root => account(),
        PrincipalKind::User { .. } => account() && exact(),
        PrincipalKind::Role { .. } => account() && role() && exact(),
        PrincipalKind::WebIdentity { .. } => exact(),
        PrincipalKind::Anonymous => false,
    }
}

impl Named {
    fn is_account_of(&self, p: &Principal) -> bool {
        match self {
            Named::Account(account) => !account.is_empty() && *account == p.account,
            Named::Canonical(id) => !id.is_empty() && *id == p.owner_id,
            _ => false,
        }
    }

    fn names_role(&self, q: &Question<'_>) -> bool {
        match self {
            Named::Role(arn) => q.role_arn() == Some(arn),
            Named::Id(id) => q.principal.id.split_once(':').is_some_and(|(role, _)| role == id),
            _ => false,
        }
    }

    fn reach(&self, q: &Question<'_>) -> Option<Reach> {
        let p = q.principal;
        let is_role = matches!(p.kind, PrincipalKind::Role { .. });
        match self {
            Named::Everyone => Some(Reach::Everyone),
            Named::Account(_) | Named::Canonical(_) => self
                .is_account_of(p)
                .then(|| if p.is_root() { Reach::Exact } else { Reach::Account }),
            // Session policies of a user (a federated session) still narrow what the user's ARN is
            // granted.
            Named::User(arn) => (matches!(p.kind, PrincipalKind::User { .. })
                && q.arn_of_caller() == arn)
                .then(|| if p.session.is_some() { Reach::Role } else { Reach::Exact }),
            Named::Role(_) => self.names_role(q).then_some(Reach::Role),
            Named::Session(arn) => (is_role && q.arn_of_caller() == arn).then_some(Reach::Exact),
            Named::Id(id) if is_role => {
                if p.id == *id {
                    Some(Reach::Exact)
                } else {
                    self.names_role(q).then_some(Reach::Role)
                }
            }
            Named::Id(id) => (matches!(p.kind, PrincipalKind::User { .. }) && p.id == *id)
                .then(|| if p.session.is_some() { Reach::Role } else { Reach::Exact }),
            Named::Federated(arn) => match &p.kind {
                PrincipalKind::WebIdentity { provider } => {
                    (provider == arn).then_some(Reach::Exact)
                }
                _ => None,
            },
            Named::Service(_) => None,
        }
    }

    /// Reads one of a list under `kind` (`AWS`, `Federated`, …); `None` if it is no principal.
    pub(crate) fn read(kind: &str, text: &str) -> Option<Named> {
        match kind {
            "AWS" => read_aws(text),
            "CanonicalUser" => {
                let fits = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
                fits.then(|| Named::Canonical(text.to_ascii_lowercase()))
            }
            "Federated" => {
                let host = |b: u8| b.is_ascii_alphanumeric() || b".-_:/%".contains(&b);
                let fits = !text.is_empty() && text.bytes().all(host);
                fits.then(|| Named::Federated(text.to_owned()))
            }
            "Service" => {
                let host = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
                let fits = text.contains('.') && text.bytes().all(host);
                fits.then(|| Named::Service(text.to_owned()))
            }
            _ => None,
        }
    }
}

fn read_aws(text: &str) -> Option<Named> {
    if text == "*" {
        return Some(Named::Everyone);
    }
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    if is_account(text) {
        return Some(Named::Account(text.to_owned()));
    }
    let unique = ["AIDA", "AROA"].iter().any(|prefix| text.starts_with(prefix));
    if unique && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_:=,.@-".contains(&b)) {
        return Some(Named::Id(text.to_owned()));
    }
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let &["arn", "aws", service @ ("iam" | "sts"), "", account, name] = &parts[..] else {
        return None;
    };
    let fits = |b: u8| b.is_ascii_graphic() && !b"*?${}".contains(&b);
    if !is_account(account) || !name.bytes().all(fits) {
        return None;
    }
    let (kind, rest) = name.split_once('/').unwrap_or((name, ""));
    let named = !rest.is_empty() && !rest.ends_with('/');
    match (service, kind) {
        ("iam", "root") if rest.is_empty() && !name.contains('/') => {
            Some(Named::Account(account.to_owned()))
        }
        ("iam", "user") if named => Some(Named::User(text.to_owned())),
        ("iam", "role") if named => Some(Named::Role(text.to_owned())),
        ("sts", "assumed-role") if named && rest.contains('/') => {
            Some(Named::Session(text.to_owned()))
        }
        _ => None,
    }
}
