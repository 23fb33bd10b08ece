//! `coffer-sim`: campaigns of simulated power cuts, from the command line.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use coffer_sim::campaign::{Config, Outcome, Task};
use coffer_sim::campaigns::run_all;
use coffer_sim::plant::Plant;

const USAGE: &str = "\
usage: coffer-sim [--seeds N] [--from SEED] [--jobs N] [--steps N] [--every N] [--plant BUG]
                  [--until-failure yes] [--summary FILE]
       coffer-sim --replay SEED:BOUNDARY [--steps N]
       coffer-sim flips [--flips N] [--from SEED] [--each N]
       coffer-sim check-history FILE...

Runs the campaigns of N seeds (default 10) from SEED (default 0) on, as many at once as there are
cores, or --jobs. Each cuts the power of one simulated run at every operation of its drives (or
every Nth) and checks what is left. A replay tells what happens. With a planted bug
(`--plant all-syncs`, …) it must fail.";

struct Args {
    seeds: u64,
    from: u64,
    jobs: usize,
    steps: Option<usize>,
    every: u64,
    plant: Plant,
    until_failure: bool,
    summary: Option<String>,
    replay: Option<(u64, u64)>,
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Args> {
    let jobs = std::thread::available_parallelism().map_or(1, |n| n.get());
    let (plant, every) = (Plant::Nothing, 1);
    let (until_failure, summary, replay) = (false, None, None);
    let (seeds, from, steps) = (10, 0, None);
    let mut args = Args { seeds, from, jobs, steps, every, plant, until_failure, summary, replay };
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--seeds" => args.seeds = value.parse().ok()?,
            "--from" => args.from = value.parse().ok()?,
            "--jobs" => args.jobs = value.parse().ok().filter(|n| *n > 0)?,
            "--steps" => args.steps = Some(value.parse().ok()?),
            "--every" => args.every = value.parse().ok().filter(|n| *n > 0)?,
            "--plant" => args.plant = Plant::parse(&value)?,
            "--until-failure" => args.until_failure = value == "yes",
            "--summary" => args.summary = Some(value),
            "--replay" => {
                let (seed, boundary) = value.split_once(':')?;
                args.replay = Some((seed.parse().ok()?, boundary.parse().ok()?));
            }
            _ => return None,
        }
    }
    Some(args)
}

impl Args {
    fn task(&self, seed: u64, boundary: Option<u64>) -> Task {
        let mut config = Config { every: self.every, plant: self.plant, ..Config::of_seed(seed) };
        if let Some(steps) = self.steps {
            config.steps = steps;
        }
        Task { seed, config, boundary }
    }

    fn tasks(&self) -> Vec<Task> {
        match self.replay {
            Some((seed, boundary)) => {
                let mut task = self.task(seed, Some(boundary));
                task.config.narrate = true;
                vec![task]
            }
            None => {
                let seeds = self.from..self.from.saturating_add(self.seeds);
                seeds.map(|seed| self.task(seed, None)).collect()
            }
        }
    }
}

fn report(task: &Task, outcome: &Outcome) {
    println!(
        "seed {} ({}+{}): {} operations, {} states, {} cuts, {} undone, {} done, trace {:016x}",
        task.seed,
        task.config.scheme.k,
        task.config.scheme.m,
        outcome.boundaries,
        outcome.states,
        outcome.cuts,
        outcome.undone_and_done.0,
        outcome.undone_and_done.1,
        outcome.trace
    );
    for failure in &outcome.failures {
        println!("FAILED: {failure}");
        println!("  again: cargo xtask sim --replay {}:{}", failure.seed, failure.boundary);
    }
}

/// Flips bits (default 10,000), so many in the store of each seed, and reports.
fn run_flips(mut words: impl Iterator<Item = String>) -> ExitCode {
    let (mut wanted, mut seed, mut each) = (10_000, 0, 500);
    while let Some(word) = words.next() {
        let value = words.next().and_then(|value| value.parse::<u64>().ok());
        match (word.as_str(), value) {
            ("--flips", Some(n)) => wanted = n,
            ("--from", Some(n)) => seed = n,
            ("--each", Some(n)) if n > 0 => each = n,
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let (began, mut total) = (Instant::now(), coffer_sim::flips::Outcome::default());
    let mut failed = false;
    while total.flips < wanted {
        let outcome = coffer_sim::flips::run(seed, each.min(wanted - total.flips));
        println!(
            "seed {seed}: {} flips in {} batches, {} things healed, {} repairs cut, {} reads refused",
            outcome.flips, outcome.batches, outcome.healed, outcome.cuts, outcome.refused
        );
        for failure in &outcome.failures {
            failed = true;
            println!("FAILED: {failure}");
        }
        seed += 1;
        total.flips += outcome.flips.max(1);
        total.healed += outcome.healed;
        total.cuts += outcome.cuts;
        for (kind, count) in outcome.by_kind {
            *total.by_kind.entry(kind).or_default() += count;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{} flips {:?}, {} things healed, {} repairs cut, {seconds:.0} s: {}",
        total.flips,
        total.by_kind,
        total.healed,
        total.cuts,
        if failed { "FAILED" } else { "every file as before, no wrong byte" }
    );
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("check-history") {
        return coffer_sim::history::command::run(std::env::args().skip(2));
    }
    if std::env::args().nth(1).as_deref() == Some("flips") {
        return run_flips(std::env::args().skip(2));
    }
    let Some(args) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let began = Instant::now();
    let failed = AtomicBool::new(false);
    let tasks = args.tasks();
    let left = tasks.into_iter();
    let left = left.take_while(|_| !(args.until_failure && failed.load(Ordering::Relaxed)));
    let total = run_all(left, args.jobs, &mut |task, outcome| {
        report(task, outcome);
        failed.fetch_or(!outcome.failures.is_empty(), Ordering::Relaxed);
    });
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{} seeds, {} states, {} cuts, {} failures, {seconds:.0} s, {:.0} states/s",
        total.seeds,
        total.states,
        total.cuts,
        total.failures.len(),
        total.states as f64 / seconds.max(0.001)
    );
    if let Some(path) = &args.summary {
        let (from, to) = (args.from, args.from + total.seeds);
        let text = format!("{from} {to} {} {} {seconds:.0}\n", total.states, total.failures.len());
        if let Err(error) = std::fs::write(path, text) {
            eprintln!("can't write {path}: {error}");
            return ExitCode::from(2);
        }
    }
    if total.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
