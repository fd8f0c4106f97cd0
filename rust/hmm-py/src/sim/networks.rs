//! Networks of plain arrays: random weights, and outputs of those in the mean-field scaling.

use crate::border::run;
use crate::convert::dtype::{Dtype, either, in_dtype};
use crate::convert::name::Name;
use crate::convert::seed::SeedWords;
use hmm_core::{Activation, Real};
use hmm_sim::network::MeanField;
use hmm_sim::particles::initial::{Drawing, Pairing};
use hmm_sim::weights;
use numpy::{Element, PyArray, PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

/// `count` standard normals for initial weights, from unit `unit` of the weight stream of `seed`.
#[pyfunction]
fn weight_normals(
    py: Python<'_>,
    seed: SeedWords,
    unit: u32,
    count: usize,
) -> PyResult<Bound<'_, PyArray1<f64>>> {
    let drawn = run(py, None, |cancel| {
        weights::network_weights(&seed.0, unit, count, cancel)
    })?;
    Ok(PyArray::from_owned_array(py, drawn))
}

/// Standard normals for layer `layer` of a random generator, shape (width, fan_in).
#[pyfunction]
fn layer_normals(
    py: Python<'_>,
    seed: SeedWords,
    layer: u32,
    width: usize,
    fan_in: usize,
) -> PyResult<Bound<'_, PyArray2<f64>>> {
    let drawn = run(py, None, |cancel| {
        weights::layer_weights(&seed.0, layer, (width, fan_in), cancel)
    })?;
    Ok(PyArray::from_owned_array(py, drawn))
}

/// Arrays a, w and b of a network's nodes.
type NodeArrays<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>);

/// Independent Gaussian nodes: none is drawn before it is asked for.
#[pyclass(frozen, module = "hmm_rs._lib")]
pub struct NodeLaw(pub Drawing);

#[pymethods]
impl NodeLaw {
    #[new]
    #[pyo3(signature = (seed, width, d, *, std_a, std_w, std_b, paired))]
    fn new(
        seed: SeedWords,
        width: usize,
        d: usize,
        std_a: f64,
        std_w: f64,
        std_b: f64,
        paired: Option<Name<Pairing>>,
    ) -> Self {
        Self(Drawing {
            seed: seed.0,
            width,
            d,
            scales: (std_a, std_w, std_b),
            pairing: paired.map(|name| name.0),
        })
    }
}

/// The nodes `first..last` of a law as `(a, w, b)`.
#[pyfunction]
fn random_nodes<'py>(
    py: Python<'py>,
    law: &NodeLaw,
    first: usize,
    last: usize,
    dtype: Name<Dtype>,
) -> PyResult<NodeArrays<'py>> {
    let law = law.0;
    let nodes = run(
        py,
        None,
        |cancel| in_dtype!(dtype.0, T => law.nodes::<T>(first..last, cancel)),
    )?;
    Ok(either!(nodes, nodes => (
        PyArray::from_owned_array(py, nodes.a).into_any(),
        PyArray::from_owned_array(py, nodes.w).into_any(),
        PyArray::from_owned_array(py, nodes.b).into_any(),
    )))
}

fn outputs<'py, T: Element + Real>(
    py: Python<'py>,
    x: &PyReadonlyArray2<'py, T>,
    (a, w, b): (
        PyReadonlyArray1<'py, T>,
        PyReadonlyArray2<'py, T>,
        Option<PyReadonlyArray1<'py, T>>,
    ),
    activation: Activation,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let network = MeanField {
        a: a.as_array(),
        w: w.as_array(),
        b: b.as_ref().map(|b| b.as_array()),
        activation,
    };
    let x = x.as_array();
    let values = run(py, threads, |cancel| network.outputs(x, cancel))?;
    Ok(PyArray::from_owned_array(py, values).into_any())
}

/// Output of a mean-field network for every row of `x`, all arrays of one precision.
#[pyfunction]
#[pyo3(signature = (x, a, w, b, *, activation, dtype, threads))]
fn mean_field_outputs<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    a: &Bound<'py, PyAny>,
    w: &Bound<'py, PyAny>,
    b: Option<Bound<'py, PyAny>>,
    activation: Name<Activation>,
    dtype: Name<Dtype>,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let b = b.as_ref();
    match dtype.0 {
        Dtype::F32 => {
            let nodes = (
                a.extract()?,
                w.extract()?,
                b.map(PyAnyMethods::extract).transpose()?,
            );
            outputs::<f32>(py, &x.extract()?, nodes, activation.0, threads)
        }
        Dtype::F64 => {
            let nodes = (
                a.extract()?,
                w.extract()?,
                b.map(PyAnyMethods::extract).transpose()?,
            );
            outputs::<f64>(py, &x.extract()?, nodes, activation.0, threads)
        }
    }
}

/// Add this subject's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(weight_normals, module)?)?;
    module.add_function(wrap_pyfunction!(layer_normals, module)?)?;
    module.add_class::<NodeLaw>()?;
    module.add_function(wrap_pyfunction!(random_nodes, module)?)?;
    module.add_function(wrap_pyfunction!(mean_field_outputs, module)?)
}
