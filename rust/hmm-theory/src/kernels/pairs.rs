//! A function of two points over all pairs: in parallel over rows, one half if it is symmetric.

use hmm_core::memory::{bytes_of, filled, require};
use hmm_core::special::vectorised;
use hmm_core::{Cancel, Error, Result};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, CowArray, Ix2};
use rayon::prelude::*;

/// Entries of a row between two looks at the flag.
const STRETCH: usize = 4096;

/// Row `i` of numbers that lie in rows of `width`.
#[inline(always)]
#[expect(
    clippy::indexing_slicing,
    reason = "asked for points that `Pair::fill` counts, of rows made point by point"
)]
pub fn row(numbers: &[f64], width: usize, i: usize) -> &[f64] {
    &numbers[i * width..(i + 1) * width]
}

/// Points of one kernel evaluation, as contiguous rows.
pub struct Points<'a> {
    values: CowArray<'a, f64, Ix2>,
}

impl<'a> Points<'a> {
    /// The rows of `values`.
    ///
    /// # Errors
    /// If there is no point or no coordinate, or a number is not finite.
    pub fn new(argument: &'static str, values: ArrayView2<'a, f64>) -> Result<Self> {
        if values.is_empty() {
            return Err(Error::shape(
                argument,
                values.shape(),
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
        if !values.is_standard_layout() {
            require(
                bytes_of::<f64>(values.len()),
                "a copy of the points",
                "pass fewer",
            )?;
        }
        Ok(Self {
            values: if values.is_standard_layout() {
                values.into()
            } else {
                values.as_standard_layout().into_owned().into()
            },
        })
    }

    /// Number of points.
    pub fn count(&self) -> usize {
        self.values.nrows()
    }

    /// Dimension.
    pub fn dimension(&self) -> usize {
        self.values.ncols()
    }

    /// All coordinates, row by row.
    pub fn values(&self) -> &[f64] {
        // In one piece by construction.
        self.values.as_slice().unwrap_or_default()
    }
}

/// Both sets of points: `y = None` stands for `y = x`.
pub struct Pair<'a> {
    pub x: Points<'a>,
    other: Option<Points<'a>>,
}

impl<'a> Pair<'a> {
    /// The points of a kernel.
    ///
    /// # Errors
    /// As [`Points::new`]; if dimensions differ.
    pub fn new(x: ArrayView2<'a, f64>, y: Option<ArrayView2<'a, f64>>) -> Result<Self> {
        let x = Points::new("X", x)?;
        let other = y.map(|y| Points::new("Y", y)).transpose()?;
        if let Some(y) = &other
            && y.dimension() != x.dimension()
        {
            return Err(Error::shape(
                "Y",
                &[y.count(), y.dimension()],
                format!("must have the dimension d = {} of X", x.dimension()),
                "pass points of one dimension",
            ));
        }
        Ok(Self { x, other })
    }

    /// The second set.
    pub fn y(&self) -> &Points<'a> {
        self.other.as_ref().unwrap_or(&self.x)
    }

    /// Whether both sets are one.
    pub fn is_symmetric(&self) -> bool {
        self.other.is_none()
    }

    /// An array for the result, in memory that was asked for.
    ///
    /// # Errors
    /// [`Error::Resource`].
    pub fn zeros(&self) -> Result<Array2<f64>> {
        let shape = (self.x.count(), self.y().count());
        let count = shape.0.saturating_mul(shape.1);
        let zeros = filled(0.0, count, "a kernel", "pass fewer points")?;
        Ok(Array2::from_shape_vec(shape, zeros).unwrap_or_default())
    }

    /// `out[i, j] = kernel(i, j)` for all pairs; only the half `j >= i` is computed if both sets are one, and mirrored.
    ///
    /// # Errors
    /// [`Error::Shape`] if `out` does not fit, [`Error::Interrupted`].
    pub fn fill(
        &self,
        mut out: ArrayViewMut2<'_, f64>,
        cancel: &Cancel,
        kernel: impl Fn(usize, usize) -> f64 + Sync,
    ) -> Result<()> {
        let (rows, columns) = (self.x.count(), self.y().count());
        let found = out.shape().to_vec();
        let out = out
            .as_slice_mut()
            .filter(|_| found == [rows, columns])
            .ok_or_else(|| {
                Error::shape(
                    "out",
                    &found,
                    format!("must be ({rows}, {columns}), row by row"),
                    "pass a contiguous array",
                )
            })?;
        out.par_chunks_mut(columns)
            .enumerate()
            .try_for_each(|(i, row)| {
                let first = if self.is_symmetric() { i } else { 0 };
                let rest = row.get_mut(first..).unwrap_or_default();
                for (stretch, row) in rest.chunks_mut(STRETCH).enumerate() {
                    cancel.check()?;
                    let first = first + stretch * STRETCH;
                    vectorised(
                        #[inline(always)]
                        || {
                            for (j, entry) in row.iter_mut().enumerate() {
                                *entry = kernel(i, first + j);
                            }
                        },
                    );
                }
                Ok(())
            })?;
        if self.is_symmetric() {
            mirror(out, columns, cancel)?;
        }
        Ok(())
    }
}

/// Copy the upper half of a square matrix onto the lower one, tile by tile for the cache's sake.
#[expect(
    clippy::indexing_slicing,
    reason = "tiles end at the size of the square, whose length `fill` has checked"
)]
fn mirror(square: &mut [f64], size: usize, cancel: &Cancel) -> Result<()> {
    const TILE: usize = 64;
    for top in (0..size).step_by(TILE) {
        cancel.check()?;
        for left in (top..size).step_by(TILE) {
            for i in top..(top + TILE).min(size) {
                for j in left.max(i + 1)..(left + TILE).min(size) {
                    square[j * size + i] = square[i * size + j];
                }
            }
        }
    }
    Ok(())
}
