//! Arrays: numpy's on one side, `ndarray`'s views and arrays on the other.

use crate::border::to_python;
use hmm_core::memory::{bytes_of, require};
use hmm_core::{Error, Real};
use ndarray::{Array, ArrayBase, Data, Dimension};
use numpy::{Element, PyArray, PyArrayMethods, PyReadwriteArray};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

/// The same numbers in another precision.
pub fn rounded<T: Real, S: Data<Elem = f64>, D: Dimension>(
    values: &ArrayBase<S, D>,
) -> Array<T, D> {
    values.mapv(T::from_f64)
}

/// An array to be filled, every entry of it: what it holds is whatever the memory held.
///
/// The memory is numpy's, which asks the system for huge pages where an array is large; Rust's allocator does not, and
/// touching its fresh pages takes as long as making what is written there.
///
/// # Errors
/// `ResourceError` if the memory cannot be had.
pub fn fresh<'py, T: Element, D: Dimension>(
    py: Python<'py>,
    shape: D,
    what: &str,
    remedy: &str,
) -> PyResult<PyReadwriteArray<'py, T, D>> {
    static EMPTY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let count = shape
        .slice()
        .iter()
        .fold(1, |count: usize, &n| count.saturating_mul(n));
    require(bytes_of::<T>(count), what, remedy).map_err(|error| to_python(py, error))?;
    let empty = EMPTY.get_or_try_init(py, || {
        PyResult::Ok(py.import("numpy")?.getattr("empty")?.unbind())
    })?;
    let array = empty
        .bind(py)
        .call1((PyTuple::new(py, shape.slice())?, T::get_dtype(py)))
        .map_err(|error| {
            if !error.is_instance_of::<PyMemoryError>(py) {
                return error;
            }
            let refused = format!("{what}: the system refuses the memory; {remedy}");
            to_python(py, Error::Resource(refused))
        })?;
    Ok(array.cast_into::<PyArray<T, D>>()?.try_readwrite()?)
}

/// The array, once it is filled.
pub fn given<T: Element, D: Dimension>(
    filled: PyReadwriteArray<'_, T, D>,
) -> Bound<'_, PyArray<T, D>> {
    Bound::clone(&filled)
}
