//! Bindings of the replica theory of full-batch learning.

use crate::border;
use crate::convert::columns::to_dict;
use crate::convert::name::Name;
use hmm_core::{Loss, Result};
use hmm_theory::replica::{self, Spectrum};
use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Add the functions of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(replica_spectrum, module)?)?;
    module.add_function(wrap_pyfunction!(replica_spectrum_from_covariance, module)?)?;
    module.add_function(wrap_pyfunction!(replica_spectrum_random_features, module)?)?;
    module.add_function(wrap_pyfunction!(replica_curve, module)?)?;
    module.add_function(wrap_pyfunction!(replica_ridgeless, module)?)?;
    module.add_function(wrap_pyfunction!(replica_max_margin, module)?)?;
    module.add_function(wrap_pyfunction!(replica_threshold, module)?)?;
    module.add_function(wrap_pyfunction!(replica_optimal_ridge, module)?)?;
    module.add_function(wrap_pyfunction!(replica_prox, module)?)
}

/// A spectrum, by the attributes of its description.
#[derive(FromPyObject)]
struct Atoms<'py> {
    omega: PyReadonlyArray1<'py, f64>,
    weight: PyReadonlyArray1<'py, f64>,
    t: PyReadonlyArray1<'py, f64>,
    rho: f64,
}

impl Atoms<'_> {
    fn spectrum(&self) -> Result<Spectrum> {
        let owned = |array: &PyReadonlyArray1<'_, f64>| array.as_array().to_owned();
        let (omega, weight, t) = (owned(&self.omega), owned(&self.weight), owned(&self.t));
        Spectrum::new(omega, weight, t, self.rho)
    }
}

/// What is learnt, and when the solver stops.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Settings {
    loss: Name<Loss>,
    lam: f64,
    flip: f64,
    noise: f64,
    tol: f64,
    max_iterations: usize,
}

impl From<&Settings> for replica::Settings {
    fn from(settings: &Settings) -> Self {
        Self {
            loss: settings.loss.0,
            lam: settings.lam,
            flip: settings.flip,
            noise: settings.noise,
            tol: settings.tol,
            max_iterations: settings.max_iterations,
        }
    }
}

/// Check and clip atoms.
#[pyfunction]
fn replica_spectrum<'py>(
    py: Python<'py>,
    omega: PyReadonlyArray1<'py, f64>,
    weight: PyReadonlyArray1<'py, f64>,
    t: PyReadonlyArray1<'py, f64>,
    rho: f64,
) -> PyResult<Bound<'py, PyDict>> {
    let (omega, weight, t) = (omega.as_array(), weight.as_array(), t.as_array());
    let made = border::call(py, || {
        Spectrum::new(omega.to_owned(), weight.to_owned(), t.to_owned(), rho)
    })?;
    to_dict(py, made.columns())
}

/// Diagonalise a covariance.
#[pyfunction]
fn replica_spectrum_from_covariance<'py>(
    py: Python<'py>,
    omega: PyReadonlyArray2<'py, f64>,
    b: PyReadonlyArray1<'py, f64>,
    rho: f64,
) -> PyResult<Bound<'py, PyDict>> {
    let (omega, b) = (omega.as_array(), b.as_array());
    let made = border::run(py, None, |cancel| {
        Spectrum::from_covariance(omega, b, rho, cancel)
    })?;
    to_dict(py, made.columns())
}

/// Random features of infinite size.
#[pyfunction]
fn replica_spectrum_random_features(
    py: Python<'_>,
    y: f64,
    kappa1: f64,
    kappa_star: f64,
    rho: f64,
    nodes: usize,
) -> PyResult<Bound<'_, PyDict>> {
    let made = border::run(py, None, |cancel| {
        Spectrum::random_features(y, kappa1, kappa_star, rho, nodes, cancel)
    })?;
    to_dict(py, made.columns())
}

/// Solve at every alpha.
#[pyfunction]
fn replica_curve<'py>(
    py: Python<'py>,
    atoms: Atoms<'py>,
    alphas: PyReadonlyArray1<'py, f64>,
    settings: Settings,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyDict>> {
    let spectrum = atoms.spectrum();
    let alphas = alphas.as_array();
    let solved = border::run(py, threads, |cancel| {
        let solutions = replica::learning_curve(&spectrum?, alphas, &(&settings).into(), cancel)?;
        Ok(replica::columns(&solutions))
    })?;
    to_dict(py, solved)
}

/// Least squares of minimal norm.
#[pyfunction]
fn replica_ridgeless<'py>(
    py: Python<'py>,
    atoms: Atoms<'py>,
    alpha: f64,
    noise: f64,
) -> PyResult<Bound<'py, PyDict>> {
    let spectrum = atoms.spectrum();
    let limit = border::call(py, || replica::ridgeless(&spectrum?, alpha, noise))?;
    to_dict(py, limit.columns())
}

/// The hard-margin classifier; neither loss nor penalty of the settings counts.
#[pyfunction]
fn replica_max_margin<'py>(
    py: Python<'py>,
    atoms: Atoms<'py>,
    alpha: f64,
    settings: Settings,
) -> PyResult<Bound<'py, PyDict>> {
    let spectrum = atoms.spectrum();
    let limit = border::run(py, None, |cancel| {
        replica::max_margin(
            &spectrum?,
            alpha,
            settings.flip,
            settings.noise,
            settings.tol,
            settings.max_iterations,
            cancel,
        )
    })?;
    to_dict(py, limit.columns())
}

/// The separability threshold.
#[pyfunction]
fn replica_threshold(py: Python<'_>, atoms: Atoms<'_>, flip: f64, noise: f64) -> PyResult<f64> {
    let spectrum = atoms.spectrum();
    border::call(py, || {
        replica::separability_threshold(&spectrum?, flip, noise)
    })
}

/// The optimal penalty between two bounds and the solution there; the penalty of the settings does not count.
#[pyfunction]
fn replica_optimal_ridge<'py>(
    py: Python<'py>,
    atoms: Atoms<'py>,
    alpha: f64,
    settings: Settings,
    lower: f64,
    upper: f64,
) -> PyResult<Bound<'py, PyDict>> {
    let spectrum = atoms.spectrum();
    let best = border::run(py, None, |cancel| {
        let settings = (&settings).into();
        replica::optimal_ridge(&spectrum?, alpha, &settings, lower, upper, cancel)
    })?;
    to_dict(py, best.columns())
}

/// Proximal operator at every `s`.
#[pyfunction]
fn replica_prox<'py>(
    py: Python<'py>,
    s: PyReadonlyArray1<'py, f64>,
    v: f64,
    loss: Name<Loss>,
) -> PyResult<Bound<'py, PyDict>> {
    let s = s.as_array();
    let found = border::run(py, None, |cancel| {
        replica::proximal_at(loss.0, s, v, cancel)
    })?;
    to_dict(py, found)
}
