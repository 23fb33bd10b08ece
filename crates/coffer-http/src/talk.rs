//! One connection from its first byte to its last.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use coffer_base::net::Connection;
use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::time::{interval_at, timeout};

use crate::answer::{Answer, Arrival, TlsVersion};
use crate::opening::{self, Opening};
use crate::patience::{PatientConnection, RequestBody};
use crate::serve::Limits;
use crate::streams::{Beside, ReplyBody, Streams};
use crate::tls::{Agreed, Failed, Tls};
use crate::traffic::{Event, Traffic};

/// What plain HTTP is told on a port of TLS.
const USE_TLS: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
    content-length: 54\r\nconnection: close\r\n\r\n\
    This port speaks TLS: use https:// instead of http://\n";

/// Of HTTP/2: a reply's bytes that wait for the client, a stream.
const SEND_BYTES_MAX: usize = 256 << 10;
/// Of HTTP/2: what a client may send before it is read, a stream and a connection.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// Of HTTP/2: streams that a client opened and reset before they were looked at; more end the
/// connection (the flood of CVE-2023-44487).
const UNSEEN_RESETS_MAX: usize = 32;
/// Of HTTP/2: streams that this end had to reset for the client's errors; more end the
/// connection.
const ERROR_RESETS_MAX: usize = 256;

/// What one connection is served with.
pub(crate) struct Talk<A> {
    pub(crate) answer: Arc<A>,
    pub(crate) peer: SocketAddr,
    pub(crate) tls: Option<Tls>,
    pub(crate) limits: Limits,
    pub(crate) traffic: Arc<Traffic>,
    /// Closes when the server stops: the requests under way are the last ones then.
    pub(crate) stopping: watch::Receiver<()>,
}

impl<A: Answer> Talk<A> {
    /// Serves `connection` to its end.
    pub(crate) async fn run(mut self, connection: Box<dyn Connection>) -> io::Result<()> {
        let patience = match self.tls {
            Some(_) => self.limits.handshake_time_max,
            None => self.limits.head_time_max,
        };
        let mut stopping = self.stopping.clone();
        let opened = tokio::select! {
            opened = timeout(patience, opening::read(connection)) => opened,
            _ = stopping.changed() => return Ok(()),
        };
        let (opening, connection) = opened.map_err(|_| io::ErrorKind::TimedOut)??;
        match (self.tls.take(), opening) {
            (_, Opening::Nothing) => Ok(()),
            (Some(tls), Opening::Tls) => {
                let shaken = tokio::select! {
                    shaken = tls.accept(connection) => shaken,
                    _ = stopping.changed() => return Ok(()),
                };
                let (event, result) = match shaken {
                    Ok(shaken) => (Event::Handshake, Ok(shaken)),
                    Err(Failed::Slow) => {
                        (Event::HandshakeSlow, Err(io::ErrorKind::TimedOut.into()))
                    }
                    Err(Failed::Broken(error)) => (Event::HandshakeFailed, Err(error)),
                };
                self.traffic.happened(event);
                let (stream, agreed, version) = result?;
                match agreed {
                    Agreed::Http1 => self.http1(Box::new(stream), Some(version)).await,
                    Agreed::Http2 => self.http2(Box::new(stream), Some(version)).await,
                    Agreed::Challenge => self.patient(Box::new(stream)).shutdown().await,
                }
            }
            (Some(_), Opening::Http1 | Opening::Http2) => {
                self.traffic.happened(Event::PlaintextRefused);
                let mut connection = self.patient(Box::new(connection));
                connection.write_all(USE_TLS.as_bytes()).await?;
                connection.shutdown().await
            }
            (Some(_), Opening::Unknown) => {
                self.traffic.happened(Event::HandshakeFailed);
                Ok(())
            }
            (None, Opening::Http2) => self.http2(Box::new(connection), None).await,
            // What is not HTTP gets its 400.
            (None, Opening::Http1 | Opening::Tls | Opening::Unknown) => {
                self.http1(Box::new(connection), None).await
            }
        }
    }

    fn patient(&self, connection: Box<dyn Connection>) -> PatientConnection {
        PatientConnection::new(connection, self.limits.reply_pause_max)
    }

