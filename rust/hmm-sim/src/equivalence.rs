//! What tests of Gaussian equivalence ask of samples: the mean of a Gaussian kernel over pairs of points, from which the
//! distance of two clouds is made (maximum mean discrepancy).
//!
//! ```
//! use hmm_core::Cancel;
//! use hmm_sim::equivalence::mean_pair_kernel;
//! use hmm_sim::weights::layer_weights;
//! use ndarray::Array2;
//! // Standard normal points in d dimensions have the mean (1 + 2/width^2)^(-d/2).
//! let (d, width, cancel) = (2, 1.0, Cancel::new());
//! let mut points = Array2::zeros((2000, d));
//! layer_weights(&[5; 8], 0, points.as_slice_mut().unwrap(), &cancel)?;
//! let found = mean_pair_kernel(points.view(), width, &cancel)?;
//! // Five standard errors: a point's own mean varies by .15, and counts twice.
//! assert!((found - 1.0 / 3.0).abs() < 5.0 * 2.0 * 0.15 / 2000_f64.sqrt());
//! # Ok::<(), hmm_core::Error>(())
//! ```

use hmm_core::parallel::sum_chunks;
use hmm_core::special::f64::exp;
use hmm_core::special::vectorised;
use hmm_core::{Cancel, Error, Result};
use ndarray::ArrayView2;

/// Points whose pairs with all before them make one partial sum.
const CHUNK: usize = 64;
/// Points that one point is laid against at a time, so that their distances stay in the first cache.
const BLOCK: usize = 512;

/// `mean over i != j of exp(-|x_i - x_j|^2/(2 width^2))` of points (n, d), n >= 2.
///
/// The bits do not depend on the number of threads.
///
/// # Errors
/// Fewer than two points, an interruption.
pub fn mean_pair_kernel(points: ArrayView2<'_, f64>, width: f64, cancel: &Cancel) -> Result<f64> {
    let (n, d) = points.dim();
    if n < 2 {
        return Err(Error::shape(
            "x",
            &[n, d],
            "needs at least two points",
            "pass more samples",
        ));
    }
    // One coordinate after the other: distances to many points at once.
    let columns: Vec<Vec<f64>> = points.columns().into_iter().map(|c| c.to_vec()).collect();
    let factor = -0.5 / (width * width);
    let sum = sum_chunks(
        n.div_ceil(CHUNK),
        0.0,
        |chunk| {
            cancel.check()?;
            let mut total = 0.0;
            for i in chunk * CHUNK..n.min((chunk + 1) * CHUNK) {
                for start in (0..i).step_by(BLOCK) {
                    total += block_kernel(&columns, i, start..i.min(start + BLOCK), factor);
                }
            }
            Ok(total)
        },
        |sum, part| *sum += part,
    )?;
    Ok(sum / (0.5 * n as f64 * (n - 1) as f64))
}

/// `sum_j exp(factor |x_i - x_j|^2)` over a range of points.
#[expect(
    clippy::indexing_slicing,
    reason = "i and the others are below the number of points, the length of every column; there are at most \
              BLOCK others"
)]
fn block_kernel(
    columns: &[Vec<f64>],
    i: usize,
    others: std::ops::Range<usize>,
    factor: f64,
) -> f64 {
    let mut squares = [0.0; BLOCK];
    let squares = &mut squares[..others.len()];
    vectorised(
        #[inline(always)]
        || {
            for column in columns {
                let own = column[i];
                for (square, other) in squares.iter_mut().zip(&column[others.clone()]) {
                    *square += (own - other) * (own - other);
                }
            }
            for square in squares.iter_mut() {
                *square = exp(factor * *square);
            }
        },
    );
    squares.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmm_core::parallel::pool;
    use ndarray::{Array2, array};

    #[test]
    fn the_mean_kernel_is_its_definition_on_any_number_of_threads() {
        let points =
            Array2::from_shape_fn((700, 3), |(i, j)| (1.0 + 1.7 * (3 * i + j) as f64).sin());
        let mut sum = 0.0;
        for i in 0..700 {
            for j in 0..i {
                let gap = &points.row(i) - &points.row(j);
                sum += (-gap.dot(&gap) / (2.0 * 0.8 * 0.8)).exp();
            }
        }
        let expected = sum / (350.0 * 699.0);
        let found: Vec<f64> = [1, 2, 3, 7]
            .iter()
            .map(|threads| {
                let pool = pool(Some(*threads)).unwrap();
                pool.install(|| mean_pair_kernel(points.view(), 0.8, &Cancel::new()).unwrap())
            })
            .collect();
        assert!((found[0] / expected - 1.0).abs() < 1e-13);
        assert!(found.iter().all(|other| *other == found[0]));
        assert!(mean_pair_kernel(array![[1.0]].view(), 1.0, &Cancel::new()).is_err());
    }
}
