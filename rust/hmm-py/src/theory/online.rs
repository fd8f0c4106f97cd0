//! Gaussian integrals, the Marchenko-Pastur law and the equations of online learning.

use crate::border;
use crate::convert::columns::to_dict;
use crate::convert::name::Name;
use crate::convert::schedule::Rate;
use hmm_core::{Activation, Result};
use hmm_theory::activation::{Formula, Jet, Moments};
use hmm_theory::integrals::batch;
use hmm_theory::integrals::sampled::SampledUnit;
use hmm_theory::integrate::{Method, OdeSystem, Outcome, Tolerance};
use hmm_theory::online::committee::Unit;
use hmm_theory::online::covariance::covariance;
use hmm_theory::online::finite_size;
use hmm_theory::online::fluctuations::NormalRule;
use hmm_theory::online::hidden_manifold::{Manifold, TeacherModes, hidden_manifold};
use hmm_theory::online::modes::OnlineSystem;
use hmm_theory::online::saad_solla::saad_solla;
use hmm_theory::online::solution::{Solution, solve_many};
use hmm_theory::online::{ModeArrays, Setting, generalisation_errors};
use hmm_theory::spectrum;
use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;

/// Add the functions and classes of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(gaussian_average, module)?)?;
    module.add_function(wrap_pyfunction!(activation_moments, module)?)?;
    module.add_function(wrap_pyfunction!(marchenko_pastur, module)?)?;
    module.add_function(wrap_pyfunction!(generalisation_error, module)?)?;
    module.add_function(wrap_pyfunction!(weight_overlaps, module)?)?;
    module.add_function(wrap_pyfunction!(manifold_modes, module)?)?;
    module.add_function(wrap_pyfunction!(covariance_modes, module)?)?;
    module.add_function(wrap_pyfunction!(solve_online, module)?)?;
    module.add_class::<TabulatedUnit>()?;
    module.add_class::<OnlineSetting>()?;
    module.add_class::<OnlineEquations>()
}

/// I2, I3 or I4 of a batch of covariances (P, n, n), n = 2, 3, 4, with one unit per field.
#[pyfunction]
fn gaussian_average<'py>(
    py: Python<'py>,
    c: PyReadonlyArray3<'py, f64>,
    units: Vec<Name<Activation>>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let units: Vec<Activation> = units.into_iter().map(|unit| unit.0).collect();
    let c = c.as_array();
    let values = border::run(py, None, |cancel| batch::averages(c, &units, cancel))?;
    Ok(values.into_pyarray(py))
}

/// a, b, c of a unit: E g(u), E u g(u), E g(u)^2.
#[pyfunction]
fn activation_moments(py: Python<'_>, unit: Name<Activation>) -> PyResult<Bound<'_, PyDict>> {
    let Moments { a, b, c } = unit.0.moments();
    let result = PyDict::new(py);
    for (name, value) in [("a", a), ("b", b), ("c", c)] {
        result.set_item(name, value)?;
    }
    Ok(result)
}

/// Nodes rho and weights of the Marchenko-Pastur law.
#[pyfunction]
fn marchenko_pastur(py: Python<'_>, delta: f64, n: usize) -> PyResult<Bound<'_, PyDict>> {
    let law = border::run(py, Some(1), |cancel| {
        spectrum::marchenko_pastur(delta, n, cancel)
    })?;
    let result = PyDict::new(py);
    result.set_item("rho", law.rho.into_pyarray(py))?;
    result.set_item("weights", law.weights.into_pyarray(py))?;
    Ok(result)
}

/// Generalisation error of batches of Q (P, K, K), R (P, K, M), v (P, K) against one teacher T (M, M).
#[pyfunction]
fn generalisation_error<'py>(
    py: Python<'py>,
    q: PyReadonlyArray3<'py, f64>,
    r: PyReadonlyArray3<'py, f64>,
    t: PyReadonlyArray2<'py, f64>,
    v: PyReadonlyArray2<'py, f64>,
    setting: &OnlineSetting,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let (q, r, t, v) = (q.as_array(), r.as_array(), t.as_array(), v.as_array());
    let values = border::run(py, None, |cancel| {
        generalisation_errors(&setting.0, q, r, t, v, cancel)
    })?;
    Ok(values.into_pyarray(py))
}

/// a bᵀ/n of weights a (K, n) and b (M, n).
#[pyfunction]
fn weight_overlaps<'py>(
    py: Python<'py>,
    a: PyReadonlyArray2<'py, f64>,
    b: PyReadonlyArray2<'py, f64>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let (a, b) = (a.as_array(), b.as_array());
    let values = border::run(py, None, |cancel| finite_size::overlaps(a, b, cancel))?;
    Ok(values.into_pyarray(py))
}

