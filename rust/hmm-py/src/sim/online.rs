//! One-pass SGD: the stepper behind `hmm_rs.OnlineSGD`.

use super::data::{ByDtype, Handle, PySource, seed_from};
use crate::border::{attached, run};
use crate::convert::dtype::either;
use hmm_core::random::Seed;
use hmm_core::{Aligned, Error, Real};
use hmm_sim::fields::{FieldMoments, Labels, Teacher};
use hmm_sim::online::{Observation, OnlineSgd, Rule, Student};
use hmm_sim::unit::Unit;
use numpy::{Element, IntoPyArray, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;

/// A unit by name.
pub fn unit_from(name: &str) -> Unit {
    match name {
        "relu" => Unit::Relu,
        "linear" => Unit::Linear,
        _ => Unit::Erf,
    }
}

/// State of a run in one precision.
#[pyclass(name = "OnlineSgd", module = "hmm_rs._lib")]
pub struct PyOnlineSgd {
    run: ByDtype<OnlineSgd<f32>, OnlineSgd<f64>>,
    inputs: usize,
}

/// Weights as Python passes them.
struct Weights<'a> {
    w: &'a [f64],
    v: &'a [f64],
    unit: Unit,
}

fn build<T: Real>(
    handle: &Handle<T>,
    moments: Option<FieldMoments>,
    student: &Weights<'_>,
    teacher: &Weights<'_>,
    labels: Labels,
    classify: bool,
    rule: Rule,
    test_size: usize,
    seed: &Seed,
) -> OnlineSgd<T> {
    let narrow = |values: &[f64]| values.iter().map(|&x| T::from_f64(x)).collect::<Vec<T>>();
    OnlineSgd::new(
        Arc::clone(&handle.source),
        moments,
        Teacher {
            w: narrow(teacher.w),
            v: teacher.v.to_vec(),
            unit: teacher.unit,
            labels,
            classify,
        },
        Student {
            w: Aligned::copied_from(&narrow(student.w)),
            v: narrow(student.v),
            unit: student.unit,
        },
        rule,
        test_size,
        seed,
    )
}

