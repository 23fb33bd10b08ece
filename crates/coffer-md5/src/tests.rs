use md5::Digest as _;

use super::*;

fn plain(data: &[u8]) -> [u8; 16] {
    md5::Md5::digest(data).into()
}

/// Pseudo-random numbers: xorshift64*.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 32) as u8).collect()
    }
}

/// The test suite of RFC 1321, A.5.
#[test]
fn one_stream_gives_the_published_digests() {
    let hex = |digest: [u8; 16]| digest.map(|byte| format!("{byte:02x}")).concat();
    for (text, digest) in [
        ("", "d41d8cd98f00b204e9800998ecf8427e"),
        ("a", "0cc175b9c0f1b6a831c399e269772661"),
        ("abc", "900150983cd24fb0d6963f7d28e17f72"),
        ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
        (
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            "d174ab98d277d9f5a5611c2c9f419d9f",
        ),
        (
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
            "57edf4a22be3c955ac49da2e2107b67a",
        ),
    ] {
        let mut md5 = Md5::default();
        md5.update(text.as_bytes());
        assert_eq!(hex(md5.finish()), digest, "{text:?}");
    }
}

#[test]
fn every_length_around_the_padding_and_every_cut_of_it() {
    let data = Numbers(3).bytes(200);
    for len in 0..=data.len() {
        for cut in [0, 1, len / 2, len.saturating_sub(1), len] {
            let (first, rest) = data[..len].split_at(cut.min(len));
            let mut md5 = Md5::default();
            md5.update(first);
            md5.update(rest);
            assert_eq!(md5.finish(), plain(&data[..len]), "{len} cut at {cut}");
        }
    }
}

/// Any number of streams of any lengths, cut anywhere, with every set of instructions.
#[test]
fn together_each_stream_gives_what_it_gives_alone() {
    let all = Vectors::all_here();
    let ways = all.into_iter().map(Some).chain([None]);
    for (way, vectors) in ways.enumerate() {
        let mut numbers = Numbers(7 + way as u64);
        for round in 0..120 {
            let count = 1 + numbers.below(LANES_MAX);
            let len_max = [70, 300, 5000][round % 3];
            let bodies: Vec<Vec<u8>> = (0..count)
                .map(|_| {
                    let len = numbers.below(len_max);
                    numbers.bytes(len)
                })
                .collect();
            let mut streams: Vec<(Md5, &[u8])> =
                bodies.iter().map(|body| (Md5::default(), &body[..])).collect();
            while streams.iter().any(|(_, left)| !left.is_empty()) {
                // Some have nothing this time.
                let mut now: Vec<(&mut Md5, &[u8])> = Vec::new();
                for (md5, left) in &mut streams {
                    if numbers.below(4) > 0 {
                        let (piece, rest) = left.split_at(numbers.below(left.len() + 1));
                        *left = rest;
                        now.push((md5, piece));
                    }
                }
                update_with(vectors, &mut now);
            }
            for ((md5, _), body) in streams.into_iter().zip(&bodies) {
                assert_eq!(md5.finish(), plain(body), "round {round}, {count} streams");
            }
        }
    }
}
