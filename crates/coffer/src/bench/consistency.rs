//! `coffer bench consistency`: what a stronger acknowledgement costs, as a picture.
//!
//! The levels take turns, so that what else the machine does hits all of them alike.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::figures::{Latency, columns, grouped, histogram, row};
use super::options::Load;
use super::workload::Kind;
use super::{load, picture};

/// From the weakest to the strongest.
const LEVELS: [&str; 3] = ["primary", "quorum", "all"];
/// Turns of each level.
const TURNS: u32 = 8;
const DURATION_DEFAULT: Duration = Duration::from_secs(8);

/// The flags of `coffer bench consistency`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    load: Load,
    /// Where the picture goes.
    #[arg(long, value_name = "FILE")]
    svg: PathBuf,
    /// What the picture calls the conditions.
    #[arg(long, default_value = "no drive stalled")]
    case: String,
    /// Draws this case beside those that the file of --json has.
    #[arg(long, requires = "json")]
    add: bool,
}

/// One level in one case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The conditions.
    pub case: String,
    /// The acknowledgement level.
    pub level: String,
    /// Uploads a second.
    pub per_second: f64,
    /// How long an upload took.
    pub latency_us: Latency,
}

/// What the JSON file holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// By case, then by level.
    pub runs: Vec<Run>,
}

/// What one level has seen over its turns.
struct Level {
    latencies: Histogram<u64>,
    seconds: f64,
}

/// Measures, draws, and prints a table.
pub fn run(options: Options) -> Result<()> {
    let Options { load, svg, case, add } = options;
    let mut figures = match &load.json {
        Some(path) if add => {
            let text =
                std::fs::read(path).with_context(|| format!("can't read {}", path.display()))?;
            serde_json::from_slice(&text)
                .with_context(|| format!("{} has no figures", path.display()))?
        }
        _ => Figures::default(),
    };
    figures.runs.retain(|run| run.case != case);
    figures.runs.extend(measure(&load, &case)?);
    if let Some(path) = &load.json {
        let mut json = serde_json::to_vec_pretty(&figures)?;
        json.push(b'\n');
        std::fs::write(path, json).with_context(|| format!("can't write {}", path.display()))?;
    }
    let title =
        format!("PUT {}, {} clients, by acknowledgement level", load.size, load.concurrency);
    std::fs::write(&svg, picture::draw(&title, &LEVELS, &figures.runs))
        .with_context(|| format!("can't write {}", svg.display()))?;
    print!("{}", table(&figures));
    Ok(())
}

fn measure(load: &Load, case: &str) -> Result<Vec<Run>> {
    let whole = load.duration.unwrap_or(DURATION_DEFAULT);
    let mut levels = LEVELS.map(|_| Level { latencies: histogram(), seconds: 0.0 });
    for turn in 0..TURNS {
        for (at, level) in LEVELS.iter().enumerate() {
            let part = Load {
                ack: Some((*level).to_owned()),
                duration: Some(whole / TURNS),
                prefix: format!("{}{case}/{turn}/{level}/", load.prefix),
                ..load.clone()
            };
            let done = load::histograms(Kind::Put, &part)?;
            levels[at].seconds += done.seconds;
            levels[at].latencies.add(&done.latencies_us).context("histograms of other bounds")?;
        }
    }
    let runs = LEVELS.iter().zip(levels).map(|(name, level)| Run {
        case: case.to_owned(),
        level: (*name).to_owned(),
        per_second: level.latencies.len() as f64 / level.seconds,
        latency_us: Latency::of(&level.latencies),
    });
    Ok(runs.collect())
}

fn table(figures: &Figures) -> String {
    let mut rows = vec![row(["case", "level", "per s"])];
    rows[0].extend(["p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms"].map(str::to_owned));
    for run in &figures.runs {
        let rate = grouped(run.per_second.round() as u64);
        let mut cells = vec![run.case.clone(), run.level.clone(), rate];
        cells.extend(run.latency_us.cells());
        rows.push(cells);
    }
    columns(&rows)
}
