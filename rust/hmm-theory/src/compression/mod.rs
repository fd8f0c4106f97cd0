//! Geometric compression of invariant manifolds: a one-hidden-layer ReLU network in the feature
//! regime shrinks the input directions that the label does not depend on.
//!
//! Source: Paccolat, Petrini, Geiger, Tyloo, Wyart, *J. Stat. Mech.* 2021, 044001 (arXiv 2007.11471).
//!
//! Network: `f(x) = (1/h) sum_n beta_n sigma(omega_n.x/sqrt d + b_n)`, `sigma(u) = sqrt2 max(0, u)`;
//! inputs `x ~ N(0, I_d)`; the label depends on `x_1` alone.

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
