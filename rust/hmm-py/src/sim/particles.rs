//! The particle engine.

use super::engine::Engine;
use super::labelled::PyLabelledLaw;
use super::networks::NodeLaw;
use crate::border;
use crate::convert::columns::{from_dict, to_dict};
use crate::convert::dtype::Dtype;
use crate::convert::name::Name;
use crate::convert::seed::SeedWords;
use hmm_core::random::Seed;
use hmm_core::{Activation, Cancel, Entry, Error, Loss, Real};
use hmm_sim::labelled::LabelledLaw;
use hmm_sim::particles::initial::Drawing;
use hmm_sim::particles::rule::{example_loss, unit};
use hmm_sim::particles::{
    Examples, Labelled, LawBatches, Member, Particles, Rule, Setting, Shard, Sizes,
};
use ndarray::{Array1, Array2};
use numpy::{Element, IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Register the functions and classes of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ParticleShard>()?;
    module.add_function(wrap_pyfunction!(particles, module)?)?;
    module.add_function(wrap_pyfunction!(particles_shard, module)?)?;
    module.add_function(wrap_pyfunction!(particles_memory, module)?)
}

/// Inputs and labels, in the run's own precision.
fn labelled<T: Element + Real>(
    py: Python<'_>,
    x: Option<&Bound<'_, PyAny>>,
    y: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<Labelled<T>>> {
    let (Some(x), Some(y)) = (x, y) else {
        return Ok(None);
    };
    let x: PyReadonlyArray2<'_, T> = x.extract()?;
    let y: PyReadonlyArray1<'_, T> = y.extract()?;
    let (x, y) = (x.as_array(), y.as_array());
    border::call(py, || Labelled::new(x.to_owned(), y.to_owned())).map(Some)
}

/// Everything of a new run that is an array.
struct Arrays<'a, 'py> {
    nodes: &'a Bound<'py, PyAny>,
    x: Option<&'a Bound<'py, PyAny>>,
    y: Option<&'a Bound<'py, PyAny>>,
    x_test: Option<&'a Bound<'py, PyAny>>,
    y_test: Option<&'a Bound<'py, PyAny>>,
}

/// Nodes of a new run: given, or to be drawn from a law.
enum Start<'py, T: Element> {
    Given(PyReadonlyArray1<'py, T>, PyReadonlyArray2<'py, T>),
    Drawn(Drawing, Range<usize>),
}

/// What a run or a part of one is made of.
struct Made<T> {
    a: Array1<T>,
    w: Array2<T>,
    examples: Examples<T>,
    test: Option<Labelled<T>>,
}

/// `nodes` is either (a, w) or (law, first, last).
fn start<'py, T: Element>(nodes: &Bound<'py, PyAny>) -> PyResult<Start<'py, T>> {
    if let Ok((law, first, last)) = nodes.extract::<(PyRef<'py, NodeLaw>, usize, usize)>() {
        return Ok(Start::Drawn(law.0, first..last));
    }
    let (a, w) = nodes.extract()?;
    Ok(Start::Given(a, w))
}

fn made<T: Element + Real, R: Send>(
    py: Python<'_>,
    arrays: &Arrays<'_, '_>,
    fresh: Option<(LabelledLaw, usize, Seed)>,
    threads: Option<usize>,
    make: impl FnOnce(Made<T>, &Cancel) -> hmm_core::Result<R> + Send,
) -> PyResult<R> {
    let start = start::<T>(arrays.nodes)?;
    let nodes = match &start {
        Start::Given(a, w) => Ok((a.as_array(), w.as_array())),
        Start::Drawn(law, range) => Err((*law, range.clone())),
    };
    let train = labelled::<T>(py, arrays.x, arrays.y)?;
    let test = labelled::<T>(py, arrays.x_test, arrays.y_test)?;
    border::run(py, threads, |cancel| {
        let examples = match (train, fresh) {
            (Some(fixed), _) => Examples::Fixed(fixed),
            (None, Some((law, batch, seed))) => Examples::Fresh {
                stream: Box::new(LawBatches { law, seed }),
                batch,
            },
            (None, None) => {
                return Err(Error::invalid(
                    "X",
                    "None",
                    "there is nothing to learn from",
                    "pass X and y, or data",
                ));
            }
        };
        let (a, w) = match nodes {
            Ok((a, w)) => (a.to_owned(), w.to_owned()),
            // Drawn where they are to stay: there is never a second copy of them.
            Err((law, range)) => {
                let nodes = law.nodes::<T>(range, cancel)?;
                (nodes.a, nodes.w)
            }
        };
        let made = Made {
            a,
            w,
            examples,
            test,
        };
        make(made, cancel)
    })
}

fn setting(
    py: Python<'_>,
    activation: Activation,
    loss: Loss,
    (alpha, h, beta, p): (f64, f64, f64, f64),
    subtract_init: bool,
    recorded: usize,
    tile: Option<(usize, usize)>,
) -> PyResult<Setting> {
    border::call(py, || {
        Ok(Setting {
            unit: unit(activation)?,
            rule: Rule {
                loss: example_loss(loss)?,
                alpha,
                h,
                beta,
                exponent: p,
                subtract_init,
            },
            recorded,
            tile,
        })
    })
}

