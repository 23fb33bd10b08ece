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

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let statement = |rest: &str| format!(r#"{{"Statement": [{{"Effect": "Allow", {rest}}}]}}"#);
    let ok = r#""Action": "s3:*", "Resource": "*""#;
    for (document, expected) in [
        (statement(&format!(r#"{ok}, "Condition": {{}}"#)), "Condition is not supported yet"),
        (statement(&format!(r#"{ok}, "Condition": null"#)), "Condition is not supported yet"),
        (statement(&format!(r#"{ok}, "Principal": "*""#)), "Principal is not supported yet"),
        (statement(&format!(r#"{ok}, "NotPrincipal": "*""#)), "NotPrincipal is not supported yet"),
        (statement(&format!(r#"{ok}, "Effect": "Deny""#)), "duplicate field `Effect`"),
        (statement(&format!(r#"{ok}, "Colour": "red""#)), "unknown field `Colour`"),
        (statement(r#""Action": "s3:*""#), "it needs Resource or NotResource"),
        (statement(r#""Resource": "*""#), "it needs Action or NotAction"),
        (statement(&format!(r#"{ok}, "NotAction": "s3:*""#)), "both Action and NotAction"),
        (statement(r#""NotAction": [], "Resource": "*""#), "empty list"),
        (statement(r#""Action": "GetObject", "Resource": "*""#), "not of the form service:Name"),
        (statement(r#""Action": "s3:*", "Resource": "photos""#), "neither * nor arn:aws:s3:::"),
        (
            statement(r#""Action": "s3:*", "Resource": "arn:aws:s3:::${aws:username}""#),
            "policy variables are not supported yet",
        ),
        (r#"{"Version": "2020-01-01", "Statement": []}"#.to_owned(), "Version is"),
        (r#"{"Statement": []}"#.to_owned(), "no Statement"),
        (r#"{"Version": "2012-10-17"}"#.to_owned(), "missing field `Statement`"),
        (
            r#"{"Statement": {"Effect": "allow", "Action": "*", "Resource": "*"}}"#.to_owned(),
            "unknown variant `allow`",
        ),
        ("x".repeat(DOCUMENT_BYTES_MAX + 1), "the limit is"),
        ("[".repeat(10_000), "the policy can't be read"),
    ] {
        let error = Policy::parse(&document, Kind::Identity).unwrap_err().to_string();
        assert!(error.contains(expected), "{document:.200}: {error}");
        assert!(!error.contains('\n'), "one line: {error}");
    }
}

#[test]
fn truncated_documents_are_errors() {
    for cut in 0..FULL.len() {
        assert!(Policy::parse(&FULL[..cut], Kind::Identity).is_err(), "cut at {cut}");
    }
}
