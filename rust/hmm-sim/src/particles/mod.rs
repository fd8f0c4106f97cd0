//! One-hidden-layer networks of many nodes in the mean-field scaling,
//! `f(x) = (1/M) sum_i a_i g(w_i.x / sqrt d)`, trained as interacting particles
//! (Pellegrini & Biroli 2020, Chizat & Bach 2018).
//!
//! A step is two matrix products, examples x inputs x nodes, cut into tiles so that the activations
//! of all nodes on all examples never exist together: a tile of them is made, used and forgotten
//! while it is in cache. Of a ReLU's activations one bit each is kept for the way back, and only
//! examples with a gradient (the unsatisfied ones of the hinge loss) enter that way.

mod backward;
mod forward;
pub mod initial;
mod plan;
pub mod rule;
pub mod stepper;

pub use rule::{Loss, Rule, Unit};
pub use stepper::{Examples, Observation, Particles, Test};
