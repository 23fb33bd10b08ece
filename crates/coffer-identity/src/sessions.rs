//! Making temporary credentials. Nothing is written: all is in the token, see [`crate::token`].

use coffer_base::Timestamp;
use coffer_iam::{Action, Grant};

use crate::builtin::Builtin;
use crate::documents;
use crate::entities::{find, not_an_arn};
use crate::error::{Error, Result};
use crate::form::{
    SESSION_POLICY_ARNS_MAX, SESSION_POLICY_CHARS_MAX, check_session_name, check_tags, invalid,
};
use crate::identity::Identity;
use crate::ids::{AccountId, Kind, parse_arn, random_secret, random_session_key};
use crate::rows::{AccessKeyRow, Rows, keys};
use crate::token::{Session, Subject, TOKEN_CHARS_MAX};

/// The shortest session, in seconds.
pub const SESSION_SECS_MIN: u32 = 900;
/// The longest session of a role that was taken on from a session, in seconds.
pub const CHAINED_SECS_MAX: u32 = 3600;
/// The longest session of a user, in seconds.
pub const USER_SESSION_SECS_MAX: u32 = 129_600;
/// The longest session of a root, in seconds.
pub const ROOT_SESSION_SECS_MAX: u32 = 3600;

/// A session to be made of a role.
#[derive(Clone, Debug, Default)]
pub struct AssumeRole {
    /// What the session is called.
    pub session_name: String,
    /// How long it lasts, in seconds; `None`: an hour.
    pub duration_secs: Option<u32>,
    /// A session policy.
    pub policy: Option<String>,
    /// ARNs of managed policies that are session policies.
    pub policy_arns: Vec<String>,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// Condition keys that are fixed for the session: `aws:SourceIdentity`,
    /// `aws:FederatedProvider`, claims of a web identity.
    pub context: Vec<(String, String)>,
    /// Whether the caller itself is a session of a role.
    pub chained: bool,
}

/// Temporary credentials.
#[derive(Clone)]
pub struct Issued {
    /// The access key: `ASIA…`.
    pub access_key: String,
    /// The secret.
    pub secret: String,
    /// The token that goes with every request.
    pub token: String,
    /// When they end.
    pub expires: Timestamp,
    /// For a role's session its ARN: `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    pub arn: String,
    /// For a role's session `AROA…:SESSION`.
    pub id: String,
    /// How much of the room for a token is used, in percent.
    pub packed_percent: u32,
}

fn check_duration(secs: u32, max: u32, exceeded: &str) -> Result<()> {
    if secs < SESSION_SECS_MIN {
        let what = format!("Member must have value greater than or equal to {SESSION_SECS_MIN}");
        return Err(invalid("durationSeconds", &what));
    }
    if secs > max {
        return Err(Error::Validation(exceeded.to_owned()));
    }
    Ok(())
}

/// The ARN of a session of a role.
pub fn session_arn(account: AccountId, role: &str, session: &str) -> String {
    format!("arn:aws:sts::{account}:assumed-role/{role}/{session}")
}

impl Identity {
    /// Makes a session of the role that the grant is for.
    pub fn assume_role(&self, grant: &Grant, request: AssumeRole) -> Result<Issued> {
        let by_web = grant.action() == Action::AssumeRoleWithWebIdentity;
        assert!(by_web || grant.action() == Action::AssumeRole, "the grant is for another action");
        let role_arn = grant.resource().arn();
        let AssumeRole { session_name, duration_secs, policy, policy_arns, tags, context, chained } =
            request;
        check_session_name(&session_name)?;
        check_tags(&tags)?;
        let (role, _) = self.role_by_arn(&role_arn)?.ok_or_else(|| {
            Error::ConcurrentModification(format!("The role {role_arn} was deleted meanwhile."))
        })?;
        let (max, exceeded) = match chained {
            true => (
                role.session_secs_max.min(CHAINED_SECS_MAX),
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed \
                 by role chaining.",
            ),
            false => (
                role.session_secs_max,
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            ),
        };
        let secs = duration_secs.unwrap_or(3600);
        check_duration(secs, max, exceeded)?;
        let policies = self.session_policies(role.account, policy, policy_arns)?;
        let id = format!("{}:{session_name}", role.id);
        let arn = session_arn(role.account, &role.name, &session_name);
        let subject = Subject::Role { id: role.id, session: session_name };
        self.issue(role.account, subject, secs, policies, tags, context, arn, id)
    }

