//! Outputs of two-layer networks, and training of classifiers.

use super::online::unit_from;
use crate::border::run;
use hmm_core::{Error, Real, Result};
use hmm_sim::classifier::{Classifier, outputs};
use numpy::{
    Element, IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;

/// Refuse shapes that do not fit: x (P, N), w (K, N), v (C, K), none of them empty.
fn check_shapes(x: &[usize], w: &[usize], v: &[usize]) -> Result<()> {
    if x[1] != w[1] || w[0] != v[1] || [x, w, v].concat().contains(&0) {
        return Err(Error::shape(
            "w",
            w,
            format!("must be (K, N) with X {x:?} = (P, N) and v {v:?} = (C, K)"),
            "pass weights of that shape",
        ));
    }
    Ok(())
}

fn outputs_array<'py, T: Element + Real>(
    py: Python<'py>,
    x: &PyReadonlyArray2<'py, T>,
    w: &PyReadonlyArray2<'py, T>,
    v: &PyReadonlyArray2<'py, T>,
    unit: &str,
    scale: f64,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray2<T>>> {
    let (count, inputs, classes) = (x.shape()[0], x.shape()[1], v.shape()[0]);
    let shapes = (x.shape(), w.shape(), v.shape());
    let (xs, ws, vs) = (x.as_slice()?, w.as_slice()?, v.as_slice()?);
    let unit = unit_from(unit);
    let values = run(py, threads, |cancel| {
        check_shapes(shapes.0, shapes.1, shapes.2)?;
        outputs(xs, inputs, ws, vs, classes, unit, scale, cancel)
    })?;
    values.into_pyarray(py).reshape([count, classes])
}

/// Outputs v g(scale w x) in single precision, shape (P, C).
#[pyfunction]
fn network_outputs_f32<'py>(
    py: Python<'py>,
    x: PyReadonlyArray2<'py, f32>,
    w: PyReadonlyArray2<'py, f32>,
    v: PyReadonlyArray2<'py, f32>,
    unit: &str,
    scale: f64,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    outputs_array(py, &x, &w, &v, unit, scale, threads)
}

/// Outputs v g(scale w x) in double precision, shape (P, C).
#[pyfunction]
fn network_outputs_f64<'py>(
    py: Python<'py>,
    x: PyReadonlyArray2<'py, f64>,
    w: PyReadonlyArray2<'py, f64>,
    v: PyReadonlyArray2<'py, f64>,
    unit: &str,
    scale: f64,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    outputs_array(py, &x, &w, &v, unit, scale, threads)
}

/// Weights (w, v) after one pass over the rows `order`, flattened, and the mean loss on the way.
type Trained<'py> = (Bound<'py, PyArray2<f32>>, Bound<'py, PyArray2<f32>>, f64);

/// Train a relu classifier on its cross-entropy for one pass over `order`.
#[pyfunction]
#[pyo3(signature = (x, labels, order, w, v, *, lr, batch))]
fn train_classifier<'py>(
    py: Python<'py>,
    x: PyReadonlyArray2<'py, f32>,
    labels: PyReadonlyArray1<'py, u32>,
    order: PyReadonlyArray1<'py, u32>,
    w: PyReadonlyArray2<'py, f32>,
    v: PyReadonlyArray2<'py, f32>,
    lr: f64,
    batch: usize,
) -> PyResult<Trained<'py>> {
    let (shapes, batch) = ((x.shape(), w.shape(), v.shape()), batch.max(1));
    let (xs, labels, order) = (x.as_slice()?, labels.as_slice()?, order.as_slice()?);
    let (ws, vs) = (w.as_slice()?, v.as_slice()?);
    // Many of these run side by side, one to a caller's thread.
    let (network, loss) = run(py, Some(1), |cancel| {
        check_shapes(shapes.0, shapes.1, shapes.2)?;
        let mut network = Classifier {
            w: ws.to_vec(),
            v: vs.to_vec(),
            inputs: shapes.0[1],
            classes: shapes.2[0],
        };
        let loss = network.learn(xs, labels, order, lr, batch, cancel)?;
        Ok((network, loss))
    })?;
    let array = |values: Vec<f32>, shape: &[usize]| {
        PyArray1::from_vec(py, values).reshape([shape[0], shape[1]])
    };
    Ok((
        array(network.w, shapes.1)?,
        array(network.v, shapes.2)?,
        loss,
    ))
}

/// Add this subject's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(network_outputs_f32, module)?)?;
    module.add_function(wrap_pyfunction!(network_outputs_f64, module)?)?;
    module.add_function(wrap_pyfunction!(train_classifier, module)?)
}
