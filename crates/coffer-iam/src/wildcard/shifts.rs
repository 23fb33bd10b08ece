//! Where a run with `?` matches first: all places at once, with a bit for each token of the run
//! (the bit-parallel search of Baeza-Yates and Gonnet, "shift-and").
//!
//! A step is 64 tokens on one byte of the name, so the time is the run's length plus the name's ×
//! one word for each 64 tokens.

use super::{ONE, Token, next_char};

const BITS: usize = u64::BITS as usize;

/// Where the first match of `run` ends that begins at `from` or later. `run` is not empty.
pub(super) fn find(run: &[Token], name: &[u8], from: usize, steps: &mut usize) -> Option<usize> {
    let words = run.len().div_ceil(BITS);
    // Which tokens each byte fits: a row of bits for each byte that the run has. Row 0 is of all
    // others.
    let mut row_of = [0_usize; 256];
    let mut rows = vec![0_u64; words];
    let mut any = vec![0_u64; words];
    for (i, &token) in run.iter().enumerate() {
        let bit = 1 << (i % BITS);
        if token == ONE {
            any[i / BITS] |= bit;
            continue;
        }
        let row = &mut row_of[usize::from(token)];
        if *row == 0 {
            *row = rows.len();
            rows.resize(rows.len() + words, 0);
        }
        rows[*row + i / BITS] |= bit;
    }
    *steps += run.len() + rows.len();
    let last = 1 << ((run.len() - 1) % BITS);
    // Bit i: the tokens up to the i-th match what ends with the byte that was looked at last.
    let mut state = vec![0_u64; words];
    for (at, &byte) in name.iter().enumerate().skip(from) {
        *steps += words;
        let fits = &rows[row_of[usize::from(byte)]..][..words];
        // A match begins where a character does, and a `?` stays matched until its character ends.
        let begins = byte & 0xc0 != 0x80;
        let mut carry = u64::from(begins);
        for (word, state) in state.iter_mut().enumerate() {
            let moved = (*state << 1) | carry;
            carry = *state >> (BITS - 1);
            *state = match begins {
                true => moved & (fits[word] | any[word]),
                false => (moved & fits[word]) | (*state & any[word]),
            };
        }
        if state[words - 1] & last != 0 {
            return Some(if run[run.len() - 1] == ONE { next_char(name, at) } else { at + 1 });
        }
    }
    None
}
