//! One-hidden-layer networks of many nodes in the mean-field scaling,
//! `f(x) = (1/M) sum_i a_i g(w_i.x / sqrt d)`, trained as interacting particles
//! (Pellegrini & Biroli 2020, Chizat & Bach 2018).
//!
//! A step is two matrix products, examples x inputs x nodes, cut into tiles so that the activations
//! of all nodes on all examples never exist together: a tile of them is made, used and forgotten
//! while it is in cache. Of a ReLU's activations one bit each is kept for the way back, and only
//! examples with a gradient (the unsatisfied ones of the hinge loss) enter that way.
//!
//! [`Particles`] is the network in training; [`examples`] what it learns from, [`rule`] how, [`sizes`] what that takes.

mod backward;
pub mod examples;
mod forward;
pub mod initial;
mod measure;
mod network;
mod plan;
pub mod rule;
pub mod sizes;
mod stepper;

pub use examples::{Batches, Examples, Labelled, LawBatches};
pub use measure::Score;
pub use network::{Particles, Setting};
pub use rule::{ExampleLoss, Rule, Unit};
pub use sizes::Sizes;

use hmm_core::{Error, Result};

/// `value` if it is positive and finite.
fn positive(argument: &'static str, value: f64) -> Result<f64> {
    if value > 0.0 && value.is_finite() {
        return Ok(value);
    }
    Err(Error::invalid(
        argument,
        value,
        "must be positive and finite",
        "pass such a number",
    ))
}
