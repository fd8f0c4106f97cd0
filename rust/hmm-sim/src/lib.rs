//! The random half: data generation and the dynamics that learn from it.
//!
//! Data come from a [`source::Source`], block by block; a block is a function of its number alone,
//! so any thread may make it. Nothing in this crate knows the theory; the two meet only in tests and
//! figures.

pub mod features;
pub mod hidden_manifold;
pub mod network_kernel;
pub mod nonlinearity;
pub mod particles;
pub mod source;
pub mod unit;
