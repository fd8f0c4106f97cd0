//! Products of large matrices, the same on any number of threads.

use crate::border::run;
use crate::convert::dtype::{ByDtype, either};
use hmm_core::{Real, products};
use numpy::{Element, PyReadonlyArray2, PyReadwriteArray2};
use pyo3::prelude::*;

/// A matrix of either precision.
type Matrix<'py> = ByDtype<PyReadonlyArray2<'py, f32>, PyReadonlyArray2<'py, f64>>;

/// Write `a b` to `out`; without `b`, the symmetric `a aᵀ`. All of one precision.
#[pyfunction]
#[pyo3(signature = (a, b, *, out, threads=None))]
fn matmul(
    py: Python<'_>,
    a: Matrix<'_>,
    b: Option<&Bound<'_, PyAny>>,
    out: &Bound<'_, PyAny>,
    threads: Option<usize>,
) -> PyResult<()> {
    either!(a, a => fill(py, &a, b, out, threads))
}

fn fill<T: Element + Real>(
    py: Python<'_>,
    a: &PyReadonlyArray2<'_, T>,
    b: Option<&Bound<'_, PyAny>>,
    out: &Bound<'_, PyAny>,
    threads: Option<usize>,
) -> PyResult<()> {
    let b: Option<PyReadonlyArray2<'_, T>> = b.map(|b| b.extract()).transpose()?;
    let mut out: PyReadwriteArray2<'_, T> = out.extract()?;
    let (a, b) = (a.as_array(), b.as_ref().map(|b| b.as_array()));
    let out = out.as_array_mut();
    run(py, threads, |cancel| match b {
        Some(b) => products::product(a, b, out, cancel),
        None => products::gram(a, out, cancel),
    })
}

/// Add this subject's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(matmul, module)?)
}
