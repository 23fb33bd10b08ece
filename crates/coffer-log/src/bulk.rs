//! Bulk lanes: large payloads, erasure coded as they stream.
//!
//! A bulk segment is one file a member, each with the same rows at the same offsets: a header and
//! a cell. Rows are written once, past the page cache, by one writer at a time; they have
//! addresses and no place in history, and live only once a commit names them. So the order that
//! counts is: the names of a new segment's files are durable before its first row is written;
//! rows are durable on every member before [`BulkWriter::finish`] returns; only then can a commit
//! name them. What a crash leaves behind the last such row is dead, and the file is never appended
//! to again.
//!
//! `docs/formats/bulk-rows.md` has the bytes.

mod buffer;
mod lanes;
mod lent;
mod memory;
mod now;
mod reader;
mod row;
mod scrub;
mod verify;
mod writer;
mod writing;

pub(crate) use lanes::{BulkLanes, recover_bulk};
pub(crate) use lent::ReadBuffers;
pub(crate) use now::read_bulk_now;
pub(crate) use reader::read_bulk;
pub(crate) use scrub::{row_offsets, rows_present, scrub_rows};
pub(crate) use verify::{verify_bulk_segment, verify_extent};
pub use writer::BulkWriter;

#[cfg(test)]
mod tests;
