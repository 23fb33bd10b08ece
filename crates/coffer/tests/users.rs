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
        "Resource": "*", "Conditions": {}}}"#,
    )
    .unwrap();
    let line = fail(at, &["user", "add", "x", "--policy", "bad.json"], 2);
    assert!(line.starts_with("bad.json: ") && line.contains("Conditions"), "{line}");
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

#[test]
fn accounts_come_and_go_and_their_roots_sign_in() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let server = Server::start(at, &[]);
    let text = succeed(at, &["account", "add", "acme", "--json"]);
    let made: Value = serde_json::from_str(&text).unwrap();
    let text = |key: &str| made[key].as_str().unwrap().to_owned();
    let (access_key, secret_key) = (text("access_key"), text("secret_key"));
    assert_eq!((text("name").as_str(), text("id").len()), ("acme", 12));
    let list = succeed(at, &["account", "list"]);
    assert!(list.lines().any(|line| line.starts_with("acme ")), "{list}");
    assert!(list.lines().any(|line| line.starts_with("default ")), "{list}");
    assert!(!list.contains(&secret_key), "a secret is listed");
    fail(at, &["account", "add", "acme"], 1);
    assert_eq!(server.s3((&access_key, &secret_key), "PUT", "/acme-bucket", b"").0, 200);
    let line = fail(at, &["account", "remove", "acme"], 1);
    assert!(line.contains("it has buckets, among them acme-bucket"), "{line}");
    assert_eq!(server.s3((&access_key, &secret_key), "DELETE", "/acme-bucket", b"").0, 204);
    fail(at, &["account", "remove", "default"], 1);
    fail(at, &["account", "remove", "nobody"], 1);
    succeed(at, &["account", "remove", "acme"]);
    assert_eq!(server.s3((&access_key, &secret_key), "GET", "/", b"").0, 403);
    server.terminate();
    succeed(at, &["account", "add", "offline"]);
    assert_eq!(succeed(at, &["account", "list"]).lines().count(), 2);
}

/// All files below a directory.
fn files(at: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

#[test]
fn secrets_are_in_no_file_and_their_key_is_never_made_twice() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let server = Server::start(at, &[]);
    let ada = add(at, "ada", "readwrite");
    assert_eq!(server.s3((&ada.0, &ada.1), "PUT", "/photos", b"").0, 200);
    server.terminate();

    let mut found = Vec::new();
    files(&at.join("coffer-data"), &mut found);
    let holds = |path: &Path, text: &str| {
        // Sockets and locks hold nothing.
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(text.len()).any(|w| w == text.as_bytes())
    };
    assert!(found.iter().any(|path| holds(path, &ada.0)), "the access key is not secret");
    for path in &found {
        assert!(!holds(path, &ada.1), "the secret is in {}", path.display());
    }

    let key = at.join("coffer-data/secrets.key");
    let kept = std::fs::read_to_string(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let line = fail(at, &["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"], 3);
    assert!(line.contains("secrets.key, is not in"), "{line}");
    assert!(!key.exists(), "it is never made again");
    succeed(at, &["fsck"]);

    let write = |text: &str| {
        use std::os::unix::fs::OpenOptionsExt;
        let _ = std::fs::remove_file(&key);
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&key);
        std::io::Write::write_all(&mut file.unwrap(), text.as_bytes()).unwrap();
    };
    write(&"0".repeat(64));
    let line = fail(at, &["user", "list"], 3);
    assert!(
        line.contains("is not the key that the secrets of this store are sealed with"),
        "{line}"
    );

    write(&kept);
    std::fs::rename(&key, at.join("elsewhere.key")).unwrap();
    let server = Server::start(at, &["--secrets-key-file", "elsewhere.key"]);
    assert_eq!(server.s3((&ada.0, &ada.1), "PUT", "/photos/a", b"x").0, 200);
    server.terminate();
    assert!(!key.exists(), "it stays off the drives");
}

#[test]
fn a_key_that_is_not_the_stores_is_neither_taken_nor_copied() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let dirs = ["d0", "d1", "d2"];
    let key = |i: usize| at.join(dirs[i]).join("secrets.key");
    let server = Server::start(at, &dirs);
    let root = keys_in(&at.join("d0/credentials.toml"));
    assert_eq!(server.s3((&root.0, &root.1), "PUT", "/photos", b"").0, 200);
    server.terminate();
    let right = std::fs::read_to_string(key(2)).unwrap();
    let wrong = "0".repeat(64);

    // Written over, so that the mode stays.
    std::fs::write(key(0), &wrong).unwrap();
    std::fs::remove_file(key(1)).unwrap();
    Server::start(at, &dirs).terminate();
    let found = [0, 1, 2].map(|i| std::fs::read_to_string(key(i)).unwrap());
    assert_eq!(found, [&wrong, &right, &right].map(String::clone));

    std::fs::remove_file(key(1)).unwrap();
    std::fs::remove_file(key(2)).unwrap();
    let fixed = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let line = fail(at, &[&fixed[..], &dirs[..]].concat(), 3);
    assert!(
        line.contains("is not the key that the secrets of this store are sealed with"),
        "{line}"
    );
    assert!(!key(1).exists() && !key(2).exists(), "nothing is copied");
}
