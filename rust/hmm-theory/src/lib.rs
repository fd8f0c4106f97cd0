//! The deterministic half: no random number is drawn in this crate.

pub mod hinge;
