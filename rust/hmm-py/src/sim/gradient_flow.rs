//! Gradient flow: the stepper behind `hmm_rs.GradientFlow` and `hmm_rs.KernelFlow`.

use crate::border::run;
use hmm_core::{Cancel, Error, Real};
use hmm_sim::gradient_flow::{
    EVENTS, Event, Flow, FrozenKernel, Inputs, Limits, Loss, Method, Model, ReluLayer, Snapshot,
    StopRules, decisions,
};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Add this subject's classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyGradientFlow>()
}

/// A flow in one precision, in a frozen kernel, or of a predictor that Python evaluates.
enum Stepper {
    Single(Flow<ReluLayer<f32>>),
    Double(Flow<ReluLayer<f64>>),
    Kernel(Flow<FrozenKernel>),
    Functions(Flow<Functions>),
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
        py: Python<'py>,
        function: &Py<PyAny>,
        arguments: impl pyo3::call::PyCallArgs<'py>,
        values: &mut [f64],
    ) -> PyResult<()> {
        let result = function.bind(py).call1(arguments)?;
        let result: PyReadonlyArray1<'_, f64> = result.extract()?;
        let result = result.as_slice()?;
        if result.len() != values.len() {
            return Err(pyo3::exceptions::PyValueError::new_err(format!(
                "a predictor returned {} numbers where {} are needed",
                result.len(),
                values.len()
            )));
        }
        values.copy_from_slice(result);
        Ok(())
    }
}

impl Model for Functions {
    type Scalar = f64;

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
            Self::fill(
                py,
                &self.outputs,
                (PyArray1::from_slice(py, theta),),
                outputs,
            )
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
            Self::fill(py, &self.gradient, arguments, gradient)
        })
        .map_err(|error| Error::Callback(Box::new(error)))
    }
}

/// Call the same method of any flow.
macro_rules! any {
    ($stepper:expr, $flow:ident => $body:expr) => {
        match $stepper {
            Stepper::Single($flow) => $body,
            Stepper::Double($flow) => $body,
            Stepper::Kernel($flow) => $body,
            Stepper::Functions($flow) => $body,
        }
    };
}

/// Test points: inputs for a network with their `f_0`, or rows of a kernel.
enum TestSet {
    Single(Inputs<f32>, Vec<f64>),
    Double(Inputs<f64>, Vec<f64>),
    Kernel(Vec<f64>),
}

/// Loss name, margin, sharpness; controller or integrator with its tolerances; limits of a step.
#[derive(FromPyObject)]
struct Settings {
    loss: String,
    margin: f64,
    sharpness: f64,
    alpha: f64,
    method: String,
    max_dgrad: f64,
    rtol: f64,
    atol: f64,
    max_dout: f64,
    max_dw: f64,
    subtract_initial: bool,
}

impl Settings {
    fn loss(&self) -> Loss {
        let (margin, sharpness) = (self.margin, self.sharpness);
        match self.loss.as_str() {
            "softhinge" => Loss::SoftHinge { margin, sharpness },
            "qhinge" => Loss::QuadraticHinge { margin },
            "linear" => Loss::Linear { margin },
            _ => Loss::Hinge { margin },
        }
    }

    fn stepping(&self) -> (Method, Limits) {
        let method = match self.method.as_str() {
            "rk" => Method::RungeKutta {
                rtol: self.rtol,
                atol: self.atol,
            },
            "published" => Method::Published {
                max_dgrad: self.max_dgrad,
            },
            _ => Method::Chatter,
        };
        let limits = Limits {
            max_dout: self.max_dout,
            max_dw: self.max_dw,
        };
        (method, limits)
    }

    fn flow<M: Model>(
        &self,
        model: M,
        theta: &[f64],
        y: &[f64],
        cancel: &Cancel,
    ) -> hmm_core::Result<Flow<M>> {
        Flow::new(
            model,
            narrow(theta),
            y.to_vec(),
            self.loss(),
            self.alpha,
            self.stepping(),
            self.subtract_initial,
            cancel,
        )
    }
}

