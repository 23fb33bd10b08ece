//! Large sequential writes and reads.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use coffer_base::AlignedBuf;
use rustix::fs::{FallocateFlags, OFlags};

use super::StreamFigures;
use super::file::{Scratch, noise};
use crate::bench::process::Usage;

const PIECE_BYTES: usize = 4 << 20;

/// A way to move much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Write past the page cache into preallocated space, then fdatasync.
    DirectWrite,
    /// Write through the page cache into preallocated space, then fdatasync.
    BufferedWrite,
    /// Read past the page cache.
    DirectRead,
}

impl Way {
    pub const ALL: [Way; 3] = [Way::DirectWrite, Way::BufferedWrite, Way::DirectRead];

    /// What the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Way::DirectWrite => "write, O_DIRECT",
            Way::BufferedWrite => "write, buffered",
            Way::DirectRead => "read, O_DIRECT",
        }
    }
}

/// Moves about `bytes` (whole pieces of 4 MiB).
pub fn measure(dir: &Path, way: Way, bytes: u64) -> io::Result<StreamFigures> {
    let pieces = bytes.div_ceil(PIECE_BYTES as u64).max(1);
    let mut piece = noise(PIECE_BYTES);
    let scratch = match way {
        Way::DirectWrite => Scratch::empty(dir, OFlags::DIRECT)?,
        Way::BufferedWrite => Scratch::empty(dir, OFlags::empty())?,
        Way::DirectRead => {
            // Filled here; only the reading is measured.
            let scratch = Scratch::empty(dir, OFlags::empty())?;
            write_all(&scratch, &piece, pieces)?;
            scratch.reopened(OFlags::DIRECT)?
        }
    };
    if way != Way::DirectRead {
        let len = pieces * PIECE_BYTES as u64;
        rustix::fs::fallocate(&scratch.file, FallocateFlags::empty(), 0, len)?;
    }
    let before = cpu_seconds()?;
    let begun = Instant::now();
    match way {
        Way::DirectWrite | Way::BufferedWrite => write_all(&scratch, &piece, pieces)?,
        Way::DirectRead => {
            for number in 0..pieces {
                scratch.file.read_exact_at(&mut piece, number * PIECE_BYTES as u64)?;
            }
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let bytes = pieces * PIECE_BYTES as u64;
    Ok(StreamFigures {
        way: way.name(),
        bytes,
        mb_per_second: bytes as f64 / 1e6 / seconds,
        cpu_seconds_per_gb: (cpu_seconds()? - before) * 1e9 / bytes as f64,
    })
}

fn write_all(scratch: &Scratch, piece: &AlignedBuf, pieces: u64) -> io::Result<()> {
    for number in 0..pieces {
        scratch.file.write_all_at(piece, number * PIECE_BYTES as u64)?;
    }
    scratch.file.sync_data()
}

fn cpu_seconds() -> io::Result<f64> {
    Usage::of(std::process::id()).map(|usage| usage.cpu_seconds).map_err(io::Error::other)
}
