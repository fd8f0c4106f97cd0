//! Equations of one-pass stochastic gradient descent in the limit of many inputs.
//!
//! Time t counts steps divided by N. Three laws of the inputs ([`saad_solla`], [`hidden_manifold`],
//! [`covariance`]) give one set of mode equations ([`modes`]) driven by averages over the local
//! fields ([`fields`]); [`solution`] integrates it and reads off Q, R, T, v and the error.

pub mod covariance;
pub mod fields;
pub mod hidden_manifold;
mod initial;
mod jacobian;
pub mod modes;
mod quadrature;
pub mod saad_solla;
pub mod solution;

pub use initial::{ModeArrays, Setting};
