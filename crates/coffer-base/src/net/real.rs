//! TCP.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use tokio::net::{TcpListener, TcpSocket};

use super::{Accepted, Listener, Net};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// The machine's network. Used from within a tokio runtime with I/O.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealNet;

impl Net for RealNet {
    fn listen(&self, addr: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let socket = match addr {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // A restarted server finds connections of the last one closing on its port.
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        Ok(Box::new(socket.listen(BACKLOG)?))
    }
}

impl Listener for TcpListener {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        let (stream, peer) = ready!(TcpListener::poll_accept(self, cx))?;
        // Answers are written whole; waiting to fill a packet only delays them.
        stream.set_nodelay(true)?;
        Poll::Ready(Ok((Box::new(stream), peer)))
    }
}
