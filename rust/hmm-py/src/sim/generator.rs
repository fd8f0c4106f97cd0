//! Deep generators and their streamed covariances.

use super::data::{ByDtype, Handle, PySource, seed_from};
use crate::border::{attached, run};
use hmm_core::random::{Purpose, Stream};
use hmm_core::{Error, Real, Result};
use hmm_sim::covariance::CovarianceStream;
use hmm_sim::generator::{DeepGenerator, Layer, Network, Window};
use hmm_sim::nonlinearity::Nonlinearity;
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;

/// Add the functions and classes of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(deep_generator, module)?)?;
    module.add_class::<PyCovarianceStream>()
}

/// A layer as Python describes it, before the precision is chosen.
struct Described {
    kind: String,
    numbers: Vec<f64>,
    sizes: Vec<Vec<usize>>,
    weights: Vec<Vec<f64>>,
    networks: Vec<Vec<Self>>,
}

/// Read a layer: `{"kind", "numbers", "sizes", "weights", "networks"}`, all but the first optional.
fn describe(layer: &Bound<'_, PyDict>) -> PyResult<Described> {
    let kind: String = layer
        .get_item("kind")?
        .map_or(Ok(String::new()), |kind| kind.extract())?;
    let numbers = layer
        .get_item("numbers")?
        .map_or(Ok(Vec::new()), |x| x.extract())?;
    let sizes = layer
        .get_item("sizes")?
        .map_or(Ok(Vec::new()), |x| x.extract())?;
    let arrays: Vec<PyReadonlyArray1<'_, f64>> = layer
        .get_item("weights")?
        .map_or(Ok(Vec::new()), |x| x.extract())?;
    let weights = arrays
        .iter()
        .map(|array| array.as_array().to_vec())
        .collect();
    let nested: Vec<Vec<Bound<'_, PyDict>>> = layer
        .get_item("networks")?
        .map_or(Ok(Vec::new()), |x| x.extract())?;
    let networks = nested
        .iter()
        .map(|layers| layers.iter().map(describe).collect())
        .collect::<PyResult<Vec<Vec<_>>>>()?;
    Ok(Described {
        kind,
        numbers,
        sizes,
        weights,
        networks,
    })
}

fn malformed(layer: &Described) -> Error {
    Error::invalid(
        "layers",
        format!("{:?}", layer.kind),
        "unknown layer or missing weights",
        "use dense, conv2d, conv_transpose2d, activation, affine or coupling layers",
    )
}

fn window(sizes: &[Vec<usize>]) -> Option<Window> {
    let [input, rest] = sizes else { return None };
    let [channels, kernel_height, kernel_width, stride, padding] = rest.as_slice() else {
        return None;
    };
    Some(Window {
        input: input.as_slice().try_into().ok()?,
        channels: *channels,
        kernel: [*kernel_height, *kernel_width],
        stride: *stride,
        padding: *padding,
    })
}

fn network<T: Real>(inputs: usize, layers: &[Described]) -> Result<Network<T>> {
    Network::new(
        inputs,
        layers.iter().map(build).collect::<Result<Vec<_>>>()?,
    )
}

