//! Learning curves of regularised empirical risk minimisation on Gaussian features with an
//! arbitrary covariance: the replica-symmetric fixed point of the Gaussian covariate model.
//!
//! # Conventions
//!
//! Teacher field `nu = theta.u / sqrt(k)`, student preactivation `w.v / sqrt(p)`, features centred.
//! The estimator minimises `sum_mu l(y_mu, w.v_mu / sqrt(p)) + lam/2 |w|^2` (a sum, not a mean) over
//! `n = alpha p` examples. Labels are `nu + noise xi` for regression and
//! `sign(nu + noise xi)`, flipped with probability `flip`, for classification. Only a
//! [`Spectrum`] enters: the eigenvalues of the feature covariance, the squared projections of
//! `b = E[nu v]` on its eigenvectors, and the variance `rho` of the teacher field.
//!
//! Source: Loureiro, Gerbelot, Cui, Goldt, Krzakala, Mezard, Zdeborova, "Learning curves of generic
//! features maps for realistic datasets with a teacher-student model" (2021), and Goldt et al., "The
//! Gaussian equivalence of generative models for learning with shallow neural networks" (2020).

pub mod anderson;
pub mod channel;
mod columns;
pub mod limits;
pub mod optimal;
pub mod proximal;
pub mod quadrature;
pub mod ridge;
mod scale;
pub mod solve;
pub mod spectrum;

pub use columns::columns;
pub use limits::{MaxMargin, Ridgeless, max_margin, ridgeless, separability_threshold};
pub use optimal::{OptimalRidge, optimal_ridge};
pub use proximal::{LOSSES, Proximal, proximal, proximal_at};
pub use solve::{Settings, Solution, learning_curve, solve};
pub use spectrum::Spectrum;
