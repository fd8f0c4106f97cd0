//! Adaptive Runge-Kutta integration of small smooth systems (Dormand & Prince 1980, order 5(4)).
//!
//! The second, independent way to the gradient flow: the quadrature of [`super::clock`] is the first.

use hmm_core::dormand_prince::{ERROR, STAGES};
use hmm_core::{Cancel, Error, Result};
use ndarray::ArrayView1;

/// More steps than this between two output times mean a system that is not for this method.
const MOST_STEPS: usize = 5_000_000;

/// States of the autonomous system `dy/dt = f(y)` at the increasing `times`, from `y` at time zero.
///
/// A step at the rounding limit of the clock is taken whatever its error estimate: a kink costs a
/// few small steps and then lies behind.
///
/// # Errors
/// [`Error::Convergence`] when the system needs too many steps; [`Error::Interrupted`].
pub fn integrate<const N: usize>(
    f: impl Fn(&[f64; N]) -> [f64; N],
    mut y: [f64; N],
    times: ArrayView1<'_, f64>,
    relative: f64,
    cancel: &Cancel,
) -> Result<Vec<[f64; N]>> {
    let mut t = 0.0_f64;
    let mut step: Option<f64> = None;
    let mut states = Vec::with_capacity(times.len());
    for &end in &times {
        let mut count = 0;
        while t < end {
            cancel.check()?;
            let proposed = step.unwrap_or(1e-3 * (end - t));
            let taken = proposed.min(end - t);
            let (next, error) = trial(&f, &y, taken, relative);
            if error <= 1.0 || taken <= 4e-16 * t {
                y = next;
                t = if taken == end - t { end } else { t + taken };
            }
            let factor = (0.9 * error.max(1e-10).powf(-0.2)).clamp(0.2, 5.0);
            // A step cut short by an output time says nothing against the longer one.
            step = Some(if taken < proposed && error <= 1.0 {
                proposed
            } else {
                taken * factor
            });
            count += 1;
            if count > MOST_STEPS {
                return Err(Error::Convergence(format!(
                    "the flow needs more than {MOST_STEPS} steps to reach t = {end}; use method=\"quadrature\""
                )));
            }
        }
        states.push(y);
    }
    Ok(states)
}

/// One step and its error in units of the tolerance.
#[expect(
    clippy::indexing_slicing,
    reason = "n runs below N, the length of state and slopes; there is one slope more than the tableau has rows"
)]
fn trial<const N: usize>(
    f: &impl Fn(&[f64; N]) -> [f64; N],
    y: &[f64; N],
    step: f64,
    relative: f64,
) -> ([f64; N], f64) {
    let mut slopes = [[0.0; N]; 7];
    slopes[0] = f(y);
    let mut stage = *y;
    for (k, row) in STAGES.iter().enumerate() {
        for n in 0..N {
            let sum: f64 = row.iter().zip(&slopes).map(|(a, slope)| a * slope[n]).sum();
            stage[n] = y[n] + step * sum;
        }
        slopes[k + 1] = f(&stage);
    }
    let mut error = 0.0_f64;
    for n in 0..N {
        let difference: f64 = ERROR
            .iter()
            .zip(&slopes)
            .map(|(e, slope)| e * slope[n])
            .sum();
        let scale = relative * y[n].abs().max(stage[n].abs()).max(1e-8);
        error = error.max((step * difference / scale).abs());
    }
    (stage, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_comes_back() {
        let turn = std::f64::consts::TAU;
        let states = integrate(
            |[x, v]| [*v, -*x],
            [1.0, 0.0],
            ndarray::aview1(&[0.25 * turn, turn]),
            1e-11,
            &Cancel::new(),
        )
        .unwrap();
        // Local tolerance times the number of steps of a turn.
        assert!((states[0][1] + 1.0).abs() < 1e-9);
        assert!((states[1][0] - 1.0).abs() < 1e-9 && states[1][1].abs() < 1e-9);
    }
}
