//! Outputs of two-layer networks, and training of classifiers.

use crate::border::run;
use crate::convert::array::{fresh, given};
use crate::convert::name::Name;
use hmm_core::{Activation, Real};
use hmm_sim::classifier::{Classifier, outputs};
use ndarray::Ix2;
use numpy::{Element, IntoPyArray, PyArray2, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

fn outputs_array<'py, T: Element + Real>(
    py: Python<'py>,
    [x, w, v]: [&PyReadonlyArray2<'py, T>; 3],
    unit: Activation,
    scale: f64,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray2<T>>> {
    let (x, w, v) = (x.as_array(), w.as_array(), v.as_array());
    let shape = Ix2(x.nrows(), v.nrows());
    let mut values = fresh(py, shape, "the outputs of a network", "pass fewer inputs")?;
    let out = values.as_array_mut();
    run(py, threads, |cancel| {
        outputs((x, w, v), unit, scale, out, cancel)
    })?;
    Ok(given(values))
}

/// Outputs v g(scale w x) in single precision, shape (P, C).
#[pyfunction]
fn network_outputs_f32<'py>(
    py: Python<'py>,
    x: PyReadonlyArray2<'py, f32>,
    w: PyReadonlyArray2<'py, f32>,
    v: PyReadonlyArray2<'py, f32>,
    unit: Name<Activation>,
    scale: f64,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    outputs_array(py, [&x, &w, &v], unit.0, scale, threads)
}

/// Outputs v g(scale w x) in double precision, shape (P, C).
#[pyfunction]
fn network_outputs_f64<'py>(
    py: Python<'py>,
    x: PyReadonlyArray2<'py, f64>,
    w: PyReadonlyArray2<'py, f64>,
    v: PyReadonlyArray2<'py, f64>,
    unit: Name<Activation>,
    scale: f64,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    outputs_array(py, [&x, &w, &v], unit.0, scale, threads)
}

/// Weights after one pass over the rows `order` and the mean loss on the way.
#[derive(IntoPyObject)]
struct Trained<'py> {
    w: Bound<'py, PyArray2<f32>>,
    v: Bound<'py, PyArray2<f32>>,
    loss: f64,
}

/// Train a relu classifier on its cross-entropy for one pass over `order`: a dictionary of w, v and loss.
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
    let (x, labels, order) = (x.as_array(), labels.as_array(), order.as_array());
    let (w, v) = (w.as_array(), v.as_array());
    // Many of these run side by side, one to a caller's thread.
    let (network, loss) = run(py, Some(1), |cancel| {
        let mut network = Classifier::new(w, v)?;
        let loss = network.learn(x, labels, order, lr, batch, cancel)?;
        Ok((network, loss))
    })?;
    let (w, v) = network.into_layers();
    Ok(Trained {
        w: w.into_pyarray(py),
        v: v.into_pyarray(py),
        loss,
    })
}

/// Add this subject's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(network_outputs_f32, module)?)?;
    module.add_function(wrap_pyfunction!(network_outputs_f64, module)?)?;
    module.add_function(wrap_pyfunction!(train_classifier, module)?)
}
