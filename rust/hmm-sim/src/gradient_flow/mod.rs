//! Gradient flow of one-hidden-layer ReLU networks, and of a predictor in a frozen kernel.
//!
//! `f(x) = (1/h) sum_n beta_n sigma(omega_n.x/sqrt d + b_n)`, predictor `F = alpha (f - f_0)`, objective
//! `L = (1/(alpha p)) sum l(y F)`, `d theta/dt = -grad L` ("code time"; the published time is
//! `t/alpha`). Source: Paccolat et al., J. Stat. Mech. 2021, 044001.

mod flow;
mod fused;
mod inputs;
mod kernel;
mod measure;
mod network;
mod stepper;
mod stepping;
#[cfg(test)]
mod tests;
mod trial;

pub use flow::{Flow, Rule, Snapshot};
pub use fused::Fused;
pub use inputs::Inputs;
pub use kernel::FrozenKernel;
pub use measure::{EVENTS, Event, Observation, StopRules};
pub use network::{ReluLayer, ReluWeights, slope};
pub use stepper::Question;
pub use stepping::{Controller, Limits, Method};

use hmm_core::{Cancel, Entry, Real, Result};

/// A predictor with parameters `theta`: what the flow needs to know of it.
pub trait Model: Send + Sync {
    /// Type of the parameters.
    type Scalar: Real + Entry;
    /// Points to test on.
    type Points: Send + Sync;

    /// Number of training examples p.
    fn examples(&self) -> usize;

    /// Number of parameters.
    fn parameters(&self) -> usize;

    /// Whether a step's length is limited by the parameters' own (they do not start from zero).
    fn limits_relative_change(&self) -> bool;

    /// `f(x_mu)` of all training examples into `outputs` (p,).
    ///
    /// # Errors
    /// [`hmm_core::Error::Interrupted`], and what a predictor of the caller's raises.
    fn outputs(&self, theta: &[Self::Scalar], outputs: &mut [f64], cancel: &Cancel) -> Result<()>;

    /// `sum_mu slopes_mu grad f(x_mu)` into `gradient` (parameters,).
    ///
    /// # Errors
    /// As [`Self::outputs`].
    fn gradient(
        &self,
        theta: &[Self::Scalar],
        slopes: &[f64],
        gradient: &mut [Self::Scalar],
        cancel: &Cancel,
    ) -> Result<()>;

    /// `f` at other points.
    ///
    /// # Errors
    /// As [`Self::outputs`].
    fn outputs_at(
        &self,
        points: &Self::Points,
        theta: &[Self::Scalar],
        cancel: &Cancel,
    ) -> Result<Vec<f64>>;

    /// Bytes the predictor holds.
    fn bytes(&self) -> u64;

    /// Bytes of points to test on.
    fn bytes_of_points(points: &Self::Points) -> u64;
}
