//! The penalty that minimises the predicted test error: cross-validation on the theory, without data.

use super::scale::Scale;
use super::solve::{Settings, Solution, solve_from};
use super::spectrum::{Spectrum, positive};
use hmm_core::{Cancel, Loss, Result};

/// Points of the logarithmic grid that brackets the minimum.
const GRID: usize = 25;
/// Decades added at the edge where the minimum sits, and how often.
const WIDEN_BY: f64 = 3.0;
const WIDENINGS: usize = 2;
/// Golden-section steps inside the bracket: 0.618^60 of it is below the resolution of a minimum.
const REFINEMENTS: usize = 60;

/// The optimal penalty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptimalRidge {
    /// The penalty.
    pub lam: f64,
    /// The solution there.
    pub solution: Solution,
    /// Whether the minimum sits at an edge of the (widened) grid: `lam` is then a bound.
    pub at_edge: bool,
}

/// Minimise the test error (mean squared for ridge, 0/1 otherwise) over the penalty.
///
/// A logarithmic grid over `lower..upper`, widened while the minimum sits at its edge, then a golden
/// section between the neighbours.
///
/// # Errors
/// Invalid settings or bounds, penalties beyond the range of numbers, an interruption. `settings.lam` is not used.
pub fn optimal_ridge(
    spectrum: &Spectrum,
    alpha: f64,
    settings: &Settings,
    lower: f64,
    upper: f64,
    cancel: &Cancel,
) -> Result<OptimalRidge> {
    settings.check()?;
    positive("alpha", alpha, "pass alpha = n/p > 0")?;
    positive("lam_min", lower, "pass lam_min=1e-4")?;
    positive("lam_max - lam_min", upper - lower, "pass lam_max > lam_min")?;
    let (scale, spectrum) = Scale::of(spectrum);
    let solve = |log_lam: f64, near: Option<&Solution>| {
        let settings = Settings {
            lam: log_lam.exp(),
            ..*settings
        };
        let scaled = scale.settings(&settings)?;
        let near = near.map(|near| &near.overlaps);
        solve_from(&spectrum, alpha, &scaled, near, cancel)
    };
    let (mut lower, mut upper) = (lower.ln(), upper.ln());
    let mut widenings = 0;
    loop {
        cancel.check()?;
        let step = (upper - lower) / (GRID - 1) as f64;
        let point = |i: usize| lower + step * i as f64;
        let (mut index, mut solution) = (0, solve(point(0), None)?);
        let mut near = solution;
        for next in 1..GRID {
            near = solve(point(next), near.converged.then_some(&near))?;
            if target(&near, settings) < target(&solution, settings) {
                (index, solution) = (next, near);
            }
        }
        let at_edge = index == 0 || index == GRID - 1;
        if at_edge && widenings < WIDENINGS {
            widenings += 1;
            let decades = WIDEN_BY * std::f64::consts::LN_10;
            if index == 0 {
                lower -= decades;
            } else {
                upper += decades;
            }
            continue;
        }
        if at_edge {
            return Ok(OptimalRidge {
                lam: point(index).exp(),
                solution: scale.undo(solution, settings.loss),
                at_edge,
            });
        }
        let log_lam = golden_section(point(index - 1), point(index + 1), |log_lam| {
            Ok(target(&solve(log_lam, Some(&solution))?, settings))
        })?;
        return Ok(OptimalRidge {
            lam: log_lam.exp(),
            solution: scale.undo(solve(log_lam, Some(&solution))?, settings.loss),
            at_edge,
        });
    }
}

/// What is minimised.
fn target(solution: &Solution, settings: &Settings) -> f64 {
    if settings.loss == Loss::Ridge {
        solution.test_mse
    } else {
        solution.test_error
    }
}

/// The minimum of a unimodal function between `lower` and `upper`.
fn golden_section(
    mut lower: f64,
    mut upper: f64,
    mut value: impl FnMut(f64) -> Result<f64>,
) -> Result<f64> {
    let ratio = 0.5 * (5.0_f64.sqrt() - 1.0);
    let (mut left, mut right) = (
        upper - ratio * (upper - lower),
        lower + ratio * (upper - lower),
    );
    let (mut at_left, mut at_right) = (value(left)?, value(right)?);
    for _ in 0..REFINEMENTS {
        if at_left < at_right {
            upper = right;
            (right, at_right) = (left, at_left);
            left = upper - ratio * (upper - lower);
            at_left = value(left)?;
        } else {
            lower = left;
            (left, at_left) = (right, at_right);
            right = lower + ratio * (upper - lower);
            at_right = value(right)?;
        }
    }
    Ok(f64::midpoint(lower, upper))
}
