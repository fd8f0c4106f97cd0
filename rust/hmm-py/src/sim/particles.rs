//! The particle engine.

use super::engine::Engine;
use super::labelled::PyLabelledLaw;
use crate::border;
use crate::convert::dtype::Dtype;
use crate::convert::name::Name;
use crate::convert::seed::SeedWords;
use hmm_core::random::Seed;
use hmm_core::{Activation, Entry, Error, Loss, Real};
use hmm_sim::labelled::LabelledLaw;
use hmm_sim::particles::rule::{example_loss, unit};
use hmm_sim::particles::{Examples, Labelled, LawBatches, Particles, Rule, Setting, Sizes};
use numpy::{Element, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

/// Register the functions and classes of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(particles, module)?)?;
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
    a: &'a Bound<'py, PyAny>,
    w: &'a Bound<'py, PyAny>,
    x: Option<&'a Bound<'py, PyAny>>,
    y: Option<&'a Bound<'py, PyAny>>,
    x_test: Option<&'a Bound<'py, PyAny>>,
    y_test: Option<&'a Bound<'py, PyAny>>,
}

fn engine<T: Element + Real + Entry>(
    py: Python<'_>,
    arrays: &Arrays<'_, '_>,
    fresh: Option<(LabelledLaw, usize, Seed)>,
    setting: Setting,
    threads: Option<usize>,
) -> PyResult<Engine> {
    let a: PyReadonlyArray1<'_, T> = arrays.a.extract()?;
    let w: PyReadonlyArray2<'_, T> = arrays.w.extract()?;
    let (a, w) = (a.as_array(), w.as_array());
    let train = labelled::<T>(py, arrays.x, arrays.y)?;
    let test = labelled::<T>(py, arrays.x_test, arrays.y_test)?;
    let run = border::run(py, threads, |cancel| {
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
        Particles::new(a.to_owned(), w.to_owned(), examples, test, setting, cancel)
    })?;
    Ok(Engine::new(run))
}

/// A mean-field network in training: weights, fixed examples `X, y` or the training stream of a `law` in batches, a
/// test set, all arrays in the precision `dtype`.
#[pyfunction]
#[pyo3(signature = (
    a, w, *, X, y, X_test, y_test, law, batch, seed, activation, loss, alpha, h, beta, p, subtract_init, recorded,
    dtype, tile, threads
))]
#[allow(non_snake_case)] // the names that users type
fn particles(
    py: Python<'_>,
    a: &Bound<'_, PyAny>,
    w: &Bound<'_, PyAny>,
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
    let setting = border::call(py, || {
        Ok(Setting {
            unit: unit(activation.0)?,
            rule: Rule {
                loss: example_loss(loss.0)?,
                alpha,
                h,
                beta,
                exponent: p,
                subtract_init,
            },
            recorded,
            tile,
        })
    })?;
    let arrays = Arrays {
        a,
        w,
        x: X.as_ref(),
        y: y.as_ref(),
        x_test: X_test.as_ref(),
        y_test: y_test.as_ref(),
    };
    let fresh = law.map(|law| (law.0, batch, seed.0));
    match dtype.0 {
        Dtype::F32 => engine::<f32>(py, &arrays, fresh, setting, threads),
        Dtype::F64 => engine::<f64>(py, &arrays, fresh, setting, threads),
    }
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
