//! A predictor in a frozen kernel: `f(x_mu) = sum_nu K_mu,nu a_nu`, `a(0) = 0`.

use super::Model;
use hmm_core::{Cancel, Error, Result};
use rayon::prelude::*;

/// Rows of the Gram matrix that are worth a task of their own times its columns.
const PAIRS_PER_TASK: usize = 1 << 16;

/// The Gram matrix of the training points; the flow is `da_mu/dt = -l'(y F) y/p`.
#[derive(Debug, Clone)]
pub struct FrozenKernel {
    gram: Vec<f64>,
    size: usize,
}

impl FrozenKernel {
    /// From a symmetric (p, p) matrix.
    ///
    /// # Errors
    /// If it is empty or not square.
    pub fn new(gram: Vec<f64>, size: usize) -> Result<Self> {
        if size == 0 || gram.len() != size * size {
            return Err(Error::shape(
                "K",
                &[gram.len(), size],
                "must be (p, p) with p >= 1",
                "pass a Gram matrix",
            ));
        }
        Ok(Self { gram, size })
    }
}

/// `kernel a` for any rows of a kernel against the training points.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn decisions(kernel: &[f64], a: &[f64], out: &mut [f64], cancel: &Cancel) -> Result<()> {
    out.par_iter_mut()
        .zip(kernel.par_chunks_exact(a.len()))
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

    fn examples(&self) -> usize {
        self.size
    }

    fn parameters(&self) -> usize {
        self.size
    }

    fn limits_relative_change(&self) -> bool {
        // a starts from zero: a limit relative to it would never let it start.
        false
    }

    fn outputs(&self, theta: &[f64], outputs: &mut [f64], cancel: &Cancel) -> Result<()> {
        decisions(&self.gram, theta, outputs, cancel)
    }

    fn gradient(&self, _: &[f64], slopes: &[f64], gradient: &mut [f64], _: &Cancel) -> Result<()> {
        gradient.copy_from_slice(slopes);
        Ok(())
    }
}
