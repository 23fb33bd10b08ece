//! `coffer-sim check-history FILE…`.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::ExitCode;
use std::time::Instant;

use super::collect::Collector;
use super::record::Record;
use super::{Report, check};

const USAGE: &str = "\
usage: coffer-sim check-history FILE...

Checks that the history in these files (JSON lines, see docs/design/history.md) is linearisable for
each key. The exit code is 0 if it is, 1 if not, 2 if it can't be read, 3 if it is undecided.";

/// Violations that are shown whole.
const SHOWN_MAX: usize = 5;

/// Reads all files as one history.
pub fn read(files: &[String]) -> Result<Collector, String> {
    let mut collector = Collector::default();
    for name in files {
        let file = File::open(name).map_err(|e| format!("{name}: {e}"))?;
        collector.begin_file(name);
        read_lines(&mut collector, BufReader::with_capacity(1 << 20, file))
            .map_err(|e| format!("{name}:{e}"))?;
    }
    Ok(collector)
}

/// Reads the lines of one file; empty ones say nothing.
pub fn read_lines(collector: &mut Collector, mut lines: impl BufRead) -> Result<(), String> {
    let mut line = String::new();
    for number in 1.. {
        line.clear();
        match lines.read_line(&mut line) {
            Ok(0) => break,
            Ok(_) if line.trim().is_empty() => {}
            Ok(_) => {
                let record = Record::parse(&line).map_err(|e| format!("{number}: {e}"))?;
                collector.add(number, &record);
            }
            Err(e) => return Err(format!("{number}: {e}")),
        }
    }
    Ok(())
}

/// Runs the command with these arguments.
pub fn run(files: impl Iterator<Item = String>) -> ExitCode {
    let files: Vec<String> = files.collect();
    if files.is_empty() || files.iter().any(|name| name.starts_with("--")) {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    let began = Instant::now();
    let collected = match read(&files) {
        Ok(collector) => collector.finish(),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let read_s = began.elapsed().as_secs_f64();
    let report = check(collected);
    let check_s = began.elapsed().as_secs_f64() - read_s;
    tell(&report, read_s, check_s)
}

fn tell(report: &Report, read_s: f64, check_s: f64) -> ExitCode {
    for violation in report.violations.iter().take(SHOWN_MAX) {
        println!("{violation}");
    }
    if report.violations.len() > SHOWN_MAX {
        println!("... and {} more", report.violations.len() - SHOWN_MAX);
    }
    for undecided in &report.undecided {
        println!("UNDECIDED: {undecided}");
    }
    println!(
        "{} requests ({} of unknown outcome) on {} keys: {} operations, at most {} at once on a \
         key and {} orders; read in {read_s:.1} s, checked in {check_s:.1} s",
        report.records,
        report.unknown,
        report.keys,
        report.operations,
        report.overlap_max,
        report.orders_max
    );
    if !report.violations.is_empty() {
        println!("not linearisable: {} violations", report.violations.len());
        return ExitCode::FAILURE;
    }
    if !report.undecided.is_empty() {
        println!("undecided: {} keys", report.undecided.len());
        return ExitCode::from(3);
    }
    println!("linearisable");
    ExitCode::SUCCESS
}
