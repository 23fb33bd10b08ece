//! GET and HEAD: one look into the catalog decides everything; then the bytes stream.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin as PinBox;
use std::sync::Arc;

use bytes::Bytes;
use coffer_iam::{Action, Grant};
use coffer_log::{Extent, Log};

use crate::blocking::{self, Blocking};
use crate::conditions::ReadDecision;
use crate::crowd::Place as CrowdPlace;
use crate::error::{Error, Result};
use crate::objects::{Objects, Rows, version_key};
use crate::pin::{At, Pin};
use crate::replace::Place;
use crate::rows::blob::{Manifest, ManifestRow};
use crate::rows::bucket::BucketRow;
use crate::rows::head::{Body, HeadHeaders, HeadRow};
use crate::rows::headers::ColdRow;
use crate::rows::keys;
use crate::types::{Get, Headers, ObjectHead, ObjectInfo, VersionId, Versioning};
use crate::versions;

/// An object as one state of the catalog has it.
pub(crate) struct Found {
    pub bucket: BucketRow,
    pub key: String,
    pub head: HeadRow,
    pub headers: Headers,
    /// Of a blob, if it was wanted.
    pub manifest: Option<Arc<Manifest>>,
}

impl Found {
    /// What callers see.
    pub(crate) fn info(&self) -> ObjectInfo {
        let mut info = self.head.info(self.key.clone(), self.headers.clone());
        // What was written before versioning shows as the null version from then on.
        let version = self.head.version;
        info.version_id = match self.bucket.versioning {
            Versioning::Never => version.shown(info.object_id),
            Versioning::Enabled | Versioning::Suspended => Some(version.id(info.object_id)),
        };
        info
    }

    /// Holds the extents of the body.
    pub(crate) fn pin(&self) -> Pin {
        match (self.head.body, &self.manifest) {
            (Body::Empty, _) => Pin::Empty,
            (Body::Inline(extent), _) => Pin::One(extent),
            (Body::Blob(_), Some(manifest)) => Pin::Blob(manifest.clone()),
            (Body::Blob(blob), None) => panic!("the manifest of {blob} was not looked up"),
        }
    }
}

/// The body of an object being read. What it needs it holds: an overwrite or a delete does not
/// disturb it.
pub struct ObjectReader {
    /// The object.
    pub info: ObjectInfo,
    /// The bytes that come.
    pub range: Range<u64>,
    /// Whether a range or a part was asked for (206).
    pub partial: bool,
    /// With a part number, of an object uploaded by multipart: how many parts it has.
    pub parts_count: Option<u32>,
    bytes: ByteReader,
}

impl ObjectReader {
    /// The next bytes; `None` at the end of the range.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        self.bytes.next().await
    }
}

impl Objects {
    /// Begins to read an object (`GetObject`). Its first bytes have been read and verified when
    /// this returns.
    pub async fn get(&self, grant: &Grant, request: Get) -> Result<ObjectReader> {
        let key = readable_key(grant, request.version)?;
        let found = self.find(grant, key, request.version, true).await?;
        let ObjectHead { info, range, partial, parts_count } = resolve(&found, &request)?;
        let mut bytes = self.read_bytes(found.pin(), range.clone());
        bytes.fill_first().await?;
        Ok(ObjectReader { info, range, partial, parts_count, bytes })
    }

    /// What [`Objects::get`] would begin to read (`HeadObject`).
    pub async fn head(&self, grant: &Grant, request: Get) -> Result<ObjectHead> {
        let key = readable_key(grant, request.version)?;
        let found = self.find(grant, key, request.version, request.part_number.is_some()).await?;
        resolve(&found, &request)
    }

