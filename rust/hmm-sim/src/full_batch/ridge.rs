//! The square loss: normal equations in the smaller of the two dimensions, singular values where those lose
//! too many digits.

use super::examples::{Examples, add_scaled, dot};
use super::gram::{factor, lower_gram, solve_factored};
use super::{Fit, Stop};
use faer::Mat;
use faer::linalg::solvers::Svd;
use hmm_core::cancel::apart;
use hmm_core::linalg::rows;
use hmm_core::memory::{bytes_of, require};
use hmm_core::{Cancel, Error, Result};

/// Roundings of the largest singular value that one of zero may have.
const RESOLUTION: f64 = 64.0;
/// Rounds of iterative refinement before the gap is taken as it is.
const REFINEMENTS: usize = 10;

pub(super) fn fit(problem: &Examples<'_>, stop: &Stop, cancel: &Cancel) -> Result<Fit> {
    let found = if problem.count() < problem.features {
        in_examples(problem, stop, cancel)
    } else {
        in_features(problem, stop, cancel)
    };
    match found {
        // A singular factor: the penalty is below the rounding of the product.
        Err(Error::Convergence(_)) => by_singular_values(problem, stop, cancel),
        Ok(fit) if !fit.converged && fit.iterations < stop.max_iterations => {
            let exact = by_singular_values(problem, stop, cancel)?;
            Ok(if exact.better_than(&fit) { exact } else { fit })
        }
        decided => decided,
    }
}

/// `w = (X^T X + lam)^{-1} X^T y`, refined until the gap `|gradient|^2/(2 lam)` is small.
fn in_features(problem: &Examples<'_>, stop: &Stop, cancel: &Cancel) -> Result<Fit> {
    let (n, p) = (problem.count(), problem.features);
    let x = rows(problem.x, n, p);
    let gram = factor(lower_gram(x.transpose(), problem.lam, cancel)?, cancel)?;
    let mut w = vec![0.0; p];
    let mut iterations = 0;
    loop {
        cancel.check()?;
        let residual = residual(problem, &w);
        let mut gradient = problem.transposed(&residual);
        add_scaled(&mut gradient, -problem.lam, &w);
        let objective = 0.5 * dot(&residual, &residual) + problem.penalty(&w);
        let gap = problem.smooth_gap(&gradient);
        let fit = Fit::judged(w, objective, gap, iterations, stop);
        if fit.converged || iterations >= REFINEMENTS.min(stop.max_iterations) {
            return Ok(fit);
        }
        w = fit.w.into_raw_vec_and_offset().0;
        // The correction solves the same equations for the residual that is left.
        add_scaled(&mut w, 1.0, &solve_factored(&gram, &gradient));
        iterations += 1;
    }
}

/// `w = X^T a` with `(X X^T + lam) a = y`, refined in `a`: no digit of w is lost to a small penalty.
///
/// The dual at `lam a` bounds the objective from below, by exactly `|y - X w - lam a|^2/2`.
fn in_examples(problem: &Examples<'_>, stop: &Stop, cancel: &Cancel) -> Result<Fit> {
    let (n, p) = (problem.count(), problem.features);
    let gram = factor(
        lower_gram(rows(problem.x, n, p), problem.lam, cancel)?,
        cancel,
    )?;
    let mut a = vec![0.0; n];
    let mut iterations = 0;
    loop {
        cancel.check()?;
        let w = problem.transposed(&a);
        let mut rest = residual(problem, &w);
        let objective = 0.5 * dot(&rest, &rest) + problem.penalty(&w);
        add_scaled(&mut rest, -problem.lam, &a);
        let gap = 0.5 * dot(&rest, &rest);
        let fit = Fit::judged(w, objective, gap, iterations, stop);
        if fit.converged || iterations >= REFINEMENTS.min(stop.max_iterations) {
            return Ok(fit);
        }
        add_scaled(&mut a, 1.0, &solve_factored(&gram, &rest));
        iterations += 1;
    }
}

