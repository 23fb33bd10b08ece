//! Serves [`coffer_bench::null`] until SIGTERM or SIGINT.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Parser;
use coffer_base::net::{Net as _, RealNet};
use coffer_bench::lane::{Lane, Way};
use coffer_bench::null::NullServer;
use coffer_http::{Setup, serve};
use coffer_sigv4::SigningKeys;
use tokio::signal::unix::{SignalKind, signal};

/// A server that does what a durable PUT demands, and nothing else. The key pair comes from
/// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
#[derive(Parser)]
struct Options {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// A file to be written, preallocated; each group goes to all that are named.
    #[arg(long = "file", required = true)]
    files: Vec<PathBuf>,
    /// How a group is made durable.
    #[arg(long, value_enum, default_value = "direct-dsync")]
    way: Way,
    /// The region that signatures must name.
    #[arg(long, default_value = "us-east-1")]
    region: String,
    #[arg(long, env = "AWS_ACCESS_KEY_ID", hide_env_values = true)]
    access_key: String,
    #[arg(long, env = "AWS_SECRET_ACCESS_KEY", hide_env_values = true)]
    secret: String,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(options))
}

async fn run(options: Options) -> Result<()> {
    let lane = Lane::open(&options.files, options.way)?;
    let Options { listen, region, access_key, secret, .. } = options;
    let keys = SigningKeys::default();
    let server = Arc::new(NullServer { access_key, secret, region, lane, keys });
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let listener = RealNet.listen(listen)?;
    println!("listening at {}", listener.local_addr()?);
    let told = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    serve(vec![listener], server, told, Setup::default()).await?;
    Ok(())
}
