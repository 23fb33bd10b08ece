//! The domain: buckets, objects, uploads. AWS S3's semantics, without its protocol.
//!
//! Every call takes a [`coffer_iam::Grant`] and takes the bucket and the key from it, so that a
//! call without a permission check does not compile, and one with a check for something else
//! fails an assertion.
//!
//! It does not know identities, which have rows of their own in the same catalog, HTTP, XML, signatures, segments, erasure or how the index is kept. It spawns
//! no task and no thread: blocking work goes through [`Blocking`].
//!
//! | module | concept |
//! |---|---|
//! | [`types`] | what callers hand in and get back |
//! | [`error`] | what can go wrong |
//! | [`blocking`] | the seam between async and blocking work |
//! | `objects` | [`Objects`]: the store, and what the verbs share |
//! | `buckets`, `put`, `get`, `copy`, `delete`, `list`, `list_versions`, `uploads` | a verb each |
//! | `bucket_settings` | policies of buckets, and what a decision about a bucket needs to know |
//! | [`conditions`], [`range`] | pure decisions |
//! | `etag` | ETags as S3 forms them |
//! | [`digest`] | MD5 and checksums in one pass |
//! | `payload` | taking a body in, inline or bulk |
//! | `hashing` | many bodies hashed in lock step |
//! | `crowd` | how much memory each of many bodies may take |
//! | `replace` | putting a head in the place of another within a commit |
//! | `version`, `versions` | version ids; finding versions, keeping and deleting them within a commit |
//! | `manifest`, `pin` | where a blob's bytes are, and holding on to them |
//! | `rows` | the rows of the catalog, byte for byte |
//! | [`mod@fsck`] | whether everything agrees |
//! | [`named`] | which bulk rows anything names |
//!
//! Invariants:
//! 1. Whatever can refuse a request is decided before or inside its one commit; a refused request
//!    leaves nothing visible.
//! 2. A head and all it needs (cold headers, manifest, owner row, counters) change in one commit.
//! 3. A blob is immutable. It lives as long as an owner row names it.
//! 4. Conditions of writes are decided in the sequencer, against all commits before.
//! 5. Bulk bytes are durable before the commit that names them begins.
//! 6. No decoder of a row panics, whatever the bytes.
//! 7. Memory for a body is bounded, whatever its length.
//! 8. A head is the newest version of its key; where that is a delete marker there is no head.
//! 9. Whether a write keeps what it replaces is decided by the state of its bucket in the sequencer.
//!
//! Read [`Objects`] first.

pub mod blocking;
mod bucket_settings;
mod buckets;
pub mod conditions;
mod copy;
mod crowd;
mod delete;
pub mod digest;
pub mod error;
mod etag;
pub mod fsck;
mod get;
mod hashing;
mod list;
mod list_versions;
mod manifest;
pub mod named;
mod objects;
mod payload;
mod pin;
mod put;
pub mod range;
mod replace;
mod rows;
pub mod types;
mod uploads;
mod version;
mod versions;

pub use blocking::{Blocking, InlineBlocking};
pub use bucket_settings::BucketFacts;
pub use buckets::is_valid_bucket_name;
pub use error::{DigestKind, Error, Result};
pub use fsck::{Finding, FsckOptions, FsckReport};
pub use get::ObjectReader;
pub use objects::{ObjectSeams, Objects};
pub use put::PutWriter;
pub use types::*;
