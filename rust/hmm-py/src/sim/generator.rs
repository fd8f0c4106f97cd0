//! Deep generators and their streamed covariances.

use super::data::{ByDtype, Handle, PySource};
use crate::border::{call, run, to_python};
use crate::convert::array::rounded;
use crate::convert::columns::to_dict;
use crate::convert::dtype::{Dtype, either, in_dtype};
use crate::convert::name::Name;
use crate::convert::seed::SeedWords;
use hmm_core::random::{Purpose, Stream};
use hmm_core::{Activation, Error, Real, Result, Table};
use hmm_sim::covariance::CovarianceStream;
use hmm_sim::generator::{DeepGenerator, Layer, Network, Window};
use hmm_sim::nonlinearity::Nonlinearity;
use ndarray::{Array1, Array2, Array4};
use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray4};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;

hmm_core::named! {
    /// What a layer does.
    enum LayerKind: "type" {
        /// x -> W x + b
        Dense = "dense",
        /// A convolution.
        Convolution = "conv2d",
        /// A transposed convolution.
        Transposed = "conv_transpose2d",
        /// An elementwise function.
        Activation = "activation",
        /// x -> scale x + shift
        Affine = "affine",
        /// Part of the entries moves as the others say.
        Coupling = "coupling",
    }
}

/// A layer as Python describes it; which entries there are depends on `type`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Described<'py> {
    r#type: Name<LayerKind>,
    #[pyo3(default)]
    weight: Option<Bound<'py, PyAny>>,
    #[pyo3(default)]
    bias: Option<PyReadonlyArray1<'py, f64>>,
    #[pyo3(default)]
    window: Option<DescribedWindow>,
    #[pyo3(default)]
    f: Option<Name<Activation>>,
    #[pyo3(default)]
    slope: Option<f64>,
    #[pyo3(default)]
    factors: Option<PyReadonlyArray1<'py, f64>>,
    #[pyo3(default)]
    offsets: Option<PyReadonlyArray1<'py, f64>>,
    #[pyo3(default)]
    keep: Option<Vec<usize>>,
    #[pyo3(default)]
    change: Option<Vec<usize>>,
    #[pyo3(default)]
    scale: Option<Vec<Described<'py>>>,
    #[pyo3(default)]
    shift: Option<Vec<Described<'py>>>,
}

/// Geometry of a convolution; kernel and channels are those of the weight.
#[derive(FromPyObject, Clone, Copy)]
#[pyo3(from_item_all)]
struct DescribedWindow {
    input: [usize; 3],
    stride: usize,
    padding: usize,
}

/// A layer in double precision, before the precision of the source is chosen.
enum Plain {
    Dense(Array2<f64>, Array1<f64>),
    Convolution(Window, Array4<f64>, Array1<f64>, bool),
    Activation(Activation, f64),
    Affine(Array1<f64>, Array1<f64>),
    Coupling([Vec<usize>; 2], [Vec<Plain>; 2]),
}

/// The entry `name` of a layer, which a layer of its type needs.
fn entry<T>(py: Python<'_>, kind: LayerKind, name: &str, value: Option<T>) -> PyResult<T> {
    value.ok_or_else(|| {
        let error = Error::invalid(
            "layers",
            format!("a {kind} layer without '{name}'"),
            "this entry is missing",
            "describe the layer in full",
        );
        to_python(py, error)
    })
}

fn plain(py: Python<'_>, layer: Described<'_>) -> PyResult<Plain> {
    let kind = layer.r#type.0;
    Ok(match kind {
        LayerKind::Dense => {
            let weight: PyReadonlyArray2<'_, f64> =
                entry(py, kind, "weight", layer.weight)?.extract()?;
            let bias = entry(py, kind, "bias", layer.bias)?;
            Plain::Dense(weight.as_array().to_owned(), bias.as_array().to_owned())
        }
        LayerKind::Convolution | LayerKind::Transposed => {
            let weight: PyReadonlyArray4<'_, f64> =
                entry(py, kind, "weight", layer.weight)?.extract()?;
            let weight = weight.as_array().to_owned();
            let bias = entry(py, kind, "bias", layer.bias)?.as_array().to_owned();
            let described = entry(py, kind, "window", layer.window)?;
            let window = Window {
                input: described.input,
                channels: bias.len(),
                kernel: [weight.dim().2, weight.dim().3],
                stride: described.stride,
                padding: described.padding,
            };
            Plain::Convolution(window, weight, bias, kind == LayerKind::Transposed)
        }
        LayerKind::Activation => {
            let slope = layer.slope.unwrap_or_default();
            Plain::Activation(entry(py, kind, "f", layer.f)?.0, slope)
        }
        LayerKind::Affine => Plain::Affine(
            entry(py, kind, "factors", layer.factors)?
                .as_array()
                .to_owned(),
            entry(py, kind, "offsets", layer.offsets)?
                .as_array()
                .to_owned(),
        ),
        LayerKind::Coupling => {
            let positions = [
                entry(py, kind, "keep", layer.keep)?,
                entry(py, kind, "change", layer.change)?,
            ];
            let networks = [
                stack(py, entry(py, kind, "scale", layer.scale)?)?,
                stack(py, entry(py, kind, "shift", layer.shift)?)?,
            ];
            Plain::Coupling(positions, networks)
        }
    })
}

