//! The limits of waiting for the other end, and the way a connection is closed.

use std::future::Future as _;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use coffer_base::net::Connection;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::answer::BodyError;
use crate::streams::Beside;

/// How long, and for how many bytes, a closed connection is still listened to. Closing with bytes
/// unread would reset the connection, and the client might never see the reply that refused them.
const LINGER_TIME_MAX: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 64 << 20;

/// Runs while the other end is waited for.
struct Patience {
    pause_max: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(pause_max: Duration) -> Self {
        Self { pause_max, waiting: None }
    }

    /// Something happened.
    fn reset(&mut self) {
        self.waiting = None;
    }

    /// Nothing happened: an error once that has lasted too long.
    fn check(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let pause_max = self.pause_max;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(pause_max)));
        ready!(waiting.as_mut().poll(cx));
        self.waiting = None;
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }
}

/// The body of a request: its next bytes must come in time.
///
/// One of HTTP/2 that is dropped before its end goes on being read for a while, and thrown away:
/// a stream that is reset may cost its client the reply that refused it.
pub struct RequestBody {
    /// None from the drop on.
    body: Option<Incoming>,
    patience: Patience,
    ended: bool,
    /// The connection's tasks, in HTTP/2.
    beside: Option<Beside>,
}

impl RequestBody {
    pub(crate) fn new(body: Incoming, pause_max: Duration, beside: Option<Beside>) -> Self {
        let ended = body.is_end_stream();
        Self { body: Some(body), patience: Patience::new(pause_max), ended, beside }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.patience.reset();
                this.ended = !matches!(frame, Some(Ok(_)));
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => this.patience.check(cx).map(|error| Some(Err(error.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let (Some(body), Some(beside)) = (self.body.take(), self.beside.take()) else {
            return;
        };
        if !self.ended && !body.is_end_stream() {
            beside.spawn(throw_away(body));
        }
    }
}

/// Reads what still comes. What is left after that is reset.
async fn throw_away(mut body: Incoming) {
    let until = sleep(LINGER_TIME_MAX);
    let mut until = pin!(until);
    let mut bytes = 0;
    while bytes <= LINGER_BYTES_MAX {
        let frame = std::future::poll_fn(|cx| match Pin::new(&mut body).poll_frame(cx) {
            Poll::Pending => until.as_mut().poll(cx).map(|()| None),
            ready => ready,
        });
        match frame.await {
            Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) | None => return,
        }
    }
}

/// A connection whose other end must take what is written in time, and that lingers when it is
/// closed.
pub(crate) struct PatientConnection {
    connection: Box<dyn Connection>,
    patience: Patience,
    closing: Closing,
    written: WrittenCount,
}

/// How many writes of a connection got on.
#[derive(Clone, Debug, Default)]
pub(crate) struct WrittenCount(Arc<AtomicU64>);

impl WrittenCount {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

enum Closing {
    Not,
    /// The write side is closed; what still comes is thrown away.
    Lingering {
        until: Pin<Box<Sleep>>,
        bytes: usize,
    },
    Done,
}

impl PatientConnection {
    pub(crate) fn new(connection: Box<dyn Connection>, pause_max: Duration) -> Self {
        Self {
            connection,
            patience: Patience::new(pause_max),
            closing: Closing::Not,
            written: WrittenCount::default(),
        }
    }

    /// The count of its writes, which goes on.
    pub(crate) fn written_count(&self) -> WrittenCount {
        self.written.clone()
    }

    fn count(&self, result: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(1..)) = result {
            self.written.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Passes on what a write gave, or the error of having waited too long.
    fn written<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        match result {
            Poll::Ready(result) => {
                self.patience.reset();
                Poll::Ready(result)
            }
            Poll::Pending => self.patience.check(cx).map(Err),
        }
    }
}

impl AsyncRead for PatientConnection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().connection).poll_read(cx, buf)
    }
}

impl AsyncWrite for PatientConnection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.connection).poll_write(cx, buf);
        this.count(&result);
        this.written(result, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.connection).poll_write_vectored(cx, bufs);
        this.count(&result);
        this.written(result, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.connection).poll_flush(cx);
        this.written(result, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.closing {
                Closing::Not => {
                    let result = Pin::new(&mut this.connection).poll_shutdown(cx);
                    ready!(this.written(result, cx))?;
                    let until = Box::pin(sleep(LINGER_TIME_MAX));
                    this.closing = Closing::Lingering { until, bytes: 0 };
                }
                Closing::Lingering { until, bytes } => {
                    let mut scrap = [0; 8192];
                    let mut scrap = ReadBuf::new(&mut scrap);
                    let read = Pin::new(&mut this.connection).poll_read(cx, &mut scrap);
                    let over = match read {
                        Poll::Ready(Ok(())) => {
                            *bytes += scrap.filled().len();
                            scrap.filled().is_empty() || *bytes > LINGER_BYTES_MAX
                        }
                        // The other end is gone; that is what was waited for.
                        Poll::Ready(Err(_)) => true,
                        Poll::Pending => {
                            ready!(until.as_mut().poll(cx));
                            true
                        }
                    };
                    if over {
                        this.closing = Closing::Done;
                    }
                }
                Closing::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}
