//! The figures of `docs/benchmarks.md`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{python, shell};

/// What is measured beside: the newest that was measured.
const GARAGE_VERSION: &str = "2.5.0";
/// Without them Garage needs programs of its own to build.
const GARAGE_FEATURES: &str = "bundled-libs,lmdb,sqlite";

/// Builds in release mode and measures: TLS beside nginx's (`tls`), PUT and GET of several sizes
/// beside SeaweedFS (`sizes`), or what else tests/bench/run.py knows.
pub fn run(arguments: &[String]) -> Result<()> {
    let (script, arguments) = match arguments {
        [first, rest @ ..] if first == "tls" => ("tests/bench/tls.py", rest),
        [first, rest @ ..] if first == "sizes" => ("tests/bench/compare.py", rest),
        all => ("tests/bench/run.py", all),
    };
    let for_help = arguments.iter().any(|argument| matches!(&**argument, "-h" | "--help"));
    let folder = shell::target().join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let prepared = python::prepare(&[crate::test::REQUIREMENTS, "tests/bench/requirements.txt"]);
    let python = prepared.python.context("measuring needs Python")?;
    let mut command = Command::new(python);
    if !for_help {
        for package in ["coffer", "coffer-bench", "coffer-faultfs"] {
            // One by one: together they would share features, and Coffer be another program.
            shell::cargo(&["build", "--release", "--locked", "--package", package])?;
        }
        if script == "tests/bench/run.py" {
            python::need("nginx-light")?;
            if let Some(garage) = garage(arguments)? {
                command.env("GARAGE_BIN", garage);
            }
        }
    }
    let release = shell::target().join("release");
    command.arg(script).arg("--out").arg(&folder).args(arguments);
    command.env("COFFER_BIN", release.join("coffer"));
    command.env("COFFER_FAULTFS_BIN", release.join("coffer-faultfs"));
    command.env("NULL_SERVER_BIN", release.join("null-server"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    shell::run(&mut command)
}

/// Garage, built from crates.io if it is not yet (about 20 minutes of CPU time); none if these
/// arguments leave it out or name one.
fn garage(arguments: &[String]) -> Result<Option<PathBuf>> {
    const NEEDED_BY: [&str; 2] = ["peers", "large-puts"];
    let named: Vec<&str> = arguments
        .iter()
        .take_while(|argument| !argument.starts_with('-'))
        .map(String::as_str)
        .collect();
    let is_needed = named.is_empty() || named.iter().any(|name| NEEDED_BY.contains(name));
    let is_left_out = arguments.iter().any(|argument| argument.contains("garage"));
    if !is_needed || is_left_out {
        return Ok(None);
    }
    let root = shell::target().join("garage");
    let binary = root.join("bin/garage");
    if !binary.is_file() {
        let mut install = shell::cargo_command(&["install", "garage", "--locked"]);
        install.args(["--version", GARAGE_VERSION, "--no-default-features"]);
        install.args(["--features", GARAGE_FEATURES, "--root"]).arg(&root);
        install.env("CARGO_TARGET_DIR", root.join("build"));
        shell::run(&mut install)?;
    }
    Ok(Some(binary))
}
