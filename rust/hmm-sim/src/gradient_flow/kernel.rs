//! A predictor in a frozen kernel: `f(x_mu) = sum_nu K_mu,nu a_nu`, `a(0) = 0`.

use super::{Model, check_length};
use hmm_core::memory::{bytes_of, filled, require};
use hmm_core::{Cancel, Error, Result};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

/// Rows of the Gram matrix that are worth a task of their own times its columns.
const PAIRS_PER_TASK: usize = 1 << 16;

/// The Gram matrix of the training points; the flow is `da_mu/dt = -l'(y F) y/p`.
#[derive(Debug, Clone)]
pub struct FrozenKernel {
    gram: Array2<f64>,
}

impl FrozenKernel {
    /// From a symmetric (p, p) matrix.
    ///
    /// # Errors
    /// [`Error::Shape`] if it is empty or not square; [`Error::Resource`].
    pub fn new(gram: ArrayView2<'_, f64>) -> Result<Self> {
        let (p, columns) = gram.dim();
        if p == 0 || p != columns {
            return Err(Error::shape(
                "K",
                gram.shape(),
                "must be (p, p) with p >= 1",
                "pass a Gram matrix",
            ));
        }
        Ok(Self {
            gram: rows(gram, p, "K")?,
        })
    }

    /// Rows of the kernel of `points` (q, p) against the training points, to test on.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Resource`].
    pub fn points(&self, points: ArrayView2<'_, f64>) -> Result<Array2<f64>> {
        rows(points, self.gram.nrows(), "K_test")
    }
}

/// A copy of rows of `p` numbers, one behind the other.
fn rows(kernel: ArrayView2<'_, f64>, p: usize, argument: &'static str) -> Result<Array2<f64>> {
    if kernel.ncols() != p {
        return Err(Error::shape(
            argument,
            kernel.shape(),
            format!("must have a column per training point, {p}"),
            "pass the kernel against the training points",
        ));
    }
    require(
        bytes_of::<f64>(kernel.len()),
        "a kernel",
        "pass fewer points",
    )?;
    Ok(kernel.as_standard_layout().into_owned())
}

/// `kernel a` for rows of a kernel against the training points.
fn decisions(kernel: &Array2<f64>, a: &[f64], out: &mut [f64], cancel: &Cancel) -> Result<()> {
    // In one piece by construction.
    let rows = kernel.as_slice().unwrap_or_default();
    out.par_iter_mut()
        .zip(rows.par_chunks_exact(a.len()))
        .with_min_len((PAIRS_PER_TASK / a.len()).max(1))
        .try_for_each(|(out, row)| {
            cancel.check()?;
            // Eight partial sums: the order is fixed and the loop vectorises.
            let mut partial = [0.0; 8];
            for (row, a) in row.chunks(8).zip(a.chunks(8)) {
                for ((sum, k), a) in partial.iter_mut().zip(row).zip(a) {
                    *sum += k * a;
                }
            }
            *out = partial.iter().sum();
            Ok(())
        })
}

impl Model for FrozenKernel {
    type Scalar = f64;
    type Points = Array2<f64>;

    fn examples(&self) -> usize {
        self.gram.nrows()
    }

    fn parameters(&self) -> usize {
        self.gram.nrows()
    }

    fn limits_relative_change(&self) -> bool {
        // a starts from zero: a limit relative to it would never let it start.
        false
    }

    fn outputs(&self, theta: &[f64], outputs: &mut [f64], cancel: &Cancel) -> Result<()> {
        check_length("theta", theta.len(), self.parameters())?;
        check_length("outputs", outputs.len(), self.examples())?;
        decisions(&self.gram, theta, outputs, cancel)
    }

    fn gradient(&self, _: &[f64], slopes: &[f64], gradient: &mut [f64], _: &Cancel) -> Result<()> {
        check_length("slopes", slopes.len(), self.examples())?;
        check_length("gradient", gradient.len(), self.parameters())?;
        gradient.copy_from_slice(slopes);
        Ok(())
    }

    fn outputs_at(&self, points: &Array2<f64>, theta: &[f64], cancel: &Cancel) -> Result<Vec<f64>> {
        check_length("theta", theta.len(), self.parameters())?;
        if points.ncols() != self.gram.nrows() || !points.is_standard_layout() {
            return Err(Error::shape(
                "K_test",
                points.shape(),
                format!(
                    "must have {} columns, in row-major order",
                    self.gram.nrows()
                ),
                "make the points by FrozenKernel::points",
            ));
        }
        let mut out = filled(0.0, points.nrows(), "predictions", "pass fewer points")?;
        decisions(points, theta, &mut out, cancel)?;
        Ok(out)
    }

    fn bytes(&self) -> u64 {
        bytes_of::<f64>(self.gram.len())
    }

    fn bytes_of_points(points: &Array2<f64>) -> u64 {
        bytes_of::<f64>(points.len())
    }
}
