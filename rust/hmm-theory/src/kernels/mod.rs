//! Kernels in closed form: the neural tangent kernel of an infinitely wide ReLU network, and the
//! isotropic Laplace kernel.

mod distance;
mod laplace;
mod ntk;
mod pairs;

pub use laplace::laplace;
pub use ntk::{Bias, ntk};
pub use pairs::Points;
