//! Who does not get in, for every operation there is.

use bytes::Bytes;
use coffer_query::Operation;
use coffer_sigv4::Service;
use coffer_sigv4::sign::Signer;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::Full;

use crate::world::*;

/// What AWS lets everybody do who is known.
const OPEN: [Operation; 2] = [Operation::GetCallerIdentity, Operation::GetSessionToken];

/// Parameters with which every operation gets as far as asking for a grant.
const ENOUGH: &[(&str, &str)] = &[
    ("UserName", "ada"),
    ("GroupName", "g"),
    ("RoleName", "r"),
    ("PolicyName", "p"),
    ("PolicyArn", "arn:aws:iam::111122223333:policy/p"),
    ("PolicySourceArn", "arn:aws:iam::111122223333:user/ada"),
    ("PolicyDocument", "{}"),
    ("AssumeRolePolicyDocument", "{}"),
    ("PermissionsBoundary", "arn:aws:iam::111122223333:policy/p"),
    ("AccessKeyId", "AKIAIOSFODNN7EXAMPLE"),
    ("Status", "Active"),
    ("VersionId", "v1"),
    ("Url", "https://idp.example"),
    ("OpenIDConnectProviderArn", "arn:aws:iam::111122223333:oidc-provider/idp.example"),
    ("ClientID", "c"),
    ("Description", "d"),
    ("PolicyInputList.member.1", "{}"),
    ("ActionNames.member.1", "s3:GetObject"),
    ("RoleArn", "arn:aws:iam::111122223333:role/r"),
    ("RoleSessionName", "session"),
    ("WebIdentityToken", "a.b.c"),
];

#[test]
fn every_operation_is_behind_a_signature_and_a_grant() {
    let world = World::new();
    let nobody = world.user("nobody", &[]);
    let deny = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":["iam:*","sts:*"],"Resource":"*"}]}"#;
    let denied = world.user("denied", &[deny]);
    let mut asked = 0;
    for operation in Operation::ALL.iter().copied().filter(|op| op.is_built()) {
        let (name, service) = (operation.name(), operation.service());
        if operation == Operation::AssumeRoleWithWebIdentity {
            world.unsigned(name, ENOUGH).refused("InvalidIdentityToken");
            continue;
        }
        asked += 1;
        world.unsigned(name, ENOUGH).refused("MissingAuthenticationToken");
        let forger = Client { secret: "another".to_owned(), ..nobody.clone() };
        forger.call(name, ENOUGH).refused("SignatureDoesNotMatch");
        let stranger = world.client("AKIAIOSFODNN7EXAMPLE", "s", None);
        stranger.call(name, ENOUGH).refused("InvalidClientTokenId");
        let elsewhere = Client { region: "eu-west-1".to_owned(), ..nobody.clone() };
        elsewhere.call(name, ENOUGH).refused("SignatureDoesNotMatch");
        for other in [Service::S3, Service::Iam, Service::Sts] {
            if other != service {
                nobody.call_as(other, name, ENOUGH).refused("SignatureDoesNotMatch");
            }
        }
        let forged = Client { token: Some("AAAA".to_owned()), ..nobody.clone() };
        forged.call(name, ENOUGH).refused("InvalidClientTokenId");
        if OPEN.contains(&operation) {
            nobody.call(name, &[]).ok();
            continue;
        }
        nobody.call(name, ENOUGH).refused("AccessDenied");
        denied.call(name, ENOUGH).refused("AccessDenied");
    }
    assert!(asked > 80, "only {asked} operations were asked for");
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let world = World::new();
    let root = world.root();
    let mut absent = 0;
    for operation in Operation::ALL.iter().copied().filter(|op| !op.is_built()) {
        let answer = root.call(operation.name(), &[]).refused("NotImplemented");
        assert_eq!(answer.status, 501);
        assert!(answer.text("Message").contains(operation.name()));
        world.unsigned(operation.name(), &[]).refused("MissingAuthenticationToken");
        absent += 1;
    }
    assert!(absent > 50);
    root.call("MakeCoffee", &[]).refused("InvalidAction");
}

