//! Who a drive is when neither of its superblocks can be read: its segments say it.

use std::collections::BTreeMap;

use coffer_base::DriveId;
use coffer_base::drive::{Access, Drive};

use crate::body::read_header;
use crate::error::OpenError;
use crate::segment::FileKind;
use crate::superblock::Superblock;

/// The member of `newest` that three quarters of the segment headers on `drive` name as theirs.
///
/// Not for a place that was filled anew: its segments look like those of the drive before, which
/// must not be trusted again. What else the superblocks hid is on the other drives, if a majority
/// of them is here: every change is recorded on at least half of the active ones.
pub(super) fn of_segments(
    drive: &dyn Drive,
    newest: &Superblock,
    claimed: &dyn Fn(DriveId) -> bool,
) -> Result<DriveId, OpenError> {
    let label = drive.label();
    let io = |e: &std::io::Error| OpenError::io(&label, e);
    let mut votes: BTreeMap<DriveId, usize> = BTreeMap::new();
    let mut foreign = 0;
    for name in drive.list().map_err(|e| io(&e))? {
        let Some((kind, segment)) = FileKind::parse_name(&name) else { continue };
        let file = drive.open(&name, Access::Buffered).map_err(|e| io(&e))?;
        let Some(header) = read_header(file.as_ref()).map_err(|e| io(&e))? else { continue };
        if header.kind == kind && header.segment == segment && header.store == newest.store {
            *votes.entry(header.members[usize::from(header.index)]).or_default() += 1;
        } else {
            foreign += 1;
        }
    }
    let all = votes.values().sum::<usize>() + foreign;
    let refused = |why: String| {
        Err(OpenError::Damaged(format!(
            "{label}: both superblocks are damaged, and {why}. To go on without it, leave it out \
             and start with --degraded; to use the drive again, empty it and start with --replace"
        )))
    };
    let Some((&id, &most)) = votes.iter().max_by_key(|(_, votes)| **votes) else {
        return refused("no segment on it says which drive it is".into());
    };
    if most * 4 < all * 3 {
        return refused(format!("only {most} of {all} segments say that it is drive {id}"));
    }
    match newest.member(id) {
        None => refused(format!(
            "its segments say that it is drive {id}, which is not a member of store {}",
            newest.store
        )),
        Some(member) if member.replaced > 0 => refused(format!(
            "its segments say that it is drive {id}, whose place was filled anew: it may be the \
             drive from before"
        )),
        Some(member) if newest.forced && !member.is_active() => refused(format!(
            "its segments say that it is drive {id}, which had no part in an epoch that was forced: \
             it may have another history"
        )),
        Some(_) if claimed(id) => {
            refused(format!("its segments say that it is drive {id}, which is here already"))
        }
        Some(_) => Ok(id),
    }
}
