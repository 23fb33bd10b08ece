//! Silent damage to a whole store: bits flip anywhere that means something, on up to `m` drives
//! at a time.
//!
//! After each batch of flips everything is read through every face and compared, then scrubbed:
//! every file must be as it was, byte for byte, and nothing lost. In between the store goes on
//! writing, restarts over its damage, loses power at every operation of a repair, and is damaged
//! beyond what parity covers, where an error is right and wrong bytes are not.
//!
//! What means something is what [`coffer_log::Log::covered`] says; a third of the flips are drawn
//! by kind of file first, since headers and superblocks are few bytes among many.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use coffer_base::SegmentId;
use coffer_base::drive::{Access, Drive, SimWorld, Survival};
use coffer_base::rng::{Rng, SeededRng};
use coffer_log::{Covered, ScrubReport};
use coffer_objects::named;

use crate::executor::block_on;
use crate::mend::{self, Pass};
use crate::model::Model;
use crate::observe::observe;
use crate::store::{Present, Scheme, Store};
use crate::workload::{chance, next_step};

/// What a campaign of flips did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Bits flipped, at most `m` drives' at a time.
    pub flips: u64,
    /// Batches of them.
    pub batches: u64,
    /// Things that scrubs found and healed.
    pub healed: u64,
    /// Flips that only a restart found, since recovery writes what they were in anew.
    pub overwritten: u64,
    /// Power cuts in the middle of repairs.
    pub cuts: u64,
    /// Reads that were refused after damage beyond `m` cells.
    pub refused: u64,
    /// Flips by kind of file.
    pub by_kind: BTreeMap<String, u64>,
    /// What was wrong.
    pub failures: Vec<String>,
}

/// Steps of a client before the first flip.
const STEPS: usize = 60;
/// Steps between batches, now and then.
const STEPS_BETWEEN: usize = 4;
/// Flips in a batch at most.
const BATCH_MAX: u64 = 12;

/// One flipped bit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flip {
    drive: String,
    file: String,
    byte: u64,
    bit: u8,
}

/// The bytes of all files, by drive and name.
type Files = BTreeMap<(String, String), Vec<u8>>;

struct Run {
    world: SimWorld,
    scheme: Scheme,
    seed: u64,
    rng: SeededRng,
    model: Model,
    outcome: Outcome,
    /// Starts so far: no two draw the same ids.
    starts: u64,
}

/// Flips at least `flips` bits in the store of `seed`.
pub fn run(seed: u64, flips: u64) -> Outcome {
    let schemes = [(4, 2), (2, 1), (1, 1), (2, 2)];
    let (k, m) = schemes[(seed % schemes.len() as u64) as usize];
    let mut run = Run {
        world: SimWorld::new(seed),
        scheme: Scheme { k, m },
        seed,
        rng: SeededRng::new(seed),
        model: Model::default(),
        outcome: Outcome::default(),
        starts: 0,
    };
    if let Err(what) = run.go(flips) {
        run.outcome.failures.push(format!("seed {seed} ({k}+{m}): {what}"));
    }
    run.outcome
}

impl Run {
    fn go(&mut self, flips: u64) -> Result<(), String> {
        let mut store = self.open(&self.world.clone())?;
        self.work(&store, STEPS)?;
        while self.outcome.flips < flips {
            match self.outcome.batches % 12 {
                5 => store = self.restart_over_damage(store)?,
                8 => self.cut_repairs(&store)?,
                11 => self.damage_beyond(&store)?,
                _ => self.batch(&store)?,
            }
            self.outcome.batches += 1;
            if chance(&self.rng, 1, 4) {
                self.work(&store, STEPS_BETWEEN)?;
            }
        }
        Ok(())
    }

    fn open(&mut self, world: &SimWorld) -> Result<Store, String> {
        self.starts += 1;
        let seed = self.seed.wrapping_mul(1_000_003).wrapping_add(self.starts);
        Store::open(world, self.scheme, Present::all(&self.scheme.drives()), None, seed)
            .map_err(|e| e.to_string())
    }

    fn work(&mut self, store: &Store, steps: usize) -> Result<(), String> {
        for _ in 0..steps {
            let step = next_step(&self.rng, &self.model, false, false);
            let id = step
                .run(store, &self.model)
                .map_err(|failed| format!("{}: {}", step.describe(), failed.error))?;
            step.apply(&mut self.model);
            self.model.name_upload(id);
        }
        Ok(())
    }

    fn check(&self, store: &Store) -> Result<(), String> {
        let seen = block_on(observe(store))?;
        self.model.difference(&seen).map_or(Ok(()), Err)
    }

    /// Up to `m` drives.
    fn some_drives(&self) -> Vec<String> {
        let mut drives = self.scheme.drives();
        let mut some = Vec::new();
        for _ in 0..=self.rng.below(u64::from(self.scheme.m)) {
            some.push(drives.swap_remove(self.rng.below(drives.len() as u64) as usize));
        }
        some
    }

