//! Which bulk rows anything names: objects, parts of uploads, the checkpoint of the index. All
//! others are dead, and nothing is lost with them.

use std::collections::HashSet;

use coffer_base::SegmentId;
use coffer_catalog::{Catalog, checkpoint_extents};
use coffer_log::Extent;

use crate::error::{Error, Result};
use crate::manifest::read_from_log;
use crate::rows::Row;
use crate::rows::blob::ManifestRow;
use crate::rows::keys::{self, Parsed};
use crate::rows::upload::PartRow;

/// Offsets of the rows of `segment` that are named now; else as [`bulk_rows`].
pub fn bulk_rows_of(catalog: &Catalog, segment: SegmentId) -> Result<HashSet<u64>> {
    let rows = collect(catalog, Some(segment))?;
    Ok(rows.into_iter().map(|(_, offset)| offset).collect())
}

/// Segment and offset of every bulk row that is named now. An error when not all names can be
/// read: then any row may be named. Reads the whole index; memory grows with the rows.
pub fn bulk_rows(catalog: &Catalog) -> Result<HashSet<(SegmentId, u64)>> {
    collect(catalog, None)
}

fn collect(catalog: &Catalog, only: Option<SegmentId>) -> Result<HashSet<(SegmentId, u64)>> {
    let mut rows = Rows { catalog, only, rows: HashSet::new() };
    let snapshot = catalog.snapshot();
    for entry in snapshot.prefix(&[]) {
        let (key, value) = entry?;
        let malformed = || Error::Corrupt(format!("{} is malformed", keys::show(&key)));
        match keys::parse(&key) {
            Some(Parsed::Manifest(blob)) => {
                let manifest = match ManifestRow::decode(&value).ok_or_else(malformed)? {
                    ManifestRow::Here(manifest) => manifest,
                    ManifestRow::InLog(extents) => {
                        rows.add(&extents)?;
                        read_from_log(catalog.log(), blob, &extents)?
                    }
                };
                rows.add(manifest.extents())?;
            }
            Some(Parsed::Part(..)) => {
                let part = PartRow::decode(&value).ok_or_else(malformed)?;
                rows.add(&part.extents)?;
            }
            Some(_) => {}
            None => return Err(malformed()),
        }
    }
    rows.add(&checkpoint_extents(catalog.log()).map_err(Error::Corrupt)?)?;
    Ok(rows.rows)
}

struct Rows<'a> {
    catalog: &'a Catalog,
    only: Option<SegmentId>,
    rows: HashSet<(SegmentId, u64)>,
}

impl Rows<'_> {
    fn add<'e>(&mut self, extents: impl IntoIterator<Item = &'e Extent>) -> Result<()> {
        let only = self.only;
        for extent in extents.into_iter().filter(|e| only.is_none_or(|only| e.segment == only)) {
            let offsets = self.catalog.log().row_offsets(extent)?;
            self.rows.extend(offsets.into_iter().map(|offset| (extent.segment, offset)));
        }
        Ok(())
    }
}
