//! The border to Python: converts, checks shapes, releases the GIL, maps errors. No arithmetic.

// Extracted arguments are owned: that is how the binding hands them over.
#![allow(clippy::needless_pass_by_value)]

mod border;
mod classifier;
mod compression;
mod data;
mod full_batch;
mod generator;
mod gradient_flow;
mod hinge_theory;
mod kernels;
mod online;
mod online_theory;
mod particles;
mod replica;

use pyo3::prelude::*;

/// The compiled half of `hmm_rs`.
#[pymodule]
fn _lib(module: &Bound<'_, PyModule>) -> PyResult<()> {
    border::register(module)?;
    classifier::register(module)?;
    compression::register(module)?;
    data::register(module)?;
    full_batch::register(module)?;
    generator::register(module)?;
    gradient_flow::register(module)?;
    hinge_theory::register(module)?;
    kernels::register(module)?;
    online::register(module)?;
    online_theory::register(module)?;
    particles::register(module)?;
    replica::register(module)?;
    Ok(())
}
