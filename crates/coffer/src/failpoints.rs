//! Only in a build with failpoints, for tests: what they are, and sizes so small that a second of
//! load passes all of them. `coffer_base::failpoint` says how one is chosen.

use std::io::Write;
use std::process::ExitCode;

use coffer_base::failpoint;
use coffer_catalog::{CheckpointOptions, EngineOptions, OpenOptions};
use coffer_log::LogOptions;

use crate::fault::Fault;

/// `coffer failpoints`: each name and what has happened there, a line each.
pub fn list() -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    for (name, what) in failpoint::POINTS {
        writeln!(out, "{name}\t{what}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses to run with a variable that names no point: a test would wait for nothing.
pub fn check() -> Result<(), Fault> {
    failpoint::check().map_err(Fault::Usage)
}

/// Commit segments of a few groups, bulk files of a few rows.
pub fn log_options(options: LogOptions) -> LogOptions {
    LogOptions { commit_segment_bytes: 256 << 10, bulk_file_bytes: 4 << 20, ..options }
}

/// A checkpoint every few groups.
pub fn open_options(options: OpenOptions) -> OpenOptions {
    let checkpoints = CheckpointOptions {
        log_bytes_min: 256 << 10,
        log_bytes_per_checkpoint_byte: 0,
        range_bytes_target: 4 << 10,
    };
    OpenOptions { checkpoints, ..options }
}

/// A table of the index is full after a few dozen commits.
pub fn engine_options(options: EngineOptions) -> EngineOptions {
    EngineOptions { write_buffer_bytes: 32 << 10, ..options }
}
