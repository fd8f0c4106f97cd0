//! One-pass SGD: the engine behind `hmm_rs.OnlineSGD`.

use super::data::{ByDtype, Handle, PySource};
use super::engine::Engine;
use crate::border::call;
use crate::convert::name::Name;
use crate::convert::schedule::Rate;
use crate::convert::seed::SeedWords;
use hmm_core::random::Seed;
use hmm_core::{Activation, Entry, Real, Result};
use hmm_sim::fields::{FieldMoments, Labels, Teacher};
use hmm_sim::online::{Measurement, OnlineSgd, Rule, Student};
use ndarray::{ArrayView1, ArrayView2};
use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use std::sync::Arc;

/// A two-layer network as Python describes it.
#[derive(FromPyObject)]
struct Network<'py> {
    w: PyReadonlyArray2<'py, f64>,
    v: PyReadonlyArray1<'py, f64>,
    activation: Name<Activation>,
}

impl Network<'_> {
    fn layers(&self) -> Layers<'_> {
        Layers {
            w: self.w.as_array(),
            v: self.v.as_array(),
            unit: self.activation.0,
        }
    }
}

/// The same without Python.
#[derive(Clone, Copy)]
struct Layers<'a> {
    w: ArrayView2<'a, f64>,
    v: ArrayView1<'a, f64>,
    unit: Activation,
}

/// b and ζ of the data's nonlinearity.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Moments {
    b: f64,
    zeta: f64,
}

/// All of a run but its data and its precision.
struct Settings<'a> {
    student: Layers<'a>,
    teacher: Layers<'a>,
    labels: Labels,
    classify: bool,
    rule: Rule,
    measurement: Measurement,
    seed: Seed,
}

impl Settings<'_> {
    fn engine<T: Real + Entry>(&self, handle: &Handle<T>) -> Result<Engine> {
        let teacher = Teacher::new(
            self.teacher.w,
            self.teacher.v,
            self.teacher.unit,
            self.labels,
            self.classify,
        )?;
        let student = Student::new(self.student.w, self.student.v, self.student.unit)?;
        OnlineSgd::new(
            Arc::clone(&handle.source),
            teacher,
            student,
            self.rule.clone(),
            self.measurement,
            &self.seed,
        )
        .map(Engine::new)
    }
}

/// The engine of one-pass SGD on the samples of `source`, in its precision.
#[pyfunction]
#[pyo3(signature = (source, *, student, teacher, moments, centred, labels, classify, lr, lr_v, train_second_layer, noise,
    weight_decay, batch, test_size, seed))]
fn online_sgd(
    py: Python<'_>,
    source: &PySource,
    student: Network<'_>,
    teacher: Network<'_>,
    moments: Option<Moments>,
    centred: bool,
    labels: Name<Labels>,
    classify: bool,
    lr: Rate<'_>,
    lr_v: Rate<'_>,
    train_second_layer: bool,
    noise: Rate<'_>,
    weight_decay: Rate<'_>,
    batch: usize,
    test_size: usize,
    seed: SeedWords,
) -> PyResult<Engine> {
    let settings = Settings {
        student: student.layers(),
        teacher: teacher.layers(),
        labels: labels.0,
        classify,
        rule: Rule {
            lr: lr.schedule(),
            lr_v: lr_v.schedule(),
            train_second_layer,
            noise: noise.schedule(),
            weight_decay: weight_decay.schedule(),
            batch,
        },
        measurement: Measurement {
            moments: moments.map(|Moments { b, zeta }| FieldMoments { b, zeta }),
            centred,
            test_size,
        },
        seed: seed.0,
    };
    let source = &source.0;
    call(py, || match source {
        ByDtype::F32(handle) => settings.engine(handle),
        ByDtype::F64(handle) => settings.engine(handle),
    })
}

/// Add this subject's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(online_sgd, module)?)
}