    /// Different bits on `drives`, and never in both superblocks of one: then which of them was the
    /// newer is not known, and whether a start takes such a drive is another matter.
    fn draw(&self, store: &Store, drives: &[String]) -> BTreeSet<Flip> {
        let mut covered = store.objects.catalog().log().covered();
        covered.retain(|part| drives.contains(&part.drive));
        let kinds: BTreeSet<String> = covered.iter().map(kind).collect();
        let kinds: Vec<String> = kinds.into_iter().collect();
        let total: u64 = covered.iter().map(|part| part.range.end - part.range.start).sum();
        let mut flips = BTreeSet::new();
        for _ in 0..=self.rng.below(BATCH_MAX) {
            let (part, byte) = if chance(&self.rng, 1, 3) {
                let kind_of = &kinds[self.rng.below(kinds.len() as u64) as usize];
                let of_kind: Vec<&Covered> =
                    covered.iter().filter(|part| kind(part) == *kind_of).collect();
                let part = of_kind[self.rng.below(of_kind.len() as u64) as usize];
                (part, part.range.start + self.rng.below(part.range.end - part.range.start))
            } else {
                let mut at = self.rng.below(total);
                let part = covered.iter().find(|part| {
                    let len = part.range.end - part.range.start;
                    let here = at < len;
                    at -= if here { 0 } else { len };
                    here
                });
                let part = part.expect("it is below the total");
                (part, part.range.start + at)
            };
            let (drive, file) = (part.drive.clone(), part.file.clone());
            let other = match &file[..] {
                "super.a" => "super.b",
                "super.b" => "super.a",
                _ => "",
            };
            if flips.iter().any(|flip: &Flip| flip.drive == drive && flip.file == other) {
                continue;
            }
            flips.insert(Flip { drive, file, byte, bit: self.rng.below(8) as u8 });
        }
        flips
    }

    fn flip(&mut self, flips: &BTreeSet<Flip>) -> Result<(), String> {
        for flip in flips {
            if !self.world.flip_bit(&flip.drive, &flip.file, flip.byte, flip.bit) {
                return Err(format!("there is no such bit: {flip:?}"));
            }
            self.outcome.flips += 1;
            *self.outcome.by_kind.entry(kind_of_file(&flip.file)).or_default() += 1;
        }
        Ok(())
    }

    /// Flips, reads, scrubs, compares.
    fn batch(&mut self, store: &Store) -> Result<(), String> {
        let before = files(&self.world, self.scheme)?;
        let flips = self.draw(store, &self.some_drives());
        self.flip(&flips)?;
        let what = |what: String| format!("{what}; after {flips:?}");
        self.check(store).map_err(what)?;
        if chance(&self.rng, 1, 4) {
            store.objects.catalog().log().heal_queued();
        }
        let (report, findings) = scrub(store)?;
        all_healed(&report, &findings).map_err(what)?;
        self.outcome.healed += report.healed;
        same(&files(&self.world, self.scheme)?, &before).map_err(what)?;
        self.check(store).map_err(what)
    }

    /// The power goes with the damage in place. Recovery must find its way through it.
    fn restart_over_damage(&mut self, store: Store) -> Result<Store, String> {
        let flips = self.draw(&store, &self.some_drives());
        self.flip(&flips)?;
        drop(store);
        self.world.power_cut_with(Survival::All);
        let what = |what: String| format!("{what}; restarted over {flips:?}");
        let store = self.open(&self.world.clone()).map_err(what)?;
        self.check(&store).map_err(what)?;
        let (report, findings) = scrub(&store)?;
        all_healed(&report, &findings).map_err(what)?;
        self.outcome.healed += report.healed;
        self.outcome.overwritten += (flips.len() as u64).saturating_sub(report.healed);
        let (report, findings) = scrub(&store)?;
        if report.found > 0 {
            return Err(what(format!("a second scrub finds {findings:?}")));
        }
        self.check(&store).map_err(what)?;
        Ok(store)
    }

    /// The power goes at every operation of a scrub that heals.
    fn cut_repairs(&mut self, store: &Store) -> Result<(), String> {
        let flips = self.draw(store, &self.some_drives());
        self.flip(&flips)?;
        let forks: Arc<Mutex<Vec<SimWorld>>> = Arc::default();
        let kept = forks.clone();
        self.world.observe(Some(Box::new(move |_, world| {
            kept.lock().expect("no holder panics").push(world.fork());
        })));
        let scrubbed = scrub(store);
        self.world.observe(None);
        let (report, findings) = scrubbed?;
        let what = |what: String| format!("{what}; after {flips:?}");
        all_healed(&report, &findings).map_err(what)?;
        self.outcome.healed += report.healed;
        let forks = std::mem::take(&mut *forks.lock().expect("no holder panics"));
        for (operation, world) in forks.into_iter().enumerate() {
            let what = |what: String| format!("{what}; cut at {operation} after {flips:?}");
            world.reseed(self.seed ^ operation as u64);
            world.power_cut();
            let store = self.open(&world).map_err(what)?;
            self.check(&store).map_err(what)?;
            let (report, findings) = scrub(&store)?;
            all_healed(&report, &findings).map_err(what)?;
            let (report, findings) = scrub(&store)?;
            if report.found > 0 {
                return Err(what(format!("a second scrub finds {findings:?}")));
            }
            self.check(&store).map_err(what)?;
            self.outcome.cuts += 1;
        }
        self.check(store)
    }

