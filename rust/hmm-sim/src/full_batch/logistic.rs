//! The logistic loss: a quasi-Newton method for as long as it is the cheaper one, then Newton's method in
//! the smaller of the two dimensions.

use super::examples::{Examples, add_scaled, dot};
use super::gram::{factor, lower_gram, solve_factored};
use super::{Fit, Stop, lbfgs};
use crate::loss::{ExampleLoss, softplus};
use faer::Mat;
use faer::linalg::solvers::Llt;
use hmm_core::linalg::rows;
use hmm_core::{Cancel, Real, Result};

/// Halvings of a step before the line search gives up (the objective cannot fall further).
const HALVINGS: usize = 40;

/// A Hessian is kept while a step with it shrinks the gap by at least this factor: a step with an old
/// one costs a pass through X, a new one the product `X^T D X`.
const WORTHWHILE: f64 = 0.05;

/// Quasi-Newton iterations before their rate of convergence is judged: fewer, and Newton starts so far away
/// that it needs several Hessians (measured at p = 1000, lam = 0.01: 90 ms after 10, 37 ms after 25).
const TRIAL: usize = 25;

/// Its slope and curvature; the deficit is `-y z`.
pub(super) const LOSS: ExampleLoss = ExampleLoss::Logistic;

/// The objective at predictions `z` and weights `w`.
fn objective(problem: &Examples<'_>, z: &[f64], w: &[f64]) -> f64 {
    let loss: f64 = z.iter().zip(problem.y).map(|(z, y)| softplus(-y * z)).sum();
    loss + problem.penalty(w)
}

/// Quasi-Newton iterations that a Hessian costs; 0 where they are not worth starting.
///
/// A Hessian takes `n m^2/2 + m^3/3` multiplications, m = min(n, p), an iteration `2 n p`; the matrix
/// product of the former runs about ten times as fast as the pass through memory of the latter.
fn cheap_iterations(problem: &Examples<'_>) -> usize {
    let (n, p) = (problem.count() as f64, problem.features as f64);
    let m = n.min(p);
    let iterations = (0.1 * m * m * (0.5 * n.max(p) + m / 3.0) / (2.0 * n * p)) as usize;
    if iterations < 10 { 0 } else { iterations }
}

/// A factored Hessian, kept for as long as it serves.
enum Hessian {
    /// `X^T D X + lam` in single precision: it only has to point the way, gradients are exact.
    Single(Llt<f32>),
    /// The same in double precision, where single precision is singular or gets stuck.
    Double(Llt<f64>),
    /// `D^{1/2} X X^T D^{1/2} + lam` with `D^{1/2}` (Woodbury), for n < p.
    Dual(Llt<f64>, Vec<f64>),
}

impl Hessian {
    /// At curvatures `root^2`; `kernel` is `X X^T` if n < p.
    fn new(
        problem: &Examples<'_>,
        kernel: Option<&Mat<f64>>,
        root: Vec<f64>,
        single: bool,
        cancel: &Cancel,
    ) -> Result<Self> {
        if let Some(kernel) = kernel {
            let n = problem.count();
            #[expect(
                clippy::indexing_slicing,
                reason = "`root` has a curvature for each of the n examples, `fit` made both"
            )]
            let matrix = Mat::from_fn(n, n, |i, j| {
                let shift = if i == j { problem.lam } else { 0.0 };
                root[i] * kernel[(i, j)] * root[j] + shift
            });
            return Ok(Self::Dual(factor(matrix, cancel)?, root));
        }
        if single && let Ok(found) = primal::<f32>(problem, &root, cancel) {
            return Ok(Self::Single(found));
        }
        Ok(Self::Double(primal::<f64>(problem, &root, cancel)?))
    }

    /// `H^{-1} g`.
    fn solve(&self, problem: &Examples<'_>, descent: &[f64]) -> Vec<f64> {
        match self {
            Self::Single(factor) => solve_factored(factor, descent),
            Self::Double(factor) => solve_factored(factor, descent),
            Self::Dual(factor, root) => {
                let seen: Vec<f64> = problem
                    .predictions(descent)
                    .iter()
                    .zip(root)
                    .map(|(z, root)| z * root)
                    .collect();
                let mut inner = solve_factored(factor, &seen);
                for (a, root) in inner.iter_mut().zip(root) {
                    *a *= root;
                }
                let mut step = descent.to_vec();
                add_scaled(&mut step, -1.0, &problem.transposed(&inner));
                for s in &mut step {
                    *s /= problem.lam;
                }
                step
            }
        }
    }
}

