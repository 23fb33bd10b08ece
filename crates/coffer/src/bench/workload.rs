//! What a worker does next, and how an answer is judged.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;

use super::client::{Ask, Connection, Failure, Target, chain, element};
use super::figures::Recorder;
use super::options::Load;
use super::pattern::{Pattern, mix};
use super::progress::{Goal, Tally};

/// A worker that can't connect waits this long before it tries again.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// A kind of load, named by its subcommand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Put,
    Get,
    Head,
    List,
    Mixed,
    Multipart,
    Delete,
}

impl Kind {
    /// The subcommand's name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Put => "put",
            Kind::Get => "get",
            Kind::Head => "head",
            Kind::List => "list",
            Kind::Mixed => "mixed",
            Kind::Multipart => "multipart",
            Kind::Delete => "delete",
        }
    }

    /// Whether objects must be there before it starts.
    pub fn needs_objects(self) -> bool {
        !matches!(self, Kind::Put | Kind::Multipart)
    }
}

/// What the workers of one phase share.
pub struct Phase {
    pub kind: Kind,
    pub load: Load,
    pub target: Arc<Target>,
    pub pattern: Pattern,
    pub goal: Goal,
    pub tally: Arc<Tally>,
    /// Number of the next object to be written, or deleted.
    pub next: AtomicU64,
    /// Objects below this number exist when the phase starts (from `load.first` on).
    pub existing_end: u64,
    started_requests: AtomicU64,
    /// Bytes whose turn was given out.
    paced_bytes: AtomicU64,
}

impl Phase {
    /// A phase that has yet to begin; `next` is the number of the first object it writes, or
    /// deletes.
    pub fn new(
        kind: Kind,
        load: Load,
        target: Arc<Target>,
        pattern: Pattern,
        goal: Goal,
        next: u64,
        existing_end: u64,
    ) -> Self {
        Self {
            kind,
            load,
            target,
            pattern,
            goal,
            tally: Arc::default(),
            next: AtomicU64::new(next),
            existing_end,
            started_requests: AtomicU64::new(0),
            paced_bytes: AtomicU64::new(0),
        }
    }

    /// Whether another request may start.
    fn admits(&self, begun: Instant) -> bool {
        if self.goal.duration.is_some_and(|duration| begun.elapsed() >= duration) {
            return false;
        }
        let number = self.started_requests.fetch_add(1, Relaxed);
        self.goal.requests.is_none_or(|requests| number < requests)
    }

    /// Waits until one more object may be sent without going over the rate.
    async fn wait_for_rate(&self, begun: Instant) {
        let Some(rate) = self.load.rate else { return };
        let size = self.size(self.next.load(Relaxed));
        let before = self.paced_bytes.fetch_add(size, Relaxed);
        let due = begun + Duration::from_secs_f64(before as f64 / rate as f64);
        tokio::time::sleep_until(due.into()).await;
    }

    fn key(&self, index: u64) -> String {
        format!("{}{index:010}", self.load.prefix)
    }

    fn size(&self, index: u64) -> u64 {
        self.load.size.of(self.load.seed, index)
    }
}

/// One of a phase's workers.
pub struct Worker {
    phase: Arc<Phase>,
    connection: Connection,
    dice: u64,
    /// Objects that only this worker changes and that exist (mixed).
    live: Vec<u64>,
    /// Where its listing goes on.
    token: Option<String>,
    recorders: Vec<Recorder>,
}

impl Worker {
    /// Worker `number` of the phase.
    pub fn new(phase: Arc<Phase>, number: usize) -> Self {
        let (first, workers) = (phase.load.first, phase.load.concurrency as u64);
        let live = match phase.kind {
            Kind::Mixed => (first..phase.existing_end)
                .filter(|index| index % workers == number as u64)
                .collect(),
            _ => Vec::new(),
        };
        Self {
            connection: Connection::new(phase.target.clone()),
            dice: mix(phase.load.seed ^ mix(number as u64)),
            live,
            token: None,
            recorders: Vec::new(),
            phase,
        }
    }

    /// Opens the connection ahead of the measurement.
    pub async fn connect(&mut self) -> Result<(), Failure> {
        self.connection.open().await.map(|_| ())
    }

