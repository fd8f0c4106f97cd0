//! The logistic loss: a quasi-Newton method for as long as it is the cheaper one, then Newton's method in
//! the smaller of the two dimensions.

use super::gram::{lower_gram, solve_positive};
use super::{Fit, Problem, Stop, add_scaled, dot, lbfgs};
use faer::Mat;
use hmm_core::linalg::rows;
use hmm_core::{Cancel, Result};

/// Halvings of a step before the line search gives up (the objective cannot fall further).
const HALVINGS: usize = 40;

/// `log(1 + exp(x))`.
pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The objective at predictions `z` and weights `w`.
fn objective(problem: &Problem<'_>, z: &[f64], w: &[f64]) -> f64 {
    let loss: f64 = z.iter().zip(problem.y).map(|(z, y)| softplus(-y * z)).sum();
    loss + problem.penalty(w)
}

/// Quasi-Newton iterations that are worth trying first: what about three Newton steps cost.
///
/// A Newton step makes `n m^2 + m^3/3` multiplications, m = min(n, p), an iteration `2 n p`; the matrix
/// product of the former runs about ten times as fast as the pass through memory of the latter.
fn cheap_iterations(problem: &Problem<'_>) -> usize {
    let (n, p) = (problem.examples() as f64, problem.features as f64);
    let m = n.min(p);
    let iterations = (0.3 * m * m * (n.max(p) + m / 3.0) / (2.0 * n * p)) as usize;
    // A handful would not even fill the memory of the method.
    if iterations < 20 { 0 } else { iterations }
}

/// Minimise, Newton with a backtracking line search at the end.
pub(super) fn fit(problem: &Problem<'_>, stop: &Stop, cancel: &Cancel) -> Result<Fit> {
    let (n, p) = (problem.examples(), problem.features);
    let lam = problem.lam;
    let dual = n < p;
    let quick =
        |point: &lbfgs::Point| problem.smooth_gap(&point.gradient) <= stop.tol * point.value;
    let limit = cheap_iterations(problem).min(stop.max_iterations);
    let (start, mut iterations) = lbfgs::minimise(problem, limit, quick, cancel)?;
    if quick(&start) {
        return Ok(Fit {
            gap: problem.smooth_gap(&start.gradient),
            w: start.w,
            objective: start.value,
            iterations,
            converged: true,
        });
    }
    // X X^T does not change: the dual Newton matrix is a rescaling of it.
    let kernel = if dual {
        Some(lower_gram(rows(problem.x, n, p), 0.0, cancel)?)
    } else {
        None
    };
    let mut w = start.w;
    let mut z = problem.predictions(&w);
    let mut value = objective(problem, &z, &w);
    loop {
        cancel.check()?;
        // a = -y l'(z) y = sigma(-y z), curvature d = a (1 - a).
        let pull: Vec<f64> = z
            .iter()
            .zip(problem.y)
            .map(|(z, y)| y / (1.0 + (y * z).exp()))
            .collect();
        let mut descent = problem.transposed(&pull);
        add_scaled(&mut descent, -lam, &w);
        let gap = problem.smooth_gap(&descent);
        let converged = gap <= stop.tol * value;
        let fitted = |w: Vec<f64>| Fit {
            w,
            objective: value,
            gap,
            iterations,
            converged,
        };
        if converged || iterations >= stop.max_iterations {
            return Ok(fitted(w));
        }
        let root: Vec<f64> = pull
            .iter()
            .map(|a| (a.abs() * (1.0 - a.abs())).sqrt())
            .collect();
        let step = match &kernel {
            Some(kernel) => dual_step(problem, kernel, &root, &descent)?,
            None => primal_step(problem, &root, &descent, cancel)?,
        };
        let slope = dot(&step, &descent);
        let along = problem.predictions(&step);
        let mut length = 1.0;
        let mut moved = None;
        for _ in 0..HALVINGS {
            let mut next_w = w.clone();
            add_scaled(&mut next_w, length, &step);
            let mut next_z = z.clone();
            add_scaled(&mut next_z, length, &along);
            let next = objective(problem, &next_z, &next_w);
            // Armijo; near the minimum both sides agree to rounding and the full step is right.
            if next <= value - 1e-4 * length * slope || slope <= 1e-13 * value {
                moved = Some((next_w, next_z, next));
                break;
            }
            length *= 0.5;
        }
        let Some((next_w, next_z, next)) = moved else {
            return Ok(fitted(w));
        };
        (w, z, value) = (next_w, next_z, next);
        iterations += 1;
    }
}

/// `(X^T D X + lam)^{-1} g` with `D = root^2`.
fn primal_step(
    problem: &Problem<'_>,
    root: &[f64],
    descent: &[f64],
    cancel: &Cancel,
) -> Result<Vec<f64>> {
    let (n, p) = (problem.examples(), problem.features);
    let mut scaled = problem.x.to_vec();
    for (row, root) in scaled.chunks_exact_mut(p).zip(root) {
        for x in row {
            *x *= root;
        }
    }
    let hessian = lower_gram(rows(&scaled, n, p).transpose(), problem.lam, cancel)?;
    solve_positive(&hessian, descent)
}

/// The same through `(lam + D^{1/2} X X^T D^{1/2})^{-1}` (Woodbury).
fn dual_step(
    problem: &Problem<'_>,
    kernel: &Mat<f64>,
    root: &[f64],
    descent: &[f64],
) -> Result<Vec<f64>> {
    let n = problem.examples();
    let matrix = Mat::from_fn(n, n, |i, j| {
        let shift = if i == j { problem.lam } else { 0.0 };
        root[i] * kernel[(i, j)] * root[j] + shift
    });
    let seen: Vec<f64> = problem
        .predictions(descent)
        .iter()
        .zip(root)
        .map(|(z, root)| z * root)
        .collect();
    let mut inner = solve_positive(&matrix, &seen)?;
    for (a, root) in inner.iter_mut().zip(root) {
        *a *= root;
    }
    let mut step = descent.to_vec();
    add_scaled(&mut step, -1.0, &problem.transposed(&inner));
    for s in &mut step {
        *s /= problem.lam;
    }
    Ok(step)
}
