//! Gradient flow: the engine behind `hmm_rs.GradientFlow`, `hmm_rs.KernelFlow` and `hmm_rs.cnn.CNNFlow`.

use super::engine::Engine;
use crate::border::run;
use crate::convert::dtype::{Dtype, either, in_dtype};
use crate::convert::name::Name;
use hmm_core::{Activation, Cancel, Entry, Error, Loss};
use hmm_sim::gradient_flow::{
    Controller, Flow, FrozenKernel, Fused, Inputs, Limits, Method, Model, ReluLayer, ReluWeights,
    Rule,
};
use hmm_sim::loss::MarginLoss;
use ndarray::{ArrayView1, ArrayView2};
use numpy::{PyArray1, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use std::convert::Infallible;

/// Add this subject's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(network_flow, module)?)?;
    module.add_function(wrap_pyfunction!(kernel_flow, module)?)?;
    module.add_function(wrap_pyfunction!(function_flow, module)?)
}

/// What is descended, and how: the attributes of Python's settings.
#[derive(FromPyObject)]
struct Settings {
    loss: Name<Loss>,
    margin: f64,
    sharpness: f64,
    alpha: f64,
    method: Name<Controller>,
    max_dgrad: f64,
    rtol: f64,
    atol: f64,
    max_dout: f64,
    max_dw: f64,
    subtract_initial: bool,
}

impl Settings {
    fn rule(&self) -> hmm_core::Result<Rule> {
        let method = match self.method.0 {
            Controller::Chatter => Method::Chatter,
            Controller::Published => Method::Published {
                max_dgrad: self.max_dgrad,
            },
            Controller::RungeKutta => Method::RungeKutta {
                rtol: self.rtol,
                atol: self.atol,
            },
        };
        Ok(Rule {
            loss: MarginLoss::new(self.loss.0, self.margin, self.sharpness)?,
            alpha: self.alpha,
            method,
            limits: Limits {
                max_dout: self.max_dout,
                max_dw: self.max_dw,
            },
            subtract_initial: self.subtract_initial,
        })
    }
}

/// Weights in double precision, as the driver hands them over.
#[derive(FromPyObject)]
struct Network<'py> {
    w: PyReadonlyArray2<'py, f64>,
    b: PyReadonlyArray1<'py, f64>,
    a: PyReadonlyArray1<'py, f64>,
    activation: Name<Activation>,
}

/// The flow of a network with rectified units, its parameters in precision `dtype`.
#[pyfunction]
#[pyo3(signature = (settings, *, network, x, y, x_test, dtype, threads=None))]
fn network_flow(
    py: Python<'_>,
    settings: Settings,
    network: Network<'_>,
    x: PyReadonlyArray2<'_, f64>,
    y: PyReadonlyArray1<'_, f64>,
    x_test: Option<PyReadonlyArray2<'_, f64>>,
    dtype: Name<Dtype>,
    threads: Option<usize>,
) -> PyResult<Engine> {
    let weights = ReluWeights {
        w: network.w.as_array(),
        b: network.b.as_array(),
        a: network.a.as_array(),
        unit: network.activation.0,
    };
    let (x, y) = (x.as_array(), y.as_array());
    let x_test = x_test.as_ref().map(|x| x.as_array());
    run(py, threads, |cancel| {
        let rule = settings.rule()?;
        let flow = in_dtype!(dtype.0, T => flow_of::<T>(&weights, x, y, x_test, rule, cancel))?;
        Ok(either!(flow, flow => Engine::new(flow)))
    })
}

fn flow_of<T: Fused + Entry>(
    weights: &ReluWeights<'_>,
    x: ArrayView2<'_, f64>,
    y: ArrayView1<'_, f64>,
    x_test: Option<ArrayView2<'_, f64>>,
    rule: Rule,
    cancel: &Cancel,
) -> hmm_core::Result<Flow<ReluLayer<T>>> {
    let layer = ReluLayer::new(Inputs::new(x)?, weights)?;
    let flow = Flow::new(layer, weights.parameters(), y, rule, cancel)?;
    match x_test {
        Some(x) => flow.with_test(Inputs::new(x)?, cancel),
        None => Ok(flow),
    }
}

