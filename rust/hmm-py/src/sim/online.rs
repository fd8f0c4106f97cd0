//! One-pass SGD: the engine behind `hmm_rs.OnlineSGD`.

use super::data::{ByDtype, Handle, PySource};
use super::engine::Engine;
use crate::border::{call, to_python};
use crate::convert::name::Name;
use crate::convert::schedule::Rate;
use crate::convert::seed::SeedWords;
use hmm_core::random::Seed;
use hmm_core::{Activation, Entry, Error, Real, Result, Schedule};
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
    members: Vec<(Layers<'a>, Rule)>,
    /// Whether the students are an ensemble, be it of one, rather than the run's only student.
    ensemble: bool,
    teacher: Layers<'a>,
    labels: Labels,
    classify: bool,
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
        let source = Arc::clone(&handle.source);
        let member = |(layers, rule): &(Layers<'_>, Rule)| {
            let student = Student::new(layers.w, layers.v, layers.unit)?;
            Ok((student, rule.clone()))
        };
        if let (false, [only]) = (self.ensemble, &self.members[..]) {
            let (student, rule) = member(only)?;
            let run = OnlineSgd::new(source, teacher, student, rule, self.measurement, &self.seed);
            return run.map(Engine::new);
        }
        let members = self.members.iter().map(member).collect::<Result<_>>()?;
        OnlineSgd::ensemble(source, teacher, members, self.measurement, &self.seed).map(Engine::new)
    }
}

/// Rates of every student, one each.
fn schedules(argument: &'static str, rates: &[Rate<'_>], students: usize) -> Result<Vec<Schedule>> {
    if rates.len() == students {
        return Ok(rates.iter().map(Rate::schedule).collect());
    }
    Err(Error::shape(
        argument,
        &[rates.len()],
        format!("there are {students} students"),
        "pass one rate for each",
    ))
}

/// The engine of one-pass SGD on the samples of `source`, in its precision.
///
/// Students and rates are lists, one entry for each student; `ensemble` tells a list of one from a student.
#[allow(
    clippy::fn_params_excessive_bools,
    reason = "keywords, which have names where they are passed"
)]
#[pyfunction]
#[pyo3(signature = (source, *, student, ensemble, teacher, moments, centred, labels, classify, lr, lr_v, train_second_layer, noise,
    weight_decay, batch, test_size, seed))]
fn online_sgd(
    py: Python<'_>,
    source: &PySource,
    student: Vec<Network<'_>>,
    ensemble: bool,
    teacher: Network<'_>,
    moments: Option<Moments>,
    centred: bool,
    labels: Name<Labels>,
    classify: bool,
    lr: Vec<Rate<'_>>,
    lr_v: Vec<Rate<'_>>,
    train_second_layer: bool,
    noise: Vec<Rate<'_>>,
    weight_decay: Vec<Rate<'_>>,
    batch: usize,
    test_size: usize,
    seed: SeedWords,
) -> PyResult<Engine> {
    let of_each = |argument, rates: &[Rate<'_>]| {
        schedules(argument, rates, student.len()).map_err(|error| to_python(py, error))
    };
    let rates = of_each("lr", &lr)?
        .into_iter()
        .zip(of_each("lr_v", &lr_v)?)
        .zip(of_each("noise", &noise)?)
        .zip(of_each("weight_decay", &weight_decay)?);
    let rules = rates.map(|(((lr, lr_v), noise), weight_decay)| Rule {
        lr,
        lr_v,
        train_second_layer,
        noise,
        weight_decay,
        batch,
    });
    let settings = Settings {
        members: student.iter().map(Network::layers).zip(rules).collect(),
        ensemble,
        teacher: teacher.layers(),
        labels: labels.0,
        classify,
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