    /// Works until the phase is over.
    pub async fn run(mut self, begun: Instant) -> Vec<Recorder> {
        while self.phase.admits(begun) {
            let goes_on = match self.phase.kind {
                Kind::Put => {
                    self.phase.wait_for_rate(begun).await;
                    self.put_next().await
                }
                Kind::Get => {
                    let index = self.any_object();
                    self.get(index).await
                }
                Kind::Head => {
                    let index = self.any_object();
                    self.head(index).await
                }
                Kind::List => self.list().await,
                Kind::Mixed => self.mixed().await,
                Kind::Multipart => {
                    let index = self.phase.next.fetch_add(1, Relaxed);
                    self.multipart(index).await
                }
                Kind::Delete => {
                    let index = self.phase.next.fetch_add(1, Relaxed);
                    if index >= self.phase.existing_end {
                        break;
                    }
                    self.delete(index).await
                }
            };
            if !goes_on && self.connection.open().await.is_err() {
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
        self.recorders
    }

    /// One of the objects that exist.
    fn any_object(&mut self) -> u64 {
        let objects = self.phase.existing_end - self.phase.load.first;
        self.phase.load.first + self.roll(objects)
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice = mix(self.dice);
        self.dice % sides
    }

    async fn mixed(&mut self) -> bool {
        match self.roll(100) {
            0..70 if !self.live.is_empty() => {
                let at = self.roll(self.live.len() as u64) as usize;
                self.get(self.live[at]).await
            }
            70..75 if !self.live.is_empty() => {
                let at = self.roll(self.live.len() as u64) as usize;
                let index = self.live.swap_remove(at);
                self.delete(index).await
            }
            75..80 => self.list().await,
            _ => self.put_next().await,
        }
    }

    async fn put_next(&mut self) -> bool {
        let index = self.phase.next.fetch_add(1, Relaxed);
        let (key, size) = (self.phase.key(index), self.phase.size(index));
        let body = self.phase.pattern.body(&key, size);
        let begun = Instant::now();
        let sent = self.connection.send_whole(Ask { body, ..Ask::new(Method::PUT, Some(&key)) });
        let result = sent.await.map(|_| (size, 0));
        let written = self.note("put", begun, &key, result);
        if written && self.phase.kind == Kind::Mixed {
            self.live.push(index);
        }
        written
    }

    async fn get(&mut self, index: u64) -> bool {
        let (key, size) = (self.phase.key(index), self.phase.size(index));
        let phase = self.phase.clone();
        let begun = Instant::now();
        let result = async {
            let response = self.connection.send(Ask::new(Method::GET, Some(&key))).await?;
            let mut check = phase.pattern.check(&key, size);
            let mut body = response.into_body();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|e| Failure::new(format!("broke off: {}", chain(&e))))?;
                if let Some(data) = frame.data_ref() {
                    check.feed(data).map_err(Failure::new)?;
                }
            }
            check.finish().map_err(Failure::new)?;
            Ok((size, 0))
        }
        .await;
        self.note("get", begun, &key, result)
    }

    async fn head(&mut self, index: u64) -> bool {
        let (key, size) = (self.phase.key(index), self.phase.size(index));
        let begun = Instant::now();
        let sent = self.connection.send_whole(Ask::new(Method::HEAD, Some(&key))).await;
        let result = sent.and_then(|reply| {
            let length = reply.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
            match length.and_then(|length| length.parse::<u64>().ok()) {
                Some(told) if told == size => Ok((0, 0)),
                told => Err(Failure::new(format!("its length is told as {told:?}, not {size}"))),
            }
        });
        self.note("head", begun, &key, result)
    }

    async fn delete(&mut self, index: u64) -> bool {
        let key = self.phase.key(index);
        let begun = Instant::now();
        let sent = self.connection.send_whole(Ask::new(Method::DELETE, Some(&key)));
        let result = sent.await.map(|_| (0, 0));
        self.note("delete", begun, &key, result)
    }