/// A mean-field network in training: nodes `(a, w)` or `(law, first, last)`, fixed examples `X, y` or the training stream
/// of a `law` in batches, a test set, all arrays in the precision `dtype`.
#[pyfunction]
#[pyo3(signature = (
    nodes, *, X, y, X_test, y_test, law, batch, seed, activation, loss, alpha, h, beta, p, subtract_init, recorded,
    dtype, tile, threads
))]
#[allow(non_snake_case)] // the names that users type
fn particles(
    py: Python<'_>,
    nodes: &Bound<'_, PyAny>,
    X: Option<Bound<'_, PyAny>>,
    y: Option<Bound<'_, PyAny>>,
    X_test: Option<Bound<'_, PyAny>>,
    y_test: Option<Bound<'_, PyAny>>,
    law: Option<PyRef<'_, PyLabelledLaw>>,
    batch: usize,
    seed: SeedWords,
    activation: Name<Activation>,
    loss: Name<Loss>,
    alpha: f64,
    h: f64,
    beta: f64,
    p: f64,
    subtract_init: bool,
    recorded: usize,
    dtype: Name<Dtype>,
    tile: Option<(usize, usize)>,
    threads: Option<usize>,
) -> PyResult<Engine> {
    let scales = (alpha, h, beta, p);
    let setting = setting(
        py,
        activation.0,
        loss.0,
        scales,
        subtract_init,
        recorded,
        tile,
    )?;
    let arrays = Arrays {
        nodes,
        x: X.as_ref(),
        y: y.as_ref(),
        x_test: X_test.as_ref(),
        y_test: y_test.as_ref(),
    };
    let fresh = law.map(|law| (law.0, batch, seed.0));
    match dtype.0 {
        Dtype::F32 => whole::<f32>(py, &arrays, fresh, setting, threads),
        Dtype::F64 => whole::<f64>(py, &arrays, fresh, setting, threads),
    }
}

fn whole<T: Element + Real + Entry>(
    py: Python<'_>,
    arrays: &Arrays<'_, '_>,
    fresh: Option<(LabelledLaw, usize, Seed)>,
    setting: Setting,
    threads: Option<usize>,
) -> PyResult<Engine> {
    let run = made::<T, _>(py, arrays, fresh, threads, |made, cancel| {
        Particles::new(made.a, made.w, made.examples, made.test, setting, cancel)
    })?;
    Ok(Engine::new(run))
}

/// A part of a network's nodes in training.
#[pyclass(frozen, module = "hmm_rs._lib")]
pub struct ParticleShard {
    member: Mutex<Box<dyn Member>>,
}

impl ParticleShard {
    /// Let `work` have the shard, on the pool and with the GIL released.
    fn with<R: Send>(
        &self,
        py: Python<'_>,
        threads: Option<usize>,
        work: impl FnOnce(&mut dyn Member, &Cancel) -> hmm_core::Result<R> + Send,
    ) -> PyResult<R> {
        border::run(py, threads, |cancel| {
            let mut member = self.member.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut **member, cancel)
        })
    }
}

#[pymethods]
impl ParticleShard {
    /// What the nodes give to the initial outputs.
    #[pyo3(signature = (*, threads))]
    fn initial<'py>(
        &self,
        py: Python<'py>,
        threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let part = self.with(py, threads, |member, cancel| member.initial(cancel))?;
        Ok(part.into_pyarray(py))
    }

    /// Take in the sum of all `initial`.
    fn begin(&self, py: Python<'_>, total: PyReadonlyArray1<'_, f64>) -> PyResult<()> {
        let total = total.as_slice()?;
        self.with(py, Some(1), |member, _| member.begin(total))
    }

    /// What the nodes give to the outputs of the present step.
    #[pyo3(signature = (*, threads))]
    fn contribution<'py>(
        &self,
        py: Python<'py>,
        threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let part = self.with(py, threads, |member, cancel| member.contribution(cancel))?;
        Ok(part.into_pyarray(py))
    }

    /// Take step number `step`, given the sum of all `contribution`; return whether the run is over.
    #[pyo3(signature = (step, total, dt, *, threads))]
    fn advance(
        &self,
        py: Python<'_>,
        step: u64,
        total: PyReadonlyArray1<'_, f64>,
        dt: f64,
        threads: Option<usize>,
    ) -> PyResult<bool> {
        let total = total.as_slice()?;
        self.with(py, threads, |member, cancel| {
            member.advance(step, total, dt, cancel)?;
            Ok(member.stepper().finished().is_some())
        })
    }

    /// What the nodes give to a measurement.
    #[pyo3(signature = (*, threads))]
    fn reading<'py>(
        &self,
        py: Python<'py>,
        threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let part = self.with(py, threads, |member, cancel| member.reading(cancel))?;
        Ok(part.into_pyarray(py))
    }

    /// What is measured, given the sums of all `contribution` and `reading`.
    #[pyo3(signature = (total, reading, *, threads))]
    fn seen<'py>(
        &self,
        py: Python<'py>,
        total: PyReadonlyArray1<'_, f64>,
        reading: PyReadonlyArray1<'_, f64>,
        threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (total, reading) = (total.as_slice()?, reading.as_slice()?);
        let seen = self.with(py, threads, |member, cancel| {
            member.seen(total, reading, cancel)
        })?;
        to_dict(py, seen)
    }

    /// Answer a question of the engine's own list.
    fn query<'py>(&self, py: Python<'py>, what: &str) -> PyResult<Bound<'py, PyDict>> {
        let answer = self.with(py, None, |member, cancel| {
            member.stepper().query(what, cancel)
        })?;
        to_dict(py, answer)
    }

    /// The shard's state as a dictionary of arrays.
    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let state = self.with(py, None, |member, cancel| {
            let stepper = member.stepper();
            stepper.settle(cancel)?;
            Ok(stepper.snapshot())
        })?;
        to_dict(py, state)
    }

    /// Go back to a state that `snapshot` gave.
    fn restore(&self, py: Python<'_>, state: &Bound<'_, PyDict>) -> PyResult<()> {
        let state = from_dict(state)?;
        self.with(py, None, |member, cancel| {
            member.stepper().restore(&state, cancel)
        })
    }

    /// Bytes the shard holds at most while it runs.
    #[pyo3(signature = (*, threads))]
    fn memory(&self, py: Python<'_>, threads: Option<usize>) -> PyResult<u64> {
        let pool =
            hmm_core::parallel::pool(threads).map_err(|error| border::to_python(py, error))?;
        let threads = pool.current_num_threads();
        self.with(py, Some(1), |member, _| {
            Ok(member.stepper().memory(threads))
        })
    }
}

