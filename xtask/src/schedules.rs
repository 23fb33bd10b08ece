//! The commit path's own primitives under many schedules: tests with locks and threads that a
//! scheduler drives instead of the system (`coffer_base::sync`); and the mistakes that they must
//! notice.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::count::{self, Count};
use crate::{planted, shell};

/// Of each of the two kinds in a CI run, for each test.
pub const FEW: u64 = 100;

/// … and in the campaign.
pub const MANY: u64 = 10_000;

/// What is enough to notice a mistake. A test ends with the first schedule that fails.
const ENOUGH: u64 = 1000;

/// Mistakes in locks and wake-ups. Lines that begin with [`FAILS`] name the tests that must fail.
pub const PLANTED: &str = "crates/coffer-sim/planted/schedules";

const FAILS: &str = "fails: ";

/// `cargo xtask schedules [--planted [NAME…]]`.
pub fn command(arguments: &[String]) -> Result<()> {
    let count = match arguments.split_first() {
        None => run(FEW, true)?,
        Some((first, names)) if first == "--planted" => planted_all(names)?,
        Some((first, _)) => bail!("schedules does not know `{first}`"),
    };
    println!("{count}");
    if count.failed == 0 { Ok(()) } else { bail!("{} failed", count.failed) }
}

/// Runs every test under `schedules` of each kind; with `told`, says how many each explored.
pub fn run(schedules: u64, told: bool) -> Result<Count> {
    let mut command = cargo_test(schedules);
    command.arg("schedules::");
    if told {
        command.args(["--", "--show-output"]);
    }
    count::run(&mut command, count::cargo_line)
}

/// Plants each mistake (or those named) in a copy of the tree: every test that it names must fail.
pub fn planted_all(names: &[String]) -> Result<Count> {
    planted::run(PLANTED, names, &mut |patch, tree| {
        let text = fs::read_to_string(patch)?;
        let wanted = wanted(&text);
        let failed = failing(&wanted, tree)?;
        match wanted.iter().find(|test| !failed.contains(test)) {
            None => Ok(Some(failed.join(", "))),
            Some(passed) => {
                println!("{passed} passes");
                Ok(None)
            }
        }
    })
}

/// The tests that a patch names.
fn wanted(patch: &str) -> Vec<&str> {
    patch.lines().filter_map(|line| line.strip_prefix(FAILS)).collect()
}

/// Those of `wanted` that fail in `tree`. All must have run.
fn failing<'a>(wanted: &[&'a str], tree: &Path) -> Result<Vec<&'a str>> {
    let output = cargo_test(ENOUGH)
        .args(["--", "--exact"])
        .args(wanted)
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", planted::target())
        .stderr(Stdio::null())
        .output()
        .context("can't run the tests")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let ended = |test: &str, how: &str| text.lines().any(|l| l == format!("test {test} ... {how}"));
    let mut failed = Vec::new();
    for test in wanted {
        if ended(test, "FAILED") {
            failed.push(*test);
        } else if !ended(test, "ok") {
            bail!("{test} did not run to its end: the tree with the mistake may not build");
        }
    }
    Ok(failed)
}

/// The tests, built, with the scheduler's locks and threads.
fn cargo_test(schedules: u64) -> Command {
    let mut arguments = vec!["test", "--locked", "--no-fail-fast", "--lib"];
    arguments.extend(["-p", "coffer-base", "-p", "coffer-log", "-p", "coffer-catalog"]);
    arguments.extend(["--features", "coffer-log/shuttle,coffer-catalog/shuttle"]);
    let mut command = shell::cargo_command(&arguments);
    command.env("COFFER_SCHEDULES", schedules.to_string()).env("RUST_BACKTRACE", "0");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name of a test is the path of its module, and the end of that a function's.
    #[test]
    fn each_mistake_names_tests_that_exist() {
        let sources = [
            ("drive::queue::schedules", "crates/coffer-base/src/drive/queue/schedules.rs"),
            ("copies::schedules", "crates/coffer-log/src/copies/schedules.rs"),
            ("schedules", "crates/coffer-catalog/src/schedules.rs"),
        ];
        for entry in fs::read_dir(shell::repository().join(PLANTED)).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            let wanted = wanted(&text);
            assert!(!wanted.is_empty(), "{text}");
            for test in wanted {
                let (module, function) = test.rsplit_once("::").unwrap();
                let (_, path) = sources.iter().find(|(known, _)| *known == module).unwrap();
                let source = fs::read_to_string(shell::repository().join(path)).unwrap();
                assert!(source.contains(&format!("#[test]\nfn {function}()")), "{test}");
            }
        }
    }
}
