//! The commands, and how a failure is told.

use std::process::ExitCode;

use clap::{Args, Command, FromArgMatches};

use crate::fault::Fault;
use crate::settings::{self, Scope};
use crate::{account, bench, config, fsck, iam, index, scrub, serve, status, user};

fn command() -> Command {
    let store = |name: &'static str, about: &'static str| {
        settings::flags(Command::new(name).about(about), Scope::Store)
    };
    let coffer = Command::new("coffer");
    #[cfg(feature = "failpoints")]
    let coffer = coffer.subcommand(
        Command::new("failpoints").about("Names the points at which a test can kill this program"),
    );
    coffer
        .version(env!("CARGO_PKG_VERSION"))
        .about("A self-hosted object store that speaks S3")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(settings::flags(
            Command::new("serve").about("Serves a store over S3; makes it at the first start"),
            Scope::Serve,
        ))
        .subcommand(settings::flags(
            Command::new("config").about("Prints the effective settings and where each is from"),
            Scope::Serve,
        ))
        .subcommand(status::Args::augment_args(store(
            "status",
            "Shows drives, space, objects and the log of a running server",
        )))
        .subcommand(
            Command::new("user")
                .about("Adds, lists, disables and removes users, in a running server or offline")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommands(user::commands()),
        )
        .subcommand(
            Command::new("iam")
                .about("Explains decisions about permissions, in a running server or offline")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommands(iam::commands()),
        )
        .subcommand(
            Command::new("account")
                .about("Adds, lists and removes accounts, in a running server or offline")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommands(account::commands()),
        )
        .subcommand(fsck::Args::augment_args(store(
            "fsck",
            "Checks a stopped store: every record, cell, checksum and catalog entry",
        )))
        .subcommand(scrub::Args::augment_args(store(
            "scrub",
            "Reads all that the drives hold and heals silent damage, in a running server or offline",
        )))
        .subcommand(
            Command::new("index")
                .about("The index, which can always be made anew")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommand(store("rebuild", "Makes the index of a stopped store from the log")),
        )
        .subcommand(bench::Args::augment_args(
            Command::new("bench").about("Measures an S3 endpoint or a bare drive"),
        ))
}

/// Runs the command line. Failures are one line on stderr.
pub fn main() -> ExitCode {
    // What is made here holds secrets: nobody else may read it.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(e) => {
            // Also how clap says --help and --version. A closed stdout is nobody's concern here.
            let _ = e.print();
            return ExitCode::from(e.exit_code() as u8);
        }
    };
    match run(&matches) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("coffer: {}", one_line(&format!("{error:#}")));
            Fault::exit_code(&error)
        }
    }
}

fn run(matches: &clap::ArgMatches) -> anyhow::Result<ExitCode> {
    #[cfg(feature = "failpoints")]
    crate::failpoints::check()?;
    match matches.subcommand() {
        #[cfg(feature = "failpoints")]
        Some(("failpoints", _)) => crate::failpoints::list(),
        Some(("serve", m)) => serve::run(settings::from_matches(m)?),
        Some(("config", m)) => config::run(&settings::from_matches(m)?),
        Some(("status", m)) => {
            status::run(&settings::from_matches(m)?, &status::Args::from_arg_matches(m)?)
        }
        Some(("user", m)) => user::run(m),
        Some(("account", m)) => account::run(m),
        Some(("iam", m)) => iam::run(m),
        Some(("fsck", m)) => {
            fsck::run(&settings::from_matches(m)?, &fsck::Args::from_arg_matches(m)?)
        }
        Some(("scrub", m)) => {
            scrub::run(&settings::from_matches(m)?, &scrub::Args::from_arg_matches(m)?)
        }
        Some(("index", m)) => match m.subcommand() {
            Some(("rebuild", m)) => index::rebuild(&settings::from_matches(m)?),
            _ => unreachable!("clap refuses other commands"),
        },
        Some(("bench", m)) => {
            bench::run(bench::Args::from_arg_matches(m)?)?;
            Ok(ExitCode::SUCCESS)
        }
        _ => unreachable!("clap refuses other commands"),
    }
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
