//! Examples as the solvers see them, and the vector kernels they share.

use hmm_core::linalg::{matmul, rows, rows_mut};
use hmm_core::{Error, Result};
use ndarray::{ArrayBase, Data, Ix1, Ix2};

/// Examples, targets and penalty, contiguous and checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Examples<'a> {
    /// Inputs, row-major (n x p).
    pub(super) x: &'a [f64],
    /// Targets (n).
    pub(super) y: &'a [f64],
    /// Number of features p.
    pub(super) features: usize,
    /// Penalty, > 0.
    pub(super) lam: f64,
}

impl<'a> Examples<'a> {
    /// Of arrays in row-major order.
    pub(super) fn new<S: Data<Elem = f64>>(
        x: &'a ArrayBase<S, Ix2>,
        y: &'a ArrayBase<S, Ix1>,
        lam: f64,
    ) -> Result<Self> {
        let layout = |name: &'static str, shape: &[usize]| {
            Error::shape(
                name,
                shape,
                "must be contiguous in row-major order",
                "copy it",
            )
        };
        Ok(Self {
            x: x.as_slice().ok_or_else(|| layout("X", x.shape()))?,
            y: y.as_slice().ok_or_else(|| layout("y", y.shape()))?,
            features: x.ncols(),
            lam,
        })
    }

    /// Number of examples n.
    pub(super) fn count(&self) -> usize {
        self.y.len()
    }

    /// Inputs of example `mu`.
    #[expect(
        clippy::indexing_slicing,
        reason = "mu is the number of one of the y.len() examples, and `Problem::check` found as many rows of \
                  x"
    )]
    pub(super) fn row(&self, mu: usize) -> &'a [f64] {
        &self.x[mu * self.features..(mu + 1) * self.features]
    }

    /// Predictions `X w` (n).
    pub(super) fn predictions(&self, w: &[f64]) -> Vec<f64> {
        let mut z = vec![0.0; self.count()];
        matmul(
            rows_mut(&mut z, self.count(), 1),
            rows(self.x, self.count(), self.features),
            rows(w, self.features, 1),
            1.0,
        );
        z
    }

    /// `X^T a` (p).
    pub(super) fn transposed(&self, a: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.features];
        matmul(
            rows_mut(&mut out, self.features, 1),
            rows(self.x, self.count(), self.features).transpose(),
            rows(a, self.count(), 1),
            1.0,
        );
        out
    }

    /// `lam/2 |w|^2`.
    pub(super) fn penalty(&self, w: &[f64]) -> f64 {
        0.5 * self.lam * dot(w, w)
    }

    /// The gap of a smooth loss at `w` with gradient `g`: the Fenchel dual at `a = -l'(z)` gives
    /// exactly `|g|^2 / (2 lam)`.
    pub(super) fn smooth_gap(&self, gradient: &[f64]) -> f64 {
        0.5 * dot(gradient, gradient) / self.lam
    }
}

/// `sum_i a_i b_i` on the widest registers.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    hmm_core::special::vectorised(
        #[inline(always)]
        || dot_lanes(a, b),
    )
}

/// `sum_i a_i b_i` in a fixed order of 32 lanes: four registers of eight hide the latency of the sum.
#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "a lane of chunks of 32")]
pub(super) fn dot_lanes(a: &[f64], b: &[f64]) -> f64 {
    let (a, a_rest) = a.as_chunks::<32>();
    let (b, b_rest) = b.as_chunks::<32>();
    let mut total = [0.0; 32];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..32 {
            total[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    total.iter().sum::<f64>() + rest
}

/// `y += step x`.
pub(super) fn add_scaled(y: &mut [f64], step: f64, x: &[f64]) {
    hmm_core::special::vectorised(
        #[inline(always)]
        || {
            for (y, x) in y.iter_mut().zip(x) {
                *y += step * x;
            }
        },
    );
}
