//! Makes the index durable now and then, so that a restart has little to replay.
//!
//! The measure is the length of the log since the last time, because that is what a restart
//! reads; time does not come into it. The engine writes full tables by itself on top of this.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::engine::Engine;

/// Log bytes after which the index is made durable.
pub(crate) const LOG_BYTES_PER_PERSIST: u64 = 256 << 20;

/// What persisting has come to, for status.
#[derive(Default)]
pub(crate) struct Persisted {
    /// Why the last attempt failed.
    pub(crate) failure: Mutex<Option<String>>,
}

impl Persisted {
    fn persist(&self, engine: &dyn Engine) {
        let failure = engine.persist().err().map(|e| e.to_string());
        if let Some(what) = &failure {
            tracing::error!("making the index durable failed, a restart will take longer: {what}");
        }
        *self.failure.lock().expect("no holder panics") = failure;
    }
}

enum Mode {
    /// Where it is asked for.
    Inline(Arc<dyn Engine>),
    /// On a thread of its own.
    Thread { wake: SyncSender<()>, thread: JoinHandle<()> },
}

/// Counts the log's bytes and persists the engine.
pub(crate) struct Persister {
    mode: Mode,
    persisted: Arc<Persisted>,
    bytes: u64,
}

impl Persister {
    pub(crate) fn inline(engine: Arc<dyn Engine>, persisted: Arc<Persisted>) -> Self {
        Self { mode: Mode::Inline(engine), persisted, bytes: 0 }
    }

    pub(crate) fn thread(
        engine: Arc<dyn Engine>,
        persisted: Arc<Persisted>,
    ) -> std::io::Result<Self> {
        let (wake, woken) = sync_channel::<()>(1);
        let report = persisted.clone();
        let thread = thread::Builder::new().name("index-persist".into()).spawn(move || {
            while woken.recv().is_ok() {
                report.persist(&*engine);
            }
        })?;
        Ok(Self { mode: Mode::Thread { wake, thread }, persisted, bytes: 0 })
    }

    /// Takes note of a group of that many bytes.
    pub(crate) fn after_group(&mut self, group_bytes: u64) {
        self.bytes += group_bytes;
        if self.bytes < LOG_BYTES_PER_PERSIST {
            return;
        }
        self.bytes = 0;
        match &self.mode {
            Mode::Inline(engine) => self.persisted.persist(&**engine),
            Mode::Thread { wake, .. } => {
                if let Err(TrySendError::Disconnected(())) = wake.try_send(()) {
                    tracing::error!("the thread that makes the index durable has panicked");
                }
            }
        }
    }

    /// Ends the thread, after what it is doing.
    pub(crate) fn stop(self) {
        if let Mode::Thread { wake, thread, .. } = self.mode {
            drop(wake);
            if thread.join().is_err() {
                tracing::error!("the thread that makes the index durable has panicked");
            }
        }
    }
}
