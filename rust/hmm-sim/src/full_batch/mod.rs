//! Full-batch learning: regularised empirical risk minimisation, solved with a certificate.
//!
//! Minimise `sum_mu l(y_mu, x_mu.w) + lam/2 |w|^2` over w. The penalty makes every objective strongly
//! convex, and each solver reports a duality gap: the objective at the returned w exceeds its minimum
//! by at most that much, and `|w - w*|^2 <= 2 gap / lam`.

pub mod experiment;
mod gram;
mod hinge;
mod lbfgs;
mod logistic;
mod ridge;

use hmm_core::linalg::{matmul, rows, rows_mut};
use hmm_core::{Cancel, Error, Result};
use rayon::prelude::*;

/// The losses of full-batch learning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// `(y - z)^2 / 2` on real targets.
    Ridge,
    /// `(y - z)^2 / 2` on labels +-1.
    Square,
    /// `log(1 + exp(-y z))`.
    Logistic,
    /// `max(0, 1 - y z)`.
    Hinge,
}

impl Loss {
    /// The loss called `name`.
    ///
    /// # Errors
    /// An unknown name.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "ridge" => Ok(Self::Ridge),
            "square" => Ok(Self::Square),
            "logistic" => Ok(Self::Logistic),
            "hinge" => Ok(Self::Hinge),
            other => Err(Error::invalid(
                "loss",
                format!("{other:?}"),
                "unknown choice",
                "pass one of \"ridge\", \"square\", \"logistic\", \"hinge\"",
            )),
        }
    }

    /// Loss of one example with target `y` and prediction `z`.
    pub fn value(self, y: f64, z: f64) -> f64 {
        match self {
            Self::Ridge | Self::Square => 0.5 * (y - z) * (y - z),
            Self::Logistic => logistic::softplus(-y * z),
            Self::Hinge => (1.0 - y * z).max(0.0),
        }
    }
}

/// Examples, targets and penalty.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// Inputs, row-major (n x p).
    pub x: &'a [f64],
    /// Targets (n); labels +-1 unless the loss is [`Loss::Ridge`].
    pub y: &'a [f64],
    /// Number of features p.
    pub features: usize,
    /// Penalty, > 0.
    pub lam: f64,
}

/// When the solver stops.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stop {
    /// Largest duality gap over the objective.
    pub tol: f64,
    /// Newton steps, or passes of coordinate descent, before it gives up.
    pub max_iterations: usize,
}

/// The minimiser with its certificate.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Weights (p).
    pub w: Vec<f64>,
    /// `sum l + lam/2 |w|^2` there.
    pub objective: f64,
    /// Upper bound on the objective minus its minimum.
    pub gap: f64,
    /// Newton steps or passes.
    pub iterations: usize,
    /// Whether `gap <= tol objective`.
    pub converged: bool,
}

impl Problem<'_> {
    /// Number of examples n.
    pub fn examples(&self) -> usize {
        self.y.len()
    }

    /// Predictions `X w` (n).
    pub fn predictions(&self, w: &[f64]) -> Vec<f64> {
        let mut z = vec![0.0; self.examples()];
        matmul(
            rows_mut(&mut z, self.examples(), 1),
            rows(self.x, self.examples(), self.features),
            rows(w, self.features, 1),
            1.0,
        );
        z
    }

    /// `X^T a` (p).
    fn transposed(&self, a: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.features];
        matmul(
            rows_mut(&mut out, self.features, 1),
            rows(self.x, self.examples(), self.features).transpose(),
            rows(a, self.examples(), 1),
            1.0,
        );
        out
    }

    /// `lam/2 |w|^2`.
    fn penalty(&self, w: &[f64]) -> f64 {
        0.5 * self.lam * dot(w, w)
    }

    /// The gap of a smooth loss at `w` with gradient `g`: the Fenchel dual at `a = -l'(z)` gives
    /// exactly `|g|^2 / (2 lam)`.
    fn smooth_gap(&self, gradient: &[f64]) -> f64 {
        0.5 * dot(gradient, gradient) / self.lam
    }

    fn check(&self, loss: Loss, stop: &Stop) -> Result<()> {
        if self.features == 0 || self.y.is_empty() || self.x.len() != self.features * self.y.len() {
            return Err(Error::shape(
                "X",
                &[self.y.len(), self.features],
                "needs at least one row and one column, one row per target",
                "pass X (n, p) and y (n,)",
            ));
        }
        if !(self.lam.is_finite() && self.lam > 0.0) {
            return Err(Error::invalid(
                "lam",
                self.lam,
                "must be finite and > 0",
                "pass lam=1e-6",
            ));
        }
        if !(stop.tol.is_finite() && stop.tol > 0.0) {
            return Err(Error::invalid(
                "tol",
                stop.tol,
                "must be finite and > 0",
                "pass tol=1e-8",
            ));
        }
        if let Some(value) = self.x.iter().find(|x| !x.is_finite()) {
            return Err(Error::invalid(
                "X",
                value,
                "must be finite",
                "remove NaN and infinity",
            ));
        }
        for value in self.y {
            if !value.is_finite() || (loss != Loss::Ridge && value.abs() != 1.0) {
                return Err(Error::invalid(
                    "y",
                    value,
                    if loss == Loss::Ridge {
                        "must be finite"
                    } else {
                        "labels must be -1 or 1"
                    },
                    "pass np.sign of the targets, or loss=\"ridge\" for real targets",
                ));
            }
        }
        Ok(())
    }
}

/// Minimise the objective.
///
/// The bits of the result do not depend on the number of threads.
///
/// # Errors
/// Shapes that do not fit, numbers that are not finite, labels other than +-1, `lam <= 0`, `tol <= 0`,
/// an interruption. What is not reached within the iterations is flagged in the result.
pub fn fit(loss: Loss, problem: &Problem<'_>, stop: &Stop, cancel: &Cancel) -> Result<Fit> {
    problem.check(loss, stop)?;
    match loss {
        Loss::Ridge | Loss::Square => ridge::fit(problem, stop, cancel),
        Loss::Logistic => logistic::fit(problem, stop, cancel),
        Loss::Hinge => hinge::fit(problem, stop, cancel),
    }
}

/// [`fit`] for several problems, in parallel.
///
/// # Errors
/// As [`fit`], for the first problem that fails.
pub fn fit_all(
    loss: Loss,
    problems: &[Problem<'_>],
    stop: &Stop,
    cancel: &Cancel,
) -> Result<Vec<Fit>> {
    problems
        .par_iter()
        .map(|problem| fit(loss, problem, stop, cancel))
        .collect()
}

/// `sum_i a_i b_i` on the widest registers.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    hmm_core::special::vectorised(
        #[inline(always)]
        || dot_lanes(a, b),
    )
}

/// `sum_i a_i b_i` in a fixed order of 32 lanes: four registers of eight hide the latency of the sum.
#[inline(always)]
pub(crate) fn dot_lanes(a: &[f64], b: &[f64]) -> f64 {
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
pub(crate) fn add_scaled(y: &mut [f64], step: f64, x: &[f64]) {
    hmm_core::special::vectorised(
        #[inline(always)]
        || {
            for (y, x) in y.iter_mut().zip(x) {
                *y += step * x;
            }
        },
    );
}
