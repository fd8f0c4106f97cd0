//! Geometric compression of invariant manifolds: a one-hidden-layer ReLU network in the feature
//! regime shrinks the input directions that the label does not depend on.
//!
//! Source: Paccolat, Petrini, Geiger, Tyloo, Wyart, *J. Stat. Mech.* 2021, 044001 (arXiv 2007.11471).
//!
//! Network: `f(x) = (1/h) sum_n beta_n sigma(omega_n.x/sqrt d + b_n)`, `sigma(u) = sqrt2 max(0, u)`;
//! inputs `x ~ N(0, I_d)`; the label depends on `x_1` alone.
//!
//! ```
//! use hmm_theory::compression::{AxisLabels, attractors, learning_curve_exponents};
//! // The published exponents of the stripe, 1/2 and 3/4 in two dimensions.
//! let exponents = learning_curve_exponents(2, 1, 1.0)?;
//! assert!((exponents.lazy - 0.5).abs() < 1e-15 && (exponents.feature - 0.75).abs() < 1e-15);
//! // Neurons that look left and right of a symmetric stripe are mirror images.
//! let stripe = AxisLabels::stripe(-0.5, 0.5, 1.0)?;
//! let found = attractors(5, &stripe)?;
//! assert!(!found.is_empty());
//! for a in &found {
//!     let image = found.iter().find(|b| b.s == -a.s && (b.z + a.z).abs() < 1e-9);
//!     assert!(image.is_some_and(|b| (b.growth - a.growth).abs() < 1e-9));
//! }
//! # Ok::<(), hmm_core::Error>(())
//! ```

mod attractors;
mod exponents;
mod labels;
mod neuron_flow;
mod normal;
mod population;

pub use attractors::{Attractor, attractors, characteristic_time};
pub use exponents::{Exponents, learning_curve_exponents};
pub use labels::AxisLabels;
pub use neuron_flow::{NeuronFlow, NeuronRates};
pub use population::{PopulationField, compression_all_active, population_field};
