//! `coffer-sim`: campaigns of simulated power cuts, from the command line.

use std::process::ExitCode;

use coffer_sim::campaign::{Config, Outcome, replay, run};

const USAGE: &str = "\
usage: coffer-sim [--seeds N] [--from SEED] [--steps N] [--every N]
       coffer-sim --replay SEED:BOUNDARY [--steps N]
       coffer-sim check-history FILE...

Runs the campaigns of N seeds (default 10) from SEED (default 0) on. Each cuts the power of one
simulated run at every operation of its drives (or every Nth) and checks what is left.";

struct Args {
    seeds: u64,
    from: u64,
    steps: Option<usize>,
    every: u64,
    replay: Option<(u64, u64)>,
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Args> {
    let mut args = Args { seeds: 10, from: 0, steps: None, every: 1, replay: None };
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--seeds" => args.seeds = value.parse().ok()?,
            "--from" => args.from = value.parse().ok()?,
            "--steps" => args.steps = Some(value.parse().ok()?),
            "--every" => args.every = value.parse().ok().filter(|n| *n > 0)?,
            "--replay" => {
                let (seed, boundary) = value.split_once(':')?;
                args.replay = Some((seed.parse().ok()?, boundary.parse().ok()?));
            }
            _ => return None,
        }
    }
    Some(args)
}

fn config_of(args: &Args, seed: u64) -> Config {
    let mut config = Config { every: args.every, ..Config::of_seed(seed) };
    if let Some(steps) = args.steps {
        config.steps = steps;
    }
    config
}

fn report(seed: u64, config: &Config, outcome: &Outcome) {
    println!(
        "seed {seed} ({}+{}): {} operations, {} cuts, {} undone, {} done, trace {:016x}",
        config.scheme.k,
        config.scheme.m,
        outcome.boundaries,
        outcome.cuts,
        outcome.undone_and_done.0,
        outcome.undone_and_done.1,
        outcome.trace
    );
    for failure in &outcome.failures {
        println!("FAILED: {failure}");
        println!("  again: coffer-sim --replay {}:{}", failure.seed, failure.boundary);
    }
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("check-history") {
        return coffer_sim::history::command::run(std::env::args().skip(2));
    }
    let Some(args) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let (mut cuts, mut failures) = (0, 0);
    if let Some((seed, boundary)) = args.replay {
        let config = config_of(&args, seed);
        let outcome = replay(seed, config, boundary);
        report(seed, &config, &outcome);
        failures += outcome.failures.len();
    } else {
        for seed in args.from..args.from.saturating_add(args.seeds) {
            let config = config_of(&args, seed);
            let outcome = run(seed, config);
            report(seed, &config, &outcome);
            cuts += outcome.cuts;
            failures += outcome.failures.len();
        }
        println!("{cuts} cuts, {failures} failures");
    }
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
