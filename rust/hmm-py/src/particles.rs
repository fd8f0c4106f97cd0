//! Mean-field networks and the particle engine.

use crate::border;
use hmm_sim::particles::initial::{Nodes, random_nodes};
use numpy::{Element, IntoPyArray, PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;

/// Register the functions of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(random_nodes_f32, module)?)?;
    module.add_function(wrap_pyfunction!(random_nodes_f64, module)?)
}

type NodeArrays<'py, T> = (
    Bound<'py, PyArray1<T>>,
    Bound<'py, PyArray2<T>>,
    Bound<'py, PyArray1<T>>,
);

/// `(a, w, b)` as arrays without a copy.
fn node_arrays<T: Element>(
    py: Python<'_>,
    nodes: Nodes<T>,
    width: usize,
    d: usize,
) -> PyResult<NodeArrays<'_, T>> {
    Ok((
        nodes.a.into_pyarray(py),
        nodes.w.into_pyarray(py).reshape([width, d])?,
        nodes.b.into_pyarray(py),
    ))
}

macro_rules! random_nodes_binding {
    ($name:ident, $real:ty) => {
        /// Independent Gaussian nodes `(a, w, b)`.
        #[pyfunction]
        fn $name(
            py: Python<'_>,
            seed: [u32; 8],
            width: usize,
            d: usize,
            std_a: f64,
            std_w: f64,
            std_b: f64,
        ) -> PyResult<NodeArrays<'_, $real>> {
            let nodes = border::run(py, None, |_| {
                random_nodes::<$real>(&seed, width, d, (std_a, std_w, std_b))
            })?;
            node_arrays(py, nodes, width, d)
        }
    };
}

random_nodes_binding!(random_nodes_f32, f32);
random_nodes_binding!(random_nodes_f64, f64);
