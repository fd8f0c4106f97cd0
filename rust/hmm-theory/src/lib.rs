//! Theory of learning from structured data: deterministic, no random numbers anywhere.
//!
//! * [`activation`]: units, their derivatives and moments.
//! * [`integrals`]: Gaussian averages I2, I3, I4 of erf, rectified and linear units.
//! * [`spectrum`]: the Marchenko-Pastur law as a quadrature.
//! * [`online`]: order-parameter equations of one-pass gradient descent.
//! * [`integrate`]: the integrators they are solved with; [`quadrature`]: nodes and weights, adaptive integrals.
//! * [`replica`]: replica theory of full-batch learning.
//! * [`hinge`]: the mean field of hinge-loss learning.
//! * [`compression`]: attractors and exponents of geometric compression; [`kernels`]: closed forms.
//!
#![doc = include_str!("../README.md")]
#![deny(clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::indexing_slicing))]

pub mod activation;
mod checks;
pub mod compression;
pub mod hinge;
pub mod integrals;
pub mod integrate;
pub mod kernels;
pub mod online;
pub mod quadrature;
pub mod replica;
pub mod spectrum;
