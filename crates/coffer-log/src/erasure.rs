//! Erasure coding: any `k` of the `k + m` cells of a row give all of them back.
//!
//! Over GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1 (0x11d), byte by byte: let `p` be the polynomial
//! of degree below `k` whose value at point `c` is the byte of data cell `c`. The byte of parity
//! cell `i` is `p(k + i)`. So with one data cell every parity cell is a copy of it. The matrix is
//! part of the on-drive formats (`docs/formats/bulk-rows.md`) and never changes.

use std::sync::{Arc, RwLock};

use rusty_erasure::compat::reed_solomon_erasure_matrix;

use crate::geometry::Geometry;

/// The coders made so far. There is one for each scheme in use, and those are few.
static CODERS: RwLock<Vec<Coder>> = RwLock::new(Vec::new());

/// Codes the cells of one scheme. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Coder {
    geometry: Geometry,
    /// `None` when there is no parity.
    engine: Option<Arc<rusty_erasure::Coder>>,
}

impl Coder {
    /// The coder of `geometry`; made once a process.
    pub fn new(geometry: Geometry) -> Coder {
        let known = |coders: &[Coder]| coders.iter().find(|c| c.geometry == geometry).cloned();
        if let Some(coder) = known(&CODERS.read().expect("no holder panics")) {
            return coder;
        }
        let made = Coder::make(geometry);
        let mut coders = CODERS.write().expect("no holder panics");
        known(&coders).unwrap_or_else(|| {
            coders.push(made.clone());
            made
        })
    }

    fn make(geometry: Geometry) -> Coder {
        let (k, m) = (usize::from(geometry.k), usize::from(geometry.m));
        let engine = (m > 0).then(|| {
            let matrix = reed_solomon_erasure_matrix(k, m)
                .unwrap_or_else(|e| panic!("no matrix for {geometry}: {e}"));
            Arc::new(
                rusty_erasure::coder(matrix)
                    .unwrap_or_else(|e| panic!("no coder for {geometry}: {e}")),
            )
        });
        Coder { geometry, engine }
    }

    /// Fills `parity` (`m` cells) from `data` (`k` cells), all of one length.
    pub fn encode(&self, data: &[&[u8]], parity: &mut [&mut [u8]]) {
        let wanted = (usize::from(self.geometry.k), usize::from(self.geometry.m));
        assert_eq!((data.len(), parity.len()), wanted, "cells of {}", self.geometry);
        if let Some(engine) = &self.engine {
            engine.encode(data, parity).expect("cells of one length");
        }
    }

    /// The cell `wanted` from any `k` of the others; `None` when fewer are there. `cells` has an
    /// entry for each of the `k + m` cells; those that are there are of one length. A cell that is
    /// there itself is returned as it is.
    pub fn reconstruct(&self, cells: &[Option<&[u8]>], wanted: usize) -> Option<Vec<u8>> {
        assert_eq!(cells.len(), self.geometry.cells(), "cells of {}", self.geometry);
        if let Some(cell) = cells[wanted] {
            return Some(cell.to_vec());
        }
        let len = cells.iter().flatten().next()?.len();
        let mut out = vec![0u8; len];
        self.reconstruct_into(cells, &[wanted], &mut [&mut out]).then_some(out)
    }

    /// [`Coder::reconstruct`] for several cells at once: `out[i]` becomes cell `wanted[i]`. False
    /// when fewer than `k` cells are there; then `out` is as before.
    pub fn reconstruct_into(
        &self,
        cells: &[Option<&[u8]>],
        wanted: &[usize],
        out: &mut [&mut [u8]],
    ) -> bool {
        if cells.iter().flatten().count() < usize::from(self.geometry.k) {
            return false;
        }
        if wanted.is_empty() {
            // The engine wants at least one.
            return true;
        }
        match &self.engine {
            Some(engine) => {
                engine.recover(cells, wanted, out).expect("k cells of one length");
            }
            // Without parity, k cells are all cells.
            None => {
                for (cell, out) in wanted.iter().zip(out) {
                    out.copy_from_slice(cells[*cell].expect("all cells are there"));
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
