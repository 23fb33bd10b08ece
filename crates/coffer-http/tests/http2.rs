//! HTTP/2: many requests at once, and clients that mean harm.

use std::time::Duration;

use bytes::Bytes;
use coffer_http::{Event, Limits};
use h2::client::SendRequest;
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::server::Server;

type Sender = SendRequest<Bytes>;

/// A connection; the task drives it and ends with it.
async fn handshake<S>(stream: S) -> (Sender, JoinHandle<Result<(), h2::Error>>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    (sender, tokio::spawn(connection))
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("http://h:1{path}")).body(()).unwrap()
}

/// The status and the body of the reply.
async fn finish(reply: h2::client::ResponseFuture) -> Result<(u16, Vec<u8>), h2::Error> {
    let reply = reply.await?;
    Ok((reply.status().as_u16(), finish_body(reply.into_body()).await?))
}

async fn finish_body(mut body: h2::RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut all = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

async fn ask(sender: &mut Sender, path: &str) -> Result<(u16, Vec<u8>), h2::Error> {
    let mut ready = sender.clone().ready().await?;
    let (reply, _) = ready.send_request(get(path), true)?;
    finish(reply).await
}

#[tokio::test]
async fn requests_run_at_once_on_one_connection() {
    for tls in [true, false] {
        let server = Server::start(tls, Limits::default());
        let (mut sender, _driving) = if tls {
            handshake(server.connect_tls("h2").await).await
        } else {
            handshake(server.connect().await).await
        };
        let mut ready = sender.clone().ready().await.unwrap();
        let (gated, _) = ready.send_request(get("/gate"), true).unwrap();
        for _ in 0..300 {
            assert_eq!(ask(&mut sender, "/").await.unwrap(), (200, b"hello".to_vec()));
        }
        let (_, zeros) = ask(&mut sender, "/zeros?5000000").await.unwrap();
        assert_eq!(zeros.len(), 5_000_000);
        server.paths.gate.add_permits(1);
        assert_eq!(finish(gated).await.unwrap(), (200, b"passed".to_vec()));
        assert_eq!(server.traffic.count(Event::Http2Request), 302);
    }
}

#[tokio::test]
async fn the_authority_is_the_host() {
    let server = Server::start(true, Limits::default());
    let (mut sender, _driving) = handshake(server.connect_tls("h2").await).await;
    assert_eq!(ask(&mut sender, "/host").await.unwrap(), (200, b"h:1".to_vec()));
    for (host, status) in [("h:1", 200), ("H:1", 200), ("other", 400)] {
        let mut request = get("/");
        request.headers_mut().insert("host", host.parse().unwrap());
        let mut ready = sender.clone().ready().await.unwrap();
        let (reply, _) = ready.send_request(request, true).unwrap();
        assert_eq!(finish(reply).await.unwrap().0, status, "{host}");
    }
    // What is of HTTP/1.1 alone is left out.
    assert_eq!(ask(&mut sender, "/close").await.unwrap().0, 200);
}

#[tokio::test]
async fn bodies_come_in_and_are_waited_for_only_so_long() {
    let limits = Limits { body_pause_max: Duration::from_millis(300), ..Limits::default() };
    let server = Server::start(true, limits);
    let (mut sender, _driving) = handshake(server.connect_tls("h2").await).await;
    let post = || Request::post("http://h:1/echo").body(()).unwrap();
    let mut ready = sender.clone().ready().await.unwrap();
    let (reply, mut body) = ready.send_request(post(), false).unwrap();
    body.send_data(Bytes::from_static(b"one "), false).unwrap();
    body.send_data(Bytes::from_static(b"two"), true).unwrap();
    assert_eq!(finish(reply).await.unwrap().1, b"one two");
    let mut ready = sender.clone().ready().await.unwrap();
    let (reply, mut body) = ready.send_request(post(), false).unwrap();
    body.send_data(Bytes::from_static(b"half"), false).unwrap();
    let (_, text) = finish(reply).await.unwrap();
    assert_eq!(text, b"broken: timed out");
    assert_eq!(ask(&mut sender, "/").await.unwrap().0, 200, "the connection goes on");
}

#[tokio::test]
async fn what_nobody_reads_is_thrown_away_so_that_the_reply_arrives() {
    let server = Server::start(true, Limits::default());
    let (sender, _driving) = handshake(server.connect_tls("h2").await).await;
    let mut ready = sender.clone().ready().await.unwrap();
    let post = Request::post("http://h:1/").body(()).unwrap();
    let (reply, mut body) = ready.send_request(post, false).unwrap();
    assert_eq!(finish(reply).await.unwrap(), (200, b"hello".to_vec()));
    // More than all windows: it is read on, not reset.
    let piece = Bytes::from(vec![0; 1 << 20]);
    for _ in 0..16 {
        body.reserve_capacity(piece.len());
        let mut left = piece.clone();
        while !left.is_empty() {
            let free = std::future::poll_fn(|cx| body.poll_capacity(cx)).await;
            let free = free.expect("the stream is open").unwrap().min(left.len());
            body.send_data(left.split_to(free), false).unwrap();
        }
    }
    body.send_data(Bytes::new(), true).unwrap();
}

#[tokio::test]
async fn who_does_not_take_a_reply_loses_that_stream() {
    let limits = Limits { reply_pause_max: Duration::from_millis(500), ..Limits::default() };
    let server = Server::start(true, limits);
    // What one stream does not take must not use up the window of all.
    let (mut sender, connection) = h2::client::Builder::new()
        .initial_connection_window_size(10 << 20)
        .handshake(server.connect_tls("h2").await)
        .await
        .unwrap();
    let _driving = tokio::spawn(connection);
    let mut ready = sender.clone().ready().await.unwrap();
    let (reply, _) = ready.send_request(get("/zeros?5000000"), true).unwrap();
    let mut untaken = reply.await.unwrap().into_body();
    server.until(Event::StreamStalled, 1).await;
    // A reply that the server itself makes wait is another thing.
    let mut ready = sender.clone().ready().await.unwrap();
    let (gated, _) = ready.send_request(get("/gate"), true).unwrap();
    tokio::time::sleep(2 * limits.reply_pause_max).await;
    server.paths.gate.add_permits(1);
    assert_eq!(finish(gated).await.unwrap().1, b"passed");
    // What had been sent comes, and then the reset instead of the end.
    let broken = loop {
        match untaken.data().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("the reply came whole"),
        }
    };
    assert!(broken.is_reset(), "{broken}");
    assert_eq!(ask(&mut sender, "/").await.unwrap().0, 200);
    assert_eq!(server.traffic.count(Event::StreamStalled), 1);
}