fn build<T: Real>(layer: &Described) -> Result<Layer<T>> {
    let rounded = |values: &[f64]| values.iter().map(|&x| T::from_f64(x)).collect::<Vec<T>>();
    let wrong = || malformed(layer);
    let pair = || match layer.weights.as_slice() {
        [first, second] => Ok((rounded(first), rounded(second))),
        _ => Err(wrong()),
    };
    Ok(match layer.kind.as_str() {
        "dense" => {
            let (weight, bias) = pair()?;
            Layer::Dense { weight, bias }
        }
        "conv2d" | "conv_transpose2d" => {
            let (weight, bias) = pair()?;
            let window = window(&layer.sizes).ok_or_else(wrong)?;
            if layer.kind == "conv2d" {
                Layer::Convolution {
                    window,
                    weight,
                    bias,
                }
            } else {
                Layer::Transposed {
                    window,
                    weight,
                    bias,
                }
            }
        }
        "affine" => {
            let (scale, shift) = pair()?;
            Layer::Affine { scale, shift }
        }
        "coupling" => {
            let ([keep, change], [scale, shift]) =
                (layer.sizes.as_slice(), layer.networks.as_slice())
            else {
                return Err(wrong());
            };
            Layer::Coupling {
                keep: keep.clone(),
                change: change.clone(),
                scale: network(keep.len(), scale)?,
                shift: network(keep.len(), shift)?,
            }
        }
        "sign" => Layer::Elementwise(Nonlinearity::Sign),
        "erf" => Layer::Elementwise(Nonlinearity::Erf),
        "relu" => Layer::Elementwise(Nonlinearity::Relu),
        "tanh" => Layer::Elementwise(Nonlinearity::Tanh),
        "identity" => Layer::Elementwise(Nonlinearity::Identity),
        "sigmoid" => Layer::Sigmoid,
        "leaky_relu" => Layer::LeakyRelu(T::from_f64(*layer.numbers.first().ok_or_else(wrong)?)),
        _ => return Err(wrong()),
    })
}

fn source<T: Real>(inputs: usize, layers: &[Described], mean: Option<&[f64]>) -> Result<Handle<T>> {
    let network = network(inputs, layers)?;
    let zeros = vec![0.0; network.outputs()];
    let generator = DeepGenerator::new(network, mean.unwrap_or(&zeros))?;
    Ok(Handle::without_features(Arc::new(generator)))
}

/// A source x = G(c) - mean of described layers, and the number of its inputs.
#[pyfunction]
fn deep_generator(
    py: Python<'_>,
    layers: Vec<Bound<'_, PyDict>>,
    latents: usize,
    mean: Option<Vec<f64>>,
    dtype: &str,
) -> PyResult<(PySource, usize)> {
    let described = layers.iter().map(describe).collect::<PyResult<Vec<_>>>()?;
    let mean = mean.as_deref();
    attached(py, || {
        Ok(if dtype == "float32" {
            let handle = source::<f32>(latents, &described, mean)?;
            let inputs = handle.source.inputs();
            (PySource(ByDtype::F32(handle)), inputs)
        } else {
            let handle = source::<f64>(latents, &described, mean)?;
            let inputs = handle.source.inputs();
            (PySource(ByDtype::F64(handle)), inputs)
        })
    })
}

/// Mean, Omega and Phi as arrays.
type Estimates<'py> = (
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray2<f64>>,
);

/// Covariances of a float64 source, sample by sample.
#[pyclass(name = "CovarianceStream", module = "hmm_rs._lib")]
struct PyCovarianceStream(CovarianceStream);

#[pymethods]
impl PyCovarianceStream {
    #[new]
    fn new(py: Python<'_>, source: &PySource, seed: Vec<u32>) -> PyResult<Self> {
        attached(py, || {
            let stream = Stream::new(&seed_from(&seed)?, Purpose::Sample);
            match &source.0 {
                ByDtype::F64(handle) => Ok(Self(CovarianceStream::new(
                    Arc::clone(&handle.source),
                    stream,
                ))),
                ByDtype::F32(_) => Err(Error::invalid(
                    "dtype",
                    "float32",
                    "covariances accumulate in double precision",
                    "pass a float64 source",
                )),
            }
        })
    }

    /// See more samples.
    fn advance(&mut self, py: Python<'_>, samples: u64, threads: Option<usize>) -> PyResult<()> {
        run(py, threads, |cancel| self.0.advance(samples, cancel))
    }

    /// Samples seen.
    fn count(&self) -> u64 {
        self.0.count()
    }

    /// (mean, Omega, Phi).
    fn estimate<'py>(&self, py: Python<'py>) -> PyResult<Estimates<'py>> {
        let found = attached(py, || self.0.estimate())?;
        let n = found.mean.len();
        let d = found.phi.len() / n;
        Ok((
            found.mean.into_pyarray(py),
            found.omega.into_pyarray(py).reshape([n, n])?,
            found.phi.into_pyarray(py).reshape([n, d])?,
        ))
    }
}
