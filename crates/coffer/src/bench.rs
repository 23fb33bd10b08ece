//! `coffer bench`: a load generator for any S3 endpoint, and for a bare drive.
//!
//! Each worker keeps one HTTP connection and sends its next request when the last is answered.
//! The bytes of an object follow from its key, its size and the seed, so that every GET is
//! compared with what must come, and a wrong byte fails the run.
//!
//! | module | concept |
//! |---|---|
//! | [`options`] | the flags, sizes and times |
//! | [`sizes`] | how large the objects are |
//! | [`pattern`] | what is in them |
//! | [`client`] | one signed connection |
//! | [`workload`] | what a worker does next |
//! | [`load`] | prepare, run, end |
//! | [`consistency`] | latency by acknowledgement level |
//! | [`picture`] | that as SVG |
//! | [`figures`] | latencies and rates, as a table and as JSON |
//! | [`progress`] | the line on a terminal |
//! | [`process`] | what the server used |
//! | [`drive`] | the bare drive |

use clap::Subcommand;

mod client;
mod consistency;
mod drive;
mod figures;
mod load;
mod options;
mod pattern;
mod picture;
mod process;
mod progress;
mod sizes;
mod workload;

/// Measures an S3 endpoint or a bare drive.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Uploads objects.
    Put(options::Load),
    /// Uploads a set of objects, then downloads random ones and compares every byte.
    Get(options::Load),
    /// Uploads a set of objects, then asks for the heads of random ones.
    Head(options::Load),
    /// Uploads a set of objects, then lists them page by page.
    List(options::Load),
    /// Of a hundred requests: 70 GET, 20 PUT, 5 DELETE, 5 LIST.
    Mixed(options::Load),
    /// Uploads objects in parts.
    Multipart(options::Load),
    /// Uploads a set of objects, then deletes each.
    Delete(options::Load),
    /// Uploads objects at each acknowledgement level, and draws the latencies.
    Consistency(consistency::Options),
    /// Measures how fast a directory's drive makes 4 KiB writes durable, and streams.
    Drive(drive::Options),
}

/// Runs the measurement that `args` names; an error if a request failed or a byte was wrong.
pub fn run(args: Args) -> anyhow::Result<()> {
    use workload::Kind;
    match args.command {
        Command::Put(load) => load::run(Kind::Put, load),
        Command::Get(load) => load::run(Kind::Get, load),
        Command::Head(load) => load::run(Kind::Head, load),
        Command::List(load) => load::run(Kind::List, load),
        Command::Mixed(load) => load::run(Kind::Mixed, load),
        Command::Multipart(load) => load::run(Kind::Multipart, load),
        Command::Delete(load) => load::run(Kind::Delete, load),
        Command::Consistency(options) => consistency::run(options),
        Command::Drive(options) => drive::run(options),
    }
}
