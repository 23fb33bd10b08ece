//! From text to statements: the grammar.

use super::actions::{self, ActionSet};
use super::arn::ArnPattern;
use super::json::Json;
use super::who::{Named, Who};
use super::{DOCUMENT_BYTES_MAX, Effect, Kind, Resources, Statement};
use crate::condition::Condition;

type Members = Vec<(String, Json)>;

/// Reads a document.
pub(super) fn statements(json: &str, kind: Kind) -> Result<Vec<Statement>, String> {
    if json.len() > DOCUMENT_BYTES_MAX {
        return Err(format!(
            "the policy is {} bytes long; the limit is {DOCUMENT_BYTES_MAX}",
            json.len()
        ));
    }
    let document: Json =
        serde_json::from_str(json).map_err(|e| format!("the policy can't be read: {e}"))?;
    let Json::Object(members) = document else {
        return Err("Policies must be valid JSON and the first byte must be '{'".to_owned());
    };
    let (mut version, mut listed) = (None, None);
    for (name, value) in members {
        match name.as_str() {
            "Version" => version = Some(string("Version", value)?),
            "Id" => drop(string("Id", value)?),
            "Statement" => listed = Some(value),
            _ => return Err(format!("Unknown field {name}")),
        }
    }
    let variables = match version.as_deref() {
        Some("2012-10-17") => true,
        Some("2008-10-17") | None => false,
        Some(other) => {
            return Err(format!(
                "The policy must contain a valid version string: \"{other}\" is neither \
                 \"2012-10-17\" nor \"2008-10-17\""
            ));
        }
    };
    let listed = match listed.ok_or("Missing required field Statement")? {
        Json::List(listed) => listed,
        one @ Json::Object(_) => vec![one],
        other => return Err(format!("Statement is {}, not a list of objects", other.kind())),
    };
    if listed.is_empty() {
        return Err("Could not parse the policy: Statement is empty!".to_owned());
    }
    let statements: Vec<Statement> = listed
        .into_iter()
        .enumerate()
        .map(|(i, value)| {
            let read = match value {
                Json::Object(members) => statement(members, kind, variables),
                other => Err(format!("it is {}, not an object", other.kind())),
            };
            read.map_err(|why| format!("{why} (statement {})", i + 1))
        })
        .collect::<Result<_, _>>()?;
    let mut sids: Vec<&str> = statements.iter().filter_map(Statement::sid).collect();
    sids.sort_unstable();
    if sids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("Statement IDs (SID) in a single policy must be unique.".to_owned());
    }
    Ok(statements)
}

#[derive(Default)]
struct Raw {
    sid: Option<Json>,
    effect: Option<Json>,
    principal: Option<Json>,
    not_principal: Option<Json>,
    action: Option<Json>,
    not_action: Option<Json>,
    resource: Option<Json>,
    not_resource: Option<Json>,
    condition: Option<Json>,
}

fn statement(members: Members, kind: Kind, variables: bool) -> Result<Statement, String> {
    let mut raw = Raw::default();
    for (name, value) in members {
        let place = match name.as_str() {
            "Sid" => &mut raw.sid,
            "Effect" => &mut raw.effect,
            "Principal" => &mut raw.principal,
            "NotPrincipal" => &mut raw.not_principal,
            "Action" => &mut raw.action,
            "NotAction" => &mut raw.not_action,
            "Resource" => &mut raw.resource,
            "NotResource" => &mut raw.not_resource,
            "Condition" => &mut raw.condition,
            _ => return Err(format!("Unknown field {name}")),
        };
        *place = Some(value);
    }
    let sid = raw.sid.map(|value| string("Sid", value)).transpose()?;
    // S3 takes any characters in a Sid, IAM letters and digits.
    if kind != Kind::Resource
        && sid.as_ref().is_some_and(|sid| !sid.bytes().all(|b| b.is_ascii_alphanumeric()))
    {
        return Err("Statement IDs (SID) must be alpha-numeric. Check that your input satisfies \
                    the regular expression [0-9A-Za-z]*"
            .to_owned());
    }
    let effect = match string("Effect", raw.effect.ok_or("Missing required field Effect")?)? {
        allow if allow == "Allow" => Effect::Allow,
        deny if deny == "Deny" => Effect::Deny,
        other => return Err(format!("Invalid effect: {other}")),
    };
    let who = who(kind, effect, raw.principal, raw.not_principal)?;
    let (written, negated) = one_of("Action", raw.action, raw.not_action)?;
    written.iter().try_for_each(|pattern| actions::check(pattern))?;
    if kind == Kind::Trust {
        let of_sts = |pattern: &String| {
            pattern.split_once(':').is_some_and(|(service, _)| service.eq_ignore_ascii_case("sts"))
        };
        if negated || !written.iter().all(of_sts) {
            return Err("AssumeRole policy may only specify STS AssumeRole actions.".to_owned());
        }
    }
    let (resources, resources_written) = match kind {
        Kind::Trust => match (&raw.resource, &raw.not_resource) {
            (None, None) => (Resources::Own, Vec::new()),
            (Some(_), _) => return Err("Has prohibited field Resource".to_owned()),
            (_, Some(_)) => return Err("Has prohibited field NotResource".to_owned()),
        },
        _ => {
            let (written, negated) = one_of("Resource", raw.resource, raw.not_resource)?;
            let read: Vec<ArnPattern> = written
                .iter()
                .map(|text| {
                    check_vendor(text)?;
                    ArnPattern::read(text, variables)
                        .map_err(|why| format!("Resource {text} {why}"))
                })
                .collect::<Result<_, String>>()?;
            let read = if negated { Resources::AllBut(read) } else { Resources::These(read) };
            (read, written)
        }
    };
    let conditions = match raw.condition {
        None => Vec::new(),
        Some(Json::Object(operators)) => conditions(operators, variables)?,
        Some(other) => return Err(format!("Condition is {}, not an object", other.kind())),
    };
    let actions = ActionSet::new(written, negated);
    Ok(Statement { sid, effect, who, actions, resources, resources_written, conditions })
}

