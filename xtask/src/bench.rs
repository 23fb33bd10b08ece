//! The figures of `docs/benchmarks.md`, and TLS beside nginx's.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{python, shell};

/// Builds in release mode and measures beside SeaweedFS, or with `tls` first among the arguments
/// beside nginx.
pub fn run(arguments: &[String]) -> Result<()> {
    let (script, arguments) = match arguments {
        [first, rest @ ..] if first == "tls" => ("tests/bench/tls.py", rest),
        all => ("tests/bench/compare.py", all),
    };
    shell::cargo(&["build", "--release", "--locked", "--package", "coffer"])?;
    let prepared = python::prepare(&[crate::test::REQUIREMENTS, "tests/bench/requirements.txt"]);
    let python = prepared.python.context("measuring needs Python")?;
    let folder = shell::target().join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let mut command = Command::new(python);
    command.arg(script).arg("--out").arg(&folder).args(arguments);
    command.env("COFFER_BIN", shell::target().join("release/coffer"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    shell::run(&mut command)
}
