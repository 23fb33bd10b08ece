//! Policy documents of older stores, in today's grammar and with the reach that they had.
//!
//! The older grammar took any text as a Sid, the same Sid twice, and `*:*`. Its actions were those
//! of S3 and Coffer's own: nobody who was given `*` then was meant to rule over identities. So an
//! Allow of all services becomes one of these two.

use coffer_iam::policy::{Effect, Kind as DocumentKind};
use coffer_iam::{Action, Policy};
use serde_json::{Map, Value};

/// The services that the older program had.
const SERVICES: [&str; 2] = ["s3", "coffer"];

/// A document that was carried forward.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    /// It.
    pub document: String,
    /// Whether it would have allowed more now than it did, so that it had to be written anew.
    pub narrowed: bool,
    /// Whether it allows something about identities still.
    pub rules_identities: bool,
}

/// The document as it is to be kept; why it can't be.
pub(crate) fn carried(document: &str) -> Result<Carried, String> {
    let mut value: Value = serde_json::from_str(document).map_err(|error| error.to_string())?;
    let (mut repaired, mut narrowed) = (false, false);
    let mut sids = Vec::new();
    let statements = match value.get_mut("Statement") {
        Some(Value::Array(statements)) => statements.iter_mut().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    for statement in statements.into_iter().filter_map(Value::as_object_mut) {
        repaired |= repair(statement, &mut sids);
        narrowed |= narrow(statement);
    }
    let document = match repaired || narrowed {
        true => value.to_string(),
        // Byte for byte.
        false => document.to_owned(),
    };
    let policy = Policy::parse(&document, DocumentKind::Identity).map_err(|e| e.to_string())?;
    let rules_identities = policy.statements().iter().any(|statement| {
        let about = |action: &&Action| statement.is_about(**action);
        let foreign = Action::ALL.iter().filter(|action| !SERVICES.contains(&action.service()));
        statement.effect() == Effect::Allow && foreign.clone().any(|action| about(&action))
    });
    Ok(Carried { document, narrowed, rules_identities })
}

/// Takes away Sids that are not taken any more: nothing asks for them.
fn repair(statement: &mut Map<String, Value>, sids: &mut Vec<String>) -> bool {
    let mut repaired = false;
    if let Some(Value::String(sid)) = statement.get("Sid") {
        let fits = sid.bytes().all(|b| b.is_ascii_alphanumeric());
        if !fits || sids.contains(sid) {
            statement.remove("Sid");
            repaired = true;
        } else {
            sids.push(sid.clone());
        }
    }
    for key in ["Action", "NotAction"] {
        for action in strings(statement.get_mut(key)) {
            if action == "*:*" {
                "*".clone_into(action);
                repaired = true;
            }
        }
    }
    repaired
}

fn strings(value: Option<&mut Value>) -> Vec<&mut String> {
    let of = |value| match value {
        &mut Value::String(ref mut text) => Some(text),
        _ => None,
    };
    match value {
        Some(Value::Array(values)) => values.iter_mut().filter_map(of).collect(),
        Some(value) => of(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// Keeps an Allow to the services that there were.
fn narrow(statement: &mut Map<String, Value>) -> bool {
    if statement.get("Effect").and_then(Value::as_str) != Some("Allow") {
        return false;
    }
    let mut narrowed = false;
    if let Some(value) = statement.get_mut("Action") {
        let mut actions = Vec::new();
        for action in strings(Some(value)) {
            let (service, name) = action.split_once(':').unwrap_or((action, "*"));
            if !service.is_empty() && service.bytes().all(|b| b == b'*') {
                narrowed = true;
                actions.extend(SERVICES.map(|service| Value::from(format!("{service}:{name}"))));
            } else {
                actions.push(Value::from(action.as_str()));
            }
        }
        if narrowed {
            *value = Value::from(actions);
        }
    }
    if let Some(value) = statement.get_mut("NotAction") {
        let mut actions: Vec<Value> =
            strings(Some(value)).into_iter().map(|action| Value::from(action.as_str())).collect();
        actions.extend(["iam:*", "sts:*"].map(Value::from));
        *value = Value::from(actions);
        narrowed = true;
    }
    narrowed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(statements: &str) -> Result<Carried, String> {
        carried(&format!(r#"{{"Version":"2012-10-17","Statement":{statements}}}"#))
    }

    #[test]
    fn what_is_taken_still_stays_byte_for_byte() {
        let document = r#"{"Statement": {"Effect":"Allow", "Action":"s3:*","Resource":"*"},
            "Version":"2012-10-17"}"#;
        let found = carried(document).unwrap();
        let same =
            Carried { document: document.to_owned(), narrowed: false, rules_identities: false };
        assert_eq!(found, same);
    }

    #[test]
    fn harmless_things_are_repaired() {
        let found = of(r#"[
            {"Sid":"read-all","Effect":"Allow","Action":"s3:Get*","Resource":"*"},
            {"Sid":"a","Effect":"Allow","Action":"s3:Put*","Resource":"*"},
            {"Sid":"a","Effect":"Deny","Action":"*:*","Resource":"*"}]"#)
        .unwrap();
        let value: Value = serde_json::from_str(&found.document).unwrap();
        let sids: Vec<_> = (0..3).map(|i| value["Statement"][i].get("Sid").cloned()).collect();
        assert_eq!(sids, [None, Some(Value::from("a")), None]);
        assert_eq!(value["Statement"][2]["Action"], "*", "a Deny goes on denying all");
        assert!(!found.narrowed && !found.rules_identities);
    }

    #[test]
    fn all_actions_are_those_that_there_were() {
        for action in [r#""*""#, r#""*:*""#, r#"["s3:GetObject","*"]"#, r#""*:Get*""#] {
            let statement = format!(r#"{{"Effect":"Allow","Action":{action},"Resource":"*"}}"#);
            let found = of(&statement).unwrap();
            assert!(found.narrowed && !found.rules_identities, "{}", found.document);
            let policy = Policy::parse(&found.document, DocumentKind::Identity).unwrap();
            let is_about = |action| policy.statements()[0].is_about(action);
            assert!(is_about(Action::GetObject) && !is_about(Action::CreateUser));
        }
        let found = of(r#"{"Effect":"Allow","NotAction":"s3:Put*","Resource":"*"}"#).unwrap();
        let policy = Policy::parse(&found.document, DocumentKind::Identity).unwrap();
        let is_about = |action| policy.statements()[0].is_about(action);
        assert!(is_about(Action::GetObject) && !is_about(Action::PutObject));
        assert!(!is_about(Action::CreateUser) && !is_about(Action::AssumeRole));
        let found = of(r#"{"Effect":"Allow","Action":"iam:GetUser","Resource":"*"}"#).unwrap();
        assert!(found.rules_identities, "what names them is told");
    }

    #[test]
    fn what_can_not_be_read_is_refused() {
        for text in ["", "{", "[]", "null", "{}", r#"{"Statement":[1]}"#, r#"{"Statement":"x"}"#] {
            assert!(carried(text).is_err(), "{text}");
        }
        assert!(of(r#"{"Effect":"Maybe","Action":"*","Resource":"*"}"#).is_err());
        assert!(of(r#"{"Effect":"Allow","Action":{"a":1},"Resource":"*"}"#).is_err());
    }
}