fn narrow<T: Real>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&x| T::from_f64(x)).collect()
}

fn widen<T: Real>(values: &[T]) -> Vec<f64> {
    values.iter().map(|x| x.to_f64()).collect()
}

/// A network's flow and its test set: inputs and `f_0`.
type NetworkFlow<T> = (Flow<ReluLayer<T>>, Option<(Inputs<T>, Vec<f64>)>);

/// A network's flow and its test set, in precision `T`.
fn network_flow<T: hmm_sim::gradient_flow::Fused>(
    settings: &Settings,
    theta: &[f64],
    (width, slope): (usize, f64),
    (x, d): (&[f64], usize),
    y: &[f64],
    x_test: Option<&[f64]>,
    cancel: &Cancel,
) -> hmm_core::Result<NetworkFlow<T>> {
    let layer = ReluLayer::new(Inputs::new(&narrow::<T>(x), d)?, width, slope);
    let flow = settings.flow(layer, theta, y, cancel)?;
    let test = x_test
        .map(|x| {
            let inputs = Inputs::new(&narrow::<T>(x), d)?;
            let mut initial = vec![0.0; inputs.count()];
            if settings.subtract_initial {
                let theta = &flow.snapshot().theta;
                flow.model()
                    .outputs_of(&inputs, theta, &mut initial, cancel)?;
            }
            Ok((inputs, initial))
        })
        .transpose()?;
    Ok((flow, test))
}

/// State of a run; all numbers cross the border in double precision, exactly.
#[pyclass(name = "GradientFlow", module = "hmm_rs._lib")]
pub struct PyGradientFlow {
    stepper: Stepper,
    test: Option<TestSet>,
    alpha: f64,
}

#[pymethods]
impl PyGradientFlow {
    /// The flow of a network: `theta` holds rows `(w_n, b_n)`, then `a`.
    #[staticmethod]
    #[pyo3(signature = (settings, *, theta, width, slope, x, y, x_test, single, threads))]
    fn network(
        py: Python<'_>,
        settings: Settings,
        theta: PyReadonlyArray1<'_, f64>,
        width: usize,
        slope: f64,
        x: PyReadonlyArray2<'_, f64>,
        y: PyReadonlyArray1<'_, f64>,
        x_test: Option<PyReadonlyArray2<'_, f64>>,
        single: bool,
        threads: Option<usize>,
    ) -> PyResult<Self> {
        let d = x.shape()[1];
        let (theta, x, y) = (theta.as_slice()?, x.as_slice()?, y.as_slice()?);
        let x_test = x_test.as_ref().map(|x| x.as_slice()).transpose()?;
        let layer = (width, slope);
        run(py, threads, |cancel| {
            let (stepper, test) = if single {
                let (flow, test) =
                    network_flow(&settings, theta, layer, (x, d), y, x_test, cancel)?;
                let test = test.map(|(x, initial)| TestSet::Single(x, initial));
                (Stepper::Single(flow), test)
            } else {
                let (flow, test) =
                    network_flow(&settings, theta, layer, (x, d), y, x_test, cancel)?;
                let test = test.map(|(x, initial)| TestSet::Double(x, initial));
                (Stepper::Double(flow), test)
            };
            Ok(Self {
                stepper,
                test,
                alpha: settings.alpha,
            })
        })
    }

    /// The flow in a frozen kernel.
    #[staticmethod]
    #[pyo3(signature = (settings, *, gram, y, test, threads))]
    fn kernel(
        py: Python<'_>,
        settings: Settings,
        gram: PyReadonlyArray2<'_, f64>,
        y: PyReadonlyArray1<'_, f64>,
        test: Option<PyReadonlyArray2<'_, f64>>,
        threads: Option<usize>,
    ) -> PyResult<Self> {
        let (gram, y) = (gram.as_slice()?, y.as_slice()?);
        let test = test.as_ref().map(|k| k.as_slice()).transpose()?;
        run(py, threads, |cancel| {
            let model = FrozenKernel::new(gram.to_vec(), y.len())?;
            let start = vec![0.0; y.len()];
            let flow = settings.flow(model, &start, y, cancel)?;
            Ok(Self {
                stepper: Stepper::Kernel(flow),
                test: test.map(|k| TestSet::Kernel(k.to_vec())),
                alpha: settings.alpha,
            })
        })
    }

