//! What an access key stands for: the secret and the principal with all its policies.
//!
//! What was looked up is kept (see `cache`). A change in an account empties that of the account
//! before the change is answered, so a revoked key stops at once.

use std::fmt;
use std::sync::Arc;

use coffer_base::Timestamp;
use coffer_iam::{Attached, Context, Principal, PrincipalKind};
use ring::digest::{SHA256, digest};

use crate::builtin::Builtin;
use crate::cache::CacheKey;
use crate::documents;
use crate::entities::{account, by_id, find};
use crate::error::{Error, Result};
use crate::form::is_access_key;
use crate::identity::Identity;
use crate::ids::{AccountId, Kind, SESSION_KEY_PREFIX, parse_arn};
use crate::managed::default_document;
use crate::rows::entity::{Detail, EntityRow};
use crate::rows::{AccessKeyRow, AccountRow, Rows, keys};
use crate::token::{Session, Subject, TOKEN_CHARS_MAX};

/// What an access key stands for.
#[derive(Clone)]
pub struct Credential {
    /// The secret that signatures are computed from.
    pub secret: String,
    /// The caller.
    pub principal: Arc<Principal>,
    /// Whether the key is active and its user enabled; else no request of it is served.
    pub enabled: bool,
    /// For temporary credentials, when they end.
    pub expires: Option<Timestamp>,
}

impl Credential {
    /// About how much memory it takes, rather too much than too little.
    pub(crate) fn weight_bytes(&self) -> usize {
        /// Whatever has no list, with room for short texts.
        const FIXED_BYTES: usize = 1024;
        /// What a pair of texts takes besides them.
        const PAIR_BYTES: usize = 96;
        let p = &*self.principal;
        let attached = p.policies.iter().chain(&p.boundary).chain(p.session.iter().flatten());
        let policies = attached.map(|a| PAIR_BYTES + a.name.len() + a.policy.weight_bytes());
        let tags = p.tags.iter().map(|(key, value)| PAIR_BYTES + key.len() + value.len());
        let keys = p.context.iter().map(|(key, values)| {
            PAIR_BYTES + key.len() + values.iter().map(|v| PAIR_BYTES + v.len()).sum::<usize>()
        });
        FIXED_BYTES + policies.sum::<usize>() + tags.sum::<usize>() + keys.sum::<usize>()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("principal", &self.principal.arn())
            .field("enabled", &self.enabled)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// What an access key stands for, with the session token that came with it if one did. `None`:
    /// nobody has it, or what a session stood on is gone. [`Error::InvalidToken`]: the token is
    /// not one that this store made for that key. [`Error::ExpiredToken`]: its time is over.
    pub async fn credential(
        &self,
        access_key: &str,
        session_token: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Credential>> {
        if !is_access_key(access_key) {
            return Ok(None);
        }
        if session_token.is_some_and(|token| token.len() > TOKEN_CHARS_MAX) {
            return Err(Error::InvalidToken);
        }
        let hash = session_token.map(|token| {
            let mut hash = [0; 32];
            hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
            hash
        });
        let key = CacheKey { access_key: access_key.to_owned(), token: hash };
        let found = match self.cache().get(&key) {
            Ok(credential) => Some(credential),
            Err(generation) => {
                let found = match session_token {
                    Some(token) => self.of_session(access_key, token)?,
                    None => self.of_key(access_key)?,
                };
                if let Some(credential) = &found {
                    self.cache().keep(key, credential.clone(), generation);
                }
                found
            }
        };
        match found {
            Some(Credential { expires: Some(expires), .. }) if expires <= now => {
                Err(Error::ExpiredToken)
            }
            found => Ok(found),
        }
    }

    fn of_key(&self, access_key: &str) -> Result<Option<Credential>> {
        if let Some(root) = self.operator()
            && root.access_key == access_key
        {
            return Ok(Some(Credential {
                secret: root.secret.clone(),
                principal: Arc::new(self.operator_principal()),
                enabled: true,
                expires: None,
            }));
        }
        let snapshot = self.snapshot();
        let Some(key_row) = snapshot.row::<AccessKeyRow>(&keys::access_key(access_key))? else {
            return Ok(None);
        };
        let secret = self.open_secret(access_key, &key_row.secret)?;
        let (principal, enabled) = match &key_row.user {
            None => (root_of(&snapshot, key_row.account)?, true),
            Some(id) => {
                let user = by_id(&snapshot, id)?;
                (principal_of_user(&snapshot, &user)?, is_enabled(&user))
            }
        };
        let enabled = enabled && key_row.active;
        Ok(Some(Credential { secret, principal: Arc::new(principal), enabled, expires: None }))
    }

    fn of_session(&self, access_key: &str, token: &str) -> Result<Option<Credential>> {
        if !access_key.starts_with(SESSION_KEY_PREFIX) {
            return Err(Error::InvalidToken);
        }
        let session = Session::open(self.seals().tokens(), access_key, token)?;
        let snapshot = self.snapshot();
        let Some((mut principal, enabled)) = self.session_principal(&snapshot, &session)? else {
            return Ok(None);
        };
        if let Some((document, arns)) = &session.policies {
            let mut policies = Vec::new();
            if let Some(document) = document {
                let policy = documents::identity(document).map_err(|_| Error::InvalidToken)?;
                policies.push(Attached::new("session policy", policy));
            }
            for arn in arns {
                // One that was deleted meanwhile allows nothing.
                policies.extend(managed(&snapshot, session.account, arn)?);
            }
            principal.session = Some(policies);
        }
        for (key, value) in session.tags {
            match principal.tags.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&key)) {
                Some(tag) => tag.1 = value,
                None => principal.tags.push((key, value)),
            }
        }
        // As in AWS, temporary credentials say it and long-term ones do not.
        principal.context.set("aws:MultiFactorAuthPresent", "false");
        for (key, value) in session.context {
            principal.context.add(key, value);
        }
        principal.context.set("aws:TokenIssueTime", session.issued.to_string());
        Ok(Some(Credential {
            secret: session.secret,
            principal: Arc::new(principal),
            enabled,
            expires: Some(session.expires),
        }))
    }

