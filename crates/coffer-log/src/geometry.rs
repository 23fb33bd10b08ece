//! How many data and parity cells.

/// An erasure scheme: any `k` of the `k + m` cells give the bytes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Data cells.
    pub k: u8,
    /// Parity cells.
    pub m: u8,
}

/// The most drives of one set: the checksums of all cells of a row must fit its header.
pub const DRIVES_MAX: usize = 24;

impl Geometry {
    /// Cells in all.
    pub fn cells(self) -> usize {
        usize::from(self.k) + usize::from(self.m)
    }

    /// Copies of the open commit segment: one more than the losses to survive.
    pub fn copies(self) -> usize {
        usize::from(self.m) + 1
    }

    /// The scheme for `live` drives of a set that was made for `self`: as many parities as
    /// before, as long as one drive is left for data.
    pub fn over(self, live: usize) -> Option<Geometry> {
        if live == 0 {
            return None;
        }
        if live >= self.cells() {
            return Some(self);
        }
        let m = usize::from(self.m).min(live - 1);
        Some(Geometry { k: (live - m) as u8, m: m as u8 })
    }
}

impl std::fmt::Display for Geometry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}+{}", self.k, self.m)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_drives_cost_data_cells_before_parity() {
        let set = Geometry { k: 4, m: 2 };
        let over = |live| set.over(live).map(|g| (g.k, g.m));
        assert_eq!(over(6), Some((4, 2)));
        assert_eq!(over(5), Some((3, 2)));
        assert_eq!(over(4), Some((2, 2)));
        assert_eq!(over(3), Some((1, 2)));
        assert_eq!(over(2), Some((1, 1)));
        assert_eq!(over(1), Some((1, 0)));
        assert_eq!(over(0), None);
    }
}
