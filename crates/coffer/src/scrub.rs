//! `coffer scrub`: reads everything that the drives hold, and heals what is wrong; in the running
//! server if there is one on the data directories, else by opening the store.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use coffer_log::{Finding, ScrubProgress};

use crate::admin::client::{self, Request, Server};
use crate::settings::Settings;
use crate::status::bytes;
use crate::store::{self, Purpose};

mod kept;
mod report;
mod running;
mod watch;

#[cfg(test)]
mod tests;

pub use kept::Keeper;
pub use report::{Pass, ScrubState};
pub use running::{Plan, Scrubbing};
use watch::{Control, Watch};

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How much it may read from all drives together, in MiB a second; 0 for all they give.
    #[arg(long, value_name = "MIB", default_value_t = 0)]
    pace: u64,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// How often the server is asked how far it is.
const ASK: Duration = Duration::from_millis(200);

/// Bytes a second of a pace in MiB.
pub fn pace_bytes(mib: u64) -> u64 {
    mib.saturating_mul(1 << 20)
}

/// Scrubs; exit code 1 if anything could not be healed or looked at, or it did not get to its end.
pub fn run(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    let mut line = ProgressLine::new(!args.json);
    let pass = match client::connect(&settings.data)? {
        Some(server) => in_server(server, args, &mut line)?,
        None => offline(settings, args, &mut line)?,
    };
    line.clear();
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&pass)?)?;
    } else {
        print(&mut out, &pass)?;
    }
    Ok(if is_well(&pass) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether everything on every drive is as it must be now.
fn is_well(pass: &Pass) -> bool {
    pass.refused == 0
        && pass.later == 0
        && pass.lost == 0
        && pass.drives_missed == 0
        && !pass.stopped
}

fn in_server(mut server: Server, args: &Args, line: &mut ProgressLine) -> anyhow::Result<Pass> {
    let number: u64 =
        serde_json::from_value(server.ask(&Request::Scrub { mib_per_sec: args.pace })?)?;
    loop {
        let state: ScrubState = serde_json::from_value(server.ask(&Request::ScrubState)?)?;
        if state.asked_ended >= number
            && let Some(pass) = state.asked
        {
            return Ok(pass);
        }
        if let (Some(pass), Some(total)) = (&state.pass, state.bytes_total) {
            line.show(pass.bytes, total, pass.found, Duration::from_millis(pass.took_ms));
        }
        std::thread::sleep(ASK);
    }
}

/// Opens the store as a start does, which seals what was open and records a new epoch.
fn offline(settings: &Settings, args: &Args, line: &mut ProgressLine) -> anyhow::Result<Pass> {
    let looked = store::look(settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let opened = store::open(&looked, settings, Purpose::Change, runtime.handle())?;
    let catalog = opened.objects.catalog().clone();
    let began = Instant::now();
    let mut findings = Vec::new();
    let control = Offline { pace: pace_bytes(args.pace), began, line, findings: &mut findings };
    let report = catalog.log().scrub(&mut Watch::new(&catalog, control));
    opened.close()?;
    Ok(Pass::new(&report?, began.elapsed(), findings))
}

struct Offline<'a> {
    pace: u64,
    began: Instant,
    line: &'a mut ProgressLine,
    findings: &'a mut Vec<String>,
}

impl Control for Offline<'_> {
    fn pace(&mut self, progress: &ScrubProgress) -> Option<u64> {
        let report = &progress.report;
        self.line.show(report.bytes, progress.bytes_total, report.found, self.began.elapsed());
        Some(self.pace)
    }

    fn finding(&mut self, finding: &Finding) {
        self.findings.push(finding.to_string());
    }
}

fn print(out: &mut impl Write, pass: &Pass) -> std::io::Result<()> {
    for finding in &pass.findings {
        writeln!(out, "{finding}")?;
    }
    let secs = (pass.took_ms as f64 / 1000.0).max(0.001);
    writeln!(
        out,
        "read {} of {} segments in {secs:.1} s ({}/s): {}",
        bytes(pass.bytes),
        pass.segments,
        bytes((pass.bytes as f64 / secs) as u64),
        match pass.found {
            0 if pass.drives_missed > 0 => "nothing found wrong".to_owned(),
            0 => "all as it must be".to_owned(),
            found => format!("{found} found wrong, {} healed", pass.healed),
        }
    )?;
    if pass.refused > 0 {
        writeln!(out, "{} not healed: their drives did not take it", pass.refused)?;
    }
    if pass.later > 0 {
        writeln!(out, "{} not healed yet: the next pass tries again", pass.later)?;
    }
    if pass.lost > 0 {
        writeln!(out, "{} LOST: more is wrong than parity gives back", pass.lost)?;
    }
    if pass.unfinished > 0 {
        writeln!(
            out,
            "{} rows of uploads that a power cut ended, and that no object needs",
            pass.unfinished
        )?;
    }
    if pass.drives_missed > 0 {
        writeln!(out, "{} drives are out and were not looked at", pass.drives_missed)?;
    }
    if pass.stopped {
        writeln!(out, "it did not get to its end")?;
    }
    Ok(())
}

/// One line on a terminal, written over and over.
struct ProgressLine {
    on: bool,
    shown: Option<Instant>,
}

impl ProgressLine {
    fn new(wanted: bool) -> ProgressLine {
        ProgressLine { on: wanted && std::io::stderr().is_terminal(), shown: None }
    }

    fn show(&mut self, read: u64, total: u64, found: u64, took: Duration) {
        if !self.on || self.shown.is_some_and(|at| at.elapsed() < ASK) {
            return;
        }
        self.shown = Some(Instant::now());
        let rate = read as f64 / took.as_secs_f64().max(0.001);
        let left = total.saturating_sub(read) as f64 / rate.max(1.0);
        eprint!(
            "\r\x1b[K{} of {}, {}/s, {left:.0} s left, {found} found",
            bytes(read.min(total)),
            bytes(total),
            bytes(rate as u64)
        );
    }

    fn clear(&mut self) {
        if self.shown.take().is_some() {
            eprint!("\r\x1b[K");
        }
    }
}
