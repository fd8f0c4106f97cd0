//! Bindings of full-batch learning.

use crate::border;
use crate::convert::columns::to_dict;
use crate::convert::name::Name;
use crate::convert::seed::SeedWords;
use hmm_core::random::{Purpose, Stream};
use hmm_core::{Loss, Table};
use hmm_sim::full_batch::experiment::{self, GaussianFeatures, Task};
use hmm_sim::full_batch::{Fit, Problem, Stop, fit_all};
use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Add the functions of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(full_batch_fit, module)?)?;
    module.add_function(wrap_pyfunction!(full_batch_gaussian, module)?)
}

/// What is minimised, and when the solver stops.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Settings {
    loss: Name<Loss>,
    lam: f64,
    tol: f64,
    max_iterations: usize,
}

impl Settings {
    fn stop(&self) -> Stop {
        Stop {
            tol: self.tol,
            max_iterations: self.max_iterations,
        }
    }
}

/// How labels are made of teacher fields.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Labels {
    flip: f64,
    noise: f64,
}

/// Gaussian features, by the attributes of their description.
#[derive(FromPyObject)]
struct Features<'py> {
    omega: PyReadonlyArray1<'py, f64>,
    b: PyReadonlyArray1<'py, f64>,
    rho: f64,
}

/// A fit by the names of its numbers.
fn columns(fitted: Fit) -> Table {
    Table::new()
        .with("w", fitted.w)
        .with("objective", fitted.objective)
        .with("gap", fitted.gap)
        .with("iterations", fitted.iterations as u64)
        .with("converged", fitted.converged)
}

/// Fit several problems `(X, y)` at once, in parallel.
#[pyfunction]
fn full_batch_fit<'py>(
    py: Python<'py>,
    problems: Vec<(PyReadonlyArray2<'py, f64>, PyReadonlyArray1<'py, f64>)>,
    settings: Settings,
    threads: Option<usize>,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let views: Vec<Problem<'_>> = problems
        .iter()
        .map(|(x, y)| Problem {
            x: x.as_array(),
            y: y.as_array(),
            lam: settings.lam,
        })
        .collect();
    let fits = border::run(py, threads, |cancel| {
        fit_all(settings.loss.0, &views, &settings.stop(), cancel)
    })?;
    fits.into_iter()
        .map(|fitted| to_dict(py, columns(fitted)))
        .collect()
}

/// Draw, fit and measure Gaussian features: (sizes, repeats) arrays by name.
#[pyfunction]
fn full_batch_gaussian<'py>(
    py: Python<'py>,
    features: Features<'py>,
    sizes: Vec<usize>,
    repeats: usize,
    settings: Settings,
    labels: Labels,
    seed: SeedWords,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyDict>> {
    let features = GaussianFeatures {
        omega: features.omega.as_array().to_owned(),
        b: features.b.as_array().to_owned(),
        rho: features.rho,
    };
    let observed = border::run(py, threads, move |cancel| {
        let task = Task {
            loss: settings.loss.0,
            lam: settings.lam,
            flip: labels.flip,
            noise: labels.noise,
            stop: settings.stop(),
        };
        let stream = Stream::new(&seed.0, Purpose::Sample);
        let observed = experiment::run(&features, &sizes, repeats, &task, &stream, cancel)?;
        Ok(experiment::columns(&observed))
    })?;
    to_dict(py, observed)
}
