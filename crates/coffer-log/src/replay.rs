//! Reading history from a point: what builds the index, and later feeds subscribers.

use std::sync::Arc;

use coffer_base::{Position, Timestamp};

use crate::body::{BodyReader, walk};
use crate::error::{Error, ReplayError};
use crate::lane::Shared;
use crate::mark::{Chain, Mark};
use crate::segment::{Layout, Segment};

/// One group of history.
pub struct ReplayedGroup<'a> {
    /// The point of history after it.
    pub mark: Mark,
    /// When it was committed, by the clock of then.
    pub time: Timestamp,
    /// Its records, in order.
    pub records: Vec<&'a [u8]>,
}

/// Calls `visit` for each group after `from`, up to the end as it is now.
pub(crate) fn replay(
    shared: &Arc<Shared>,
    from: Option<Mark>,
    visit: &mut dyn FnMut(&ReplayedGroup<'_>) -> Result<(), Error>,
) -> Result<Mark, ReplayError> {
    let inner = &shared.inner;
    let end = shared.end();
    let from = from.unwrap_or_default();
    if from.position > end.position {
        return Err(ReplayError::NotOnChain);
    }
    if from.position == end.position {
        // The chain covers all that came before.
        return if from.chain == end.chain { Ok(end) } else { Err(ReplayError::NotOnChain) };
    }
    let mut position = Position(0);
    let mut chain = Chain::default();
    // Whether `from` was met; at the beginning it is where we stand.
    let mut joined = from.position.0 == 0;
    if joined && from.chain != chain {
        return Err(ReplayError::NotOnChain);
    }
    for segment in inner.table.all() {
        if position == end.position {
            break;
        }
        if let Some((last, chain_after)) = skip(&segment, from.position) {
            position = last;
            chain = chain_after;
            if position == from.position {
                if chain != from.chain {
                    return Err(ReplayError::NotOnChain);
                }
                joined = true;
            }
            continue;
        }
        if matches!(segment.layout, Layout::Bulk { .. }) {
            continue;
        }
        let mut reader = BodyReader::new(inner, &segment);
        let walked =
            walk(&mut reader, 0..u64::MAX, position, chain, |group, offset, chain_after| {
                let position = group.header.position;
                if position > end.position {
                    return Ok(false);
                }
                if position == from.position {
                    if chain_after != from.chain {
                        return Err(ReplayError::NotOnChain);
                    }
                    joined = true;
                } else if joined {
                    let records = group.header.records(&group.bytes).ok_or_else(|| {
                        Error::Corrupt(format!(
                            "the group at {offset} of segment {} has malformed items",
                            segment.id
                        ))
                    })?;
                    let mark = Mark { epoch: end.epoch, position, chain: chain_after };
                    visit(&ReplayedGroup { mark, time: group.header.time, records })?;
                }
                Ok(true)
            });
        let (offset, last, chain_after) = walked?;
        if let Layout::Cells { last: expected, .. } = segment.layout
            && last < expected.min(end.position)
        {
            if let Some(newer) = reader.newer_group(offset) {
                return Err(ReplayError::Log(Error::Unavailable(newer)));
            }
            return Err(ReplayError::Log(Error::Unavailable(format!(
                "history can't be read after position {}, in segment {}",
                last.0, segment.id
            ))));
        }
        position = last;
        chain = chain_after;
    }
    if position != end.position || chain != end.chain {
        return Err(ReplayError::Log(Error::Unavailable(format!(
            "history can't be read between positions {} and {}",
            position.0, end.position.0
        ))));
    }
    if !joined {
        return Err(ReplayError::NotOnChain);
    }
    Ok(end)
}

/// A sealed segment that lies wholly at or before `from` need not be read.
fn skip(segment: &Segment, from: Position) -> Option<(Position, Chain)> {
    match segment.layout {
        Layout::Cells { last, chain_after, .. } if last <= from => Some((last, chain_after)),
        _ => None,
    }
}
