//! Gaussian integrals, the Marchenko-Pastur law and the equations of online learning.

use crate::border;
use hmm_core::Error;
use hmm_theory::integrals::sampled::{Jet, SampledUnit};
use hmm_theory::integrals::{self, Unit};
use hmm_theory::integrate::{Method, Outcome, Tolerance};
use hmm_theory::online::covariance::covariance;
use hmm_theory::online::fields::Activation;
use hmm_theory::online::hidden_manifold::{Manifold, TeacherModes, hidden_manifold};
use hmm_theory::online::modes::OnlineSystem;
use hmm_theory::online::saad_solla::saad_solla;
use hmm_theory::online::solution::{Solution, solve_many};
use hmm_theory::online::{ModeArrays, Setting};
use hmm_theory::spectrum;
use numpy::{IntoPyArray, PyArray1, PyReadonlyArrayDyn};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;

/// An array in row-major order.
type Array<'py> = PyReadonlyArrayDyn<'py, f64>;

/// Add the functions and classes of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(i2, module)?)?;
    module.add_function(wrap_pyfunction!(i3, module)?)?;
    module.add_function(wrap_pyfunction!(i4, module)?)?;
    module.add_function(wrap_pyfunction!(marchenko_pastur, module)?)?;
    module.add_function(wrap_pyfunction!(generalisation_error, module)?)?;
    module.add_function(wrap_pyfunction!(solve_online, module)?)?;
    module.add_class::<TabulatedUnit>()?;
    module.add_class::<OnlineSetting>()?;
    module.add_class::<OnlineEquations>()
}

/// The numbers of a row-major array.
fn numbers<'a>(array: &'a Array<'_>) -> hmm_core::Result<&'a [f64]> {
    array.as_slice().map_err(|_| {
        Error::invalid(
            "array",
            "strided",
            "must be contiguous",
            "pass numpy.ascontiguousarray of it",
        )
    })
}

/// Units of a list of names.
fn units(names: &[String]) -> hmm_core::Result<Vec<Unit>> {
    names
        .iter()
        .map(|name| Unit::from_name("activation", name))
        .collect()
}

/// `function` of every n x n matrix of a batch.
fn for_each_matrix<const N: usize>(
    c: &Array<'_>,
    function: impl Fn(&[[f64; N]; N]) -> f64,
) -> hmm_core::Result<Vec<f64>> {
    Ok(numbers(c)?
        .chunks_exact(N * N)
        .map(|block| {
            function(&std::array::from_fn(|i| {
                std::array::from_fn(|j| block[i * N + j])
            }))
        })
        .collect())
}

/// The first `N` units of a list.
fn some_units<const N: usize>(names: &[String]) -> hmm_core::Result<[Unit; N]> {
    units(names)?.try_into().map_err(|given: Vec<Unit>| {
        Error::shape(
            "activation",
            &[given.len()],
            format!("{N} units are needed"),
            "pass one name, or one per field",
        )
    })
}

/// I2 of a batch of 2 x 2 covariances; units of both fields.
#[pyfunction]
fn i2<'py>(
    py: Python<'py>,
    c: Array<'py>,
    names: Vec<String>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let values = border::attached(py, || {
        let [g, h] = some_units(&names)?;
        for_each_matrix::<2>(&c, |c| integrals::i2(g, h, c[0][0], c[0][1], c[1][1]))
    })?;
    Ok(values.into_pyarray(py))
}

/// I3 of a batch of 3 x 3 covariances; units of the first and the third field.
#[pyfunction]
fn i3<'py>(
    py: Python<'py>,
    c: Array<'py>,
    names: Vec<String>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let values = border::attached(py, || {
        let [g, h] = some_units(&names)?;
        for_each_matrix::<3>(&c, |c| integrals::i3(g, h, c))
    })?;
    Ok(values.into_pyarray(py))
}

/// I4 of a batch of 4 x 4 covariances; units of the two gates and of the two fields.
#[pyfunction]
fn i4<'py>(
    py: Python<'py>,
    c: Array<'py>,
    names: Vec<String>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let values = border::attached(py, || {
        let [g, h_c, h_d] = some_units(&names)?;
        for_each_matrix::<4>(&c, |c| integrals::i4(g, [h_c, h_d], c))
    })?;
    Ok(values.into_pyarray(py))
}

