//! Newtypes for every identity.

use std::fmt;

use crate::rng::Rng;

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u128);

        impl $name {
            /// Draws a new random (version 4) UUID.
            pub fn random(rng: &dyn Rng) -> Self {
                let mut bytes = [0u8; 16];
                rng.fill(&mut bytes);
                bytes[6] = bytes[6] & 0x0f | 0x40;
                bytes[8] = bytes[8] & 0x3f | 0x80;
                Self(u128::from_be_bytes(bytes))
            }

            /// Reads the hyphenated form that `Display` writes.
            pub fn parse(text: &str) -> Option<Self> {
                let well_formed = text.len() == 36
                    && text.bytes().enumerate().all(|(i, b)| match i {
                        8 | 13 | 18 | 23 => b == b'-',
                        _ => b.is_ascii_hexdigit(),
                    });
                if !well_formed {
                    return None;
                }
                u128::from_str_radix(&text.replace('-', ""), 16).ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // The reply to every request for an object has one: not by `{:x}`, which takes
                // twenty times as long.
                let mut text = [b'-'; 36];
                let mut at = 0;
                for byte in self.0.to_be_bytes() {
                    at += usize::from(matches!(at, 8 | 13 | 18 | 23));
                    for digit in [byte >> 4, byte & 15] {
                        text[at] = b"0123456789abcdef"[usize::from(digit)];
                        at += 1;
                    }
                }
                f.write_str(std::str::from_utf8(&text).expect("it is ASCII"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

random_id!(
    /// A store: everything that one `coffer serve` keeps.
    StoreId
);
random_id!(
    /// A drive: one directory, one failure domain.
    DriveId
);
random_id!(
    /// One life of the log, from a recovery decision to the next.
    EpochId
);
random_id!(
    /// One version of one object (what users see as `x-coffer-object-id`), and its payload.
    ObjectId
);

/// A bucket; never reused, unlike its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketId(pub u64);

/// A segment: epoch number in the upper 32 bits, a counter within the epoch in the lower.
/// So an id is never used twice, even when the creation of its file was lost.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SegmentId(pub u64);

impl SegmentId {
    /// The `counter`th segment of epoch number `epoch`.
    pub fn new(epoch: u32, counter: u32) -> Self {
        Self(u64::from(epoch) << 32 | u64::from(counter))
    }

    /// The number of the epoch that created it.
    pub fn epoch(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The place of a commit group in history: 1 for the first group of the store, then counting up
/// by one across segments and epochs. 0 stands before all history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);
