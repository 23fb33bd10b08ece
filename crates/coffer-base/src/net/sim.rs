//! A network in memory.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use tokio::io::{DuplexStream, duplex};

use super::{Accepted, Listener, Net};

/// Bytes that a connection holds each way before its writer waits.
const BUFFER_BYTES: usize = 64 << 10;
const FIRST_FREE_PORT: u16 = 49_152;

/// Listeners and connections without sockets; clones are the same network.
#[derive(Clone, Default)]
pub struct SimNet(Arc<Mutex<Listening>>);

#[derive(Default)]
struct Listening {
    queues: BTreeMap<SocketAddr, Queue>,
    connections: u16,
}

#[derive(Default)]
struct Queue {
    arrived: VecDeque<Accepted>,
    waiting: Vec<Waker>,
}

struct SimListener {
    net: SimNet,
    addr: SocketAddr,
}

impl SimNet {
    fn listening(&self) -> MutexGuard<'_, Listening> {
        self.0.lock().expect("no holder panics")
    }

    /// Connects to what listens at `addr`; `ConnectionRefused` says that nothing does.
    pub fn connect(&self, addr: SocketAddr) -> io::Result<DuplexStream> {
        let mut listening = self.listening();
        listening.connections = listening.connections.wrapping_add(1);
        let peer = SocketAddr::new(addr.ip(), listening.connections);
        let queue = listening.queues.get_mut(&addr).ok_or(io::ErrorKind::ConnectionRefused)?;
        let (near, far) = duplex(BUFFER_BYTES);
        queue.arrived.push_back((Box::new(far), peer));
        for waker in queue.waiting.drain(..) {
            waker.wake();
        }
        Ok(near)
    }
}

impl Net for SimNet {
    fn listen(&self, mut addr: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let mut listening = self.listening();
        if addr.port() == 0 {
            let free = (FIRST_FREE_PORT..=u16::MAX)
                .find(|port| !listening.queues.contains_key(&SocketAddr::new(addr.ip(), *port)));
            addr.set_port(free.ok_or(io::ErrorKind::AddrNotAvailable)?);
        }
        if listening.queues.contains_key(&addr) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        listening.queues.insert(addr, Queue::default());
        Ok(Box::new(SimListener { net: self.clone(), addr }))
    }
}

impl Listener for SimListener {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        let mut listening = self.net.listening();
        let queue = listening.queues.get_mut(&self.addr).ok_or(io::ErrorKind::NotConnected)?;
        match queue.arrived.pop_front() {
            Some(accepted) => Poll::Ready(Ok(accepted)),
            None => {
                queue.waiting.push(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        self.net.listening().queues.remove(&self.addr);
    }
}
