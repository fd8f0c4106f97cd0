//! The border to Python: converts, checks shapes, releases the GIL, maps errors. No arithmetic.

mod border;
mod data;
mod full_batch;
mod online;
mod replica;

use pyo3::prelude::*;

/// The compiled half of `hmm_rs`.
#[pymodule]
fn _lib(module: &Bound<'_, PyModule>) -> PyResult<()> {
    border::register(module)?;
    data::register(module)?;
    full_batch::register(module)?;
    online::register(module)?;
    replica::register(module)?;
    Ok(())
}
