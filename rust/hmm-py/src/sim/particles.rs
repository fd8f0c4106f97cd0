//! The particle engine.

use super::data::ByDtype;
use super::labelled::PyLabelledLaw;
use crate::border;
use crate::convert::dtype::either;
use hmm_core::{Error, Real};
use hmm_sim::labelled::LabelledLaw;
use hmm_sim::particles::{Examples, Loss, Particles, Rule, Test, Unit};
use numpy::{Element, IntoPyArray, PyArray1, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

/// Register the functions and classes of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyParticles>()
}

type Array1<'py, T> = Bound<'py, PyArray1<T>>;

/// A network in training, in either precision.
#[pyclass(name = "Particles", module = "hmm_rs._lib")]
struct PyParticles(ByDtype<Particles<f32>, Particles<f64>>);

/// Inputs and labels as Python passes them: arrays of the run's own precision.
type PyExamples<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);

fn vector<T: Element + Copy>(array: &Bound<'_, PyAny>) -> PyResult<Vec<T>> {
    Ok(array
        .extract::<PyReadonlyArray1<'_, T>>()?
        .as_slice()?
        .to_vec())
}

fn matrix<T: Element + Copy>(array: &Bound<'_, PyAny>) -> PyResult<Vec<T>> {
    Ok(array
        .extract::<PyReadonlyArray2<'_, T>>()?
        .as_slice()?
        .to_vec())
}

/// The parts of a new run that do not depend on the precision.
struct Setting {
    d: usize,
    unit: Unit,
    rule: Rule,
    fresh: Option<(LabelledLaw, usize, [u32; 8])>,
    tile: Option<(usize, usize)>,
}

fn build<T: Element + Real>(
    py: Python<'_>,
    (a, w): (&Bound<'_, PyAny>, &Bound<'_, PyAny>),
    train: Option<&PyExamples<'_>>,
    test: Option<&PyExamples<'_>>,
    setting: Setting,
    threads: Option<usize>,
) -> PyResult<Particles<T>> {
    let Setting {
        d,
        unit,
        rule,
        fresh,
        tile,
    } = setting;
    let nodes = (vector::<T>(a)?, matrix::<T>(w)?, d);
    let train = train
        .map(|(x, y)| PyResult::Ok((matrix::<T>(x)?, vector::<T>(y)?)))
        .transpose()?;
    let test = test
        .map(|(x, y)| {
            PyResult::Ok(Test {
                x: matrix::<T>(x)?,
                y: vector::<T>(y)?,
            })
        })
        .transpose()?;
    border::run(py, threads, |cancel| {
        let examples = match (train, fresh) {
            (Some((x, y)), _) => Examples::Fixed { x, y },
            (None, Some((law, batch, seed))) => Examples::Fresh { law, batch, seed },
            (None, None) => {
                return Err(Error::invalid(
                    "X",
                    "None",
                    "no examples",
                    "pass X and y, or data",
                ));
            }
        };
        Particles::new(nodes, unit, rule, examples, test, tile, cancel)
    })
}

fn unit_from(name: &str) -> Unit {
    match name {
        "erf" => Unit::Erf,
        "tanh" => Unit::Tanh,
        _ => Unit::Relu,
    }
}

