//! Random policies and requests: both evaluators agree, and what must never happen does not.

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::reference::{self, Case};
use crate::setting::{caller, canonical, case, decide};

const ACCOUNTS: &[&str] = &["111122223333", "444455556666"];

fn random_caller(dice: &mut Dice) -> reference::Caller {
    let account = dice.one(ACCOUNTS);
    let path = dice.one(&["/", "/eng/"]);
    let mut it = match dice.below(10) {
        0 => caller("root", account, "/", "root"),
        1 => caller("anonymous", "", "/", ""),
        2 => caller("web", "", "/", "arn:aws:iam::111122223333:oidc-provider/id.example"),
        3..=6 => {
            let name = dice.one(&["ada", "bob"]);
            caller("user", account, path, name)
        }
        _ => {
            let name = dice.one(&["r/s", "r/t", "q/s"]);
            caller("role", account, path, name)
        }
    };
    if dice.chance(2) {
        it.tags.push(("team".to_owned(), dice.one(&["a", "b", "*", "é"]).to_owned()));
    }
    it
}

const KEYS: &[&str] = &[
    "aws:SourceIp",
    "aws:CurrentTime",
    "aws:SecureTransport",
    "s3:prefix",
    "s3:max-keys",
    "x:list",
    "aws:username",
    "aws:userid",
    "aws:PrincipalArn",
    "aws:PrincipalType",
    "aws:PrincipalAccount",
    "aws:PrincipalTag/team",
    "AWS:principaltag/TEAM",
    "s3:ResourceAccount",
    "x:blob",
];

fn random_value(dice: &mut Dice, key: &str) -> String {
    match key.to_lowercase().as_str() {
        "aws:sourceip" => {
            dice.one(&["203.0.113.7", "10.1.2.3", "2001:db8::1", "::ffff:10.1.2.3"]).to_owned()
        }
        "aws:currenttime" => dice.one(&["2026-01-01T00:00:00Z", "2026-06-01T12:00:00Z"]).to_owned(),
        "aws:securetransport" => dice.one(&["true", "false"]).to_owned(),
        "s3:max-keys" => dice.one(&["0", "10", "10.0", "1000", "-1", "x"]).to_owned(),
        "x:blob" => dice.one(&["YQ==", "Yg=="]).to_owned(),
        _ => dice.one(&["a", "b", "ab", "A", "", "ada", "home/ada", "*", "é"]).to_owned(),
    }
}

