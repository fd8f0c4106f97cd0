//! One-hidden-layer networks of many nodes in the mean-field scaling,
//! `f(x) = (1/M) sum_i a_i g(w_i.x / sqrt d)`, trained as interacting particles
//! (Pellegrini & Biroli 2020, Chizat & Bach 2018).
//!
//! A step is two matrix products, examples x inputs x nodes, cut into tiles so that the activations
//! of all nodes on all examples never exist together: a tile of them is made, used and forgotten
//! while it is in cache. Of a ReLU's activations one bit each is kept for the way back, and only
//! examples with a gradient (the unsatisfied ones of the hinge loss) enter that way.
//!
//! A network too large for one machine is cut into [`Shard`]s: a step is one sum of P numbers over all of them.
//!
//! [`Particles`] is the network in training; [`Examples`] what it learns from, [`rule`] how, [`Sizes`] what that takes.
//!
//! ```
//! use hmm_core::{Activation, Cancel};
//! use hmm_sim::labelled::{LabelledLaw, Linear, Shape};
//! use hmm_sim::loss::ExampleLoss;
//! use hmm_sim::particles::initial::random_nodes;
//! use hmm_sim::particles::{Examples, LawBatches, Particles, Rule, Setting};
//! use hmm_sim::stepper::{Stepper, Stretch};
//! let (d, width, cancel) = (5, 200, Cancel::new());
//! let law = LabelledLaw::new(Shape::Linear(Linear::Separable { sigma: 1.0 }), d, 0.0)?;
//! let stream = Box::new(LawBatches { law, seed: [2; 8] });
//! let rule = Rule {
//!     loss: ExampleLoss::Hinge,
//!     alpha: 1.0,
//!     h: 1.0,
//!     beta: 1.0,
//!     exponent: 1.0,
//!     subtract_init: false,
//! };
//! let setting = Setting { unit: Activation::Relu, rule, recorded: 0, tile: None };
//! let nodes = random_nodes::<f64>(&[1; 8], width, d, (1.0, 1.0, 0.0), &cancel)?;
//! let examples = Examples::Fresh { stream, batch: 200 };
//! let mut run = Particles::new(nodes.a, nodes.w, examples, None, setting, &cancel)?;
//! run.advance(&Stretch { dt: 0.5, ..Stretch::steps(10) }, &cancel)?;
//! assert_eq!(run.clock().t, 5.0);
//! assert!(run.observe(&cancel)?.number::<f64>("gamma")? > 0.0);
//! # Ok::<(), hmm_core::Error>(())
//! ```

mod backward;
mod examples;
mod forward;
pub mod initial;
mod measure;
mod network;
mod plan;
pub mod rule;
mod shard;
mod sizes;
mod stepper;

pub use examples::{Batches, Examples, Labelled, LawBatches};
pub use measure::Score;
pub use network::{Particles, Setting};
pub use rule::Rule;
pub use shard::{Member, Shard};
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
