//! Networks of plain arrays: random weights, and outputs of those in the mean-field scaling.

use crate::border::run;
use crate::convert::array::{fresh, given};
use crate::convert::dtype::Dtype;
use crate::convert::name::Name;
use crate::convert::seed::SeedWords;
use hmm_core::{Activation, Real};
use hmm_sim::network::MeanField;
use hmm_sim::particles::initial::{Drawing, FEWER, NODES, Pairing};
use hmm_sim::weights;
use ndarray::{Ix1, Ix2};
use numpy::{Element, PyArray, PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use std::ops::Range;

/// `count` standard normals for initial weights, from unit `unit` of the weight stream of `seed`.
#[pyfunction]
fn weight_normals(
    py: Python<'_>,
    seed: SeedWords,
    unit: u32,
    count: usize,
) -> PyResult<Bound<'_, PyArray1<f64>>> {
    let mut drawn = fresh(py, Ix1(count), "random weights", "draw fewer")?;
    let values = drawn.as_slice_mut()?;
    run(py, None, |cancel| {
        weights::network_weights(&seed.0, unit, values, cancel)
    })?;
    Ok(given(drawn))
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
    let shape = Ix2(width, fan_in);
    let mut drawn = fresh(py, shape, "the weights of a layer", "pass smaller widths")?;
    let values = drawn.as_slice_mut()?;
    run(py, None, |cancel| {
        weights::layer_weights(&seed.0, layer, values, cancel)
    })?;
    Ok(given(drawn))
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
    match dtype.0 {
        Dtype::F32 => nodes::<f32>(py, &law.0, first..last),
        Dtype::F64 => nodes::<f64>(py, &law.0, first..last),
    }
}

fn nodes<'py, T: Element + Real>(
    py: Python<'py>,
    law: &Drawing,
    range: Range<usize>,
) -> PyResult<NodeArrays<'py>> {
    let count = range.len();
    let mut a = fresh::<T, _>(py, Ix1(count), NODES, FEWER)?;
    let mut w = fresh(py, Ix2(count, law.d), NODES, FEWER)?;
    let mut b = fresh(py, Ix1(count), NODES, FEWER)?;
    let arrays = (a.as_array_mut(), w.as_array_mut(), b.as_array_mut());
    run(py, None, |cancel| law.fill(range, arrays, cancel))?;
    Ok((
        given(a).into_any(),
        given(w).into_any(),
        given(b).into_any(),
    ))
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
