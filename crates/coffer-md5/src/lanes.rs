//! The compression function of RFC 1321 over vectors: lane `i` of each belongs to stream `i`.

use std::array::from_fn;
use std::ops::{Add, BitAnd, BitOr, BitXor, Not, Shl, Shr};

use fearless_simd::prelude::*;
use fearless_simd::{Level, Simd, dispatch, u32x8, u32x16};

use super::{BLOCK_BYTES, Md5, START, State};

/// Lanes of the narrow way. With fewer streams the others idle: they cost nothing, as the chain of
/// one lane takes as long as that of eight.
const LANES_NARROW: usize = 8;
/// Lanes of the wide way, taken when the narrow one has too few.
pub(crate) const LANES_WIDE: usize = 16;

/// The additive constants: the first 32 bits of the fraction of `|sin(i + 1)|`.
#[rustfmt::skip]
const SINES: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];

/// The vector instructions of this processor.
#[derive(Clone, Copy)]
pub(crate) struct Vectors(Level);

impl Vectors {
    /// `None` where lock step is not known to be faster than one stream after the other.
    pub fn of_processor() -> Option<Vectors> {
        let level = Level::new();
        #[cfg(target_arch = "x86_64")]
        let helps = level.as_avx2().is_some();
        #[cfg(not(target_arch = "x86_64"))]
        let helps = false;
        helps.then_some(Vectors(level))
    }

    /// All sets of instructions that this processor has, for tests.
    #[cfg(test)]
    pub fn all_here() -> Vec<Vectors> {
        let level = Level::new();
        let mut all = vec![Vectors(level), Vectors(Level::baseline())];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(level.as_avx2().map(|avx2| Vectors(Level::Avx2(avx2))));
            all.extend(level.as_sse4_2().map(|sse| Vectors(Level::Sse4_2(sse))));
        }
        all
    }

    /// Compresses the first `blocks` blocks of each stream's bytes; at most [`LANES_WIDE`] streams.
    pub fn compress(self, streams: &mut [(&mut Md5, &[u8])], blocks: usize) {
        let level = self.0;
        if streams.len() <= LANES_NARROW {
            dispatch!(level, simd => narrow(simd, streams, blocks));
        } else {
            dispatch!(level, simd => wide(simd, streams, blocks));
        }
    }
}

#[inline(always)]
fn narrow<S: Simd>(simd: S, streams: &mut [(&mut Md5, &[u8])], blocks: usize) {
    const L: usize = LANES_NARROW;
    let inputs: [&[u8]; L] = inputs(streams, blocks);
    let states: [State; L] = states(streams);
    let mut vectors: [u32x8<S>; 4] =
        from_fn(|word| u32x8::from_slice(simd, &from_fn::<_, L, _>(|lane| states[lane][word])));
    for at in 0..blocks {
        // Two halves of a block, each of as many words as there are lanes.
        let mut words: [u32x8<S>; 16] = from_fn(|i| {
            let (lane, half) = (i % L, i / L);
            let block: [u32; 16] = words_of(inputs[lane], at);
            u32x8::from_slice(simd, &block[half * L..][..L])
        });
        // Shuffling halves into each other turns lanes into words in as many steps as a number
        // below L has bits.
        for _ in 0..L.ilog2() {
            words = from_fn(|i| {
                let (half, i) = (i / L * L, i % L);
                let (low, high) = (words[half + i / 2], words[half + i / 2 + L / 2]);
                if i.is_multiple_of(2) { low.zip_low(high) } else { low.zip_high(high) }
            });
        }
        compress(
            &mut vectors,
            &words,
            #[inline(always)]
            |sine| u32x8::splat(simd, sine),
        );
    }
    keep(streams, |lane, word| vectors[word].as_slice()[lane]);
}

#[inline(always)]
fn wide<S: Simd>(simd: S, streams: &mut [(&mut Md5, &[u8])], blocks: usize) {
    const L: usize = LANES_WIDE;
    let inputs: [&[u8]; L] = inputs(streams, blocks);
    let states: [State; L] = states(streams);
    let mut vectors: [u32x16<S>; 4] =
        from_fn(|word| u32x16::from_slice(simd, &from_fn::<_, L, _>(|lane| states[lane][word])));
    for at in 0..blocks {
        let mut words: [u32x16<S>; 16] =
            from_fn(|lane| u32x16::from_slice(simd, &words_of(inputs[lane], at)));
        for _ in 0..L.ilog2() {
            words = from_fn(|i| {
                let (low, high) = (words[i / 2], words[i / 2 + L / 2]);
                if i.is_multiple_of(2) { low.zip_low(high) } else { low.zip_high(high) }
            });
        }
        compress(
            &mut vectors,
            &words,
            #[inline(always)]
            |sine| u32x16::splat(simd, sine),
        );
    }
    keep(streams, |lane, word| vectors[word].as_slice()[lane]);
}

