//! Repairs in the middle of a run: scrubs, healing of what reads found, empty drives in the
//! places of others. The power may go at every operation of them.
//!
//! What is harmed is well again after a scrub that healed all it found, with every drive here and
//! taking part. There is one exception: where at most m drives were left to write to, what was
//! sealed then has less parity than m for good.

use std::collections::HashSet;

use coffer_base::SegmentId;
use coffer_base::rng::Rng;
use coffer_log::{Covered, DriveState, Finding, ScrubProgress, ScrubReport, ScrubVisitor};
use coffer_objects::named;

use crate::life::{Ended, Machine};
use crate::store::Store;
use crate::workload::{chance, pick};

struct Watch {
    findings: Vec<String>,
    named: HashSet<(SegmentId, u64)>,
}

impl ScrubVisitor for Watch {
    fn finding(&mut self, finding: &Finding) {
        self.findings.push(finding.to_string());
    }

    fn progress(&mut self, _: &ScrubProgress) -> bool {
        true
    }

    fn knows_names(&self) -> bool {
        true
    }

    fn is_named(&mut self, segment: SegmentId, offset: u64) -> bool {
        self.named.contains(&(segment, offset))
    }
}

/// What a scrub covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Everything.
    Whole,
    /// Only segments of which a live drive lacks its part.
    Gaps,
}

/// Scrubs once; what was found, in words.
pub fn scrub(store: &Store, pass: Pass) -> Result<(ScrubReport, Vec<String>), String> {
    let catalog = store.objects.catalog();
    let named = named::bulk_rows(catalog).map_err(|e| format!("names of rows: {e}"))?;
    let mut watch = Watch { findings: Vec::new(), named };
    let report = match pass {
        Pass::Whole => catalog.log().scrub(&mut watch),
        Pass::Gaps => catalog.log().rebuild(&mut watch),
    };
    Ok((report.map_err(|e| e.to_string())?, watch.findings))
}

impl Machine<'_> {
    /// A scrub, or the rebuild of what a drive lacks, at times with fresh damage.
    pub fn mend(&mut self, store: &Store) -> Result<Ended, String> {
        if chance(&self.rng, 1, 2)
            && let Some(drive) = self.may_be_harmed()
        {
            self.let_rot(store, &drive)?;
            if chance(&self.rng, 1, 2) {
                self.say("healing what reads found");
                store.objects.catalog().log().heal_queued();
            }
        }
        if !self.world.is_down() && store.objects.catalog().log().segments_with_gaps() > 0 {
            self.pass(store, Pass::Gaps)?;
        }
        if !self.world.is_down() {
            self.pass(store, Pass::Whole)?;
        }
        Ok(if self.world.is_down() { Ended::Cut } else { Ended::Done })
    }

    /// A drive that may lose something: one that has, or another while they are few enough.
    fn may_be_harmed(&self) -> Option<String> {
        let drive = pick(&self.rng, &self.drives);
        let mut harmed = self.known.harmed.clone();
        harmed.extend(self.drives.iter().filter(|drive| !self.world.is_here(drive)).cloned());
        harmed.insert(drive.clone());
        (harmed.len() <= self.spare()).then(|| drive.clone())
    }

    /// Flips bits of a drive where they mean something, and reads everything. Never in both
    /// superblocks: then a start may have to do without the drive.
    fn let_rot(&mut self, store: &Store, drive: &str) -> Result<(), String> {
        let mut parts: Vec<Covered> = store.objects.catalog().log().covered();
        parts.retain(|part| part.drive == drive && part.file != "super.b");
        if parts.is_empty() {
            return Ok(());
        }
        self.known.harmed.insert(drive.to_owned());
        (self.tell)(&self.known);
        for _ in 0..=self.rng.below(6) {
            let part = pick(&self.rng, &parts);
            let byte = part.range.start + self.rng.below(part.range.end - part.range.start);
            self.narrate(|| format!("a bit flips on {drive}: {} at {byte}", part.file));
            self.world.flip_bit(drive, &part.file, byte, self.rng.below(8) as u8);
        }
        self.say("reading what rotted");
        self.check(store)
    }

    fn pass(&mut self, store: &Store, pass: Pass) -> Result<(), String> {
        self.say(match pass {
            Pass::Whole => "a scrub",
            Pass::Gaps => "a rebuild",
        });
        let passed = scrub(store, pass);
        if self.world.is_down() {
            return Ok(());
        }
        let doing = self.known.doing.clone();
        let (report, findings) = match passed {
            Ok(passed) => passed,
            // Reading the names of rows may need a drive that does not answer.
            Err(what) if self.known.troubled => {
                self.narrate(|| format!("{doing} ends: {what}"));
                return Ok(());
            }
            Err(what) => return Err(format!("{doing} ends: {what}")),
        };
        self.narrate(|| format!("{doing}: {report:?} {findings:?}"));
        self.say(&format!("after {doing}"));
        if self.known.troubled {
            return Ok(());
        }
        if report.found > report.healed || report.stopped {
            return Err(format!("{doing} leaves damage: {report:?} {findings:?}"));
        }
        // The first after a power cut may find files that were being made then.
        if pass == Pass::Whole && chance(&self.rng, 1, 4) {
            let (again, findings) = scrub(store, pass)?;
            if again.found > 0 {
                return Err(format!("a second scrub finds {findings:?}"));
            }
        }
        if pass == Pass::Whole && !self.known.thin && self.all_take_part(store) {
            self.narrate(|| "no drive is harmed any more".to_owned());
            self.known.harmed.clear();
            (self.tell)(&self.known);
        }
        self.check(store)
    }

    fn all_take_part(&self, store: &Store) -> bool {
        let log = store.objects.catalog().log();
        let active = |status: &coffer_log::DriveStatus| status.state == DriveState::Active;
        self.here().len() == self.drives.len()
            && self.known.empty.is_empty()
            && log.segments_with_gaps() == 0
            && log.status().drives.iter().all(active)
            && self.drives.iter().all(|drive| self.world.in_limbo(drive) == 0)
    }

    /// While the store is stopped, an empty drive takes the place of one that may be lost.
    pub fn replace_one(&mut self) {
        if !self.known.empty.is_empty() || self.spare() == 0 {
            return;
        }
        self.restore_all();
        let Some(drive) = self.may_be_harmed() else { return };
        self.narrate(|| format!("{drive} is replaced by an empty drive"));
        self.world.replace_drive(&drive);
        // Its member's id stays, and the drive in its place may be trusted.
        if let Some(id) = self.known.ids.get(&drive) {
            self.known.fenced.remove(id);
        }
        self.world.set_faults(&drive, self.config.plant.faults());
        self.known.harmed.insert(drive.clone());
        self.known.empty.insert(drive);
        (self.tell)(&self.known);
    }
}
