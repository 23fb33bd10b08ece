//! Handshakes, certificates, and what is not TLS.

use std::time::Duration;

use coffer_http::{Event, Limits};
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

use crate::server::{Server, ask, certificate};

#[tokio::test]
async fn both_versions_are_spoken() {
    let server = Server::start(true, Limits::default());
    for version in [&TLS12, &TLS13] {
        let stream = server.connect_tls_with(&[], &[version]).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        assert!(ask(stream, "/").await.ends_with("\r\n\r\nhello"));
    }
    assert!(ask(server.connect_tls("http/1.1").await, "/secure").await.ends_with("true"));
    assert_eq!(server.traffic.count(Event::Handshake), 3);
    assert_eq!(server.traffic.count(Event::Http1Request), 3);
    let plain = Server::start(false, Limits::default());
    assert!(ask(plain.connect().await, "/secure").await.ends_with("false"));
}

#[tokio::test]
async fn a_large_reply_comes_whole() {
    let server = Server::start(true, Limits::default());
    let reply = ask(server.connect_tls("http/1.1").await, "/zeros?20000000").await;
    assert!(reply.bytes().filter(|&b| b == 0).count() == 20_000_000);
}

#[tokio::test]
async fn http2_is_preferred_only_by_who_offers_it() {
    let server = Server::start(true, Limits::default());
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let stream = server.connect_tls_with(offered, rustls::ALL_VERSIONS).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed.map(str::as_bytes));
    }
    // Nothing in common.
    assert!(server.connect_tls_with(&["smtp"], rustls::ALL_VERSIONS).await.is_err());
}

#[tokio::test]
async fn plain_http_is_told_to_use_tls() {
    let server = Server::start(true, Limits::default());
    for request in [
        "GET / HTTP/1.1\r\nhost: h\r\n\r\n",
        "PUT /a/b HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = server.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        assert!(reply.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{reply}");
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{reply}");
        assert!(body.contains("https://"), "{reply}");
    }
    assert_eq!(server.traffic.count(Event::PlaintextRefused), 3);
    assert_eq!(server.traffic.count(Event::Http1Request), 0);
}

#[tokio::test]
async fn garbage_ends_its_connection_and_no_other() {
    let server = Server::start(true, Limits::default());
    let mut garbage: Vec<Vec<u8>> = vec![
        vec![],
        vec![22],
        vec![0; 100],
        vec![255; 100],
        // A record of a wrong version, of no length, of too much, of another kind.
        vec![22, 9, 9, 0, 4, 1, 0, 0, 0],
        vec![22, 3, 1, 0, 0],
        vec![22, 3, 1, 255, 255, 1, 2, 3],
        vec![21, 3, 1, 0, 2, 2, 40],
        vec![22, 3, 1, 0, 4, 1, 255, 255, 255],
    ];
    let mut seed = 7u32;
    for len in 1..60 {
        let mut bytes = vec![22, 3, 1, 0, len];
        bytes.extend((0..len).map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        }));
        garbage.push(bytes);
    }
    for bytes in garbage {
        let mut stream = server.connect().await;
        // The server may close before all of it was taken.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let mut reply = Vec::new();
        let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut reply)).await;
        assert!(read.is_ok(), "{bytes:?} is waited for");
        assert!(!reply.starts_with(b"HTTP"), "{bytes:?}");
    }
    assert!(ask(server.connect_tls("http/1.1").await, "/").await.ends_with("hello"));
    assert!(server.traffic.count(Event::HandshakeFailed) > 50);
    server.until_true(|| server.traffic.connections() == 0).await;
}

#[tokio::test]
async fn a_thousand_idle_handshakes_hold_nobody_up() {
    let limits = Limits { handshake_time_max: Duration::from_secs(3), ..Limits::default() };
    let server = Server::start(true, limits);
    let mut idle = Vec::new();
    for i in 0..1000 {
        let mut stream = server.connect().await;
        if i % 2 == 0 {
            // The beginning of a handshake, and no more.
            stream.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        }
        idle.push(stream);
    }
    let began = Instant::now();
    for _ in 0..5 {
        assert!(ask(server.connect_tls("http/1.1").await, "/").await.ends_with("hello"));
    }
    assert!(began.elapsed() < limits.handshake_time_max, "they were waited for");
    // They are given up.
    for mut stream in idle {
        let mut scrap = Vec::new();
        let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut scrap)).await;
        assert!(read.is_ok(), "an idle handshake goes on");
    }
    assert_eq!(server.traffic.count(Event::HandshakeSlow), 500);
}

#[tokio::test]
async fn too_many_handshakes_end_the_oldest() {
    let limits = Limits {
        handshakes_max: 10,
        handshake_time_max: Duration::from_secs(600),
        ..Limits::default()
    };
    let server = Server::start(true, limits);
    let mut idle = Vec::new();
    for _ in 0..50 {
        let mut stream = server.connect().await;
        stream.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        idle.push(stream);
    }
    server.until(Event::HandshakeSlow, 40).await;
    assert!(ask(server.connect_tls("http/1.1").await, "/").await.ends_with("hello"));
    assert_eq!(server.traffic.count(Event::HandshakeSlow), 41);
}

#[tokio::test]
async fn a_certificate_is_replaced_while_connections_go_on() {
    let mut server = Server::start(true, Limits::default());
    let old = server.connect_tls("http/1.1").await;
    let (shown, roots) = certificate();
    server.certificates.show(shown);
    assert!(
        server.connect_tls_with(&[], rustls::ALL_VERSIONS).await.is_err(),
        "the old certificate is still shown"
    );
    server.roots = roots;
    assert!(ask(server.connect_tls("http/1.1").await, "/").await.ends_with("hello"));
    assert!(ask(old, "/").await.ends_with("hello"));
}

#[tokio::test]
async fn a_challenge_is_answered_to_who_asks_for_nothing_else() {
    let server = Server::start(true, Limits::default());
    let challenge = server.certificates.challenge("LOCALHOST", &[7; 32]).unwrap();
    // The answer is a certificate that nobody vouches for, so the client refuses it: what counts
    // is that the handshake came so far.
    let refused = server.connect_tls_with(&["acme-tls/1"], rustls::ALL_VERSIONS).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("certificate"), "{refused}");
    for offered in [&["acme-tls/1", "http/1.1"][..], &["http/1.1", "acme-tls/1"]] {
        let stream = server.connect_tls_with(offered, rustls::ALL_VERSIONS).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    }
    drop(challenge);
    let refused = server.connect_tls_with(&["acme-tls/1"], rustls::ALL_VERSIONS).await;
    let refused = refused.unwrap_err().to_string();
    assert!(!refused.contains("invalid peer certificate"), "{refused}");
}
