//! Gradient flow of one-hidden-layer ReLU networks, and of a predictor in a frozen kernel.
//!
//! `f(x) = (1/h) sum_n beta_n sigma(omega_n.x/sqrt d + b_n)`, predictor `F = alpha (f - f_0)`, objective
//! `L = (1/(alpha p)) sum l(y F)`, `d theta/dt = -grad L` ("code time"; the published time is
//! `t/alpha`). Source: Paccolat et al., J. Stat. Mech. 2021, 044001.

mod flow;
mod fused;
mod inputs;
mod kernel;
mod loss;
mod network;
mod stepping;

pub use flow::{EVENTS, Event, Flow, Observation, Snapshot, StopRules};
pub use fused::Fused;
pub use inputs::Inputs;
pub use kernel::{FrozenKernel, decisions};
pub use loss::Loss;
pub use network::ReluLayer;
pub use stepping::{Limits, Method};

use hmm_core::{Cancel, Real, Result};

/// A predictor with parameters `theta`: what the flow needs to know of it.
pub trait Model: Send + Sync {
    /// Type of the parameters.
    type Scalar: Real;

    /// Number of training examples p.
    fn examples(&self) -> usize;

    /// Number of parameters.
    fn parameters(&self) -> usize;

    /// Whether a step's length is limited by the parameters' own (they do not start from zero).
    fn limits_relative_change(&self) -> bool;

    /// `f(x_mu)` of all training examples into `outputs` (p,).
    fn outputs(&self, theta: &[Self::Scalar], outputs: &mut [f64], cancel: &Cancel) -> Result<()>;

    /// `sum_mu slopes_mu grad f(x_mu)` into `gradient` (parameters,).
    fn gradient(
        &self,
        theta: &[Self::Scalar],
        slopes: &[f64],
        gradient: &mut [Self::Scalar],
        cancel: &Cancel,
    ) -> Result<()>;
}
