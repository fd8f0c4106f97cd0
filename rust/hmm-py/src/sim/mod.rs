//! Bindings of the random half: data, engines, kernels of finite networks.

mod callback;
mod classifier;
mod data;
mod engine;
mod equivalence;
mod full_batch;
mod generator;
mod gradient_flow;
mod kernels;
mod labelled;
mod networks;
mod online;
mod particles;

use pyo3::prelude::*;

/// Add the classes and functions of this room.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    classifier::register(module)?;
    data::register(module)?;
    engine::register(module)?;
    equivalence::register(module)?;
    full_batch::register(module)?;
    generator::register(module)?;
    gradient_flow::register(module)?;
    kernels::register(module)?;
    labelled::register(module)?;
    networks::register(module)?;
    online::register(module)?;
    particles::register(module)
}
