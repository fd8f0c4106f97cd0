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
//!
//! ```
//! use hmm_core::{Cancel, Loss};
//! use hmm_theory::replica::{Settings, Spectrum, ridgeless, separability_threshold, solve};
//! use ndarray::array;
//! // Isotropic features that see 0.7 of the teacher's variance 1.
//! let spectrum = Spectrum::new(array![1.0], array![1.0], array![0.7], 1.0)?;
//! // Without a penalty the error is (rho - rho_lin) alpha/(alpha - 1); a vanishing one comes close.
//! let mse = ridgeless(&spectrum, 2.0, 0.0)?.test_mse;
//! assert!((mse - 0.6).abs() < 1e-14);
//! let (loss, lam, flip, noise, tol, max_iterations) = (Loss::Ridge, 1e-9, 0.0, 0.0, 1e-12, 1000);
//! let settings = Settings { loss, lam, flip, noise, tol, max_iterations };
//! assert!((solve(&spectrum, 2.0, &settings, &Cancel::new())?.test_mse - mse).abs() < 1e-7);
//! // Labels that the features know nothing of are separable up to two examples per feature (Cover 1965).
//! let blind = Spectrum::new(array![1.0], array![1.0], array![0.0], 1.0)?;
//! assert!((separability_threshold(&blind, 0.0, 0.0)? - 2.0).abs() < 1e-6);
//! # Ok::<(), hmm_core::Error>(())
//! ```

mod anderson;
mod channel;
mod columns;
mod limits;
mod optimal;
mod proximal;
mod quadrature;
mod ridge;
mod scale;
mod solve;
mod spectrum;

pub use columns::columns;
pub use limits::{MaxMargin, Ridgeless, max_margin, ridgeless, separability_threshold};
pub use optimal::{OptimalRidge, optimal_ridge};
pub use proximal::{LOSSES, Proximal, proximal, proximal_at};
pub use solve::{Settings, Solution, learning_curve, solve};
pub use spectrum::{Conjugates, Overlaps, Spectrum, Sums};
