//! One case for both evaluators: the crate's and the reference.

use std::collections::BTreeMap;
use std::sync::Arc;

use coffer_iam::{
    Action, Ask, Attached, Context, Decision, Kind, Policy, Principal, PrincipalKind, Resource,
    Scope, Simulation, authorize, explain, may_reach, simulate,
};
use serde_json::Value;

use crate::reference::{Caller, Case};

/// The canonical id of an account in the tests.
pub fn canonical(account: &str) -> String {
    format!("{account:0>64}")
}

/// A caller by its kind, account and name (of a role: `role/session`), with a path.
pub fn caller(kind: &'static str, account: &str, path: &str, name: &str) -> Caller {
    let (role, session) = name.split_once('/').unwrap_or((name, ""));
    let arn = match kind {
        "root" => format!("arn:aws:iam::{account}:root"),
        "user" => format!("arn:aws:iam::{account}:user{path}{name}"),
        "role" => format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
        "web" => name.to_owned(),
        _ => "anonymous".to_owned(),
    };
    let none = matches!(kind, "web" | "anonymous");
    Caller {
        kind,
        account: if none { String::new() } else { account.to_owned() },
        canonical: if none { String::new() } else { canonical(account) },
        arn,
        role_arn: match kind {
            "role" => format!("arn:aws:iam::{account}:role{path}{role}"),
            _ => "-".to_owned(),
        },
        user_id: match kind {
            "root" => account.to_owned(),
            "user" => format!("AIDA{}", name.to_uppercase()),
            "role" => format!("AROA{}:{session}", role.to_uppercase()),
            _ => "anonymous".to_owned(),
        },
        tags: Vec::new(),
    }
}

/// A case without policies.
pub fn case(caller: Caller) -> Case {
    Case {
        caller,
        identity: Vec::new(),
        boundary: None,
        session: None,
        resource: None,
        context: BTreeMap::new(),
        action: String::new(),
        arn: String::new(),
        owner: None,
        restrict_public: false,
    }
}

/// The crate's resource of an ARN, for an action.
fn resource(action: Action, arn: &str) -> Resource {
    match (action.scope(), arn.strip_prefix("arn:aws:s3:::")) {
        (Scope::Store, _) => Resource::store(),
        (Scope::Bucket, Some(bucket)) => Resource::bucket(bucket),
        (Scope::Object, Some(rest)) => {
            let (bucket, key) = rest.split_once('/').expect("an object has a bucket");
            Resource::object(bucket, key)
        }
        (Scope::Identity, _) => Resource::iam(Scope::User, arn),
        (scope, None) => Resource::iam(scope, arn),
        (scope, _) => panic!("{action} is on {scope:?}, not on {arn}"),
    }
}

/// What the crate decides; its four ways of asking must agree.
#[track_caller]
pub fn decide(case: &Case) -> &'static str {
    let read = |document: &Value, kind: Kind| -> Arc<Policy> {
        let text = document.to_string();
        match Policy::parse(&text, kind) {
            Ok(policy) => policy.into(),
            Err(error) => panic!("{error}: {text}"),
        }
    };
    let attached = |document: &Value| Attached::new("p", read(document, Kind::Identity));
    let Caller { kind, account, canonical, arn, user_id, tags, role_arn } = &case.caller;
    let after = |text: &str, start: &str| text.split_once(start).unwrap().1.to_owned();
    let path_and_name = |rest: String| {
        let (path, name) = rest.rsplit_once('/').unwrap();
        (format!("{path}/"), name.to_owned())
    };
    let kind = match *kind {
        "root" => PrincipalKind::Root,
        "user" => {
            let (path, name) = path_and_name(after(arn, ":user"));
            PrincipalKind::User { path, name }
        }
        "role" => {
            let (path, name) = path_and_name(after(role_arn, ":role"));
            PrincipalKind::Role { path, name, session: arn.rsplit('/').next().unwrap().to_owned() }
        }
        "web" => PrincipalKind::WebIdentity { provider: arn.clone() },
        _ => PrincipalKind::Anonymous,
    };
    let principal = Principal {
        account: account.clone(),
        kind,
        id: user_id.clone(),
        owner_id: canonical.clone(),
        policies: case.identity.iter().map(attached).collect(),
        boundary: case.boundary.as_ref().map(attached),
        session: case.session.as_ref().map(|all| all.iter().map(attached).collect()),
        tags: tags.clone(),
        context: Context::new(),
    };
    let mut context = Context::new();
    for (key, values) in &case.context {
        context.set_all(key.clone(), values.clone());
    }
    let action = Action::named(&case.action).expect("an action that Coffer has");
    let of_resource = case
        .resource
        .as_ref()
        .map(|p| read(p, if action.service() == "sts" { Kind::Trust } else { Kind::Resource }));
    let resource = resource(action, &case.arn);
    assert_eq!(resource.arn(), case.arn);
    let ask = Ask {
        action,
        resource: &resource,
        owner: case.owner.as_deref(),
        bucket_id: Some(7),
        resource_policy: of_resource.as_deref(),
        restrict_public: case.restrict_public,
        context: &context,
    };
    let explained = explain(&principal, &ask);
    match authorize(&principal, &ask) {
        Ok(grant) => {
            assert_eq!(explained.decision, Decision::Allowed);
            assert_eq!((grant.action(), grant.resource()), (action, &resource));
            assert_eq!(grant.bucket_id(), Some(7));
            let bucket = Resource::bucket(resource.bucket_name());
            let may = may_reach(&principal, &Ask { resource: &bucket, ..ask });
            assert!(may || action.scope() != Scope::Object, "allowed, but said not to be possible");
        }
        Err(denied) => {
            assert_ne!(explained.decision, Decision::Allowed);
            let explicit = denied.message().contains("explicit deny");
            assert_eq!(explained.decision == Decision::ExplicitDeny, explicit, "{denied}");
        }
    }
    if !case.restrict_public {
        let simulated = simulate(&Simulation {
            principal: &principal,
            action: &case.action,
            resource: &case.arn,
            owner: case.owner.as_deref(),
            resource_policy: of_resource.as_deref(),
            context: &context,
        });
        assert_eq!(simulated.explanation, explained);
    }
    explained.decision.name()
}
