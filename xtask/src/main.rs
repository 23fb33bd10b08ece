//! The project's one toolbox: `cargo xtask COMMAND`. CI runs exactly what a person runs.
//!
//! It knows how to build, check, test and measure the workspace, and nothing of how a store works:
//! it starts the programs that do.
//!
//! | module | concept |
//! |---|---|
//! | [`shell`] | running a program |
//! | [`count`] | adding up what test runners counted |
//! | [`python`] | the Python environment of the end-to-end tests, and other people's programs |
//! | [`test`] | all tests |
//! | [`budget`] | instructions that the hot paths may take |
//! | [`tidy`] | rules that the compiler does not check |
//! | [`failpoints`] | the build that can kill itself at named points |
//! | [`schedules`] | the commit path's primitives under many schedules |
//! | [`bypass`] | the search for ways past authorisation, and those it must find |
//! | [`sim`] | the simulation's campaigns, and the bugs they must find |
//! | [`planted`] | bugs in a copy of the tree, for campaigns to find |
//! | [`ledger`] | long campaigns that ended |
//! | [`soak`] | the campaigns in full size |
//! | [`bench`] | the figures of `docs/benchmarks.md` |
//!
//! Invariants:
//! 1. What can't be installed, and is therefore not tested, is said by name, and fails a CI run.
//! 2. The last line of a test run is `N passed, N failed`.

use std::process::ExitCode;

use anyhow::{Result, bail};

mod bench;
mod budget;
mod bypass;
mod count;
mod failpoints;
mod ledger;
mod planted;
mod python;
mod schedules;
mod shell;
mod sim;
mod soak;
mod test;
mod tidy;

const USAGE: &str = "\
cargo xtask COMMAND

  test               builds, then runs the Rust tests and the end-to-end tests
  ci                 rustfmt, clippy, tidy, test: what CI runs
  tidy               rules that the compiler does not check
  budget [--record] [PATH…]
                     counts the instructions of a request of each hot path, and holds them to
                     crates/coffer-bench/budgets.txt, or records them there
  sim [--ledger] [ARGUMENTS]
                     runs the simulation in release mode, such as `sim --seeds 200`
  sim --planted [NAME…]
                     plants bugs in a copy of the tree, all if none is named: each must be found
  schedules [--planted [NAME…]]
                     the commit path under a few hundred schedules; or mistakes in a copy of the
                     tree, each of which must make its tests fail
  bypass [--planted [NAME…]]
                     every operation, asked by everybody who must not get in, with a release build;
                     or ways in planted in a copy of the tree, each of which must be found
  ledger CAMPAIGN RANGE STATES HOURS RESULT
                     adds a line to docs/reliability/ledger.csv
  soak [NAME…] [--scale F]
                     runs campaigns in full size (or F times that), all if none is named;
                     `soak --list` names them
  bench [NAME…] [ARGUMENTS]
                     makes the table of docs/benchmarks.md, or the measurements that are named,
                     and writes target/bench; `bench --help` names them
  bench tls|sizes [ARGUMENTS]
                     TLS beside nginx's; PUT and GET of several sizes beside SeaweedFS
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    std::env::set_current_dir(shell::repository())?;
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    if !rest.is_empty() && matches!(&*command, "test" | "ci" | "tidy") {
        bail!("{command} takes no arguments");
    }
    match &*command {
        "test" => test::run(),
        "ci" => ci(),
        "tidy" => tidy::run(),
        "sim" => sim::run(&rest),
        "schedules" => schedules::command(&rest),
        "bypass" => bypass::command(&rest),
        "ledger" => ledger::run(&rest),
        "soak" => soak::run(&rest),
        "bench" => bench::run(&rest),
        "budget" => budget::command(&rest),
        "" | "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("there is no command `{other}`\n\n{USAGE}"),
    }
}

fn ci() -> Result<()> {
    shell::cargo(&["fmt", "--all", "--check"])?;
    tidy::run()?;
    shell::cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])?;
    test::run()
}
