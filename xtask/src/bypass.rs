//! The bypass search in full, and the ways past authorisation that it must find.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::count::Count;
use crate::{planted, python, shell, test};

/// Ways in that nobody should have, a patch each.
pub const PLANTED: &str = "tests/planted-bypasses";

/// Rows after which a search of a planted bypass may end.
const ENOUGH: &str = "3";

/// What the search says of a row that lets in whom it should not.
const LET_IN: &str = "LET IN: ";

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

/// Plants each bypass (or those named) in a copy of the tree, which the search must find.
pub fn planted_all(python: &Path, names: &[String]) -> Result<Count> {
    planted::run(PLANTED, names, &mut |_, tree| first_let_in(python, tree))
}

/// The first row in which the search of the server in `tree` lets somebody in.
fn first_let_in(python: &Path, tree: &Path) -> Result<Option<String>> {
    let target = planted::target();
    let build = ["build", "--locked", "--quiet", "--package", "coffer"];
    let mut build = shell::cargo_command(&build);
    let status = build.current_dir(tree).env("CARGO_TARGET_DIR", &target).status()?;
    if !status.success() {
        bail!("the tree with the bypass does not build");
    }
    let output = search(python, &target.join("debug/coffer"))
        .arg(ENOUGH)
        .stderr(Stdio::inherit())
        .output()
        .context("can't run the search")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let first = text.lines().find_map(|line| line.strip_prefix(LET_IN));
    match (output.status.success(), first) {
        (true, _) => Ok(None),
        (false, Some(first)) => Ok(Some(first.chars().take(200).collect())),
        (false, None) => bail!("the search ended with {} and let nobody in", output.status),
    }
}

/// The whole search of a server.
fn search(python: &Path, binary: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "bypass"]).current_dir(shell::repository().join("tests/e2e"));
    command.env("COFFER_BIN", binary).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}