#[tokio::test]
async fn who_opens_no_window_at_all_loses_that_stream() {
    let limits = Limits { reply_pause_max: Duration::from_millis(500), ..Limits::default() };
    let server = Server::start(true, limits);
    let (sender, connection) = h2::client::Builder::new()
        .initial_window_size(0)
        .handshake::<_, Bytes>(server.connect_tls("h2").await)
        .await
        .unwrap();
    let _driving = tokio::spawn(connection);
    let mut ready = sender.clone().ready().await.unwrap();
    let (reply, _) = ready.send_request(get("/zeros?5"), true).unwrap();
    let reply = reply.await.unwrap();
    server.until(Event::StreamStalled, 1).await;
    assert!(finish_body(reply.into_body()).await.unwrap_err().is_reset());
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let limits = Limits { head_time_max: Duration::from_millis(400), ..Limits::default() };
    let server = Server::start(true, limits);
    let (mut sender, driving) = handshake(server.connect_tls("h2").await).await;
    let mut ready = sender.clone().ready().await.unwrap();
    let (gated, _) = ready.send_request(get("/gate"), true).unwrap();
    // A request under way is not idleness.
    tokio::time::sleep(3 * limits.head_time_max).await;
    server.paths.gate.add_permits(1);
    assert_eq!(finish(gated).await.unwrap().1, b"passed");
    assert_eq!(ask(&mut sender, "/").await.unwrap().0, 200);
    timeout(Duration::from_secs(20), driving).await.expect("it ends").unwrap().unwrap();
    // Nobody who answers nothing keeps one open either.
    let mut silent = server.connect_tls("h2").await;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut scrap = Vec::new();
    let read = timeout(Duration::from_secs(20), silent.read_to_end(&mut scrap)).await;
    assert!(read.is_ok(), "it is still open");
    server.until_true(|| server.traffic.connections() == 0).await;
}

