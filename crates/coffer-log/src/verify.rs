//! Checking a whole log at rest: every cell of every drive against its checksum, parity against
//! data, groups against the chain.

use std::sync::Arc;

use coffer_base::{DriveId, Position};

use crate::body::{BodyReader, Cells, walk};
use crate::bulk;
use crate::erasure::Coder;
use crate::geometry::Geometry;
use crate::inner::Inner;
use crate::lane::Shared;
use crate::segment::{Layout, Segment};

/// What [`crate::Log::verify`] read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Segments looked at.
    pub segments: u64,
    /// Groups of commit segments that were read.
    pub groups: u64,
    /// Findings reported.
    pub findings: u64,
}

pub(crate) fn verify(shared: &Arc<Shared>, finding: &mut dyn FnMut(String)) -> VerifyReport {
    let inner = &shared.inner;
    let mut report = VerifyReport::default();
    let mut findings = 0;
    let mut found = |what: String| {
        findings += 1;
        finding(what);
    };
    let mut position = Position(0);
    let mut chain = crate::mark::Chain::default();
    let end = shared.end();
    for segment in inner.table.all() {
        report.segments += 1;
        match &segment.layout {
            Layout::Bulk { .. } => bulk::verify_bulk_segment(inner, &segment, &mut found),
            Layout::Cells { geometry, members, .. } => {
                verify_cells(inner, &segment, *geometry, members, &mut found);
            }
            Layout::Copies(copies) => {
                for (drive, _) in copies.iter().filter(|(drive, _)| !inner.set.is_live(*drive)) {
                    found(format!("segment {} misses {}", segment.id, inner.set.label(*drive)));
                }
            }
        }
        if matches!(segment.layout, Layout::Bulk { .. }) {
            continue;
        }
        let mut reader = BodyReader::new(inner, &segment);
        let walked = walk(&mut reader, 0..u64::MAX, position, chain, |group, offset, _| {
            if group.header.position > end.position {
                return Ok(false);
            }
            report.groups += 1;
            if group.header.records(&group.bytes).is_none() {
                found(format!("the group at {offset} of segment {} is malformed", segment.id));
            }
            Ok::<bool, std::convert::Infallible>(true)
        });
        let Ok((_, last, chain_after)) = walked;
        position = last;
        chain = chain_after;
        if let Layout::Cells { last: expected, .. } = segment.layout
            && last != expected
        {
            found(format!(
                "the groups of segment {} end at position {}, not {}",
                segment.id, last.0, expected.0
            ));
        }
    }
    if position != end.position || chain != end.chain {
        found(format!("history reads to position {}, not {}", position.0, end.position.0));
    }
    report.findings = findings;
    report
}

fn verify_cells(
    inner: &Inner,
    segment: &Segment,
    geometry: Geometry,
    members: &[DriveId],
    found: &mut dyn FnMut(String),
) {
    let cells = Cells::new(inner, segment);
    let sealed = match cells.sealed_header() {
        Ok(sealed) => sealed,
        Err(e) => return found(e.to_string()),
    };
    let k = usize::from(geometry.k);
    let coder = Coder::new(geometry);
    // A missing drive is one finding, not one a block.
    let mut missing = vec![false; members.len()];
    for (cell, member) in members.iter().enumerate() {
        if !inner.set.is_live(*member) {
            missing[cell] = true;
            found(format!("segment {} misses {}", segment.id, inner.set.label(*member)));
        }
    }
    for block in 0..sealed.blocks_per_cell() {
        let mut blocks = Vec::new();
        for (cell, missing) in missing.iter_mut().enumerate() {
            if *missing {
                continue;
            }
            match cells.stored_block(&sealed, cell, block) {
                Ok(data) => blocks.push(data),
                Err(e) => {
                    found(e.to_string());
                    *missing = matches!(e, crate::error::Error::Unavailable(_));
                }
            }
        }
        if blocks.len() == members.len() {
            let (data, parity) = blocks.split_at(k);
            let data: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
            let mut expected: Vec<Vec<u8>> = parity.iter().map(|p| vec![0; p.len()]).collect();
            let mut rows: Vec<&mut [u8]> = expected.iter_mut().map(Vec::as_mut_slice).collect();
            coder.encode(&data, &mut rows);
            if expected != parity {
                found(format!(
                    "block {block} of segment {}: parity does not match data",
                    segment.id
                ));
            }
        }
    }
}
