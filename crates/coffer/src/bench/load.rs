//! Prepares, runs and ends a load.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use http::Method;

use super::client::{Ask, Connection, Target};
use super::figures::{Recorder, RunFigures, histogram};
use super::options::Load;
use super::pattern::Pattern;
use super::process::{ServerFigures, Usage};
use super::progress::{self, Goal};
use super::workload::{Kind, Phase, Worker};

const DURATION_DEFAULT: Duration = Duration::from_secs(10);

/// Runs `kind` as `load` says, prints the table, writes the JSON.
pub fn run(kind: Kind, load: Load) -> Result<()> {
    let figures = figures(kind, &load)?;
    print!("{}", figures.table());
    if let Some(path) = &load.json {
        let mut json = serde_json::to_vec_pretty(&figures)?;
        json.push(b'\n');
        std::fs::write(path, json).with_context(|| format!("can't write {}", path.display()))?;
    }
    fail_if_any_failed(&figures)
}

/// Runs `kind` as `load` says.
pub fn figures(kind: Kind, load: &Load) -> Result<RunFigures> {
    if load.concurrency == 0 {
        bail!("--concurrency is at least 1");
    }
    if load.part_size == 0 || load.page == 0 {
        bail!("--part-size and --page are at least 1");
    }
    if load.rate == Some(0) {
        bail!("--rate is at least 1");
    }
    if kind.needs_objects() && load.objects == 0 && kind != Kind::List {
        bail!("{} needs --objects", kind.name());
    }
    runtime(load)?.block_on(measure(kind, load))
}

fn runtime(load: &Load) -> Result<tokio::runtime::Runtime> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.min(load.concurrency))
        .enable_all()
        .build()
        .context("can't start the workers' threads")
}

/// The latencies of all requests of a run, none of which may have failed.
pub struct Latencies {
    /// In microseconds.
    pub latencies_us: Histogram<u64>,
    /// How long the run took.
    pub seconds: f64,
}

/// Runs `kind`, whose requests are all alike, as `load` says.
pub fn histograms(kind: Kind, load: &Load) -> Result<Latencies> {
    let runtime = runtime(load)?;
    let (recorders, seconds) = runtime.block_on(async {
        let target = Arc::new(Target::new(load)?);
        ensure_bucket(&target, &load.bucket).await?;
        let goal = Goal { duration: load.duration, requests: load.requests };
        let pattern = Pattern::new(load.seed);
        let phase = Phase::new(kind, load.clone(), target, pattern, goal, load.first, load.first);
        run_phase(kind.name(), Arc::new(phase)).await
    })?;
    let mut latencies_us = histogram();
    for recorder in recorders {
        latencies_us.add(recorder.latencies()?).context("histograms of other bounds")?;
    }
    Ok(Latencies { latencies_us, seconds })
}

/// An error if a request failed.
pub fn fail_if_any_failed(figures: &RunFigures) -> Result<()> {
    let failed: u64 = figures.operations.iter().map(|op| op.failed).sum();
    if failed > 0 {
        let first = figures.operations.iter().find_map(|op| op.first_failure.as_deref());
        bail!("{failed} requests failed; the first: {}", first.unwrap_or_default());
    }
    Ok(())
}

