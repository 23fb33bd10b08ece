//! The keys of all rows; the first byte is the subspace.

use coffer_base::{BucketId, ObjectId, SegmentId};
use coffer_catalog::keys::{Key, KeyReader};

use crate::uploads::UploadId;

pub(crate) const BUCKET: u8 = b'B';
pub(crate) const HEAD: u8 = b'O';
pub(crate) const COLD: u8 = b'C';
pub(crate) const VERSION: u8 = b'V';
pub(crate) const NULL: u8 = b'N';
pub(crate) const MANIFEST: u8 = b'M';
pub(crate) const OWNER: u8 = b'R';
pub(crate) const UPLOAD: u8 = b'U';
pub(crate) const PART: u8 = b'P';
pub(crate) const SETTING: u8 = b'S';
/// Rows of identities, which are not looked into here: those of now, and two kinds of old ones.
pub(crate) const IDENTITIES: [u8; 3] = *b"AIK";
pub(crate) const COUNTER: u8 = b'#';

/// `B` name
pub(crate) fn bucket(name: &str) -> Vec<u8> {
    Key::new(BUCKET).bytes(name.as_bytes()).finish()
}

/// All buckets whose name begins with `prefix`.
pub(crate) fn buckets(prefix: &str) -> Vec<u8> {
    Key::new(BUCKET).bytes_prefix(prefix.as_bytes()).finish()
}

/// `O` bucket key
pub(crate) fn head(bucket: BucketId, key: &str) -> Vec<u8> {
    Key::new(HEAD).u64(bucket.0).bytes(key.as_bytes()).finish()
}

/// All heads of a bucket whose key begins with `prefix`.
pub(crate) fn heads(bucket: BucketId, prefix: &str) -> Vec<u8> {
    Key::new(HEAD).u64(bucket.0).bytes_prefix(prefix.as_bytes()).finish()
}

/// `V` bucket key !sequence
pub(crate) fn version(bucket: BucketId, key: &str, sequence: u64) -> Vec<u8> {
    Key::new(VERSION).u64(bucket.0).bytes(key.as_bytes()).u64_descending(sequence).finish()
}

/// All versions of a key that are not its current object, the newest first.
pub(crate) fn versions_of_key(bucket: BucketId, key: &str) -> Vec<u8> {
    Key::new(VERSION).u64(bucket.0).bytes(key.as_bytes()).finish()
}

/// The same of all keys of a bucket that begin with `prefix`.
pub(crate) fn versions(bucket: BucketId, prefix: &str) -> Vec<u8> {
    Key::new(VERSION).u64(bucket.0).bytes_prefix(prefix.as_bytes()).finish()
}

/// `N` bucket key
pub(crate) fn null(bucket: BucketId, key: &str) -> Vec<u8> {
    Key::new(NULL).u64(bucket.0).bytes(key.as_bytes()).finish()
}

/// The part of a key that says which version a row belongs to; none for the first one.
fn of_version(key: Key, sequence: u64) -> Vec<u8> {
    if sequence == 0 { key.finish() } else { key.u64_descending(sequence).finish() }
}

/// `C` bucket key, and of a version that is not the first !sequence
pub(crate) fn cold(bucket: BucketId, key: &str, sequence: u64) -> Vec<u8> {
    of_version(Key::new(COLD).u64(bucket.0).bytes(key.as_bytes()), sequence)
}

/// `M` blob
pub(crate) fn manifest(blob: ObjectId) -> Vec<u8> {
    Key::new(MANIFEST).u128(blob.0).finish()
}

/// `R` blob bucket key, and of a version that is not the first !sequence
pub(crate) fn owner(blob: ObjectId, bucket: BucketId, key: &str, sequence: u64) -> Vec<u8> {
    of_version(Key::new(OWNER).u128(blob.0).u64(bucket.0).bytes(key.as_bytes()), sequence)
}

/// All owners of a blob.
pub(crate) fn owners(blob: ObjectId) -> Vec<u8> {
    Key::new(OWNER).u128(blob.0).finish()
}

/// `U` bucket key upload
pub(crate) fn upload(bucket: BucketId, key: &str, upload: UploadId) -> Vec<u8> {
    Key::new(UPLOAD)
        .u64(bucket.0)
        .bytes(key.as_bytes())
        .u128(u128::from_be_bytes(upload.0))
        .finish()
}

/// All uploads of a bucket whose key begins with `prefix`.
pub(crate) fn uploads(bucket: BucketId, prefix: &str) -> Vec<u8> {
    Key::new(UPLOAD).u64(bucket.0).bytes_prefix(prefix.as_bytes()).finish()
}

/// All uploads of one key.
pub(crate) fn uploads_of_key(bucket: BucketId, key: &str) -> Vec<u8> {
    Key::new(UPLOAD).u64(bucket.0).bytes(key.as_bytes()).finish()
}

