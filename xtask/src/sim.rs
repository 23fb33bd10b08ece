//! The simulation: its campaigns, their ledger, and the bugs that they must find.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::ledger::{self, Entry};
use crate::{planted, shell};

/// Bugs of logic.
pub const PLANTED: &str = "crates/coffer-sim/planted";

/// What a planted bug must not survive: many runs, a few cuts of each.
const SMALL: &[&str] = &["--seeds", "40", "--every", "7", "--until-failure", "yes"];

/// `cargo xtask sim [--planted [NAME…]] [--ledger] [arguments of coffer-sim]`.
pub fn run(arguments: &[String]) -> Result<()> {
    if let Some((first, names)) = arguments.split_first()
        && first == "--planted"
    {
        return planted_all(names);
    }
    let with_ledger = arguments.iter().any(|argument| argument == "--ledger");
    let rest: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| *argument != "--ledger").collect();
    let mut sim = vec!["run", "--release", "--quiet", "--locked", "--package", "coffer-sim", "--"];
    sim.extend(rest);
    if !with_ledger {
        return shell::cargo(&sim);
    }
    let summary = shell::target().join("sim.summary");
    let path = summary.display().to_string();
    sim.extend(["--summary", &path]);
    let ran = shell::cargo(&sim);
    let text = fs::read_to_string(&summary).with_context(|| format!("can't read {path}"))?;
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [from, to, states, failures, seconds] = numbers[..] else {
        bail!("not a summary: {text:?}");
    };
    let result = if failures == 0.0 { "ok".to_owned() } else { format!("{failures} failures") };
    ledger::append(&Entry {
        campaign: "sim",
        range: &format!("{from}..{to}"),
        states: states as u64,
        hours: seconds / 3600.0,
        result: &result,
    })?;
    ran
}

/// Plants each bug (or those named) in a copy of the tree, which the campaign must notice.
fn planted_all(names: &[String]) -> Result<()> {
    let count = planted::run(PLANTED, names, &mut |_, tree| campaign_fails(tree))?;
    if count.failed == 0 { Ok(()) } else { bail!("{} not found", count.failed) }
}

/// The first failure of the small campaign in `tree`, if there is one.
fn campaign_fails(tree: &Path) -> Result<Option<String>> {
    let target = planted::target();
    let build = ["build", "--locked", "--quiet", "--package", "coffer-sim"];
    let mut build = shell::cargo_command(&build);
    let status = build.current_dir(tree).env("CARGO_TARGET_DIR", &target).status()?;
    if !status.success() {
        bail!("the tree with the bug does not build");
    }
    let output = Command::new(target.join("debug/coffer-sim"))
        .args(SMALL)
        .env("RUST_BACKTRACE", "0")
        .stderr(Stdio::null())
        .output()
        .context("can't run the campaign")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let first = text.lines().find_map(|line| line.strip_prefix("FAILED: "));
    match (output.status.success(), first) {
        (true, _) => Ok(None),
        (false, Some(first)) => Ok(Some(first.chars().take(200).collect())),
        (false, None) => bail!("the campaign ended with {} and says nothing", output.status),
    }
}
