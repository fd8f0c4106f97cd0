//! The random half: data generation and the dynamics that learn from it.
//!
//! Data come from a [`source::Source`], block by block; a block is a function of its number alone,
//! so any thread may make it. [`online`] learns from the stream by one-pass gradient descent.
//!
#![doc = include_str!("../README.md")]
// What is indexed all the same says who has checked its sizes, at the narrowest place that can say it.
#![deny(clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::indexing_slicing))]

pub mod activation;
pub mod classifier;
pub mod covariance;
pub mod equivalence;
pub mod features;
pub mod fields;
pub mod full_batch;
pub mod gaussian;
pub mod generator;
pub mod gradient_flow;
pub mod hidden_manifold;
pub mod labelled;
pub mod loss;
pub mod network;
pub mod network_kernel;
pub mod nonlinearity;
pub mod online;
pub mod particles;
pub mod source;
pub mod stepper;
pub mod stored;
pub mod weights;
