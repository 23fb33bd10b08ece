//! The policy simulator.

use crate::world::*;

#[test]
fn a_policy_that_nobody_has_is_tried() {
    let world = World::new();
    let root = world.root();
    let policy = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::a/*"},
        {"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::a/secret",
         "Condition":{"StringNotEquals":{"aws:PrincipalTag/team":"x"}}},
        {"Effect":"Allow","Action":"ec2:Start","Resource":"*",
         "Condition":{"StringEquals":{"ec2:Region":["mars"]}}}]}"#;
    let ask = |more: &[(&str, &str)]| {
        let mut parameters = vec![
            ("PolicyInputList.member.1", policy),
            ("ActionNames.member.1", "s3:GetObject"),
            ("ActionNames.member.2", "ec2:Start"),
            ("ResourceArns.member.1", "arn:aws:s3:::a/b"),
            ("ResourceArns.member.2", "arn:aws:s3:::a/secret"),
        ];
        parameters.extend(more);
        root.call("SimulateCustomPolicy", &parameters).ok()
    };
    let answer = ask(&[]);
    assert_eq!(
        answer.texts("EvalDecision"),
        ["allowed", "explicitDeny", "implicitDeny", "implicitDeny"]
    );
    assert_eq!(answer.texts("EvalActionName")[2], "ec2:Start");
    assert_eq!(answer.texts("SourcePolicyId")[0], "PolicyInputList.1");
    assert!(answer.xml.contains("<MissingContextValues><member>aws:PrincipalTag/team</member>"));
    let mars = [
        ("ContextEntries.member.1.ContextKeyName", "ec2:Region"),
        ("ContextEntries.member.1.ContextKeyValues.member.1", "mars"),
        ("ContextEntries.member.1.ContextKeyType", "string"),
    ];
    assert_eq!(ask(&mars).texts("EvalDecision")[2], "allowed");
    let page = ask(&[("MaxItems", "3")]);
    assert_eq!((page.texts("EvalDecision").len(), page.text("Marker")), (3, "3"));
    assert_eq!(ask(&[("MaxItems", "3"), ("Marker", "3")]).texts("EvalDecision").len(), 1);
    let nothing = [("PermissionsBoundaryPolicyInputList.member.1", allow("ec2:*", "*"))];
    let bounded = ask(&nothing.each_ref().map(|(name, value)| (*name, value.as_str())));
    assert_eq!(bounded.texts("EvalDecision")[0], "implicitDeny");
    assert_eq!(bounded.texts("AllowedByPermissionsBoundary")[0], "false");
}

#[test]
fn a_users_policies_are_tried_without_the_user() {
    let world = World::new();
    let root = world.root();
    world.user("ada", &[&allow("s3:GetObject", "arn:aws:s3:::a/*")]);
    let source = ("PolicySourceArn", "arn:aws:iam::111122223333:user/ada");
    let get = [
        source,
        ("ActionNames.member.1", "s3:GetObject"),
        ("ResourceArns.member.1", "arn:aws:s3:::a/b"),
    ];
    assert_eq!(root.call("SimulatePrincipalPolicy", &get).ok().text("EvalDecision"), "allowed");
    let put = [source, ("ActionNames.member.1", "s3:PutObject")];
    let answer = root.call("SimulatePrincipalPolicy", &put).ok();
    assert_eq!(answer.text("EvalDecision"), "implicitDeny");
    for (arn, code) in [
        ("arn:aws:iam::111122223333:user/none", "NoSuchEntity"),
        ("arn:aws:iam::999999999999:user/ada", "NoSuchEntity"),
        ("nonsense", "NoSuchEntity"),
    ] {
        let asked = [("PolicySourceArn", arn), ("ActionNames.member.1", "s3:PutObject")];
        root.call("SimulatePrincipalPolicy", &asked).refused(code);
    }
    root.call("SimulatePrincipalPolicy", &[source, ("ActionNames.member.1", "nonsense")])
        .refused("InvalidInput");
    root.call("SimulatePrincipalPolicy", &[source]).refused("ValidationError");
    let wrong = [put[0], put[1], ("PolicyInputList.member.1", "{")];
    root.call("SimulatePrincipalPolicy", &wrong).refused("MalformedPolicyDocument");
}

#[test]
fn a_reply_is_bounded_and_the_rest_comes_in_others() {
    let world = World::new();
    let root = world.root();
    let statement = r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#;
    let policy =
        format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, vec![statement; 200].join(","));
    let resources: Vec<(String, String)> = (1..=400)
        .map(|i| (format!("ResourceArns.member.{i}"), format!("arn:aws:s3:::b/{i}")))
        .collect();
    let mut ask: Vec<(&str, &str)> = vec![
        ("PolicyInputList.member.1", &policy),
        ("ActionNames.member.1", "s3:GetObject"),
        ("MaxItems", "1000"),
    ];
    ask.extend(resources.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let (mut seen, mut marker) = (0, None::<String>);
    loop {
        let mut page = ask.clone();
        page.extend(marker.as_deref().map(|marker| ("Marker", marker)));
        let answer = root.call("SimulateCustomPolicy", &page).ok();
        assert!(answer.xml.len() < 4 << 20, "{}", answer.xml.len());
        let decisions = answer.texts("EvalDecision").len();
        assert!((1..=100).contains(&decisions), "{decisions}");
        seen += decisions;
        if answer.text("IsTruncated") == "false" {
            break;
        }
        marker = Some(answer.text("Marker").to_owned());
    }
    assert_eq!(seen, 400);
    let long = format!("arn:aws:s3:::{}", "x".repeat(2048));
    let mut ask = ask[..2].to_vec();
    ask.push(("ResourceArns.member.1", &long));
    root.call("SimulateCustomPolicy", &ask).refused("ValidationError");
}

#[test]
fn what_would_take_too_long_to_evaluate_is_refused() {
    let world = World::new();
    let root = world.root();
    // Each value stands for what the request brings, and is put together for each comparison.
    let value = r#""${x:long}","#.repeat(1_000);
    let document = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Deny","Action":"s3:*","Resource":"*",
        "Condition":{{"StringEqualsIgnoreCase":{{"x:long":[{}]}}}}}}]}}"#,
        value.trim_end_matches(',')
    );
    let names: Vec<String> = (1..=40).map(|i| format!("PolicyInputList.member.{i}")).collect();
    let ask = |documents: usize, bytes: usize| {
        let long = "x".repeat(bytes);
        let mut parameters = vec![
            ("ActionNames.member.1", "s3:GetObject"),
            ("ContextEntries.member.1.ContextKeyName", "x:long"),
            ("ContextEntries.member.1.ContextKeyType", "string"),
            ("ContextEntries.member.1.ContextKeyValues.member.1", &long),
        ];
        parameters.extend(names[..documents].iter().map(|name| (name.as_str(), &*document)));
        root.call("SimulateCustomPolicy", &parameters)
    };
    assert_eq!(ask(1, 100).ok().text("EvalDecision"), "explicitDeny");
    assert_eq!(ask(10, 10_000).ok().text("EvalDecision"), "explicitDeny");
    ask(1, 400_000).refused("LimitExceeded");
    ask(20, 100_000).refused("LimitExceeded");
}