#[test]
fn a_signature_is_of_its_time_and_its_body() {
    let world = World::new();
    let uri: Uri = "http://coffer/".parse().unwrap();
    let signer = Signer::new("OPERATOR", "operator", REGION).for_service(Service::Sts);
    let body = form("GetCallerIdentity", &[]);
    let hash = |text: &str| {
        use sha2::Digest as _;
        hex::encode(sha2::Sha256::digest(text))
    };
    let send = |signed: &str, sent: &str, late_seconds: u64| {
        let mut headers = HeaderMap::new();
        let at = coffer_base::Timestamp(1_700_000_000_000 - late_seconds * 1000);
        signer.sign_headers(&Method::POST, &uri, &mut headers, signed, at).unwrap();
        let mut request =
            Request::post(uri.clone()).body(Full::new(Bytes::from(sent.to_owned()))).unwrap();
        *request.headers_mut() = headers;
        world.send(request)
    };
    send(&hash(&body), &body, 0).ok();
    send(&hash(&body), &body, 899).ok();
    send(&hash(&body), &body, 901).refused("SignatureDoesNotMatch");
    send(&hash(&body), &format!("{body}&a=b"), 0).refused("SignatureDoesNotMatch");
    send("UNSIGNED-PAYLOAD", &body, 0).refused("SignatureDoesNotMatch");
}

#[test]
fn a_presigned_question_who_asks_is_answered() {
    let world = World::new();
    let signer = Signer::new("OPERATOR", "operator", "us-east-1").for_service(Service::Sts);
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let uri = format!(
        "http://coffer/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Content-Sha256={empty}"
    );
    let now = coffer_base::Timestamp(1_700_000_000_000);
    let url = signer.presign(&Method::GET, &uri.parse().unwrap(), 60, now).unwrap();
    let get = |url: String| {
        let request = Request::get(url).header("host", "coffer");
        world.send(request.body(Full::new(Bytes::new())).unwrap())
    };
    assert_eq!(get(url.to_string()).ok().text("Account"), ACCOUNT);
    let bent = url.to_string().replace("GetCallerIdentity", "GetSessionToken");
    get(bent).refused("SignatureDoesNotMatch");
    world.clock.move_by(61);
    get(url.to_string()).refused("SignatureDoesNotMatch");
}

#[test]
fn hostile_requests_are_refused_and_never_panic() {
    let world = World::new();
    let root = world.root();
    for (form, code) in [
        ("", "MissingAction"),
        ("Action=%", "MalformedQueryString"),
        ("Action=A&Action=B", "MalformedQueryString"),
        ("Action=GetUser", "NoSuchVersion"),
        ("Action=GetUser&Version=2011-06-15", "InvalidAction"),
        ("Action=GetUser&Version=2010-05-08&UserName=", "ValidationError"),
        ("Action=TagUser&Version=2010-05-08&UserName=a&Tags.member.7.Key=a", "ValidationError"),
        ("Action=TagUser&Version=2010-05-08&UserName=a&Tags=a", "ValidationError"),
    ] {
        root.post(Service::Iam, form.to_owned()).refused(code);
    }
    let long = format!("Action=GetUser&Version=2010-05-08&UserName={}", "a".repeat(2 << 20));
    root.post(Service::Iam, long).refused("RequestEntityTooLarge");
    let long = format!("Action=GetUser&Version=2010-05-08&UserName={}", "a".repeat(100_000));
    root.post(Service::Iam, long).refused("NoSuchEntity");
    let values = ["", "é", "\u{0}", "<", "arn:aws:iam::111122223333:", "*", "../..", "a b", "%"];
    for operation in Operation::ALL.iter().filter(|op| op.is_built()) {
        for value in values {
            let hostile: Vec<(&str, &str)> =
                ENOUGH.iter().map(|(name, _)| (*name, value)).collect();
            let answer = root.call(operation.name(), &hostile);
            assert!(!answer.status.is_server_error(), "{operation:?} {value:?}: {}", answer.xml);
        }
    }
}

