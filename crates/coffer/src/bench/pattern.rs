//! What is in an object: bytes that follow from its key, its size and the seed.
//!
//! An object is cut into chunks of 256 KiB. A chunk begins with 16 bytes made of the key and the
//! chunk's number, and goes on with a stretch of a shared block of noise that begins at a place
//! made of the same. So a body costs next to no CPU time to make and to compare, and a chunk of
//! another object, in another place, cut or torn, is not taken for the right one.

use bytes::{Bytes, BytesMut};

const CHUNK_BYTES: usize = 256 << 10;
const HEAD_BYTES: usize = 16;
const NOISE_BYTES: usize = 1 << 20;
/// Bodies up to this size are one buffer, so that headers and body leave in one write.
const JOINED_BYTES_MAX: u64 = 64 << 10;

/// Scrambles 64 bits (the finisher of SplitMix64).
pub fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The contents of all objects of one seed.
#[derive(Clone, Debug)]
pub struct Pattern {
    seed: u64,
    noise: Bytes,
}

impl Pattern {
    /// The contents that `seed` gives.
    pub fn new(seed: u64) -> Self {
        let mut noise = BytesMut::with_capacity(NOISE_BYTES + CHUNK_BYTES);
        let mut state = mix(seed);
        while noise.len() < NOISE_BYTES + CHUNK_BYTES {
            state = mix(state);
            noise.extend_from_slice(&state.to_le_bytes());
        }
        Self { seed, noise: noise.freeze() }
    }

    /// The body of `key`, in pieces.
    pub fn body(&self, key: &str, size: u64) -> Vec<Bytes> {
        let name = self.name(key);
        let mut pieces = Vec::new();
        let mut left = size;
        let mut chunk = 0;
        while left > 0 {
            let (head, noise) = self.chunk(name, chunk);
            let head_len = left.min(HEAD_BYTES as u64) as usize;
            pieces.push(Bytes::copy_from_slice(&head[..head_len]));
            let noise_len = (left - head_len as u64).min(noise.len() as u64) as usize;
            if noise_len > 0 {
                pieces.push(noise.slice(..noise_len));
            }
            left -= (head_len + noise_len) as u64;
            chunk += 1;
        }
        if size <= JOINED_BYTES_MAX && pieces.len() > 1 {
            return vec![Bytes::from(pieces.concat())];
        }
        pieces
    }

    /// Compares a body that arrives in pieces.
    pub fn check(&self, key: &str, size: u64) -> Check<'_> {
        Check { pattern: self, name: self.name(key), size, position: 0 }
    }

    fn name(&self, key: &str) -> u64 {
        coffer_base::checksum::checksum(self.seed, key.as_bytes())
    }

    /// The first bytes of a chunk, and the rest.
    fn chunk(&self, name: u64, chunk: u64) -> ([u8; HEAD_BYTES], Bytes) {
        let place = mix(name.wrapping_add(chunk));
        let mut head = [0; HEAD_BYTES];
        head[..8].copy_from_slice(&place.to_le_bytes());
        head[8..].copy_from_slice(&mix(place).to_le_bytes());
        let start = (mix(!place) % NOISE_BYTES as u64) as usize;
        (head, self.noise.slice(start..start + CHUNK_BYTES - HEAD_BYTES))
    }
}

/// Compares the bytes of one object as they come.
pub struct Check<'a> {
    pattern: &'a Pattern,
    name: u64,
    size: u64,
    position: u64,
}

impl Check<'_> {
    /// Compares the next bytes; the error says where they differ.
    pub fn feed(&mut self, mut data: &[u8]) -> Result<(), String> {
        while !data.is_empty() {
            if self.position == self.size {
                return Err(format!("more than the {} bytes of the object came", self.size));
            }
            let within = (self.position % CHUNK_BYTES as u64) as usize;
            let (head, noise) = self.pattern.chunk(self.name, self.position / CHUNK_BYTES as u64);
            let expected = match within {
                0..HEAD_BYTES => &head[within..],
                _ => &noise[within - HEAD_BYTES..],
            };
            let n = expected.len().min(data.len()).min((self.size - self.position) as usize);
            if data[..n] != expected[..n] {
                let at = data.iter().zip(expected).take_while(|(a, b)| a == b).count() as u64;
                return Err(format!("wrong byte at {} of {}", self.position + at, self.size));
            }
            self.position += n as u64;
            data = &data[n..];
        }
        Ok(())
    }

    /// Whether all bytes came.
    pub fn finish(self) -> Result<(), String> {
        if self.position == self.size {
            Ok(())
        } else {
            Err(format!("only {} of {} bytes came", self.position, self.size))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(pattern: &Pattern, key: &str, size: u64) -> Vec<u8> {
        pattern.body(key, size).concat()
    }

    #[test]
    fn a_body_has_its_size_and_passes_its_own_check_in_any_pieces() {
        let pattern = Pattern::new(3);
        let chunk = CHUNK_BYTES as u64;
        for size in [0, 1, 15, 16, 17, 4096, JOINED_BYTES_MAX + 1, chunk, chunk + 1, 3 * chunk + 9]
        {
            let body = whole(&pattern, "key", size);
            assert_eq!(body.len() as u64, size);
            for piece in [1000, 4096, 1 << 20] {
                let mut check = pattern.check("key", size);
                body.chunks(piece).for_each(|data| check.feed(data).unwrap());
                check.finish().unwrap();
            }
        }
    }

    #[test]
    fn every_kind_of_wrong_body_is_noticed() {
        let pattern = Pattern::new(3);
        let size = 2 * CHUNK_BYTES as u64 + 100;
        let right = whole(&pattern, "key", size);
        let verdict = |body: &[u8]| {
            let mut check = pattern.check("key", size);
            check.feed(body).and_then(|()| check.finish())
        };
        verdict(&right).unwrap();
        verdict(&right[..right.len() - 1]).unwrap_err();
        verdict(&[&right[..], &[0]].concat()).unwrap_err();
        verdict(&whole(&pattern, "other", size)).unwrap_err();
        verdict(&whole(&Pattern::new(4), "key", size)).unwrap_err();
        let mut flipped = right.clone();
        flipped[CHUNK_BYTES + 50] ^= 1;
        assert_eq!(verdict(&flipped), Err(format!("wrong byte at {} of {size}", CHUNK_BYTES + 50)));
        let mut swapped = right.clone();
        swapped[..2 * CHUNK_BYTES].rotate_left(CHUNK_BYTES);
        verdict(&swapped).unwrap_err();
    }
}
