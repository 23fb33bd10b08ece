//! What happens on the wire besides requests that go well.

use std::time::Duration;

use coffer_http::Limits;
use coffer_s3::sign::Signer;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::store::{REGION, Store};

const EXPECT: (&str, &str) = ("expect", "100-continue");

#[tokio::test]
async fn a_connection_carries_many_requests() {
    let store = Store::start().await;
    let mut client = store.client_with_bucket().await;
    for i in 0..20 {
        client.call("PUT", &format!("/bkt/{i}"), b"hello").await.expect(200);
    }
    client.call("GET", "/bkt/none", b"").await.expect_error(404, "NoSuchKey");
    // Two at once.
    let get = |client: &Client, key: &str| client.head("GET", key, &[], "UNSIGNED-PAYLOAD").bytes;
    let both = [get(&client, "/bkt/1"), get(&client, "/bkt/2")].concat();
    client.send(&both).await;
    for _ in 0..2 {
        assert_eq!(client.answer(false).await.expect(200).body, b"hello");
    }
    let head = client.call("HEAD", "/bkt/1", b"").await.expect(200);
    assert_eq!((head.header("content-length"), head.body.len()), (Some("5"), 0));
    let head = client.call("HEAD", "/bkt/none", b"").await.expect(404);
    assert!(head.body.is_empty());
    client.call("GET", "/bkt/1", b"").await.expect(200);
    let text = store.service.metrics.render();
    let counted = "coffer_s3_requests_total{operation=\"PutObject\",outcome=\"success\"} 20";
    assert!(text.contains(counted), "{text}");
    let received = "coffer_s3_received_bytes_total{operation=\"PutObject\"} 100";
    assert!(text.contains(received), "{text}");
}

#[tokio::test]
async fn a_body_is_asked_for_only_when_it_is_wanted() {
    let store = Store::start().await;
    let mut client = store.client_with_bucket().await;
    let headers = [EXPECT, ("content-length", "5")];
    let head = client.head("PUT", "/bkt/k", &headers, "UNSIGNED-PAYLOAD");
    client.send(&head.bytes).await;
    assert_eq!(client.answer(false).await.status, 100);
    client.send(b"hello").await;
    client.answer(false).await.expect(200);

    let huge = [EXPECT, ("content-length", "5000000000")];
    let head = client.head("PUT", "/none/k", &huge, "UNSIGNED-PAYLOAD");
    client.send(&head.bytes).await;
    client.answer(false).await.expect_error(404, "NoSuchBucket");
    let mut guesser = store.client_of("NOBODY", "guess").await;
    let head = guesser.head("PUT", "/bkt/k", &huge, "UNSIGNED-PAYLOAD");
    guesser.send(&head.bytes).await;
    let refused = guesser.answer(false).await.expect_error(403, "InvalidAccessKeyId");
    assert_eq!(refused.header("connection"), Some("close"));
    assert!(guesser.is_closed().await);
}

#[tokio::test]
async fn who_sends_before_listening_still_hears_why_not() {
    let store = Store::start().await;
    // What fits is read away, and the connection goes on.
    let mut guesser = store.client_of("NOBODY", "guess").await;
    for _ in 0..3 {
        let refused = guesser.call("PUT", "/bkt/k", &[7; 100_000]).await;
        refused.expect_error(403, "InvalidAccessKeyId");
    }
    // What doesn't is not, and the reply arrives nevertheless.
    for size in [1 << 20, 16 << 20] {
        let mut guesser = store.client_of("NOBODY", "guess").await;
        let refused = guesser.call("PUT", "/bkt/k", &vec![7; size]).await;
        let refused = refused.expect_error(403, "InvalidAccessKeyId");
        assert_eq!(refused.header("connection"), Some("close"));
        assert!(guesser.is_closed().await);
    }
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let store = Store::start().await;
    let mut client = store.client_with_bucket().await;
    for size in ["100", "1000000"] {
        let mut going = store.client().await;
        let head = going.head("PUT", "/bkt/k", &[("content-length", size)], "UNSIGNED-PAYLOAD");
        going.send(&head.bytes).await;
        going.send(b"half of it").await;
        going.stream.shutdown().await.unwrap();
        drop(going);
    }
    sleep(Duration::from_millis(300)).await;
    client.call("GET", "/bkt/k", b"").await.expect_error(404, "NoSuchKey");
}

