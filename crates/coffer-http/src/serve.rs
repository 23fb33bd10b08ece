//! Connections: accepting, timeouts, draining.
//!
//! A connection's memory is its read buffer, which starts small and grows with what comes, up to
//! [`Limits::buffer_bytes_max`]; replies are pulled from the store as fast as the client takes
//! them.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use coffer_base::net::{Accepted, Connection, Listener};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use crate::answer::{Answer, Arrival};
use crate::patience::{PatientBody, PatientConnection};
use crate::traffic::Traffic;

/// How long to wait after an error of accepting; what is short then (file descriptors) comes back
/// when connections close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How patient the server is, and how much it takes on.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a request's head to arrive, counted from the end of the last request.
    pub head_time_max: Duration,
    /// For the next bytes of a body to arrive.
    pub body_pause_max: Duration,
    /// For the client to take the next bytes of a reply.
    pub reply_pause_max: Duration,
    /// For requests under way to end after the server was told to stop.
    pub drain_time_max: Duration,
    /// Open connections; more wait in the listener's queue.
    pub connections_max: usize,
    /// A connection's read buffer; a request's head fits in it or is refused.
    pub buffer_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head_time_max: Duration::from_secs(30),
            body_pause_max: Duration::from_secs(60),
            reply_pause_max: Duration::from_secs(60),
            drain_time_max: Duration::from_secs(20),
            connections_max: 16_384,
            buffer_bytes_max: 64 << 10,
        }
    }
}

/// What a server is made with.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// How patient it is.
    pub limits: Limits,
    /// Where it counts.
    pub traffic: Arc<Traffic>,
}

/// The body of a request.
pub type RequestBody = PatientBody<Incoming>;

/// Serves what comes to `listeners` until `shutdown` ends. Then no connection is accepted any
/// more, idle ones are closed, requests under way may end within the drain time, and what is left
/// is cut off. Returns how many connections were cut off.
pub async fn serve<A: Answer>(
    listeners: Vec<Box<dyn Listener>>,
    answer: Arc<A>,
    shutdown: impl Future<Output = ()>,
    setup: Setup,
) -> usize {
    let Setup { limits, traffic } = setup;
    let (stop, stopping) = watch::channel(());
    let mut shutdown = pin!(shutdown);
    let mut connections = JoinSet::new();
    loop {
        let full = connections.len() >= limits.connections_max;
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!("a connection's task failed: {error}");
                }
            }
            accepted = accept_any(&listeners), if !full => match accepted {
                Ok((connection, peer)) => {
                    let arrival = Arrival { peer, secure: false };
                    let (answer, stopping) = (answer.clone(), stopping.clone());
                    let presence = traffic.connection();
                    connections.spawn(async move {
                        let _presence = presence;
                        let talk = converse(connection, arrival, answer, stopping, limits);
                        if let Err(error) = talk.await {
                            tracing::debug!(%peer, "the connection broke: {error}");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!("accepting a connection failed: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listeners);
    drop(stopping);
    drop(stop);
    let deadline = Instant::now() + limits.drain_time_max;
    while let Ok(Some(_)) = timeout_at(deadline, connections.join_next()).await {}
    let cut_off = connections.len();
    connections.shutdown().await;
    cut_off
}

/// The next connection of any listener.
async fn accept_any(listeners: &[Box<dyn Listener>]) -> std::io::Result<Accepted> {
    std::future::poll_fn(|cx| {
        let mut ready = listeners.iter().map(|listener| listener.poll_accept(cx));
        ready.find(std::task::Poll::is_ready).unwrap_or(std::task::Poll::Pending)
    })
    .await
}

/// Serves one connection to its end. `stopping` closes when the server stops: the request under
/// way is the last one then.
async fn converse<A: Answer>(
    connection: Box<dyn Connection>,
    arrival: Arrival,
    answer: Arc<A>,
    mut stopping: watch::Receiver<()>,
    limits: Limits,
) -> Result<(), hyper::Error> {
    let answer = service_fn(|request: hyper::Request<Incoming>| {
        let answer = answer.clone();
        async move {
            let mut request = request.map(|body| PatientBody::new(body, limits.body_pause_max));
            request.extensions_mut().insert(arrival);
            Ok::<_, Infallible>(answer.answer(request).await)
        }
    });
    let io = TokioIo::new(PatientConnection::new(connection, limits.reply_pause_max));
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time_max)
        .max_buf_size(limits.buffer_bytes_max)
        .half_close(true)
        .serve_connection(io, answer);
    let mut conversation = pin!(conversation);
    tokio::select! {
        ended = &mut conversation => return ended,
        _ = stopping.changed() => conversation.as_mut().graceful_shutdown(),
    }
    conversation.await
}