/// `w = V s/(s^2 + lam) U^T y`, refined: the singular values are not squared before they are found.
///
/// The gap is the exact `g.(X^T X + lam)^{-1} g/2` of a quadratic objective, `g` its gradient: along the
/// singular vectors, and `lam/2 |w|^2` of what lies outside them, where only rounding puts it.
fn by_singular_values(problem: &Examples<'_>, stop: &Stop, cancel: &Cancel) -> Result<Fit> {
    let (n, p) = (problem.count(), problem.features);
    let side = n.min(p);
    require(
        bytes_of::<f64>((n + p).saturating_mul(side)).saturating_mul(3),
        "the singular values of X",
        "raise lam, or use fewer examples or features",
    )?;
    let x = rows(problem.x, n, p).to_owned();
    let decomposition: Svd<f64> = apart(cancel, move || x.thin_svd())?.map_err(|error| {
        Error::Convergence(format!(
            "the singular values of X were not found: {error:?}"
        ))
    })?;
    let vectors: Mat<f64> = decomposition.V().to_owned();
    let singular: Vec<f64> = decomposition.S().column_vector().iter().copied().collect();
    // Below this a singular value is rounding. Where the penalty does not cover it, the direction is left out of w,
    // and what it could still gain is bounded by the penalty alone.
    let largest = singular.iter().fold(0.0_f64, |most, s| most.max(*s));
    let resolved = RESOLUTION * f64::EPSILON * largest;
    let known = |s: f64| s > resolved || problem.lam > resolved * resolved;
    let filter: Vec<f64> = singular
        .iter()
        .map(|s| {
            if known(*s) {
                1.0 / (s * s + problem.lam)
            } else {
                0.0
            }
        })
        .collect();
    let gain: Vec<f64> = singular
        .iter()
        .map(|s| {
            if known(*s) {
                1.0 / (s * s + problem.lam)
            } else {
                1.0 / problem.lam
            }
        })
        .collect();
    let at_zero = 0.5 * dot(problem.y, problem.y);
    let along = |g: &[f64]| -> Vec<f64> {
        vectors
            .col_iter()
            .map(|v| v.iter().zip(g).map(|(v, g)| v * g).sum())
            .collect()
    };
    let combined = |c: &[f64]| {
        let mut out = vec![0.0; p];
        for (v, c) in vectors.col_iter().zip(c) {
            for (out, v) in out.iter_mut().zip(v.iter()) {
                *out += c * v;
            }
        }
        out
    };
    let mut w = vec![0.0; p];
    let mut best: Option<Fit> = None;
    for iterations in 0..=REFINEMENTS.min(stop.max_iterations) {
        cancel.check()?;
        let residual = residual(problem, &w);
        let mut gradient = problem.transposed(&residual);
        add_scaled(&mut gradient, -problem.lam, &w);
        let mut step = along(&gradient);
        let inside: f64 = step.iter().zip(&gain).map(|(g, f)| g * g * f).sum();
        let mut outside = w.clone();
        add_scaled(&mut outside, -1.0, &combined(&along(&w)));
        let objective = 0.5 * dot(&residual, &residual) + problem.penalty(&w);
        // Whatever rounding has done to the gradient, w = 0 is a bound too.
        let gap = (0.5 * inside + problem.penalty(&outside)).max(objective - at_zero);
        let fit = Fit::judged(w.clone(), objective, gap, iterations, stop);
        if fit.converged {
            return Ok(fit);
        }
        if best.as_ref().is_none_or(|best| fit.better_than(best)) {
            best = Some(fit);
        }
        for (step, filter) in step.iter_mut().zip(&filter) {
            *step *= filter;
        }
        add_scaled(&mut w, 1.0, &combined(&step));
    }
    best.ok_or(Error::Interrupted)
}

/// `y - X w`.
fn residual(problem: &Examples<'_>, w: &[f64]) -> Vec<f64> {
    let mut residual = problem.predictions(w);
    for (z, y) in residual.iter_mut().zip(problem.y) {
        *z = y - *z;
    }
    residual
}