fn stack(py: Python<'_>, layers: Vec<Described<'_>>) -> PyResult<Vec<Plain>> {
    layers.into_iter().map(|layer| plain(py, layer)).collect()
}

fn network<T: Real>(inputs: usize, layers: &[Plain]) -> Result<Network<T>> {
    Network::new(
        inputs,
        layers.iter().map(build).collect::<Result<Vec<_>>>()?,
    )
}

fn build<T: Real>(layer: &Plain) -> Result<Layer<T>> {
    Ok(match layer {
        Plain::Dense(weight, bias) => Layer::Dense {
            weight: rounded(weight),
            bias: rounded(bias),
        },
        Plain::Convolution(window, weight, bias, transposed) => {
            let (window, weight, bias) = (*window, rounded(weight), rounded(bias));
            if *transposed {
                Layer::Transposed {
                    window,
                    weight,
                    bias,
                }
            } else {
                Layer::Convolution {
                    window,
                    weight,
                    bias,
                }
            }
        }
        Plain::Activation(Activation::LeakyRelu, slope) => Layer::LeakyRelu(T::from_f64(*slope)),
        Plain::Activation(Activation::Sigmoid, _) => Layer::Sigmoid,
        Plain::Activation(other, _) => Layer::Elementwise(Nonlinearity::named(*other)?),
        Plain::Affine(scale, shift) => Layer::Affine {
            scale: rounded(scale),
            shift: rounded(shift),
        },
        Plain::Coupling([keep, change], [scale, shift]) => Layer::Coupling {
            keep: keep.clone(),
            change: change.clone(),
            scale: network(keep.len(), scale)?,
            shift: network(keep.len(), shift)?,
        },
    })
}

/// A source x = G(c) - mean of described layers, and the number of its inputs.
#[pyfunction]
#[pyo3(signature = (layers, latents, *, mean, dtype))]
fn deep_generator(
    py: Python<'_>,
    layers: Vec<Described<'_>>,
    latents: usize,
    mean: Option<PyReadonlyArray1<'_, f64>>,
    dtype: Name<Dtype>,
) -> PyResult<(PySource, usize)> {
    let layers = stack(py, layers)?;
    let mean = mean.as_ref().map(|mean| mean.as_array());
    let made = call(py, || {
        in_dtype!(dtype.0, T => {
            let source = DeepGenerator::<T>::new(network(latents, &layers)?, mean);
            source.map(Handle::without_features)
        })
    })?;
    let inputs = either!(&made, handle => handle.source.inputs());
    Ok((PySource(made), inputs))
}

/// Covariances of a float64 source, sample by sample.
#[pyclass(name = "CovarianceStream", module = "hmm_rs._lib")]
struct PyCovarianceStream(CovarianceStream);

#[pymethods]
impl PyCovarianceStream {
    #[new]
    fn new(py: Python<'_>, source: &PySource, seed: SeedWords, start: u64) -> PyResult<Self> {
        let stream = Stream::new(&seed.0, Purpose::Sample);
        call(py, || match &source.0 {
            ByDtype::F64(handle) => {
                let source = Arc::clone(&handle.source);
                CovarianceStream::starting_at(start, source, stream).map(Self)
            }
            ByDtype::F32(_) => Err(Error::invalid(
                "dtype",
                "float32",
                "covariances accumulate in double precision",
                "pass a float64 source",
            )),
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

    /// {"mean", "latent_mean", "Omega", "Phi"}.
    fn estimate<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let found = call(py, || self.0.estimate())?;
        let table = Table::new()
            .with("mean", found.mean)
            .with("latent_mean", found.latent_mean);
        to_dict(py, table.with("Omega", found.omega).with("Phi", found.phi))
    }
}

/// Add the functions and classes of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(deep_generator, module)?)?;
    module.add_class::<PyCovarianceStream>()
}
