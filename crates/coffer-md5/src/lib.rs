//! MD5 of one stream, and of many streams in lock step.
//!
//! One stream can't go faster than its chain of dependent additions lets it, so a core that hashes
//! one is mostly idle. With a stream in each lane of the vector registers the same chain serves
//! eight or sixteen of them. The vector instructions are chosen by the processor at run time; where
//! there are none that help, each stream is hashed by itself.
//!
//! It does not know threads, queues or where bytes come from. It is a crate of its own so that it
//! is compiled with optimisation also in development.
//!
//! | module | concept |
//! |---|---|
//! | `lanes` | the compression function over vectors |
//! | here | [`Md5`]: streams cut anywhere, and [`update_together`] |
//!
//! Invariants:
//! 1. What a digest is does not depend on how its stream was cut, nor on the streams beside it.
//! 2. The plain way is the `md-5` crate's, and every other way is tested against it.
//!
//! Read [`update_together`] first.

mod lanes;

use lanes::Vectors;

#[cfg(test)]
mod tests;

/// What MD5 compresses at once.
const BLOCK_BYTES: usize = 64;
/// The most streams that [`update_together`] takes in one go; more go in several.
pub const LANES_MAX: usize = lanes::LANES_WIDE;

/// Four words, as RFC 1321 names them: A, B, C, D.
type State = [u32; 4];

const START: State = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// The MD5 of a stream, being computed.
#[derive(Clone, Debug)]
pub struct Md5 {
    state: State,
    /// The begun block; as much of it as `bytes` says.
    begun: [u8; BLOCK_BYTES],
    /// Taken so far.
    bytes: u64,
}

impl Default for Md5 {
    fn default() -> Self {
        Self { state: START, begun: [0; BLOCK_BYTES], bytes: 0 }
    }
}

impl Md5 {
    /// Takes the next bytes of the stream.
    pub fn update(&mut self, data: &[u8]) {
        let rest = self.complete(data);
        let (blocks, tail) = rest.as_chunks();
        compress(&mut self.state, blocks);
        self.begin(tail);
    }

    /// The digest of all bytes taken.
    pub fn finish(mut self) -> [u8; 16] {
        let bits = self.bytes.wrapping_mul(8);
        let used = self.begun_bytes();
        let mut end = [0; 2 * BLOCK_BYTES];
        end[..used].copy_from_slice(&self.begun[..used]);
        end[used] = 0x80;
        let len = if used + 9 <= BLOCK_BYTES { BLOCK_BYTES } else { 2 * BLOCK_BYTES };
        end[len - 8..len].copy_from_slice(&bits.to_le_bytes());
        compress(&mut self.state, end[..len].as_chunks().0);
        let mut digest = [0; 16];
        for (out, word) in digest.as_chunks_mut().0.iter_mut().zip(self.state) {
            *out = word.to_le_bytes();
        }
        digest
    }

    fn begun_bytes(&self) -> usize {
        (self.bytes % BLOCK_BYTES as u64) as usize
    }

    /// Completes the begun block with the first of `data`, and counts all of it; gives what is left
    /// to be taken. Nothing is left when the block is still not full.
    fn complete<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        let used = self.begun_bytes();
        self.bytes = self.bytes.wrapping_add(data.len() as u64);
        if used == 0 {
            return data;
        }
        let (first, rest) = data.split_at(data.len().min(BLOCK_BYTES - used));
        self.begun[used..used + first.len()].copy_from_slice(first);
        if used + first.len() == BLOCK_BYTES {
            compress(&mut self.state, &[self.begun]);
        }
        rest
    }

    /// Keeps `tail`, shorter than a block, which follows on whole blocks.
    fn begin(&mut self, tail: &[u8]) {
        if !tail.is_empty() {
            self.begun[..tail.len()].copy_from_slice(tail);
        }
    }
}

/// The plain way.
fn compress(state: &mut State, blocks: &[[u8; BLOCK_BYTES]]) {
    md5::block_api::compress(state, blocks);
}

/// Whether this processor hashes several streams in the time of one.
pub fn has_lanes() -> bool {
    Vectors::of_processor().is_some()
}

/// Gives each stream its next bytes, as [`Md5::update`] would, and hashes them in lock step as far
/// as they go. Streams whose bytes are of about one length gain most.
pub fn update_together(streams: &mut [(&mut Md5, &[u8])]) {
    let vectors = Vectors::of_processor();
    for streams in streams.chunks_mut(LANES_MAX) {
        update_with(vectors, streams);
    }
}

fn update_with(vectors: Option<Vectors>, streams: &mut [(&mut Md5, &[u8])]) {
    let (Some(vectors), 2..) = (vectors, streams.len()) else {
        streams.iter_mut().for_each(|(md5, data)| md5.update(data));
        return;
    };
    for (md5, data) in streams.iter_mut() {
        *data = md5.complete(data);
    }
    // The longest first: so those that have blocks left are always the first ones.
    streams.sort_unstable_by_key(|(_, data)| std::cmp::Reverse(data.len()));
    let mut active = streams.len();
    loop {
        let whole = |data: &[u8]| data.len() / BLOCK_BYTES;
        active = streams[..active].iter().take_while(|(_, data)| whole(data) > 0).count();
        match active {
            0 => break,
            1 => {
                let (md5, data) = &mut streams[0];
                let (blocks, tail) = data.as_chunks();
                compress(&mut md5.state, blocks);
                *data = tail;
            }
            _ => {
                let blocks = whole(streams[active - 1].1);
                vectors.compress(&mut streams[..active], blocks);
                for (_, data) in &mut streams[..active] {
                    *data = &data[blocks * BLOCK_BYTES..];
                }
            }
        }
    }
    for (md5, tail) in streams {
        md5.begin(tail);
    }
}