/// Nodes and weights of the Marchenko-Pastur law.
#[pyfunction]
#[allow(clippy::type_complexity)]
fn marchenko_pastur(
    py: Python<'_>,
    delta: f64,
    n: usize,
) -> PyResult<(Bound<'_, PyArray1<f64>>, Bound<'_, PyArray1<f64>>)> {
    let law = border::attached(py, || spectrum::marchenko_pastur(delta, n))?;
    Ok((law.rho.into_pyarray(py), law.weights.into_pyarray(py)))
}

/// Generalisation error of batches of Q, R, v against one teacher.
#[pyfunction]
fn generalisation_error<'py>(
    py: Python<'py>,
    q: Array<'py>,
    r: Array<'py>,
    t: Array<'py>,
    v: Array<'py>,
    setting: &OnlineSetting,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let values = border::attached(py, || {
        let (committee, _) = setting.0.committee(numbers(&t)?)?;
        let (k, m) = (committee.k, committee.m);
        numbers(&q)?
            .chunks_exact(k * k)
            .zip(numbers(&r)?.chunks_exact(k * m))
            .zip(numbers(&v)?.chunks_exact(k))
            .map(|((q, r), v)| committee.generalisation_error(q, r, v))
            .collect::<hmm_core::Result<Vec<f64>>>()
    })?;
    Ok(values.into_pyarray(py))
}

/// An activation without closed averages, by its values on a grid.
#[pyclass(frozen, module = "hmm_rs._lib")]
pub struct TabulatedUnit(Arc<SampledUnit>);

