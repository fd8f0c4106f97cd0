//! Mean-field dynamics of one-hidden-layer ReLU networks under the linear hinge loss, after
//! Pellegrini & Biroli, "An analytic theory of shallow networks dynamics for hinge loss
//! classification" (NeurIPS 2020; J. Stat. Mech. 2021, 124005).
//!
//! A network `f(x) = (1/M) sum_i a_i max(kappa w_i.x, 0)` learns labels `y = +-1` with the loss
//! `alpha^-p <max(0, h - alpha y f)>`. For `M -> infinity` and symmetric data every node moves on a
//! hyperbola in the plane of its output weight `a` and its projection `w_par` on the teacher; one
//! number, the rotation `gamma(t)`, says how far.

pub mod asymptotics;
pub mod clock;
pub mod data_laws;
pub mod density;
pub mod flow;
pub mod fluctuations;
pub mod gd;
mod kronrod;
pub mod memorisation;
pub mod projections;
pub mod reduction;

pub use data_laws::{BaseLaw, DataLaw, Unsatisfied};
pub use reduction::HingeMeanField;
