//! Bindings of what tests of Gaussian equivalence ask of samples and matrices.

use crate::border;
use hmm_sim::equivalence;
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

/// Add the functions of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(mean_pair_kernel, module)?)?;
    module.add_function(wrap_pyfunction!(symmetric_eigenvalues, module)?)
}

/// Mean of a Gaussian kernel over the pairs of points (n, d).
#[pyfunction]
fn mean_pair_kernel(
    py: Python<'_>,
    points: PyReadonlyArray2<'_, f64>,
    width: f64,
    threads: Option<usize>,
) -> PyResult<f64> {
    let points = points.as_array();
    border::run(py, threads, |cancel| {
        equivalence::mean_pair_kernel(points, width, cancel)
    })
}

/// Eigenvalues of a symmetric matrix (n, n), ascending.
#[pyfunction]
fn symmetric_eigenvalues<'py>(
    py: Python<'py>,
    matrix: PyReadonlyArray2<'py, f64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let matrix = matrix.as_array();
    let values = border::run(py, None, |cancel| {
        equivalence::symmetric_eigenvalues(matrix, cancel)
    })?;
    Ok(values.into_pyarray(py))
}
