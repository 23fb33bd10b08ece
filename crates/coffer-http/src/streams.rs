//! The streams of one HTTP/2 connection: they live and end with it, and a client that does not
//! take what one of them sends loses that one.
//!
//! In HTTP/1.1 a client that takes nothing is seen by a write that does not end. In HTTP/2 it may
//! just not open a stream's window, which blocks no write: so each stream is timed while a piece
//! of its reply waits to be taken.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep};

use crate::answer::BodyError;
use crate::traffic::{Event, Traffic};

tokio::task_local! {
    /// The stream that the current task serves.
    static PROGRESS: Arc<Progress>;
}

/// How many streams a client may reset without taking the reply, more than it takes. Requests at
/// a time are limited, but who resets each at once asks for any number (CVE-2023-44487).
const RESETS_MAX: i64 = 512;

/// Which piece of a reply is to be taken: none, it waits for this server.
const OURS: u64 = 0;
/// Its head, with nothing of the body asked for yet.
const HEAD: u64 = u64::MAX;

/// How far the reply of one stream is.
#[derive(Debug, Default)]
struct Progress {
    /// Which piece of the reply the client is to take.
    piece: AtomicU64,
    /// All of the reply was handed out.
    whole: AtomicBool,
}

impl Progress {
    fn note(piece: u64, whole: bool) {
        // Outside of a stream of HTTP/2 there is nobody to tell.
        let _ = PROGRESS.try_with(|progress| {
            progress.piece.store(piece, Ordering::Relaxed);
            progress.whole.store(whole, Ordering::Relaxed);
        });
    }
}

/// The executor of one connection's streams. They are aborted when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Streams {
    tasks: Arc<Mutex<JoinSet<()>>>,
    started: Arc<AtomicU64>,
    resets: Arc<Resets>,
    pause_max: Duration,
    traffic: Arc<Traffic>,
}

/// Streams that the client reset, less those whose reply it took.
#[derive(Debug, Default)]
struct Resets {
    balance: AtomicI64,
    too_many: Notify,
}

impl Resets {
    fn ended(&self, whole: bool) {
        if whole {
            let back = |balance: i64| (balance > 0).then(|| balance - 1);
            let _ = self.balance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, back);
        } else if self.balance.fetch_add(1, Ordering::Relaxed) >= RESETS_MAX {
            self.too_many.notify_one();
        }
    }
}

impl Streams {
    pub(crate) fn new(pause_max: Duration, traffic: Arc<Traffic>) -> Streams {
        let resets = Arc::default();
        Streams { tasks: Arc::default(), started: Arc::default(), resets, pause_max, traffic }
    }

    /// For tasks beside the streams.
    pub(crate) fn beside(&self) -> Beside {
        Beside(Arc::downgrade(&self.tasks))
    }

    /// Ends when the client has reset too many.
    pub(crate) async fn flooded(&self) {
        self.resets.too_many.notified().await;
    }

    /// How many were started.
    pub(crate) fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    /// Whether any goes on.
    pub(crate) fn any(&self) -> bool {
        let mut tasks = self.tasks.lock().expect("no holder panics");
        reap(&mut tasks);
        !tasks.is_empty()
    }
}

/// Where a connection's streams run, for what they themselves hold: it does not keep them alive.
#[derive(Clone)]
pub(crate) struct Beside(Weak<Mutex<JoinSet<()>>>);

impl Beside {
    /// Runs `task` until its end or the connection's.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(tasks) = self.0.upgrade() {
            spawn(&tasks, task);
        }
    }
}

fn spawn(tasks: &Mutex<JoinSet<()>>, task: impl Future<Output = ()> + Send + 'static) {
    // Without a runtime everything is coming down.
    let Ok(runtime) = Handle::try_current() else { return };
    let mut tasks = tasks.lock().expect("no holder panics");
    reap(&mut tasks);
    tasks.spawn_on(task, &runtime);
}

/// Forgets tasks that have ended.
fn reap(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.try_join_next() {
        if let Err(error) = ended {
            tracing::error!("a stream's task failed: {error}");
        }
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.started.fetch_add(1, Ordering::Relaxed);
        let progress = Arc::<Progress>::default();
        let stream = PatientStream {
            stream: Box::pin(PROGRESS.scope(progress.clone(), stream)),
            progress,
            pause_max: self.pause_max,
            waiting: None,
            resets: self.resets.clone(),
            traffic: self.traffic.clone(),
        };
        spawn(&self.tasks, stream);
    }
}

/// A stream that ends when the client takes too long to take a piece of its reply; dropped
/// unfinished, it is reset.
struct PatientStream<F> {
    stream: Pin<Box<F>>,
    progress: Arc<Progress>,
    pause_max: Duration,
    /// Since when the client is waited for, and with which piece.
    waiting: Option<(u64, Pin<Box<Sleep>>)>,
    resets: Arc<Resets>,
    traffic: Arc<Traffic>,
}

impl<F: Future<Output = ()>> Future for PatientStream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.stream.as_mut().poll(cx).is_ready() {
            this.resets.ended(this.progress.whole.load(Ordering::Relaxed));
            return Poll::Ready(());
        }
        let piece = this.progress.piece.load(Ordering::Relaxed);
        if piece == OURS {
            this.waiting = None;
            return Poll::Pending;
        }
        let waiting = match &mut this.waiting {
            Some((since, waiting)) if *since == piece => waiting,
            other => &mut other.insert((piece, Box::pin(sleep(this.pause_max)))).1,
        };
        if waiting.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        this.traffic.happened(Event::StreamStalled);
        tracing::debug!("a stream was given up: the client did not take what it sends");
        Poll::Ready(())
    }
}

/// A reply's body, which notes whom it waits for. Without a body it is empty.
pub(crate) struct ReplyBody<B> {
    body: Option<B>,
    piece: u64,
}

impl<B> ReplyBody<B> {
    /// The body of a reply that is handed out now.
    pub(crate) fn new(body: Option<B>) -> Self
    where
        B: Body,
    {
        Progress::note(HEAD, body.as_ref().is_none_or(Body::is_end_stream));
        Self { body, piece: 0 }
    }
}

impl<B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin> Body for ReplyBody<B> {
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
        let frame = Pin::new(body).poll_frame(cx);
        match &frame {
            Poll::Pending => Progress::note(OURS, false),
            Poll::Ready(frame) => {
                this.piece += 1;
                let whole = frame.is_none() || this.is_end_stream();
                Progress::note(this.piece, whole);
            }
        }
        frame.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}
