//! Starting, looking, stopping.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::program::{Server, coffer, fail, keys_in, run, succeed};

fn mode_of(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_start_makes_private_keys_that_later_starts_keep() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let server = Server::start(at, &[]);
    assert_eq!(server.listening["created"], true);
    let file = at.join("coffer-data/credentials.toml");
    let (access, secret) = keys_in(&file);
    assert_eq!((access.len(), secret.len()), (20, 40));
    assert_eq!(mode_of(&file), 0o600);
    assert_eq!(mode_of(&at.join("coffer-data")), 0o700);
    assert_eq!(mode_of(&at.join("coffer-data/admin.sock")), 0o600);
    assert!(!server.listening.to_string().contains(&secret), "the secret was logged");
    let root = (access.as_str(), secret.as_str());
    assert_eq!(server.s3(root, "PUT", "/photos", b"").0, 200);
    assert_eq!(server.s3(root, "PUT", "/photos/a", b"hello").0, 200);
    server.terminate();
    assert!(!at.join("coffer-data/admin.sock").exists());

    let server = Server::start(at, &[]);
    assert_eq!(server.listening["created"], false);
    assert_eq!(keys_in(&file), (access.clone(), secret.clone()));
    assert_eq!(server.s3(root, "GET", "/photos/a", b""), (200, "hello".to_owned()));
    assert_eq!(server.s3((&access, "wrong"), "GET", "/photos/a", b"").0, 403);
    server.terminate();
}

#[test]
fn every_directory_gets_the_keys_and_new_ones_are_made_when_all_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    Server::start(at, &["d1", "d2", "d3"]).terminate();
    let file = |i: usize| at.join(format!("d{i}/credentials.toml"));
    let first = keys_in(&file(1));
    assert!((2..=3).all(|i| keys_in(&file(i)) == first));
    std::fs::remove_file(file(1)).unwrap();
    Server::start(at, &["d1", "d2", "d3"]).terminate();
    assert_eq!(keys_in(&file(1)), first);
    (1..=3).for_each(|i| std::fs::remove_file(file(i)).unwrap());
    Server::start(at, &["d1", "d2", "d3"]).terminate();
    assert_ne!(keys_in(&file(1)), first);
}

#[test]
fn keys_from_the_environment_take_the_place_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = coffer(dir.path());
    command
        .args(["serve", "--listen", "[::1]:0", "--admin-listen", "127.0.0.1:0", "data"])
        .env("COFFER_ROOT_ACCESS_KEY", "someone")
        .env("COFFER_ROOT_SECRET_KEY", "some-secret");
    let server = Server::spawn(&mut command);
    assert!(server.endpoint.starts_with("http://[::1]:"), "{}", server.endpoint);
    assert_eq!(server.s3(("someone", "some-secret"), "GET", "/", b"").0, 200);
    assert!(!dir.path().join("data/credentials.toml").exists());
    server.terminate();
}

#[test]
fn config_prints_what_is_in_effect_and_who_said_so() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("coffer.toml"), "region = \"file\"\ndomain = \"a.test\"\n")
        .unwrap();
    let output = coffer(dir.path())
        .args(["config", "--drain-secs", "3", "d1", "d2"])
        .env("COFFER_REGION", "env")
        .env("COFFER_ROOT_SECRET_KEY", "do-not-show")
        .env("COFFER_ROOT_ACCESS_KEY", "shown")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "data = [\"d1\", \"d2\"]  # command line arguments",
        "drain_secs = 3  # command line --drain-secs",
        "region = \"env\"  # environment COFFER_REGION",
        "domain = [\"a.test\"]  # coffer.toml line 2",
        "degraded = false  # default",
        "root_access_key = \"shown\"  # environment COFFER_ROOT_ACCESS_KEY",
        "# root_secret_key is set and not shown  # environment COFFER_ROOT_SECRET_KEY",
        "# erasure is not set",
    ] {
        assert!(text.lines().any(|l| l == line), "{line:?} is not in {text}");
    }
    assert!(!text.contains("do-not-show"));
    // It reads back.
    std::fs::write(dir.path().join("again.toml"), &text).unwrap();
    succeed(dir.path(), &["config", "--config", "again.toml"]);
}

