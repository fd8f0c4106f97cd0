//! Exact reduction of gradient descent with finite steps (spec: discrete rotation).
//!
//! One step multiplies `a + w_par` by `1 + eta` and `a - w_par` by `1 - eta`, where
//! `eta = dt gamma_dot(S)`. A run of gradient descent follows this, not the flow.

use super::reduction::{HingeMeanField, Observables};
use hmm_core::{Error, Result};

/// State after a number of steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GdState {
    /// Product of all `1 + eta`: growth of `a + w_par`.
    pub growing: f64,
    /// Product of all `1 - eta`: decay of `a - w_par`.
    pub decaying: f64,
    /// `S = E[a w_par]`.
    pub alignment: f64,
    /// Threshold, unsatisfied fraction, loss.
    pub observables: Observables,
}

/// States after 0, 1, ..., `steps` steps of size `dt`.
///
/// # Errors
/// [`Error::InvalidParameter`] for a step that turns `a - w_par` around (`dt gamma_dot >= 1`).
pub fn descend(problem: &HingeMeanField, steps: usize, dt: f64) -> Result<Vec<GdState>> {
    super::data_laws::positive("dt", dt)?;
    let largest = dt * problem.gamma_dot(0.0).abs();
    if largest >= 1.0 {
        return Err(Error::invalid(
            "dt",
            dt,
            format!("dt gamma_dot = {largest} must stay below 1, or a - w_par changes sign"),
            "take a smaller dt or beta",
        ));
    }
    let (c0, c1) = problem.initial_moments();
    let (mut growing, mut decaying) = (1.0, 1.0);
    let mut states = Vec::with_capacity(steps + 1);
    for step in 0..=steps {
        let alignment = 0.5 * ((c1 + c0) * growing * growing - (c1 - c0) * decaying * decaying);
        let observables = problem.observables_at(alignment);
        states.push(GdState {
            growing,
            decaying,
            alignment,
            observables,
        });
        if step < steps {
            let eta = dt * problem.speed_at(alignment);
            growing *= 1.0 + eta;
            decaying *= 1.0 - eta;
        }
    }
    Ok(states)
}
