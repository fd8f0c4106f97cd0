//! The square losses: one scalar equation instead of a fixed point in three unknowns.

use super::spectrum::{Conjugates, Overlaps, Spectrum};

/// Newton steps before the root is given up (never seen to take more than 60).
const MAX_ITERATIONS: usize = 500;

/// Solution of ridge regression on targets `y` with `E y^2 = second_moment` and `E[y v] = gain b`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ridge {
    /// Overlaps (with the teacher field itself, not the target).
    pub overlaps: Overlaps,
    /// Their conjugates.
    pub conjugates: Conjugates,
    /// Mean squared error on fresh targets.
    pub test_mse: f64,
    /// Relative change of V in the last step.
    pub residual: f64,
    /// Newton steps.
    pub iterations: usize,
    /// Whether the root was found to rounding.
    pub converged: bool,
}

/// Solve ridge regression, starting the root from `guess`.
///
/// `V = sum c omega/(lam + alpha omega/(1 + V))` has one root. The right-hand side is concave in V, so
/// Newton from the right of the root falls monotonically onto it.
pub fn solve(
    spectrum: &Spectrum,
    alpha: f64,
    lam: f64,
    second_moment: f64,
    gain: f64,
    guess: Option<f64>,
) -> Ridge {
    let upper = largest_variance(spectrum, alpha, lam);
    let mut v = guess.unwrap_or(upper).clamp(0.0, upper);
    let (mut residual, mut iterations, mut converged) = (f64::INFINITY, 0, false);
    for iteration in 1..=MAX_ITERATIONS {
        iterations = iteration;
        let v_hat = alpha / (1.0 + v);
        let unit = unit(spectrum, lam, v_hat);
        let sums = spectrum.sums(lam / unit, v_hat / unit);
        let gap = v - sums.weight1 / unit;
        // d/dV of c omega/den with den = lam + alpha omega/(1+V).
        let scaled = unit * (1.0 + v);
        let slope = 1.0 - alpha * sums.weight2 / (scaled * scaled);
        let next = if slope > 0.0 {
            (v - gap / slope).clamp(0.0, upper)
        } else {
            upper
        };
        residual = (next - v).abs() / v.max(f64::MIN_POSITIVE);
        // From the right the gap stays positive; a gap of rounding size ends the descent.
        let done = residual < 1e-15 || (slope > 0.0 && gap.abs() <= 4.0 * f64::EPSILON * v);
        v = next;
        if done {
            converged = true;
            break;
        }
    }
    let v_hat = alpha / (1.0 + v);
    let unit = unit(spectrum, lam, v_hat);
    let (scaled_lam, ratio) = (lam / unit, v_hat / unit);
    let sums = spectrum.sums(scaled_lam, ratio);
    let explained = gain * gain;
    let test_mse = (second_moment - 2.0 * ratio * explained * sums.teacher1
        + ratio * ratio * explained * sums.teacher2)
        / (1.0 - ratio * ratio * sums.weight2 / alpha);
    let conjugates = Conjugates {
        v_hat,
        q_hat: v_hat * v_hat * test_mse / alpha,
        m_hat: v_hat * gain,
    };
    let scaled = Conjugates {
        v_hat: ratio,
        q_hat: ratio * ratio * test_mse / alpha,
        m_hat: ratio * gain,
    };
    let overlaps = Overlaps {
        v,
        ..spectrum.overlaps(&scaled, scaled_lam)
    };
    Ridge {
        overlaps,
        conjugates,
        test_mse,
        residual,
        iterations,
        converged,
    }
}

/// Largest penalty-free variance that Newton starts from.
const LARGE: f64 = 1e100;
/// Beyond this a variance is out of reach: its neighbours are no numbers.
const LARGEST: f64 = 1e300;

/// An upper bound on V: `sum c omega/lam`, and `f/(alpha - f)` above the rank f, which no small penalty moves.
fn largest_variance(spectrum: &Spectrum, alpha: f64, lam: f64) -> f64 {
    let by_penalty = (spectrum.mean_eigenvalue() / lam).min(LARGEST);
    let rank = spectrum.rank_fraction();
    if by_penalty > LARGE && alpha > rank {
        by_penalty.min(rank / (alpha - rank))
    } else {
        by_penalty
    }
}

/// A power of two near the largest `lam + v_hat omega`: in units of it no square of a denominator leaves the range
/// of numbers, and no digit is lost by the change.
fn unit(spectrum: &Spectrum, lam: f64, v_hat: f64) -> f64 {
    let largest = lam.max(v_hat * spectrum.largest_eigenvalue());
    2.0_f64.powi(largest.log2().floor().clamp(-1000.0, 1000.0) as i32)
}
