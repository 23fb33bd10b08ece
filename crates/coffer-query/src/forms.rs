//! Taking in forms: each within its bounds, and all of them within theirs.
//!
//! What has come of a form counts from then on until it is answered. Requests that nobody has
//! signed have a room of their own, so that they keep no one else waiting.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::{Code, QueryError};
use crate::form::{FORM_BYTES_MAX, UNSIGNED_FORM_BYTES_MAX};

#[cfg(test)]
mod tests;

/// How long a form may take to come.
const FORM_TIME_MAX: Duration = Duration::from_secs(30);
/// The most that all forms of known keys take.
const ALL_BYTES_MAX: usize = 48 << 20;
/// The most that all other forms take.
const UNSIGNED_ALL_BYTES_MAX: usize = 16 << 20;

/// The room for forms.
pub(crate) struct Forms {
    somebodys: Room,
    anybodys: Room,
}

struct Room {
    bytes: Semaphore,
    form_bytes_max: usize,
}

/// A form, and the room that it takes.
pub(crate) struct Form<'a> {
    pub(crate) bytes: Vec<u8>,
    _room: Option<SemaphorePermit<'a>>,
}

impl Default for Forms {
    fn default() -> Self {
        let room = |all, form_bytes_max| Room { bytes: Semaphore::new(all), form_bytes_max };
        Forms {
            somebodys: room(ALL_BYTES_MAX, FORM_BYTES_MAX),
            anybodys: room(UNSIGNED_ALL_BYTES_MAX, UNSIGNED_FORM_BYTES_MAX),
        }
    }
}

impl Forms {
    /// The form of a request that names a key which somebody has.
    pub(crate) async fn of_somebody<B>(&self, body: B) -> Result<Form<'_>, QueryError>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.somebodys.take(body).await
    }

    /// The form of any other.
    pub(crate) async fn of_anybody<B>(&self, body: B) -> Result<Form<'_>, QueryError>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.anybodys.take(body).await
    }
}

impl Room {
    async fn take<B>(&self, body: B) -> Result<Form<'_>, QueryError>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match tokio::time::timeout(FORM_TIME_MAX, self.read(body)).await {
            Ok(read) => read,
            Err(_) => Err(QueryError::new(
                Code::RequestTimeout,
                "The request's body was not sent within the timeout period.",
            )),
        }
    }

    async fn read<B>(&self, body: B) -> Result<Form<'_>, QueryError>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let max = self.form_bytes_max;
        let too_large = || {
            let what = format!("The request must not be longer than {max} bytes.");
            QueryError::new(Code::RequestEntityTooLarge, what)
        };
        let mut body = pin!(body);
        if body.size_hint().lower() > max as u64 {
            return Err(too_large());
        }
        let mut form: Form<'_> = Form { bytes: Vec::new(), _room: None };
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                QueryError::new(Code::MalformedQueryString, "The request's body broke off.")
                    .caused_by(error.into())
            })?;
            let Ok(data) = frame.into_data() else { continue };
            if data.len() > max - form.bytes.len() {
                return Err(too_large());
            }
            let bytes = u32::try_from(data.len()).expect("a form is not that long");
            let room = self.bytes.try_acquire_many(bytes).map_err(|_| {
                QueryError::new(
                    Code::ServiceUnavailable,
                    "Too many requests are being sent. Try again later.",
                )
            })?;
            match &mut form._room {
                Some(all) => all.merge(room),
                None => form._room = Some(room),
            }
            // Copied: a short piece may hold a long buffer.
            form.bytes.extend_from_slice(&data);
        }
        Ok(form)
    }
}
