//! Bindings of the deterministic half: equations, fixed points, closed forms.

mod compression;
mod hinge;
mod kernels;
mod online;
mod replica;

use pyo3::prelude::*;

/// Add the classes and functions of this room.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    compression::register(module)?;
    hinge::register(module)?;
    kernels::register(module)?;
    online::register(module)?;
    replica::register(module)
}