/// `P` upload number
pub(crate) fn part(upload: UploadId, number: u32) -> Vec<u8> {
    let number = u16::try_from(number).expect("part numbers are checked when a request comes");
    let mut key = parts(upload);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// All parts of an upload.
pub(crate) fn parts(upload: UploadId) -> Vec<u8> {
    Key::new(PART).u128(u128::from_be_bytes(upload.0)).finish()
}

/// `S` bucket `P`: the policy of a bucket.
pub(crate) fn bucket_policy(bucket: BucketId) -> Vec<u8> {
    Key::new(SETTING).u64(bucket.0).u8(b'P').finish()
}

/// `S` bucket `A`: the public access block of a bucket.
pub(crate) fn access_block(bucket: BucketId) -> Vec<u8> {
    Key::new(SETTING).u64(bucket.0).u8(b'A').finish()
}

/// Counters of the store: buckets, objects, bytes, uploads, versions.
pub(crate) fn totals() -> Vec<u8> {
    Key::new(COUNTER).u8(b'T').finish()
}

/// Counters of a bucket: objects, bytes, uploads, versions.
pub(crate) fn bucket_counters(bucket: BucketId) -> Vec<u8> {
    Key::new(COUNTER).u8(b'B').u64(bucket.0).finish()
}

/// Counter of a segment: live bytes of payloads.
pub(crate) fn segment_counter(segment: SegmentId) -> Vec<u8> {
    Key::new(COUNTER).u8(b'G').u64(segment.0).finish()
}

/// A key taken apart again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    Bucket(String),
    Head(BucketId, String),
    Version(BucketId, String, u64),
    Null(BucketId, String),
    Cold(BucketId, String, u64),
    Manifest(ObjectId),
    Owner(ObjectId, BucketId, String, u64),
    Upload(BucketId, String, UploadId),
    Part(UploadId, u32),
    BucketSetting(BucketId, u8),
    /// A row of identities, whatever it is.
    Identity,
    Totals,
    BucketCounters(BucketId),
    SegmentCounter(SegmentId),
}

/// What [`of_version`] wrote.
fn which_version(r: &mut KeyReader<'_>) -> Option<u64> {
    if r.is_empty() {
        return Some(0);
    }
    r.u64_descending().filter(|sequence| *sequence != 0)
}

/// The sequence in the key of a version row.
pub(crate) fn version_sequence(row_key: &[u8]) -> Option<u64> {
    row_key.last_chunk().map(|bytes| !u64::from_be_bytes(*bytes))
}

/// Takes a key apart; `None` if no row has such a key.
pub(crate) fn parse(key: &[u8]) -> Option<Parsed> {
    let mut r = KeyReader::new(key);
    let text = |r: &mut KeyReader<'_>| String::from_utf8(r.bytes()?).ok();
    let upload_id = |r: &mut KeyReader<'_>| r.u128().map(|id| UploadId(id.to_be_bytes()));
    let parsed = match r.subspace()? {
        BUCKET => Parsed::Bucket(text(&mut r)?),
        HEAD => Parsed::Head(BucketId(r.u64()?), text(&mut r)?),
        COLD => Parsed::Cold(BucketId(r.u64()?), text(&mut r)?, which_version(&mut r)?),
        VERSION => Parsed::Version(BucketId(r.u64()?), text(&mut r)?, r.u64_descending()?),
        NULL => Parsed::Null(BucketId(r.u64()?), text(&mut r)?),
        MANIFEST => Parsed::Manifest(ObjectId(r.u128()?)),
        OWNER => Parsed::Owner(
            ObjectId(r.u128()?),
            BucketId(r.u64()?),
            text(&mut r)?,
            which_version(&mut r)?,
        ),
        UPLOAD => Parsed::Upload(BucketId(r.u64()?), text(&mut r)?, upload_id(&mut r)?),
        PART => {
            let upload = upload_id(&mut r)?;
            let number = u32::from(r.u8()?) << 8 | u32::from(r.u8()?);
            Parsed::Part(upload, number)
        }
        SETTING => match (r.u64()?, r.u8()?) {
            (bucket, kind @ (b'P' | b'A')) => Parsed::BucketSetting(BucketId(bucket), kind),
            _ => return None,
        },
        space if IDENTITIES.contains(&space) => return Some(Parsed::Identity),
        COUNTER => match r.u8()? {
            b'T' => Parsed::Totals,
            b'B' => Parsed::BucketCounters(BucketId(r.u64()?)),
            b'G' => Parsed::SegmentCounter(SegmentId(r.u64()?)),
            _ => return None,
        },
        _ => return None,
    };
    r.is_empty().then_some(parsed)
}

/// The key of a head, version or upload row, of which the object's key alone is wanted (listings).
pub(crate) fn object_key(row_key: &[u8]) -> Option<String> {
    let mut r = KeyReader::new(row_key);
    r.subspace()?;
    r.u64()?;
    String::from_utf8(r.bytes()?).ok()
}

/// For messages.
pub(crate) fn show(key: &[u8]) -> String {
    match parse(key) {
        Some(Parsed::Identity) => format!("Identity({})", crate::digest::hex(key)),
        Some(parsed) => format!("{parsed:?}"),
        None => crate::digest::hex(key),
    }
}
