use super::*;

const FULL: &str = r#"{
  "Version": "2012-10-17",
  "Id": "team",
  "Statement": [
    {"Sid": "Read", "Effect": "Allow", "Action": ["s3:GetObject", "s3:List*"],
     "Resource": ["arn:aws:s3:::photos", "arn:aws:s3:::photos/*"]},
    {"Effect": "Deny", "NotAction": "s3:Get*", "NotResource": "arn:aws:s3:::photos/public/*"}
  ]
}"#;

#[test]
fn what_is_written_reads_back_the_same() {
    for policy in [Policy::parse(FULL, Kind::Identity), Ok(Policy::canned("readonly").unwrap())] {
        let policy = policy.unwrap();
        assert_eq!(Policy::parse(&policy.to_json(), Kind::Identity).unwrap(), policy);
    }
}

#[test]
fn a_single_statement_needs_no_list() {
    let policy = Policy::parse(
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#,
        Kind::Identity,
    );
    assert_eq!(policy.unwrap().statements().len(), 1);
}

#[test]
fn canned_policies_are_recognised() {
    for name in CANNED {
        let policy = Policy::canned(name).unwrap();
        assert_eq!(policy.canned_name(), Some(*name));
        assert_eq!(
            Policy::parse(&policy.to_json(), Kind::Identity).unwrap().canned_name(),
            Some(*name)
        );
    }
    assert_eq!(Policy::canned("admin"), None);
    assert_eq!(Policy::parse(FULL, Kind::Identity).unwrap().canned_name(), None);
}

