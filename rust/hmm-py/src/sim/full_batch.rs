//! Bindings of full-batch learning.

use super::data::seed_from;
use crate::border;
use hmm_core::random::{Purpose, Stream};
use hmm_core::{Error, Result};
use hmm_sim::full_batch::experiment::{GaussianFeatures, Observation, Task, run};
use hmm_sim::full_batch::{Fit, Loss, Problem, Stop, fit_all};
use numpy::{PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Add the functions of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(full_batch_fit, module)?)?;
    module.add_function(wrap_pyfunction!(full_batch_gaussian, module)?)
}

/// A fit as a dictionary.
fn describe(py: Python<'_>, fitted: Fit) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("w", PyArray1::from_vec(py, fitted.w))?;
    out.set_item("objective", fitted.objective)?;
    out.set_item("gap", fitted.gap)?;
    out.set_item("iterations", fitted.iterations)?;
    out.set_item("converged", fitted.converged)?;
    Ok(out)
}

/// Fit several problems `(X, y)` at once, in parallel.
#[pyfunction]
fn full_batch_fit<'py>(
    py: Python<'py>,
    problems: Vec<(PyReadonlyArray2<'py, f64>, PyReadonlyArray1<'py, f64>)>,
    loss: &str,
    lam: f64,
    stop: (f64, usize),
    threads: Option<usize>,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let loss = border::attached(py, || Loss::from_name(loss))?;
    let contiguous = |_| {
        Error::shape(
            "X",
            &[],
            "must be C-contiguous",
            "pass np.ascontiguousarray(X)",
        )
    };
    let problems = border::attached(py, || {
        problems
            .iter()
            .map(|(x, y)| {
                Ok(Problem {
                    x: x.as_slice().map_err(contiguous)?,
                    y: y.as_slice().map_err(contiguous)?,
                    features: x.shape()[1],
                    lam,
                })
            })
            .collect::<Result<Vec<_>>>()
    })?;
    let stop = Stop {
        tol: stop.0,
        max_iterations: stop.1,
    };
    let fits = border::run(py, threads, |cancel| {
        fit_all(loss, &problems, &stop, cancel)
    })?;
    fits.into_iter()
        .map(|fitted| describe(py, fitted))
        .collect()
}

/// A number of an [`Observation`] with the name it has in Python.
type Column = (&'static str, fn(&Observation) -> f64);

const COLUMNS: [Column; 12] = [
    ("q", |o| o.q),
    ("m", |o| o.m),
    ("norm2", |o| o.norm2),
    ("train_loss", |o| o.train_loss),
    ("train_error", |o| o.train_error),
    ("train_mse", |o| o.train_mse),
    ("test_error", |o| o.test_error),
    ("test_mse", |o| o.test_mse),
    ("objective", |o| o.objective),
    ("gap", |o| o.gap),
    ("margin", |o| o.margin),
    ("converged", |o| f64::from(u8::from(o.converged))),
];

/// Draw, fit and measure Gaussian features: flat (sizes x repeats) arrays by name.
#[pyfunction]
fn full_batch_gaussian<'py>(
    py: Python<'py>,
    features: (PyReadonlyArray1<'py, f64>, PyReadonlyArray1<'py, f64>, f64),
    sizes: Vec<usize>,
    repeats: usize,
    task: (String, f64, f64, f64, f64, usize),
    seed: PyReadonlyArray1<'py, u32>,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyDict>> {
    let features = GaussianFeatures {
        omega: features.0.as_array().to_vec(),
        b: features.1.as_array().to_vec(),
        rho: features.2,
    };
    let (loss, lam, flip, noise, tol, max_iterations) = task;
    let words = seed.as_array().to_vec();
    let observed = border::run(py, threads, move |cancel| {
        let task = Task {
            loss: Loss::from_name(&loss)?,
            lam,
            flip,
            noise,
            stop: Stop {
                tol,
                max_iterations,
            },
        };
        let stream = Stream::new(&seed_from(&words)?, Purpose::Sample);
        run(&features, &sizes, repeats, &task, &stream, cancel)
    })?;
    let out = PyDict::new(py);
    for (name, number) in COLUMNS {
        let values: Vec<f64> = observed.iter().map(number).collect();
        out.set_item(name, PyArray1::from_vec(py, values))?;
    }
    Ok(out)
}
