//! The equations: deterministic, without random numbers.

pub mod replica;