#[tokio::test]
async fn stopping_lets_streams_end() {
    let mut server = Server::start(true, Limits::default());
    let (sender, driving) = handshake(server.connect_tls("h2").await).await;
    let mut ready = sender.clone().ready().await.unwrap();
    let (gated, _) = ready.send_request(get("/gate"), true).unwrap();
    server.until(Event::Http2Request, 1).await;
    server.tell_to_stop();
    // Once it was heard of, no other request is taken.
    let refused = async {
        loop {
            let mut sender = sender.clone();
            if ask(&mut sender, "/").await.is_err() {
                return;
            }
        }
    };
    timeout(Duration::from_secs(20), refused).await.expect("the connection is told to end");
    server.paths.gate.add_permits(1);
    assert_eq!(finish(gated).await.unwrap().1, b"passed");
    drop((sender, ready));
    let _ = driving.await;
    assert_eq!(server.stopped().await, 0);
}

#[tokio::test]
async fn stopping_does_not_wait_forever() {
    let limits = Limits { drain_time_max: Duration::from_millis(300), ..Limits::default() };
    let mut server = Server::start(true, limits);
    let (sender, _driving) = handshake(server.connect_tls("h2").await).await;
    let mut ready = sender.clone().ready().await.unwrap();
    let (_gated, _) = ready.send_request(get("/gate"), true).unwrap();
    server.until(Event::Http2Request, 1).await;
    server.tell_to_stop();
    assert_eq!(server.stopped().await, 1);
}

/// The preface and empty settings.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// `GET /gate` as stream `id`.
fn headers_frame(id: u32) -> Vec<u8> {
    let block = b"\x82\x86\x44\x05/gate\x41\x03h:1";
    [&[0, 0, block.len() as u8, 1, 5][..], &id.to_be_bytes(), block].concat()
}

fn reset_frame(id: u32) -> Vec<u8> {
    [&[0, 0, 4, 3, 0][..], &id.to_be_bytes(), &[0, 0, 0, 8]].concat()
}

#[tokio::test]
async fn a_flood_of_resets_ends_its_connection() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Server::start(true, Limits::default());
    let (mut other, _driving) = handshake(server.connect_tls("h2").await).await;
    // Each stream is reset before, or after, the server has looked at it.
    for before in [true, false] {
        let (mut reading, mut writing) = tokio::io::split(server.connect_tls("h2").await);
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            let _ = reading.read_to_end(&mut all).await;
        });
        writing.write_all(HELLO).await.unwrap();
        let begun = server.traffic.count(Event::Http2Request);
        let (mut asked, mut by_others) = (0, 0);
        while !reading.is_finished() {
            assert!(asked < 100_000, "nobody stopped the flood");
            let ids: Vec<u32> = (0..100).map(|i| (asked + i) * 2 + 1).collect();
            asked += 100;
            let heads = ids.iter().flat_map(|id| headers_frame(*id));
            let resets = ids.iter().flat_map(|id| reset_frame(*id));
            // The server may have closed.
            if before {
                let both = ids.iter().flat_map(|id| [headers_frame(*id), reset_frame(*id)]);
                let _ = writing.write_all(&both.flatten().collect::<Vec<u8>>()).await;
            } else {
                let _ = writing.write_all(&heads.collect::<Vec<u8>>()).await;
                let expected = begun + u64::from(asked) + by_others;
                let came = || server.traffic.count(Event::Http2Request) >= expected;
                server.until_true(|| came() || reading.is_finished()).await;
                let _ = writing.write_all(&resets.collect::<Vec<u8>>()).await;
            }
            // Others are served meanwhile.
            let answer = timeout(Duration::from_secs(20), ask(&mut other, "/")).await;
            assert_eq!(answer.expect("it is answered in time").unwrap().0, 200);
            by_others += 1;
        }
        let came = server.traffic.count(Event::Http2Request) - begun - by_others;
        assert!(came < 3000, "{came} were begun");
    }
    assert_eq!(server.traffic.count(Event::Http2Flood), 1);
}

