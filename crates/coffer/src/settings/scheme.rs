//! Erasure schemes and which one a number of drives gets.

use std::fmt;

/// K data and M parity cells: any K of the K+M drives give everything back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Data cells.
    pub k: u8,
    /// Parity cells.
    pub m: u8,
}

/// The most drives of a set.
const DRIVES_MAX: usize = 24;

impl Erasure {
    /// How many drives it takes.
    pub fn drives(self) -> usize {
        usize::from(self.k) + usize::from(self.m)
    }

    /// Reads `K+M`.
    pub fn parse(text: &str) -> Result<Erasure, String> {
        let number = |part: &str| part.parse::<u8>().ok();
        let parsed = text.split_once('+').and_then(|(k, m)| Some((number(k)?, number(m)?)));
        let Some((k, m)) = parsed else {
            return Err(format!("{text:?} is not of the form K+M, such as 4+2"));
        };
        let erasure = Erasure { k, m };
        if k == 0 || erasure.drives() > DRIVES_MAX {
            return Err(format!("{text}: K must be at least 1 and K+M at most {DRIVES_MAX}"));
        }
        Ok(erasure)
    }
}

impl fmt::Display for Erasure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.k, self.m)
    }
}

/// The scheme for a number of drives: about a third of them parity, and never more than 4.
pub fn erasure_for(drives: usize) -> Option<Erasure> {
    let m = match drives {
        1 => 0,
        2 | 3 => 1,
        4..=6 => 2,
        7..=10 => 3,
        11..=DRIVES_MAX => 4,
        _ => return None,
    };
    Some(Erasure { k: (drives - m) as u8, m: m as u8 })
}
