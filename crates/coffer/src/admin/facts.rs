//! What a running server knows of itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use coffer_catalog::LongestSteps;
use coffer_http::{Event, Traffic};
use coffer_identity::Identity;
use coffer_objects::Objects;
use coffer_query::metrics::Metrics as QueryMetrics;
use coffer_s3::Service;

use crate::roaming::Health;
use crate::scrub::Scrubbing;
use crate::status::{DriveReport, Index, Report, SegmentsReport, Usage};
use crate::tls::Shown;

/// How far a server is.
#[derive(Clone)]
pub enum Readiness {
    /// The store is being opened.
    Starting,
    /// Requests are answered.
    Serving(Arc<Facts>),
    /// It was told to stop.
    Draining,
}

/// The parts of a running server that have something to tell.
pub struct Facts {
    service: Arc<Service>,
    query: Arc<QueryMetrics>,
    traffic: Arc<Traffic>,
    tls: Option<Arc<Shown>>,
    scrubbing: Arc<Scrubbing>,
    index_health: Arc<Health>,
    started: Instant,
}

impl Facts {
    /// Facts of `service`, which starts now.
    pub fn new(
        service: Arc<Service>,
        query: Arc<QueryMetrics>,
        traffic: Arc<Traffic>,
        tls: Option<Arc<Shown>>,
        scrubbing: Arc<Scrubbing>,
        index_health: Arc<Health>,
    ) -> Facts {
        Facts { service, query, traffic, tls, scrubbing, index_health, started: Instant::now() }
    }

    /// What looks for damage.
    pub fn scrubbing(&self) -> &Scrubbing {
        &self.scrubbing
    }

    /// The domain.
    pub fn objects(&self) -> &Objects {
        &self.service.objects
    }

    /// Who may ask.
    pub fn identity(&self) -> &Identity {
        &self.service.identity
    }

    /// The counters of requests, as Prometheus text.
    pub fn requests(&self) -> String {
        self.service.metrics.render() + &self.query.render()
    }

    /// What happened to connections, by name.
    pub fn connection_events(&self) -> Vec<(&'static str, u64)> {
        Event::ALL.iter().map(|event| (event.name(), self.traffic.count(*event))).collect()
    }

    /// Why nothing can be written, if so; else why the set is not whole. Blocks.
    pub fn ready(&self) -> Result<Vec<String>, String> {
        let status = self.objects().catalog().log().status();
        match (status.read_only, status.writing) {
            (Some(why), _) => Err(format!("read-only: {why}")),
            (None, None) => Err(format!("read-only: {}", status.degraded.join("; "))),
            (None, Some(_)) => Ok(status.degraded),
        }
    }

    /// Everything. Asks the drives for their space, so it blocks.
    pub fn report(&self) -> anyhow::Result<Report> {
        let catalog = self.objects().catalog();
        let (log, index) = (catalog.log().status(), catalog.status()?);
        let usage = self.objects().usage()?;
        let counts = log.segments;
        let segments = |kind: &str, state: &str, count: u64, body_bytes: Option<u64>| {
            SegmentsReport { kind: kind.to_owned(), state: state.to_owned(), count, body_bytes }
        };
        let drives = log.drives.iter().map(|drive| DriveReport {
            path: drive.label.clone(),
            id: drive.id.to_string(),
            state: drive.state.name().to_owned(),
            why: Some(drive.why.clone()).filter(|why| !why.is_empty()),
            since: drive.since.map(|since| since.to_string()),
            replaced: drive.replaced,
            total_bytes: drive.space.map_or(0, |space| space.total),
            free_bytes: drive.space.map_or(0, |space| space.free),
            barriers: drive.barriers,
            damage_found: drive.health.found,
            damage_healed: drive.health.healed,
            damage_unhealable: drive.health.unhealable,
            slow: drive.slow,
            stalled: drive.stalled,
            hedged_reads: drive.hedged_reads,
        });
        Ok(Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            store: log.store.to_string(),
            scheme: log.geometry.to_string(),
            writing: log.writing.map(|geometry| geometry.to_string()),
            uptime_secs: self.started.elapsed().as_secs(),
            degraded: log.degraded.clone(),
            read_only: log.read_only.clone(),
            drives: drives.collect(),
            segments: vec![
                segments("commit", "open", counts.commit_open, None),
                segments(
                    "commit",
                    "sealed",
                    counts.commit_sealed,
                    Some(counts.commit_sealed_bytes),
                ),
                segments("bulk", "any", counts.bulk, None),
            ],
            segments_degraded: counts.degraded,
            segments_to_seal: log.unsealed as u64,
            segments_with_gaps: log.segments_with_gaps as u64,
            damage_queued: log.suspects as u64,
            scrub: self.scrubbing.report(),
            log_position: log.end.position.0,
            epoch: log.epoch_number,
            index: Index {
                position: index.applied.position.0,
                disk_bytes: index.index_disk_bytes,
                reads: index.index_reads.into(),
                longest_steps_us: longest_steps(&index.longest_steps),
                groups: index.groups,
                group_bytes: index.group_bytes,
                commits: index.commits,
                rejected: index.rejected,
                failed: index.failed,
                remade: self.index_health.remade.load(Ordering::Relaxed),
                remaking: self.index_health.making(),
                persist_failure: index.persist_failure,
                checkpoint_position: index.checkpoints.last.map(|last| last.position.0),
                checkpoints: index.checkpoints.written,
                checkpoint_failure: index.checkpoints.failure,
            },
            usage: Usage {
                buckets: usage.buckets,
                objects: usage.objects,
                bytes: usage.bytes,
                uploads: usage.uploads,
                versions: usage.versions,
            },
            connections: self.traffic.connections(),
            tls: self.tls.as_ref().map(|shown| shown.report()),
            memory_bytes: memory_bytes(),
        })
    }
}

/// Resident memory of this process in bytes, from the kernel; 0 where there is no `/proc`.
fn memory_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok().and_then(|text| {
        text.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok())
    });
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

fn longest_steps(steps: &LongestSteps) -> Vec<(String, u64)> {
    [
        ("index behind", steps.index_behind),
        ("plans", steps.plans),
        ("log", steps.log),
        ("apply", steps.apply),
        ("checkpoint", steps.checkpoint),
    ]
    .map(|(name, longest)| (name.to_owned(), longest.as_micros() as u64))
    .to_vec()
}