    /// The flow of a predictor given by Python functions `outputs(theta)` and
    /// `gradient(theta, slopes)`.
    #[staticmethod]
    #[pyo3(signature = (settings, *, outputs, gradient, theta, y))]
    fn functions(
        py: Python<'_>,
        settings: Settings,
        outputs: Py<PyAny>,
        gradient: Py<PyAny>,
        theta: PyReadonlyArray1<'_, f64>,
        y: PyReadonlyArray1<'_, f64>,
    ) -> PyResult<Self> {
        let (theta, y) = (theta.as_slice()?, y.as_slice()?);
        let model = Functions {
            outputs,
            gradient,
            examples: y.len(),
            parameters: theta.len(),
        };
        run(py, None, |cancel| {
            Ok(Self {
                stepper: Stepper::Functions(settings.flow(model, theta, y, cancel)?),
                test: None,
                alpha: settings.alpha,
            })
        })
    }

    /// Up to `trials` trial steps; returns whether `t` or `step` is reached.
    fn advance(
        &mut self,
        py: Python<'_>,
        trials: u64,
        t: f64,
        step: u64,
        threads: Option<usize>,
    ) -> PyResult<bool> {
        let stepper = &mut self.stepper;
        run(
            py,
            threads,
            |cancel| any!(stepper, flow => flow.advance(trials, t, step, cancel)),
        )
    }

    /// When the run is over: smallest margin, satisfied fraction, number of steps.
    fn set_rules(&mut self, margin: Option<f64>, fraction: Option<f64>, steps: Option<u64>) {
        let rules = StopRules {
            margin,
            fraction,
            steps,
        };
        any!(&mut self.stepper, flow => flow.set_rules(rules));
    }

    /// Why the run is over, or None.
    #[getter]
    fn stopped(&self) -> Option<&'static str> {
        any!(&self.stepper, flow => flow.stopped())
    }

    /// Code time.
    #[getter]
    fn t(&self) -> f64 {
        any!(&self.stepper, flow => flow.snapshot().t)
    }

    /// Steps taken.
    #[getter]
    fn step(&self) -> u64 {
        any!(&self.stepper, flow => flow.snapshot().step)
    }

    /// Trial steps made, accepted or not.
    #[getter]
    fn trials(&self) -> u64 {
        any!(&self.stepper, flow => flow.snapshot().trials)
    }

    /// Measure on the training set.
    fn observe<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let seen = any!(&self.stepper, flow => flow.observe());
        let result = PyDict::new(py);
        result.set_item("step", seen.step)?;
        result.set_item("loss", seen.loss)?;
        result.set_item("train_error", seen.train_error)?;
        result.set_item("unsatisfied", seen.unsatisfied)?;
        result.set_item("smallest_margin", seen.smallest_margin)?;
        result.set_item("gradient_norm", seen.gradient_norm)?;
        result.set_item("dt", seen.dt)?;
        Ok(result)
    }

    /// `y F` of the training examples.
    fn margins<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        let margins: Vec<f64> = any!(&self.stepper, flow => flow.margins().collect());
        margins.into_pyarray(py)
    }

    /// `F` of the test points, or None without a test set.
    fn test_predictions<'py>(
        &self,
        py: Python<'py>,
        threads: Option<usize>,
    ) -> PyResult<Option<Bound<'py, PyArray1<f64>>>> {
        let predictions = run(py, threads, |cancel| self.predict(cancel))?;
        Ok(predictions.map(|f| f.into_pyarray(py)))
    }

    /// Parameters.
    fn theta<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        any!(&self.stepper, flow => widen(&flow.snapshot().theta)).into_pyarray(py)
    }

    /// Gradient in code time.
    fn gradient<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        any!(&self.stepper, flow => widen(flow.gradient())).into_pyarray(py)
    }

    /// Outputs and gradient afresh: what a step costs.
    fn evaluate(&mut self, py: Python<'_>, threads: Option<usize>) -> PyResult<()> {
        let stepper = &mut self.stepper;
        run(
            py,
            threads,
            |cancel| any!(stepper, flow => flow.evaluate(cancel)),
        )
    }

    /// Remembered moments: name -> (step, t, parameters).
    fn events<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let result = PyDict::new(py);
        any!(&self.stepper, flow => {
            for (name, event) in EVENTS.iter().zip(&flow.snapshot().events) {
                if let Some(event) = event {
                    let theta = widen(&event.theta).into_pyarray(py);
                    result.set_item(*name, (event.step, event.t, theta))?;
                }
            }
        });
        Ok(result)
    }

    /// `(t, dt, step, trials, trials and time at the last look for a freeze)`.
    fn clock(&self) -> (f64, f64, u64, u64, u64, f64) {
        any!(&self.stepper, flow => {
            let state = flow.snapshot();
            (state.t, state.dt, state.step, state.trials, state.window.0, state.window.1)
        })
    }

    /// Continue from a state: parameters, [`Self::clock`] and [`Self::events`].
    fn restore(
        &mut self,
        py: Python<'_>,
        theta: PyReadonlyArray1<'_, f64>,
        clock: (f64, f64, u64, u64, u64, f64),
        events: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let theta = theta.as_slice()?;
        let mut moments: [Option<(u64, f64, Vec<f64>)>; 4] = [None, None, None, None];
        for (moment, name) in moments.iter_mut().zip(EVENTS) {
            if let Some(event) = events.get_item(name)? {
                let (step, t, theta): (u64, f64, PyReadonlyArray1<'_, f64>) = event.extract()?;
                *moment = Some((step, t, theta.as_slice()?.to_vec()));
            }
        }
        let stepper = &mut self.stepper;
        run(
            py,
            None,
            |cancel| any!(stepper, flow => flow.restore(snapshot(theta, clock, moments), cancel)),
        )
    }
}