/// Factor of `X^T D X + lam`.
fn primal<T: Real>(problem: &Examples<'_>, root: &[f64], cancel: &Cancel) -> Result<Llt<T>> {
    let (n, p) = (problem.count(), problem.features);
    let mut scaled = Vec::with_capacity(n * p);
    for (row, root) in problem.x.chunks_exact(p).zip(root) {
        scaled.extend(row.iter().map(|x| T::from_f64(x * root)));
    }
    let shift = T::from_f64(problem.lam);
    factor(
        lower_gram(rows(&scaled, n, p).transpose(), shift, cancel)?,
        cancel,
    )
}

/// Minimise: quasi-Newton, then Newton with a backtracking line search.
pub(super) fn fit(problem: &Examples<'_>, stop: &Stop, cancel: &Cancel) -> Result<Fit> {
    let (n, p) = (problem.count(), problem.features);
    let reached =
        |point: &lbfgs::Point| problem.smooth_gap(&point.gradient) <= stop.tol * point.value;
    let patience = cheap_iterations(problem);
    let mut first_gap = None;
    let stopped = |point: &lbfgs::Point, iteration: usize| {
        let gap = problem.smooth_gap(&point.gradient);
        let first = *first_gap.get_or_insert(gap);
        if reached(point) || iteration < TRIAL {
            return reached(point);
        }
        // Iterations that are left if the gap keeps shrinking at its rate so far.
        let rate = (first / gap).ln() / iteration as f64;
        (gap / (stop.tol * point.value)).ln() > rate * patience as f64
    };
    let limit = if patience > 0 { stop.max_iterations } else { 0 };
    let (start, mut iterations) = lbfgs::minimise(problem, limit, stopped, cancel)?;
    if reached(&start) {
        return Ok(Fit {
            gap: problem.smooth_gap(&start.gradient),
            w: start.w.into(),
            objective: start.value,
            iterations,
            converged: true,
        });
    }
    // X X^T does not change: the dual Newton matrix is a rescaling of it.
    let kernel = if n < p {
        Some(lower_gram(rows(problem.x, n, p), 0.0, cancel)?)
    } else {
        None
    };
    let mut hessian: Option<Hessian> = None;
    let mut single = true;
    let mut previous_gap = f64::INFINITY;
    let mut w = start.w;
    let mut z = problem.predictions(&w);
    let mut value = objective(problem, &z, &w);
    loop {
        cancel.check()?;
        let pull: Vec<f64> = z
            .iter()
            .zip(problem.y)
            .map(|(z, y)| y * LOSS.pull(-y * z))
            .collect();
        let mut descent = problem.transposed(&pull);
        add_scaled(&mut descent, -problem.lam, &w);
        let gap = problem.smooth_gap(&descent);
        let converged = gap <= stop.tol * value;
        let fitted = |w: Vec<f64>| Fit {
            w: w.into(),
            objective: value,
            gap,
            iterations,
            converged,
        };
        if converged || iterations >= stop.max_iterations {
            return Ok(fitted(w));
        }
        let kept = hessian.take().filter(|_| gap < WORTHWHILE * previous_gap);
        let fresh = kept.is_none();
        let current = if let Some(kept) = kept {
            kept
        } else {
            let root = z
                .iter()
                .zip(problem.y)
                .map(|(z, y)| LOSS.curvature(-y * z).sqrt())
                .collect();
            Hessian::new(problem, kernel.as_ref(), root, single, cancel)?
        };
        previous_gap = gap;
        let step = current.solve(problem, &descent);
        let slope = dot(&step, &descent);
        let along = problem.predictions(&step);
        let moved = line_search(problem, &w, &z, value, &step, &along, slope);
        match moved {
            Some(moved) => {
                (w, z, value) = moved;
                hessian = Some(current);
            }
            // Rounding of single precision, or an old Hessian, spoilt the direction.
            None if !fresh => {}
            None if single && matches!(current, Hessian::Single(_)) => single = false,
            None => return Ok(fitted(w)),
        }
        iterations += 1;
    }
}

/// The first of the steps 1, 1/2, 1/4, ... that satisfies Armijo's rule: `(w, z, objective)` there.
fn line_search(
    problem: &Examples<'_>,
    w: &[f64],
    z: &[f64],
    value: f64,
    step: &[f64],
    along: &[f64],
    slope: f64,
) -> Option<(Vec<f64>, Vec<f64>, f64)> {
    if !(slope.is_finite() && slope > 0.0) {
        return None;
    }
    let mut length = 1.0;
    for _ in 0..HALVINGS {
        let mut next_w = w.to_vec();
        add_scaled(&mut next_w, length, step);
        let mut next_z = z.to_vec();
        add_scaled(&mut next_z, length, along);
        let next = objective(problem, &next_z, &next_w);
        // Near the minimum both sides agree to rounding and the full step is right.
        if next <= value - 1e-4 * length * slope || slope <= 1e-13 * value {
            return Some((next_w, next_z, next));
        }
        length *= 0.5;
    }
    None
}
