use super::*;
use crate::wildcard::tests::matches_slowly;
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

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// A statement as the reference sees it: effect, (negated, patterns) twice.
#[derive(Clone)]
struct Rule {
    deny: bool,
    actions: (bool, Vec<String>),
    resources: (bool, Vec<String>),
}

impl Rule {
    fn random(dice: &mut Dice, deny: bool) -> Rule {
        let mut list = |make: &mut dyn FnMut(&mut Dice) -> String| {
            let negated = dice.below(4) == 0;
            let patterns = (0..1 + dice.below(3)).map(|_| make(dice)).collect();
            (negated, patterns)
        };
        let actions = list(&mut |dice| {
            dice.one(&[
                "*",
                "s3:*",
                "s3:Get*",
                "s3:*Object",
                "S3:putobject",
                "s3:????Object",
                "s3:List*",
                "coffer:*",
                "s3:*Bucket*",
                "s3:CreateBucket",
            ])
            .to_owned()
        });
        let resources = list(&mut |dice| match dice.below(4) {
            0 => "*".to_owned(),
            _ => {
                let parts: String =
                    (0..1 + dice.below(4)).map(|_| dice.one(&["a", "b", "/", "*", "?"])).collect();
                format!("arn:aws:s3:::{parts}")
            }
        });
        Rule { deny, actions, resources }
    }

    fn json(&self) -> String {
        let list = |name: &str, (negated, patterns): &(bool, Vec<String>)| {
            let not = if *negated { "Not" } else { "" };
            format!("\"{not}{name}\": {}", serde_json::to_string(patterns).unwrap())
        };
        format!(
            "{{\"Effect\": \"{}\", {}, {}}}",
            if self.deny { "Deny" } else { "Allow" },
            list("Action", &self.actions),
            list("Resource", &self.resources)
        )
    }

    fn applies(&self, action: &str, arn: &str) -> bool {
        let action = action.to_lowercase();
        let a = self.actions.1.iter().any(|p| matches_slowly(&p.to_lowercase(), &action));
        let r = self.resources.1.iter().any(|p| matches_slowly(p, arn));
        a != self.actions.0 && r != self.resources.0
    }
}

fn principal_of(policies: &[Vec<Rule>]) -> Principal {
    let policies = policies
        .iter()
        .map(|rules| {
            let rules: Vec<String> = rules.iter().map(Rule::json).collect();
            policy(&format!("{{\"Statement\": [{}]}}", rules.join(",")))
        })
        .collect();
    user(policies)
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

fn random_policies(dice: &mut Dice) -> Vec<Vec<Rule>> {
    (0..1 + dice.below(3))
        .map(|_| {
            (0..1 + dice.below(3))
                .map(|_| {
                    let deny = dice.below(3) == 0;
                    Rule::random(dice, deny)
                })
                .collect()
        })
        .collect()
}

fn random_question(dice: &mut Dice) -> (Action, Resource) {
    let action = loop {
        let action = Action::ALL[dice.below(Action::ALL.len())];
        if !action.needs_trust() {
            break action;
        }
    };
    let bucket = dice.one(&["a", "b", "ab", "ba"]);
    let key = dice.one(&["a", "b", "a/b", "b/b", "ab"]);
    (action, resource_for(action, bucket, key))
}

#[test]
fn random_policies_decide_as_the_reference_does_in_any_order_and_a_deny_never_grants() {
    let dice = &mut Dice(20_261);
    let (mut granted, mut refused) = (0, 0);
    for round in 0..3_000 {
        let policies = random_policies(dice);
        let (action, resource) = random_question(dice);
        let answer = authorize(&principal_of(&policies), action, &resource);

        let arn = resource.arn();
        let applying: Vec<&Rule> =
            policies.iter().flatten().filter(|r| r.applies(action.name(), &arn)).collect();
        let expected = applying.iter().all(|r| !r.deny) && applying.iter().any(|r| !r.deny);
        assert_eq!(answer.is_ok(), expected, "round {round}: {action} on {arn}");
        if expected {
            granted += 1
        } else {
            refused += 1
        }

        let mut shuffled = policies.clone();
        shuffled.reverse();
        shuffled.iter_mut().for_each(|rules| rules.reverse());
        let reordered = authorize(&principal_of(&shuffled), action, &resource);
        assert_eq!(reordered.is_ok(), expected, "round {round}: the order matters");

        let mut stricter = policies.clone();
        let which = dice.below(stricter.len());
        let at = dice.below(stricter[which].len() + 1);
        stricter[which].insert(at, Rule::random(dice, true));
        let stricter = authorize(&principal_of(&stricter), action, &resource);
        assert!(expected || stricter.is_err(), "round {round}: a deny granted");
    }
    assert!(granted > 300 && refused > 300, "{granted} granted, {refused} refused: a dull test");
}