fn snapshot<T: Real>(
    theta: &[f64],
    (t, dt, step, trials, window_trials, window_t): (f64, f64, u64, u64, u64, f64),
    moments: [Option<(u64, f64, Vec<f64>)>; 4],
) -> Snapshot<T> {
    Snapshot {
        theta: narrow(theta),
        t,
        dt,
        step,
        trials,
        window: (window_trials, window_t),
        events: moments.map(|moment| {
            moment.map(|(step, t, theta)| Event {
                step,
                t,
                theta: narrow(&theta),
            })
        }),
    }
}

impl PyGradientFlow {
    /// `alpha (f - f_0)` of the test points.
    fn predict(&self, cancel: &Cancel) -> hmm_core::Result<Option<Vec<f64>>> {
        let mut predictions = match (&self.stepper, &self.test) {
            (Stepper::Single(flow), Some(TestSet::Single(x, initial))) => {
                from_network(flow, x, initial, cancel)?
            }
            (Stepper::Double(flow), Some(TestSet::Double(x, initial))) => {
                from_network(flow, x, initial, cancel)?
            }
            (Stepper::Kernel(flow), Some(TestSet::Kernel(kernel))) => {
                let a = &flow.snapshot().theta;
                let mut out = vec![0.0; kernel.len() / a.len()];
                decisions(kernel, a, &mut out, cancel)?;
                out
            }
            _ => return Ok(None),
        };
        for prediction in &mut predictions {
            *prediction *= self.alpha;
        }
        Ok(Some(predictions))
    }
}

fn from_network<T: hmm_sim::gradient_flow::Fused>(
    flow: &Flow<ReluLayer<T>>,
    x: &Inputs<T>,
    initial: &[f64],
    cancel: &Cancel,
) -> Result<Vec<f64>, Error> {
    let mut out = vec![0.0; x.count()];
    let theta = &flow.snapshot().theta;
    flow.model().outputs_of(x, theta, &mut out, cancel)?;
    for (out, initial) in out.iter_mut().zip(initial) {
        *out -= initial;
    }
    Ok(out)
}
