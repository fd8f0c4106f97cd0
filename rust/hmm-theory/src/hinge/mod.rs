//! Mean-field dynamics of one-hidden-layer ReLU networks under the linear hinge loss, after
//! Pellegrini & Biroli, "An analytic theory of shallow networks dynamics for hinge loss
//! classification" (NeurIPS 2020; J. Stat. Mech. 2021, 124005).
//!
//! A network `f(x) = (1/M) sum_i a_i max(kappa w_i.x, 0)` learns labels `y = +-1` with the loss
//! `alpha^-p <max(0, h - alpha y f)>`. For `M -> infinity` and symmetric data every node moves on a
//! hyperbola in the plane of its output weight `a` and its projection `w_par` on the teacher; one
//! number, the rotation `gamma(t)`, says how far.

//! * [`reduction`]: the problem, its unsatisfied set and its speed; [`law`], [`density`]: laws of the data;
//!   [`loss`]: the loss and its clock.
//! * [`rotation`]: `gamma(t)` and its inverse, by [`clock`] or by [`flow`]; [`observables`]; [`gd`]: finite steps.
//! * [`asymptotics`]: late times, lazy and rich limits; [`fluctuations`]: finite width; [`memorisation`]: finite
//!   training sets.
//! * [`projections`]: labels that depend on a few projections.

// Views are passed by value, as references are.
#![allow(clippy::needless_pass_by_value)]

pub mod asymptotics;
pub mod clock;
pub mod density;
pub mod flow;
pub mod fluctuations;
pub mod gd;
pub mod law;
pub mod loss;
pub mod memorisation;
pub mod observables;
pub mod projections;
pub mod reduction;
pub mod rotation;

pub use law::{BaseLaw, DataLaw, LawName, Unsatisfied};
pub use loss::HingeLoss;
pub use reduction::{HingeMeanField, InitialMoments};