#[test]
fn conditions_see_the_tags_of_managed_policies() {
    let world = World::new();
    let root = world.root();
    let document = allow("s3:GetObject", "*");
    let policy = |name: &str, team: &str| {
        let parameters = [
            ("PolicyName", name),
            ("PolicyDocument", document.as_str()),
            ("Tags.member.1.Key", "team"),
            ("Tags.member.1.Value", team),
        ];
        root.call("CreatePolicy", &parameters).ok().text("Arn").to_owned()
    };
    let (ours, theirs) = (policy("ours", "a"), policy("theirs", "b"));
    let deny = |key: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"iam:*","Resource":"*"}},{{"Effect":"Deny","Action":"iam:*","Resource":"*","Condition":{{"StringEquals":{{"{key}/team":"b"}}}}}}]}}"#
        )
    };
    for (i, key) in ["aws:ResourceTag", "iam:ResourceTag"].into_iter().enumerate() {
        let anna = world.user(&format!("anna{i}"), &[&deny(key)]);
        for (action, more) in [
            ("CreatePolicyVersion", Some(("PolicyDocument", document.as_str()))),
            ("SetDefaultPolicyVersion", Some(("VersionId", "v1"))),
            ("TagPolicy", Some(("Tags.member.1.Key", "x"))),
            ("GetPolicy", None),
            ("DeletePolicy", None),
        ] {
            let mut parameters = vec![("PolicyArn", theirs.as_str())];
            parameters.extend(more);
            if action == "TagPolicy" {
                parameters.push(("Tags.member.1.Value", "y"));
            }
            anna.call(action, &parameters).refused("AccessDenied");
        }
        anna.call("GetPolicy", &[("PolicyArn", &ours)]).ok();
    }
}

#[test]
fn a_new_name_is_asked_for_with_the_tags_of_the_user() {
    let world = World::new();
    let root = world.root();
    for (name, team) in [("ours", "a"), ("theirs", "b")] {
        let parameters =
            [("UserName", name), ("Tags.member.1.Key", "team"), ("Tags.member.1.Value", team)];
        root.call("CreateUser", &parameters).ok();
    }
    let only_a = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:UpdateUser","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"a"}}}}"#;
    let anna = world.user("anna", &[only_a]);
    let rename = |name: &str| {
        anna.call("UpdateUser", &[("UserName", name), ("NewUserName", &format!("{name}2"))])
    };
    rename("ours").ok();
    rename("theirs").refused("AccessDenied");
}

#[test]
fn a_key_that_nobody_has_is_refused_before_its_form_is_read() {
    /// A body that must not be asked for.
    struct Unread;
    impl http_body::Body for Unread {
        type Data = bytes::Bytes;
        type Error = std::convert::Infallible;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
            panic!("the body was read");
        }
    }
    let world = World::new();
    let claim = "AWS4-HMAC-SHA256 Credential=NOBODY/20231114/us-east-1/iam/aws4_request, \
                 SignedHeaders=host, Signature=00";
    let request = http::Request::post("http://coffer/").header("authorization", claim);
    let came = coffer_query::service::Came { peer: None, secure: false };
    let reply = run(world.service.handle(request.body(Unread).unwrap(), came));
    assert_eq!(reply.status(), 403);
    assert_eq!(reply.headers()["connection"], "close");
}

#[test]
fn requests_are_counted_also_those_that_are_refused() {
    let world = World::new();
    world.root().call("ListUsers", &[]).ok();
    world.unsigned("ListUsers", &[]).refused("MissingAuthenticationToken");
    world.client("AKIAIOSFODNN7EXAMPLE", "s", None).call("ListUsers", &[]);
    world.root().call("GetCallerIdentity", &[]).ok();
    let text = world.service.metrics().render();
    let count = |service: &str, operation: &str, outcome: &str| {
        let labels = format!("service=\"{service}\",operation=\"{operation}\"");
        let start = format!("coffer_query_requests_total{{{labels},outcome=\"{outcome}\"}} ");
        let found = text.lines().find_map(|line| line.strip_prefix(&start));
        found.map_or(0, |count| count.parse().expect("a number"))
    };
    assert_eq!(count("iam", "ListUsers", "success"), 1, "{text}");
    assert_eq!(count("iam", "ListUsers", "client_error"), 1, "{text}");
    assert_eq!(count("iam", "none", "client_error"), 1, "nobody's key, so its form is not read");
    assert_eq!(count("sts", "GetCallerIdentity", "success"), 1, "{text}");
}