    /// Looks an object or a version up, with its manifest if that is wanted.
    pub(crate) async fn find(
        &self,
        grant: &Grant,
        key: String,
        version: Option<VersionId>,
        want_manifest: bool,
    ) -> Result<Found> {
        let bucket = self.bucket_row(grant)?;
        let head_key = keys::head(bucket.id, &key);
        let head: Option<HeadRow> = match version {
            None => self.catalog().row(&head_key)?,
            Some(_) => None,
        };
        let versioning = bucket.versioning;
        if head.is_none() && version.is_none() && versioning == Versioning::Never {
            return Err(Error::NoSuchKey);
        }
        // Most objects have everything in their head. The others are looked up again in one
        // state, lest a head is paired with the headers of another.
        let in_rows = |head: &HeadRow| {
            (head.headers == HeadHeaders::Cold, head.blob().filter(|_| want_manifest))
        };
        if let Some(head) = head
            && let HeadHeaders::Here(headers) = &head.headers
            && in_rows(&head).1.is_none()
        {
            let headers = headers.clone();
            return Ok(Found { bucket, key, head, headers, manifest: None });
        }
        let snapshot = self.catalog().snapshot();
        let place = Place { bucket: bucket.id, key: &key };
        let head = versions::readable(&snapshot, place, versioning, version)?;
        let (is_cold, blob) = in_rows(&head);
        let lost =
            |what: &str| Error::Corrupt(format!("object {} has lost its {what}", head.object_id));
        let headers = match &head.headers {
            HeadHeaders::Here(headers) => headers.clone(),
            HeadHeaders::Cold => {
                debug_assert!(is_cold, "the pattern says so");
                let cold_key = keys::cold(bucket.id, &key, head.version.sequence);
                let cold: Option<ColdRow> = snapshot.row(&cold_key)?;
                cold.ok_or_else(|| lost("headers"))?.0
            }
        };
        let manifest = match blob {
            None => None,
            Some(blob) => {
                let row: Option<ManifestRow> = snapshot.row(&keys::manifest(blob))?;
                let row = row.ok_or_else(|| lost("manifest"))?;
                drop(snapshot);
                Some(Box::pin(self.resolve_manifest(blob, row)).await?)
            }
        };
        Ok(Found { bucket, key, head, headers, manifest })
    }

    /// A reader of `range` of the bytes that `pin` holds.
    pub(crate) fn read_bytes(&self, pin: Pin, range: Range<u64>) -> ByteReader {
        ByteReader::new(
            self.catalog().log().clone(),
            self.blocking().clone(),
            self.crowd().enter(),
            pin,
            range,
        )
    }
}

/// The key of a grant to read an object, or a version of it.
fn readable_key(grant: &Grant, version: Option<VersionId>) -> Result<String> {
    version_key(grant, version, Action::GetObject, Action::GetObjectVersion)
}

/// Decides conditions, part and range.
fn resolve(found: &Found, request: &Get) -> Result<ObjectHead> {
    let head = &found.head;
    let mut info = found.info();
    match request.conditions.evaluate(&info.etag, head.modified) {
        ReadDecision::Proceed => {}
        ReadDecision::NotModified => return Err(Error::NotModified(Box::new(info))),
        ReadDecision::Failed(condition) => return Err(Error::PreconditionFailed { condition }),
    }
    let mut parts_count = None;
    let (range, partial) = match (request.part_number, request.range) {
        (Some(_), Some(_)) => {
            return Err(Error::InvalidRequest(
                "Cannot specify both Range header and partNumber query parameter".to_owned(),
            ));
        }
        (None, None) => (0..head.size, false),
        (None, Some(range)) => (range.resolve(head.size)?, true),
        (Some(number), None) => match (head.etag.parts(), &found.manifest) {
            (Some(parts), Some(manifest)) => {
                parts_count = Some(parts);
                let (range, part) =
                    manifest.part(number).ok_or(Error::InvalidPartNumber { parts })?;
                info.checksum = part.checksum.clone();
                (range, true)
            }
            (Some(_), None) => {
                let what = format!("object {} has parts but no blob", head.object_id);
                return Err(Error::Corrupt(what));
            }
            (None, _) if number == 1 => (0..head.size, true),
            (None, _) => return Err(Error::InvalidPartNumber { parts: 1 }),
        },
    };
    Ok(ObjectHead { info, range, partial, parts_count })
}

type Reading = PinBox<Box<dyn Future<Output = Result<Vec<Bytes>>> + Send>>;

/// The largest step of what is in memory: it fits the processor's cache, so that it is checked and
/// sent from there, and takes the thread for no longer than a small request does.
const NOW_STEP_BYTES_MAX: u64 = 256 << 10;
/// So much is read on a thread before others have their turn.
const UNBROKEN_BYTES_MAX: u64 = 2 << 20;

/// A chunk, on its way or here.
enum Chunk {
    Read(Result<Vec<Bytes>>),
    Reading(Reading),
}