    /// Whom a session acts for, if all that it stands on is there still.
    fn session_principal(
        &self,
        rows: &impl Rows,
        session: &Session,
    ) -> Result<Option<(Principal, bool)>> {
        match &session.subject {
            Subject::Operator { access_key, secret_mac } => {
                let is_same = self.operator().is_some_and(|root| {
                    root.access_key == *access_key && self.seals().is_mac_of(root, secret_mac)
                });
                let is_own = is_same && session.account == self.default_account();
                Ok(is_own.then(|| (self.operator_principal(), true)))
            }
            Subject::Root { access_key } => {
                let key: Option<AccessKeyRow> = rows.row(&keys::access_key(access_key))?;
                let Some(key) =
                    key.filter(|key| key.user.is_none() && key.account == session.account)
                else {
                    return Ok(None);
                };
                Ok(Some((root_of(rows, session.account)?, key.active)))
            }
            Subject::User { id, access_key } => {
                let key: Option<AccessKeyRow> = rows.row(&keys::access_key(access_key))?;
                let Some(key) = key.filter(|key| key.user.as_ref() == Some(id)) else {
                    return Ok(None);
                };
                let user = by_id(rows, id)?;
                Ok(Some((principal_of_user(rows, &user)?, key.active && is_enabled(&user))))
            }
            Subject::Role { id, session: name } => {
                let Some(role) = rows.row::<EntityRow>(&keys::entity(id))? else {
                    return Ok(None);
                };
                let mut principal = principal_of(rows, &role)?;
                principal.id = format!("{id}:{name}");
                if let PrincipalKind::Role { session, .. } = &mut principal.kind {
                    session.clone_from(name);
                }
                Ok(Some((principal, true)))
            }
        }
    }

    /// The store's operator.
    pub fn operator_principal(&self) -> Principal {
        Principal::root(self.default_account().to_string(), self.default_owner_id())
    }

