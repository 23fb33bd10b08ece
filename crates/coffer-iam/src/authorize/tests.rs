use super::*;
use crate::{Attached, Kind, Policy, Scope};

fn user(policies: Vec<Policy>) -> Principal {
    let named = |(i, policy)| Attached::new(format!("p{}", i + 1), policy);
    let policies = policies.into_iter().enumerate().map(named).collect();
    Principal { policies, ..Principal::user("111122223333", "owner", "ada", "AIDA") }
}

fn authorize(p: &Principal, action: Action, resource: &Resource) -> Result<Grant, Denied> {
    super::authorize(p, &Ask::new(action, resource))
}

fn policy(json: &str) -> Policy {
    Policy::parse(json, Kind::Identity).unwrap()
}

#[test]
fn without_a_policy_nothing_is_allowed_and_root_may_everything() {
    let root = Principal::root("111122223333", "owner");
    for &action in Action::ALL.iter().filter(|action| !action.needs_trust()) {
        let resource = resource_for(action, "b", "k");
        let denied = authorize(&user(vec![]), action, &resource).unwrap_err();
        assert_eq!(denied.reason, Reason::Implicit(Layer::Identity));
        let grant = authorize(&root, action, &resource).unwrap();
        assert_eq!((grant.action(), grant.resource()), (action, &resource));
        assert!(grant.is_root());
        assert_eq!(grant.owner_id(), "owner");
    }
}

#[test]
fn a_deny_wins_and_says_which_statement_it_is() {
    let ada = user(vec![
        Policy::canned("readwrite").unwrap(),
        policy(
            r#"{"Statement": [
                {"Effect": "Allow", "Action": "*", "Resource": "*"},
                {"Sid": "NoSecrets", "Effect": "Deny", "Action": "s3:*",
                 "Resource": "arn:aws:s3:::b/secret/*"}]}"#,
        ),
    ]);
    let grant = authorize(&ada, Action::GetObject, &Resource::object("b", "open")).unwrap();
    assert_eq!((grant.bucket(), grant.key(), grant.principal()), ("b", Some("open"), "ada"));
    let denied = authorize(&ada, Action::GetObject, &Resource::object("b", "secret/k"));
    assert_eq!(
        denied.unwrap_err().to_string(),
        "User: arn:aws:iam::111122223333:user/ada is not authorized to perform: s3:GetObject on \
         resource: arn:aws:s3:::b/secret/k with an explicit deny in an identity-based policy \
         (statement 2 \"NoSecrets\" of identity-based policy \"p2\")"
    );
}

#[test]
fn readonly_may_not_write() {
    let ada = user(vec![Policy::canned("readonly").unwrap()]);
    assert!(authorize(&ada, Action::ListAllMyBuckets, &Resource::store()).is_ok());
    assert!(authorize(&ada, Action::GetObject, &Resource::object("b", "k")).is_ok());
    for (action, resource) in [
        (Action::CreateBucket, Resource::bucket("b")),
        (Action::PutObject, Resource::object("b", "k")),
        (Action::DeleteObject, Resource::object("b", "k")),
        (Action::AdminUsers, Resource::store()),
    ] {
        let denied = authorize(&ada, action, &resource).unwrap_err();
        assert!(denied.to_string().contains("because no identity-based policy allows"), "{denied}");
    }
}

#[test]
fn readwrite_may_not_administer_users() {
    let ada = user(vec![Policy::canned("readwrite").unwrap()]);
    for &action in Action::ALL {
        let answer = authorize(&ada, action, &resource_for(action, "b", "k"));
        let allowed = action.service() == "s3" || action.name().ends_with("BucketAck");
        assert_eq!(answer.is_ok(), allowed, "{action}");
    }
}

#[test]
fn an_action_on_the_wrong_kind_of_resource_is_denied_even_to_root() {
    let denied =
        authorize(&Principal::root("111122223333", "o"), Action::PutObject, &Resource::bucket("b"));
    assert_eq!(denied.unwrap_err().reason, Reason::WrongScope);
}

#[test]
fn a_bucket_pattern_without_a_slash_covers_neither_other_buckets_nor_keys() {
    let ada = user(vec![policy(
        r#"{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::logs"}}"#,
    )]);
    assert!(authorize(&ada, Action::ListBucket, &Resource::bucket("logs")).is_ok());
    assert!(authorize(&ada, Action::ListBucket, &Resource::bucket("logs2")).is_err());
    assert!(authorize(&ada, Action::GetObject, &Resource::object("logs", "k")).is_err());
    assert!(authorize(&ada, Action::ListAllMyBuckets, &Resource::store()).is_err());
}

fn resource_for(action: Action, bucket: &str, key: &str) -> Resource {
    match action.scope() {
        Scope::Store => Resource::store(),
        Scope::Bucket => Resource::bucket(bucket),
        Scope::Object => Resource::object(bucket, key),
        Scope::Identity => Resource::iam(Scope::User, "arn:aws:iam::111122223333:user/u"),
        scope => Resource::iam(scope, "arn:aws:iam::111122223333:x/u"),
    }
}

#[test]
fn what_is_explained_is_the_statement_that_decides() {
    let explained = |json: &str, principal: &Principal, restrict_public: bool| {
        let bucket = Policy::parse(json, Kind::Resource).unwrap();
        let resource = Resource::object("b", "k");
        crate::explain(
            principal,
            &Ask {
                owner: Some("111122223333"),
                resource_policy: Some(&bucket),
                restrict_public,
                ..Ask::new(Action::GetObject, &resource)
            },
        )
    };
    // To name the account alone grants its users nothing.
    let both = r#"{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "s3:*",
         "Resource": "arn:aws:s3:::b/*"},
        {"Sid": "Ada", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:user/ada"},
         "Action": "s3:*", "Resource": "arn:aws:s3:::b/*"}]}"#;
    let statement = explained(both, &user(vec![]), false).statement.unwrap();
    assert_eq!((statement.statement, statement.sid.as_deref()), (2, Some("Ada")));

    let everyone = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*",
        "Action": "s3:*", "Resource": "arn:aws:s3:::b/*"}}"#;
    let nobody = Principal::anonymous();
    let open = explained(everyone, &nobody, false);
    assert!(open.statement.is_some() && !open.restricted);
    let kept = explained(everyone, &nobody, true);
    assert_eq!((kept.statement, kept.decided_by), (None, Some(Layer::Resource)));
    assert!(kept.restricted && !explained(everyone, &user(vec![]), true).restricted);
}
