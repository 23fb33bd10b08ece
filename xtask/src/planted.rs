//! Bugs that a campaign must notice: patches, each applied to a copy of the tree.
//!
//! A patch's first line says what is wrong. What must notice it, and how, is the campaign's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::count::Count;
use crate::shell;

/// Whether the bug of `patch` is noticed in the tree that has it, and by what.
pub type Notice<'a> = &'a mut dyn FnMut(&Path, &Path) -> Result<Option<String>>;

/// Plants each bug of `folder` (or those named). One that is not noticed counts as failed.
pub fn run(folder: &str, names: &[String], notice: Notice<'_>) -> Result<Count> {
    let patches = patches(folder)?;
    let unknown = names.iter().find(|name| !patches.iter().any(|patch| name_of(patch) == **name));
    if let Some(name) = unknown {
        bail!("there is no {folder}/{name}.patch");
    }
    let copy = shell::target().join("planted/tree");
    let mut count = Count::default();
    for patch in &patches {
        let name = name_of(patch);
        if !names.is_empty() && !names.contains(&name) {
            continue;
        }
        copy_tree(&copy)?;
        apply(patch, &copy)?;
        match notice(patch, &copy)? {
            Some(how) => {
                println!("{name}: found: {how}");
                count.passed += 1;
            }
            None => {
                println!("{name}: NOT FOUND");
                count.failed += 1;
            }
        }
    }
    Ok(count)
}

/// Where trees with bugs are built: never where the program is.
pub fn target() -> PathBuf {
    shell::target().join("planted/target")
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
    let status = git_apply(patch, to).status().context("can't run git")?;
    if status.success() { Ok(()) } else { bail!("{} does not apply", patch.display()) }
}

/// `git apply` in `to`, which git is not to take for a part of the repository it is in.
fn git_apply(patch: &Path, to: &Path) -> Command {
    let mut command = Command::new("git");
    command.args(["apply", "--recount", "-C1"]).arg(patch).current_dir(to);
    command.env("GIT_CEILING_DIRECTORIES", to.parent().unwrap_or(to));
    command
}

fn name_of(patch: &Path) -> String {
    patch.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn patches(folder: &str) -> Result<Vec<PathBuf>> {
    let folder = shell::repository().join(folder);
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
    use crate::{bypass, schedules, sim};

    #[test]
    fn every_planted_bug_still_applies_and_says_what_it_is() {
        for (folder, least) in [(sim::PLANTED, 10), (schedules::PLANTED, 6), (bypass::PLANTED, 6)] {
            let patches = patches(folder).unwrap();
            assert!(patches.len() >= least, "only {} in {folder}", patches.len());
            for patch in patches {
                let text = fs::read_to_string(&patch).unwrap();
                let first = text.lines().next().unwrap_or_default();
                assert!(first.len() > 18 && !first.starts_with("---"), "{}", patch.display());
                let status =
                    git_apply(&patch, shell::repository()).arg("--check").status().unwrap();
                assert!(status.success(), "{} does not apply", patch.display());
            }
        }
    }
}