/// Modes of a hidden manifold with features (N, D) and weights w (K, N), w_teacher (M, D).
#[pyfunction]
fn manifold_modes<'py>(
    py: Python<'py>,
    features: PyReadonlyArray2<'py, f64>,
    w: PyReadonlyArray2<'py, f64>,
    w_teacher: PyReadonlyArray2<'py, f64>,
) -> PyResult<Bound<'py, PyDict>> {
    let (features, w, teacher) = (features.as_array(), w.as_array(), w_teacher.as_array());
    let modes = border::run(py, None, |cancel| {
        finite_size::manifold_modes(features, w, teacher, cancel)
    })?;
    to_dict(py, modes)
}

/// Modes of inputs of covariance omega (N, N) with phi (N, D) or None, and weights w (K, N), w_teacher.
#[pyfunction]
fn covariance_modes<'py>(
    py: Python<'py>,
    omega: PyReadonlyArray2<'py, f64>,
    phi: Option<PyReadonlyArray2<'py, f64>>,
    w: PyReadonlyArray2<'py, f64>,
    w_teacher: PyReadonlyArray2<'py, f64>,
) -> PyResult<Bound<'py, PyDict>> {
    let (omega, w, teacher) = (omega.as_array(), w.as_array(), w_teacher.as_array());
    let phi = phi.as_ref().map(PyReadonlyArray2::as_array);
    let modes = border::run(py, None, |cancel| {
        finite_size::covariance_modes(omega, phi, w, teacher, cancel)
    })?;
    to_dict(py, modes)
}

/// An activation without closed averages, by its values on a grid.
#[pyclass(frozen, module = "hmm_rs._lib")]
pub struct TabulatedUnit(Arc<SampledUnit>);

#[pymethods]
impl TabulatedUnit {
    /// g, g' and g'' at `start + i step`.
    #[new]
    #[pyo3(signature = (*, start, step, values, slopes, curvatures))]
    fn new(
        py: Python<'_>,
        start: f64,
        step: f64,
        values: PyReadonlyArray1<'_, f64>,
        slopes: PyReadonlyArray1<'_, f64>,
        curvatures: PyReadonlyArray1<'_, f64>,
    ) -> PyResult<Self> {
        let columns = (values.as_array(), slopes.as_array(), curvatures.as_array());
        border::call(py, || {
            let points = columns
                .0
                .iter()
                .zip(columns.1)
                .zip(columns.2)
                .map(|((&value, &slope), &curvature)| Jet {
                    value,
                    slope,
                    curvature,
                })
                .collect();
            Ok(Self(Arc::new(SampledUnit::new(start, step, points)?)))
        })
    }
}

/// An activation as Python gives it.
#[derive(FromPyObject)]
enum GivenUnit<'py> {
    Table(PyRef<'py, TabulatedUnit>),
    Name(Name<Activation>),
}

/// The same without Python.
enum UnitSource {
    Table(Arc<SampledUnit>),
    Name(Activation),
}

impl GivenUnit<'_> {
    fn source(&self) -> UnitSource {
        match self {
            Self::Table(table) => UnitSource::Table(Arc::clone(&table.0)),
            Self::Name(name) => UnitSource::Name(name.0),
        }
    }
}

impl UnitSource {
    fn unit(self, argument: &'static str) -> Result<Unit> {
        match self {
            Self::Table(table) => Ok(Unit::Sampled(table)),
            Self::Name(name) => Unit::of(argument, name),
        }
    }
}

/// Units, output weights and rates: all of a problem but its modes.
#[pyclass(frozen, module = "hmm_rs._lib")]
pub struct OnlineSetting(Setting);

