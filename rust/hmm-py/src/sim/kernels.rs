//! The tangent kernel of a finite network.

use crate::border::{call, run};
use crate::convert::dtype::{ByDtype, Dtype, either};
use crate::convert::name::Name;
use hmm_core::{Activation, Real};
use hmm_sim::network_kernel::{self, Part, ReluNetwork};
use numpy::{Element, PyReadonlyArray1, PyReadonlyArray2, PyReadwriteArray2};
use pyo3::prelude::*;

/// Register the functions of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(network_ntk, module)?)?;
    module.add_function(wrap_pyfunction!(network_ntk_bytes, module)?)
}

/// A network with rectified units, as its Python description holds it.
#[derive(FromPyObject)]
struct Network<'py, T: Element> {
    a: PyReadonlyArray1<'py, T>,
    w: PyReadonlyArray2<'py, T>,
    b: Option<PyReadonlyArray1<'py, T>>,
    activation: Name<Activation>,
}

/// `h Theta` of a finite network at points of its precision, written to `out`.
#[pyfunction]
#[pyo3(signature = (network, x, y, *, part, block, out, threads=None))]
fn network_ntk(
    py: Python<'_>,
    network: &Bound<'_, PyAny>,
    x: ByDtype<PyReadonlyArray2<'_, f32>, PyReadonlyArray2<'_, f64>>,
    y: Option<&Bound<'_, PyAny>>,
    part: Name<Part>,
    block: usize,
    out: &Bound<'_, PyAny>,
    threads: Option<usize>,
) -> PyResult<()> {
    either!(x, x => {
        fill(py, &network.extract()?, &x, y, part.0, block, out.extract()?, threads)
    })
}

fn fill<T: Element + Real>(
    py: Python<'_>,
    network: &Network<'_, T>,
    x: &PyReadonlyArray2<'_, T>,
    y: Option<&Bound<'_, PyAny>>,
    part: Part,
    block: usize,
    mut out: PyReadwriteArray2<'_, T>,
    threads: Option<usize>,
) -> PyResult<()> {
    let y: Option<PyReadonlyArray2<'_, T>> = y.map(PyAnyMethods::extract).transpose()?;
    let network = ReluNetwork {
        omega: network.w.as_array(),
        b: network.b.as_ref().map(|b| b.as_array()),
        beta: network.a.as_array(),
        unit: network.activation.0,
    };
    let (x, y) = (x.as_array(), y.as_ref().map(|y| y.as_array()));
    let out = out.as_array_mut();
    run(py, threads, |cancel| {
        network_kernel::network_ntk(&network, x, y, part, block, out, cancel)
    })
}

/// Bytes that the finite kernel's computation holds beside its output.
#[pyfunction]
#[pyo3(signature = (block, *, dtype, threads=None))]
fn network_ntk_bytes(
    py: Python<'_>,
    block: usize,
    dtype: Name<Dtype>,
    threads: Option<usize>,
) -> PyResult<u64> {
    call(py, || {
        let threads = hmm_core::parallel::pool(threads)?.current_num_threads();
        Ok(match dtype.0 {
            Dtype::F32 => network_kernel::scratch_bytes::<f32>(block, threads),
            Dtype::F64 => network_kernel::scratch_bytes::<f64>(block, threads),
        })
    })
}
