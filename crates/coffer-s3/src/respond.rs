//! What a verb gives back: a status, headers and a body that is empty, whole, or streamed from an
//! object as fast as the client takes it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use coffer_objects::ObjectReader;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Frame, SizeHint};

use crate::error::{Code, S3Error};
use crate::metrics::Account;

/// How many headers a reply has room for before it has to grow.
const HEADERS_EXPECTED: usize = 12;

/// A reply under construction.
pub type Reply = Response<ReplyBody>;

/// A reply without a body.
pub fn reply_empty(status: StatusCode) -> Reply {
    reply(status, Kind::Empty)
}

/// A reply whose body is a JSON document.
pub fn reply_json(status: StatusCode, json: String) -> Reply {
    let mut reply = reply(status, Kind::Whole(json.into()));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// A reply whose body is an XML document.
pub fn reply_xml(status: StatusCode, xml: String) -> Reply {
    let mut reply = reply(status, Kind::Whole(xml.into()));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    reply
}

/// Gives `reply` the object's bytes for its body. The first of them have been read: if they are all,
/// the body is whole. Else the rest is pulled from `reader` as the client takes it.
pub async fn with_object(mut reply: Reply, mut reader: ObjectReader) -> Result<Reply, S3Error> {
    let left = reader.range.end - reader.range.start;
    let first = reader.next().await.transpose()?.unwrap_or_default();
    let kind = if first.len() as u64 == left {
        Kind::Whole(first)
    } else {
        Kind::Stream { left, first, state: Streaming::Idle(Box::new(reader)) }
    };
    reply.headers_mut().insert(CONTENT_LENGTH, left.into());
    reply.body_mut().kind = kind;
    Ok(reply)
}

fn reply(status: StatusCode, kind: Kind) -> Reply {
    let mut reply = Response::new(ReplyBody { kind, account: None });
    *reply.status_mut() = status;
    // For those that an object has: they are not to be moved while they grow.
    reply.headers_mut().reserve(HEADERS_EXPECTED);
    reply
}

/// Sets a header to bytes that may have come from a user. What HTTP cannot carry is an error, not
/// a silent loss.
pub fn set_header(reply: &mut Reply, name: &str, value: impl AsRef<[u8]>) -> Result<(), S3Error> {
    let name_parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit(name))?;
    let value = HeaderValue::from_bytes(value.as_ref()).map_err(|_| unfit(name))?;
    reply.headers_mut().insert(name_parsed, value);
    Ok(())
}

/// The same with a name that need not be parsed and a value that need not be copied.
pub(crate) fn set_known(reply: &mut Reply, name: HeaderName, value: String) -> Result<(), S3Error> {
    let value = HeaderValue::from_maybe_shared(Bytes::from(value));
    let value = value.map_err(|_| unfit(name.as_str()))?;
    reply.headers_mut().insert(name, value);
    Ok(())
}

fn unfit(name: &str) -> S3Error {
    S3Error::with_message(Code::InternalError, format!("The header {name} can't be sent."))
}

/// The body of a reply.
pub struct ReplyBody {
    kind: Kind,
    account: Option<Account>,
}

enum Kind {
    Empty,
    Whole(Bytes),
    Stream {
        left: u64,
        /// What was read before the client could take it.
        first: Bytes,
        state: Streaming,
    },
}

type Pulling = Pin<Box<dyn Future<Output = (Box<ObjectReader>, Option<Pulled>)> + Send>>;
type Pulled = Result<Bytes, coffer_objects::Error>;

enum Streaming {
    Idle(Box<ObjectReader>),
    Pulling(Pulling),
    Ended,
}

impl ReplyBody {
    /// Books the reply when its last byte was taken, or when it is dropped before.
    pub(crate) fn accounted(&mut self, account: Account) {
        self.account = Some(account);
    }

    /// Drops what would be sent: for HEAD, and for statuses that have no body.
    pub(crate) fn clear(&mut self) {
        self.kind = Kind::Empty;
    }
}

impl http_body::Body for ReplyBody {
    type Data = Bytes;
    type Error = BrokenStream;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenStream>>> {
        let this = self.get_mut();
        let frame = ready!(this.kind.poll(cx));
        if let Some(account) = &mut this.account {
            match &frame {
                Some(Ok(data)) => account.sent(data.len() as u64),
                Some(Err(_)) => account.broke(),
                None => {}
            }
        }
        Poll::Ready(frame.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Whole(data) => data.is_empty(),
            Kind::Stream { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.kind {
            Kind::Empty => 0,
            Kind::Whole(data) => data.len() as u64,
            Kind::Stream { left, .. } => *left,
        })
    }
}

impl Kind {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenStream>>> {
        match self {
            Kind::Empty => Poll::Ready(None),
            Kind::Whole(data) if data.is_empty() => Poll::Ready(None),
            Kind::Whole(data) => Poll::Ready(Some(Ok(std::mem::take(data)))),
            Kind::Stream { left: 0, .. } => Poll::Ready(None),
            Kind::Stream { left, first, state } => {
                let data = if first.is_empty() {
                    ready!(state.poll(cx))
                } else {
                    Some(Ok(std::mem::take(first)))
                };
                Poll::Ready(match data {
                    Some(Ok(data)) if data.len() as u64 <= *left => {
                        *left -= data.len() as u64;
                        Some(Ok(data))
                    }
                    Some(Ok(data)) => Some(Err(BrokenStream(format!(
                        "{} bytes came where {left} were left",
                        data.len()
                    )))),
                    Some(Err(error)) => Some(Err(BrokenStream(error.to_string()))),
                    None => Some(Err(BrokenStream(format!("it ended {left} bytes early")))),
                })
            }
        }
    }
}

impl Streaming {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Pulled>> {
        if let Streaming::Idle(_) = self {
            let Streaming::Idle(mut reader) = std::mem::replace(self, Streaming::Ended) else {
                unreachable!("it was idle just now")
            };
            *self = Streaming::Pulling(Box::pin(async move {
                let data = reader.next().await;
                (reader, data)
            }));
        }
        let Streaming::Pulling(pulling) = self else {
            return Poll::Ready(None);
        };
        let (reader, data) = ready!(pulling.as_mut().poll(cx));
        *self = match &data {
            Some(Ok(_)) => Streaming::Idle(reader),
            _ => Streaming::Ended,
        };
        Poll::Ready(data)
    }
}

/// A reply that broke off in the middle: the status was sent, so all that is left is to close the
/// connection before the promised length is reached.
#[derive(Debug)]
pub struct BrokenStream(pub(crate) String);

impl std::fmt::Display for BrokenStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the object's stream broke: {}", self.0)
    }
}

impl std::error::Error for BrokenStream {}
