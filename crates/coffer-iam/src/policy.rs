//! Policy documents: the subset of IAM's JSON that Coffer evaluates.
//!
//! Supported: `Version`, `Id`, one statement or a list of `Sid`, `Effect`, `Action` or `NotAction`,
//! `Resource` or `NotResource`, with `*` and `?`. `Condition`, `Principal`, `NotPrincipal` and
//! policy variables are refused by name: a document that isn't understood whole grants nothing.

use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::ask::Question;
use crate::principal::Principal;
use crate::resource::ARN_PREFIX;
use crate::wildcard;

#[cfg(test)]
mod tests;

/// The longest document that is read.
pub const DOCUMENT_BYTES_MAX: usize = 20 * 1024;

/// What a statement does with what it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Lets it pass, unless something denies it.
    Allow,
    /// Refuses it, whatever else allows it.
    Deny,
}

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

/// How closely a resource's policy names a principal, the loosest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// As one of its account, which gives the account's policies leave to allow it.
    Account,
    /// As everyone.
    Everyone,
    /// By the ARN of the role that it is a session of.
    Role,
    /// By the very ARN of its requests.
    Exact,
}

/// Patterns, and whether the statement is about what they match or about everything else.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Selector {
    These(Vec<String>),
    AllBut(Vec<String>),
}

