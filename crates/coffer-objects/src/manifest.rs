//! Manifests: kept in their row while small, in the log when large: in the commit itself, or, when
//! that would make it too large, in bulk rows that are durable before it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use coffer_base::{ObjectId, SegmentId};
use coffer_catalog::Txn;
use coffer_log::{Extent, Log};

use crate::error::{Error, Result};
use crate::objects::{Objects, Refusal, Rows};
use crate::rows::blob::{
    MANIFEST_PAYLOAD_BYTES_MAX, MANIFEST_ROW_BYTES_MAX, Manifest, ManifestRow,
    add_bytes_by_segment, bytes_by_segment,
};
use crate::rows::{Row, keys};

#[cfg(test)]
pub(crate) mod tests;

/// A manifest of so many parts and extents is far from too large for a commit.
const FEW_PIECES: usize = 1000;

/// Of manifests that are kept in the log, and were read before a plan that needs them: how many
/// bytes the blob has in which segment, which is all that giving it up takes.
#[derive(Clone, Default)]
pub(crate) struct KnownManifests(HashMap<ObjectId, Arc<BTreeMap<SegmentId, i64>>>);

/// A manifest about to be written; encoded once.
pub(crate) enum NewManifest {
    /// The value of its row.
    Row(Vec<u8>),
    /// Its encoding, to be a payload of the commit.
    Payload(Vec<u8>),
    /// In bulk rows already.
    Stored(Vec<Extent>),
}

impl NewManifest {
    /// Encodes `manifest`; one that is too large for a commit is written to `log` now, and durable
    /// on return. Blocks in that case.
    pub(crate) fn store(log: &Log, manifest: Manifest) -> Result<NewManifest> {
        let encoded = manifest.encode_parts();
        if encoded.len() <= MANIFEST_ROW_BYTES_MAX {
            return Ok(NewManifest::Row(ManifestRow::Here(manifest).encode()));
        }
        if encoded.len() <= MANIFEST_PAYLOAD_BYTES_MAX {
            return Ok(NewManifest::Payload(encoded));
        }
        let mut writer = log.bulk_writer(Some(encoded.len() as u64))?;
        writer.write(&encoded)?;
        Ok(NewManifest::Stored(writer.finish()?))
    }

    /// Bytes it adds to the commit.
    pub(crate) fn len(&self) -> usize {
        match self {
            NewManifest::Row(bytes) | NewManifest::Payload(bytes) => bytes.len(),
            NewManifest::Stored(extents) => 64 * extents.len(),
        }
    }

    /// Writes the row of `blob`, and the payload if there is one.
    pub(crate) fn put(&self, txn: &mut Txn<'_>, blob: ObjectId) {
        let key = keys::manifest(blob);
        let extents = match self {
            NewManifest::Row(value) => return txn.put(&key, value),
            NewManifest::Payload(encoded) => vec![txn.append(encoded)],
            NewManifest::Stored(extents) => extents.clone(),
        };
        crate::replace::count_extents(txn, &extents, 1);
        txn.put(&key, &ManifestRow::InLog(extents).encode());
    }
}

/// Reads a manifest that is kept in the log; blocks.
pub(crate) fn read_from_log(log: &Log, blob: ObjectId, extents: &[Extent]) -> Result<Manifest> {
    let mut encoded = Vec::new();
    for extent in extents {
        encoded.extend_from_slice(&log.read(extent, 0..extent.len)?);
    }
    Manifest::decode_parts(&encoded)
        .ok_or_else(|| Error::Corrupt(format!("the manifest of blob {blob} is malformed")))
}

/// Removes the manifest row of `blob` and gives the bytes by segment that it and the blob occupied.
pub(crate) fn remove(
    txn: &mut Txn<'_>,
    known: &KnownManifests,
    blob: ObjectId,
) -> Result<BTreeMap<SegmentId, i64>, Refusal> {
    let key = keys::manifest(blob);
    let row: ManifestRow = txn
        .row(&key)?
        .ok_or_else(|| Error::Corrupt(format!("blob {blob} has owners but no manifest")))?;
    let bytes = match row {
        ManifestRow::Here(manifest) => bytes_by_segment(manifest.extents()),
        ManifestRow::InLog(own) => match known.0.get(&blob) {
            Some(of_blob) => {
                let mut bytes = BTreeMap::clone(of_blob);
                add_bytes_by_segment(&own, &mut bytes);
                bytes
            }
            None => return Err(Refusal::NeedManifests(vec![blob])),
        },
    };
    txn.delete(&key);
    Ok(bytes)
}