    async fn http1(
        mut self,
        connection: Box<dyn Connection>,
        tls: Option<TlsVersion>,
    ) -> io::Result<()> {
        let io = TokioIo::new(self.patient(connection));
        let answer = self.answer.clone();
        let (arrival, limits) = (Arrival { peer: self.peer, tls }, self.limits);
        let traffic = self.traffic.clone();
        let service = service_fn(|request: Request<Incoming>| {
            traffic.happened(Event::Http1Request);
            reply(answer.clone(), prepared(request, arrival, limits.body_pause_max, None))
        });
        let conversation = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_time_max)
            .max_buf_size(limits.buffer_bytes_max)
            .half_close(true)
            .serve_connection(io, service);
        let mut conversation = pin!(conversation);
        tokio::select! {
            ended = &mut conversation => return ended.map_err(io::Error::other),
            _ = self.stopping.changed() => conversation.as_mut().graceful_shutdown(),
        }
        conversation.await.map_err(io::Error::other)
    }

    async fn http2(
        mut self,
        connection: Box<dyn Connection>,
        tls: Option<TlsVersion>,
    ) -> io::Result<()> {
        let connection = self.patient(connection);
        let written = connection.written_count();
        let io = TokioIo::new(connection);
        let answer = self.answer.clone();
        let (arrival, limits) = (Arrival { peer: self.peer, tls }, self.limits);
        let streams = Streams::new(limits.reply_pause_max, self.traffic.clone());
        let (traffic, beside) = (self.traffic.clone(), streams.beside());
        let service = service_fn(move |request: Request<Incoming>| {
            traffic.happened(Event::Http2Request);
            let (answer, beside) = (answer.clone(), beside.clone());
            async move {
                let mut request = prepared(request, arrival, limits.body_pause_max, Some(beside));
                if !name_host(&mut request) {
                    let mut refusal = Response::new(ReplyBody::new(None));
                    *refusal.status_mut() = StatusCode::BAD_REQUEST;
                    return Ok(refusal);
                }
                let mut reply = reply(answer, request).await;
                // It is of HTTP/1.1 only (RFC 9113, 8.2.2).
                if let Ok(reply) = &mut reply {
                    reply.headers_mut().remove(CONNECTION);
                }
                reply
            }
        });
        let conversation = http2::Builder::new(streams.clone())
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams_max)
            .max_pending_accept_reset_streams(UNSEEN_RESETS_MAX)
            .max_local_error_reset_streams(ERROR_RESETS_MAX)
            .max_header_list_size(u32::try_from(limits.buffer_bytes_max).unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(SEND_BYTES_MAX)
            .serve_connection(io, service);
        let mut conversation = pin!(conversation);
        // An idle connection is told to end, and is cut off if it goes on being idle.
        let period = (limits.head_time_max / 2).max(Duration::from_millis(1));
        let mut looks = interval_at(tokio::time::Instant::now() + period, period);
        let mut seen = (streams.started(), written.get());
        let (mut ending, mut stopped) = (false, false);
        loop {
            tokio::select! {
                ended = &mut conversation => return ended.map_err(io::Error::other),
                _ = self.stopping.changed(), if !stopped => {
                    stopped = true;
                    conversation.as_mut().graceful_shutdown();
                }
                () = streams.flooded() => {
                    self.traffic.happened(Event::Http2Flood);
                    return Err(io::Error::other("the client resets nearly all it asks for"));
                }
                _ = looks.tick() => {
                    let now = (streams.started(), written.get());
                    if streams.any() || now != seen {
                        seen = now;
                    } else if ending {
                        return Ok(());
                    } else {
                        ending = true;
                        conversation.as_mut().graceful_shutdown();
                        seen = now;
                    }
                }
            }
        }
    }
}

/// A request as what answers it gets it.
fn prepared(
    request: Request<Incoming>,
    arrival: Arrival,
    body_pause_max: Duration,
    beside: Option<Beside>,
) -> Request<RequestBody> {
    let mut request = request.map(|body| RequestBody::new(body, body_pause_max, beside));
    request.extensions_mut().insert(arrival);
    request
}

async fn reply<A: Answer>(
    answer: Arc<A>,
    request: Request<RequestBody>,
) -> Result<Response<ReplyBody<A::Body>>, Infallible> {
    Ok(answer.answer(request).await.map(|body| ReplyBody::new(Some(body))))
}

/// Makes `:authority` the `Host` of an HTTP/2 request, since signatures are over that. A request
/// that names two different ones is malformed (RFC 9113, 8.3.1).
fn name_host<B>(request: &mut Request<B>) -> bool {
    let Some(authority) = request.uri().authority() else {
        return true;
    };
    let mut named = request.headers().get_all(HOST).iter();
    let fits =
        |host: &HeaderValue| host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes());
    match (named.next(), named.next()) {
        (None, _) => match HeaderValue::from_str(authority.as_str()) {
            Ok(host) => {
                request.headers_mut().insert(HOST, host);
                true
            }
            Err(_) => false,
        },
        (Some(host), None) => fits(host),
        (Some(_), Some(_)) => false,
    }
}
