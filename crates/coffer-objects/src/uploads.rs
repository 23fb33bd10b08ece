//! Multipart uploads: parts are stored as they come, each with a row of its own; completing
//! writes one manifest and one head, whatever the size.

use std::fmt;

use bytes::Bytes;
use coffer_base::{BucketId, Rng};
use coffer_catalog::Txn;
use coffer_catalog::keys::prefix_bounds;

use crate::digest::hex;
use crate::error::{Error, Result};
use crate::objects::Rows;
use crate::replace::count_extents;
use crate::rows::upload::{PartRow, UploadRow};
use crate::rows::{self, keys};
use crate::types::PART_NUMBER_MAX;

mod abort;
mod complete;
mod create;
mod list;
mod part;
mod part_copy;

pub(crate) use abort::abort_all;
pub(crate) use part::PartTarget;

/// An upload: eight bytes of sequence, so that ids sort by the time they were given out, and
/// eight random ones, so that they can't be guessed. Shown in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct UploadId(pub [u8; 16]);

impl UploadId {
    fn new(sequence: u64, random: [u8; 8]) -> Self {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&sequence.to_be_bytes());
        id[8..].copy_from_slice(&random);
        UploadId(id)
    }

    fn random_bytes(rng: &dyn Rng) -> [u8; 8] {
        let mut random = [0; 8];
        rng.fill(&mut random);
        random
    }

    /// Reads what `Display` writes. Anything else is the id of no upload.
    pub(crate) fn parse(text: &str) -> Result<UploadId> {
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 32 || !text.bytes().all(lower_hex) {
            return Err(Error::NoSuchUpload);
        }
        let id = u128::from_str_radix(text, 16).map_err(|_| Error::NoSuchUpload)?;
        Ok(UploadId(id.to_be_bytes()))
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

fn check_part_number(number: u32) -> Result<()> {
    if (1..=PART_NUMBER_MAX).contains(&number) {
        return Ok(());
    }
    Err(Error::InvalidArgument(format!(
        "Part number must be an integer between 1 and {PART_NUMBER_MAX}, inclusive"
    )))
}

/// The upload, which must still be under way.
fn upload_row(rows: &impl Rows, bucket: BucketId, key: &str, id: UploadId) -> Result<UploadRow> {
    rows.row(&keys::upload(bucket, key, id))?.ok_or(Error::NoSuchUpload)
}

/// The part rows of an upload as they are kept, the first `limit` of them.
fn part_entries_up_to(txn: &Txn<'_>, id: UploadId, limit: usize) -> Result<Vec<(Bytes, Bytes)>> {
    let (lo, hi) = prefix_bounds(&keys::parts(id));
    let lo = lo.as_ref().map(Vec::as_slice);
    let hi = hi.as_ref().map(Vec::as_slice);
    Ok(txn.range(lo, hi, limit)?)
}

/// The part rows of an upload as they are kept.
fn part_entries(txn: &Txn<'_>, id: UploadId) -> Result<Vec<(Bytes, Bytes)>> {
    part_entries_up_to(txn, id, PART_NUMBER_MAX as usize)
}

/// The first `limit` parts of an upload.
fn part_rows(txn: &Txn<'_>, id: UploadId, limit: usize) -> Result<Vec<(u32, PartRow)>> {
    decode_parts(&part_entries_up_to(txn, id, limit)?)
}

fn decode_parts(entries: &[(Bytes, Bytes)]) -> Result<Vec<(u32, PartRow)>> {
    let decode =
        |(key, value): &(Bytes, Bytes)| Ok((part_number(key)?, rows::read::<PartRow>(key, value)?));
    entries.iter().map(decode).collect()
}

/// The number in the key of a part row.
fn part_number(key: &[u8]) -> Result<u32> {
    match keys::parse(key) {
        Some(keys::Parsed::Part(_, number)) => Ok(number),
        _ => Err(Error::Corrupt(format!("a part row has the key {}", keys::show(key)))),
    }
}

/// Removes a part whose bytes are not wanted.
fn drop_part(txn: &mut Txn<'_>, id: UploadId, number: u32, part: &PartRow) {
    txn.delete(&keys::part(id, number));
    count_extents(txn, &part.extents, -1);
}