#[pymethods]
impl OnlineSetting {
    #[new]
    #[pyo3(signature = (*, v0, v_teacher, student, teacher, lr, lr_v, noise, weight_decay, batch))]
    fn new(
        py: Python<'_>,
        v0: PyReadonlyArray1<'_, f64>,
        v_teacher: PyReadonlyArray1<'_, f64>,
        student: GivenUnit<'_>,
        teacher: GivenUnit<'_>,
        lr: Rate<'_>,
        lr_v: Rate<'_>,
        noise: Rate<'_>,
        weight_decay: Rate<'_>,
        batch: usize,
    ) -> PyResult<Self> {
        let (v0, v_teacher) = (v0.as_array(), v_teacher.as_array());
        let (student, teacher) = (student.source(), teacher.source());
        let (lr, lr_v) = (lr.schedule(), lr_v.schedule());
        let (noise, weight_decay) = (noise.schedule(), weight_decay.schedule());
        border::call(py, || {
            Ok(Self(Setting {
                student: student.unit("activation")?,
                teacher: teacher.unit("teacher_activation")?,
                v0: v0.to_vec(),
                v_teacher: v_teacher.to_vec(),
                lr,
                lr_v,
                noise,
                weight_decay,
                batch,
            }))
        })
    }
}

/// a, b, c of the data's nonlinearity.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct GivenMoments {
    a: f64,
    b: f64,
    c: f64,
}

/// A complete initial value problem.
#[pyclass(frozen, module = "hmm_rs._lib")]
pub struct OnlineEquations(OnlineSystem);

#[pymethods]
impl OnlineEquations {
    /// I.i.d. Gaussian inputs.
    #[staticmethod]
    #[pyo3(signature = (setting, *, q0, r0, t))]
    fn saad_solla(
        py: Python<'_>,
        setting: &OnlineSetting,
        q0: PyReadonlyArray2<'_, f64>,
        r0: PyReadonlyArray2<'_, f64>,
        t: PyReadonlyArray2<'_, f64>,
    ) -> PyResult<Self> {
        let (q0, r0, t) = (q0.as_array(), r0.as_array(), t.as_array());
        border::call(py, || saad_solla(&setting.0, q0, r0, t).map(Self))
    }

    /// Inputs of a hidden manifold.
    #[staticmethod]
    #[pyo3(signature = (setting, *, rho, weights, sigma0, r0, t_modes, w0, delta, moments, center, teacher_modes))]
    fn hidden_manifold(
        py: Python<'_>,
        setting: &OnlineSetting,
        rho: PyReadonlyArray1<'_, f64>,
        weights: PyReadonlyArray1<'_, f64>,
        sigma0: PyReadonlyArray3<'_, f64>,
        r0: PyReadonlyArray3<'_, f64>,
        t_modes: PyReadonlyArray3<'_, f64>,
        w0: PyReadonlyArray2<'_, f64>,
        delta: f64,
        moments: GivenMoments,
        center: bool,
        teacher_modes: Name<TeacherModes>,
    ) -> PyResult<Self> {
        let GivenMoments { a, b, c } = moments;
        let manifold = Manifold {
            delta,
            moments: Moments { a, b, c },
            center,
            rho: rho.as_array(),
            weights: weights.as_array(),
            w0: w0.as_array(),
            teacher_modes: teacher_modes.0,
        };
        let modes = ModeArrays {
            covariance: sigma0.as_array(),
            overlap: r0.as_array(),
            teacher: t_modes.as_array(),
        };
        border::call(py, || {
            hidden_manifold(&setting.0, &manifold, modes).map(Self)
        })
    }

    /// Inputs of any covariance.
    #[staticmethod]
    #[pyo3(signature = (setting, *, t, rho, weights, q0, r0, t_modes))]
    fn covariance(
        py: Python<'_>,
        setting: &OnlineSetting,
        t: PyReadonlyArray2<'_, f64>,
        rho: PyReadonlyArray1<'_, f64>,
        weights: PyReadonlyArray1<'_, f64>,
        q0: PyReadonlyArray3<'_, f64>,
        r0: PyReadonlyArray3<'_, f64>,
        t_modes: PyReadonlyArray3<'_, f64>,
    ) -> PyResult<Self> {
        let (t, rho, weights) = (t.as_array(), rho.as_array(), weights.as_array());
        let modes = ModeArrays {
            covariance: q0.as_array(),
            overlap: r0.as_array(),
            teacher: t_modes.as_array(),
        };
        border::call(py, || {
            covariance(&setting.0, t, rho, weights, modes).map(Self)
        })
    }