fn check_vendor(resource: &str) -> Result<(), String> {
    match resource.split(':').nth(2) {
        Some(vendor) if vendor.contains(['*', '?', '$']) => Err(format!(
            "Resource {resource}: the vendor must be fully qualified and cannot contain regexes."
        )),
        _ => Ok(()),
    }
}

fn who(
    kind: Kind,
    effect: Effect,
    principal: Option<Json>,
    not_principal: Option<Json>,
) -> Result<Who, String> {
    match (kind, principal, not_principal) {
        (Kind::Identity, None, None) => Ok(Who::Bearer),
        (Kind::Identity, ..) => Err("Policy document should not specify a principal.".to_owned()),
        (_, None, None) => Err("Missing required field Principal".to_owned()),
        (_, Some(_), Some(_)) => Err("it has both Principal and NotPrincipal".to_owned()),
        (_, Some(these), None) => Ok(Who::These(named(these)?)),
        (Kind::Trust, None, Some(_)) => Err("Has prohibited field NotPrincipal".to_owned()),
        (Kind::Resource, None, Some(_)) if effect == Effect::Allow => {
            Err("Allow with NotPrincipal is not allowed.".to_owned())
        }
        (Kind::Resource, None, Some(all_but)) => Ok(Who::AllBut(named(all_but)?)),
    }
}

fn named(value: Json) -> Result<Vec<Named>, String> {
    let members = match value {
        Json::String(text) if text == "*" => return Ok(vec![Named::Everyone]),
        Json::Object(members) if !members.is_empty() => members,
        Json::String(text) => return Err(format!("Invalid principal in policy: \"{text}\"")),
        other => return Err(format!("Invalid principal in policy: {}", other.kind())),
    };
    let mut all = Vec::new();
    for (kind, value) in members {
        for text in strings(&kind, value)? {
            let one = Named::read(&kind, &text);
            all.push(
                one.ok_or_else(|| format!("Invalid principal in policy: \"{kind}\":\"{text}\""))?,
            );
        }
    }
    Ok(all)
}

fn conditions(operators: Members, variables: bool) -> Result<Vec<Condition>, String> {
    let mut all = Vec::new();
    for (operator, keys) in operators {
        let Json::Object(keys) = keys else {
            return Err(format!("Condition {operator} is {}, not an object", keys.kind()));
        };
        for (key, value) in keys {
            let values = match value {
                Json::List(values) => values,
                one => vec![one],
            };
            let values: Vec<String> = values
                .into_iter()
                .map(|value| match value {
                    Json::String(text) | Json::Scalar(text) => Ok(text),
                    other => Err(format!("{operator} on {key}: {} is no value", other.kind())),
                })
                .collect::<Result<_, _>>()?;
            all.push(Condition::read(&operator, &key, &values, variables)?);
        }
    }
    Ok(all)
}

/// The patterns of `name` or of its opposite, and whether it is the opposite.
fn one_of(
    name: &str,
    these: Option<Json>,
    all_but: Option<Json>,
) -> Result<(Vec<String>, bool), String> {
    match (these, all_but) {
        (Some(these), None) => Ok((strings(name, these)?, false)),
        (None, Some(all_but)) => Ok((strings(&format!("Not{name}"), all_but)?, true)),
        (None, None) => Err(format!("Missing required field {name}")),
        (Some(_), Some(_)) => Err(format!("it has both {name} and Not{name}")),
    }
}

fn string(name: &str, value: Json) -> Result<String, String> {
    match value {
        Json::String(text) => Ok(text),
        other => Err(format!("{name} is {}, not a string", other.kind())),
    }
}

/// One string, or a list of them that is not empty.
fn strings(name: &str, value: Json) -> Result<Vec<String>, String> {
    match value {
        Json::List(values) if values.is_empty() => Err(format!("{name} is an empty list")),
        Json::List(values) => values.into_iter().map(|value| string(name, value)).collect(),
        one => Ok(vec![string(name, one)?]),
    }
}