/// The flow in a frozen kernel, from a = 0.
#[pyfunction]
#[pyo3(signature = (settings, *, gram, y, test, threads=None))]
fn kernel_flow(
    py: Python<'_>,
    settings: Settings,
    gram: PyReadonlyArray2<'_, f64>,
    y: PyReadonlyArray1<'_, f64>,
    test: Option<PyReadonlyArray2<'_, f64>>,
    threads: Option<usize>,
) -> PyResult<Engine> {
    let (gram, y) = (gram.as_array(), y.as_array());
    let test = test.as_ref().map(|k| k.as_array());
    run(py, threads, |cancel| {
        let model = FrozenKernel::new(gram)?;
        let points = test.map(|k| model.points(k)).transpose()?;
        let start = vec![0.0; y.len()];
        let flow = Flow::new(model, start, y, settings.rule()?, cancel)?;
        Ok(Engine::new(match points {
            Some(points) => flow.with_test(points, cancel)?,
            None => flow,
        }))
    })
}

/// The flow of a predictor given by Python functions `outputs(theta)` and `gradient(theta, slopes)`.
#[pyfunction]
#[pyo3(signature = (settings, *, outputs, gradient, theta, y, threads=None))]
fn function_flow(
    py: Python<'_>,
    settings: Settings,
    outputs: Py<PyAny>,
    gradient: Py<PyAny>,
    theta: PyReadonlyArray1<'_, f64>,
    y: PyReadonlyArray1<'_, f64>,
    threads: Option<usize>,
) -> PyResult<Engine> {
    let (theta, y) = (theta.as_array(), y.as_array());
    let model = Functions {
        outputs,
        gradient,
        examples: y.len(),
        parameters: theta.len(),
    };
    run(py, threads, |cancel| {
        Flow::new(model, theta.to_vec(), y, settings.rule()?, cancel).map(Engine::new)
    })
}

/// A predictor by two Python functions of its parameters.
struct Functions {
    /// `theta -> f (p,)`.
    outputs: Py<PyAny>,
    /// `(theta, slopes (p,)) -> sum slopes grad f (parameters,)`.
    gradient: Py<PyAny>,
    examples: usize,
    parameters: usize,
}

impl Functions {
    /// Copy what `function` returns into `values`.
    fn fill<'py>(
        function: &Bound<'py, PyAny>,
        arguments: impl pyo3::call::PyCallArgs<'py>,
        values: &mut [f64],
    ) -> PyResult<()> {
        let result = function.call1(arguments)?;
        let result: PyReadonlyArray1<'_, f64> = result.extract()?;
        let result = result.as_array();
        if result.len() != values.len() {
            return Err(pyo3::exceptions::PyValueError::new_err(format!(
                "a predictor returned {} numbers where {} are needed",
                result.len(),
                values.len()
            )));
        }
        for (value, result) in values.iter_mut().zip(result) {
            *value = *result;
        }
        Ok(())
    }
}

impl Model for Functions {
    type Scalar = f64;
    // Python tests its predictor itself.
    type Points = Infallible;

    fn examples(&self) -> usize {
        self.examples
    }

    fn parameters(&self) -> usize {
        self.parameters
    }

    fn limits_relative_change(&self) -> bool {
        true
    }

    fn outputs(&self, theta: &[f64], outputs: &mut [f64], _: &Cancel) -> hmm_core::Result<()> {
        Python::attach(|py| {
            let arguments = (PyArray1::from_slice(py, theta),);
            Self::fill(self.outputs.bind(py), arguments, outputs)
        })
        .map_err(|error| Error::Callback(Box::new(error)))
    }

    fn gradient(
        &self,
        theta: &[f64],
        slopes: &[f64],
        gradient: &mut [f64],
        _: &Cancel,
    ) -> hmm_core::Result<()> {
        Python::attach(|py| {
            let arguments = (
                PyArray1::from_slice(py, theta),
                PyArray1::from_slice(py, slopes),
            );
            Self::fill(self.gradient.bind(py), arguments, gradient)
        })
        .map_err(|error| Error::Callback(Box::new(error)))
    }

    fn outputs_at(&self, points: &Infallible, _: &[f64], _: &Cancel) -> hmm_core::Result<Vec<f64>> {
        match *points {}
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn bytes_of_points(points: &Infallible) -> u64 {
        match *points {}
    }
}
