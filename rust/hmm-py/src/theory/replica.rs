//! Bindings of the replica theory of full-batch learning.

use crate::border;
use hmm_core::Result;
use hmm_theory::replica::{self, Loss, Settings, Solution, Spectrum};
use numpy::{PyArray1, PyReadonlyArray1, PyReadonlyArray2};
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

/// The atoms `(omega, weight, t, rho)` of a spectrum, as Python holds them.
type Atoms<'py> = (
    PyReadonlyArray1<'py, f64>,
    PyReadonlyArray1<'py, f64>,
    PyReadonlyArray1<'py, f64>,
    f64,
);

fn spectrum(atoms: &Atoms<'_>) -> Result<Spectrum> {
    let (omega, weight, t, rho) = atoms;
    let vector = |array: &PyReadonlyArray1<'_, f64>| array.as_array().to_vec();
    Spectrum::new(vector(omega), vector(weight), vector(t), *rho)
}

/// A checked spectrum as a dictionary of arrays.
fn describe<'py>(py: Python<'py>, spectrum: &Spectrum) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("omega", PyArray1::from_slice(py, spectrum.omega()))?;
    out.set_item("weight", PyArray1::from_slice(py, spectrum.weight()))?;
    out.set_item("t", PyArray1::from_slice(py, spectrum.t()))?;
    out.set_item("rho", spectrum.rho())?;
    out.set_item("rho_lin", spectrum.teacher_linear_part())?;
    out.set_item("rank", spectrum.rank_fraction())?;
    Ok(out)
}

/// Check and clip atoms.
#[pyfunction]
fn replica_spectrum<'py>(py: Python<'py>, atoms: Atoms<'py>) -> PyResult<Bound<'py, PyDict>> {
    let made = border::attached(py, || spectrum(&atoms))?;
    describe(py, &made)
}

/// Diagonalise a covariance.
#[pyfunction]
fn replica_spectrum_from_covariance<'py>(
    py: Python<'py>,
    omega: PyReadonlyArray2<'py, f64>,
    b: PyReadonlyArray1<'py, f64>,
    rho: f64,
) -> PyResult<Bound<'py, PyDict>> {
    let (p, columns) = omega.as_array().dim();
    let entries: Vec<f64> = omega.as_array().iter().copied().collect();
    let b = b.as_array().to_vec();
    let made = border::run(py, None, move |_| {
        Spectrum::from_covariance(hmm_core::linalg::rows(&entries, p, columns), &b, rho)
    })?;
    describe(py, &made)
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
    let made = border::attached(py, || {
        Spectrum::random_features(y, kappa1, kappa_star, rho, nodes)
    })?;
    describe(py, &made)
}

/// A number of a [`Solution`] with the name it has in Python.
type Column = (&'static str, fn(&Solution) -> f64);

/// The numbers of a solution.
const COLUMNS: [Column; 16] = [
    ("V", |s| s.overlaps.v),
    ("q", |s| s.overlaps.q),
    ("m", |s| s.overlaps.m),
    ("V_hat", |s| s.conjugates.v_hat),
    ("q_hat", |s| s.conjugates.q_hat),
    ("m_hat", |s| s.conjugates.m_hat),
    ("norm2", |s| s.overlaps.norm2),
    ("train_loss", |s| s.train_loss),
    ("train_error", |s| s.train_error),
    ("test_error", |s| s.test_error),
    ("test_error_clean", |s| s.test_error_clean),
    ("test_mse", |s| s.test_mse),
    ("train_mse", |s| s.train_mse),
    ("objective", |s| s.objective),
    ("residual", |s| s.residual),
    ("iterations", |s| s.iterations as f64),
];

/// Arrays of all numbers of `solutions`, and `converged`.
fn columns<'py>(py: Python<'py>, solutions: &[Solution]) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    for (name, number) in COLUMNS {
        let values: Vec<f64> = solutions.iter().map(number).collect();
        out.set_item(name, PyArray1::from_vec(py, values))?;
    }
    let converged: Vec<bool> = solutions.iter().map(|s| s.converged).collect();
    out.set_item("converged", PyArray1::from_vec(py, converged))?;
    Ok(out)
}

/// The settings `(loss, lam, flip, noise, tol, max_iterations)`.
type Options = (String, f64, f64, f64, f64, usize);

