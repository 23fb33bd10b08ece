//! The simulation: its campaigns, their ledger, and the bugs that they must find.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::ledger::{self, Entry};
use crate::shell;

/// Patches that plant a bug each. The first line says which.
const PLANTED: &str = "crates/coffer-sim/planted";

/// What a planted bug must not survive: many runs, a few cuts of each.
const SMALL: &[&str] = &["--seeds", "40", "--every", "7", "--until-failure", "yes"];

/// `cargo xtask sim [--planted [NAME…]] [--ledger] [arguments of coffer-sim]`.
pub fn run(arguments: &[String]) -> Result<()> {
    if let Some((first, names)) = arguments.split_first()
        && first == "--planted"
    {
        return planted(names);
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
fn planted(names: &[String]) -> Result<()> {
    let patches = patches()?;
    let unknown = names.iter().find(|name| !patches.iter().any(|patch| name_of(patch) == **name));
    if let Some(name) = unknown {
        bail!("there is no {PLANTED}/{name}.patch");
    }
    let copy = shell::target().join("planted/tree");
    let mut missed = Vec::new();
    for patch in &patches {
        let name = name_of(patch);
        if !names.is_empty() && !names.contains(&name) {
            continue;
        }
        copy_tree(&copy)?;
        apply(patch, &copy)?;
        match campaign_fails(&copy)? {
            Some(how) => println!("{name}: found: {how}"),
            None => {
                println!("{name}: NOT FOUND");
                missed.push(name);
            }
        }
    }
    if missed.is_empty() { Ok(()) } else { bail!("not found: {}", missed.join(", ")) }
}

/// Brings the copy up to this tree, as it is committed or not. Files that are the same are not
/// touched, so that little is built again.
fn copy_tree(copy: &Path) -> Result<()> {
    let list = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "--"])
        .args(["Cargo.toml", "Cargo.lock", "crates", "xtask"])
        .current_dir(shell::repository())
        .output()
        .context("can't run git")?;
    if !list.status.success() {
        bail!("git ls-files ended with {}", list.status);
    }
    for name in String::from_utf8_lossy(&list.stdout).lines() {
        let (from, to) = (shell::repository().join(name), copy.join(name));
        let Ok(bytes) = fs::read(&from) else { continue };
        if fs::read(&to).is_ok_and(|old| old == bytes) {
            continue;
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&to, bytes).with_context(|| format!("can't write {}", to.display()))?;
    }
    Ok(())
}

fn apply(patch: &Path, to: &Path) -> Result<()> {
    let status = Command::new("patch")
        .args(["--strip=1", "--batch", "--forward", "--quiet", "--input"])
        .arg(patch)
        .current_dir(to)
        .status()
        .context("can't run patch")?;
    if status.success() { Ok(()) } else { bail!("{} does not apply", patch.display()) }
}

/// The first failure of the small campaign in `tree`, if there is one.
fn campaign_fails(tree: &Path) -> Result<Option<String>> {
    let target = shell::target().join("planted/target");
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

fn name_of(patch: &Path) -> String {
    patch.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn patches() -> Result<Vec<PathBuf>> {
    let folder = shell::repository().join(PLANTED);
    let context = || format!("can't list {}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        if path.extension().is_some_and(|extension| extension == "patch") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_planted_bug_still_applies_and_says_what_it_is() {
        let patches = patches().unwrap();
        assert!(patches.len() >= 10, "only {}", patches.len());
        for patch in patches {
            let text = fs::read_to_string(&patch).unwrap();
            let first = text.lines().next().unwrap_or_default();
            assert!(first.len() > 20 && !first.starts_with("---"), "{}", patch.display());
            let status = Command::new("patch")
                .args(["--strip=1", "--batch", "--forward", "--quiet", "--dry-run", "--input"])
                .arg(&patch)
                .current_dir(shell::repository())
                .status()
                .unwrap();
            assert!(status.success(), "{} does not apply", patch.display());
        }
    }
}
