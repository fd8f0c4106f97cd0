//! Products and decompositions of matrices, the same on any number of threads.

use crate::border::run;
use crate::convert::columns::to_dict;
use crate::convert::dtype::{ByDtype, either};
use hmm_core::{Real, Table, decompositions, products};
use numpy::{Element, PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyReadwriteArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;

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
    let b: Option<PyReadonlyArray2<'_, T>> = b.map(PyAnyMethods::extract).transpose()?;
    let mut out: PyReadwriteArray2<'_, T> = out.extract()?;
    let (a, b) = (a.as_array(), b.as_ref().map(|b| b.as_array()));
    let out = out.as_array_mut();
    run(py, threads, |cancel| match b {
        Some(b) => products::product(a, b, out, cancel),
        None => products::gram(a, out, cancel),
    })
}

/// Eigenvalues, ascending, and eigenvectors, columns, of a symmetric matrix.
#[pyfunction]
fn symmetric_eigen<'py>(
    py: Python<'py>,
    a: PyReadonlyArray2<'_, f64>,
) -> PyResult<Bound<'py, PyDict>> {
    let a = a.as_array();
    let (values, vectors) = run(py, Some(1), |cancel| {
        decompositions::symmetric_eigen(a, cancel)
    })?;
    to_dict(
        py,
        Table::new().with("values", values).with("vectors", vectors),
    )
}

/// Eigenvalues, ascending, of a symmetric matrix.
#[pyfunction]
fn symmetric_eigenvalues<'py>(
    py: Python<'py>,
    a: PyReadonlyArray2<'_, f64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let a = a.as_array();
    let values = run(py, Some(1), |cancel| {
        decompositions::symmetric_eigenvalues(a, cancel)
    })?;
    Ok(PyArray1::from_owned_array(py, values))
}

/// Whether a symmetric matrix is positive definite.
#[pyfunction]
fn is_positive_definite(py: Python<'_>, a: PyReadonlyArray2<'_, f64>) -> PyResult<bool> {
    let a = a.as_array();
    run(py, Some(1), |cancel| {
        decompositions::is_positive_definite(a, cancel)
    })
}

/// The solution of a linear system, in least squares where it is singular.
#[pyfunction]
fn solve_linear<'py>(
    py: Python<'py>,
    a: PyReadonlyArray2<'_, f64>,
    b: PyReadonlyArray1<'_, f64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let (a, b) = (a.as_array(), b.as_array());
    let x = run(py, Some(1), |cancel| decompositions::solve(a, b, cancel))?;
    Ok(PyArray1::from_owned_array(py, x))
}

/// Add this subject's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(matmul, module)?)?;
    module.add_function(wrap_pyfunction!(symmetric_eigen, module)?)?;
    module.add_function(wrap_pyfunction!(symmetric_eigenvalues, module)?)?;
    module.add_function(wrap_pyfunction!(is_positive_definite, module)?)?;
    module.add_function(wrap_pyfunction!(solve_linear, module)?)
}