#[test]
fn the_admin_port_and_status_tell_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let server = Server::start(at, &["d1", "d2", "d3"]);
    let keys = keys_in(&at.join("d1/credentials.toml"));
    let root = (keys.0.as_str(), keys.1.as_str());
    assert_eq!(server.s3(root, "PUT", "/photos", b"").0, 200);
    assert_eq!(server.s3(root, "PUT", "/photos/a", &[7; 5000]).0, 200);

    assert_eq!(server.admin_get("/health"), (200, "{\"status\":\"live\"}".to_owned()));
    let (status, body) = server.admin_get("/ready");
    assert_eq!((status, body.contains("\"ready\":true")), (200, true), "{body}");
    assert_eq!(server.admin_get("/other").0, 404);
    let (status, metrics) = server.admin_get("/metrics");
    assert_eq!(status, 200);
    for line in [
        "coffer_objects 1",
        "coffer_object_bytes 5000",
        "coffer_buckets 1",
        "coffer_degraded 0",
        "coffer_drive_active{drive=\"d3\"} 1",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line:?} is not in {metrics}");
    }
    assert!(metrics.contains("operation=\"PutObject\""), "{metrics}");

    let text = succeed(at, &["status", "d1", "d2", "d3"]);
    assert!(text.contains("all well"), "{text}");
    assert!(text.contains("4.9 KiB in 1 object and 1 bucket"), "{text}");
    let json: Value =
        serde_json::from_str(&succeed(at, &["status", "--json", "d1", "d2", "d3"])).unwrap();
    assert_eq!(json["scheme"], "2+1");
    assert_eq!(json["usage"]["objects"], 1);
    assert_eq!(json["drives"].as_array().unwrap().len(), 3);
    assert!(json["memory_bytes"].as_u64().unwrap() > 1 << 20);
    assert_eq!(json["log_position"], json["index"]["position"]);
    server.terminate();
}

#[test]
fn a_lost_drive_is_noticed_and_status_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let server = Server::start(at, &["d1", "d2", "d3"]);
    let keys = keys_in(&at.join("d1/credentials.toml"));
    let root = (keys.0.as_str(), keys.1.as_str());
    assert_eq!(server.s3(root, "PUT", "/photos", b"").0, 200);
    std::fs::remove_dir_all(at.join("d2")).unwrap();
    let start = std::time::Instant::now();
    let json = loop {
        let text = succeed(at, &["status", "--json", "d1", "d2", "d3"]);
        let json: Value = serde_json::from_str(&text).unwrap();
        if json["drives"][1]["state"] != "active" {
            break json;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "not noticed: {text}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(!json["degraded"].as_array().unwrap().is_empty(), "{json}");
    assert_eq!(server.s3(root, "PUT", "/photos/a", b"hello").0, 200);
    let text = succeed(at, &["status", "d1", "d2", "d3"]);
    assert!(text.contains("DEGRADED"), "{text}");
    assert!(server.admin_get("/metrics").1.contains("coffer_degraded 1"));
    server.terminate();
    // It was recorded as lost, so the rest starts as it is.
    let server = Server::start(at, &["d1", "d2", "d3"]);
    assert_eq!(server.s3(root, "GET", "/photos/a", b""), (200, "hello".to_owned()));
    assert!(!at.join("d2").exists());
    server.terminate();
}

#[test]
fn the_index_and_the_socket_outlive_the_first_drive() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let server = Server::start(at, &["d1", "d2", "d3"]);
    let keys = keys_in(&at.join("d1/credentials.toml"));
    let root = (keys.0.as_str(), keys.1.as_str());
    assert_eq!(server.s3(root, "PUT", "/photos", b"").0, 200);
    let put = |n: u32| server.s3(root, "PUT", &format!("/photos/{n}"), &n.to_le_bytes()).0;
    (0..50).for_each(|n| assert_eq!(put(n), 200));
    std::fs::remove_dir_all(at.join("d1")).unwrap();
    let start = std::time::Instant::now();
    let mut n = 50;
    while !at.join("d2/index/tree").exists() || n < 100 {
        assert!(start.elapsed() < Duration::from_secs(10), "the index did not move");
        assert_eq!(put(n), 200);
        n += 1;
    }
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(put(n), 200);
    let text = succeed(at, &["status", "--json", "d1", "d2", "d3"]);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["usage"]["objects"], n + 1);
    assert_eq!(json["index"]["persist_failure"], Value::Null);
    server.terminate();

    let server = Server::start(at, &["d1", "d2", "d3"]);
    let (_, list) = server.s3(root, "GET", "/photos?list-type=2", b"");
    assert!(list.contains(&format!("<KeyCount>{}</KeyCount>", n + 1)), "{list}");
    server.terminate();
}

#[test]
fn a_start_without_all_drives_has_to_be_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let server = Server::start(at, &["d1", "d2", "d3"]);
    let keys = keys_in(&at.join("d1/credentials.toml"));
    let root = (keys.0.as_str(), keys.1.as_str());
    assert_eq!(server.s3(root, "PUT", "/photos", b"").0, 200);
    server.terminate();
    std::fs::rename(at.join("d1"), at.join("away")).unwrap();
    let args = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let line = fail(at, &[&args[..], &["d1", "d2", "d3"]].concat(), 3);
    assert!(line.starts_with("1 of 3 drives of store"), "{line}");
    let server = Server::start(at, &["--degraded", "d1", "d2", "d3"]);
    assert_eq!(server.s3(root, "PUT", "/photos/a", b"hello").0, 200);
    server.terminate();
    assert!(!at.join("d1").exists());
    // It comes back and takes part again.
    std::fs::rename(at.join("away"), at.join("d1")).unwrap();
    let server = Server::start(at, &["d1", "d2", "d3"]);
    assert_eq!(server.s3(root, "GET", "/photos/a", b""), (200, "hello".to_owned()));
    let text = succeed(at, &["status", "--json", "d1", "d2", "d3"]);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert!(json["drives"].as_array().unwrap().iter().all(|d| d["state"] == "active"), "{json}");
    server.terminate();
}

