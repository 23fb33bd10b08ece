//! `coffer index rebuild`: the index from the log alone.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use coffer_catalog::{Engine, EngineOptions, LsmEngine, OpenOptions};

use crate::fault::Fault;
use crate::roaming::home;
use crate::settings::Settings;
use crate::store::{self, OpenLog, Purpose};

/// Throws the index away and makes it again; says how much that was.
pub fn rebuild(settings: &Settings) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let looked = store::look(settings)?;
    let log = store::open_log(&looked, settings, Purpose::Change)?;
    let dir = home::of(&store::index_places(settings, &log.held)[0].dir);
    let wrong = |e: &dyn std::fmt::Display| Fault::Data(format!("{}: {e}", dir.display()));
    std::fs::create_dir_all(&dir).map_err(|e| wrong(&e))?;
    {
        let (engine, _) =
            LsmEngine::open_or_wipe(&dir, EngineOptions::default()).map_err(|e| wrong(&e))?;
        engine.wipe().map_err(|e| wrong(&e))?;
    }
    let OpenLog { log, lane, held: _held, .. } = log;
    let catalog = store::open_catalog(
        &dir,
        log,
        lane,
        OpenOptions { from_records: true, ..OpenOptions::default() },
    )?;
    let status = catalog.status()?;
    catalog.close()?;
    writeln!(
        std::io::stdout(),
        "Rebuilt the index in {} up to position {} from {} commit groups, in {:.1} s.",
        dir.display(),
        status.applied.position.0,
        status.replayed_groups,
        started.elapsed().as_secs_f64()
    )?;
    Ok(ExitCode::SUCCESS)
}
