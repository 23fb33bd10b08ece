//! What-if: the decision about any action and ARN, with the statements that made it. Conditions
//! see what the request says (`ContextEntries`) and what follows from the principal, and nothing
//! else: not the time, not the caller's address.

use std::cell::Cell;

use coffer_iam::{
    Action, Attached, Context, Decision, Effect, Explanation, Kind as DocumentKind, Layer, Policy,
    Principal, PrincipalKind, Simulation, StatementRef,
};
use coffer_identity::{AccountId, Kind, parse_arn};

use super::Done;
use crate::call::{Call, Extra};
use crate::document::Document;
use crate::error::{Code, QueryError};
use crate::form::{Parameters, invalid};

/// The most statements that are gone through for one reply: tenths of a second.
const STATEMENTS_MAX: usize = 20_000;
/// The most that one evaluation may take, in bytes that are compared: some tenths of a second. A
/// policy of everyday size takes less than a hundredth of it.
const EVALUATION_BYTES_MAX: u64 = 256 << 20;
/// When a reply is so long, the rest is left to the next one.
const REPLY_BYTES: usize = 1 << 20;
/// The longest ARN of a resource, as AWS has it.
const RESOURCE_CHARS_MAX: usize = 2048;
/// The longest name of an action, as AWS has it.
const ACTION_CHARS_MAX: usize = 128;

pub(super) async fn custom(call: &Call<'_>, xml: &mut Document) -> Done {
    call.grant_account(Action::SimulateCustomPolicy)?;
    let documents = call.parameters.list("PolicyInputList")?;
    let Some(documents) = documents.filter(|documents| !documents.is_empty()) else {
        return Err(invalid("PolicyInputList", "Member must not be null"));
    };
    let caller = &call.caller;
    let mut principal =
        Principal::user(caller.account.clone(), caller.owner_id.clone(), "simulated", "AIDA");
    principal.policies = inputs("PolicyInputList", &documents)?;
    simulate(call, principal, xml)
}

pub(super) async fn principal(call: &Call<'_>, xml: &mut Document) -> Done {
    let arn = call.parameters.need("PolicySourceArn")?;
    call.grant_arn(Action::SimulatePrincipalPolicy, arn, Extra::new())?;
    let account = call.account()?;
    let is_own = matches!(
        parse_arn(arn),
        Some((Some(of), Kind::User | Kind::Group | Kind::Role, _, _)) if of == account
    );
    let found = if is_own { call.identity.principal_by_arn(arn)? } else { None };
    let Some(mut principal) = found else {
        return Err(QueryError::new(
            Code::NoSuchEntity,
            format!("The policy source {arn} cannot be found."),
        ));
    };
    let documents = call.parameters.list("PolicyInputList")?.unwrap_or_default();
    principal.policies.extend(inputs("PolicyInputList", &documents)?);
    simulate(call, principal, xml)
}

/// Policies that the request brings.
fn inputs(name: &'static str, documents: &[String]) -> Result<Vec<Attached>, QueryError> {
    let parse = |(i, document): (usize, &String)| {
        let policy = parse(document, DocumentKind::Identity)?;
        Ok(Attached::new(format!("{name}.{}", i + 1), policy))
    };
    documents.iter().enumerate().map(parse).collect()
}

fn parse(document: &str, kind: DocumentKind) -> Result<Policy, QueryError> {
    Policy::parse(document, kind)
        .map_err(|error| QueryError::new(Code::MalformedPolicyDocument, error.to_string()))
}

