//! What every binding needs: errors mapped once, work run with the GIL released and signals polled.

use hmm_core::instructions::{self, InstructionSet};
use hmm_core::{Activation, Cancel, Error, Loss, Named, parallel};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyModule, PyType};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often Python's signal handlers get a chance while Rust works.
const SIGNAL_POLL: Duration = Duration::from_millis(50);

/// Signals that ended a call so far. Calls made from a user's function on a worker thread, where Python delivers no
/// signals, look here.
static INTERRUPTS: AtomicU64 = AtomicU64::new(0);

/// The exception class `hmm_rs.errors.<name>`.
fn exception_class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyType>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = MODULE
        .get_or_try_init(py, || {
            PyModule::import(py, "hmm_rs.errors").map(Bound::unbind)
        })?
        .bind(py);
    Ok(module.getattr(name)?.cast_into::<PyType>()?)
}

/// A Python exception of class `hmm_rs.errors.<name>` with `message`.
pub fn exception(py: Python<'_>, name: &str, message: String) -> PyErr {
    match exception_class(py, name) {
        Ok(class) => PyErr::from_type(class, message),
        Err(error) => error,
    }
}

/// The Python exception that says what `error` says.
pub fn to_python(py: Python<'_>, error: Error) -> PyErr {
    let name = match &error {
        Error::InvalidParameter { .. } => "InvalidParameterError",
        Error::Shape { .. } => "ShapeError",
        Error::Divergence(_) => "DivergenceError",
        Error::Convergence(_) => "ConvergenceError",
        Error::Resource(_) => "ResourceError",
        Error::Interrupted | Error::Callback(_) => "HmmError",
    };
    match error {
        // The exception the user's own function raised, unchanged.
        Error::Callback(inner) => match inner.downcast::<PyErr>() {
            Ok(raised) => *raised,
            Err(other) => exception(py, name, other.to_string()),
        },
        Error::Interrupted => pyo3::exceptions::PyKeyboardInterrupt::new_err(()),
        other => exception(py, name, other.to_string()),
    }
}

/// An internal fault as an ordinary exception: `PanicException` would escape `except Exception`.
fn internal_fault(py: Python<'_>, payload: &(dyn std::any::Any + Send)) -> PyErr {
    let what = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("unknown");
    exception(
        py,
        "HmmError",
        format!("internal fault of hmm_rs, please report it: {what}"),
    )
}

/// Run `work` on the package's own pool with the GIL released.
///
/// The calling thread waits and lets Python look at its signals every 50 ms; a pending Ctrl-C
/// raises the [`Cancel`] flag that `work` looks at between chunks.
pub fn run<R: Send>(
    py: Python<'_>,
    threads: Option<usize>,
    work: impl FnOnce(&Cancel) -> hmm_core::Result<R> + Send,
) -> PyResult<R> {
    let pool = parallel::pool(threads).map_err(|error| to_python(py, error))?;
    let cancel = Cancel::new();
    let slot = Mutex::new(None);
    let ready = Condvar::new();
    let mut signal = None;
    let nested = parallel::in_worker();
    let interrupts = INTERRUPTS.load(Ordering::Relaxed);
    py.detach(|| {
        pool.in_place_scope(|scope| {
            scope.spawn(|_| {
                let outcome = catch_unwind(AssertUnwindSafe(|| work(&cancel)));
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
                ready.notify_all();
            });
            let mut guard = slot.lock().unwrap_or_else(PoisonError::into_inner);
            while guard.is_none() {
                let (next, timeout) = ready
                    .wait_timeout(guard, SIGNAL_POLL)
                    .unwrap_or_else(PoisonError::into_inner);
                guard = next;
                if timeout.timed_out() && guard.is_none() && signal.is_none() {
                    // The worker needs the lock to finish, and may need the GIL: hold neither
                    // while the other is waited for.
                    drop(guard);
                    signal = Python::attach(|py| py.check_signals().err());
                    if signal.is_some() {
                        INTERRUPTS.fetch_add(1, Ordering::Relaxed);
                    }
                    let outside = nested && INTERRUPTS.load(Ordering::Relaxed) != interrupts;
                    if signal.is_some() || outside {
                        cancel.raise();
                    }
                    guard = slot.lock().unwrap_or_else(PoisonError::into_inner);
                }
            }
        });
    });
    let outcome = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
    match (outcome, signal) {
        (Some(Err(payload)), _) => Err(internal_fault(py, payload.as_ref())),
        (_, Some(raised)) => Err(raised),
        (Some(Ok(result)), None) => result.map_err(|error| to_python(py, error)),
        (None, None) => Err(exception(py, "HmmError", "work was lost".to_owned())),
    }
}

/// Run short `work` on the calling thread with the GIL released, errors and panics mapped as in [`run`].
pub fn call<R: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> hmm_core::Result<R> + Send,
) -> PyResult<R> {
    match py.detach(|| catch_unwind(AssertUnwindSafe(work))) {
        Ok(result) => result.map_err(|error| to_python(py, error)),
        Err(payload) => Err(internal_fault(py, payload.as_ref())),
    }
}

/// Thread count and instruction set, for Python's `set_num_threads` and `show_versions`.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(set_num_threads, module)?)?;
    module.add_function(wrap_pyfunction!(get_num_threads, module)?)?;
    module.add_function(wrap_pyfunction!(instruction_set, module)?)?;
    module.add_function(wrap_pyfunction!(choose_instruction_set, module)?)?;
    module.add_function(wrap_pyfunction!(available_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(option_names, module)?)?;
    // numpy's interface is looked up at first use; a signal in that moment would be a panic.
    let _ = numpy::PyArray1::<f64>::zeros(module.py(), 1, false);
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}

/// Set the default number of threads (0: all cores).
#[pyfunction]
fn set_num_threads(py: Python<'_>, threads: usize) -> PyResult<()> {
    call(py, || parallel::set_num_threads(threads))
}

/// The default number of threads.
#[pyfunction]
fn get_num_threads() -> usize {
    parallel::num_threads()
}

/// The instruction set the kernels run on here.
#[pyfunction]
fn instruction_set() -> String {
    hmm_core::special::instruction_set()
}

/// Run the kernels on the instruction set `name` from now on.
#[pyfunction]
fn choose_instruction_set(py: Python<'_>, name: &str) -> PyResult<()> {
    call(py, || {
        instructions::choose(Some(InstructionSet::named("instruction_set", name)?))
    })
}

/// Bytes of memory that can be had: free, within the process's and its control group's limits.
#[pyfunction]
fn available_bytes() -> u64 {
    hmm_core::memory::available_bytes()
}

/// The names of a list that both sides know, `which`: "activation" or "loss", aliases included.
#[pyfunction]
fn option_names(py: Python<'_>, which: &str) -> PyResult<Vec<&'static str>> {
    fn names<T: Named>() -> Vec<&'static str> {
        let all = T::NAMES.iter().chain(T::ALIASES);
        all.map(|(_, name)| *name).collect()
    }
    match which {
        "activation" => Ok(names::<Activation>()),
        "loss" => Ok(names::<Loss>()),
        other => Err(to_python(
            py,
            Error::invalid(
                "which",
                format!("'{other}'"),
                "unknown choice",
                "pass 'activation' or 'loss'",
            ),
        )),
    }
}