/// The bytes of each lane. Those without a stream hash the first one's, for nobody.
#[inline(always)]
fn inputs<'a, const L: usize>(streams: &[(&mut Md5, &'a [u8])], blocks: usize) -> [&'a [u8]; L] {
    from_fn(|lane| &streams.get(lane).unwrap_or(&streams[0]).1[..blocks * BLOCK_BYTES])
}

#[inline(always)]
fn states<const L: usize>(streams: &[(&mut Md5, &[u8])]) -> [State; L] {
    from_fn(|lane| streams.get(lane).map_or(START, |(md5, _)| md5.state))
}

#[inline(always)]
fn keep(streams: &mut [(&mut Md5, &[u8])], word_of: impl Fn(usize, usize) -> u32) {
    for (lane, (md5, _)) in streams.iter_mut().enumerate() {
        md5.state = from_fn(|word| word_of(lane, word));
    }
}

/// The words of block `at`.
#[inline(always)]
fn words_of(input: &[u8], at: usize) -> [u32; 16] {
    let bytes = input[at * BLOCK_BYTES..][..BLOCK_BYTES].as_chunks().0;
    from_fn(|word| u32::from_le_bytes(bytes[word]))
}

/// What RFC 1321 does to words, of one lane or many.
trait Word:
    Copy
    + Add<Output = Self>
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
    + Not<Output = Self>
    + Shl<u32, Output = Self>
    + Shr<u32, Output = Self>
{
}

impl<S: Simd> Word for u32x8<S> {}
impl<S: Simd> Word for u32x16<S> {}

// F and G as the RFC has them, with one operation less.
#[inline(always)]
fn f<W: Word>(x: W, y: W, z: W) -> W {
    ((y ^ z) & x) ^ z
}

#[inline(always)]
fn g<W: Word>(x: W, y: W, z: W) -> W {
    ((x ^ y) & z) ^ y
}

#[inline(always)]
fn h<W: Word>(x: W, y: W, z: W) -> W {
    x ^ (y ^ z)
}

#[inline(always)]
fn i<W: Word>(x: W, y: W, z: W) -> W {
    y ^ (x | !z)
}

#[inline(always)]
fn rotate<W: Word>(word: W, by: u32) -> W {
    (word << by) | (word >> (32 - by))
}

#[inline(always)]
fn compress<W: Word>(state: &mut [W; 4], words: &[W; 16], splat: impl Fn(u32) -> W + Copy) {
    let [mut a, mut b, mut c, mut d] = *state;
    macro_rules! step {
        ($f:ident, $a:ident $b:ident $c:ident $d:ident, $step:expr, $word:expr, $by:expr) => {
            let addend = words[$word % 16] + splat(SINES[$step]);
            $a = rotate($a + addend + $f($b, $c, $d), $by) + $b;
        };
    }
    macro_rules! four_steps {
        ($f:ident, $step:expr, $word_of:expr, $by:expr) => {
            step!($f, a b c d, $step, $word_of($step), $by[0]);
            step!($f, d a b c, $step + 1, $word_of($step + 1), $by[1]);
            step!($f, c d a b, $step + 2, $word_of($step + 2), $by[2]);
            step!($f, b c d a, $step + 3, $word_of($step + 3), $by[3]);
        };
    }
    macro_rules! round {
        ($f:ident, $step:expr, $word_of:expr, $by:expr) => {
            four_steps!($f, $step, $word_of, $by);
            four_steps!($f, $step + 4, $word_of, $by);
            four_steps!($f, $step + 8, $word_of, $by);
            four_steps!($f, $step + 12, $word_of, $by);
        };
    }
    round!(f, 0, |step: usize| step, [7, 12, 17, 22]);
    round!(g, 16, |step: usize| 5 * step + 1, [5, 9, 14, 20]);
    round!(h, 32, |step: usize| 3 * step + 5, [4, 11, 16, 23]);
    round!(i, 48, |step: usize| 7 * step, [6, 10, 15, 21]);
    *state = [state[0] + a, state[1] + b, state[2] + c, state[3] + d];
}
