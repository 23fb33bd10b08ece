//! What a running server writes to stdout: text for a person on a terminal, JSON lines for a
//! machine.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::fault::Fault;
use crate::settings::{LogFormat, Settings};

/// Whether the output is for a person.
pub fn is_for_people(settings: &Settings) -> bool {
    match settings.log_format {
        LogFormat::Auto => std::io::stdout().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    }
}

/// Starts logging for the life of the process.
pub fn start(settings: &Settings) -> Result<(), Fault> {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(&settings.log_level)
        .map_err(|e| Fault::Usage(format!("log_level: {:?}: {e}", settings.log_level)))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stdout);
    if is_for_people(settings) {
        log.with_ansi(std::io::stdout().is_terminal()).with_target(false).compact().init();
    } else {
        log.json().flatten_event(true).init();
    }
    Ok(())
}
