//! Random simulations of learning: everything that draws numbers lives here.
//!
//! Nothing in this crate knows the theory; the two meet only in tests and figures.

pub mod network_kernel;
pub mod particles;
