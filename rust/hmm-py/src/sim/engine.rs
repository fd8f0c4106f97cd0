//! The one class behind every engine.

use crate::border::{exception, run, to_python};
use crate::convert::columns::{from_dict, to_dict};
use hmm_core::{Cancel, Result};
use hmm_sim::stepper::{Clock, Stepper, Stretch};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::{Mutex, PoisonError, TryLockError};

/// State of a run.
///
/// Its clock can be read at any time and from any thread; while the engine works it says where the last
/// call ended. Everything else answers a second caller with an error instead of making it wait.
#[pyclass(frozen, module = "hmm_rs._lib")]
pub struct Engine {
    stepper: Mutex<Box<dyn Stepper>>,
    clock: Mutex<Clock>,
}

impl Engine {
    /// An engine at its start.
    pub fn new(stepper: impl Stepper + 'static) -> Self {
        Self {
            clock: Mutex::new(stepper.clock()),
            stepper: Mutex::new(Box::new(stepper)),
        }
    }

    /// Let `work` have the stepper, on the pool and with the GIL released.
    fn with<R: Send>(
        &self,
        py: Python<'_>,
        threads: Option<usize>,
        work: impl FnOnce(&mut dyn Stepper, &Cancel) -> Result<R> + Send,
    ) -> PyResult<R> {
        let mut held = match self.stepper.try_lock() {
            Ok(held) => held,
            // What a panic left half-done is refused by the next restore, not here.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(exception(
                    py,
                    "HmmError",
                    "this engine is at work in another call: it does one thing at a time; wait until \
                     that call returns, or make a copy before it"
                        .to_owned(),
                ));
            }
        };
        let stepper: &mut dyn Stepper = &mut **held;
        let outcome = run(py, threads, |cancel| {
            let outcome = work(stepper, cancel);
            *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = stepper.clock();
            outcome
        });
        drop(held);
        outcome
    }

    fn clock(&self) -> Clock {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Engine {
    /// Steps done.
    #[getter]
    fn step(&self) -> u64 {
        self.clock().step
    }

    /// Time, in the engine's own unit.
    #[getter]
    fn t(&self) -> f64 {
        self.clock().t
    }

    /// Take at most `steps` steps; returns whether `until_step` or `until` is reached.
    #[pyo3(signature = (steps, *, until_step=u64::MAX, until=f64::INFINITY, dt=1.0, threads=None))]
    fn advance(
        &self,
        py: Python<'_>,
        steps: u64,
        until_step: u64,
        until: f64,
        dt: f64,
        threads: Option<usize>,
    ) -> PyResult<bool> {
        let stretch = Stretch {
            steps,
            until_step,
            until,
            dt,
        };
        self.with(py, threads, |stepper, cancel| {
            stepper.advance(&stretch, cancel)
        })
    }

    /// Measure now: a dictionary of arrays and numbers.
    #[pyo3(signature = (threads=None))]
    fn observe<'py>(
        &self,
        py: Python<'py>,
        threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let seen = self.with(py, threads, |stepper, cancel| stepper.observe(cancel))?;
        to_dict(py, seen)
    }

    /// Answer a question of the engine's own list.
    #[pyo3(signature = (what, *, threads=None))]
    fn query<'py>(
        &self,
        py: Python<'py>,
        what: &str,
        threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let answer = self.with(py, threads, |stepper, cancel| stepper.query(what, cancel))?;
        to_dict(py, answer)
    }

    /// When the run is to be over: a dictionary of the engine's own rules.
    fn stop_when(&self, py: Python<'_>, rules: &Bound<'_, PyDict>) -> PyResult<()> {
        let rules = from_dict(rules)?;
        self.with(py, Some(1), |stepper, _| stepper.stop_when(&rules))
    }

    /// Why there is nothing left to do, or None.
    #[getter]
    fn finished(&self, py: Python<'_>) -> PyResult<Option<&'static str>> {
        self.with(py, Some(1), |stepper, _| Ok(stepper.finished()))
    }

    /// The whole state as a dictionary of arrays.
    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let state = self.with(py, None, |stepper, cancel| {
            stepper.settle(cancel)?;
            Ok(stepper.snapshot())
        })?;
        to_dict(py, state)
    }

    /// Go back to a state that `snapshot` gave.
    fn restore(&self, py: Python<'_>, state: &Bound<'_, PyDict>) -> PyResult<()> {
        let state = from_dict(state)?;
        self.with(py, None, |stepper, cancel| stepper.restore(&state, cancel))
    }

    /// Bytes the engine holds at most while it runs.
    #[pyo3(signature = (*, threads=None))]
    fn memory(&self, py: Python<'_>, threads: Option<usize>) -> PyResult<u64> {
        let pool = hmm_core::parallel::pool(threads).map_err(|error| to_python(py, error))?;
        let threads = pool.current_num_threads();
        self.with(py, Some(1), |stepper, _| Ok(stepper.memory(threads)))
    }
}

/// Add the class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Engine>()
}
