//! The border to Python: converts, checks shapes, releases the GIL, maps errors. No arithmetic.
//!
//! `border` is the guard every call into the pure crates goes through; `convert` holds one door for
//! each kind of argument and result; `sim` and `theory` bind what the two crates of these names offer.

// Every size here is a user's.
#![deny(clippy::indexing_slicing)]

mod border;
mod convert;
mod products;
mod sim;
mod theory;

use pyo3::prelude::*;

/// The compiled half of `hmm_rs`. Tried little without the lock: a free-threaded interpreter switches it on, and says so.
#[pymodule(gil_used = true)]
fn _lib(module: &Bound<'_, PyModule>) -> PyResult<()> {
    border::register(module)?;
    convert::schedule::register(module)?;
    products::register(module)?;
    sim::register(module)?;
    theory::register(module)
}
