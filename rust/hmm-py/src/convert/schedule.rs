//! Rates: numbers, named schedules, and Python functions of time.

use crate::border::{call, to_python};
use hmm_core::memory::filled;
use hmm_core::schedule::UserRate;
use hmm_core::{Error, Result, Schedule};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;

/// The rates that a schedule can be of, as messages name them.
const RATES: [&str; 4] = ["lr", "lr_v", "noise", "weight_decay"];

/// A rate as a function of the time t = steps / N.
#[pyclass(frozen, name = "Schedule", module = "hmm_rs._lib")]
pub struct PySchedule(Schedule);

#[pymethods]
impl PySchedule {
    /// values[i] from at[i - 1] on and before at[i].
    #[staticmethod]
    fn step(py: Python<'_>, values: Vec<f64>, at: Vec<f64>) -> PyResult<Self> {
        checked(py, Schedule::Step { values, at })
    }

    /// a / (1 + t/b)^c
    #[staticmethod]
    fn power(py: Python<'_>, a: f64, b: f64, c: f64) -> PyResult<Self> {
        checked(py, Schedule::Power { a, b, c })
    }

    /// From `start` to `end` in a time `duration`, along half a cosine.
    #[staticmethod]
    fn cosine(py: Python<'_>, start: f64, end: f64, duration: f64) -> PyResult<Self> {
        checked(
            py,
            Schedule::Cosine {
                start,
                end,
                duration,
            },
        )
    }

    /// The rate `argument` by a Python function of an array of times.
    #[staticmethod]
    fn function(py: Python<'_>, argument: &str, function: Py<PyAny>) -> PyResult<Self> {
        let Some(argument) = RATES.into_iter().find(|name| *name == argument) else {
            let error = Error::invalid(
                "argument",
                format!("'{argument}'"),
                "no such rate",
                "pass 'lr', 'lr_v', 'noise' or 'weight_decay'",
            );
            return Err(to_python(py, error));
        };
        let rate = UserRate::new(argument, move |t| rates_of(&function, argument, t));
        Ok(Self(Schedule::User(rate)))
    }

    /// The rates at times `t`, shape (n,).
    fn at<'py>(
        &self,
        py: Python<'py>,
        t: PyReadonlyArray1<'py, f64>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let t = t.as_array();
        let rates: Vec<f64> = call(py, || t.iter().map(|t| self.0.at(*t)).collect())?;
        Ok(rates.into_pyarray(py))
    }

    /// The rates of `count` steps from `first` on, as a simulation with so many inputs takes them.
    fn of_steps<'py>(
        &self,
        py: Python<'py>,
        first: u64,
        inputs: usize,
        count: usize,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let rates = call(py, || {
            let mut rates = filled(0.0, count, "so many rates", "ask for fewer steps")?;
            self.0.of_steps(first, inputs, &mut rates)?;
            Ok(rates)
        })?;
        Ok(rates.into_pyarray(py))
    }
}

fn checked(py: Python<'_>, schedule: Schedule) -> PyResult<PySchedule> {
    match schedule.check("schedule") {
        Ok(()) => Ok(PySchedule(schedule)),
        Err(error) => Err(to_python(py, error)),
    }
}

/// Call a Python function with an array of times.
fn rates_of(function: &Py<PyAny>, argument: &'static str, t: &[f64]) -> Result<Vec<f64>> {
    let raised = |error: PyErr| Error::Callback(Box::new(error));
    Python::attach(|py| {
        let result = function
            .call1(py, (PyArray1::from_slice(py, t),))
            .map_err(raised)?;
        let numpy = py.import("numpy").map_err(raised)?;
        let converted = numpy
            .call_method1("asarray", (&result,))
            .and_then(|given| given.call_method1("astype", ("float64", "C", "same_kind")));
        let Ok(converted) = converted else {
            return Err(Error::invalid(
                argument,
                result.bind(py).get_type(),
                "its function must return an array of real numbers",
                "return floats, one for each time",
            ));
        };
        let array: PyReadonlyArrayDyn<'_, f64> =
            converted.extract().map_err(|error: PyErr| raised(error))?;
        if array.shape() != [t.len()] {
            return Err(Error::shape(
                argument,
                array.shape(),
                format!(
                    "its function must return shape [{}] for as many times",
                    t.len()
                ),
                "write it with numpy operations over the whole array of times",
            ));
        }
        Ok(array.as_array().iter().copied().collect())
    })
}

/// A rate as Python gives it: a number or a schedule.
#[derive(FromPyObject)]
pub enum Rate<'py> {
    Schedule(PyRef<'py, PySchedule>),
    Number(f64),
}

impl Rate<'_> {
    /// The same without Python.
    pub fn schedule(&self) -> Schedule {
        match self {
            Self::Schedule(schedule) => schedule.0.clone(),
            Self::Number(rate) => Schedule::Constant(*rate),
        }
    }
}

/// Add the class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PySchedule>()
}
