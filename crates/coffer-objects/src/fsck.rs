//! Whether everything agrees: every row decodes, every row that another one names is there,
//! every byte is readable and is what its checksum says, and the counters count what there is.
//!
//! What it deliberately does not check: cells and parity below what a read needs (that is
//! [`coffer_log::Log::verify`]), and the bytes of a blob against the checksum of its copies (the
//! object that brought the blob is checked, or if that is gone the bytes are read all the same).
//!
//! Memory grows with buckets, uploads and segments, not with objects.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use coffer_base::{BucketId, ObjectId, SegmentId};
use coffer_catalog::{Catalog, Engine, Snapshot, decode_counters};
use coffer_iam::{Kind, Policy};
use coffer_log::{Extent, Log};

use crate::digest::{Digester, Digests};
use crate::error::{Error, Result};
use crate::etag::Etag;
use crate::manifest::read_from_log;
use crate::objects::Rows;
use crate::rows::blob::{Manifest, ManifestRow, OwnerRow};
use crate::rows::bucket::BucketRow;
use crate::rows::head::{Body, HeadHeaders, HeadRow, VersionTag};
use crate::rows::headers::ColdRow;
use crate::rows::keys::{self, Parsed};
use crate::rows::setting::{AccessBlockRow, PolicyRow};
use crate::rows::upload::{PartRow, UploadRow};
use crate::rows::version::{NullRow, VersionRow};
use crate::rows::{self, Row};
use crate::types::{ChecksumAlgorithm, ChecksumKind, PART_NUMBER_MAX};
use crate::uploads::UploadId;

mod rebuild;

/// One read of a payload.
const READ_BYTES: u64 = 4 << 20;

/// One thing that does not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which row or payload.
    pub place: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Checks the row of a neighbour in the catalog: what is wrong with it, or `None` if it is no row
/// of the neighbour. An error ends the check.
pub type CheckBeside = dyn Fn(&Snapshot, &[u8], &[u8]) -> Result<Option<Vec<String>>, String>;

/// How far to look.
#[derive(Clone, Default)]
pub struct FsckOptions {
    /// Do not read payloads, only rows.
    pub skip_payloads: bool,
    /// An empty engine: the log is replayed into it, and the index must equal it.
    pub fresh: Option<Arc<dyn Engine>>,
    /// Checks the rows of identities; without it they are only counted.
    pub identities: Option<Arc<CheckBeside>>,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FsckReport {
    /// Rows of the catalog.
    pub rows: u64,
    /// Buckets.
    pub buckets: u64,
    /// Objects.
    pub objects: u64,
    /// Versions that are not the current object of their key, and delete markers.
    pub versions: u64,
    /// Blobs.
    pub blobs: u64,
    /// Uploads under way.
    pub uploads: u64,
    /// Their parts.
    pub parts: u64,
    /// Bytes of payloads that were read and verified.
    pub payload_bytes: u64,
    /// Findings reported.
    pub findings: u64,
}

/// Checks every row and every byte of `catalog` as it is at this moment, and reports each
/// finding. An error means that the check itself could not go on. Blocking.
pub fn fsck(catalog: &Catalog, finding: &mut dyn FnMut(Finding)) -> Result<FsckReport> {
    fsck_with(catalog, FsckOptions::default(), finding)
}

/// As [`fsck()`], as far as the options say. With `fresh`, nothing may be written meanwhile.
pub fn fsck_with(
    catalog: &Catalog,
    options: FsckOptions,
    finding: &mut dyn FnMut(Finding),
) -> Result<FsckReport> {
    let snapshot = catalog.snapshot();
    let mut walk = Walk {
        snapshot: &snapshot,
        log: catalog.log(),
        skip_payloads: options.skip_payloads,
        identities: options.identities,
        finding,
        report: FsckReport::default(),
        stored: BTreeMap::new(),
        counted: Counted::default(),
        bucket_ids: BTreeMap::new(),
        uploads_of_parts: BTreeSet::new(),
        uploads: BTreeSet::new(),
        versions_of: None,
    };
    for entry in snapshot.prefix(&[]) {
        let (key, value) = entry?;
        walk.report.rows += 1;
        walk.row(&key, &value)?;
    }
    walk.finish();
    let mut report = walk.report;
    if let Some(fresh) = options.fresh {
        rebuild::compare(catalog.log(), &snapshot, &*fresh, &mut |found| {
            report.findings += 1;
            finding(found);
        })?;
    }
    Ok(report)
}

/// What the counters should say.
#[derive(Default)]
struct Counted {
    segments: BTreeMap<SegmentId, i64>,
    /// Objects, bytes, uploads, versions.
    buckets: BTreeMap<BucketId, [i64; 4]>,
}

struct Walk<'a> {
    snapshot: &'a Snapshot,
    log: &'a Log,
    skip_payloads: bool,
    identities: Option<Arc<CheckBeside>>,
    finding: &'a mut dyn FnMut(Finding),
    report: FsckReport,
    /// The counters found, by key.
    stored: BTreeMap<Vec<u8>, Vec<i64>>,
    counted: Counted,
    bucket_ids: BTreeMap<BucketId, String>,
    uploads_of_parts: BTreeSet<UploadId>,
    uploads: BTreeSet<UploadId>,
    /// The key whose versions are being walked, which come one after the other.
    versions_of: Option<(BucketId, String)>,
}