fn simulate(call: &Call<'_>, mut principal: Principal, xml: &mut Document) -> Done {
    let p = &call.parameters;
    p.refuse(&["OrderedOrganizationPolicyInputList", "ResourceHandlingOption"])?;
    p.refuse(&["PolicyExclusionList"])?;
    let boundaries = p.list("PermissionsBoundaryPolicyInputList")?.unwrap_or_default();
    match &boundaries[..] {
        [] => {}
        [_] => {
            principal.boundary = inputs("PermissionsBoundaryPolicyInputList", &boundaries)?.pop();
        }
        _ => {
            let what = "Member must have length less than or equal to 1";
            return Err(invalid("PermissionsBoundaryPolicyInputList", what));
        }
    }
    if let Some(caller) = p.get("CallerArn").filter(|arn| !arn.is_empty()) {
        become_caller(&mut principal, caller)?;
    }
    let actions = p.list("ActionNames")?.unwrap_or_default();
    if actions.is_empty() {
        return Err(invalid("ActionNames", "Member must not be null"));
    }
    if let Some(wrong) = actions.iter().find(|action| !is_action(action)) {
        return Err(QueryError::new(
            Code::InvalidInput,
            format!("Invalid Input Action: {wrong} did not match the format vendor:action."),
        ));
    }
    let resources = p.list("ResourceArns")?.filter(|arns| !arns.is_empty());
    let resources = resources.unwrap_or_else(|| vec!["*".to_owned()]);
    for (name, texts, max) in [
        ("ActionNames", &actions, ACTION_CHARS_MAX),
        ("ResourceArns", &resources, RESOURCE_CHARS_MAX),
    ] {
        if texts.iter().any(|text| text.len() > max) {
            let what = format!("Member must have length less than or equal to {max}");
            return Err(invalid(name, &what));
        }
    }
    let resource_policy = match p.get("ResourcePolicy").filter(|text| !text.is_empty()) {
        Some(document) => Some(parse(document, DocumentKind::Resource)?),
        None => None,
    };
    let owner = owner(p)?;
    let context = context(p)?;

    let paging = call.paging()?;
    let begin: usize = match paging.marker {
        None => 0,
        Some(marker) => {
            marker.parse().map_err(|_| QueryError::new(Code::ValidationError, "Invalid Marker."))?
        }
    };
    let count = actions.len() * resources.len();
    // Each evaluation goes through all statements and may tell of them all.
    let policies = principal.policies.iter().chain(&principal.boundary).map(|a| &*a.policy);
    let policies: Vec<&Policy> = policies.chain(&resource_policy).collect();
    let statements: usize = policies.iter().map(|policy| policy.statements().len()).sum();
    let evaluation_bytes = evaluation_bytes(&policies, &context);
    if evaluation_bytes > EVALUATION_BYTES_MAX {
        return Err(QueryError::new(
            Code::LimitExceeded,
            "The policies and the context entries are too long to be evaluated together.",
        ));
    }
    let items_max = paging
        .items_max
        .min(STATEMENTS_MAX / statements.max(1))
        .min((EVALUATION_BYTES_MAX / evaluation_bytes.max(1)) as usize)
        .max(1);
    let last = begin.saturating_add(items_max).min(count);
    let (end, bytes) = (Cell::new(begin.min(count)), Cell::new(0));
    let within = (begin..last).take_while(|_| bytes.get() < REPLY_BYTES);
    xml.members("EvaluationResults", within, |xml, i| {
        let action = &actions[i / resources.len()];
        let resource = &resources[i % resources.len()];
        let simulated = coffer_iam::simulate(&Simulation {
            principal: &principal,
            action,
            resource,
            owner: owner.as_deref(),
            resource_policy: resource_policy.as_ref(),
            context: &context,
        });
        xml.text("EvalActionName", action).text("EvalResourceName", resource);
        explanation(xml, &simulated.explanation);
        xml.texts("MissingContextValues", &simulated.missing_context);
        bytes.set(xml.bytes());
        end.set(i + 1);
    });
    let end = end.get();
    xml.plain("IsTruncated", end < count);
    if end < count {
        xml.plain("Marker", end);
    }
    Ok(())
}

/// The most that one evaluation compares: every element of the policies with everything that the
/// request brings, in a pattern with `?` 64 bytes of it at a time.
fn evaluation_bytes(policies: &[&Policy], context: &Context) -> u64 {
    let told: usize =
        context.iter().flat_map(|(_, values)| values).map(|value| 1 + value.len()).sum();
    let told = told + RESOURCE_CHARS_MAX + ACTION_CHARS_MAX;
    let elements: usize = policies.iter().map(|policy| policy.elements()).sum();
    let documents: usize = policies.iter().map(|policy| policy.document_bytes()).sum();
    (told as u64).saturating_mul((elements + documents / 64) as u64)
}

