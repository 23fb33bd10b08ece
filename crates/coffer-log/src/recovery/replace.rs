//! Empty drives that take the places of drives that are gone.
//!
//! A member's id stays, and with it all that segments say of it; a count and a random number tell the drives that had
//! the place apart, so that the one before is refused when it comes back, whatever it holds: it
//! may have been fenced.
//!
//! | a crash | leaves |
//! |---|---|
//! | before the empty drive has a superblock | an empty drive, or one with a torn superblock: the same |
//! | after that ("joining") | a drive that says what for: the next start goes on with it |
//! | while the new epoch is recorded | an epoch that not all have and nobody was served in: as before |
//! | after that | a member like any other, that lacks everything it should hold |

use std::fmt::Write as _;
use std::sync::Arc;

use coffer_base::drive::Drive;

use super::plan::{Seat, Standing};
use crate::error::OpenError;
use crate::set::DriveState;
use crate::superblock::{Member, REPLACED_SHIFT, Superblock};

/// Empty drives at a start.
#[derive(Default)]
pub(super) struct Replacing {
    /// Those that have no place (yet).
    pub(super) empty: Vec<Arc<dyn Drive>>,
}

impl Replacing {
    /// Notes empty drives that were left alone although members are gone.
    pub(super) fn tell_left(
        &self,
        newest: &Superblock,
        seats: &[Option<Seat>],
        notes: &mut Vec<String>,
    ) {
        let gone = gone(newest, seats);
        for drive in &self.empty {
            notes.push(format!(
                "{} is empty and was left alone; {}: to fill it in that place, start with --replace",
                drive.label(),
                describe(&gone)
            ));
        }
    }
}

/// Members without a drive here, those that can't come back first.
fn gone<'a>(newest: &'a Superblock, seats: &[Option<Seat>]) -> Vec<(usize, &'a Member)> {
    let absent = newest.members.iter().enumerate().filter(|(i, _)| seats[*i].is_none());
    let mut gone: Vec<_> = absent.collect();
    gone.sort_by_key(|(_, member)| rank(member.state));
    gone
}

fn rank(state: DriveState) -> u8 {
    match state {
        DriveState::Fenced => 0,
        DriveState::Lost => 1,
        DriveState::Active => 2,
    }
}

fn describe(gone: &[(usize, &Member)]) -> String {
    let mut what = String::new();
    for (_, member) in gone {
        let and = if what.is_empty() { "" } else { ", " };
        let state = match member.state {
            DriveState::Active => "missing",
            other => other.name(),
        };
        let _ = write!(what, "{and}drive {} is {state}", member.id);
        if member.since.0 > 0 {
            let _ = write!(what, " since {}", member.since);
        }
    }
    what
}

/// Gives each empty drive the place of a member that is not here.
pub(super) fn fill(
    seats: &mut [Option<Seat>],
    newest: &Superblock,
    replacing: &mut Replacing,
    notes: &mut Vec<String>,
) -> Result<(), OpenError> {
    let gone = gone(newest, seats);
    let count = replacing.empty.len();
    let labels = || replacing.empty.iter().map(|d| d.label()).collect::<Vec<_>>().join(", ");
    if count > gone.len() {
        let gone = match gone.len() {
            0 => "no drive is missing".to_owned(),
            _ => format!("only {}", describe(&gone)),
        };
        return Err(OpenError::Foreign(format!(
            "{count} of the directories are empty ({}), and {gone}: leave the others out",
            labels()
        )));
    }
    // Among those of one kind the choice would be a guess at which may still come back.
    if count > 0
        && let Some((_, next)) = gone.get(count)
        && rank(next.state) == rank(gone[count - 1].1.state)
    {
        return Err(OpenError::Missing(format!(
            "{count} of the directories are empty ({}), and {}: which of them it is to replace is \
             not clear; bring drives back or replace all of them at once",
            labels(),
            describe(&gone)
        )));
    }
    for ((at, member), drive) in gone.iter().zip(replacing.empty.drain(..)) {
        notes.push(format!(
            "{} is empty and takes the place of drive {} ({}); it is filled from the others",
            drive.label(),
            member.id,
            match member.state {
                DriveState::Active => "missing".to_owned(),
                state if member.since.0 > 0 => format!("{} since {}", state.name(), member.since),
                state => state.name().to_owned(),
            }
        ));
        let standing = Standing::Empty {
            replaced: ((member.replaced >> REPLACED_SHIFT) + 1) << REPLACED_SHIFT,
        };
        seats[*at] = Some(Seat { drive, standing });
    }
    Ok(())
}

/// Says durably on an empty drive what it is for, before anything else is written to it.
pub(super) fn join(
    drive: &dyn Drive,
    newest: &Superblock,
    at: usize,
    replaced: u32,
) -> Result<(), OpenError> {
    let mut superblock =
        Superblock { joining: true, drive: newest.members[at].id, ..newest.clone() };
    superblock.members[at].replaced = replaced;
    superblock.checkpoint = None;
    superblock.complete = false;
    superblock.write(drive).map_err(|e| OpenError::io(&drive.label(), &e))
}
