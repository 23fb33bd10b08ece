//! All tests: Rust's, then the end-to-end ones against the built binary.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::count::{self, Count};
use crate::{budget, failpoints, python, schedules, shell};

/// Python packages that the end-to-end tests need.
pub const REQUIREMENTS: &str = "tests/e2e/requirements.txt";

/// Builds, tests, and prints the closing line.
pub fn run() -> Result<()> {
    let mortal = failpoints::build()?;
    // The whole workspace, so that dependencies are compiled once for building and testing.
    shell::cargo(&["build", "--workspace", "--locked"])?;
    let arguments = ["test", "--workspace", "--locked", "--no-fail-fast"];
    let mut total = count::run(&mut shell::cargo_command(&arguments), count::cargo_line)?;

    total.add(schedules::run(schedules::FEW, false)?);

    let prepared = python::prepare(&[REQUIREMENTS]);
    // Without valgrind it is said what is not tested.
    if shell::has("valgrind") {
        total.add(budget::run()?);
    }
    if let Some(python) = &prepared.python {
        let binary = shell::target().join("debug/coffer");
        let mut tests = pytest(python, &binary, "tests/e2e");
        tests.env("COFFER_FAILPOINTS_BIN", mortal);
        total.add(count::run(&mut tests, count::pytest_line)?);
    }
    close(total, &prepared.missing)
}

/// pytest on `what`, with `binary` under test.
pub fn pytest(python: &Path, binary: &Path, what: &str) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "pytest", "-q", "--durations=10", what]);
    command.env("COFFER_BIN", binary).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Says what was not tested, prints the closing line, and fails if the run failed.
pub fn close(total: Count, missing: &[String]) -> Result<()> {
    for line in missing {
        eprintln!("NOT TESTED: {line}");
    }
    println!("{total}");
    if total.failed > 0 {
        bail!("{} tests failed", total.failed);
    }
    if total.passed == 0 {
        bail!("no test ran");
    }
    if !missing.is_empty() && shell::is_ci() {
        bail!("a CI run tests everything, and {} programs are missing", missing.len());
    }
    Ok(())
}
