//! Users, through a running server and without one.

use std::path::Path;

use serde_json::Value;

use crate::program::{Server, fail, keys_in, succeed};

fn add(at: &Path, name: &str, policy: &str) -> (String, String) {
    let text = succeed(at, &["user", "add", name, "--policy", policy, "--json"]);
    let made: Value = serde_json::from_str(&text).unwrap();
    let text = |key: &str| made[key].as_str().unwrap().to_owned();
    assert_eq!(text("name"), name);
    (text("access_key"), text("secret_key"))
}

#[test]
fn users_do_what_their_policies_say_until_they_are_disabled_or_removed() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let server = Server::start(at, &[]);
    let root = keys_in(&at.join("coffer-data/credentials.toml"));
    let s3 = |keys: &(String, String), method: &str, path: &str| {
        let (status, body) = server.s3((&keys.0, &keys.1), method, path, b"");
        (status, body)
    };
    assert_eq!(s3(&root, "PUT", "/photos").0, 200);

    let reader = add(at, "reader", "readonly");
    let writer = add(at, "writer", "readwrite");
    std::fs::write(
        at.join("policy.json"),
        r#"{"Statement": [
            {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::photos/*"},
            {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::photos/secret/*"}]}"#,
    )
    .unwrap();
    let partial = add(at, "partial", "policy.json");

    assert_eq!(s3(&writer, "PUT", "/photos/a").0, 200);
    assert_eq!(s3(&reader, "GET", "/photos/a").0, 200);
    let (status, body) = s3(&reader, "PUT", "/photos/b");
    assert_eq!((status, body.contains("<Code>AccessDenied</Code>")), (403, true), "{body}");
    assert_eq!(s3(&reader, "PUT", "/more").0, 403);
    assert_eq!(s3(&writer, "PUT", "/more").0, 200);
    assert_eq!(s3(&partial, "PUT", "/photos/c").0, 200);
    assert_eq!(s3(&partial, "PUT", "/photos/secret/c").0, 403);
    assert_eq!(s3(&partial, "GET", "/photos").0, 403);

    let list = succeed(at, &["user", "list"]);
    for name in ["reader", "writer", "partial"] {
        assert!(list.lines().any(|line| line.starts_with(name)), "{list}");
    }
    assert!(!list.contains(&writer.1), "a secret is listed");
    let users: Value = serde_json::from_str(&succeed(at, &["user", "list", "--json"])).unwrap();
    assert_eq!(users.as_array().unwrap().len(), 3);

    succeed(at, &["user", "disable", "writer"]);
    assert_eq!(s3(&writer, "PUT", "/photos/a").0, 403);
    succeed(at, &["user", "enable", "writer"]);
    assert_eq!(s3(&writer, "PUT", "/photos/a").0, 200);
    succeed(at, &["user", "remove", "writer"]);
    assert_eq!(s3(&writer, "PUT", "/photos/a").0, 403);

    let line = fail(at, &["user", "disable", "nobody"], 1);
    assert!(line.starts_with("user nobody: "), "{line}");
    fail(at, &["user", "add", "reader", "--policy", "readonly"], 1);
    std::fs::write(
        at.join("bad.json"),
        r#"{"Statement": {"Effect": "Allow", "Action": "s3:*",
        "Resource": "*", "Condition": {}}}"#,
    )
    .unwrap();
    let line = fail(at, &["user", "add", "x", "--policy", "bad.json"], 2);
    assert_eq!(line, "bad.json: statement 1: Condition is not supported yet");
    server.terminate();
}

#[test]
fn users_can_be_changed_without_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    Server::start(at, &[]).terminate();
    let ada = add(at, "ada", "readwrite");
    let list = succeed(at, &["user", "list"]);
    assert!(list.starts_with("ada  enabled "), "{list}");
    let server = Server::start(at, &[]);
    assert_eq!(server.s3((&ada.0, &ada.1), "PUT", "/photos", b"").0, 200);
    server.terminate();
    succeed(at, &["user", "remove", "ada"]);
    assert_eq!(succeed(at, &["user", "list"]), "There are no users besides root.\n");
}
