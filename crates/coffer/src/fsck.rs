//! `coffer fsck`: whether everything that a stopped store holds agrees.
//!
//! Three questions, in this order:
//! 1. Does every drive hold what it should: each group, record, payload and cell with its
//!    checksum, each parity with its data? The log answers.
//! 2. Is the index what the log says? An index made anew from the log beside it must have the
//!    same entries.
//! 3. Does every entry mean something that is there: objects, parts, blobs, owners, counters?
//!    The domain answers.
//!
//! Nothing is changed but the index, which is brought up to the end of the log as any start does.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use coffer_catalog::{EngineOptions, LsmEngine, OpenOptions, Snapshot, verify_checkpoint};
use coffer_objects::fsck::{FsckOptions, FsckReport, fsck_with};
use serde::Serialize;

use crate::roaming::home;
use crate::settings::Settings;
use crate::status::bytes;
use crate::store::{self, OpenLog, Purpose};

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON.
    #[arg(long)]
    json: bool,
    /// Leave out comparing each payload with its object: much faster. Drives are read all the same.
    #[arg(long)]
    skip_payloads: bool,
}

/// Findings told one by one before only their number is.
const FINDINGS_MAX: usize = 1000;

/// What was found.
#[derive(Default, Serialize)]
struct Outcome {
    findings: Vec<String>,
    findings_total: u64,
    store: String,
    position: u64,
    segments: u64,
    groups: u64,
    rows: u64,
    buckets: u64,
    objects: u64,
    versions: u64,
    blobs: u64,
    uploads: u64,
    parts: u64,
    payload_bytes: u64,
    notes: Vec<String>,
}

impl Outcome {
    fn found(&mut self, what: String) {
        self.findings_total += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(what);
        }
    }
}

/// Checks the store; exit code 1 if anything was found.
pub fn run(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    let looked = store::look(settings)?;
    let mut outcome = Outcome::default();
    let OpenLog { log, lane, recovery, held } =
        store::open_log(&looked, settings, Purpose::Inspect)?;
    outcome.store = recovery.store.to_string();
    outcome.position = recovery.end.position.0;
    outcome.notes = recovery.notes;

    let verified = log.verify(&mut |what| outcome.found(what));
    outcome.segments = verified.segments;
    outcome.groups = verified.groups;

    verify_checkpoint(&log, &mut |what| outcome.found(what));

    let index = home::of(&store::index_places(settings, &held)[0].dir);
    let catalog = store::open_catalog(&index, log.clone(), lane, OpenOptions::default())?;
    if let Some(why) = catalog.status()?.rebuilt {
        outcome.notes.push(format!("the index was made anew: {why}"));
    }
    {
        let beside = Beside(index.with_file_name("index.fsck"));
        beside.remove()?;
        std::fs::create_dir_all(&beside.0)?;
        let fresh = LsmEngine::open(&beside.0, EngineOptions::default())?;
        let options = FsckOptions {
            skip_payloads: args.skip_payloads,
            fresh: Some(Arc::new(fresh)),
            identities: Some(Arc::new(|rows: &Snapshot, key: &[u8], value: &[u8]| {
                coffer_identity::check_row(rows, key, value).map_err(|e| e.to_string())
            })),
        };
        let report = fsck_with(&catalog, options, &mut |found| outcome.found(found.to_string()))?;
        outcome.count(&report);
    }
    // The index may be synced and closed; the log was opened for looking and has nothing to end.
    drop(catalog);

    let clean = outcome.findings_total == 0;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&outcome)?)?;
    } else {
        outcome.print(&mut out)?;
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A directory that lasts as long as the check.
struct Beside(PathBuf);

impl Beside {
    fn remove(&self) -> std::io::Result<()> {
        match std::fs::remove_dir_all(&self.0) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            eprintln!("coffer: {} can't be removed: {error}", self.0.display());
        }
    }
}

impl Outcome {
    fn count(&mut self, report: &FsckReport) {
        self.rows = report.rows;
        self.buckets = report.buckets;
        self.objects = report.objects;
        self.versions = report.versions;
        self.blobs = report.blobs;
        self.uploads = report.uploads;
        self.parts = report.parts;
        self.payload_bytes = report.payload_bytes;
    }

    fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }
        for finding in &self.findings {
            writeln!(out, "FOUND: {finding}")?;
        }
        let untold = self.findings_total - self.findings.len() as u64;
        if untold > 0 {
            writeln!(out, "FOUND: {untold} more")?;
        }
        writeln!(
            out,
            "read {} segments, {} commit groups up to position {}, {} catalog rows, {} buckets, \
             {} objects, {} other versions, {} blobs, {} uploads, {} of payload: {}",
            self.segments,
            self.groups,
            self.position,
            self.rows,
            self.buckets,
            self.objects,
            self.versions,
            self.blobs,
            self.uploads,
            bytes(self.payload_bytes),
            match self.findings_total {
                0 => "clean".to_owned(),
                1 => "1 finding".to_owned(),
                n => format!("{n} findings"),
            }
        )
    }
}