#[pymethods]
impl PyParticles {
    /// Weights and data in the precision `dtype`; `fresh` is (law, batch, seed).
    #[new]
    #[pyo3(signature = (a, w, *, train, test, fresh, unit, loss, scales, subtract_init, dtype, tile, threads))]
    fn new(
        py: Python<'_>,
        a: &Bound<'_, PyAny>,
        w: &Bound<'_, PyAny>,
        train: Option<PyExamples<'_>>,
        test: Option<PyExamples<'_>>,
        fresh: Option<(PyRef<'_, PyLabelledLaw>, usize, [u32; 8])>,
        unit: &str,
        loss: &str,
        scales: (f64, f64, f64, f64),
        subtract_init: bool,
        dtype: &str,
        tile: Option<(usize, usize)>,
        threads: Option<usize>,
    ) -> PyResult<Self> {
        let (alpha, h, beta, exponent) = scales;
        let loss = match loss {
            "squared" => Loss::Squared,
            "logistic" => Loss::Logistic,
            _ => Loss::Hinge,
        };
        let setting = Setting {
            d: w.getattr("shape")?.extract::<(usize, usize)>()?.1,
            unit: unit_from(unit),
            rule: Rule {
                loss,
                alpha,
                h,
                beta,
                exponent,
                subtract_init,
            },
            fresh: fresh.map(|(law, batch, seed)| (law.0, batch, seed)),
            tile,
        };
        let (train, test) = (train.as_ref(), test.as_ref());
        Ok(Self(if dtype == "float32" {
            ByDtype::F32(build(py, (a, w), train, test, setting, threads)?)
        } else {
            ByDtype::F64(build(py, (a, w), train, test, setting, threads)?)
        }))
    }

    /// Take `steps` steps of size `dt`, fewer if nothing pulls any more.
    fn advance(
        &mut self,
        py: Python<'_>,
        steps: u64,
        dt: f64,
        threads: Option<usize>,
    ) -> PyResult<()> {
        let state = &mut self.0;
        border::run(
            py,
            threads,
            |cancel| either!(state, run => run.advance(steps, dt, cancel)),
        )
    }

    /// `(gamma, unsatisfied, loss, train_error, test_error, test_unsatisfied)`.
    fn observe(
        &mut self,
        py: Python<'_>,
        threads: Option<usize>,
    ) -> PyResult<(f64, f64, f64, f64, f64, f64)> {
        let state = &mut self.0;
        let seen = border::run(
            py,
            threads,
            |cancel| either!(state, run => run.observe(cancel)),
        )?;
        Ok((
            seen.gamma,
            seen.unsatisfied,
            seen.loss,
            seen.train_error,
            seen.test_error,
            seen.test_unsatisfied,
        ))
    }

    /// Steps taken.
    #[getter]
    fn step(&self) -> u64 {
        either!(&self.0, run => run.step())
    }

    /// Whether no example pulls any more.
    #[getter]
    fn finished(&self) -> bool {
        either!(&self.0, run => run.finished())
    }

    /// Present weights `(a, w)` in the run's own precision.
    fn weights<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        either!(&self.0, run => {
            let (a, w) = run.weights();
            let w = w.to_vec().into_pyarray(py).reshape([a.len(), run.inputs()])?;
            Ok((a.to_vec().into_pyarray(py).into_any(), w.into_any()))
        })
    }

    /// `(a, w_par)` of the first `count` nodes.
    fn nodes<'py>(&self, py: Python<'py>, count: usize) -> (Array1<'py, f64>, Array1<'py, f64>) {
        either!(&self.0, run => {
            let (a, w) = run.weights();
            let first: Vec<f64> = a.iter().take(count).map(|a| a.to_f64()).collect();
            let along: Vec<f64> =
                w.chunks_exact(run.inputs()).take(count).map(|w| w[0].to_f64()).collect();
            (first.into_pyarray(py), along.into_pyarray(py))
        })
    }

    /// Step at which each fixed example was first satisfied; -1 for not yet.
    fn first_satisfied<'py>(&self, py: Python<'py>) -> Array1<'py, i64> {
        either!(&self.0, run => run.first_satisfied().to_vec().into_pyarray(py))
    }

    /// Put back an earlier state.
    fn restore(
        &mut self,
        py: Python<'_>,
        a: &Bound<'_, PyAny>,
        w: &Bound<'_, PyAny>,
        step: u64,
        first: PyReadonlyArray1<'_, i64>,
    ) -> PyResult<()> {
        let first = first.as_slice()?.to_vec();
        match &mut self.0 {
            ByDtype::F32(run) => {
                let (a, w) = (vector(a)?, matrix(w)?);
                border::attached(py, || run.restore(a, w, step, first))
            }
            ByDtype::F64(run) => {
                let (a, w) = (vector(a)?, matrix(w)?);
                border::attached(py, || run.restore(a, w, step, first))
            }
        }
    }

    /// Bytes of a run beside the arrays that the caller holds.
    #[staticmethod]
    fn memory_estimate(
        width: usize,
        d: usize,
        examples: usize,
        tests: usize,
        fresh: bool,
        subtract_init: bool,
        unit: &str,
        dtype: &str,
    ) -> u64 {
        let unit = unit_from(unit);
        if dtype == "float32" {
            Particles::<f32>::memory_estimate(
                (width, d),
                unit,
                examples,
                tests,
                fresh,
                subtract_init,
            )
        } else {
            Particles::<f64>::memory_estimate(
                (width, d),
                unit,
                examples,
                tests,
                fresh,
                subtract_init,
            )
        }
    }
}