/// Reads a range of the bytes in extents: what is in memory when its caller asks for it, and from
/// the first chunk that is not one chunk ahead of its caller.
pub(crate) struct ByteReader {
    log: Log,
    blocking: Arc<dyn Blocking>,
    pin: Pin,
    place: CrowdPlace,
    at: At,
    /// What is not yet asked for.
    range: Range<u64>,
    /// What has been read and not been asked for, in order.
    ready: VecDeque<Bytes>,
    ahead: Option<Chunk>,
    /// Whether it had to wait for a drive, and so will have to again.
    waits: bool,
    /// Read since others had their turn on the thread.
    unbroken_bytes: u64,
}

impl ByteReader {
    fn new(
        log: Log,
        blocking: Arc<dyn Blocking>,
        place: CrowdPlace,
        pin: Pin,
        range: Range<u64>,
    ) -> Self {
        ByteReader {
            log,
            blocking,
            pin,
            place,
            at: At::default(),
            range,
            ready: VecDeque::new(),
            ahead: None,
            waits: false,
            unbroken_bytes: 0,
        }
    }

    /// Reads the first chunk, so that what is unreadable is known before anything is sent.
    async fn fill_first(&mut self) -> Result<()> {
        if let Some(first) = self.next().await.transpose()? {
            self.ready.push_front(first);
        }
        Ok(())
    }

    /// The next bytes; `None` at the end of the range, and after an error.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes>> {
        if let Some(bytes) = self.ready.pop_front() {
            return Some(Ok(bytes));
        }
        if self.unbroken_bytes >= UNBROKEN_BYTES_MAX {
            self.unbroken_bytes = 0;
            tokio::task::yield_now().await;
        }
        let chunk = match self.ahead.take() {
            Some(chunk) => chunk,
            None => self.begin()?,
        };
        let read = match chunk {
            Chunk::Read(read) => read,
            Chunk::Reading(reading) => reading.await,
        };
        match &read {
            Ok(_) if self.waits && self.place.may_read_ahead() => self.ahead = self.begin(),
            Ok(_) => {}
            Err(_) => self.range = self.range.end..self.range.end,
        }
        match read {
            Ok(pieces) => {
                self.ready.extend(pieces);
                // What is read is never nothing.
                self.ready.pop_front().map(Ok)
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Reads the next chunk, or starts to.
    fn begin(&mut self) -> Option<Chunk> {
        let Range { start, end } = self.range;
        if start >= end {
            return None;
        }
        let Some((extent, extent_start)) = self.pin.extent_with(start, &mut self.at) else {
            self.range = end..end;
            let what = format!("the extents end before {start}, and the range at {end}");
            return Some(Chunk::Read(Err(Error::Corrupt(what))));
        };
        let from = start - extent_start;
        let step_bytes = self.place.step_bytes();
        let until = |step| read_end(&extent, from, step).min(extent.len).min(end - extent_start);
        if !self.waits {
            let to = until(step_bytes.min(NOW_STEP_BYTES_MAX));
            if let Some(bytes) = self.log.read_now(&extent, from..to) {
                self.range.start = extent_start + to;
                self.unbroken_bytes += to - from;
                return Some(Chunk::Read(Ok(vec![bytes])));
            }
            self.waits = true;
        }
        let to = until(step_bytes);
        self.range.start = extent_start + to;
        let log = self.log.clone();
        let reading = blocking::call(&*self.blocking, move || {
            let pieces = log.read_pieces(&extent, from..to)?;
            let bytes: usize = pieces.iter().map(Bytes::len).sum();
            assert_eq!(bytes as u64, to - from, "the log gives what it is asked for");
            Ok(pieces)
        });
        Some(Chunk::Reading(Box::pin(async move { reading.await? })))
    }
}

/// Where a read of about `step_bytes` at `from` ends: payloads of the commit lane are read
/// whole, bulk rows up to the next multiple of the step within the row, so that every read but
/// the first begins where a checksummed block does.
fn read_end(extent: &Extent, from: u64, step_bytes: u64) -> u64 {
    if !extent.is_bulk() {
        return extent.len;
    }
    let row_bytes = u64::from(extent.row_bytes);
    let in_row = from % row_bytes;
    let to_step = step_bytes - in_row % step_bytes;
    from + to_step.min(row_bytes - in_row)
}
