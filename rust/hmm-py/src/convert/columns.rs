//! Results and states: named columns there, a dictionary of numpy arrays here.

use crate::border::to_python;
use hmm_core::{Column, Entry, Error, Table};
use ndarray::ArrayD;
use numpy::{Element, PyArray, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A table as a dictionary: arrays, and plain numbers where a column has no axes.
pub fn to_dict(py: Python<'_>, table: Table) -> PyResult<Bound<'_, PyDict>> {
    let result = PyDict::new(py);
    for (name, column) in table {
        match column {
            Column::F32(values) => insert(py, &result, &name, values)?,
            Column::F64(values) => insert(py, &result, &name, values)?,
            Column::I64(values) => insert(py, &result, &name, values)?,
            Column::U64(values) => insert(py, &result, &name, values)?,
            Column::Bool(values) => insert(py, &result, &name, values)?,
        }
    }
    Ok(result)
}

fn insert<'py, T: Element + Copy + IntoPyObject<'py>>(
    py: Python<'py>,
    result: &Bound<'py, PyDict>,
    name: &str,
    values: ArrayD<T>,
) -> PyResult<()> {
    if values.ndim() == 0
        && let Some(value) = values.first()
    {
        return result.set_item(name, *value);
    }
    result.set_item(name, PyArray::from_owned_array(py, values))
}

/// A dictionary of arrays and numbers as a table.
///
/// # Errors
/// Entries that are not numbers of a type that columns can hold.
pub fn from_dict(dictionary: &Bound<'_, PyDict>) -> PyResult<Table> {
    dictionary
        .iter()
        .map(|(name, value)| {
            let name: String = name.extract()?;
            let column = column(&name, &value)?;
            Ok((name, column))
        })
        .collect()
}

fn column(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Column> {
    let array = value
        .py()
        .import("numpy")?
        .call_method1("asarray", (value,))?;
    copied::<f64>(&array)
        .or_else(|| copied::<f32>(&array))
        .or_else(|| copied::<i64>(&array))
        .or_else(|| copied::<u64>(&array))
        .or_else(|| copied::<bool>(&array))
        .ok_or_else(|| {
            let found = array
                .getattr("dtype")
                .map_or_else(|_| "unknown".to_owned(), |dtype| dtype.to_string());
            let error = Error::invalid(
                "state",
                format!("'{name}' of dtype {found}"),
                "must be float64, float32, int64, uint64 or bool",
                "pass a state that this engine gave",
            );
            to_python(value.py(), error)
        })
}

fn copied<T: Entry + Element>(array: &Bound<'_, PyAny>) -> Option<Column> {
    let array = array.cast::<PyArrayDyn<T>>().ok()?;
    let view: PyReadonlyArrayDyn<'_, T> = array.try_readonly().ok()?;
    Some(T::column(view.as_array().to_owned()))
}
