//! Gradient flow of one-hidden-layer ReLU networks, and of a predictor in a frozen kernel.
//!
//! `f(x) = (1/h) sum_n beta_n sigma(omega_n.x/sqrt d + b_n)`, predictor `F = alpha (f - f_0)`, objective
//! `L = (1/(alpha p)) sum l(y F)`, `d theta/dt = -grad L` ("code time"; the published time is
//! `t/alpha`). Source: Paccolat et al., J. Stat. Mech. 2021, 044001.
//!
//! ```
//! use hmm_core::{Cancel, Loss};
//! use hmm_sim::gradient_flow::{Flow, FrozenKernel, Limits, Method, Rule};
//! use hmm_sim::loss::MarginLoss;
//! use hmm_sim::stepper::{Stepper, Stretch};
//! use ndarray::array;
//! // One example, K = 1, the loss (1 - F)^2/2: dF/dt = 1 - F, so F = 1 - e^-t.
//! let rule = Rule {
//!     loss: MarginLoss::new(Loss::QuadraticHinge, 1.0, 1.0)?,
//!     alpha: 1.0,
//!     method: Method::RungeKutta { rtol: 1e-10, atol: 1e-12 },
//!     limits: Limits { max_dout: 0.1, max_dw: 0.01 },
//!     subtract_initial: false,
//! };
//! let (kernel, cancel) = (FrozenKernel::new(array![[1.0]].view())?, Cancel::new());
//! let mut flow = Flow::new(kernel, vec![0.0], array![1.0].view(), rule, &cancel)?;
//! flow.advance(&Stretch { until: 1.5, ..Stretch::steps(10_000) }, &cancel)?;
//! assert_eq!(flow.clock().t, 1.5);
//! assert!((flow.state().theta[0] - (1.0 - (-1.5_f64).exp())).abs() < 1e-9);
//! # Ok::<(), hmm_core::Error>(())
//! ```

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

use hmm_core::{Cancel, Entry, Error, Real, Result};

/// An error unless the slice `argument` of a model's function has the length it needs.
fn check_length(argument: &'static str, found: usize, wanted: usize) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::shape(
        argument,
        &[found],
        format!("must have {wanted} entries"),
        "pass one for each parameter, or for each example",
    ))
}

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
    /// [`Error::Shape`] for slices of other lengths, [`Error::Interrupted`], and what a predictor of the caller's raises.
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