impl Walk<'_> {
    fn found(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.report.findings += 1;
        (self.finding)(Finding { place: place.into(), what: what.into() });
    }

    /// The row under `key`; a malformed one counts as found by the walk when it gets there, so
    /// here it is just not there.
    fn lookup<T: Row>(&self, key: &[u8]) -> Result<Option<T>> {
        Ok(self.snapshot.value(key)?.and_then(|value| T::decode(&value)))
    }

    fn decode<T: Row>(&mut self, key: &[u8], value: &[u8]) -> Option<T> {
        let row = T::decode(value);
        if row.is_none() {
            let what = format!("the {} row {}", T::NAME, rows::unreadable::<T>(value));
            self.found(keys::show(key), what);
        }
        row
    }

    fn row(&mut self, key: &Bytes, value: &Bytes) -> Result<()> {
        let Some(parsed) = keys::parse(key) else {
            self.found(format!("row {}", keys::show(key)), "no row has such a key");
            return Ok(());
        };
        let place = keys::show(key);
        match parsed {
            Parsed::Totals | Parsed::BucketCounters(_) | Parsed::SegmentCounter(_) => {
                self.stored.insert(key.to_vec(), decode_counters(value));
            }
            Parsed::Bucket(name) => {
                if let Some(row) = self.decode::<BucketRow>(key, value) {
                    self.bucket(place, name, &row);
                }
            }
            Parsed::BucketSetting(bucket, kind) => {
                if !self.bucket_ids.contains_key(&bucket) {
                    self.found(place.as_str(), "there is no such bucket");
                }
                if kind == b'A' {
                    self.decode::<AccessBlockRow>(key, value);
                } else if let Some(row) = self.decode::<PolicyRow>(key, value)
                    && let Err(error) = Policy::parse(&row.json, Kind::Resource)
                {
                    self.found(place, format!("the policy can't be read: {error}"));
                }
            }
            Parsed::Version(bucket, name, sequence) => {
                if let Some(row) = self.decode::<VersionRow>(key, value) {
                    self.version(&place, bucket, name, sequence, &row)?;
                }
            }
            Parsed::Null(bucket, name) => {
                if let Some(NullRow { sequence }) = self.decode::<NullRow>(key, value) {
                    let row_key = keys::version(bucket, &name, sequence);
                    let row: Option<VersionRow> = self.lookup(&row_key)?;
                    let tag = row.and_then(|row| row.tag(sequence));
                    if tag.is_none_or(|tag| !tag.is_null) {
                        self.found(place, format!("version {sequence} is not the null one"));
                    }
                }
            }
            Parsed::Cold(bucket, name, sequence) => {
                let head = self.lookup_version(bucket, &name, sequence)?;
                if self.decode::<ColdRow>(key, value).is_some()
                    && head.is_none_or(|head| head.headers != HeadHeaders::Cold)
                {
                    self.found(place, "no head points at these headers");
                }
            }
            Parsed::Identity => self.beside(&place, key, value)?,
            Parsed::Manifest(blob) => {
                if let Some(row) = self.decode::<ManifestRow>(key, value) {
                    self.blob(&place, blob, row)?;
                }
            }
            Parsed::Head(bucket, name) => {
                if let Some(row) = self.decode::<HeadRow>(key, value) {
                    self.head(&place, bucket, &name, &row)?;
                }
            }
            Parsed::Owner(blob, bucket, name, sequence) => {
                if let Some(row) = self.decode::<OwnerRow>(key, value) {
                    let head = self.lookup_version(bucket, &name, sequence)?;
                    if head.is_none_or(|head| {
                        head.object_id != row.object_id || head.body != Body::Blob(blob)
                    }) {
                        self.found(place.as_str(), "its head is not there or has another body");
                    }
                    if self.lookup::<ManifestRow>(&keys::manifest(blob))?.is_none() {
                        self.found(place, "the blob has no manifest");
                    }
                }
            }
            Parsed::Upload(bucket, _, id) => {
                self.uploads.insert(id);
                self.report.uploads += 1;
                if !self.bucket_ids.contains_key(&bucket) {
                    self.found(place, "there is no such bucket");
                }
                self.counted.buckets.entry(bucket).or_default()[2] += 1;
                self.decode::<UploadRow>(key, value);
            }
            Parsed::Part(id, number) => {
                self.uploads_of_parts.insert(id);
                self.report.parts += 1;
                if let Some(row) = self.decode::<PartRow>(key, value) {
                    self.part(&place, number, &row);
                }
            }
        }
        Ok(())
    }

    fn bucket(&mut self, place: String, name: String, row: &BucketRow) {
        self.report.buckets += 1;
        self.counted.buckets.entry(row.id).or_default();
        if let Some(other) = self.bucket_ids.insert(row.id, name) {
            self.found(place, format!("it has the id {} of bucket {other}", row.id.0));
        }
    }

    fn beside(&mut self, place: &str, key: &Bytes, value: &Bytes) -> Result<()> {
        let Some(check) = self.identities.clone() else { return Ok(()) };
        match check(self.snapshot, key, value).map_err(Error::Unavailable)? {
            Some(found) => found.into_iter().for_each(|what| self.found(place, what)),
            None => self.found(format!("row {place}"), "no row has such a key"),
        }
        Ok(())
    }

    /// The manifest of a row, wherever it is kept; what can't be read is found.
    fn manifest(&mut self, place: &str, blob: ObjectId, row: ManifestRow) -> Option<Manifest> {
        match row {
            ManifestRow::Here(manifest) => Some(manifest),
            ManifestRow::InLog(extents) => match read_from_log(self.log, blob, &extents) {
                Ok(manifest) => Some(manifest),
                Err(error) => {
                    self.found(place, error.to_string());
                    None
                }
            },
        }
    }

    fn blob(&mut self, place: &str, blob: ObjectId, row: ManifestRow) -> Result<()> {
        self.report.blobs += 1;
        if let ManifestRow::InLog(extents) = &row {
            self.count(extents);
        }
        let mut owners = 0;
        let mut is_brought_by_owner = false;
        for entry in self.snapshot.prefix(&keys::owners(blob)) {
            let (_, value) = entry?;
            owners += 1;
            is_brought_by_owner |=
                OwnerRow::decode(&value).is_some_and(|owner| owner.object_id == blob);
        }
        if owners == 0 {
            self.found(place, "nothing owns this blob");
        }
        let Some(manifest) = self.manifest(place, blob, row) else {
            return Ok(());
        };
        self.count(manifest.extents());
        if !is_brought_by_owner {
            // Else it is read with the head of the object that brought it.
            self.read(place, manifest.extents(), None);
        }
        Ok(())
    }

    fn head(&mut self, place: &str, bucket: BucketId, name: &str, row: &HeadRow) -> Result<()> {
        self.report.objects += 1;
        self.counted.buckets.entry(bucket).or_default()[0] += 1;
        if row.version.is_null && self.snapshot.value(&keys::null(bucket, name))?.is_some() {
            self.found(place, "there is another null version");
        }
        self.object(place, bucket, name, row)
    }

    /// A version that is not the current object of its key, after the newer ones.
    fn version(
        &mut self,
        place: &str,
        bucket: BucketId,
        name: String,
        sequence: u64,
        row: &VersionRow,
    ) -> Result<()> {
        self.report.versions += 1;
        self.counted.buckets.entry(bucket).or_default()[3] += 1;
        let Some(VersionTag { is_null, .. }) = row.tag(sequence) else {
            self.found(place, "its row is of another version");
            return Ok(());
        };
        let null: Option<NullRow> = self.lookup(&keys::null(bucket, &name))?;
        if is_null && null != Some(NullRow { sequence }) {
            self.found(place, "it is a null version that can't be found as one");
        }
        let is_first = self.versions_of.as_ref() != Some(&(bucket, name.clone()));
        if is_first {
            match self.lookup::<HeadRow>(&keys::head(bucket, &name))? {
                Some(head) if head.version.sequence <= sequence => {
                    self.found(place, "it is newer than the current object");
                }
                None if matches!(row, VersionRow::Object(_)) => {
                    self.found(place, "it is the newest version and not the current object");
                }
                Some(_) | None => {}
            }
        }
        match row {
            VersionRow::Object(head) => self.object(place, bucket, &name, head)?,
            VersionRow::Marker(_) if !self.bucket_ids.contains_key(&bucket) => {
                self.found(place, "there is no such bucket");
            }
            VersionRow::Marker(_) => {}
        }
        self.versions_of = Some((bucket, name));
        Ok(())
    }

    /// The object at a key with this sequence, current or not.
    fn lookup_version(
        &self,
        bucket: BucketId,
        name: &str,
        sequence: u64,
    ) -> Result<Option<HeadRow>> {
        let head: Option<HeadRow> = self.lookup(&keys::head(bucket, name))?;
        if let Some(head) = head.filter(|head| head.version.sequence == sequence) {
            return Ok(Some(head));
        }
        Ok(match self.lookup(&keys::version(bucket, name, sequence))? {
            Some(VersionRow::Object(head)) => Some(head),
            Some(VersionRow::Marker(_)) | None => None,
        })
    }

    /// An object, the current one or another version.
    fn object(&mut self, place: &str, bucket: BucketId, name: &str, row: &HeadRow) -> Result<()> {
        self.counted.buckets.entry(bucket).or_default()[1] += row.size as i64;
        if !self.bucket_ids.contains_key(&bucket) {
            self.found(place, "there is no such bucket");
        }
        if row.headers == HeadHeaders::Cold
            && self.lookup::<ColdRow>(&keys::cold(bucket, name, row.version.sequence))?.is_none()
        {
            self.found(place, "its headers are not there");
        }
        match row.body {
            Body::Empty if row.size != 0 => {
                self.found(place, format!("it has {} bytes but no body", row.size));
            }
            Body::Empty => {}
            Body::Inline(extent) => {
                self.count([&extent]);
                if extent.len != row.size {
                    let what = format!("{} bytes in a payload of {}", row.size, extent.len);
                    self.found(place, what);
                }
                self.read(place, [&extent], Some(row));
            }
            Body::Blob(blob) => self.blob_of_head(place, bucket, name, row, blob)?,
        }
        Ok(())
    }

    fn blob_of_head(
        &mut self,
        place: &str,
        bucket: BucketId,
        name: &str,
        row: &HeadRow,
        blob: ObjectId,
    ) -> Result<()> {
        let owner_key = keys::owner(blob, bucket, name, row.version.sequence);
        let owner: Option<OwnerRow> = self.lookup(&owner_key)?;
        if owner.is_none_or(|owner| owner.object_id != row.object_id) {
            self.found(place, format!("it is not an owner of its blob {blob}"));
        }
        let Some(manifest_row) = self.lookup(&keys::manifest(blob))? else {
            self.found(place, format!("its blob {blob} has no manifest"));
            return Ok(());
        };
        // An unreadable one is found where its own row is looked at.
        let manifest = match manifest_row {
            ManifestRow::Here(manifest) => manifest,
            ManifestRow::InLog(extents) => match read_from_log(self.log, blob, &extents) {
                Ok(manifest) => manifest,
                Err(_) => return Ok(()),
            },
        };
        if manifest.size() != row.size {
            let what = format!("{} bytes in a blob of {}", row.size, manifest.size());
            self.found(place, what);
        }
        if row.etag.parts().is_some_and(|parts| parts as usize != manifest.parts.len()) {
            let what = format!("ETag {}, but {} parts", row.etag, manifest.parts.len());
            self.found(place, what);
        }
        if row.object_id == blob {
            self.read(place, manifest.extents(), Some(row));
        }
        Ok(())
    }

    fn part(&mut self, place: &str, number: u32, row: &PartRow) {
        if !(1..=PART_NUMBER_MAX).contains(&number) {
            self.found(place, "no part has such a number");
        }
        self.count(&row.extents);
        if let Some(digests) = self.digest(place, &row.extents, row.checksum.algorithm)
            && (digests.md5 != row.md5 || digests.of(row.checksum.algorithm) != Some(&row.checksum))
        {
            self.found(place, "its bytes do not have its ETag and checksum");
        }
    }

    /// Notes that these bytes are live.
    fn count<'e>(&mut self, extents: impl IntoIterator<Item = &'e Extent>) {
        for (segment, bytes) in rows::blob::bytes_by_segment(extents) {
            *self.counted.segments.entry(segment).or_insert(0) += bytes;
        }
    }

    /// Reads all bytes, and compares them with what `head` says of them.
    fn read<'e>(
        &mut self,
        place: &str,
        extents: impl IntoIterator<Item = &'e Extent>,
        head: Option<&HeadRow>,
    ) {
        let sum = head.and_then(|head| head.checksum.as_ref());
        let algorithm = sum.map_or(ChecksumAlgorithm::Crc64Nvme, |sum| sum.algorithm);
        let Some(digests) = self.digest(place, extents, algorithm) else {
            return;
        };
        if let Some(Etag::Single(md5)) = head.map(|head| head.etag)
            && digests.md5 != md5
        {
            self.found(place, "its bytes do not have its ETag");
        }
        if let Some(sum) = sum.filter(|sum| sum.kind == ChecksumKind::FullObject)
            && digests.of(algorithm) != Some(sum)
        {
            self.found(place, format!("its bytes do not have its {algorithm}"));
        }
    }

    /// Reads all bytes; `None` if that is not wanted, or not possible (which is found).
    fn digest<'e>(
        &mut self,
        place: &str,
        extents: impl IntoIterator<Item = &'e Extent>,
        algorithm: ChecksumAlgorithm,
    ) -> Option<Digests> {
        if self.skip_payloads {
            return None;
        }
        let mut digester = Digester::new(&[algorithm]);
        for extent in extents {
            if extent.is_bulk() {
                // Reading needs k good cells; all k + m must be good.
                let mut wrong = Vec::new();
                self.log.verify_extent(extent, &mut |what| wrong.push(what));
                wrong.into_iter().for_each(|what| self.found(place, what));
            }
            let mut from = 0;
            while from < extent.len {
                let to = extent.len.min(from + READ_BYTES);
                match self.log.read(extent, from..to) {
                    Ok(bytes) => digester.update(&bytes),
                    Err(error) => {
                        let what = format!(
                            "bytes {from} to {to} of the {} at {} of segment {}: {error}",
                            extent.len, extent.offset, extent.segment
                        );
                        self.found(place, what);
                        return None;
                    }
                }
                self.report.payload_bytes += to - from;
                from = to;
            }
        }
        Some(digester.finish())
    }

    /// What only the end shows.
    fn finish(&mut self) {
        for id in &self.uploads_of_parts - &self.uploads {
            self.found(format!("upload {id}"), "there are parts of it, but no upload");
        }
        let buckets = std::mem::take(&mut self.counted.buckets);
        let mut totals = [self.report.buckets as i64, 0, 0, 0, 0];
        for (bucket, counters) in buckets {
            (1..).zip(counters).for_each(|(i, n): (usize, i64)| totals[i] += n);
            let whose = match self.bucket_ids.get(&bucket) {
                Some(name) => format!("counters of bucket {name}"),
                None => format!("counters of bucket id {}", bucket.0),
            };
            self.compare(whose, &keys::bucket_counters(bucket), &counters);
        }
        self.compare("counters of the store".to_owned(), &keys::totals(), &totals);
        for (segment, bytes) in std::mem::take(&mut self.counted.segments) {
            let whose = format!("live bytes of segment {segment}");
            self.compare(whose, &keys::segment_counter(segment), &[bytes]);
        }
        // What is left belongs to nothing that is there.
        for (key, counters) in std::mem::take(&mut self.stored) {
            if counters.iter().any(|n| *n != 0) {
                let what = format!("{counters:?} is counted, but there is nothing");
                self.found(keys::show(&key), what);
            }
        }
    }

    fn compare(&mut self, whose: String, key: &[u8], counted: &[i64]) {
        let mut stored = self.stored.remove(key).unwrap_or_default();
        stored.resize(stored.len().max(counted.len()), 0);
        if stored != counted {
            self.found(whose, format!("{stored:?} is kept, {counted:?} is there"));
        }
    }
}
