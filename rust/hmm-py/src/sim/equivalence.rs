//! Bindings of what tests of Gaussian equivalence ask of samples.

use crate::border;
use hmm_sim::equivalence;
use numpy::PyReadonlyArray2;
use pyo3::prelude::*;

/// Add the functions of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(mean_pair_kernel, module)?)
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
