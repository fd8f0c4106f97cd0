//! The border to Python: converts, checks shapes, releases the GIL, maps errors. No arithmetic.

mod border;
mod compression;
mod data;
mod gradient_flow;
mod kernels;
mod online;
mod particles;

use pyo3::prelude::*;

/// The compiled half of `hmm_rs`.
#[pymodule]
fn _lib(module: &Bound<'_, PyModule>) -> PyResult<()> {
    border::register(module)?;
    compression::register(module)?;
    data::register(module)?;
    gradient_flow::register(module)?;
    kernels::register(module)?;
    online::register(module)?;
    particles::register(module)?;
    Ok(())
}