    /// The same place on more drives than parity covers: an error, never wrong bytes. Flipped
    /// back, all is as before.
    fn damage_beyond(&mut self, store: &Store) -> Result<(), String> {
        let before = files(&self.world, self.scheme)?;
        let covered = store.objects.catalog().log().covered();
        let cells: Vec<&Covered> = covered.iter().filter(|p| p.file.ends_with(".cell")).collect();
        if cells.is_empty() {
            return Ok(());
        }
        let part = cells[self.rng.below(cells.len() as u64) as usize];
        let byte = part.range.start + self.rng.below(part.range.end - part.range.start);
        let alike = cells.iter().filter(|p| p.file == part.file && p.range == part.range);
        let flips: BTreeSet<Flip> = alike
            .take(usize::from(self.scheme.m) + 1)
            .map(|p| Flip { drive: p.drive.clone(), file: p.file.clone(), byte, bit: 3 })
            .collect();
        // Not counted: these need not be healed.
        let flip = |flip: &Flip| self.world.flip_bit(&flip.drive, &flip.file, flip.byte, flip.bit);
        if !flips.iter().all(flip) {
            return Err(format!("there are no such bits: {flips:?}"));
        }
        // What is read at all must be right; an error ends the reading.
        if let Ok(seen) = block_on(observe(store)) {
            if let Some(difference) = self.model.difference(&seen) {
                return Err(format!("wrong after {flips:?}: {difference}"));
            }
        } else {
            self.outcome.refused += 1;
        }
        let (report, _) = scrub(store)?;
        // A row without any header that nobody names is not there, for anybody.
        let named = named::bulk_rows(store.objects.catalog()).map_err(|e| e.to_string())?;
        let hex = part.file.strip_prefix("bulk-").and_then(|rest| rest.strip_suffix(".cell"));
        let segment = hex.and_then(|hex| u64::from_str_radix(hex, 16).ok()).map(SegmentId);
        let matters = segment.is_none_or(|segment| {
            part.range.start == 0 || named.contains(&(segment, part.range.start))
        });
        let told = report.lost + report.unfinished > 0 || report.healed == flips.len() as u64;
        if matters && !told {
            return Err(format!("{flips:?} were neither healed nor told: {report:?}"));
        }
        let now = files(&self.world, self.scheme)?;
        for flip in &flips {
            let place = (flip.drive.clone(), flip.file.clone());
            if now[&place] != before[&place]
                && !self.world.flip_bit(&flip.drive, &flip.file, flip.byte, flip.bit)
            {
                return Err(format!("there is no such bit: {flip:?}"));
            }
        }
        same(&files(&self.world, self.scheme)?, &before)
            .map_err(|what| format!("{what}; after {flips:?} and back"))?;
        let (report, findings) = scrub(store)?;
        if report.found > 0 {
            return Err(format!("flipped back, a scrub finds {findings:?}"));
        }
        self.check(store)
    }
}

fn kind(part: &Covered) -> String {
    let header =
        if part.range.start == 0 && !part.file.starts_with("super") { " header" } else { "" };
    kind_of_file(&part.file) + header
}

fn kind_of_file(file: &str) -> String {
    match file {
        name if name.starts_with("super") => "superblock",
        name if name.starts_with("bulk-") => "bulk rows",
        name if name.ends_with(".copy") => "open segment",
        _ => "sealed segment",
    }
    .to_owned()
}

fn all_healed(report: &ScrubReport, findings: &[String]) -> Result<(), String> {
    match report.healed == report.found && !report.stopped {
        true => Ok(()),
        false => Err(format!("not all healed: {report:?} {findings:?}")),
    }
}

fn scrub(store: &Store) -> Result<(ScrubReport, Vec<String>), String> {
    mend::scrub(store, Pass::Whole)
}

fn files(world: &SimWorld, scheme: Scheme) -> Result<Files, String> {
    let mut files = Files::new();
    for name in scheme.drives() {
        let drive = world.drive(&name);
        for file in drive.list().map_err(|e| e.to_string())? {
            let open = drive.open(&file, Access::Buffered).map_err(|e| e.to_string())?;
            let mut bytes = vec![0; open.len().map_err(|e| e.to_string())? as usize];
            open.read_at(&mut bytes, 0).map_err(|e| e.to_string())?;
            files.insert((name.clone(), file), bytes);
        }
    }
    Ok(files)
}

fn same(now: &Files, before: &Files) -> Result<(), String> {
    if !now.keys().eq(before.keys()) {
        return Err("there are other files than before".to_owned());
    }
    for ((place, now), before) in now.iter().zip(before.values()) {
        if now != before {
            let at = now.iter().zip(before).position(|(a, b)| a != b);
            return Err(format!("{place:?} differs from before at {at:?}"));
        }
    }
    Ok(())
}
