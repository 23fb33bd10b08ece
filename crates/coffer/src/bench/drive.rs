//! `coffer bench drive`: how fast a directory's drive makes small writes durable, and streams.
//!
//! A durable 4 KiB write is measured as a log does it: writers hand their 4 KiB to one committer,
//! which writes what has gathered to a preallocated, zero-written file and makes it durable with
//! one barrier. So it is the bound of what a log can reach on this drive.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::figures::{Latency, columns, grouped, row};
use super::options::{parse_bytes, parse_duration};

mod commit;
mod file;
mod stream;

/// The flags of `coffer bench drive`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Directory on the drive; the files made there are removed at the end.
    pub dir: PathBuf,
    /// How long each way of committing runs.
    #[arg(long, short = 'd', default_value = "2s", value_parser = parse_duration)]
    pub duration: Duration,
    /// Writers at the same time; may be repeated.
    #[arg(long, short = 'c', default_values_t = [1, 16, 64])]
    pub concurrency: Vec<usize>,
    /// How much to stream.
    #[arg(long, default_value = "1GiB", value_parser = parse_bytes)]
    pub stream: u64,
    /// Writes the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Durable 4 KiB writes, done one way by so many writers.
#[derive(Clone, Debug, Serialize)]
struct CommitFigures {
    way: &'static str,
    writers: usize,
    writes: u64,
    per_second: f64,
    barriers: u64,
    latency_us: Latency,
}

/// A large file, written or read one way.
#[derive(Clone, Debug, Serialize)]
struct StreamFigures {
    way: &'static str,
    bytes: u64,
    mb_per_second: f64,
    cpu_seconds_per_gb: f64,
}

#[derive(Clone, Debug, Serialize)]
struct DriveFigures {
    dir: PathBuf,
    commits: Vec<CommitFigures>,
    streams: Vec<StreamFigures>,
    /// Ways that this file system refuses, and its words.
    refused: Vec<(&'static str, String)>,
}

/// Measures the drive of `options.dir`.
pub fn run(options: Options) -> Result<()> {
    if !options.dir.is_dir() {
        bail!("{} is no directory", options.dir.display());
    }
    if options.concurrency.contains(&0) {
        bail!("--concurrency is at least 1");
    }
    let mut figures = DriveFigures {
        dir: options.dir.clone(),
        commits: Vec::new(),
        streams: Vec::new(),
        refused: Vec::new(),
    };
    for way in commit::Way::ALL {
        for &writers in &options.concurrency {
            eprintln!("{}: {writers} writers…", way.name());
            match commit::measure(&options.dir, way, writers, options.duration) {
                Ok(measured) => figures.commits.push(measured),
                Err(refusal) if is_refusal(&refusal) => {
                    figures.refused.push((way.name(), refusal.to_string()));
                    break;
                }
                Err(error) => return Err(error).with_context(|| way.name()),
            }
        }
    }
    for way in stream::Way::ALL {
        eprintln!("{}…", way.name());
        match stream::measure(&options.dir, way, options.stream) {
            Ok(measured) => figures.streams.push(measured),
            Err(refusal) if is_refusal(&refusal) => {
                figures.refused.push((way.name(), refusal.to_string()));
            }
            Err(error) => return Err(error).with_context(|| way.name()),
        }
    }
    print!("{}", table(&figures));
    if let Some(path) = &options.json {
        let mut json = serde_json::to_vec_pretty(&figures)?;
        json.push(b'\n');
        std::fs::write(path, json).with_context(|| format!("can't write {}", path.display()))?;
    }
    Ok(())
}

/// Whether a file system said that it does not know this way (no direct I/O, no preallocation).
fn is_refusal(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::InvalidInput | std::io::ErrorKind::Unsupported)
}

fn table(figures: &DriveFigures) -> String {
    let mut rows = vec![row(["durable 4 KiB writes", "writers", "per s", "per barrier"])];
    rows[0].extend(["p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms"].map(str::to_owned));
    for commit in &figures.commits {
        let mut cells = vec![
            commit.way.to_owned(),
            commit.writers.to_string(),
            grouped(commit.per_second.round() as u64),
            format!("{:.1}", commit.writes as f64 / commit.barriers.max(1) as f64),
        ];
        cells.extend(commit.latency_us.cells());
        rows.push(cells);
    }
    let mut out = columns(&rows);
    let fastest = |writers: usize| {
        figures
            .commits
            .iter()
            .filter(|commit| commit.writers == writers)
            .max_by(|a, b| a.per_second.total_cmp(&b.per_second))
    };
    let mut writers: Vec<usize> = figures.commits.iter().map(|commit| commit.writers).collect();
    writers.dedup();
    writers.sort_unstable();
    writers.dedup();
    for best in writers.into_iter().filter_map(fastest) {
        let rate = grouped(best.per_second.round() as u64);
        out.push_str(&format!("fastest at {}: {}, {rate}/s\n", best.writers, best.way));
    }
    out.push('\n');
    let mut rows = vec![row(["streaming", "MB/s", "CPU s/GB"])];
    for stream in &figures.streams {
        rows.push(vec![
            stream.way.to_owned(),
            grouped(stream.mb_per_second.round() as u64),
            format!("{:.2}", stream.cpu_seconds_per_gb),
        ]);
    }
    out.push_str(&columns(&rows));
    for (way, words) in &figures.refused {
        out.push_str(&format!("not possible here: {way}: {words}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_run_measures_every_way_and_leaves_nothing() {
        let dir = std::env::temp_dir().join(format!("coffer-bench-drive-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let json = dir.with_extension("json");
        run(Options {
            dir: dir.clone(),
            duration: Duration::from_millis(30),
            concurrency: vec![1, 3],
            stream: 8 << 20,
            json: Some(json.clone()),
        })
        .unwrap();
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        let figures: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        let commits = figures["commits"].as_array().unwrap();
        assert!(commits.iter().any(|c| c["way"] == "buffered, fdatasync" && c["writers"] == 3));
        assert!(commits.iter().all(|c| c["writes"].as_u64() >= c["barriers"].as_u64()));
        std::fs::remove_dir(&dir).unwrap();
        std::fs::remove_file(&json).unwrap();
    }
}
