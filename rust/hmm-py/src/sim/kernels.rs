//! Kernels: closed forms, and the tangent kernel of a finite network.

use crate::border;
use hmm_sim::network_kernel::{self, Part, ReluNetwork};
use hmm_theory::kernels::{self, Bias, Points};
use numpy::{
    Element, IntoPyArray, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyReadwriteArray2, PyUntypedArrayMethods,
};
use pyo3::prelude::*;

/// Register the functions of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(ntk, module)?)?;
    module.add_function(wrap_pyfunction!(laplace, module)?)?;
    module.add_function(wrap_pyfunction!(network_ntk_f32, module)?)?;
    module.add_function(wrap_pyfunction!(network_ntk_f64, module)?)?;
    module.add_function(wrap_pyfunction!(network_ntk_bytes, module)?)
}

/// Evaluate a kernel of points `x` against `y` (or themselves) into a new array.
fn closed_form<'py>(
    py: Python<'py>,
    x: &PyReadonlyArray2<'py, f64>,
    y: Option<&PyReadonlyArray2<'py, f64>>,
    threads: Option<usize>,
    kernel: impl FnOnce(Points<'_>, Option<Points<'_>>, &hmm_core::Cancel) -> hmm_core::Result<Vec<f64>>
    + Send,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let shape = [x.shape()[0], y.unwrap_or(x).shape()[0]];
    let (dx, dy) = (x.shape()[1], y.map_or(0, |y| y.shape()[1]));
    let xs = x.as_slice()?;
    let ys = y.map(|y| y.as_slice()).transpose()?;
    let values = border::run(py, threads, |cancel| {
        let points = Points::new("X", xs, dx)?;
        let others = ys.map(|ys| Points::new("Y", ys, dy)).transpose()?;
        kernel(points, others, cancel)
    })?;
    values.into_pyarray(py).reshape(shape)
}

/// Infinite-width tangent kernel `h Theta`; `bias` is "normal", "zero" or "none".
#[pyfunction]
fn ntk<'py>(
    py: Python<'py>,
    x: PyReadonlyArray2<'py, f64>,
    y: Option<PyReadonlyArray2<'py, f64>>,
    bias: &str,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let bias = match bias {
        "normal" => Bias::Normal,
        "zero" => Bias::Zero,
        _ => Bias::None,
    };
    closed_form(py, &x, y.as_ref(), threads, |x, y, cancel| {
        kernels::ntk(x, y, bias, cancel)
    })
}

/// Laplace kernel `exp(-|x - y|/scale)`.
#[pyfunction]
fn laplace<'py>(
    py: Python<'py>,
    x: PyReadonlyArray2<'py, f64>,
    y: Option<PyReadonlyArray2<'py, f64>>,
    scale: f64,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    closed_form(py, &x, y.as_ref(), threads, |x, y, cancel| {
        kernels::laplace(x, y, scale, cancel)
    })
}

/// `h Theta` of a finite network, written to `out`.
fn network_ntk<T: hmm_core::Real + Element>(
    py: Python<'_>,
    weights: (
        PyReadonlyArray1<'_, T>,
        PyReadonlyArray2<'_, T>,
        Option<PyReadonlyArray1<'_, T>>,
    ),
    slope: f64,
    x: PyReadonlyArray2<'_, T>,
    y: Option<PyReadonlyArray2<'_, T>>,
    last_layer: bool,
    block: usize,
    mut out: PyReadwriteArray2<'_, T>,
    threads: Option<usize>,
) -> PyResult<()> {
    let (beta, omega, b) = weights;
    let b = b.as_ref().map(|b| b.as_slice()).transpose()?;
    let network = ReluNetwork {
        omega: omega.as_slice()?,
        b,
        beta: beta.as_slice()?,
        d: omega.shape()[1],
        slope,
    };
    let x = x.as_slice()?;
    let y = y.as_ref().map(|y| y.as_slice()).transpose()?;
    let out = out.as_slice_mut()?;
    let part = if last_layer {
        Part::LastLayer
    } else {
        Part::Full
    };
    border::run(py, threads, |cancel| {
        network_kernel::network_ntk(&network, x, y, part, block, out, cancel)
    })
}

macro_rules! network_ntk_binding {
    ($name:ident, $real:ty) => {
        /// `h Theta` of a finite network, written to `out`.
        #[pyfunction]
        fn $name(
            py: Python<'_>,
            weights: (
                PyReadonlyArray1<'_, $real>,
                PyReadonlyArray2<'_, $real>,
                Option<PyReadonlyArray1<'_, $real>>,
            ),
            slope: f64,
            x: PyReadonlyArray2<'_, $real>,
            y: Option<PyReadonlyArray2<'_, $real>>,
            last_layer: bool,
            block: usize,
            out: PyReadwriteArray2<'_, $real>,
            threads: Option<usize>,
        ) -> PyResult<()> {
            network_ntk(py, weights, slope, x, y, last_layer, block, out, threads)
        }
    };
}

network_ntk_binding!(network_ntk_f32, f32);
network_ntk_binding!(network_ntk_f64, f64);

/// Bytes that the finite kernel's computation holds beside its output.
#[pyfunction]
fn network_ntk_bytes(block: usize, single: bool, threads: Option<usize>) -> usize {
    let threads = threads.unwrap_or_else(hmm_core::parallel::num_threads);
    if single {
        network_kernel::scratch_bytes::<f32>(block, threads)
    } else {
        network_kernel::scratch_bytes::<f64>(block, threads)
    }
}
