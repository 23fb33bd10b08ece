//! Policy documents: IAM's grammar, read whole or refused.
//!
//! A document is made ready when it is read: actions become sets, strings patterns, conditions
//! tests. What can't be evaluated is refused then, with the message that AWS has for it where that
//! is known.

use std::fmt;
use std::sync::Arc;

use crate::action::Action;
use crate::ask::Question;
use crate::condition::Condition;
use crate::resource::ARN_PREFIX;

mod actions;
pub(crate) mod arn;
mod bucket;
mod json;
pub(crate) mod pattern;
mod public;
mod reading;
mod weight;
mod who;

#[cfg(test)]
mod tests;

use actions::ActionSet;
use arn::ArnPattern;
pub use bucket::S3_KEYS;
pub(crate) use who::{Reach, Who};

/// The longest document that is read.
pub const DOCUMENT_BYTES_MAX: usize = 20 * 1024;

/// What a document is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of a user, a group, a role, a boundary or a session: it has no Principal.
    Identity,
    /// Of a bucket: it has a Principal.
    Resource,
    /// Of a role, about who may assume it: it has a Principal and no Resource.
    Trust,
}

/// What a statement does with what it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Lets it pass, unless something denies it.
    Allow,
    /// Refuses it, whatever else allows it.
    Deny,
}

/// Which resources a statement is about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Resources {
    /// That whose policy it is: in a trust policy.
    Own,
    /// These.
    These(Vec<ArnPattern>),
    /// All but these.
    AllBut(Vec<ArnPattern>),
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    sid: Option<String>,
    effect: Effect,
    who: Who,
    actions: ActionSet,
    resources: Resources,
    /// The patterns of resources as they are written.
    resources_written: Vec<String>,
    conditions: Vec<Condition>,
}

impl Statement {
    /// The name its author gave it.
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// Allow or deny.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Whether it is about an action, on whatever resource and under whatever conditions.
    pub fn is_about(&self, action: Action) -> bool {
        self.actions.has_known(action)
    }

    /// Whether it is about who is not known, too.
    pub fn reaches_anonymous(&self) -> bool {
        self.who.reaches_anonymous()
    }

    /// Whether the rule is about the question's action and resource, and its conditions hold.
    pub(crate) fn applies(&self, q: &Question<'_>) -> bool {
        self.actions.has(q) && self.has_resource(q) && self.conditions_hold(q)
    }

    fn has_resource(&self, q: &Question<'_>) -> bool {
        match &self.resources {
            Resources::Own => true,
            Resources::These(patterns) => patterns.iter().any(|p| p.matches_resource(q)),
            Resources::AllBut(patterns) => {
                !patterns.iter().any(|p| p.matches_resource(q))
                    && (self.effect == Effect::Deny || patterns.iter().all(|p| p.resolves(q)))
            }
        }
    }

    fn conditions_hold(&self, q: &Question<'_>) -> bool {
        let unresolved = self.effect == Effect::Deny;
        self.conditions.iter().all(|condition| condition.holds(q, unresolved))
    }

    /// Whether it could be about a resource whose ARN begins with `prefix` and goes on.
    pub(crate) fn may_match_below(&self, prefix: &[u8]) -> bool {
        match &self.resources {
            Resources::Own | Resources::AllBut(_) => true,
            Resources::These(patterns) => patterns.iter().any(|p| p.may_match_below(prefix)),
        }
    }

    /// Whether it is certainly about every resource whose ARN begins with `prefix` and goes on.
    pub(crate) fn matches_all_below(&self, prefix: &str) -> bool {
        let all = |written: &String| {
            written.strip_suffix('*').is_some_and(|stem| {
                prefix.starts_with(stem) && (stem.is_empty() || stem.starts_with(ARN_PREFIX))
            })
        };
        matches!(self.resources, Resources::These(_))
            && self.conditions.is_empty()
            && self.resources_written.iter().any(all)
    }

    /// How closely the rule names the caller; `None` if it is not about it.
    pub(crate) fn reach(&self, q: &Question<'_>) -> Option<Reach> {
        self.who.reach(q)
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        let resources = match &self.resources {
            Resources::Own => &[][..],
            Resources::These(patterns) | Resources::AllBut(patterns) => patterns,
        };
        let of_conditions = self.conditions.iter().flat_map(Condition::keys);
        resources.iter().flat_map(ArnPattern::keys).chain(of_conditions)
    }
}

/// A document that was read whole.
#[derive(Clone, Debug)]
pub struct Policy {
    source: Arc<str>,
    statements: Vec<Statement>,
}

/// Two are the same that are written the same.
impl PartialEq for Policy {
    fn eq(&self, other: &Policy) -> bool {
        self.source == other.source
    }
}

impl Eq for Policy {}

/// Why a document is refused: one line for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError(String);

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PolicyError {}

/// Names of the policies that come with Coffer.
pub const CANNED: &[&str] = &["readwrite", "readonly"];

impl Policy {
    /// Reads a document.
    pub fn parse(json: &str, kind: Kind) -> Result<Policy, PolicyError> {
        let statements = reading::statements(json, kind).map_err(PolicyError)?;
        Ok(Policy { source: json.into(), statements })
    }

    /// A policy that comes with Coffer: one of [`CANNED`].
    pub fn canned(name: &str) -> Option<Policy> {
        let actions = match name {
            "readwrite" => r#""s3:*","coffer:GetBucketAck","coffer:PutBucketAck""#,
            "readonly" => r#""s3:Get*","s3:List*","coffer:GetBucketAck""#,
            _ => return None,
        };
        let json = format!(
            "{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Sid\":\"{name}\",\"Effect\":\"Allow\",\
             \"Action\":[{actions}],\"Resource\":[\"arn:aws:s3:::*\"]}}]}}"
        );
        Some(Policy::parse(&json, Kind::Identity).expect("the canned policies are well-formed"))
    }

    /// The canned policy that this one is, if it is one; for showing.
    pub fn canned_name(&self) -> Option<&'static str> {
        CANNED.iter().copied().find(|name| Policy::canned(name).as_ref() == Some(self))
    }

    /// The rules, in the document's order.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// The condition keys that it asks about, also in variables, as it writes them; each once.
    pub fn context_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        for key in self.statements.iter().flat_map(Statement::keys) {
            if !keys.iter().any(|k| k.eq_ignore_ascii_case(key)) {
                keys.push(key.to_owned());
            }
        }
        keys
    }

    /// Whether it lets in the public, as S3's Block Public Access counts that.
    pub fn is_public(&self) -> bool {
        public::is_public(&self.statements)
    }

    /// Refuses what S3 refuses in the policy of this bucket: resources elsewhere, actions that are
    /// none of S3's or none on these resources, condition keys that S3 does not have.
    pub fn check_bucket(&self, bucket: &str) -> Result<(), PolicyError> {
        bucket::check(&self.statements, bucket).map_err(PolicyError)
    }

    /// The document as it was given.
    pub fn to_json(&self) -> String {
        self.source.to_string()
    }
}