impl Objects {
    /// The manifest that a row holds or points at.
    pub(crate) async fn resolve_manifest(
        &self,
        blob: ObjectId,
        row: ManifestRow,
    ) -> Result<Arc<Manifest>> {
        match row {
            ManifestRow::Here(manifest) => Ok(Arc::new(manifest)),
            ManifestRow::InLog(extents) => {
                if let Some(manifest) = self.manifests().get(blob) {
                    return Ok(manifest);
                }
                let (log, bytes) =
                    (self.catalog().log().clone(), extents.iter().map(|e| e.len).sum());
                let manifest = self.call(move || read_from_log(&log, blob, &extents)).await??;
                let manifest = Arc::new(manifest);
                self.manifests().insert(blob, manifest.clone(), bytes);
                Ok(manifest)
            }
        }
    }

    /// Reads the manifests of `blobs` for a plan that has to give them up.
    pub(crate) async fn know_manifests(
        &self,
        known: &mut KnownManifests,
        blobs: Vec<ObjectId>,
    ) -> Result<()> {
        let catalog = self.catalog().clone();
        let reading = self.call(move || {
            let mut read = Vec::with_capacity(blobs.len());
            for blob in blobs {
                // Gone by now, or in its row: then the next run of the plan does not ask for it.
                let row = catalog.row(&keys::manifest(blob))?;
                if let Some(ManifestRow::InLog(extents)) = row {
                    let manifest = read_from_log(catalog.log(), blob, &extents)?;
                    read.push((blob, Arc::new(bytes_by_segment(manifest.extents()))));
                }
            }
            Ok::<_, Error>(read)
        });
        known.0.extend(reading.await??);
        Ok(())
    }

    /// [`NewManifest::store`], where it may block.
    pub(crate) async fn store_manifest(&self, manifest: Manifest) -> Result<NewManifest> {
        let log = self.catalog().log();
        if manifest.parts.len() + manifest.extents().count() <= FEW_PIECES {
            return NewManifest::store(log, manifest);
        }
        let log = log.clone();
        self.call(move || NewManifest::store(&log, manifest)).await?
    }
}

/// Bytes that the encodings of the manifests have that are kept; decoded they take about four times
/// as much.
const CACHED_BYTES_MAX: u64 = 8 << 20;

/// Manifests that were read from the log lately. A blob never changes, so none of them gets old.
#[derive(Default)]
pub(crate) struct ManifestCache(Mutex<Cached>);

#[derive(Default)]
struct Cached {
    /// The one used last is the last. They are few, as none is small.
    manifests: VecDeque<(ObjectId, Arc<Manifest>, u64)>,
    bytes: u64,
}

impl ManifestCache {
    fn get(&self, blob: ObjectId) -> Option<Arc<Manifest>> {
        let mut cached = self.0.lock().expect("no holder panics");
        let at = cached.manifests.iter().position(|(id, ..)| *id == blob)?;
        let entry = cached.manifests.remove(at)?;
        let manifest = entry.1.clone();
        cached.manifests.push_back(entry);
        Some(manifest)
    }

    /// Keeps `manifest`, whose encoding has `bytes`, at the cost of those that were not used for
    /// the longest time.
    fn insert(&self, blob: ObjectId, manifest: Arc<Manifest>, bytes: u64) {
        let mut cached = self.0.lock().expect("no holder panics");
        let is_there = cached.manifests.iter().any(|(id, ..)| *id == blob);
        if is_there || bytes > CACHED_BYTES_MAX {
            return;
        }
        cached.manifests.push_back((blob, manifest, bytes));
        cached.bytes += bytes;
        while cached.bytes > CACHED_BYTES_MAX {
            let Some((_, _, bytes)) = cached.manifests.pop_front() else { break };
            cached.bytes -= bytes;
        }
    }
}
