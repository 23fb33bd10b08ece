//! The raw bytes of a body, and what becomes of those that nobody reads.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;

use super::{Source, SourceError};

/// A source of bytes. When it is dropped before its end, what is left of it goes to its
/// [`Leftover`].
pub(crate) struct Supply {
    source: Option<Source>,
    touched: bool,
    leftover: Leftover,
}

/// Holds what a body left behind.
#[derive(Clone, Default)]
pub(crate) struct Leftover(Arc<Mutex<Option<Unread>>>);

/// What a body left behind.
pub(crate) struct Unread {
    /// The rest of the bytes.
    pub source: Source,
    /// Whether any byte was asked for. If not, a client that waits for `100 Continue` still does.
    pub touched: bool,
}

impl Supply {
    /// Over all of `source`.
    pub fn new(source: Source) -> Supply {
        Supply { source: Some(source), touched: false, leftover: Leftover::default() }
    }

    /// Where the rest will go.
    pub fn leftover(&self) -> Leftover {
        self.leftover.clone()
    }

    /// The next frame. After the end or an error nothing is left.
    pub async fn next(&mut self) -> Option<Result<Frame<Bytes>, SourceError>> {
        self.touched = true;
        let frame = self.source.as_mut()?.frame().await;
        if !matches!(frame, Some(Ok(_))) {
            self.source = None;
        }
        frame
    }
}

impl Drop for Supply {
    fn drop(&mut self) {
        if let Some(source) = self.source.take()
            && !source.is_end_stream()
        {
            let unread = Unread { source, touched: self.touched };
            *self.leftover.0.lock().expect("nothing panics while holding it") = Some(unread);
        }
    }
}

impl Leftover {
    /// What was left, once.
    pub fn take(&self) -> Option<Unread> {
        self.0.lock().expect("nothing panics while holding it").take()
    }
}
