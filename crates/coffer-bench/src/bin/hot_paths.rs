//! Walks one of the hot paths a given number of times; `cargo xtask budget` counts what that costs.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use coffer_bench::path::Path;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hot-paths: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `--list`, or PATH SENT PREPARED.
fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--list"] => {
            for path in Path::ALL {
                println!("{} {}", path.name(), path.requests());
            }
            Ok(())
        }
        [name, sent, prepared] => {
            let path = Path::named(name).with_context(|| format!("there is no path {name}"))?;
            path.run(sent.parse()?, prepared.parse()?)
        }
        _ => bail!("usage: hot-paths --list | hot-paths PATH SENT PREPARED"),
    }
}