/// What is wrong with a document, by the kind of policy it is read as.
#[track_caller]
fn refused(document: &str, kind: Kind) -> String {
    match Policy::parse(document, kind) {
        Ok(_) => panic!("accepted as {kind:?}: {document:.300}"),
        Err(error) => {
            let error = error.to_string();
            assert!(!error.contains('\n'), "one line: {error}");
            error
        }
    }
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let statement = |rest: &str| {
        format!(r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", {rest}}}]}}"#)
    };
    let ok = r#""Action": "s3:*", "Resource": "*""#;
    let condition = |inside: &str| statement(&format!(r#"{ok}, "Condition": {{{inside}}}"#));
    for (document, expected) in [
        (statement(&format!(r#"{ok}, "Condition": null"#)), "Condition is null, not an object"),
        (statement(&format!(r#"{ok}, "Condition": []"#)), "Condition is a list"),
        (condition(r#""StringEquals": "x""#), "StringEquals is a string, not an object"),
        (
            condition(r#""StringSame": {"aws:username": "a"}"#),
            "Invalid Condition type : StringSame",
        ),
        (condition(r#""stringequals": {"aws:username": "a"}"#), "Invalid Condition type"),
        (condition(r#""ForSome:StringLike": {"aws:username": "a"}"#), "Invalid Condition type"),
        (condition(r#""ForAllValues:Null": {"aws:username": "true"}"#), "Invalid Condition type"),
        (condition(r#""NullIfExists": {"aws:username": "true"}"#), "Invalid Condition type"),
        (
            condition(r#""StringEqualsIfExistsIfExists": {"aws:username": "a"}"#),
            "Invalid Condition",
        ),
        (condition(r#""StringEquals": {"username": "a"}"#), "invalid condition key: username"),
        (condition(r#""StringEquals": {"aws:username": []}"#), "there are no values"),
        (condition(r#""StringEquals": {"aws:username": {}}"#), "an object is no value"),
        (condition(r#""StringEquals": {"aws:username": null}"#), "null is no value"),
        (condition(r#""NumericLessThan": {"s3:max-keys": "ten"}"#), "\"ten\" is not a number"),
        (condition(r#""DateLessThan": {"aws:CurrentTime": "soon"}"#), "\"soon\" is not a date"),
        (condition(r#""Bool": {"aws:SecureTransport": "yes"}"#), "is not true or false"),
        (condition(r#""Null": {"aws:username": "maybe"}"#), "is not true or false"),
        (condition(r#""IpAddress": {"aws:SourceIp": "10.0.0.0/40"}"#), "is not an IP address"),
        (condition(r#""BinaryEquals": {"x:k": "?"}"#), "is not base64"),
        (condition(r#""ArnLike": {"aws:PrincipalArn": "user/x"}"#), "must be in ARN format"),
        (condition(r#""StringLike": {"s3:prefix": "${aws:username"}"#), "is not closed"),
        (condition(r#""StringLike": {"s3:prefix": "${username}"}"#), "is not a policy variable"),
        (
            condition(r#""StringLike": {"s3:prefix": "${aws:username, x}"}"#),
            "not a policy variable",
        ),
        (statement(&format!(r#"{ok}, "Principal": "*""#)), "should not specify a principal"),
        (statement(&format!(r#"{ok}, "NotPrincipal": "*""#)), "should not specify a principal"),
        (statement(&format!(r#"{ok}, "Effect": "Deny""#)), "duplicate key \"Effect\""),
        (statement(&format!(r#"{ok}, "Colour": "red""#)), "Unknown field Colour"),
        (statement(&format!(r#"{ok}, "Sid": "a b""#)), "must be alpha-numeric"),
        (statement(r#""Action": "s3:*""#), "Missing required field Resource"),
        (statement(r#""Resource": "*""#), "Missing required field Action"),
        (statement(&format!(r#"{ok}, "NotAction": "s3:*""#)), "both Action and NotAction"),
        (statement(r#""NotAction": [], "Resource": "*""#), "empty list"),
        (statement(r#""Action": "GetObject", "Resource": "*""#), "must be prefaced by a vendor"),
        (statement(r#""Action": "s*:x", "Resource": "*""#), "Vendor s* is not valid"),
        (statement(r#""Action": "s3:${a:b}", "Resource": "*""#), "is not valid"),
        (statement(r#""Action": "s3:*", "Resource": "photos""#), "Resource photos must be in ARN"),
        (statement(r#""Action": "s3:*", "Resource": "arn:aws:*:::b""#), "must be fully qualified"),
        (statement(r#""Action": "s3:*", "Resource": "arn:aws:s3:::${}""#), "not a policy variable"),
        (r#"{"Version": "2020-01-01", "Statement": []}"#.to_owned(), "a valid version string"),
        (r#"{"Version": 2012, "Statement": []}"#.to_owned(), "Version is a number"),
        (r#"{"Statement": []}"#.to_owned(), "Statement is empty"),
        (r#"{"Statement": ["x"]}"#.to_owned(), "it is a string, not an object"),
        (r#"{"Version": "2012-10-17"}"#.to_owned(), "Missing required field Statement"),
        (r#"{"version": "2012-10-17"}"#.to_owned(), "Unknown field version"),
        ("[]".to_owned(), "first byte must be '{'"),
        (
            r#"{"Statement": {"Effect": "allow", "Action": "*", "Resource": "*"}}"#.to_owned(),
            "Invalid effect: allow",
        ),
        (
            r#"{"Statement": {"Action": "*", "Resource": "*"}}"#.to_owned(),
            "Missing required field Effect",
        ),
        (
            r#"{"Statement": [{"Sid": "A", "Effect": "Allow", "Action": "*", "Resource": "*"},
                              {"Sid": "A", "Effect": "Allow", "Action": "*", "Resource": "*"}]}"#
                .to_owned(),
            "must be unique",
        ),
        ("x".repeat(DOCUMENT_BYTES_MAX + 1), "the limit is"),
        ("[".repeat(10_000), "the policy can't be read"),
    ] {
        let error = refused(&document, Kind::Identity);
        assert!(error.contains(expected), "{document:.200}: {error}");
    }
}

#[test]
fn principals_are_those_that_can_ask() {
    let with = |principal: &str| {
        format!(
            r#"{{"Statement": {{"Effect": "Deny", {principal}, "Action": "s3:*",
                 "Resource": "arn:aws:s3:::b"}}}}"#
        )
    };
    for good in [
        r#""*""#,
        r#"{"AWS": "*"}"#,
        r#"{"AWS": ["111122223333", "arn:aws:iam::111122223333:root"]}"#,
        r#"{"AWS": "arn:aws:iam::111122223333:user/eng/ada"}"#,
        r#"{"AWS": "arn:aws:iam::111122223333:role/r"}"#,
        r#"{"AWS": "arn:aws:sts::111122223333:assumed-role/r/s"}"#,
        r#"{"AWS": "AIDAEXAMPLE"}"#,
        r#"{"Service": "logging.s3.amazonaws.com"}"#,
        r#"{"Federated": "arn:aws:iam::111122223333:oidc-provider/id.example/x"}"#,
        r#"{"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}"#,
    ] {
        for name in ["Principal", "NotPrincipal"] {
            let document = with(&format!("\"{name}\": {good}"));
            if let Err(error) = Policy::parse(&document, Kind::Resource) {
                panic!("{document}: {error}");
            }
        }
    }
    for wrong in [
        r#""ada""#,
        "{}",
        "[]",
        r#"{"AWS": []}"#,
        r#"{"AWS": "ada"}"#,
        r#"{"AWS": "11112222333"}"#,
        r#"{"AWS": "arn:aws:iam::111122223333:user/*"}"#,
        r#"{"AWS": "arn:aws:iam::*:root"}"#,
        r#"{"AWS": "arn:aws:iam::111122223333:group/g"}"#,
        r#"{"AWS": "arn:aws:iam::111122223333:user/"}"#,
        r#"{"AWS": "arn:aws:iam::111122223333:user/${aws:username}"}"#,
        r#"{"AWS": "arn:aws:sts::111122223333:assumed-role/r"}"#,
        r#"{"aws": "*"}"#,
        r#"{"Everyone": "*"}"#,
        r#"{"Service": "s3"}"#,
        r#"{"CanonicalUser": "x"}"#,
    ] {
        let error = refused(&with(&format!("\"Principal\": {wrong}")), Kind::Resource);
        assert!(
            error.contains("principal in policy") || error.contains("empty"),
            "{wrong}: {error}"
        );
    }
    for (document, kind, expected) in [
        (with(r#""Sid": "x""#), Kind::Resource, "Missing required field Principal"),
        (with(r#""Principal": "*", "NotPrincipal": "*""#), Kind::Resource, "both Principal and"),
        (
            with(r#""NotPrincipal": {"AWS": "111122223333"}"#).replace("Deny", "Allow"),
            Kind::Resource,
            "Allow with NotPrincipal is not allowed.",
        ),
        (with(r#""Principal": "*""#), Kind::Trust, "AssumeRole policy may only specify STS"),
        (
            with(r#""Principal": "*""#).replace("s3:*", "sts:AssumeRole"),
            Kind::Trust,
            "Has prohibited field Resource",
        ),
    ] {
        let error = refused(&document, kind);
        assert!(error.contains(expected), "{document}: {error}");
    }
}

#[test]
fn a_bucket_policy_is_about_its_bucket() {
    let check = |action: &str, resource: &str, condition: &str| {
        let document = format!(
            r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Principal": "*",
                 "Action": {action}, "Resource": {resource}, "Condition": {{{condition}}}}}}}"#
        );
        let policy = Policy::parse(&document, Kind::Resource).unwrap();
        policy.check_bucket("pics").map_err(|error| error.to_string())
    };
    let (bucket, keys) = (r#""arn:aws:s3:::pics""#, r#""arn:aws:s3:::pics/*""#);
    for (action, resource) in [
        (r#""s3:ListBucket""#, bucket),
        (r#""s3:GetObject""#, keys),
        (r#"["s3:ListBucket", "s3:Get*"]"#, r#"["arn:aws:s3:::pics", "arn:aws:s3:::pics/a"]"#),
        (r#""s3:*""#, bucket),
        (r#""*""#, keys),
        (r#""s3:*""#, r#""arn:aws:s3:::pics*""#),
        (r#""coffer:GetBucketAck""#, bucket),
    ] {
        assert_eq!(check(action, resource, ""), Ok(()), "{action} {resource}");
    }
    let no_match = "Action does not apply to any resource(s) in statement";
    for (action, resource, condition, expected) in [
        (r#""s3:GetObject""#, bucket, "", no_match),
        (r#""s3:ListBucket""#, keys, "", no_match),
        (r#"["s3:GetObject", "s3:ListBucket"]"#, keys, "", no_match),
        (r#""s3:GetObject""#, r#""arn:aws:s3:::other/*""#, "", "Policy has invalid resource"),
        (r#""s3:GetObject""#, r#""arn:aws:s3:::pics2/*""#, "", "Policy has invalid resource"),
        (r#""s3:GetObject""#, r#""*""#, "", "Policy has invalid resource"),
        (r#""s3:GetObject""#, r#""arn:aws:s3:::*""#, "", "Policy has invalid resource"),
        (r#""s3:FlyObject""#, keys, "", "Policy has invalid action"),
        (r#""iam:CreateUser""#, keys, "", "Policy has invalid action"),
        (r#""s3:ListAllMyBuckets""#, bucket, "", "Policy has invalid action"),
        (
            r#""s3:GetObject""#,
            keys,
            r#""StringEquals": {"s3:colour": "x"}"#,
            "invalid condition key",
        ),
        (r#""s3:GetObject""#, keys, r#""StringEquals": {"iam:x": "x"}"#, "invalid condition key"),
    ] {
        let error = check(action, resource, condition).unwrap_err();
        assert!(error.contains(expected), "{action} {resource}: {error}");
    }
    let tls = r#""NumericLessThan": {"s3:TlsVersion": "1.2"}"#;
    assert_eq!(check(r#""s3:*""#, bucket, tls), Ok(()));
    for key in [
        "s3:prefix",
        "S3:Max-Keys",
        "s3:ExistingObjectTag/team",
        "s3:LocationConstraint",
        "aws:SourceIp",
    ] {
        let condition = format!(r#""StringLike": {{"{key}": "x"}}"#);
        assert_eq!(check(r#""s3:*""#, bucket, &condition), Ok(()), "{key}");
    }
}

#[test]
fn public_is_what_is_not_tied_to_someone() {
    let is_public = |principal: &str, condition: &str| {
        let document = format!(
            r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Principal": {principal},
                 "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*",
                 "Condition": {{{condition}}}}}}}"#
        );
        Policy::parse(&document, Kind::Resource).unwrap().is_public()
    };
    assert!(is_public(r#""*""#, ""));
    assert!(is_public(r#"{"AWS": ["111122223333", "*"]}"#, ""));
    assert!(!is_public(r#"{"AWS": "111122223333"}"#, ""));
    assert!(!is_public(r#"{"Service": "x.amazonaws.com"}"#, ""));
    for (condition, public) in [
        (r#""IpAddress": {"aws:SourceIp": "203.0.113.0/24"}"#, false),
        (r#""IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "0.0.0.0/1"]}"#, true),
        (r#""IpAddress": {"aws:SourceIp": "10.0.0.0/8"}"#, false),
        (r#""IpAddress": {"aws:SourceIp": "10.0.0.0/0"}"#, true),
        (r#""IpAddress": {"aws:SourceIp": "2001:db8::/31"}"#, true),
        (r#""IpAddressIfExists": {"aws:SourceIp": "203.0.113.0/24"}"#, true),
        (r#""NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}"#, true),
        (r#""StringEquals": {"aws:SourceVpc": "vpc-91237329"}"#, false),
        (r#""StringLike": {"aws:SourceVpc": "vpc-91237329"}"#, false),
        (r#""StringLike": {"aws:SourceVpc": "vpc-*"}"#, true),
        (r#""StringNotEquals": {"aws:SourceVpc": "vpc-91237329"}"#, true),
        (r#""ForAllValues:StringEquals": {"aws:SourceVpc": "vpc-91237329"}"#, true),
        (r#""ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111122223333:user/a"}"#, false),
        (r#""ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:user/*"}"#, true),
        (r#""StringEquals": {"aws:userid": "AIDAEXAMPLE"}"#, false),
        (r#""StringEquals": {"aws:userid": "anonymous"}"#, true),
        (
            r#""StringEqualsIgnoreCase": {"aws:PrincipalAccount": ["111122223333", "ANONYMOUS"]}"#,
            true,
        ),
        (r#""StringLike": {"aws:userid": "AROAEXAMPLE:*"}"#, true),
        (r#""StringEquals": {"aws:userid": "${aws:username}"}"#, true),
        (r#""StringEquals": {"aws:UserAgent": "secret"}"#, true),
        (r#""Null": {"aws:SourceVpc": "false"}"#, true),
    ] {
        assert_eq!(is_public(r#""*""#, condition), public, "{condition}");
    }
    let deny = r#"{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "s3:*",
                   "Resource": "arn:aws:s3:::b"}}"#;
    assert!(!Policy::parse(deny, Kind::Resource).unwrap().is_public());
}

#[test]
fn keys_are_told_once_also_those_of_variables() {
    let policy = Policy::parse(
        r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*",
            "Resource": "arn:aws:s3:::home/${aws:username}/*",
            "Condition": {"StringLike": {"s3:prefix": ["${aws:PrincipalTag/team, 'x'}/*"]},
                          "Null": {"AWS:UserName": "false"}}}}"#,
        Kind::Identity,
    );
    let keys = policy.unwrap().context_keys();
    assert_eq!(keys, ["aws:username", "s3:prefix", "aws:PrincipalTag/team"]);
}

#[test]
fn garbage_is_an_error() {
    for byte in *b"\0\"'\\{}[]:,*?$ a/0" {
        let mut bytes = FULL.as_bytes().to_vec();
        for at in (0..bytes.len()).step_by(7) {
            let kept = std::mem::replace(&mut bytes[at], byte);
            if let Ok(text) = std::str::from_utf8(&bytes) {
                for kind in [Kind::Identity, Kind::Resource, Kind::Trust] {
                    // Whatever it says, it does not panic.
                    let _ = Policy::parse(text, kind);
                }
            }
            bytes[at] = kept;
        }
    }
}

#[test]
fn truncated_documents_are_errors() {
    for cut in 0..FULL.len() {
        assert!(Policy::parse(&FULL[..cut], Kind::Identity).is_err(), "cut at {cut}");
    }
}

#[test]
fn who_is_not_known_is_reached_by_everyone_and_by_exceptions() {
    for (principal, expected) in [
        (r#""Principal": "*""#, true),
        (r#""Principal": {"AWS": ["111122223333", "*"]}"#, true),
        (r#""Principal": {"AWS": "111122223333"}"#, false),
        (r#""Principal": {"AWS": "arn:aws:iam::111122223333:user/a"}"#, false),
        (r#""NotPrincipal": {"AWS": "111122223333"}"#, true),
    ] {
        // NotPrincipal comes with Deny alone.
        let effect = if principal.contains("Not") { "Deny" } else { "Allow" };
        let json = format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "{effect}", {principal},
            "Action": "s3:GetObject", "Resource": "arn:aws:s3:::pics/*"}}]}}"#
        );
        let policy = Policy::parse(&json, Kind::Resource).unwrap();
        assert_eq!(policy.statements()[0].reaches_anonymous(), expected, "{principal}");
    }
}
