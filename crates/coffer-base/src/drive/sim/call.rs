//! A call that changes a drive, as a value: one that hangs has its effect later.

use std::io;
use std::sync::Arc;

use super::world::{DriveState, FileId, World};
use super::{Forget, drive_of, simulated};
use crate::buffer::ALIGN;
use crate::rng::SeededRng;

/// A file as a handle knows it.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    /// The name it was opened by.
    pub(super) name: String,
    pub(super) id: FileId,
    /// Through this handle the file was created.
    pub(super) created: bool,
}

/// A write, a sync, a change of a length or a name. `by` is the handle of the drive.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Create { name: String, id: FileId, by: u64 },
    Rename { from: String, to: String, by: u64 },
    Remove { name: String, by: u64 },
    SyncDir { by: u64 },
    Write { file: Opened, data: Arc<[u8]>, offset: u64, sync: bool },
    Sync { file: Opened },
    SetLen { id: FileId, len: u64 },
}

impl Call {
    /// Its kind, for the trace.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Call::Create { .. } => "create",
            Call::Rename { .. } => "rename",
            Call::Remove { .. } => "remove",
            Call::SyncDir { .. } => "sync_dir",
            Call::Write { sync: true, .. } => "write_sync",
            Call::Write { sync: false, .. } => "write",
            Call::Sync { .. } => "sync",
            Call::SetLen { .. } => "set_len",
        }
    }

    /// Its place, for the trace.
    pub(super) fn numbers(&self) -> [u64; 2] {
        match self {
            Call::Write { data, offset, .. } => [*offset, data.len() as u64],
            Call::SetLen { len, .. } => [*len, 0],
            _ => [0; 2],
        }
    }

    /// Has its effect, not durable yet; gives the randomness for [`Call::settle`].
    pub(super) fn act(&self, world: &mut World, name_of_drive: &str) -> io::Result<SeededRng> {
        let (seed, rng) = (world.seed, world.rng());
        let drive = drive_of(world, name_of_drive)?;
        match self {
            Call::Create { name, id, by } => {
                if drive.faults.fail_writes {
                    return Err(simulated(io::ErrorKind::Other, "can't create"));
                }
                drive.check_room(*id, 0)?;
                if drive.names.contains_key(name) {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                drive.create(name, *id, *by);
                drive.file_mut(*id)?.handles = 1;
            }
            Call::Rename { from, to, by } => drive.rename(from, to, *by)?,
            Call::Remove { name, by } => drive.remove(name, *by)?,
            Call::Write { file, data, offset, .. } => write(drive, seed, file, data, *offset)?,
            Call::SetLen { id, len } => {
                drive.check_room(*id, *len)?;
                drive.file_mut(*id)?.set_len(*len);
            }
            Call::SyncDir { .. } | Call::Sync { .. } => {}
        }
        Ok(rng)
    }

    /// Makes durable what it should.
    pub(super) fn settle(&self, drive: &mut DriveState, rng: &SeededRng) -> io::Result<()> {
        match self {
            Call::SyncDir { by } => {
                if !drive.faults.forget_syncs {
                    drive.sync_dir(*by);
                }
                Ok(())
            }
            Call::Write { file, sync: true, .. } => sync(drive, file, true, rng),
            Call::Sync { file } => sync(drive, file, false, rng),
            _ => Ok(()),
        }
    }
}

fn write(
    drive: &mut DriveState,
    seed: u64,
    file: &Opened,
    data: &[u8],
    offset: u64,
) -> io::Result<()> {
    if drive.write_fails() {
        return Err(simulated(io::ErrorKind::Other, "unwritable"));
    }
    drive.check_room(file.id, offset + data.len() as u64)?;
    let written = offset..offset + data.len() as u64;
    drive.faults.bad_sectors.retain(|(name, at)| {
        *name != file.name || !written.contains(at) || at + ALIGN as u64 > written.end
    });
    let elsewhere = drive.goes_wrong(drive.faults.misdirect_writes, seed);
    match elsewhere.and_then(|rng| drive.any_block(&rng)) {
        None => drive.file_mut(file.id)?.write(data, offset),
        Some((id, at)) => {
            drive.file_mut(file.id)?.write_astray(data, offset);
            drive.file_mut(id)?.hit(data, at);
        }
    }
    Ok(())
}

/// A sync, or what makes a synchronous write (`writes`) durable.
fn sync(drive: &mut DriveState, file: &Opened, writes: bool, rng: &SeededRng) -> io::Result<()> {
    let is_forgotten = drive.faults.forget_syncs
        || drive.faults.forget.iter().any(|forget| match forget {
            Forget::Writes(pattern) => writes && Forget::names(pattern, &file.name),
            Forget::NewSyncs(pattern) => {
                !writes && file.created && Forget::names(pattern, &file.name)
            }
            Forget::LaterSyncs(pattern) => {
                !writes && !file.created && Forget::names(pattern, &file.name)
            }
            Forget::Created(_) | Forget::Renamed(_) | Forget::NamesOfBefore => false,
        });
    let fails = drive.sync_fails();
    if !fails {
        drive.barriers += 1;
        if is_forgotten {
            return Ok(());
        }
    }
    let file = drive.file_mut(file.id)?;
    match (fails, writes) {
        (false, true) => file.force_last_write(),
        (false, false) => file.sync(),
        (true, true) => file.lose_last_write(rng),
        (true, false) => file.fail_sync(rng),
    }
    if fails { Err(simulated(io::ErrorKind::Other, "sync failed")) } else { Ok(()) }
}
