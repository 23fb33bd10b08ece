//! The commit record: what one transaction changed, as it stands in the log.
//!
//! The log keeps records opaque and protects them with its own checksums; this module gives them
//! their meaning. The bytes are a promise: `docs/formats/catalog-records.md`.

use coffer_base::wire::{Put, Reader};

#[cfg(test)]
mod tests;

/// The version that is written.
const VERSION: u8 = 1;

const TAG_PUT: u8 = 1;
const TAG_DELETE: u8 = 2;
const TAG_ADD: u8 = 3;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mutation<'a> {
    /// Sets a key to a value.
    Put {
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// Removes a key, if it is there.
    Delete {
        /// The key.
        key: &'a [u8],
    },
    /// Adds to a row of counters; an absent row is all zeros.
    Add {
        /// The key.
        key: &'a [u8],
        /// What is added, counter by counter.
        deltas: Vec<i64>,
    },
}

/// Why a record could not be read. The log had verified its bytes, so this is another version of
/// the format, or a defect of the program that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// Written by a newer program.
    NewerVersion(u8),
    /// Does not have the shape of its version.
    Malformed,
}

impl std::fmt::Display for RecordError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RecordError::NewerVersion(version) => {
                write!(f, "a commit record has version {version}, this program knows {VERSION}")
            }
            RecordError::Malformed => write!(f, "a commit record is malformed"),
        }
    }
}

impl std::error::Error for RecordError {}

/// Collects the changes of one transaction.
#[derive(Debug)]
pub struct RecordBuilder {
    bytes: Vec<u8>,
}

impl Default for RecordBuilder {
    fn default() -> Self {
        Self { bytes: vec![VERSION] }
    }
}

impl RecordBuilder {
    /// Appends [`Mutation::Put`].
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.put_u8(TAG_PUT);
        self.bytes.put_bytes(key);
        self.bytes.put_bytes(value);
    }

    /// Appends [`Mutation::Delete`].
    pub fn delete(&mut self, key: &[u8]) {
        self.bytes.put_u8(TAG_DELETE);
        self.bytes.put_bytes(key);
    }

    /// Appends [`Mutation::Add`].
    pub fn add(&mut self, key: &[u8], deltas: &[i64]) {
        self.bytes.put_u8(TAG_ADD);
        self.bytes.put_bytes(key);
        self.bytes.put_varint(deltas.len() as u64);
        for &delta in deltas {
            self.bytes.put_varint(zigzag(delta));
        }
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == 1
    }

    /// The encoded record.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads the changes of a record in order; ends after the first error.
#[derive(Debug)]
pub struct Mutations<'a> {
    rest: Reader<'a>,
    failed: Option<RecordError>,
}

/// Starts to read `record`.
pub fn mutations(record: &[u8]) -> Mutations<'_> {
    let mut rest = Reader::new(record);
    let failed = match rest.u8() {
        Some(VERSION) => None,
        Some(newer) if newer > VERSION => Some(RecordError::NewerVersion(newer)),
        _ => Some(RecordError::Malformed),
    };
    Mutations { rest, failed }
}

fn read_mutation<'a>(r: &mut Reader<'a>) -> Option<Mutation<'a>> {
    match r.u8()? {
        TAG_PUT => Some(Mutation::Put { key: r.bytes()?, value: r.bytes()? }),
        TAG_DELETE => Some(Mutation::Delete { key: r.bytes()? }),
        TAG_ADD => {
            let key = r.bytes()?;
            let count = usize::try_from(r.varint()?).ok()?;
            // Each delta takes a byte at least, so a lying count can't reserve memory.
            if count > r.rest().len() {
                return None;
            }
            let deltas = (0..count).map(|_| r.varint().map(unzigzag)).collect::<Option<_>>()?;
            Some(Mutation::Add { key, deltas })
        }
        _ => None,
    }
}

impl<'a> Iterator for Mutations<'a> {
    type Item = Result<Mutation<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            self.rest = Reader::new(&[]);
            return Some(Err(error));
        }
        if self.rest.is_empty() {
            return None;
        }
        let mutation = read_mutation(&mut self.rest).ok_or(RecordError::Malformed);
        if mutation.is_err() {
            self.rest = Reader::new(&[]);
        }
        Some(mutation)
    }
}

/// The counters of a row that [`Mutation::Add`] made. Stops at the first malformed byte, which
/// only a value that is no row of counters has.
pub fn decode_counters(value: &[u8]) -> Vec<i64> {
    let mut r = Reader::new(value);
    let mut counters = Vec::new();
    while let Some(v) = r.varint() {
        counters.push(unzigzag(v));
    }
    counters
}

/// The value of a row of counters.
pub fn encode_counters(counters: &[i64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(counters.len() * 3);
    for &counter in counters {
        out.put_varint(zigzag(counter));
    }
    out
}

/// The value of a row after adding `deltas`. A shorter row counts as zeros; sums wrap.
pub(crate) fn add_counters(value: Option<&[u8]>, deltas: &[i64]) -> Vec<u8> {
    let mut counters = value.map_or_else(Vec::new, decode_counters);
    counters.resize(counters.len().max(deltas.len()), 0);
    for (counter, delta) in counters.iter_mut().zip(deltas) {
        *counter = counter.wrapping_add(*delta);
    }
    encode_counters(&counters)
}

fn zigzag(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)) as u64
}

fn unzigzag(v: u64) -> i64 {
    (v >> 1) as i64 ^ -((v & 1) as i64)
}
