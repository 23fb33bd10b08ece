//! Starts that must fail: one precise line, an exit code, nothing touched.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::program::{Server, coffer, fail, keys_in, listing, one_line, output, succeed};

const FREE: [&str; 4] = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];

fn serve<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["serve"], &FREE[..], args].concat()
}

fn make_store(dir: &Path, dirs: &[&str]) {
    Server::start(dir, dirs).terminate();
}

#[test]
fn what_the_command_line_or_the_file_get_wrong_is_code_2() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    std::fs::write(at.join("bad.toml"), "region = \"x\"\nlisten_on = \"y\"\n").unwrap();
    for (args, expected) in [
        (&["serve", "--listen", "nonsense"][..], "listen: \"nonsense\" is not HOST:PORT"),
        (&["serve", "--erasure", "2+1", "a", "b"], "erasure 2+1 needs 3 data directories"),
        (&["serve", "--config", "bad.toml"], "bad.toml line 2: there is no setting \"listen_on\""),
        (&["serve", "--config", "none.toml"], "none.toml: No such file"),
        (&["serve", "a", "a"], "a is named twice"),
        (&["serve", "--log-level", "a=b=c"], "log_level: \"a=b=c\""),
        (&["serve", "--root-access-key", "abc"], "root_access_key is set without root_secret_key"),
        (
            &["serve", "--root-access-key", "ab", "--root-secret-key", "12345678"],
            "the access key has 2 characters",
        ),
        (
            &["serve", "--root-access-key", "abc", "--root-secret-key", "1234567"],
            "the secret key has 7 characters",
        ),
        (&["user", "add", "x", "--policy", "none"], "--policy none is not one of readwrite"),
    ] {
        let before = listing(at);
        let line = fail(at, args, 2);
        assert!(line.starts_with(expected), "{args:?}: {line}");
        assert_eq!(listing(at), before, "{args:?}");
    }
    let refused = output(coffer(at).args(["serve", "--no-such-flag"]));
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn directories_that_can_not_be_a_store_are_code_3() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    std::fs::create_dir(at.join("foreign")).unwrap();
    std::fs::write(at.join("foreign/photo.jpg"), "x").unwrap();
    std::fs::write(at.join("file"), "x").unwrap();
    std::fs::create_dir(at.join("empty")).unwrap();
    make_store(at, &["a1", "a2", "a3"]);
    make_store(at, &["b1", "b2", "b3"]);
    for (args, expected) in [
        (serve(&["foreign"]), "foreign: it is not empty and not Coffer's (it holds \"photo.jpg\")"),
        (serve(&["new", "foreign"]), "foreign: it is not empty and not Coffer's"),
        (serve(&["file"]), "file: it is not a directory"),
        (serve(&["a1", "a2"]), "1 of 3 drives of store"),
        (serve(&["a1", "a2", "a4"]), "1 of 3 drives of store"),
        (serve(&["a1", "a2", "empty"]), "1 of 3 drives of store"),
        (serve(&["a1", "a2", "b3"]), ""),
        (serve(&["a1"]), "2 of 3 drives of store"),
        (serve(&["--erasure", "3+0", "a1", "a2", "a3"]), "the store was made 2+1"),
        (vec!["status", "new"], "there is no store in new"),
        (vec!["status", "a1", "a2", "a3"], "no server is running on a1, a2, a3"),
        (vec!["fsck", "empty"], "there is no store in empty"),
        (vec!["index", "rebuild", "new"], "there is no store in new"),
        (vec!["user", "list", "new"], "there is no store in new"),
    ] {
        let before = listing(at);
        let line = fail(at, &args, 3);
        assert!(line.starts_with(expected), "{args:?}: {line}");
        assert_eq!(listing(at), before, "{args:?}: {line}");
    }
    let line = fail(at, &serve(&["a1", "a2", "b3"]), 3);
    assert!(line.contains("belongs to store"), "{line}");
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let first = Server::start(at, &["d1", "d2"]);
    for args in
        [serve(&["d1", "d2"]), vec!["fsck", "d1", "d2"], vec!["index", "rebuild", "d1", "d2"]]
    {
        let line = fail(at, &args, 3);
        assert_eq!(line, "d1 is in use by another coffer");
    }
    first.terminate();
    make_store(at, &["d1", "d2"]);
}

#[test]
fn a_taken_port_is_code_4_and_no_directory_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, other) in [("--listen", "--admin-listen"), ("--admin-listen", "--listen")] {
        let args = ["serve", flag, &address, other, "127.0.0.1:0", "data"];
        let line = fail(dir.path(), &args, 4);
        assert_eq!(line, format!("{address} is taken by another program"));
        assert!(listing(dir.path()).is_empty());
    }
    // Not loopback: without TLS it is refused before it is looked at.
    let line = fail(dir.path(), &["serve", "--listen", "192.0.2.1:0", "data"], 2);
    assert!(line.contains("allow_plaintext"), "{line}");
    let args = ["serve", "--listen", "192.0.2.1:0", "--allow-plaintext", "data"];
    let line = fail(dir.path(), &args, 4);
    assert!(line.starts_with("192.0.2.1:0 is not an address of this machine"), "{line}");
    assert!(listing(dir.path()).is_empty());
}

#[test]
fn credentials_that_others_can_read_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    make_store(at, &["data"]);
    let file = at.join("data/credentials.toml");
    let mode =
        |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let before = listing(at);
    let line = fail(at, &serve(&["data"]), 3);
    assert_eq!(line, "data/credentials.toml: others can read it (mode 0644): chmod 600 it");
    assert_eq!(listing(at), before);
    // Other keys are given: the file is not looked at.
    let mut command = coffer(at);
    command
        .args(serve(&["data"]))
        .env("COFFER_ROOT_ACCESS_KEY", "given")
        .env("COFFER_ROOT_SECRET_KEY", "given-secret");
    Server::spawn(&mut command).terminate();
    mode(0o600);
    make_store(at, &["data"]);
}

#[test]
fn a_directory_that_may_not_be_read_is_named() {
    if rustix::process::geteuid().is_root() {
        // Root may read everything.
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let closed = dir.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    let refused = output(coffer(dir.path()).args(serve(&["closed"])));
    assert!(one_line(&refused, 3).starts_with("closed: Permission denied"));
}

#[test]
fn damage_of_both_superblocks_is_told_not_formatted_over() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let server = Server::start(at, &["data"]);
    let keys = keys_in(&at.join("data/credentials.toml"));
    assert_eq!(server.s3((&keys.0, &keys.1), "PUT", "/photos", b"").0, 200);
    server.terminate();
    for name in ["data/super.a", "data/super.b"] {
        if at.join(name).exists() {
            std::fs::write(at.join(name), [0xa5; 4096]).unwrap();
        }
    }
    let before = listing(at);
    let line = fail(at, &serve(&["data"]), 3);
    assert!(line.contains("damaged"), "{line}");
    assert_eq!(listing(at), before);
}

#[test]
fn help_and_version_succeed() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&["--help"][..], &["--version"], &["serve", "--help"], &["user", "add", "--help"]]
    {
        assert!(!succeed(dir.path(), args).is_empty());
    }
    assert!(succeed(dir.path(), &["serve", "--help"]).contains("COFFER_LISTEN"));
}
