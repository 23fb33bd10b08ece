//! The commit path's own primitives under many schedules: tests with locks and threads that a
//! scheduler drives instead of the system (`coffer_base::sync`).

use anyhow::Result;

use crate::count::{self, Count};
use crate::shell;

/// Of each of the two kinds in a CI run, for each test.
pub const FEW: u64 = 100;

/// … and in the campaign.
pub const MANY: u64 = 10_000;

/// Runs every test under `schedules` of each kind; with `told`, says how many each explored.
pub fn run(schedules: u64, told: bool) -> Result<Count> {
    let mut arguments = vec!["test", "--locked", "--no-fail-fast", "--lib"];
    arguments.extend(["-p", "coffer-base", "-p", "coffer-log", "-p", "coffer-catalog"]);
    arguments.extend(["--features", "coffer-log/shuttle,coffer-catalog/shuttle", "schedules::"]);
    if told {
        arguments.extend(["--", "--show-output"]);
    }
    let mut command = shell::cargo_command(&arguments);
    command.env("COFFER_SCHEDULES", schedules.to_string()).env("RUST_BACKTRACE", "0");
    count::run(&mut command, count::cargo_line)
}
