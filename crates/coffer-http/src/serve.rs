//! Accepting, and stopping.
//!
//! A connection's memory is its read buffer, which starts small and grows with what comes, up to
//! [`Limits::buffer_bytes_max`]; replies are pulled from the store as fast as the client takes
//! them.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use coffer_base::net::{Accepted, Listener};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use crate::answer::Answer;
use crate::talk::Talk;
use crate::tls::{Certificates, Tls};
use crate::traffic::Traffic;

/// How long to wait after an error of accepting; what is short then (file descriptors) comes back
/// when connections close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How patient the server is, and how much it takes on.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a TLS handshake, from the first byte that is waited for.
    pub handshake_time_max: Duration,
    /// TLS handshakes at a time; more of them end the oldest.
    pub handshakes_max: usize,
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
    /// Requests at a time on one connection of HTTP/2.
    pub streams_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            handshake_time_max: Duration::from_secs(10),
            handshakes_max: 2048,
            head_time_max: Duration::from_secs(30),
            body_pause_max: Duration::from_secs(60),
            reply_pause_max: Duration::from_secs(60),
            drain_time_max: Duration::from_secs(20),
            connections_max: 16_384,
            buffer_bytes_max: 64 << 10,
            streams_max: 128,
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
    /// What it shows; without, it speaks plain HTTP, and with it, nothing but TLS.
    pub certificates: Option<Arc<Certificates>>,
}

/// Serves what comes to `listeners` until `shutdown` ends. Then no connection is accepted any
/// more, idle ones are closed, requests under way may end within the drain time, and what is left
/// is cut off. Returns how many connections were cut off.
pub async fn serve<A: Answer>(
    listeners: Vec<Box<dyn Listener>>,
    answer: Arc<A>,
    shutdown: impl Future<Output = ()>,
    setup: Setup,
) -> Result<usize, rustls::Error> {
    let Setup { limits, traffic, certificates } = setup;
    let tls = match certificates {
        Some(shown) => Some(Tls::new(shown, limits.handshake_time_max, limits.handshakes_max)?),
        None => None,
    };
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
                    let presence = traffic.connection();
                    let talk = Talk {
                        answer: answer.clone(),
                        peer,
                        tls: tls.clone(),
                        limits,
                        traffic: traffic.clone(),
                        stopping: stopping.clone(),
                    };
                    connections.spawn(async move {
                        let _presence = presence;
                        if let Err(error) = talk.run(connection).await {
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
    Ok(cut_off)
}

/// The next connection of any listener.
async fn accept_any(listeners: &[Box<dyn Listener>]) -> std::io::Result<Accepted> {
    std::future::poll_fn(|cx| {
        let mut ready = listeners.iter().map(|listener| listener.poll_accept(cx));
        ready.find(std::task::Poll::is_ready).unwrap_or(std::task::Poll::Pending)
    })
    .await
}