fn settings(options: &Options) -> Result<Settings> {
    let (loss, lam, flip, noise, tol, max_iterations) = options;
    Ok(Settings {
        loss: Loss::from_name(loss)?,
        lam: *lam,
        flip: *flip,
        noise: *noise,
        tol: *tol,
        max_iterations: *max_iterations,
    })
}

/// Solve at every alpha.
#[pyfunction]
fn replica_curve<'py>(
    py: Python<'py>,
    atoms: Atoms<'py>,
    alphas: PyReadonlyArray1<'py, f64>,
    options: Options,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyDict>> {
    let spectrum = border::attached(py, || spectrum(&atoms))?;
    let settings = border::attached(py, || settings(&options))?;
    let alphas = alphas.as_array().to_vec();
    let solved = border::run(py, threads, |cancel| {
        replica::learning_curve(&spectrum, &alphas, &settings, cancel)
    })?;
    columns(py, &solved)
}

/// Least squares of minimal norm: `(test_mse, train_mse)`.
#[pyfunction]
fn replica_ridgeless(
    py: Python<'_>,
    atoms: Atoms<'_>,
    alpha: f64,
    noise: f64,
) -> PyResult<(f64, f64)> {
    border::attached(py, || {
        let limit = replica::ridgeless(&spectrum(&atoms)?, alpha, noise)?;
        Ok((limit.test_mse, limit.train_mse))
    })
}

/// The hard-margin classifier.
#[pyfunction]
fn replica_max_margin<'py>(
    py: Python<'py>,
    atoms: Atoms<'py>,
    alpha: f64,
    flip: f64,
    noise: f64,
    tol: f64,
    max_iterations: usize,
) -> PyResult<Bound<'py, PyDict>> {
    let spectrum = border::attached(py, || spectrum(&atoms))?;
    let limit = border::run(py, None, |_| {
        replica::max_margin(&spectrum, alpha, flip, noise, tol, max_iterations)
    })?;
    let out = PyDict::new(py);
    out.set_item("margin", limit.margin)?;
    out.set_item("test_error", limit.test_error)?;
    out.set_item("test_error_clean", limit.test_error_clean)?;
    out.set_item("V", limit.overlaps.v)?;
    out.set_item("q", limit.overlaps.q)?;
    out.set_item("m", limit.overlaps.m)?;
    out.set_item("norm2", limit.overlaps.norm2)?;
    out.set_item("threshold", limit.threshold)?;
    out.set_item("converged", limit.converged)?;
    out.set_item("iterations", limit.iterations)?;
    out.set_item("residual", limit.residual)?;
    Ok(out)
}

/// The separability threshold.
#[pyfunction]
fn replica_threshold(py: Python<'_>, atoms: Atoms<'_>, flip: f64, noise: f64) -> PyResult<f64> {
    border::attached(py, || {
        replica::separability_threshold(&spectrum(&atoms)?, flip, noise)
    })
}

/// The optimal penalty: `(lam, at_edge, solution)`.
#[pyfunction]
fn replica_optimal_ridge<'py>(
    py: Python<'py>,
    atoms: Atoms<'py>,
    alpha: f64,
    options: Options,
    lower: f64,
    upper: f64,
) -> PyResult<(f64, bool, Bound<'py, PyDict>)> {
    let spectrum = border::attached(py, || spectrum(&atoms))?;
    let settings = border::attached(py, || settings(&options))?;
    let best = border::run(py, None, |cancel| {
        replica::optimal_ridge(&spectrum, alpha, &settings, lower, upper, cancel)
    })?;
    Ok((best.lam, best.at_edge, columns(py, &[best.solution])?))
}

/// Proximal operator at every `s`: `(prox, f, -df/ds, moreau)`.
#[pyfunction]
fn replica_prox<'py>(
    py: Python<'py>,
    s: PyReadonlyArray1<'py, f64>,
    v: f64,
    loss: &str,
) -> PyResult<[Bound<'py, PyArray1<f64>>; 4]> {
    let points = border::attached(py, || {
        let loss = Loss::from_name(loss)?;
        s.as_array()
            .iter()
            .map(|s| replica::proximal(loss, *s, v))
            .collect::<Result<Vec<_>>>()
    })?;
    let column = |number: fn(&replica::Proximal) -> f64| {
        PyArray1::from_vec(py, points.iter().map(number).collect())
    };
    Ok([
        column(|p| p.point),
        column(|p| p.f),
        column(|p| p.minus_slope),
        column(|p| p.moreau),
    ])
}
