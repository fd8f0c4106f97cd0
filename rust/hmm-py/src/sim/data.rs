//! Data sources: descriptions from Python become sources that fill blocks.

use crate::border::{attached, run};
pub use crate::convert::dtype::ByDtype;
use hmm_core::random::{Purpose, Seed, Stream, fill_normal};
use hmm_core::{Error, Real};
use hmm_sim::features::{FeatureKind, Features};
use hmm_sim::hidden_manifold::{ConjugateManifold, HiddenManifold};
use hmm_sim::nonlinearity::{Elementwise, Nonlinearity};
use hmm_sim::source::{CorrelatedGaussian, GaussianInputs, Source, sample};
use hmm_sim::stored::StoredSamples;
use numpy::{
    Element, IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use std::sync::Arc;

/// Eight 32-bit words from Python as a seed.
pub fn seed_from(words: &[u32]) -> hmm_core::Result<Seed> {
    words.try_into().map_err(|_| {
        Error::shape(
            "seed",
            &[words.len()],
            "must be eight 32-bit words",
            "pass seed_words(seed)",
        )
    })
}

/// A block handed to a Python function and taken back.
///
/// `rows` x `columns` go in; the function must give `rows` x `out.len() / rows` finite reals.
fn call_on_block<T: Element + Real>(
    function: &Py<PyAny>,
    argument: &'static str,
    block: &[T],
    rows: usize,
    out: &mut [T],
) -> hmm_core::Result<()> {
    let raised = |error: PyErr| Error::Callback(Box::new(error));
    Python::attach(|py| {
        let array = numpy::PyArray1::from_slice(py, block)
            .reshape([rows, block.len() / rows])
            .map_err(raised)?;
        let result = function.call1(py, (array,)).map_err(raised)?;
        let converted = py
            .import("numpy")
            .and_then(|numpy| numpy.call_method1("ascontiguousarray", (result, T::NAME)))
            .map_err(raised)?;
        let columns = out.len() / rows;
        let array: PyReadonlyArray2<'_, T> = converted
            .extract()
            .map_err(|_| wrong_shape(argument, &converted, rows, columns))?;
        let values = array
            .as_slice()
            .ok()
            .filter(|_| array.shape() == [rows, columns])
            .ok_or_else(|| wrong_shape(argument, &converted, rows, columns))?;
        if let Some(bad) = values.iter().find(|x| !x.finite()) {
            return Err(Error::invalid(
                argument,
                bad,
                "the function must return finite numbers",
                "check it on a standard normal array",
            ));
        }
        out.copy_from_slice(values);
        Ok(())
    })
}

fn wrong_shape(
    argument: &'static str,
    result: &Bound<'_, PyAny>,
    rows: usize,
    columns: usize,
) -> Error {
    let shape = result
        .getattr("shape")
        .and_then(|shape| shape.extract::<Vec<usize>>())
        .unwrap_or_default();
    Error::shape(
        argument,
        &shape,
        format!("the function must return shape [{rows}, {columns}] for {rows} samples"),
        "write it with elementwise numpy operations over whole arrays",
    )
}

/// An elementwise Python function.
struct PythonElementwise(Py<PyAny>);

impl<T: Element + Real> Elementwise<T> for PythonElementwise {
    fn apply(&self, block: &mut [T], columns: usize) -> hmm_core::Result<()> {
        let argument = block.to_vec();
        call_on_block(&self.0, "f", &argument, block.len() / columns, block)
    }
}

/// Inputs made by a Python function of the latents, minus a mean.
struct PythonGenerator {
    function: Py<PyAny>,
    inputs: usize,
    latents: usize,
    mean: Vec<f64>,
}

impl<T: Element + Real> Source<T> for PythonGenerator {
    fn inputs(&self) -> usize {
        self.inputs
    }

    fn latents(&self) -> usize {
        self.latents
    }

    fn inputs_from_latents(
        &self,
        _: &Stream,
        _: u64,
        latents: &[T],
        inputs: &mut [T],
    ) -> hmm_core::Result<()> {
        call_on_block(
            &self.function,
            "fn",
            latents,
            latents.len() / self.latents,
            inputs,
        )?;
        for row in inputs.chunks_exact_mut(self.inputs) {
            for (x, mean) in row.iter_mut().zip(&self.mean) {
                *x -= T::from_f64(*mean);
            }
        }
        Ok(())
    }

    fn project(&self, _: &[f64], _: usize) -> Option<Vec<f64>> {
        None
    }
}

/// Features and source of one precision.
pub struct Handle<T> {
    /// Fills blocks.
    pub source: Arc<dyn Source<T>>,
    features: Option<Arc<Features<T>>>,
}

impl<T> Handle<T> {
    /// A source without features of its own.
    pub fn without_features(source: Arc<dyn Source<T>>) -> Self {
        Self {
            source,
            features: None,
        }
    }
}

/// A source of samples in one precision.
#[pyclass(name = "Source", module = "hmm_rs._lib", frozen)]
pub struct PySource(pub ByDtype<Handle<f32>, Handle<f64>>);

/// Build a handle in the precision `dtype` names.
macro_rules! by_dtype {
    ($dtype:expr, $build:ident ( $($argument:expr),* )) => {
        match $dtype {
            "float32" => ByDtype::F32($build::<f32>($($argument),*)?),
            _ => ByDtype::F64($build::<f64>($($argument),*)?),
        }
    };
}

fn features<T: Real>(
    inputs: usize,
    latents: usize,
    kind: &str,
    matrix: Option<&[f64]>,
    normalise_rows: bool,
    seed: &Seed,
) -> hmm_core::Result<Arc<Features<T>>> {
    let kind = match (kind, matrix) {
        (_, Some(matrix)) => {
            return Features::from_matrix(matrix, inputs, latents, normalise_rows).map(Arc::new);
        }
        ("orthogonal", None) => FeatureKind::Orthogonal,
        ("hadamard", None) => FeatureKind::Hadamard,
        ("dct", None) => FeatureKind::Dct,
        _ => FeatureKind::Gaussian,
    };
    let disorder = Stream::new(seed, Purpose::Disorder);
    Features::draw(kind, inputs, latents, normalise_rows, &disorder).map(Arc::new)
}

fn manifold<T: Element + Real>(
    features: Arc<Features<T>>,
    f: &str,
    function: Option<Py<PyAny>>,
    mean: f64,
) -> Handle<T> {
    let nonlinearity = match (f, function) {
        (_, Some(function)) => Nonlinearity::Custom(Arc::new(PythonElementwise(function))),
        ("sign", None) => Nonlinearity::Sign,
        ("erf", None) => Nonlinearity::Erf,
        ("relu", None) => Nonlinearity::Relu,
        ("tanh", None) => Nonlinearity::Tanh,
        _ => Nonlinearity::Identity,
    };
    Handle {
        source: Arc::new(HiddenManifold::new(
            Arc::clone(&features),
            nonlinearity,
            mean,
        )),
        features: Some(features),
    }
}

fn conjugate<T: Real>(features: Arc<Features<T>>, mean: f64, slope: f64, noise: f64) -> Handle<T> {
    Handle {
        source: Arc::new(ConjugateManifold::new(
            Arc::clone(&features),
            mean,
            slope,
            noise,
        )),
        features: Some(features),
    }
}

fn correlated<T: Real>(
    inputs: usize,
    latents: usize,
    from_latents: &[f64],
    from_noise: &[f64],
) -> hmm_core::Result<Handle<T>> {
    Ok(Handle {
        source: Arc::new(CorrelatedGaussian::new(
            inputs,
            latents,
            from_latents,
            from_noise,
        )?),
        features: None,
    })
}

fn stored<T: Real>(x: &[f64], y: &[f64], inputs: usize) -> hmm_core::Result<Handle<T>> {
    Ok(Handle {
        source: Arc::new(StoredSamples::new(x, y, inputs)?),
        features: None,
    })
}

#[pymethods]
impl PySource {
    /// x = f(C Fᵀ/√D) - mean
    #[staticmethod]
    #[pyo3(signature = (inputs, latents, *, f, function, features_kind, matrix, normalise_rows, mean, seed, dtype))]
    fn hidden_manifold(
        py: Python<'_>,
        inputs: usize,
        latents: usize,
        f: &str,
        function: Option<Py<PyAny>>,
        features_kind: &str,
        matrix: Option<PyReadonlyArray2<'_, f64>>,
        normalise_rows: bool,
        mean: f64,
        seed: Vec<u32>,
        dtype: &str,
    ) -> PyResult<Self> {
        let matrix = matrix
            .as_ref()
            .map(|matrix| matrix.as_slice())
            .transpose()?;
        let seed = attached(py, || seed_from(&seed))?;
        let single = dtype == "float32";
        let drawn = run(py, None, |_| {
            Ok(if single {
                ByDtype::F32(features(
                    inputs,
                    latents,
                    features_kind,
                    matrix,
                    normalise_rows,
                    &seed,
                )?)
            } else {
                ByDtype::F64(features(
                    inputs,
                    latents,
                    features_kind,
                    matrix,
                    normalise_rows,
                    &seed,
                )?)
            })
        })?;
        Ok(Self(match drawn {
            ByDtype::F32(features) => ByDtype::F32(manifold(features, f, function, mean)),
            ByDtype::F64(features) => ByDtype::F64(manifold(features, f, function, mean)),
        }))
    }

    /// x = mean + slope u + noise ξ on the features of another source.
    #[staticmethod]
    #[pyo3(signature = (manifold, *, mean, slope, noise))]
    fn conjugate(
        py: Python<'_>,
        manifold: &Self,
        mean: f64,
        slope: f64,
        noise: f64,
    ) -> PyResult<Self> {
        let missing = || {
            Error::invalid(
                "model",
                "a source without features",
                "must be a hidden manifold",
                "pass one",
            )
        };
        attached(py, || {
            Ok(Self(match &manifold.0 {
                ByDtype::F32(handle) => {
                    let features = handle.features.clone().ok_or_else(missing)?;
                    ByDtype::F32(conjugate(features, mean, slope, noise))
                }
                ByDtype::F64(handle) => {
                    let features = handle.features.clone().ok_or_else(missing)?;
                    ByDtype::F64(conjugate(features, mean, slope, noise))
                }
            }))
        })
    }

    /// x ~ N(0, 1) in `inputs` dimensions, latents the same.
    #[staticmethod]
    fn gaussian(inputs: usize, dtype: &str) -> Self {
        let source = GaussianInputs { inputs };
        Self(match dtype {
            "float32" => ByDtype::F32(Handle {
                source: Arc::new(source),
                features: None,
            }),
            _ => ByDtype::F64(Handle {
                source: Arc::new(source),
                features: None,
            }),
        })
    }

    /// x = A c + B ξ with A (N x D) and B (N x noises).
    #[staticmethod]
    fn correlated(
        py: Python<'_>,
        from_latents: PyReadonlyArray2<'_, f64>,
        from_noise: PyReadonlyArray2<'_, f64>,
        dtype: &str,
    ) -> PyResult<Self> {
        let (inputs, latents) = (from_latents.shape()[0], from_latents.shape()[1]);
        let (a, b) = (from_latents.as_slice()?, from_noise.as_slice()?);
        attached(py, || {
            Ok(Self(by_dtype!(dtype, correlated(inputs, latents, a, b))))
        })
    }

    /// Rows of x (P x N), each with its label as the one latent, drawn with replacement.
    #[staticmethod]
    fn stored(
        py: Python<'_>,
        x: PyReadonlyArray2<'_, f64>,
        y: PyReadonlyArray1<'_, f64>,
        dtype: &str,
    ) -> PyResult<Self> {
        let (inputs, x, y) = (x.shape()[1], x.as_slice()?, y.as_slice()?);
        attached(py, || Ok(Self(by_dtype!(dtype, stored(x, y, inputs)))))
    }

    /// x = function(c) - mean with a Python function of a (rows, D) array.
    #[staticmethod]
    fn from_callable(
        function: Py<PyAny>,
        inputs: usize,
        latents: usize,
        mean: Vec<f64>,
        dtype: &str,
    ) -> Self {
        let generator = PythonGenerator {
            function,
            inputs,
            latents,
            mean,
        };
        Self(match dtype {
            "float32" => ByDtype::F32(Handle {
                source: Arc::new(generator),
                features: None,
            }),
            _ => ByDtype::F64(Handle {
                source: Arc::new(generator),
                features: None,
            }),
        })
    }

    /// Samples start..start+count of the stream `seed`: (X, C).
    #[pyo3(signature = (count, *, start, seed, test, threads))]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        count: usize,
        start: u64,
        seed: Vec<u32>,
        test: bool,
        threads: Option<usize>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let seed = attached(py, || seed_from(&seed))?;
        let purpose = if test { Purpose::Test } else { Purpose::Sample };
        let stream = Stream::new(&seed, purpose);
        match &self.0 {
            ByDtype::F32(handle) => sample_arrays(py, handle, &stream, count, start, threads),
            ByDtype::F64(handle) => sample_arrays(py, handle, &stream, count, start, threads),
        }
    }

    /// F as a dense (N, D) array.
    fn features<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyArray2<f64>>>> {
        let dense = run(py, None, |_| {
            Ok(match &self.0 {
                ByDtype::F32(handle) => handle.features.as_ref().map(|f| (f.dense(), f.latents())),
                ByDtype::F64(handle) => handle.features.as_ref().map(|f| (f.dense(), f.latents())),
            })
        })?;
        dense
            .map(|(values, latents)| {
                let rows = values.len() / latents;
                values.into_pyarray(py).reshape([rows, latents])
            })
            .transpose()
    }
}

