//! What goes wrong with a drive in the middle of a run.

use coffer_base::drive::{Faults, SimWorld, Strike};
use coffer_base::rng::{Rng, SeededRng};

use crate::workload::{chance, pick};

/// A kind of trouble.
pub struct Trouble {
    /// In words.
    pub name: &'static str,
    /// The drive may lack something for good.
    pub harms: bool,
    /// It loses nothing and tells no lies: it may come where no drive can be spared.
    is_honest: bool,
    /// It needs that time passes for others.
    stalls: bool,
    what: What,
}

enum What {
    /// Something happens at one of the next operations, by what is wrong already and two numbers: one to
    /// four, and two to thirteen.
    Strike(fn(Faults, u64, u64) -> Strike),
    /// Bits are not what they were.
    Flips,
}

const fn trouble(name: &'static str, strike: fn(Faults, u64, u64) -> Strike) -> Trouble {
    Trouble { name, harms: true, is_honest: false, stalls: false, what: What::Strike(strike) }
}

const fn honest(name: &'static str, strike: fn(Faults, u64, u64) -> Strike) -> Trouble {
    Trouble { is_honest: true, ..trouble(name, strike) }
}

/// All of them.
static TROUBLES: [Trouble; 13] = [
    honest("gone", |_, _, _| Strike::Remove),
    honest("one sync fails", |now, some, _| {
        Strike::Faults(Faults { fail_sync: Some(some), ..now })
    }),
    honest("one write fails", |now, some, _| {
        Strike::Faults(Faults { fail_write: Some(some), ..now })
    }),
    trouble("no write succeeds", |now, _, _| Strike::Faults(Faults { fail_writes: true, ..now })),
    trouble("no read succeeds", |now, _, _| Strike::Faults(Faults { fail_reads: true, ..now })),
    Trouble {
        harms: false,
        ..honest("full", |now, _, _| Strike::Faults(Faults { full: true, ..now }))
    },
    trouble("full, for overwrites too", |now, _, _| {
        Strike::Faults(Faults { full: true, full_for_overwrites: true, ..now })
    }),
    trouble("some writes land elsewhere", |now, _, few| {
        Strike::Faults(Faults { misdirect_writes: Some(few), ..now })
    }),
    trouble("some reads give another block", |now, _, few| {
        Strike::Faults(Faults { misdirect_reads: Some(few), ..now })
    }),
    trouble("some reads give what was there before", |now, _, few| {
        Strike::Faults(Faults { stale_reads: Some(few), ..now })
    }),
    Trouble { what: What::Flips, ..trouble("bits flip", |now, _, _| Strike::Faults(now)) },
    Trouble { stalls: true, ..trouble("a short stall", |_, some, few| Strike::Hang(some * few)) },
    Trouble { stalls: true, ..trouble("a hang", |_, _, few| Strike::Hang(1 << (3 * few))) },
];

impl Trouble {
    /// Any of them; without `spare` drives, only those that lose nothing and say no lies. Stalls only
    /// with `stalls`, and then more often than the others.
    pub fn draw(rng: &SeededRng, spare: bool, stalls: bool) -> &'static Trouble {
        let only_stalls = stalls && spare && rng.below(3) == 0;
        let may_come = |t: &&Trouble| {
            (spare || t.is_honest) && if only_stalls { t.stalls } else { stalls || !t.stalls }
        };
        let all: Vec<&Trouble> = TROUBLES.iter().filter(may_come).collect();
        all[rng.below(all.len() as u64) as usize]
    }

    /// Lets it come over `drive` at one of the next operations.
    pub fn strike(&self, world: &SimWorld, drive: &str, rng: &SeededRng) {
        let (some, few) = (1 + rng.below(4), 2 + rng.below(12));
        match self.what {
            What::Flips => flip(world, drive, rng),
            What::Strike(strike) => {
                let strike = strike(world.faults(drive), some, few);
                let at = world.operations() + 1 + rng.below(30);
                world.strike_at(at, drive, strike);
            }
        }
    }
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
