//! The square loss: normal equations in the smaller of the two dimensions.

use super::gram::{lower_gram, solve_positive};
use super::{Fit, Problem, Stop, add_scaled};
use hmm_core::linalg::rows;
use hmm_core::{Cancel, Result};

/// Rounds of iterative refinement before the gap is taken as it is.
const REFINEMENTS: usize = 10;

/// `w = (X^T X + lam)^{-1} X^T y`, or `X^T (X X^T + lam)^{-1} y` if n < p, refined until the gap is small.
pub(super) fn fit(problem: &Problem<'_>, stop: &Stop, cancel: &Cancel) -> Result<Fit> {
    let (n, p) = (problem.examples(), problem.features);
    let x = rows(problem.x, n, p);
    let dual = n < p;
    let gram = lower_gram(if dual { x } else { x.transpose() }, problem.lam, cancel)?;
    let mut w = vec![0.0; p];
    let mut iterations = 0;
    loop {
        let mut residual = problem.predictions(&w);
        for (z, y) in residual.iter_mut().zip(problem.y) {
            *z = y - *z;
        }
        let mut gradient = problem.transposed(&residual);
        add_scaled(&mut gradient, -problem.lam, &w);
        let objective = 0.5 * super::dot(&residual, &residual) + problem.penalty(&w);
        let gap = problem.smooth_gap(&gradient);
        let converged = gap <= stop.tol * objective;
        if converged || iterations >= REFINEMENTS.min(stop.max_iterations) {
            return Ok(Fit {
                w,
                objective,
                gap,
                iterations,
                converged,
            });
        }
        iterations += 1;
        // The correction solves the same equations for the residual that is left.
        let step = if dual {
            // (X^T X + lam)^{-1} g = (g - X^T (X X^T + lam)^{-1} X g) / lam, or shorter from w = 0.
            let inner = solve_positive(&gram, &problem.predictions(&gradient))?;
            let mut step = gradient;
            add_scaled(&mut step, -1.0, &problem.transposed(&inner));
            for s in &mut step {
                *s /= problem.lam;
            }
            step
        } else {
            solve_positive(&gram, &gradient)?
        };
        add_scaled(&mut w, 1.0, &step);
    }
}
