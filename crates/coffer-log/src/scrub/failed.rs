//! What follows for a drive that does not take what would heal it.
//!
//! A write in place that fails leaves damage as it was: the drive is as good as before, and may be
//! needed for all else that it holds. So it is left alone for the rest of the pass and stays in the
//! set. Only when a sync failed, or the drive does not keep what it acknowledges, it is fenced, and
//! only when every segment has enough without it.

use std::io;

use coffer_base::DriveId;
use coffer_base::drive::queue::is_given_up;

use super::{Outcome, Scrubber};
use crate::inner::Inner;
use crate::segment::Layout;
use crate::set::{DriveState, is_full, is_of_process, state_after};

/// What a drive failed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// Taking a change: nothing else is in question.
    Write,
    /// Keeping it.
    Sync,
}

impl Scrubber<'_> {
    /// `member` did not take what would heal it: what follows for the drive, and what became of
    /// what was wrong.
    pub(super) fn failed(&mut self, member: DriveId, e: &io::Error, failed: Failed) -> Outcome {
        if is_of_process(e) {
            return Outcome::Later(e.to_string());
        }
        Outcome::Refused(self.refused(member, e, failed))
    }

    fn refused(&mut self, member: DriveId, e: &io::Error, failed: Failed) -> String {
        if is_full(e) {
            self.full.insert(member);
            return "the drive is full".to_owned();
        }
        self.refusing.insert(member);
        let set = &self.inner.set;
        let state = match state_after(e) {
            Some(DriveState::Lost) => {
                let went = is_given_up(e) || set.drive(member).is_ok_and(|d| d.probe().is_err());
                went.then_some(DriveState::Lost)
            }
            Some(_) if failed == Failed::Sync && is_spare(self.inner, member) => {
                Some(DriveState::Fenced)
            }
            _ => None,
        };
        match state {
            Some(state) if set.take_out(member, state, &format!("healing: {e}")) => {
                format!("the drive is out: {e}")
            }
            _ => e.to_string(),
        }
    }
}

/// What becomes of what is in a file that could not be opened.
pub(super) fn not_opened(e: &io::Error) -> Outcome {
    match is_of_process(e) {
        true => Outcome::Later(e.to_string()),
        false => Outcome::Refused("the drive refuses the file".to_owned()),
    }
}

/// Whether every segment, and the next one, has enough without `drive`.
fn is_spare(inner: &Inner, drive: DriveId) -> bool {
    let k = usize::from(inner.set.geometry.k);
    let others = |id: &DriveId| *id != drive && inner.set.is_live(*id);
    if inner.set.live().iter().filter(|id| others(id)).count() < k {
        return false;
    }
    inner.table.all().iter().all(|segment| match &segment.layout {
        Layout::Copies(copies) => copies.iter().any(|(id, _)| others(id)),
        Layout::Cells { geometry, members, .. } | Layout::Bulk { geometry, members } => {
            let has = |id: &&DriveId| others(id) && !inner.health.is_gap(segment.id, **id);
            members.iter().filter(has).count() >= usize::from(geometry.k)
        }
    })
}