fn sample_arrays<'py, T: Element + Real>(
    py: Python<'py>,
    handle: &Handle<T>,
    stream: &Stream,
    count: usize,
    start: u64,
    threads: Option<usize>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let (n, d) = (handle.source.inputs(), handle.source.latents());
    let (x, c) = run(py, threads, |cancel| {
        let mut x = vec![T::ZERO; count * n];
        let mut c = vec![T::ZERO; count * d];
        sample(&*handle.source, stream, start, &mut x, &mut c, cancel)?;
        Ok((x, c))
    })?;
    Ok((
        x.into_pyarray(py).reshape([count, n])?.into_any(),
        c.into_pyarray(py).reshape([count, d])?.into_any(),
    ))
}

/// `count` standard normals for initial weights, from unit `unit` of the weight stream of `seed`.
#[pyfunction]
fn weight_normals(
    py: Python<'_>,
    seed: Vec<u32>,
    unit: u32,
    count: usize,
) -> PyResult<Bound<'_, PyArray1<f64>>> {
    let values = attached(py, || {
        let mut values = vec![0.0; count];
        let stream = Stream::new(&seed_from(&seed)?, Purpose::Weights);
        fill_normal(&mut stream.generator(unit, 0), &mut values);
        Ok(values)
    })?;
    Ok(values.into_pyarray(py))
}

/// Add this subject's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(weight_normals, module)?)?;
    module.add_class::<PySource>()
}
