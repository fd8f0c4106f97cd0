//! Kernels in closed form: the neural tangent kernel of an infinitely wide ReLU network, and the
//! isotropic Laplace kernel.

// Views are small: they are passed by value, as ndarray does.
#![allow(clippy::needless_pass_by_value)]

mod distance;
mod laplace;
mod ntk;
mod pairs;

pub use laplace::{laplace, laplace_into};
pub use ntk::{Bias, ntk, ntk_into};