/// Nodes of a network of `whole` nodes; everything else as in `particles`.
#[pyfunction]
#[pyo3(signature = (
    nodes, *, whole, X, y, X_test, y_test, law, batch, seed, activation, loss, alpha, h, beta, p, subtract_init,
    recorded, dtype, tile, threads
))]
#[allow(non_snake_case)] // the names that users type
fn particles_shard(
    py: Python<'_>,
    nodes: &Bound<'_, PyAny>,
    whole: usize,
    X: Option<Bound<'_, PyAny>>,
    y: Option<Bound<'_, PyAny>>,
    X_test: Option<Bound<'_, PyAny>>,
    y_test: Option<Bound<'_, PyAny>>,
    law: Option<PyRef<'_, PyLabelledLaw>>,
    batch: usize,
    seed: SeedWords,
    activation: Name<Activation>,
    loss: Name<Loss>,
    alpha: f64,
    h: f64,
    beta: f64,
    p: f64,
    subtract_init: bool,
    recorded: usize,
    dtype: Name<Dtype>,
    tile: Option<(usize, usize)>,
    threads: Option<usize>,
) -> PyResult<ParticleShard> {
    let scales = (alpha, h, beta, p);
    let setting = setting(
        py,
        activation.0,
        loss.0,
        scales,
        subtract_init,
        recorded,
        tile,
    )?;
    let arrays = Arrays {
        nodes,
        x: X.as_ref(),
        y: y.as_ref(),
        x_test: X_test.as_ref(),
        y_test: y_test.as_ref(),
    };
    let fresh = law.map(|law| (law.0, batch, seed.0));
    let member = match dtype.0 {
        Dtype::F32 => shard::<f32>(py, &arrays, fresh, whole, setting, threads)?,
        Dtype::F64 => shard::<f64>(py, &arrays, fresh, whole, setting, threads)?,
    };
    Ok(ParticleShard {
        member: Mutex::new(member),
    })
}

fn shard<T: Element + Real + Entry>(
    py: Python<'_>,
    arrays: &Arrays<'_, '_>,
    fresh: Option<(LabelledLaw, usize, Seed)>,
    whole: usize,
    setting: Setting,
    threads: Option<usize>,
) -> PyResult<Box<dyn Member>> {
    let shard = made::<T, _>(py, arrays, fresh, threads, |made, _| {
        Shard::new(made.a, made.w, whole, made.examples, made.test, setting)
    })?;
    Ok(Box::new(shard))
}

/// Bytes that a run of these sizes takes beside the arrays that its caller holds: what its engine's `memory` says.
#[pyfunction]
#[pyo3(signature = (*, width, d, examples, tests, fresh, subtract_init, activation, dtype, tile, threads))]
fn particles_memory(
    py: Python<'_>,
    width: usize,
    d: usize,
    examples: usize,
    tests: usize,
    fresh: bool,
    subtract_init: bool,
    activation: Name<Activation>,
    dtype: Name<Dtype>,
    tile: Option<(usize, usize)>,
    threads: Option<usize>,
) -> PyResult<u64> {
    border::call(py, || {
        let sizes = Sizes {
            width,
            d,
            unit: unit(activation.0)?,
            examples,
            tests,
            fresh,
            subtract_init,
            tile,
        };
        let threads = hmm_core::parallel::pool(threads)?.current_num_threads();
        Ok(match dtype.0 {
            Dtype::F32 => sizes.bytes::<f32>(threads),
            Dtype::F64 => sizes.bytes::<f64>(threads),
        })
    })
}