    /// Length of the state vector.
    fn dimension(&self) -> usize {
        self.0.dimension()
    }

    /// `repeats` evaluations of the right-hand side at t = 0, for benchmarks; the last one.
    fn velocity<'py>(
        &self,
        py: Python<'py>,
        repeats: usize,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let velocity = border::run(py, Some(1), |cancel| {
            self.0.initial_velocity(repeats, cancel)
        })?;
        Ok(velocity.into_pyarray(py))
    }

    /// Mean and covariance of one step and the answer to it at t = 0, averaged by nodes (P, K + M) and weights (P,).
    #[pyo3(signature = (*, nodes, weights))]
    fn first_step<'py>(
        &self,
        py: Python<'py>,
        nodes: PyReadonlyArray2<'py, f64>,
        weights: PyReadonlyArray1<'py, f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (nodes, weights) = (nodes.as_array(), weights.as_array());
        let found = border::run(py, Some(1), |cancel| {
            self.0.first_step(&NormalRule::new(nodes, weights)?, cancel)
        })?;
        let result = PyDict::new(py);
        result.set_item("mean", found.mean.into_pyarray(py))?;
        result.set_item("diffusion", found.diffusion.into_pyarray(py))?;
        result.set_item("jacobian", found.jacobian.into_pyarray(py))?;
        Ok(result)
    }

    /// Covariances of the deviations from the solution at `t_eval`, times the number of inputs.
    #[pyo3(signature = (t_eval, *, rtol, atol, method, nodes, weights, threads))]
    fn fluctuations<'py>(
        &self,
        py: Python<'py>,
        t_eval: PyReadonlyArray1<'py, f64>,
        rtol: f64,
        atol: f64,
        method: Name<Method>,
        nodes: PyReadonlyArray2<'py, f64>,
        weights: PyReadonlyArray1<'py, f64>,
        threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (times, nodes, weights) = (t_eval.as_array(), nodes.as_array(), weights.as_array());
        let found = border::run(py, threads, |cancel| {
            let tolerance = Tolerance::new(rtol, atol)?;
            let rule = NormalRule::new(nodes, weights)?;
            self.0
                .fluctuations(times, method.0, tolerance, &rule, cancel)
        })?;
        let result = PyDict::new(py);
        result.set_item("overlaps", found.overlaps.into_pyarray(py))?;
        result.set_item("error", found.error.into_pyarray(py))?;
        result.set_item("steps", found.steps)?;
        Ok(result)
    }
}

/// Solve all `systems` at `t_eval`, in parallel.
#[pyfunction]
#[pyo3(signature = (systems, t_eval, *, rtol, atol, method, threads))]
fn solve_online<'py>(
    py: Python<'py>,
    systems: Vec<PyRef<'py, OnlineEquations>>,
    t_eval: PyReadonlyArray1<'py, f64>,
    rtol: f64,
    atol: f64,
    method: Name<Method>,
    threads: Option<usize>,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let systems: Vec<&OnlineSystem> = systems.iter().map(|system| &system.0).collect();
    let times = t_eval.as_array();
    let solutions = border::run(py, threads, |cancel| {
        let tolerance = Tolerance::new(rtol, atol)?;
        solve_many(&systems, times, method.0, tolerance, cancel)
    })?;
    solutions
        .into_iter()
        .map(|solution| as_dict(py, solution))
        .collect()
}

/// A solution as a dictionary of arrays and statistics.
fn as_dict(py: Python<'_>, solution: Solution) -> PyResult<Bound<'_, PyDict>> {
    let (outcome, last) = match solution.outcome {
        Outcome::Complete => ("complete", None),
        Outcome::Stalled(t) => ("stalled", Some(t)),
        Outcome::Diverged(t) => ("diverged", Some(t)),
    };
    let statistics = solution.statistics;
    let result = PyDict::new(py);
    result.set_item("values", to_dict(py, solution.values)?)?;
    result.set_item("reached", solution.reached)?;
    result.set_item("outcome", outcome)?;
    result.set_item("last", last)?;
    result.set_item("steps", statistics.steps)?;
    result.set_item("rejections", statistics.rejections)?;
    result.set_item("evaluations", statistics.evaluations)?;
    result.set_item("jacobians", statistics.jacobians)?;
    result.set_item("stiff_from", statistics.stiff_from)?;
    Ok(result)
}
