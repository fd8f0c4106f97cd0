//! The theory of geometric compression.

use crate::border::{call, run};
use crate::convert::columns::to_dict;
use hmm_core::Table;
use hmm_theory::compression::{self as theory, Attractor, AxisLabels, NeuronFlow};
use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Register the functions of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(learning_curve_exponents, module)?)?;
    module.add_function(wrap_pyfunction!(attractors, module)?)?;
    module.add_function(wrap_pyfunction!(characteristic_time, module)?)?;
    module.add_function(wrap_pyfunction!(population_field, module)?)?;
    module.add_function(wrap_pyfunction!(compression_all_active, module)?)?;
    module.add_function(wrap_pyfunction!(neuron_flow_rates, module)?)
}

/// Labels on the informative axis: a stripe, or a single interface at `x0`.
#[derive(FromPyObject)]
struct Labels {
    xmin: f64,
    xmax: f64,
    inside_label: f64,
    x0: Option<f64>,
}

impl Labels {
    fn on_axis(&self) -> hmm_core::Result<AxisLabels> {
        match self.x0 {
            Some(x0) => AxisLabels::single_interface(x0),
            None => AxisLabels::stripe(self.xmin, self.xmax, self.inside_label),
        }
    }
}

/// `lazy` and `feature`.
#[pyfunction]
fn learning_curve_exponents(
    py: Python<'_>,
    d: usize,
    d_par: usize,
    xi: f64,
) -> PyResult<Bound<'_, PyDict>> {
    let found = call(py, || theory::learning_curve_exponents(d, d_par, xi))?;
    let table = Table::new()
        .with("lazy", found.lazy)
        .with("feature", found.feature);
    to_dict(py, table)
}

/// Fixed points on the informative axis, a column for each property.
#[pyfunction]
fn attractors(py: Python<'_>, d: usize, labels: Labels) -> PyResult<Bound<'_, PyDict>> {
    let found = call(py, || theory::attractors(d, &labels.on_axis()?))?;
    let numbers = |of: fn(&Attractor) -> f64| found.iter().map(of).collect::<Vec<_>>();
    let flags = |of: fn(&Attractor) -> bool| found.iter().map(of).collect::<Vec<_>>();
    let table = Table::new()
        .with("s", numbers(|a| a.s))
        .with("z", numbers(|a| a.z))
        .with("beta_sign", numbers(|a| a.beta_sign))
        .with("growth", numbers(|a| a.growth))
        .with("lambda_over_sqrtp", numbers(|a| a.lambda_over_sqrtp))
        .with("stable", flags(|a| a.stable))
        .with("inplane_stable", flags(|a| a.inplane_stable))
        .with("perp_factor", numbers(|a| a.perp_factor))
        .with("C1", numbers(|a| a.c1));
    to_dict(py, table)
}

/// Time of the first fit for a growth rate.
#[pyfunction]
fn characteristic_time(py: Python<'_>, h: f64, alpha: f64, growth: f64) -> PyResult<f64> {
    call(py, || theory::characteristic_time(h, alpha, growth))
}

/// `inputs` (d,) = E[y x 1], `bias` = E[y 1], `active` = P_act.
#[pyfunction]
fn population_field<'py>(
    py: Python<'py>,
    omega: PyReadonlyArray1<'_, f64>,
    b: f64,
    labels: Labels,
) -> PyResult<Bound<'py, PyDict>> {
    let omega = omega.as_array();
    let field = call(py, || {
        theory::population_field(omega, b, &labels.on_axis()?)
    })?;
    let table = Table::new()
        .with("inputs", field.inputs)
        .with("bias", field.bias)
        .with("active", field.active);
    to_dict(py, table)
}

/// Compression per `sqrt p` if every neuron saw every point.
#[pyfunction]
fn compression_all_active(py: Python<'_>, labels: Labels) -> PyResult<f64> {
    call(py, || {
        Ok(theory::compression_all_active(&labels.on_axis()?))
    })
}

/// Rates of `w`, `b` and `a` under the linear loss.
#[pyfunction]
fn neuron_flow_rates<'py>(
    py: Python<'py>,
    labels: Labels,
    width: f64,
    noise: PyReadonlyArray1<'_, f64>,
    w: PyReadonlyArray2<'_, f64>,
    b: PyReadonlyArray1<'_, f64>,
    a: PyReadonlyArray1<'_, f64>,
) -> PyResult<Bound<'py, PyDict>> {
    let (noise, w, b, a) = (noise.as_array(), w.as_array(), b.as_array(), a.as_array());
    let rates = run(py, None, |cancel| {
        let flow = NeuronFlow {
            labels: labels.on_axis()?,
            width,
            noise: noise.to_owned(),
        };
        flow.rates(w, b, a, cancel)
    })?;
    let table = Table::new()
        .with("w", rates.omega)
        .with("b", rates.b)
        .with("a", rates.beta);
    to_dict(py, table)
}
