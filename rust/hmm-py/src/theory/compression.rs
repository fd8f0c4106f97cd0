//! Geometric compression: its data and its theory.

use crate::border;
use hmm_theory::compression::{self as theory, AxisLabels, NeuronFlow};
use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;

/// Register the functions of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(learning_curve_exponents, module)?)?;
    module.add_function(wrap_pyfunction!(attractors, module)?)?;
    module.add_function(wrap_pyfunction!(characteristic_time, module)?)?;
    module.add_function(wrap_pyfunction!(population_field, module)?)?;
    module.add_function(wrap_pyfunction!(compression_all_active, module)?)?;
    module.add_function(wrap_pyfunction!(neuron_flow_rates, module)?)
}

/// Labels on the informative axis: `(xmin, xmax, inside_label)` of a stripe, or `(x0,)`.
#[derive(FromPyObject)]
enum Labels {
    Stripe(f64, f64, f64),
    SingleInterface((f64,)),
}

impl Labels {
    fn on_axis(&self) -> hmm_core::Result<AxisLabels> {
        match *self {
            Self::Stripe(xmin, xmax, inside) => AxisLabels::stripe(xmin, xmax, inside),
            Self::SingleInterface((x0,)) => AxisLabels::single_interface(x0),
        }
    }
}

/// `(lazy, feature)`.
#[pyfunction]
fn learning_curve_exponents(
    py: Python<'_>,
    d: usize,
    d_par: usize,
    xi: f64,
) -> PyResult<(f64, f64)> {
    border::attached(py, || {
        let exponents = theory::learning_curve_exponents(d, d_par, xi)?;
        Ok((exponents.lazy, exponents.feature))
    })
}

/// s, z, beta sign, growth, C_1, perpendicular factor, stable in the plane, stable, Lambda/sqrt p.
type AttractorRow = (f64, f64, f64, f64, f64, f64, bool, bool, f64);

/// Fixed points on the informative axis.
#[pyfunction]
fn attractors(py: Python<'_>, d: usize, labels: Labels) -> PyResult<Vec<AttractorRow>> {
    border::attached(py, || {
        let found = theory::attractors(d, &labels.on_axis()?)?;
        Ok(found
            .into_iter()
            .map(|a| {
                (
                    a.s,
                    a.z,
                    a.beta_sign,
                    a.growth,
                    a.c1,
                    a.perp_factor,
                    a.inplane_stable,
                    a.stable,
                    a.lambda_over_sqrtp,
                )
            })
            .collect())
    })
}

/// Time of the first fit for a growth rate.
#[pyfunction]
fn characteristic_time(py: Python<'_>, h: f64, alpha: f64, growth: f64) -> PyResult<f64> {
    border::attached(py, || theory::characteristic_time(h, alpha, growth))
}

/// `(E[y x 1], E[y 1], P_act)`.
#[pyfunction]
fn population_field<'py>(
    py: Python<'py>,
    omega: PyReadonlyArray1<'py, f64>,
    b: f64,
    labels: Labels,
) -> PyResult<(Bound<'py, PyArray1<f64>>, f64, f64)> {
    let omega = omega.as_slice()?;
    let field = border::attached(py, || {
        theory::population_field(omega, b, &labels.on_axis()?)
    })?;
    Ok((field.inputs.into_pyarray(py), field.bias, field.active))
}

/// Compression per `sqrt p` if every neuron saw every point.
#[pyfunction]
fn compression_all_active(py: Python<'_>, labels: Labels) -> PyResult<f64> {
    border::attached(py, || {
        Ok(theory::compression_all_active(&labels.on_axis()?))
    })
}

type RateArrays<'py> = (
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
);

/// Rates of `(omega, b, beta)` under the linear loss.
#[pyfunction]
fn neuron_flow_rates<'py>(
    py: Python<'py>,
    labels: Labels,
    width: f64,
    noise: PyReadonlyArray1<'py, f64>,
    omega: PyReadonlyArray2<'py, f64>,
    b: PyReadonlyArray1<'py, f64>,
    beta: PyReadonlyArray1<'py, f64>,
) -> PyResult<RateArrays<'py>> {
    let shape = [omega.shape()[0], omega.shape()[1]];
    let (omega, b, beta) = (omega.as_slice()?, b.as_slice()?, beta.as_slice()?);
    let noise = noise.as_slice()?.to_vec();
    let rates = border::run(py, None, |_| {
        NeuronFlow {
            labels: labels.on_axis()?,
            width,
            noise,
        }
        .rates(omega, b, beta)
    })?;
    Ok((
        rates.omega.into_pyarray(py).reshape(shape)?,
        rates.b.into_pyarray(py),
        rates.beta.into_pyarray(py),
    ))
}
