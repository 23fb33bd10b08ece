//! `coffer status`: what a running server says of itself, over its admin socket.

use std::io::Write;
use std::process::ExitCode;

use crate::admin::client;
use crate::fault::Fault;
use crate::settings::Settings;
use crate::store;

mod report;
mod table;

pub use report::{
    Drive as DriveReport, Index, Report, Segments as SegmentsReport, Tls as TlsReport, Usage,
};
pub use table::bytes;

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Prints the status of the server on the data directories.
pub fn run(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    // The server first: it has an answer also when its directories are in a bad state.
    let Some(mut server) = client::connect(&settings.data)? else {
        let looked = store::look(settings)?;
        let dirs = settings.dirs();
        let what = match looked.holds_a_store() {
            true => format!("no server is running on {dirs}"),
            false => format!("there is no store in {dirs}"),
        };
        return Err(Fault::Data(what).into());
    };
    let reply = server.ask(&client::Request::Status)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{reply}")?;
    } else {
        let report: Report = serde_json::from_value(reply)?;
        write!(out, "{}", table::render(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}
