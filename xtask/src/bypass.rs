//! The bypass search in full, and the ways past authorisation that it must find.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::count::Count;
use crate::{planted, python, shell, test};

/// Ways in that nobody should have, a patch each.
pub const PLANTED: &str = "tests/planted-bypasses";

/// What the search says of a row that lets in whom it should not. After it come the operation and
/// the caller.
const LET_IN: &str = "LET IN: ";

/// Lines of a patch that begin so name a row that must be found: an operation (or `tricks`), a comma,
/// the beginning of a caller.
const LETS_IN: &str = "lets in: ";

/// `cargo xtask bypass [--planted [NAME…]]`.
pub fn command(arguments: &[String]) -> Result<()> {
    let prepared = python::prepare(&[test::REQUIREMENTS]);
    let python = prepared.python.as_deref().context("the search needs Python")?;
    match arguments.split_first() {
        None => {
            shell::cargo(&["build", "--release", "--locked", "--package", "coffer"])?;
            shell::run(&mut search(python, &shell::target().join("release/coffer")))
        }
        Some((first, names)) if first == "--planted" => {
            let count = planted_all(python, names)?;
            println!("{count}");
            if count.failed == 0 { Ok(()) } else { bail!("{} not found", count.failed) }
        }
        Some((first, _)) => bail!("bypass does not know `{first}`"),
    }
}

/// Plants each bypass (or those named) in a copy of the tree; the search must find the rows that
/// its patch names.
pub fn planted_all(python: &Path, names: &[String]) -> Result<Count> {
    planted::run(PLANTED, names, &mut |patch, tree| {
        let text = fs::read_to_string(patch)?;
        let wanted = wanted(&text);
        let found = found(python, tree, &wanted)?;
        let missed = wanted.iter().find(|row| !found.iter().any(|line| line.starts_with(*row)));
        match missed {
            None => Ok(Some(wanted.join("; "))),
            Some(row) => {
                println!("not let in: {row}");
                Ok(None)
            }
        }
    })
}

/// The rows that a patch names.
fn wanted(patch: &str) -> Vec<&str> {
    patch.lines().filter_map(|line| line.strip_prefix(LETS_IN)).collect()
}

/// The rows of the wanted rows' operations by which the server in `tree` lets somebody in.
fn found(python: &Path, tree: &Path, wanted: &[&str]) -> Result<Vec<String>> {
    let target = planted::target();
    let build = ["build", "--locked", "--quiet", "--package", "coffer"];
    let mut build = shell::cargo_command(&build);
    let status = build.current_dir(tree).env("CARGO_TARGET_DIR", &target).status()?;
    if !status.success() {
        bail!("the tree with the bypass does not build");
    }
    let output = search(python, &target.join("debug/coffer"))
        .args(wanted.iter().filter_map(|row| row.split(", ").next()))
        .stderr(Stdio::inherit())
        .output()
        .context("can't run the search")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !text.lines().any(|line| line.starts_with("bypass search in ")) {
        bail!("the search did not come to its end: {}", output.status);
    }
    Ok(text.lines().filter_map(|line| line.strip_prefix(LET_IN)).map(str::to_owned).collect())
}

/// The search of a server: all of it, unless operations are added.
fn search(python: &Path, binary: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "bypass"]).current_dir(shell::repository().join("tests/e2e"));
    command.env("COFFER_BIN", binary).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bypass_names_rows_of_operations() {
        for entry in fs::read_dir(shell::repository().join(PLANTED)).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let wanted = wanted(&text);
            assert!(!wanted.is_empty(), "{}", path.display());
            for row in wanted {
                let (operation, caller) = row.split_once(", ").unwrap();
                let known = operation == "tricks" || operation.contains(':');
                assert!(known && !caller.is_empty(), "{}", path.display());
            }
        }
    }
}
