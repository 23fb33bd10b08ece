//! What was counted of connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Something that happens to connections, and is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A TLS handshake came to its end.
    Handshake,
    /// A TLS handshake failed: wrong protocol, unknown certificate, garbage, or the client left.
    HandshakeFailed,
    /// A TLS handshake took too long, or had to make room for younger ones.
    HandshakeSlow,
    /// Somebody spoke plain HTTP to a port of TLS.
    PlaintextRefused,
    /// A request came by HTTP/1.1.
    Http1Request,
    /// A request came by HTTP/2.
    Http2Request,
    /// A client took too long to take the next bytes of an HTTP/2 stream.
    StreamStalled,
    /// A connection of HTTP/2 was ended, as its client reset nearly all it asked for.
    Http2Flood,
}

impl Event {
    /// All of them.
    pub const ALL: [Event; 8] = [
        Event::Handshake,
        Event::HandshakeFailed,
        Event::HandshakeSlow,
        Event::PlaintextRefused,
        Event::Http1Request,
        Event::Http2Request,
        Event::StreamStalled,
        Event::Http2Flood,
    ];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Event::Handshake => "handshake",
            Event::HandshakeFailed => "handshake_failed",
            Event::HandshakeSlow => "handshake_slow",
            Event::PlaintextRefused => "plaintext_refused",
            Event::Http1Request => "http1_request",
            Event::Http2Request => "http2_request",
            Event::StreamStalled => "stream_stalled",
            Event::Http2Flood => "http2_flood",
        }
    }
}

/// Counters that a server and whoever reports on it share.
#[derive(Debug, Default)]
pub struct Traffic {
    connections: AtomicU64,
    events: [AtomicU64; Event::ALL.len()],
}

impl Traffic {
    /// How many connections are open.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// How often `event` happened.
    pub fn count(&self, event: Event) -> u64 {
        self.events[event as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn happened(&self, event: Event) {
        self.events[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A connection that is open until what is returned is dropped.
    pub(crate) fn connection(self: &Arc<Self>) -> Presence {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Presence(self.clone())
    }
}

/// Counts a connection as open until it is dropped.
#[derive(Debug)]
pub(crate) struct Presence(Arc<Traffic>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