    /// Makes a session of the user, or of the root, that has this access key (GetSessionToken). It
    /// can do what the user can, for a time, and ends when the access key does.
    pub fn session_token(&self, access_key: &str, duration_secs: Option<u32>) -> Result<Issued> {
        let snapshot = self.snapshot();
        let exceeded = "The requested DurationSeconds exceeds what such a session may last.";
        let is_operator = self.operator().is_some_and(|root| root.access_key == access_key);
        let row: Option<AccessKeyRow> = match is_operator {
            true => None,
            false => snapshot.row(&keys::access_key(access_key))?,
        };
        let root = |account: AccountId| {
            let subject = Subject::Root { access_key: access_key.to_owned() };
            (account, subject, format!("arn:aws:iam::{account}:root"), account.to_string())
        };
        let (account, subject, arn, id) = match row {
            None if is_operator => {
                let (account, mut subject, arn, id) = root(self.default_account());
                if let Some(key) = self.operator() {
                    let (access_key, secret_mac) =
                        (key.access_key.clone(), self.seals().mac_of(key));
                    subject = Subject::Operator { access_key, secret_mac };
                }
                (account, subject, arn, id)
            }
            None => {
                return Err(Error::InvalidInput(
                    "Only long-term credentials get a session token.".to_owned(),
                ));
            }
            Some(AccessKeyRow { account, user: None, .. }) => root(account),
            Some(AccessKeyRow { account, user: Some(id), .. }) => {
                let user = crate::entities::by_id(&snapshot, &id)?;
                let subject = Subject::User { id: id.clone(), access_key: access_key.to_owned() };
                (account, subject, user.arn(), id)
            }
        };
        let is_root = matches!(subject, Subject::Root { .. } | Subject::Operator { .. });
        let (default, max) = match is_root {
            true => (ROOT_SESSION_SECS_MAX, ROOT_SESSION_SECS_MAX),
            false => (43_200, USER_SESSION_SECS_MAX),
        };
        let secs = duration_secs.unwrap_or(default);
        check_duration(secs, USER_SESSION_SECS_MAX, exceeded)?;
        // AWS gives a root an hour, whatever it asks for.
        let secs = secs.min(max);
        self.issue(account, subject, secs, None, Vec::new(), Vec::new(), arn, id)
    }

    fn session_policies(
        &self,
        account: AccountId,
        document: Option<String>,
        arns: Vec<String>,
    ) -> Result<Option<(Option<String>, Vec<String>)>> {
        if document.is_none() && arns.is_empty() {
            return Ok(None);
        }
        if let Some(document) = &document {
            if document.chars().count() > SESSION_POLICY_CHARS_MAX {
                let what = format!(
                    "Member must have length less than or equal to {SESSION_POLICY_CHARS_MAX}"
                );
                return Err(invalid("policy", &what));
            }
            documents::identity(document)?;
        }
        if arns.len() > SESSION_POLICY_ARNS_MAX {
            let what =
                format!("Member must have length less than or equal to {SESSION_POLICY_ARNS_MAX}");
            return Err(invalid("policyArns", &what));
        }
        let snapshot = self.snapshot();
        for arn in &arns {
            let is_there = Builtin::by_arn(arn).is_some()
                || match parse_arn(arn).ok_or_else(|| not_an_arn(arn))? {
                    (Some(found), Kind::Policy, _, name) if found == account => {
                        find(&snapshot, account, Kind::Policy, name)?
                            .is_some_and(|row| row.arn() == *arn)
                    }
                    _ => false,
                };
            if !is_there {
                return Err(Error::InvalidInput(format!("Policy {arn} does not exist.")));
            }
        }
        Ok(Some((document, arns)))
    }

    #[allow(clippy::too_many_arguments, reason = "one place that puts a token together")]
    fn issue(
        &self,
        account: AccountId,
        subject: Subject,
        secs: u32,
        policies: Option<(Option<String>, Vec<String>)>,
        tags: Vec<(String, String)>,
        context: Vec<(String, String)>,
        arn: String,
        id: String,
    ) -> Result<Issued> {
        let access_key = random_session_key(self.rng());
        let secret = random_secret(self.rng());
        let issued = self.now();
        // Whole seconds, as the answer shows them.
        let expires = Timestamp((issued.seconds() + u64::from(secs)) * 1000);
        let session = Session {
            secret: secret.clone(),
            issued,
            expires,
            account,
            subject,
            policies,
            tags,
            context,
        };
        let token = session.seal(self.seals().tokens(), self.rng(), &access_key)?;
        let packed_percent = u32::try_from(token.len() * 100 / TOKEN_CHARS_MAX).unwrap_or(100);
        Ok(Issued { access_key, secret, token, expires, arn, id, packed_percent })
    }
}