fn is_action(text: &str) -> bool {
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.split_once(':').is_some_and(|(service, name)| word(service) && word(name))
}

/// Simulates as if a user with this ARN asked.
fn become_caller(principal: &mut Principal, caller: &str) -> Result<(), QueryError> {
    let Some((Some(account), Kind::User, path, name)) = parse_arn(caller) else {
        return Err(QueryError::new(
            Code::InvalidInput,
            format!("Invalid Input CallerArn: {caller} is not the ARN of a user."),
        ));
    };
    principal.account = account.to_string();
    principal.kind = PrincipalKind::User { path: path.to_owned(), name: name.to_owned() };
    Ok(())
}

/// The account that owns the resources, from its number or the ARN of its root.
fn owner(p: &Parameters) -> Result<Option<String>, QueryError> {
    let Some(text) = p.get("ResourceOwner").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let root = text.strip_prefix("arn:aws:iam::").and_then(|rest| rest.strip_suffix(":root"));
    match AccountId::parse(root.unwrap_or(text)) {
        Some(account) => Ok(Some(account.to_string())),
        None => Err(QueryError::new(
            Code::InvalidInput,
            format!("Invalid Input ResourceOwner: {text} is not an account."),
        )),
    }
}

fn context(p: &Parameters) -> Result<Context, QueryError> {
    let mut context = Context::new();
    for entry in p.structures("ContextEntries")?.unwrap_or_default() {
        let name = entry.need("ContextKeyName")?.to_owned();
        let values = entry.list("ContextKeyValues")?.unwrap_or_default();
        context.set_all(name, values);
    }
    Ok(context)
}

fn explanation(xml: &mut Document, explanation: &Explanation) {
    let Explanation { decision, verdicts, .. } = explanation;
    xml.text("EvalDecision", decision.name());
    let effect = match decision {
        Decision::ExplicitDeny => Effect::Deny,
        _ => Effect::Allow,
    };
    let decisive = verdicts.iter().flat_map(|verdict| &verdict.statements);
    let decisive = decisive.filter(|found| found.effect == effect);
    xml.members("MatchedStatements", decisive, |xml, found| {
        xml.text("SourcePolicyId", &found.policy).text("SourcePolicyType", source_type(found));
    });
    let boundary = verdicts.iter().find(|verdict| verdict.layer == Layer::Boundary);
    if let Some(boundary) = boundary.filter(|verdict| verdict.present) {
        xml.within("PermissionsBoundaryDecisionDetail", |xml| {
            let allowed = boundary.decision == Decision::Allowed;
            xml.plain("AllowedByPermissionsBoundary", allowed);
        });
    }
}

fn source_type(found: &StatementRef) -> &'static str {
    let name = &*found.policy;
    if found.layer == Layer::Resource {
        "Resource Policy"
    } else if name.starts_with("arn:aws:iam::aws:") {
        "AWS Managed Policy"
    } else {
        "IAM Policy"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_told_from_other_texts() {
        for action in ["s3:GetObject", "iam:CreateUser", "execute-api:Invoke", "ec2:X1"] {
            assert!(is_action(action), "{action}");
        }
        for other in ["", ":", "s3", "s3:", ":Get", "s3:*", "s3:Get Object", "s3:a:b", "é:a"] {
            assert!(!is_action(other), "{other}");
        }
    }

    #[test]
    fn owners_are_accounts() {
        let of = |text: &str| {
            let form = format!("ResourceOwner={text}");
            let query = coffer_sigv4::Query::default();
            owner(&Parameters::read(form.as_bytes(), &query).unwrap())
        };
        assert_eq!(of("").unwrap(), None);
        assert_eq!(of("111122223333").unwrap().unwrap(), "111122223333");
        assert_eq!(of("arn:aws:iam::111122223333:root").unwrap().unwrap(), "111122223333");
        for wrong in ["1", "arn:aws:iam::1:root", "arn:aws:iam::111122223333:user/a"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