#[pymethods]
impl TabulatedUnit {
    /// g, g' and g'' at `start + i step`.
    #[new]
    fn new(
        py: Python<'_>,
        start: f64,
        step: f64,
        values: Vec<f64>,
        slopes: Vec<f64>,
        curvatures: Vec<f64>,
    ) -> PyResult<Self> {
        border::attached(py, || {
            let points = values
                .iter()
                .zip(&slopes)
                .zip(&curvatures)
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
    Name(String),
    Table(PyRef<'py, TabulatedUnit>),
}

impl GivenUnit<'_> {
    fn activation(&self, argument: &'static str) -> hmm_core::Result<Activation> {
        match self {
            Self::Name(name) => Unit::from_name(argument, name).map(Activation::Closed),
            Self::Table(table) => Ok(Activation::Sampled(Arc::clone(&table.0))),
        }
    }
}

/// Units, output weights and rates: all of a problem but its modes.
#[pyclass(frozen, module = "hmm_rs._lib")]
pub struct OnlineSetting(Setting);

#[pymethods]
impl OnlineSetting {
    #[new]
    #[pyo3(signature = (v0, v_teacher, student, teacher, *, lr, lr_v, noise, weight_decay, batch))]
    fn new(
        py: Python<'_>,
        v0: Vec<f64>,
        v_teacher: Vec<f64>,
        student: GivenUnit<'_>,
        teacher: GivenUnit<'_>,
        lr: f64,
        lr_v: f64,
        noise: f64,
        weight_decay: f64,
        batch: usize,
    ) -> PyResult<Self> {
        border::attached(py, || {
            Ok(Self(Setting {
                student: student.activation("activation")?,
                teacher: teacher.activation("teacher_activation")?,
                v0,
                v_teacher,
                lr,
                lr_v,
                noise,
                weight_decay,
                batch,
            }))
        })
    }
}

/// A complete initial value problem.
#[pyclass(frozen, module = "hmm_rs._lib")]
pub struct OnlineEquations(OnlineSystem);

#[pymethods]
impl OnlineEquations {
    /// I.i.d. Gaussian inputs.
    #[staticmethod]
    fn saad_solla(
        py: Python<'_>,
        setting: &OnlineSetting,
        q0: Array<'_>,
        r0: Array<'_>,
        t: Array<'_>,
    ) -> PyResult<Self> {
        border::attached(py, || {
            let (q0, r0, t) = (numbers(&q0)?, numbers(&r0)?, numbers(&t)?);
            saad_solla(&setting.0, q0, r0, t).map(Self)
        })
    }

    /// Inputs of a hidden manifold.
    #[staticmethod]
    #[pyo3(signature = (setting, rho, weights, sigma0, r0, t_modes, w0, *, delta, moments, center, teacher_modes))]
    fn hidden_manifold(
        py: Python<'_>,
        setting: &OnlineSetting,
        rho: Array<'_>,
        weights: Array<'_>,
        sigma0: Array<'_>,
        r0: Array<'_>,
        t_modes: Array<'_>,
        w0: Array<'_>,
        delta: f64,
        moments: [f64; 3],
        center: bool,
        teacher_modes: &str,
    ) -> PyResult<Self> {
        border::attached(py, || {
            let manifold = Manifold {
                delta,
                moments,
                center,
                rho: numbers(&rho)?,
                weights: numbers(&weights)?,
                w0: numbers(&w0)?,
                teacher_modes: TeacherModes::from_name(teacher_modes)?,
            };
            let modes = ModeArrays {
                covariance: numbers(&sigma0)?,
                overlap: numbers(&r0)?,
                teacher: numbers(&t_modes)?,
            };
            hidden_manifold(&setting.0, &manifold, modes).map(Self)
        })
    }

    /// Inputs of any covariance.
    #[staticmethod]
    fn covariance(
        py: Python<'_>,
        setting: &OnlineSetting,
        t: Array<'_>,
        rho: Array<'_>,
        weights: Array<'_>,
        q0: Array<'_>,
        r0: Array<'_>,
        t_modes: Array<'_>,
    ) -> PyResult<Self> {
        border::attached(py, || {
            let modes = ModeArrays {
                covariance: numbers(&q0)?,
                overlap: numbers(&r0)?,
                teacher: numbers(&t_modes)?,
            };
            covariance(
                &setting.0,
                numbers(&t)?,
                numbers(&rho)?,
                numbers(&weights)?,
                modes,
            )
            .map(Self)
        })
    }

    /// Length of the state vector.
    fn dimension(&self) -> usize {
        self.0.initial.len()
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
}

/// Solve all `systems` at `t_eval`, in parallel.
#[pyfunction]
#[pyo3(signature = (systems, t_eval, *, rtol, atol, method, threads))]
fn solve_online<'py>(
    py: Python<'py>,
    systems: Vec<PyRef<'py, OnlineEquations>>,
    t_eval: Vec<f64>,
    rtol: f64,
    atol: f64,
    method: &str,
    threads: Option<usize>,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let (tolerance, method) = border::attached(py, || {
        Ok((Tolerance::new(rtol, atol)?, Method::from_name(method)?))
    })?;
    let systems: Vec<&OnlineSystem> = systems.iter().map(|system| &system.0).collect();
    let solutions = border::run(py, threads, |cancel| {
        solve_many(&systems, &t_eval, method, tolerance, cancel)
    })?;
    solutions
        .into_iter()
        .map(|solution| as_dict(py, solution))
        .collect()
}

/// A solution as a dictionary of flat arrays and statistics.
fn as_dict(py: Python<'_>, solution: Solution) -> PyResult<Bound<'_, PyDict>> {
    let values = PyDict::new(py);
    values.set_item("eg", solution.error.into_pyarray(py))?;
    values.set_item("Q", solution.q.into_pyarray(py))?;
    values.set_item("R", solution.r.into_pyarray(py))?;
    values.set_item("v", solution.v.into_pyarray(py))?;
    for (name, rows) in solution.observables {
        values.set_item(name, rows.into_pyarray(py))?;
    }
    let (outcome, last) = match solution.outcome {
        Outcome::Complete => ("complete", None),
        Outcome::Stalled(t) => ("stalled", Some(t)),
        Outcome::Diverged(t) => ("diverged", Some(t)),
    };
    let statistics = solution.statistics;
    let result = PyDict::new(py);
    result.set_item("values", values)?;
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
