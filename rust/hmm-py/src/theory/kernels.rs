//! Kernels in closed form.

use crate::border::run;
use crate::convert::name::Name;
use hmm_theory::kernels::{self, Bias};
use numpy::{PyReadonlyArray2, PyReadwriteArray2};
use pyo3::prelude::*;

/// Register the functions of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(ntk, module)?)?;
    module.add_function(wrap_pyfunction!(laplace, module)?)
}

/// Infinite-width tangent kernel `h Theta`, written to `out`.
#[pyfunction]
#[pyo3(signature = (x, y, *, bias, out, threads=None))]
fn ntk(
    py: Python<'_>,
    x: PyReadonlyArray2<'_, f64>,
    y: Option<PyReadonlyArray2<'_, f64>>,
    bias: Name<Bias>,
    mut out: PyReadwriteArray2<'_, f64>,
    threads: Option<usize>,
) -> PyResult<()> {
    let (x, y, out) = (
        x.as_array(),
        y.as_ref().map(|y| y.as_array()),
        out.as_array_mut(),
    );
    run(py, threads, |cancel| {
        kernels::ntk_into(x, y, bias.0, out, cancel)
    })
}

/// Laplace kernel `exp(-|x - y|/scale)`, written to `out`.
#[pyfunction]
#[pyo3(signature = (x, y, *, scale, out, threads=None))]
fn laplace(
    py: Python<'_>,
    x: PyReadonlyArray2<'_, f64>,
    y: Option<PyReadonlyArray2<'_, f64>>,
    scale: f64,
    mut out: PyReadwriteArray2<'_, f64>,
    threads: Option<usize>,
) -> PyResult<()> {
    let (x, y, out) = (
        x.as_array(),
        y.as_ref().map(|y| y.as_array()),
        out.as_array_mut(),
    );
    run(py, threads, |cancel| {
        kernels::laplace_into(x, y, scale, out, cancel)
    })
}
