//! What simulation and theory both need, and nothing of physics: floating-point types, random
//! streams, the thread pool and its fixed-order reductions, matrix products, vectorised special
//! functions, errors.
//!
//! The promise this crate carries for all others: *the same seed gives the same bits on any number
//! of threads*. Work is cut into chunks whose size never depends on the thread count, every random
//! number is a function of `(seed, purpose, unit, block)`, partial results are combined in chunk
//! order, and matrix products run serially inside a chunk.
//!
#![doc = include_str!("../README.md")]
// What is indexed all the same says who has checked its sizes, at the narrowest place that can say it.
#![deny(clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::indexing_slicing))]

mod aligned;
pub mod cancel;
pub mod decompositions;
pub mod dormand_prince;
pub mod error;
mod fused;
pub mod instructions;
pub mod linalg;
pub mod memory;
pub mod names;
pub mod packed;
pub mod parallel;
pub mod products;
pub mod random;
pub mod real;
pub mod schedule;
pub mod special;
pub mod table;
mod walsh;

pub use aligned::Aligned;
pub use cancel::Cancel;
pub use error::{Error, Result};
pub use names::{Activation, Loss, Named};
pub use real::Real;
pub use schedule::Schedule;
pub use table::{Column, Entry, Table};
