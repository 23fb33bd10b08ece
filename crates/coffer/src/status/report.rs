//! What there is to say of a running store, for the socket, the metrics and readiness.

use serde::{Deserialize, Serialize};

use crate::scrub::ScrubState;

/// Everything.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Version of the program.
    pub version: String,
    /// The store's id.
    pub store: String,
    /// Erasure scheme of the set, `K+M`.
    pub scheme: String,
    /// Scheme of new segments over the drives that are live; none if too few are.
    pub writing: Option<String>,
    /// Since when the server is up, in seconds.
    pub uptime_secs: u64,
    /// Why the set is not whole; empty when it is.
    pub degraded: Vec<String>,
    /// Why nothing can be written, if so.
    pub read_only: Option<String>,
    /// Each drive, in the order of the set.
    pub drives: Vec<Drive>,
    /// Segments by kind and state.
    pub segments: Vec<Segments>,
    /// Segments that miss a drive.
    pub segments_degraded: u64,
    /// Segments of which a live drive lacks its part, to be rebuilt.
    pub segments_with_gaps: u64,
    /// Damaged places that reads have found and that wait to be healed.
    pub damage_queued: u64,
    /// The search for damage.
    pub scrub: ScrubState,
    /// Full commit segments that wait to be sealed.
    pub segments_to_seal: u64,
    /// Position of the last commit group in the log.
    pub log_position: u64,
    /// Epoch of the log.
    pub epoch: u32,
    /// The index.
    pub index: Index,
    /// What is stored.
    pub usage: Usage,
    /// Open S3 connections.
    pub connections: u64,
    /// What the S3 port shows; none without TLS.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Memory of the process, in bytes.
    pub memory_bytes: u64,
}

/// The certificate of the S3 port.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tls {
    /// Where it is from.
    pub source: String,
    /// SHA-256 of it, in pairs of hex digits.
    pub fingerprint: String,
    /// Until when it is valid, in seconds since 1970.
    pub valid_until_secs: i64,
    /// Why a newer one could not be taken, if so.
    pub refused: Option<String>,
}

/// A drive.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Drive {
    /// Its directory.
    pub path: String,
    /// Its id.
    pub id: String,
    /// active, lost or fenced.
    pub state: String,
    /// Why it isn't active.
    pub why: Option<String>,
    /// Since when it isn't active, if that is known.
    #[serde(default)]
    pub since: Option<String>,
    /// How many drives had its place in the set before it.
    #[serde(default)]
    pub replaced: u32,
    /// Size of its file system in bytes.
    pub total_bytes: u64,
    /// What can still be written, in bytes.
    pub free_bytes: u64,
    /// Durability barriers since the start.
    pub barriers: u64,
    /// Blocks, headers and files that were found wrong since the start.
    pub damage_found: u64,
    /// Of those, healed.
    pub damage_healed: u64,
    /// Of those, not healed.
    pub damage_unhealable: u64,
    /// It takes part but does not answer in time: reads go elsewhere.
    pub slow: bool,
    /// It was given up since the start, because it hung.
    pub stalled: bool,
    /// Reads that went elsewhere since the start, because it did not answer in time.
    pub hedged_reads: u64,
}

/// Segments of one kind in one state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Segments {
    /// commit or bulk.
    pub kind: String,
    /// open, sealed, or any.
    pub state: String,
    /// How many.
    pub count: u64,
    /// Bytes in them, before erasure coding, where that is known.
    pub body_bytes: Option<u64>,
}

/// How reads of the index were answered.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct IndexReads {
    /// Gets by rows kept in memory.
    pub hot: u64,
    /// All other gets.
    pub gets: u64,
    /// Tables left out by their filters.
    pub filtered: u64,
    /// Tables searched in vain in spite of their filters.
    pub filter_errors: u64,
    /// Blocks of entries from the cache.
    pub blocks_cached: u64,
    /// Blocks of entries from files.
    pub blocks_read: u64,
    /// Blocks of filters and block indexes that are not kept in memory.
    pub directory_blocks: u64,
}

impl From<coffer_catalog::IndexReads> for IndexReads {
    fn from(reads: coffer_catalog::IndexReads) -> Self {
        IndexReads {
            hot: reads.hot,
            gets: reads.gets,
            filtered: reads.filtered,
            filter_errors: reads.filter_errors,
            blocks_cached: reads.blocks_cached,
            blocks_read: reads.blocks_read,
            directory_blocks: reads.directory_blocks,
        }
    }
}

/// The index.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Index {
    /// Position up to which it was brought.
    pub position: u64,
    /// Bytes on its drive.
    pub disk_bytes: u64,
    /// How it answered reads since the start.
    #[serde(default)]
    pub reads: IndexReads,
    /// The longest that each step of a commit took since the start, in microseconds.
    #[serde(default)]
    pub longest_steps_us: Vec<(String, u64)>,
    /// Commit groups since the start.
    pub groups: u64,
    /// Their bytes.
    pub group_bytes: u64,
    /// Commits in them.
    pub commits: u64,
    /// Commits that were refused by their own conditions.
    pub rejected: u64,
    /// Commits that failed in the log or the index.
    pub failed: u64,
    /// Times that the index was made anew while the server ran.
    #[serde(default)]
    pub remade: u64,
    /// Why it is being made anew now.
    #[serde(default)]
    pub remaking: Option<String>,
    /// Why the last attempt to make the index durable failed, if it did.
    pub persist_failure: Option<String>,
    /// The position of the checkpoint that a rebuild would start from.
    pub checkpoint_position: Option<u64>,
    /// Checkpoints written since the start.
    pub checkpoints: u64,
    /// Why the last one could not be written or loaded.
    pub checkpoint_failure: Option<String>,
}

/// What is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Usage {
    /// Buckets.
    pub buckets: u64,
    /// Objects.
    pub objects: u64,
    /// Their bytes, and those of their other versions.
    pub bytes: u64,
    /// Uploads under way.
    pub uploads: u64,
    /// Versions that are not the current object of their key, and delete markers.
    #[serde(default)]
    pub versions: u64,
}