    /// The principal of a user or role, or of the root of an account, by its ARN: what it could do
    /// if it asked now. For simulations and explanations. `None` if there is none.
    pub fn principal_by_arn(&self, arn: &str) -> Result<Option<Principal>> {
        let snapshot = self.snapshot();
        let root = arn.strip_prefix("arn:aws:iam::").and_then(|rest| rest.strip_suffix(":root"));
        if let Some(id) = root.and_then(AccountId::parse) {
            let row: Option<AccountRow> = snapshot.row(&keys::account(id))?;
            return Ok(row.map(|row| Principal::root(id.to_string(), row.owner_id)));
        }
        let Some((Some(account), kind @ (Kind::User | Kind::Role | Kind::Group), _, name)) =
            parse_arn(arn)
        else {
            return Ok(None);
        };
        match find(&snapshot, account, kind, name)? {
            Some(row) if row.arn() == arn => principal_of(&snapshot, &row).map(Some),
            _ => Ok(None),
        }
    }
}

fn root_of(rows: &impl Rows, id: AccountId) -> Result<Principal> {
    Ok(Principal::root(id.to_string(), account(rows, id)?.owner_id))
}

fn is_enabled(row: &EntityRow) -> bool {
    matches!(row.detail, Detail::User { enabled: true, .. })
}

/// The principal of a user. A disabled one may have documents that nobody can read (see `carry`):
/// it can do nothing, and none are read.
fn principal_of_user(rows: &impl Rows, row: &EntityRow) -> Result<Principal> {
    match is_enabled(row) {
        true => principal_of(rows, row),
        false => {
            let mut bare = row.clone();
            (bare.inline, bare.attached, bare.boundary) = (Vec::new(), Vec::new(), None);
            if let Detail::User { groups, .. } = &mut bare.detail {
                groups.clear();
            }
            principal_of(rows, &bare)
        }
    }
}

/// The principal of a user, a role (without a session yet), or for simulations a group.
fn principal_of(rows: &impl Rows, row: &EntityRow) -> Result<Principal> {
    let owner_id = account(rows, row.account)?.owner_id;
    let (path, name) = (row.path.clone(), row.name.clone());
    let kind = match row.kind() {
        Kind::Role => PrincipalKind::Role { path, name, session: String::new() },
        _ => PrincipalKind::User { path, name },
    };
    let mut policies = Vec::new();
    add_policies(rows, row, &mut policies)?;
    if let Detail::User { groups, .. } = &row.detail {
        for group in groups {
            add_policies(rows, &by_id(rows, group)?, &mut policies)?;
        }
    }
    let boundary = match &row.boundary {
        None => None,
        Some(arn) => {
            let lost = || Error::Corrupt(format!("the boundary {arn} of {} is lost", row.arn()));
            Some(managed(rows, row.account, arn)?.ok_or_else(lost)?)
        }
    };
    Ok(Principal {
        account: row.account.to_string(),
        kind,
        id: row.id.clone(),
        owner_id,
        policies,
        boundary,
        session: None,
        tags: row.tags.clone(),
        context: Context::new(),
    })
}

/// The inline and attached policies of one entity.
fn add_policies(rows: &impl Rows, row: &EntityRow, policies: &mut Vec<Attached>) -> Result<()> {
    let whose = format!("{} {}", row.kind().in_arn(), row.name);
    for (name, document) in &row.inline {
        let policy = documents::identity(document).map_err(|error| {
            Error::Corrupt(format!("the inline policy {name} of {whose}: {error}"))
        })?;
        policies.push(Attached::new(format!("inline policy {name} of {whose}"), policy));
    }
    for arn in &row.attached {
        let lost = || Error::Corrupt(format!("the policy {arn} of {whose} is lost"));
        policies.push(managed(rows, row.account, arn)?.ok_or_else(lost)?);
    }
    Ok(())
}

/// The version that counts of a managed policy; `None` if there is no such policy.
fn managed(rows: &impl Rows, account: AccountId, arn: &str) -> Result<Option<Attached>> {
    if let Some(builtin) = Builtin::by_arn(arn) {
        return Ok(Some(Attached::new(arn, documents::identity(builtin.document)?)));
    }
    let Some((Some(found), Kind::Policy, _, name)) = parse_arn(arn) else { return Ok(None) };
    if found != account {
        return Ok(None);
    }
    let Some(row) = find(rows, account, Kind::Policy, name)?.filter(|row| row.arn() == arn) else {
        return Ok(None);
    };
    let policy = documents::identity(default_document(&row)?)
        .map_err(|error| Error::Corrupt(format!("the policy {arn}: {error}")))?;
    Ok(Some(Attached::new(arn, policy)))
}
