//! `coffer config`: the effective settings, each with its origin.

use std::io::Write;
use std::process::ExitCode;

use crate::settings::{Settings, TABLE};

/// Prints a settings file that says what is in effect; secrets and unset keys as comments.
pub fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    for (setting, said) in TABLE.iter().zip(&settings.effective) {
        let (key, origin) = (setting.key, &said.origin);
        match (setting.secret, &said.values[..]) {
            (_, []) => writeln!(out, "# {key} is not set")?,
            (true, _) => writeln!(out, "# {key} is set and not shown  # {origin}")?,
            (false, values) => {
                writeln!(out, "{key} = {}  # {origin}", setting.in_toml(values))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
