//! Kernels in closed form: the neural tangent kernel of an infinitely wide ReLU network, and the
//! isotropic Laplace kernel.

mod distance;
mod laplace;
mod ntk;
mod pairs;

pub use laplace::{laplace, laplace_into};
pub use ntk::{Bias, ntk, ntk_into};
