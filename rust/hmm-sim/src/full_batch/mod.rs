//! Full-batch learning: regularised empirical risk minimisation, solved with a certificate.
//!
//! Minimise `sum_mu l(y_mu, x_mu.w) + lam/2 |w|^2` over w. The penalty makes every objective strongly
//! convex, and each solver reports a duality gap: the objective at the returned w exceeds its minimum
//! by at most that much, and `|w - w*|^2 <= 2 gap / lam`.

mod examples;
pub mod experiment;
mod gram;
mod hinge;
mod interior;
mod lbfgs;
mod logistic;
mod ridge;

use crate::loss::{ExampleLoss, softplus};
use examples::Examples;
use hmm_core::memory::{bytes_of, require};
use hmm_core::{Cancel, Error, Loss, Result};
use ndarray::{Array1, ArrayView1, ArrayView2};
use rayon::prelude::*;

/// The losses of full-batch learning: "ridge" on real targets, the others on labels +-1.
pub const LOSSES: [Loss; 4] = [Loss::Ridge, Loss::Squared, Loss::Logistic, Loss::Hinge];

/// Examples, targets and penalty.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// Inputs, (n, p).
    pub x: ArrayView2<'a, f64>,
    /// Targets, (n); labels +-1 unless the loss is [`Loss::Ridge`].
    pub y: ArrayView1<'a, f64>,
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
    /// Weights, (p).
    pub w: Array1<f64>,
    /// `sum l + lam/2 |w|^2` there.
    pub objective: f64,
    /// Upper bound on the objective minus its minimum.
    pub gap: f64,
    /// Newton steps or passes.
    pub iterations: usize,
    /// Whether `gap <= tol objective`.
    pub converged: bool,
}

impl Fit {
    /// Of weights whose objective and gap are known.
    fn judged(w: Vec<f64>, objective: f64, gap: f64, iterations: usize, stop: &Stop) -> Self {
        Self {
            w: w.into(),
            objective,
            gap,
            iterations,
            converged: gap <= stop.tol * objective,
        }
    }

    /// Whether its certificate is the tighter one.
    fn better_than(&self, other: &Self) -> bool {
        let relative = |fit: &Self| {
            let ratio = fit.gap / fit.objective;
            if ratio.is_nan() { f64::INFINITY } else { ratio }
        };
        relative(self) < relative(other)
    }
}

/// Loss of one example with target `y` and prediction `z`; losses that are not among [`LOSSES`] have none.
fn loss_of(loss: Loss, y: f64, z: f64) -> f64 {
    let deficit = match loss {
        Loss::Ridge | Loss::Squared => y - z,
        Loss::Logistic => return softplus(-y * z),
        Loss::Hinge => 1.0 - y * z,
        Loss::SoftHinge | Loss::QuadraticHinge | Loss::LinearHinge => f64::NAN,
    };
    ExampleLoss::of(loss, 1.0).value(deficit)
}

/// The refusal of a loss that is not among [`LOSSES`].
fn unknown_loss(loss: Loss) -> Error {
    let names = LOSSES.map(|known| format!("'{known}'")).join(", ");
    Error::invalid(
        "loss",
        format!("'{loss}'"),
        "full-batch learning does not know it",
        format!("pass one of {names}"),
    )
}

impl Problem<'_> {
    fn check(&self, loss: Loss, stop: &Stop) -> Result<()> {
        let (n, p) = self.x.dim();
        if p == 0 || n == 0 || self.y.len() != n {
            return Err(Error::shape(
                "X",
                &[n, p],
                "needs at least one row and one column, one row per target",
                "pass X (n, p) and y (n,)",
            ));
        }
        for (name, value, remedy) in [
            ("lam", self.lam, "pass lam=1e-6"),
            ("tol", stop.tol, "pass tol=1e-8"),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::invalid(
                    name,
                    value,
                    "must be finite and > 0",
                    remedy,
                ));
            }
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
        // A product in the smaller dimension with its tiles and factor, and a scaled copy of X.
        let side = n.min(p);
        require(
            bytes_of::<f64>(side.saturating_mul(side))
                .saturating_mul(3)
                .saturating_add(bytes_of::<f64>(self.x.len())),
            "a fit of this many examples and features",
            "use fewer examples or features",
        )
    }
}

/// Minimise the objective.
///
/// The bits of the result do not depend on the number of threads.
///
/// # Errors
/// Shapes that do not fit, numbers that are not finite, labels other than +-1, `lam <= 0`, `tol <= 0`, a loss
/// that is not among [`LOSSES`], a problem that memory does not hold, an interruption. What is not reached
/// within the iterations is flagged in the result.
///
/// ```
/// use hmm_core::{Cancel, Loss};
/// use hmm_sim::full_batch::{Problem, Stop, fit};
/// use ndarray::array;
/// let (x, y) = (array![[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], array![1.0, 2.0, 3.0]);
/// let problem = Problem { x: x.view(), y: y.view(), lam: 1.0 };
/// let stop = Stop { tol: 1e-14, max_iterations: 20 };
/// let fitted = fit(Loss::Ridge, &problem, &stop, &Cancel::new())?;
/// assert!(fitted.converged && (fitted.w[0] - 0.875).abs() < 1e-12);
/// # Ok::<(), hmm_core::Error>(())
/// ```
pub fn fit(loss: Loss, problem: &Problem<'_>, stop: &Stop, cancel: &Cancel) -> Result<Fit> {
    if !LOSSES.contains(&loss) {
        return Err(unknown_loss(loss));
    }
    problem.check(loss, stop)?;
    let (x, y) = (
        problem.x.as_standard_layout(),
        problem.y.as_standard_layout(),
    );
    let examples = Examples::new(&x, &y, problem.lam)?;
    match loss {
        Loss::Ridge | Loss::Squared => ridge::fit(&examples, stop, cancel),
        Loss::Logistic => logistic::fit(&examples, stop, cancel),
        Loss::Hinge => hinge::fit(&examples, stop, cancel),
        Loss::SoftHinge | Loss::QuadraticHinge | Loss::LinearHinge => Err(unknown_loss(loss)),
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
