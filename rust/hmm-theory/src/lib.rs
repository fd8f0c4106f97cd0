//! The deterministic half: equations, fixed points, closed-form kernels. No random number is drawn
//! here.

pub mod compression;
pub mod kernels;
