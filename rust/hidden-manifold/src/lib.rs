#![doc = include_str!("../README.md")]

pub use hmm_core as core;
pub use hmm_sim as sim;
pub use hmm_theory as theory;
pub use ndarray;

pub mod prelude;