impl Selector {
    fn selects(&self, matches: impl Fn(&str) -> bool) -> bool {
        match self {
            Selector::These(patterns) => patterns.iter().any(|p| matches(p)),
            Selector::AllBut(patterns) => !patterns.iter().any(|p| matches(p)),
        }
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    sid: Option<String>,
    effect: Effect,
    actions: Selector,
    resources: Selector,
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

    /// Whether the rule is about the question's action and resource.
    pub(crate) fn applies(&self, q: &Question<'_>) -> bool {
        self.actions.selects(|p| wildcard::matches_ignoring_case(p, q.action))
            && self.resources.selects(|p| wildcard::matches(p, q.arn))
    }

    /// How closely the rule names `principal`; `None` if it is not about it.
    pub(crate) fn reach(&self, _principal: &Principal) -> Option<Reach> {
        None
    }
}

/// A document that was read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    version: String,
    id: Option<String>,
    statements: Vec<Statement>,
}

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
        if kind != Kind::Identity {
            return Err(PolicyError("policies of resources are not supported yet".to_owned()));
        }
        if json.len() > DOCUMENT_BYTES_MAX {
            return Err(PolicyError(format!(
                "the policy is {} bytes long; the limit is {DOCUMENT_BYTES_MAX}",
                json.len()
            )));
        }
        let document: Document = serde_json::from_str(json)
            .map_err(|e| PolicyError(format!("the policy can't be read: {e}")))?;
        let version = document.version.unwrap_or_else(|| "2008-10-17".to_owned());
        if version != "2012-10-17" && version != "2008-10-17" {
            return Err(PolicyError(format!(
                "Version is \"{version}\"; it must be \"2012-10-17\" or \"2008-10-17\""
            )));
        }
        if document.statement.0.is_empty() {
            return Err(PolicyError("the policy has no Statement".to_owned()));
        }
        let statements = document
            .statement
            .0
            .into_iter()
            .enumerate()
            .map(|(i, raw)| {
                raw.check().map_err(|what| PolicyError(format!("statement {}: {what}", i + 1)))
            })
            .collect::<Result<_, _>>()?;
        Ok(Policy { version, id: document.id, statements })
    }

    /// A policy that comes with Coffer: one of [`CANNED`].
    pub fn canned(name: &str) -> Option<Policy> {
        let actions: &[&str] = match name {
            "readwrite" => &["s3:*", "coffer:GetBucketAck", "coffer:PutBucketAck"],
            "readonly" => &["s3:Get*", "s3:List*", "coffer:GetBucketAck"],
            _ => return None,
        };
        Some(Policy {
            version: "2012-10-17".to_owned(),
            id: None,
            statements: vec![Statement {
                sid: Some(name.to_owned()),
                effect: Effect::Allow,
                actions: Selector::These(actions.iter().map(|a| (*a).to_owned()).collect()),
                resources: Selector::These(vec![format!("{ARN_PREFIX}*")]),
            }],
        })
    }

    /// The canned policy that this one is, if it is one; for showing.
    pub fn canned_name(&self) -> Option<&'static str> {
        CANNED.iter().copied().find(|name| Policy::canned(name).as_ref() == Some(self))
    }

    /// The rules, in the document's order.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// The condition keys that it asks about, as it writes them.
    pub fn context_keys(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether it lets in the public, as S3 counts that.
    pub fn is_public(&self) -> bool {
        false
    }

    /// A document that reads back as this policy.
    pub fn to_json(&self) -> String {
        let raw = |selector: &Selector| match selector {
            Selector::These(patterns) => (Some(OneOrMany(patterns.clone())), None),
            Selector::AllBut(patterns) => (None, Some(OneOrMany(patterns.clone()))),
        };
        let statement = self
            .statements
            .iter()
            .map(|s| {
                let (action, not_action) = raw(&s.actions);
                let (resource, not_resource) = raw(&s.resources);
                RawStatement {
                    sid: s.sid.clone(),
                    effect: s.effect,
                    action,
                    not_action,
                    resource,
                    not_resource,
                    condition: None,
                    principal: None,
                    not_principal: None,
                }
            })
            .collect();
        let document = Document {
            version: Some(self.version.clone()),
            id: self.id.clone(),
            statement: OneOrMany(statement),
        };
        serde_json::to_string(&document).expect("strings and lists always serialise")
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    statement: OneOrMany<RawStatement>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct RawStatement {
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    effect: Effect,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<OneOrMany<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_action: Option<OneOrMany<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<OneOrMany<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_resource: Option<OneOrMany<String>>,
    #[serde(default, deserialize_with = "present", skip_serializing)]
    condition: Option<de::IgnoredAny>,
    #[serde(default, deserialize_with = "present", skip_serializing)]
    principal: Option<de::IgnoredAny>,
    #[serde(default, deserialize_with = "present", skip_serializing)]
    not_principal: Option<de::IgnoredAny>,
}

/// `Some` for any value, also for `null`.
fn present<'de, D: Deserializer<'de>>(d: D) -> Result<Option<de::IgnoredAny>, D::Error> {
    de::IgnoredAny::deserialize(d).map(Some)
}

impl RawStatement {
    fn check(self) -> Result<Statement, String> {
        for (name, value) in [
            ("Condition", &self.condition),
            ("Principal", &self.principal),
            ("NotPrincipal", &self.not_principal),
        ] {
            if value.is_some() {
                return Err(format!("{name} is not supported yet"));
            }
        }
        let actions = one_of("Action", self.action, self.not_action)?;
        let resources = one_of("Resource", self.resource, self.not_resource)?;
        patterns_of(&actions).iter().try_for_each(|p| check_action(p))?;
        patterns_of(&resources).iter().try_for_each(|p| check_resource(p))?;
        Ok(Statement { sid: self.sid, effect: self.effect, actions, resources })
    }
}

fn patterns_of(selector: &Selector) -> &[String] {
    match selector {
        Selector::These(patterns) | Selector::AllBut(patterns) => patterns,
    }
}

fn one_of(
    name: &str,
    these: Option<OneOrMany<String>>,
    all_but: Option<OneOrMany<String>>,
) -> Result<Selector, String> {
    let selector = match (these, all_but) {
        (Some(these), None) => Selector::These(these.0),
        (None, Some(all_but)) => Selector::AllBut(all_but.0),
        (None, None) => return Err(format!("it needs {name} or Not{name}")),
        (Some(_), Some(_)) => return Err(format!("it has both {name} and Not{name}")),
    };
    if patterns_of(&selector).is_empty() {
        return Err(format!("{name} or Not{name} is an empty list"));
    }
    Ok(selector)
}

fn check_action(pattern: &str) -> Result<(), String> {
    if pattern == "*" {
        return Ok(());
    }
    let well_formed = pattern.split_once(':').is_some_and(|(service, name)| {
        !service.is_empty()
            && !name.is_empty()
            && pattern.bytes().all(|b| b.is_ascii_alphanumeric() || b":*?-_".contains(&b))
    });
    if well_formed {
        Ok(())
    } else {
        Err(format!("the action \"{pattern}\" is not of the form service:Name or *"))
    }
}

fn check_resource(pattern: &str) -> Result<(), String> {
    if pattern.contains("${") {
        return Err(format!("policy variables are not supported yet: \"{pattern}\""));
    }
    if pattern == "*" || pattern.strip_prefix(ARN_PREFIX).is_some_and(|rest| !rest.is_empty()) {
        return Ok(());
    }
    Err(format!(
        "the resource \"{pattern}\" is neither * nor {ARN_PREFIX}BUCKET or {ARN_PREFIX}BUCKET/KEY"
    ))
}

/// A value that may stand alone instead of in a list of one.
struct OneOrMany<T>(Vec<T>);

impl<T: Serialize> Serialize for OneOrMany<T> {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(s)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct One<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for One<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one value or a list of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                T::deserialize(de::value::StrDeserializer::new(text)).map(|v| OneOrMany(vec![v]))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(map))
                    .map(|v| OneOrMany(vec![v]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element()? {
                    values.push(value);
                }
                Ok(OneOrMany(values))
            }
        }

        d.deserialize_any(One(std::marker::PhantomData))
    }
}
