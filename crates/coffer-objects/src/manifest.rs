//! Manifests: kept in their row while small, in the log when large.

use std::collections::HashMap;
use std::sync::Arc;

use coffer_base::ObjectId;
use coffer_catalog::Txn;
use coffer_log::{Extent, Log};

use crate::error::{Error, Result};
use crate::objects::{Objects, Refusal, Rows};
use crate::rows::blob::{
    MANIFEST_PAYLOAD_BYTES_MAX, MANIFEST_ROW_BYTES_MAX, Manifest, ManifestRow,
};
use crate::rows::{Row, keys};

#[cfg(test)]
mod tests;

/// Manifests read from the log before a plan that needs them.
#[derive(Clone, Default)]
pub(crate) struct KnownManifests(HashMap<ObjectId, Arc<Manifest>>);

impl KnownManifests {
    pub(crate) fn insert(&mut self, blob: ObjectId, manifest: Arc<Manifest>) {
        self.0.insert(blob, manifest);
    }
}

/// A manifest about to be written; encoded once.
pub(crate) enum NewManifest {
    Row(Vec<u8>),
    Payload(Vec<u8>),
}

impl NewManifest {
    pub(crate) fn new(manifest: Manifest) -> Self {
        let encoded = manifest.encode_parts();
        if encoded.len() > MANIFEST_ROW_BYTES_MAX {
            return NewManifest::Payload(encoded);
        }
        NewManifest::Row(ManifestRow::Here(manifest).encode())
    }

    /// Bytes it adds to the commit.
    pub(crate) fn len(&self) -> usize {
        match self {
            NewManifest::Row(bytes) | NewManifest::Payload(bytes) => bytes.len(),
        }
    }

    /// Writes the row of `blob`, and the payloads if it is large.
    pub(crate) fn put(&self, txn: &mut Txn<'_>, blob: ObjectId) {
        let key = keys::manifest(blob);
        match self {
            NewManifest::Row(value) => txn.put(&key, value),
            NewManifest::Payload(encoded) => {
                let extents: Vec<Extent> = encoded
                    .chunks(MANIFEST_PAYLOAD_BYTES_MAX)
                    .map(|piece| txn.append(piece))
                    .collect();
                crate::replace::count_extents(txn, &extents, 1);
                txn.put(&key, &ManifestRow::InLog(extents).encode());
            }
        }
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

/// Removes the manifest row of `blob` and gives the manifest, with the extents it occupied itself.
pub(crate) fn remove(
    txn: &mut Txn<'_>,
    known: &KnownManifests,
    blob: ObjectId,
) -> Result<(Arc<Manifest>, Vec<Extent>), Refusal> {
    let key = keys::manifest(blob);
    let row: ManifestRow = txn
        .row(&key)?
        .ok_or_else(|| Error::Corrupt(format!("blob {blob} has owners but no manifest")))?;
    let (manifest, own) = match row {
        ManifestRow::Here(manifest) => (Arc::new(manifest), Vec::new()),
        ManifestRow::InLog(extents) => match known.0.get(&blob) {
            Some(manifest) => (manifest.clone(), extents),
            None => return Err(Refusal::NeedManifest(blob)),
        },
    };
    txn.delete(&key);
    Ok((manifest, own))
}

impl Objects {
    /// The manifest of `blob`; `None` if the blob is gone.
    pub(crate) async fn manifest(&self, blob: ObjectId) -> Result<Option<Arc<Manifest>>> {
        let row: Option<ManifestRow> = self.catalog().row(&keys::manifest(blob))?;
        match row {
            None => Ok(None),
            Some(row) => self.resolve_manifest(blob, row).await.map(Some),
        }
    }

    /// The manifest that a row holds or points at.
    pub(crate) async fn resolve_manifest(
        &self,
        blob: ObjectId,
        row: ManifestRow,
    ) -> Result<Arc<Manifest>> {
        match row {
            ManifestRow::Here(manifest) => Ok(Arc::new(manifest)),
            ManifestRow::InLog(extents) => {
                let log = self.catalog().log().clone();
                let manifest = self.call(move || read_from_log(&log, blob, &extents)).await??;
                Ok(Arc::new(manifest))
            }
        }
    }
}
