//! Mean-field dynamics of one-hidden-layer ReLU networks under the linear hinge loss, after
//! Pellegrini & Biroli, "An analytic theory of shallow networks dynamics for hinge loss
//! classification" (NeurIPS 2020; J. Stat. Mech. 2021, 124005).
//!
//! A network `f(x) = (1/M) sum_i a_i max(kappa w_i.x, 0)` learns labels `y = +-1` with the loss
//! `alpha^-p <max(0, h - alpha y f)>`. For `M -> infinity` and symmetric data every node moves on a
//! hyperbola in the plane of its output weight `a` and its projection `w_par` on the teacher; one
//! number, the rotation `gamma(t)`, says how far.
//!
//! * [`HingeMeanField`]: the problem, its unsatisfied set and its speed, `gamma(t)` and its inverse, what one sees;
//!   [`DataLaw`], [`density`]: laws of the data; [`HingeLoss`]: the loss and its clock; [`gd`]: finite steps.
//! * [`asymptotics`]: late times, lazy and rich limits; [`fluctuations`]: finite width; [`memorisation`]: finite
//!   training sets.
//! * [`projections`]: labels that depend on a few projections.
//!
//! ```
//! use hmm_core::Cancel;
//! use hmm_theory::hinge::{BaseLaw, DataLaw, HingeLoss, HingeMeanField, InitialMoments};
//! use ndarray::aview1;
//! let law = DataLaw::new(BaseLaw::Gaussian { sigma: 1.0 }, 0.0)?;
//! let loss = HingeLoss { alpha: 1.0, h: 1.0, beta: 1.0, exponent: 1.0 };
//! let moments = InitialMoments { correlation: 0.0, power: 1.0 };
//! let field = HingeMeanField::new(law, loss, 0.1, moments, false)?;
//! let cancel = Cancel::new();
//! let gamma = field.gamma(aview1(&[0.0, 10.0, 100.0]), &cancel)?;
//! assert!(gamma[0] == 0.0 && gamma[1] > 0.0 && gamma[2] > gamma[1]);
//! let back = field.time_of_gamma(gamma.view(), &cancel)?;
//! assert!((back[2] - 100.0).abs() < 1e-6);
//! # Ok::<(), hmm_core::Error>(())
//! ```

pub mod asymptotics;
mod clock;
pub mod density;
mod flow;
pub mod fluctuations;
pub mod gd;
mod law;
mod loss;
pub mod memorisation;
mod observables;
pub mod projections;
mod reduction;
mod rotation;

pub use law::{BaseLaw, DataLaw, LawName, Unsatisfied};
pub use loss::HingeLoss;
pub use observables::Observables;
pub use reduction::{HingeMeanField, InitialMoments};