    /// One page; the next call asks for the next one, and after the last for the first.
    async fn list(&mut self) -> bool {
        let load = &self.phase.load;
        let prefix = load.prefix.clone();
        let mut query = vec![
            ("list-type", "2".to_owned()),
            ("max-keys", load.page.to_string()),
            ("prefix", prefix.clone()),
        ];
        query.extend(load.delimiter.clone().map(|delimiter| ("delimiter", delimiter)));
        query.extend(self.token.take().map(|token| ("continuation-token", token)));
        let begun = Instant::now();
        let result = async {
            let ask = Ask { query, ..Ask::new(Method::GET, None) };
            let reply = self.connection.send_whole(ask).await?;
            let size = reply.body().len() as u64;
            let text = std::str::from_utf8(reply.body()).map_err(Failure::new)?;
            if !text.contains("</ListBucketResult>") {
                return Err(Failure::new("the answer is no listing"));
            }
            if element(text, "IsTruncated").as_deref() == Some("true") {
                let token = element(text, "NextContinuationToken")
                    .ok_or_else(|| Failure::new("a truncated page has no continuation"))?;
                self.token = (!self.phase.load.first_page).then_some(token);
            }
            let keys = text.matches("<Key>").count() + text.matches("<CommonPrefixes>").count();
            Ok((size, keys as u64))
        }
        .await;
        self.note("list", begun, &prefix, result)
    }

    async fn multipart(&mut self, index: u64) -> bool {
        let (key, size) = (self.phase.key(index), self.phase.size(index));
        let begun = Instant::now();
        let result = self.upload(&key, size).await.map(|()| (size, 0));
        self.note("multipart", begun, &key, result)
    }

    async fn upload(&mut self, key: &str, size: u64) -> Result<(), Failure> {
        let start =
            Ask { query: vec![("uploads", String::new())], ..Ask::new(Method::POST, Some(key)) };
        let reply = self.connection.send_whole(start).await?;
        let upload_id = element(&String::from_utf8_lossy(reply.body()), "UploadId")
            .ok_or_else(|| Failure::new("the answer has no upload id"))?;
        let mut complete = String::from("<CompleteMultipartUpload>");
        let mut left = size;
        let mut number = 0;
        while left > 0 || number == 0 {
            number += 1;
            let part_size = left.min(self.phase.load.part_size);
            left -= part_size;
            let body = self.phase.pattern.body(&format!("{key}#{number}"), part_size);
            let query = vec![("partNumber", number.to_string()), ("uploadId", upload_id.clone())];
            let begun = Instant::now();
            let ask = Ask { query, body, ..Ask::new(Method::PUT, Some(key)) };
            let result = self.connection.send_whole(ask).await;
            let tag = result.and_then(|reply| {
                let tag = reply.headers().get("etag").and_then(|tag| tag.to_str().ok());
                tag.map(str::to_owned).ok_or_else(|| Failure::new("a part has no ETag"))
            })?;
            self.recorder("part").succeeded(begun.elapsed(), part_size, 0);
            self.phase.tally.bytes.fetch_add(part_size, Relaxed);
            let _ = write!(
                complete,
                "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
            );
        }
        complete.push_str("</CompleteMultipartUpload>");
        let end = Ask {
            query: vec![("uploadId", upload_id)],
            body: vec![Bytes::from(complete)],
            ..Ask::new(Method::POST, Some(key))
        };
        let reply = self.connection.send_whole(end).await?;
        // A late error comes with status 200.
        let text = String::from_utf8_lossy(reply.body());
        match element(&text, "ETag") {
            Some(tag) if tag.trim_matches('"').ends_with(&format!("-{number}")) => Ok(()),
            Some(tag) => Err(Failure::new(format!("the ETag {tag} is not of {number} parts"))),
            None => Err(Failure::new(format!("not completed: {text}"))),
        }
    }

    fn recorder(&mut self, name: &'static str) -> &mut Recorder {
        let at = match self.recorders.iter().position(|recorder| recorder.name == name) {
            Some(at) => at,
            None => {
                self.recorders.push(Recorder::new(name));
                self.recorders.len() - 1
            }
        };
        &mut self.recorders[at]
    }

    /// Counts an answer, given as bytes and keys moved; whether it was as it should be.
    fn note(
        &mut self,
        name: &'static str,
        begun: Instant,
        key: &str,
        result: Result<(u64, u64), Failure>,
    ) -> bool {
        let latency = begun.elapsed();
        match result {
            Ok((bytes, keys)) => {
                self.recorder(name).succeeded(latency, bytes, keys);
                self.phase.tally.done.fetch_add(1, Relaxed);
                // The bytes of an upload in parts were counted with its parts.
                if name != "multipart" {
                    self.phase.tally.bytes.fetch_add(bytes, Relaxed);
                }
                true
            }
            Err(failure) => {
                self.recorder(name).failed(format!("{name} {key}: {failure}"));
                self.phase.tally.failed.fetch_add(1, Relaxed);
                false
            }
        }
    }
}
