//! What goes wrong with a drive in the middle of a run.

use coffer_base::drive::{Faults, SimWorld, Strike};
use coffer_base::rng::{Rng, SeededRng};

use crate::workload::{chance, pick};

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The drive is gone.
    Gone,
    /// One sync fails; those after it succeed.
    FailedSync,
    /// One write fails.
    FailedWrite,
    /// No write succeeds any more.
    Unwritable,
    /// No read succeeds any more.
    Unreadable,
    /// Nothing more fits.
    Full,
    /// Nothing is taken any more, not even in place of something.
    FullForOverwrites,
    /// Some writes land elsewhere.
    MisdirectedWrites,
    /// Some reads give another block.
    MisdirectedReads,
    /// Some reads give what was there before.
    StaleReads,
    /// Some bits are not what they were.
    Flips,
}

impl Trouble {
    /// Any of them; without `spare` drives, only those that lose nothing and say no lies.
    pub fn draw(rng: &SeededRng, spare: bool) -> Trouble {
        use Trouble::*;
        let honest = [FailedSync, FailedWrite, Full, Gone];
        let all = [
            Gone,
            FailedSync,
            FailedWrite,
            Unwritable,
            Unreadable,
            Full,
            FullForOverwrites,
            MisdirectedWrites,
            MisdirectedReads,
            StaleReads,
            Flips,
        ];
        *if spare { pick(rng, &all) } else { pick(rng, &honest) }
    }

    /// Whether the drive may lack something for good.
    pub fn harms(self) -> bool {
        self != Trouble::Full
    }
}

/// Lets `trouble` come over `drive` at one of the next operations.
pub fn strike(world: &SimWorld, drive: &str, trouble: Trouble, rng: &SeededRng) {
    let now = world.faults(drive);
    let (some, few) = (Some(1 + rng.below(4)), Some(2 + rng.below(12)));
    let faults = match trouble {
        Trouble::Gone => {
            let at = world.operations() + 1 + rng.below(30);
            return world.strike_at(at, drive, Strike::Remove);
        }
        Trouble::Flips => return flip(world, drive, rng),
        Trouble::FailedSync => Faults { fail_sync: some, ..now },
        Trouble::FailedWrite => Faults { fail_write: some, ..now },
        Trouble::Unwritable => Faults { fail_writes: true, ..now },
        Trouble::Unreadable => Faults { fail_reads: true, ..now },
        Trouble::Full => Faults { full: true, ..now },
        Trouble::FullForOverwrites => Faults { full: true, full_for_overwrites: true, ..now },
        Trouble::MisdirectedWrites => Faults { misdirect_writes: few, ..now },
        Trouble::MisdirectedReads => Faults { misdirect_reads: few, ..now },
        Trouble::StaleReads => Faults { stale_reads: few, ..now },
    };
    let at = world.operations() + 1 + rng.below(30);
    world.strike_at(at, drive, Strike::Faults(faults));
}

/// Flips one to eight bits of what the drive holds.
fn flip(world: &SimWorld, drive: &str, rng: &SeededRng) {
    let files = world.files(drive);
    if files.is_empty() {
        return;
    }
    for _ in 0..=rng.below(8) {
        let (name, len) = pick(rng, &files);
        if *len == 0 {
            continue;
        }
        // Headers as often as all the rest.
        let within = if chance(rng, 1, 2) { (*len).min(512) } else { *len };
        world.flip_bit(drive, name, rng.below(within), rng.below(8) as u8);
    }
}
