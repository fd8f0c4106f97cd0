//! A function of two points over all pairs: in parallel over rows, one half if it is symmetric.

use hmm_core::special::vectorised;
use hmm_core::{Cancel, Error, Result};
use rayon::prelude::*;

/// `rows` points of dimension `d`, row-major.
#[derive(Debug, Clone, Copy)]
pub struct Points<'a> {
    values: &'a [f64],
    d: usize,
}

impl<'a> Points<'a> {
    /// View `values` as points of dimension `d`.
    ///
    /// # Errors
    /// If there is no point, `d` is 0, the length is no multiple of `d`, or a number is not finite.
    pub fn new(argument: &'static str, values: &'a [f64], d: usize) -> Result<Self> {
        if d == 0 || values.is_empty() || !values.len().is_multiple_of(d) {
            return Err(Error::shape(
                argument,
                &[values.len(), d],
                "must be (P, d) with P >= 1 and d >= 1",
                "pass one point per row",
            ));
        }
        if let Some(bad) = values.iter().find(|x| !x.is_finite()) {
            return Err(Error::invalid(
                argument,
                bad,
                "all entries must be finite",
                "remove NaN and infinity",
            ));
        }
        Ok(Self { values, d })
    }

    /// Number of points.
    pub fn count(&self) -> usize {
        self.values.len() / self.d
    }

    /// Dimension.
    pub fn dimension(&self) -> usize {
        self.d
    }

    /// All coordinates, row-major.
    pub fn values(&self) -> &'a [f64] {
        self.values
    }
}

/// Refuse two sets of points of different dimension.
pub fn same_dimension(x: Points<'_>, y: Points<'_>) -> Result<()> {
    if x.d == y.d {
        Ok(())
    } else {
        Err(Error::shape(
            "Y",
            &[y.count(), y.d],
            format!("must have the dimension d = {} of X", x.d),
            "pass points of one dimension",
        ))
    }
}

/// `out[i, j] = kernel(i, j)` for `rows` x `columns` pairs; only the half `j >= i` is computed if
/// `symmetric`, and mirrored.
pub fn fill(
    out: &mut [f64],
    columns: usize,
    symmetric: bool,
    cancel: &Cancel,
    kernel: impl Fn(usize, usize) -> f64 + Sync,
) -> Result<()> {
    out.par_chunks_mut(columns)
        .enumerate()
        .try_for_each(|(i, row)| {
            cancel.check()?;
            let first = if symmetric { i } else { 0 };
            vectorised(
                #[inline(always)]
                || {
                    for (j, entry) in row.iter_mut().enumerate().skip(first) {
                        *entry = kernel(i, j);
                    }
                },
            );
            Ok(())
        })?;
    if symmetric {
        mirror(out, columns);
    }
    Ok(())
}

/// Copy the upper half of a square matrix onto the lower one, tile by tile for the cache's sake.
fn mirror(square: &mut [f64], size: usize) {
    const TILE: usize = 64;
    for top in (0..size).step_by(TILE) {
        for left in (top..size).step_by(TILE) {
            for i in top..(top + TILE).min(size) {
                for j in left.max(i + 1)..(left + TILE).min(size) {
                    square[j * size + i] = square[i * size + j];
                }
            }
        }
    }
}
