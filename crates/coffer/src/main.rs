//! The `coffer` program: a store, its administration and its measuring tools. All wiring of the
//! crates is here; everything else is a crate below.
//!
//! | module | concept |
//! |---|---|
//! | `cli` | the commands, what they print on failure, exit codes |
//! | `settings` | every setting: flag, environment variable, key of a file, default |
//! | `store` | from data directories to an open store, touching nothing when it can't be |
//! | `roaming` | the index on whichever drive is there |
//! | `credentials` | root's access key and secret |
//! | `serve`, `banner`, `logging` | a running server and what it says |
//! | `faces`, `fetch` | who answers on the one port; what identity providers publish |
//! | `tls` | which certificate is shown, and what keeps it fresh |
//! | `admin` | the admin port and the admin socket |
//! | `status`, `user`, `fsck`, `index`, `config` | a subcommand each |
//! | `scrub` | passes over the drives, in a server and by themselves |
//! | `bench` | the load generator |
//!
//! Invariants:
//! 1. A start that fails leaves every directory as it was.
//! 2. Failures are one line on stderr, `coffer: …`, with an exit code of `fault::Fault`.
//! 3. A secret is printed once, when it is made, and never logged.

mod account;
mod admin;
mod banner;
mod bench;
mod cli;
mod config;
mod credentials;
mod faces;
#[cfg(feature = "failpoints")]
mod failpoints;
mod fault;
mod fetch;
mod fsck;
mod iam;
mod index;
mod logging;
mod private_file;
mod roaming;
mod scrub;
mod secret_key;
mod serve;
mod settings;
mod status;
mod store;
mod tls;
mod user;

fn main() -> std::process::ExitCode {
    cli::main()
}