fn random_condition(dice: &mut Dice) -> (String, Value) {
    let key = dice.one(KEYS);
    let (operators, values): (&[&str], &[&str]) = match dice.below(9) {
        0 => (
            &[
                "NumericEquals",
                "NumericNotEquals",
                "NumericLessThan",
                "NumericLessThanEquals",
                "NumericGreaterThan",
                "NumericGreaterThanEquals",
            ],
            &["0", "10", "10.5", "1000", "-1"],
        ),
        1 => (
            &[
                "DateEquals",
                "DateNotEquals",
                "DateLessThan",
                "DateLessThanEquals",
                "DateGreaterThan",
                "DateGreaterThanEquals",
            ],
            &["2026-01-01T00:00:00Z", "2026-03-01", "1767225600"],
        ),
        2 => (&["Bool"], &["true", "false"]),
        3 => (
            &["IpAddress", "NotIpAddress"],
            &["203.0.113.0/24", "10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "10.1.2.3"],
        ),
        4 => (
            &["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"],
            &[
                "arn:aws:iam::111122223333:user/*",
                "arn:aws:iam::*:role/r",
                "*",
                "arn:aws:iam::111122223333:user/${aws:username}",
                "arn:*:iam::1*:*",
            ],
        ),
        5 => (&["BinaryEquals"], &["YQ==", "Yg=="]),
        6 => (&["Null"], &["true", "false"]),
        _ => (
            &[
                "StringEquals",
                "StringNotEquals",
                "StringEqualsIgnoreCase",
                "StringNotEqualsIgnoreCase",
                "StringLike",
                "StringNotLike",
            ],
            &[
                "a",
                "A",
                "*",
                "a*",
                "?",
                "home/${aws:username}",
                "${aws:PrincipalTag/team}",
                "${aws:PrincipalTag/team, 'b'}*",
                "${*}",
                "",
                "ada",
                "${x:list}",
            ],
        ),
    };
    let mut operator = dice.one(operators).to_owned();
    if operator != "Null" {
        if dice.chance(4) {
            operator.push_str("IfExists");
        }
        match dice.below(5) {
            0 => operator.insert_str(0, "ForAllValues:"),
            1 => operator.insert_str(0, "ForAnyValue:"),
            _ => {}
        }
    }
    let values: Vec<&str> = (0..1 + dice.below(2)).map(|_| dice.one(values)).collect();
    (operator, json!({ key: values }))
}

fn random_statement(dice: &mut Dice, effect: &str, with_principal: bool, trust: bool) -> Value {
    let mut s = json!({ "Effect": effect });
    let list = |dice: &mut Dice, of: &[&str]| -> Vec<String> {
        (0..1 + dice.below(2)).map(|_| dice.one(of).to_owned()).collect()
    };
    if trust {
        s["Action"] = json!(list(dice, &["sts:*", "sts:AssumeRole", "sts:Assume*"]));
    } else {
        let actions = list(
            dice,
            &[
                "*",
                "s3:*",
                "s3:Get*",
                "S3:getobject",
                "s3:PutObject",
                "s3:List*",
                "sts:*",
                "s3:*Object",
                "s3:????Object",
                "s3:*BucketPolicy",
                "iam:*",
            ],
        );
        let name = if dice.chance(5) { "NotAction" } else { "Action" };
        s[name] = json!(actions);
        let resources = list(
            dice,
            &[
                "*",
                "arn:aws:s3:::*",
                "arn:aws:s3:::b",
                "arn:aws:s3:::b/*",
                "arn:aws:s3:::?/a",
                "arn:aws:s3:::b/${aws:username}",
                "arn:aws:s3:::b/${aws:PrincipalTag/team}*",
                "arn:aws:s3",
                "arn:*:s3:::b/*",
                "arn:aws:iam::111122223333:role/*",
            ],
        );
        let name = if dice.chance(5) { "NotResource" } else { "Resource" };
        s[name] = json!(resources);
    }
    if with_principal {
        let listed: Vec<String> = (0..1 + dice.below(2)).map(|_| random_principal(dice)).collect();
        let name =
            if effect == "Deny" && !trust && dice.chance(3) { "NotPrincipal" } else { "Principal" };
        s[name] = match dice.below(6) {
            0 => json!("*"),
            1 => json!({"Federated": "arn:aws:iam::111122223333:oidc-provider/id.example"}),
            2 => json!({"CanonicalUser": canonical(dice.one(ACCOUNTS)), "AWS": listed}),
            _ => json!({"AWS": listed}),
        };
    }
    if dice.chance(2) {
        let mut conditions = serde_json::Map::new();
        for _ in 0..1 + dice.below(2) {
            let (operator, keys) = random_condition(dice);
            conditions.insert(operator, keys);
        }
        s["Condition"] = Value::Object(conditions);
    }
    s
}

fn random_principal(dice: &mut Dice) -> String {
    let account = dice.one(ACCOUNTS);
    let path = dice.one(&["/", "/eng/"]);
    match dice.below(9) {
        0 => account.to_owned(),
        1 => format!("arn:aws:iam::{account}:root"),
        2 | 3 => format!("arn:aws:iam::{account}:user{path}{}", dice.one(&["ada", "bob"])),
        4 => format!("arn:aws:iam::{account}:role{path}{}", dice.one(&["r", "q"])),
        5 => format!("arn:aws:sts::{account}:assumed-role/r/{}", dice.one(&["s", "t"])),
        6 => dice.one(&["AIDAADA", "AROAR", "AROAR:s"]).to_owned(),
        7 => format!("arn:aws:iam::{account}:root"),
        _ => "*".to_owned(),
    }
}

fn random_policy(dice: &mut Dice, with_principal: bool, trust: bool) -> Value {
    let statements: Vec<Value> = (0..1 + dice.below(3))
        .map(|_| {
            let effect = if dice.chance(4) { "Deny" } else { "Allow" };
            random_statement(dice, effect, with_principal, trust)
        })
        .collect();
    let version = if dice.chance(5) { "2008-10-17" } else { "2012-10-17" };
    json!({ "Version": version, "Statement": statements })
}

fn random_case(dice: &mut Dice) -> Case {
    let mut it = case(random_caller(dice));
    let (action, arn) = [
        ("s3:GetObject", "arn:aws:s3:::b/a"),
        ("s3:GetObject", "arn:aws:s3:::b/ada"),
        ("s3:PutObject", "arn:aws:s3:::b/a"),
        ("s3:ListBucket", "arn:aws:s3:::b"),
        ("s3:PutBucketPolicy", "arn:aws:s3:::b"),
        ("s3:ListAllMyBuckets", "arn:aws:s3:::"),
        ("sts:AssumeRole", "arn:aws:iam::111122223333:role/r"),
    ][dice.below(7)];
    (it.action, it.arn) = (action.to_owned(), arn.to_owned());
    let trust = action.starts_with("sts");
    if !matches!(it.caller.kind, "web" | "anonymous") {
        it.identity = (0..dice.below(3)).map(|_| random_policy(dice, false, false)).collect();
        if dice.chance(3) {
            it.boundary = Some(random_policy(dice, false, false));
        }
        if dice.chance(3) {
            let count = dice.below(3);
            it.session = Some((0..count).map(|_| random_policy(dice, false, false)).collect());
        }
    }
    if !dice.chance(3) {
        it.resource = Some(random_policy(dice, true, trust));
    }
    if dice.chance(2) {
        it.owner = Some(dice.one(ACCOUNTS).to_owned());
    }
    it.restrict_public = dice.chance(8);
    for key in KEYS {
        if dice.chance(2) {
            let count = if *key == "x:list" { dice.below(3) } else { 1 };
            let values = (0..count).map(|_| random_value(dice, key)).collect();
            it.context.insert(key.to_lowercase(), values);
        }
    }
    it
}

#[test]
fn both_evaluators_agree_on_random_policies_and_requests() {
    let dice = &mut Dice(20_261_124);
    let mut counts = std::collections::BTreeMap::new();
    for round in 0..20_000 {
        let case = random_case(dice);
        let expected = reference::decide(&case);
        let found = decide(&case);
        assert_eq!(found, expected, "round {round}: {case:#?}");
        *counts.entry(found).or_insert(0) += 1;
    }
    for decision in ["allowed", "explicitDeny", "implicitDeny"] {
        assert!(counts[decision] > 1_500, "a dull test: {counts:?}");
    }
}

#[test]
fn one_more_deny_never_grants() {
    let dice = &mut Dice(2);
    let mut kept = 0;
    for round in 0..2_000 {
        let before = random_case(dice);
        let mut after = before.clone();
        let trust = after.action.starts_with("sts");
        let is_resource = dice.chance(2) || matches!(after.caller.kind, "web" | "anonymous");
        let deny = random_statement(dice, "Deny", is_resource, is_resource && trust);
        let of = |policy: &mut Value| {
            policy["Statement"].as_array_mut().unwrap().push(deny.clone());
        };
        match (is_resource, &mut after.resource, after.identity.first_mut()) {
            (true, Some(policy), _) | (false, _, Some(policy)) => of(policy),
            _ => continue,
        }
        let (before_is, after_is) = (decide(&before), decide(&after));
        assert!(before_is == "allowed" || after_is != "allowed", "round {round}: {after:#?}");
        kept += usize::from(before_is == "allowed" && after_is != "allowed");
    }
    assert!(kept > 15, "the denies do something: {kept}");
}

#[test]
fn the_order_of_policies_and_statements_never_matters() {
    let dice = &mut Dice(3);
    for round in 0..2_000 {
        let case = random_case(dice);
        let mut shuffled = case.clone();
        dice.shuffle(&mut shuffled.identity);
        if let Some(session) = &mut shuffled.session {
            dice.shuffle(session);
        }
        let all = shuffled
            .identity
            .iter_mut()
            .chain(&mut shuffled.boundary)
            .chain(&mut shuffled.resource)
            .chain(shuffled.session.iter_mut().flatten());
        for policy in all {
            dice.shuffle(policy["Statement"].as_array_mut().unwrap());
        }
        assert_eq!(decide(&case), decide(&shuffled), "round {round}: {case:#?}");
    }
}

#[test]
fn a_boundary_or_a_session_policy_never_adds() {
    let dice = &mut Dice(4);
    let mut narrowed = 0;
    for round in 0..2_000 {
        let before = random_case(dice);
        if matches!(before.caller.kind, "web" | "anonymous") {
            continue;
        }
        let mut after = before.clone();
        if dice.chance(2) {
            after.boundary = Some(random_policy(dice, false, false));
            if before.boundary.is_some() {
                continue;
            }
        } else {
            after.session = Some(vec![random_policy(dice, false, false)]);
            if before.session.is_some() {
                continue;
            }
        }
        let (before_is, after_is) = (decide(&before), decide(&after));
        assert!(before_is == "allowed" || after_is != "allowed", "round {round}: {after:#?}");
        narrowed += usize::from(before_is == "allowed" && after_is != "allowed");
    }
    assert!(narrowed > 15, "they do something: {narrowed}");
}

#[test]
fn restricting_a_public_bucket_never_adds() {
    let dice = &mut Dice(5);
    for round in 0..2_000 {
        let before = random_case(dice);
        let mut after = before.clone();
        after.restrict_public = true;
        let (before_is, after_is) = (decide(&before), decide(&after));
        assert!(before_is == "allowed" || after_is != "allowed", "round {round}: {after:#?}");
    }
}