#[test]
fn a_stop_lets_requests_end_and_refuses_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let server = Server::start(at, &[]);
    let keys = keys_in(&at.join("coffer-data/credentials.toml"));
    let root = (keys.0.as_str(), keys.1.as_str());
    assert_eq!(server.s3(root, "PUT", "/photos", b"").0, 200);

    // A request whose body is still on its way when the signal comes.
    let address = server.endpoint.strip_prefix("http://").unwrap().to_owned();
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    let uri = format!("{}/photos/slow", server.endpoint).parse().unwrap();
    let mut headers = http::HeaderMap::new();
    coffer_s3::sign::Signer::new(root.0, root.1, "us-east-1")
        .sign_headers(
            &http::Method::PUT,
            &uri,
            &mut headers,
            coffer_s3::sign::UNSIGNED_PAYLOAD,
            coffer_base::Clock::now(&coffer_base::SystemClock),
        )
        .unwrap();
    let mut head = "PUT /photos/slow HTTP/1.1\r\ncontent-length: 10\r\n".to_owned();
    for (name, value) in &headers {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    stream.write_all(format!("{head}\r\nhello").as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    server.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(300));
    assert!(std::net::TcpStream::connect(&address).is_err(), "it still takes connections");
    stream.write_all(b"world").unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    let mut server = server;
    assert_eq!(server.wait(Duration::from_secs(20)).code(), Some(0));

    let server = Server::start(at, &[]);
    assert_eq!(server.s3(root, "GET", "/photos/slow", b""), (200, "helloworld".to_owned()));
    let (status, log) = server.stop(Signal::INT);
    assert_eq!(status.code(), Some(0));
    assert!(
        log.contains("\"event\":\"draining\"") && log.contains("\"event\":\"stopped\""),
        "{log}"
    );
}

#[test]
fn a_stop_is_bounded_and_a_second_signal_is_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for (drain_secs, second_signal, code) in [("1", false, 0), ("60", true, 130)] {
        let mut server = Server::start(at, &["--drain-secs", drain_secs]);
        let address = server.endpoint.strip_prefix("http://").unwrap().to_owned();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        // Never ends its head.
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n").unwrap();
        std::thread::sleep(Duration::from_millis(200));
        server.signal(Signal::TERM);
        if second_signal {
            std::thread::sleep(Duration::from_millis(200));
            server.signal(Signal::TERM);
        }
        assert_eq!(server.wait(Duration::from_secs(15)).code(), Some(code));
    }
}

#[test]
fn fsck_is_clean_after_a_kill_and_finds_damage() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let server = Server::start(at, &["d1", "d2", "d3"]);
    let keys = keys_in(&at.join("d1/credentials.toml"));
    let root = (keys.0.as_str(), keys.1.as_str());
    assert_eq!(server.s3(root, "PUT", "/photos", b"").0, 200);
    for i in 0..20 {
        let body = vec![i as u8; 1000 << (i % 10)];
        assert_eq!(server.s3(root, "PUT", &format!("/photos/{i}"), &body).0, 200);
    }
    assert_eq!(server.s3(root, "DELETE", "/photos/3", b"").0, 204);
    let (status, _) = server.stop(Signal::KILL);
    assert!(!status.success());
    let dirs = ["d1", "d2", "d3"];
    let fsck = |extra: &[&str]| run(at, &[&["fsck"], extra, &dirs].concat());

    let output = fsck(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("19 objects") && text.ends_with("clean\n"), "{text}");
    let text = succeed(at, &[&["index", "rebuild"][..], &dirs].concat());
    assert!(text.starts_with("Rebuilt the index in d1/index up to position "), "{text}");
    let json: Value = serde_json::from_slice(&fsck(&["--json"]).stdout).unwrap();
    assert_eq!(json["findings_total"], 0, "{json}");
    assert!(!at.join("d1/index.fsck").exists());

    // One byte in the middle of the largest file of a drive.
    let largest = std::fs::read_dir(at.join("d2"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    let mut bytes = std::fs::read(&largest).unwrap();
    let middle = bytes.iter().rposition(|b| *b != 0).unwrap() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(&largest, bytes).unwrap();
    let output = fsck(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{} {text}", largest.display());
    assert!(text.contains("FOUND: "), "{text}");
}
