//! Kernels in closed form: the neural tangent kernel of an infinitely wide ReLU network, and the
//! isotropic Laplace kernel.
//!
//! ```
//! use hmm_core::{Cancel, decompositions::is_positive_definite};
//! use hmm_theory::kernels::{Bias, laplace, ntk};
//! use ndarray::array;
//! let (x, cancel) = (array![[1.0, 0.5], [-0.3, 2.0], [0.4, -1.0]], Cancel::new());
//! // Distinct points are seen as distinct.
//! for kernel in [
//!     laplace(x.view(), None, 2.0, &cancel)?,
//!     ntk(x.view(), None, Bias::Zero, &cancel)?,
//! ] {
//!     assert!(is_positive_definite(kernel.view(), &cancel)?);
//! }
//! // Without biases a ReLU network is homogeneous, and so is its kernel.
//! let of = |scale: f64| ntk((&x * scale).view(), Some(x.view()), Bias::None, &cancel);
//! assert!((of(3.0)? - of(1.0)? * 3.0).iter().all(|gap| gap.abs() < 1e-14));
//! # Ok::<(), hmm_core::Error>(())
//! ```

mod distance;
mod laplace;
mod ntk;
mod pairs;

pub use laplace::{laplace, laplace_into};
pub use ntk::{Bias, ntk, ntk_into};