#[tokio::test]
async fn who_takes_most_replies_may_reset_others() {
    let server = Server::start(true, Limits::default());
    let (mut sender, _driving) = handshake(server.connect_tls("h2").await).await;
    for _ in 0..600 {
        let mut ready = sender.clone().ready().await.unwrap();
        drop(ready.send_request(get("/gate"), true).unwrap());
        assert_eq!(ask(&mut sender, "/").await.unwrap().0, 200);
    }
    assert_eq!(server.traffic.count(Event::Http2Flood), 0);
}

#[tokio::test]
async fn no_more_streams_than_allowed() {
    let limits = Limits { streams_max: 5, ..Limits::default() };
    let server = Server::start(true, limits);
    let (mut sender, _driving) = handshake(server.connect_tls("h2").await).await;
    // The limit is known once a reply has come.
    assert_eq!(ask(&mut sender, "/").await.unwrap().0, 200);
    let mut waiting = Vec::new();
    let mut asking = Vec::new();
    for _ in 0..20 {
        let sender = sender.clone();
        asking.push(tokio::spawn(async move {
            let mut ready = sender.ready().await.unwrap();
            let (reply, _) = ready.send_request(get("/gate"), true).unwrap();
            finish(reply).await.unwrap()
        }));
    }
    server.until(Event::Http2Request, 6).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(server.traffic.count(Event::Http2Request), 6);
    server.paths.gate.add_permits(20);
    for one in asking {
        waiting.push(one.await.unwrap());
    }
    assert!(waiting.iter().all(|(status, text)| *status == 200 && text == b"passed"));
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let server = Server::start(true, Limits::default());
    let (sender, _driving) = handshake(server.connect_tls("h2").await).await;
    let mut request = get("/");
    for i in 0..40 {
        let name = http::HeaderName::from_bytes(format!("x-{i}").as_bytes()).unwrap();
        request.headers_mut().insert(name, "y".repeat(4000).parse().unwrap());
    }
    let mut ready = sender.clone().ready().await.unwrap();
    let (reply, _) = ready.send_request(request, true).unwrap();
    match finish(reply).await {
        Ok((status, _)) => assert_eq!(status, 431),
        Err(error) => assert!(error.is_reset() || error.is_go_away(), "{error}"),
    }
    let (mut other, _driving) = handshake(server.connect_tls("h2").await).await;
    assert_eq!(ask(&mut other, "/").await.unwrap().0, 200);
}

#[tokio::test]
async fn garbage_after_the_preface_ends_the_connection() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Server::start(false, Limits::default());
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for garbage in [
        &b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"[..],
        &[255; 64],
        &[0; 64],
        // A frame longer than allowed; headers of stream 0; a broken header block.
        &[255, 255, 255, 0, 0, 0, 0, 0, 1],
        &[0, 0, 1, 1, 4, 0, 0, 0, 0, 0x82],
        &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 3, 1, 5, 0, 0, 0, 1, 255, 255, 255],
    ] {
        let mut stream = server.connect().await;
        let _ = stream.write_all(preface).await;
        let _ = stream.write_all(garbage).await;
        let mut reply = Vec::new();
        let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut reply)).await;
        assert!(read.is_ok(), "{garbage:?} is waited for");
    }
    let (mut other, _driving) = handshake(server.connect().await).await;
    assert_eq!(ask(&mut other, "/").await.unwrap().0, 200);
}
