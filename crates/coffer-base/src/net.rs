//! The network seam: listeners that yield connections.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

mod real;
mod sim;

pub use real::RealNet;
pub use sim::SimNet;

/// A byte stream both ways.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// One connection as a listener hands it out, with the address of its other end.
pub type Accepted = (Box<dyn Connection>, SocketAddr);

/// Where connections come from.
pub trait Net: Send + Sync {
    /// Listens at `addr`; port 0 takes a free one. `AddrInUse` says that another has it.
    fn listen(&self, addr: SocketAddr) -> io::Result<Box<dyn Listener>>;
}

/// A taken address. Dropping it frees the address.
pub trait Listener: Send + Sync {
    /// The address, with its real port.
    fn local_addr(&self) -> io::Result<SocketAddr>;
    /// The next connection. An error concerns one connection, or passes (too many open files):
    /// the listener goes on.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>>;
}

impl dyn Listener + '_ {
    /// Waits for the next connection; see [`Listener::poll_accept`].
    pub async fn accept(&self) -> io::Result<Accepted> {
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }
}

#[cfg(test)]
mod tests;