#[pymethods]
impl PyOnlineSgd {
    #[new]
    #[pyo3(signature = (source, *, moments, w, v, unit, teacher_w, teacher_v, teacher_unit, labels, classify,
        lr, lr_v, train_second_layer, noise, weight_decay, batch, test_size, seed))]
    fn new(
        py: Python<'_>,
        source: &PySource,
        moments: Option<(f64, f64)>,
        w: PyReadonlyArray2<'_, f64>,
        v: PyReadonlyArray1<'_, f64>,
        unit: &str,
        teacher_w: PyReadonlyArray2<'_, f64>,
        teacher_v: PyReadonlyArray1<'_, f64>,
        teacher_unit: &str,
        labels: &str,
        classify: bool,
        lr: f64,
        lr_v: f64,
        train_second_layer: bool,
        noise: f64,
        weight_decay: f64,
        batch: usize,
        test_size: usize,
        seed: Vec<u32>,
    ) -> PyResult<Self> {
        let seed = attached(py, || seed_from(&seed))?;
        let moments = moments.map(|(b, zeta)| FieldMoments { b, zeta });
        let student = Weights {
            w: w.as_slice()?,
            v: v.as_slice()?,
            unit: unit_from(unit),
        };
        let teacher = Weights {
            w: teacher_w.as_slice()?,
            v: teacher_v.as_slice()?,
            unit: unit_from(teacher_unit),
        };
        let labels = if labels == "input" {
            Labels::Input
        } else {
            Labels::Latent
        };
        let rule = Rule {
            lr,
            lr_v,
            train_second_layer,
            noise,
            weight_decay,
            batch,
        };
        let inputs = either!(&source.0, handle => handle.source.inputs());
        attached(py, || {
            let run = match &source.0 {
                ByDtype::F32(handle) => ByDtype::F32(build(
                    handle, moments, &student, &teacher, labels, classify, rule, test_size, &seed,
                )),
                ByDtype::F64(handle) => ByDtype::F64(build(
                    handle, moments, &student, &teacher, labels, classify, rule, test_size, &seed,
                )),
            };
            Ok(Self { run, inputs })
        })
    }

    /// Take `steps` steps.
    fn advance(&mut self, py: Python<'_>, steps: u64, threads: Option<usize>) -> PyResult<()> {
        let state = &mut self.run;
        run(
            py,
            threads,
            |cancel| either!(state, run => run.advance(steps, cancel)),
        )
    }

    /// Measure now: a dictionary of arrays.
    fn observe<'py>(
        &mut self,
        py: Python<'py>,
        threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let state = &mut self.run;
        let seen = run(
            py,
            threads,
            |cancel| either!(state, run => run.observe(cancel)),
        )?;
        observation(py, seen)
    }

    /// Steps done.
    #[getter]
    fn step(&self) -> u64 {
        either!(&self.run, run => run.step())
    }

    /// The student's weights w (K, N) and v (K,) in the run's own precision.
    fn weights<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        either!(&self.run, run => weights(py, run.student(), self.inputs))
    }

    /// Put back weights and number of steps.
    fn restore(
        &mut self,
        py: Python<'_>,
        w: PyReadonlyArray2<'_, f64>,
        v: PyReadonlyArray1<'_, f64>,
        step: u64,
    ) -> PyResult<()> {
        let (w, v) = (w.as_slice()?, v.as_slice()?);
        attached(
            py,
            || either!(&mut self.run, run => restore(run, w, v, step)),
        )
    }

    /// Bytes a run needs beside F.
    #[staticmethod]
    fn memory_estimate(source: &PySource, test_size: usize, threads: Option<usize>) -> usize {
        let threads = threads.unwrap_or_else(hmm_core::parallel::num_threads);
        match &source.0 {
            ByDtype::F32(handle) => {
                OnlineSgd::<f32>::memory_estimate(&*handle.source, test_size, threads)
            }
            ByDtype::F64(handle) => {
                OnlineSgd::<f64>::memory_estimate(&*handle.source, test_size, threads)
            }
        }
    }
}

fn restore<T: Real>(run: &mut OnlineSgd<T>, w: &[f64], v: &[f64], step: u64) -> Result<(), Error> {
    let narrow = |values: &[f64]| values.iter().map(|&x| T::from_f64(x)).collect::<Vec<T>>();
    run.restore(&narrow(w), &narrow(v), step)
}

fn weights<'py, T: Element + Real>(
    py: Python<'py>,
    student: &Student<T>,
    inputs: usize,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let units = student.v.len();
    Ok((
        student
            .w
            .to_vec()
            .into_pyarray(py)
            .reshape([units, inputs])?
            .into_any(),
        student.v.clone().into_pyarray(py).into_any(),
    ))
}

fn observation(py: Python<'_>, seen: Observation) -> PyResult<Bound<'_, PyDict>> {
    let (k, m) = (seen.v.len(), seen.r.len() / seen.v.len());
    let matrix = |values: Vec<f64>, columns: usize| -> PyResult<Bound<'_, PyArray2<f64>>> {
        let rows = values.len() / columns;
        values.into_pyarray(py).reshape([rows, columns])
    };
    let result = PyDict::new(py);
    result.set_item("step", seen.step)?;
    result.set_item("eg", seen.error)?;
    result.set_item("eg_analytic", seen.error_analytic)?;
    result.set_item("Q", matrix(seen.q, k)?)?;
    result.set_item("R", matrix(seen.r, m)?)?;
    result.set_item("T", matrix(seen.t, m)?)?;
    result.set_item("W", matrix(seen.w, k)?)?;
    result.set_item("Sigma", matrix(seen.sigma, k)?)?;
    result.set_item("v", seen.v.into_pyarray(py))?;
    Ok(result)
}

/// Add this subject's classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyOnlineSgd>()
}