async fn measure(kind: Kind, load: &Load) -> Result<RunFigures> {
    let target = Arc::new(Target::new(load)?);
    let pattern = Pattern::new(load.seed);
    ensure_bucket(&target, &load.bucket).await?;

    let phase = |kind, goal, next, existing_end| {
        let (target, pattern) = (target.clone(), pattern.clone());
        Arc::new(Phase::new(kind, load.clone(), target, pattern, goal, next, existing_end))
    };
    let mut existing_end = load.first;
    if kind.needs_objects() {
        existing_end = load.first.checked_add(load.objects).context("--first is too large")?;
        if !load.no_prepare {
            let goal = Goal { duration: None, requests: Some(load.objects) };
            let prepare = phase(Kind::Put, goal, load.first, load.first);
            let (recorders, _) = run_phase("prepare", prepare).await?;
            fail_on_failure(recorders, "can't upload the objects to work on")?;
        }
    }

    let goal = Goal {
        duration: match (load.duration, load.requests, kind) {
            (None, None, Kind::Delete) => None,
            (None, None, _) => Some(DURATION_DEFAULT),
            (duration, _, _) => duration,
        },
        requests: match kind {
            Kind::Delete => Some(load.requests.unwrap_or(u64::MAX).min(load.objects)),
            _ => load.requests,
        },
    };
    let next = if kind == Kind::Delete { load.first } else { existing_end };
    let measured = phase(kind, goal, next, existing_end);
    let before = load.pid.map(Usage::of).transpose()?;
    let (recorders, seconds) = run_phase(kind.name(), measured.clone()).await?;
    let after = load.pid.map(Usage::of).transpose()?;
    let operations: Vec<_> = recorders.into_iter().map(|r| r.figures(seconds)).collect();

    if load.clean && kind != Kind::Delete {
        let end = measured.next.load(Relaxed).max(existing_end);
        let goal = Goal { duration: None, requests: Some(end - load.first) };
        let (recorders, _) = run_phase("clean", phase(Kind::Delete, goal, load.first, end)).await?;
        fail_on_failure(recorders, "can't delete the objects again")?;
    }

    // The whole of a multipart upload counts its parts' bytes once more; a run's bytes are theirs.
    let moved: u64 = operations.iter().filter(|op| op.name != "part").map(|op| op.bytes).sum();
    let requests: u64 = operations.iter().map(|op| op.count).sum();
    let server = match (load.pid, before, after) {
        (Some(pid), Some(before), Some(after)) => {
            let cpu_seconds = after.cpu_seconds - before.cpu_seconds;
            Some(ServerFigures {
                pid,
                cpu_seconds,
                cpu_seconds_per_gb: (moved > 0).then(|| cpu_seconds * 1e9 / moved as f64),
                cpu_us_per_request: (requests > 0).then(|| cpu_seconds * 1e6 / requests as f64),
                rss_bytes: after.rss_bytes,
                rss_peak_bytes: after.rss_peak_bytes,
            })
        }
        _ => None,
    };
    Ok(RunFigures {
        load: kind.name(),
        endpoint: load.endpoint.clone(),
        size: load.size.to_string(),
        concurrency: load.concurrency,
        payload: load.payload.name(),
        ack: load.ack.clone(),
        seed: load.seed,
        seconds,
        operations,
        server,
    })
}

fn fail_on_failure(recorders: Vec<Recorder>, what: &'static str) -> Result<()> {
    for recorder in recorders {
        if let Some(first) = recorder.figures(1.0).first_failure {
            bail!("{what}: {first}");
        }
    }
    Ok(())
}

async fn ensure_bucket(target: &Arc<Target>, bucket: &str) -> Result<()> {
    let mut connection = Connection::new(target.clone());
    let failed = |failure| anyhow::anyhow!("bucket {bucket}: {failure}");
    match connection.status(Ask::new(Method::HEAD, None)).await.map_err(failed)? {
        200 => Ok(()),
        404 => {
            connection.send_whole(Ask::new(Method::PUT, None)).await.map_err(failed)?;
            Ok(())
        }
        403 => bail!("bucket {bucket}: access denied (are the keys and the region right?)"),
        status => bail!("bucket {bucket}: the server answered {status}"),
    }
}

/// Runs all workers to the end; what they saw, and how many seconds it took.
async fn run_phase(title: &'static str, phase: Arc<Phase>) -> Result<(Vec<Recorder>, f64)> {
    let mut workers: Vec<Worker> =
        (0..phase.load.concurrency).map(|number| Worker::new(phase.clone(), number)).collect();
    for worker in &mut workers {
        worker.connect().await.map_err(|failure| anyhow::anyhow!("{failure}"))?;
    }
    let shown = progress::show(title, phase.goal, phase.tally.clone());
    let begun = Instant::now();
    let running: Vec<_> =
        workers.into_iter().map(|worker| tokio::spawn(worker.run(begun))).collect();
    let mut merged: Vec<Recorder> = Vec::new();
    for worker in running {
        for recorder in worker.await.context("a worker panicked")? {
            match merged.iter_mut().find(|other| other.name == recorder.name) {
                Some(other) => other.merge(recorder),
                None => merged.push(recorder),
            }
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    drop(shown);
    merged.retain(|recorder| !recorder.is_empty());
    merged.sort_by_key(|recorder| recorder.name);
    Ok((merged, seconds))
}