#[tokio::test]
async fn nobody_is_waited_for_forever() {
    let limits = Limits {
        head_time_max: Duration::from_millis(300),
        body_pause_max: Duration::from_millis(300),
        ..Limits::default()
    };
    let store = Store::start_with(limits).await;
    let mut client = store.client_with_bucket().await;
    let head = client.head("PUT", "/bkt/k", &[("content-length", "100")], "UNSIGNED-PAYLOAD");
    client.send(&head.bytes).await;
    client.send(b"half of it").await;
    client.answer(false).await.expect_error(400, "RequestTimeout");

    let began = Instant::now();
    let mut slow = store.client().await;
    slow.send(b"GET / HTTP/1.1\r\nhost:").await;
    assert!(slow.is_closed().await);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn garbage_is_answered_and_closed() {
    let store = Store::start().await;
    for garbage in [
        &b"\0\x01\x02\x03\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    ] {
        let mut client = store.client().await;
        client.send(garbage).await;
        assert_eq!(client.answer(false).await.status, 400);
        assert!(client.is_closed().await);
    }
    let mut client = store.client().await;
    let long = format!("GET /{} HTTP/1.1\r\nhost: h\r\n\r\n", "x".repeat(1 << 20));
    // The server may close before all of it was taken.
    let _ = client.stream.write_all(long.as_bytes()).await;
    let status = client.answer(false).await.status;
    assert!(status == 414 || status == 431, "{status}");
    for target in ["/bkt/%zz", "/%", "/bkt/%ff", "/bkt?prefix=%"] {
        let mut client = store.client().await;
        client.send(format!("GET {target} HTTP/1.1\r\nhost: h\r\n\r\n").as_bytes()).await;
        client.answer(false).await.expect_error(400, "InvalidURI");
    }
}

#[tokio::test]
async fn stopping_lets_requests_end() {
    let mut store = Store::start().await;
    let mut idle = store.client_with_bucket().await;
    let mut busy = store.client().await;
    let head = busy.head("PUT", "/bkt/k", &[("content-length", "5")], "UNSIGNED-PAYLOAD");
    busy.send(&head.bytes).await;
    busy.send(b"he").await;
    sleep(Duration::from_millis(100)).await;
    store.tell_to_stop();
    assert!(idle.is_closed().await);
    drop(idle);
    busy.send(b"llo").await;
    busy.answer(false).await.expect(200);
    assert!(busy.is_closed().await);
    drop(busy);
    assert_eq!(store.stopped().await, 0);
}

#[tokio::test]
async fn stopping_does_not_wait_forever() {
    let limits = Limits { drain_time_max: Duration::from_millis(300), ..Limits::default() };
    let mut store = Store::start_with(limits).await;
    let mut busy = store.client_with_bucket().await;
    let head = busy.head("PUT", "/bkt/k", &[("content-length", "5")], "UNSIGNED-PAYLOAD");
    busy.send(&head.bytes).await;
    busy.send(b"he").await;
    sleep(Duration::from_millis(100)).await;
    store.tell_to_stop();
    assert_eq!(store.stopped().await, 1);
}

#[tokio::test]
async fn more_connections_than_allowed_wait_their_turn() {
    let limits = Limits { connections_max: 2, ..Limits::default() };
    let store = Store::start_with(limits).await;
    let mut first = store.client_with_bucket().await;
    let mut second = store.client().await;
    second.call("GET", "/", b"").await.expect(200);
    let mut third = store.client().await;
    let list = third.head("GET", "/", &[], "UNSIGNED-PAYLOAD");
    third.send(&list.bytes).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(store.traffic.connections(), 2);
    first.call("GET", "/", b"").await.expect(200);
    drop(first);
    third.answer(false).await.expect(200);
}

#[tokio::test]
async fn many_idle_connections_are_kept() {
    let store = Store::start().await;
    let mut clients = Vec::new();
    for _ in 0..200 {
        let mut client = store.client().await;
        client.call("GET", "/", b"").await.expect(200);
        clients.push(client);
    }
    assert_eq!(store.traffic.connections(), 200);
    for client in &mut clients {
        client.call("GET", "/", b"").await.expect(200);
    }
}

#[tokio::test]
async fn a_large_object_goes_up_and_comes_down_while_others_do() {
    let store = Store::start().await;
    let mut client = store.client_with_bucket().await;
    let data: Vec<u8> = (0..12_000_000u32).map(|i| (i ^ (i >> 11)) as u8).collect();
    client.call("PUT", "/bkt/large", &data).await.expect(200);
    let mut slow = store.client().await;
    let get = slow.head("GET", "/bkt/large", &[], "UNSIGNED-PAYLOAD");
    slow.send(&get.bytes).await;
    sleep(Duration::from_millis(100)).await;
    // The object is replaced and deleted while it is being read.
    client.call("PUT", "/bkt/large", b"new").await.expect(200);
    client.call("DELETE", "/bkt/large", b"").await.expect(204);
    assert!(slow.answer(false).await.expect(200).body == data);
}

#[tokio::test]
async fn a_bucket_can_be_named_by_the_host() {
    let store = Store::start().await;
    store.client_with_bucket().await;
    let mut client = store.client().await;
    client.host = "bkt.s3.example.test".to_owned();
    client.signer = Signer::new(crate::store::ACCESS_KEY, crate::store::SECRET, REGION);
    client.call("PUT", "/some/key", b"hello").await.expect(200);
    client.host = "s3.example.test".to_owned();
    assert_eq!(client.call("GET", "/bkt/some/key", b"").await.expect(200).body, b"hello");
}
