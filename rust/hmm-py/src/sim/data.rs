//! Data sources: descriptions from Python become sources that fill blocks.

use super::callback::{PythonElementwise, PythonGenerator};
use crate::border::{call, run};
use crate::convert::array::{fresh, given};
pub use crate::convert::dtype::ByDtype;
use crate::convert::dtype::{Dtype, either, in_dtype};
use crate::convert::name::Name;
use crate::convert::seed::SeedWords;
use hmm_core::random::{Purpose, Stream};
use hmm_core::{Activation, Cancel, Error, Real, Result};
use hmm_sim::features::{FeatureKind, Features};
use hmm_sim::gaussian::{CorrelatedGaussian, GaussianInputs};
use hmm_sim::hidden_manifold::{ConjugateManifold, HiddenManifold, Mean};
use hmm_sim::nonlinearity::Nonlinearity;
use hmm_sim::source::{Source, mean, sample};
use hmm_sim::stored::StoredSamples;
use ndarray::{ArrayView2, Ix2};
use numpy::{Element, PyArray, PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::sync::Arc;

/// Features and source of one precision.
pub struct Handle<T> {
    /// Fills blocks.
    pub source: Arc<dyn Source<T>>,
    features: Option<Arc<Features<T>>>,
}

impl<T: Real> Handle<T> {
    /// A source without features of its own.
    pub fn without_features(source: impl Source<T> + 'static) -> Self {
        Self {
            source: Arc::new(source),
            features: None,
        }
    }
}

/// A source of samples in one precision.
#[pyclass(name = "Source", module = "hmm_rs._lib", frozen)]
pub struct PySource(pub ByDtype<Handle<f32>, Handle<f64>>);

/// What F is: the name of a kind that is drawn, or a matrix.
enum FeatureChoice<'py> {
    Matrix(PyReadonlyArray2<'py, f64>),
    Kind(Name<FeatureKind>),
}

/// f: the name of one of ours, or a Python function.
enum NonlinearityChoice {
    Named(Name<Activation>),
    Function(Py<PyAny>),
}

impl<'py> FromPyObject<'_, 'py> for FeatureChoice<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if object.is_instance_of::<PyString>() {
            object.extract().map(Self::Kind)
        } else {
            Ok(Self::Matrix(object.extract()?))
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for NonlinearityChoice {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if object.is_instance_of::<PyString>() {
            object.extract().map(Self::Named)
        } else {
            Ok(Self::Function(object.to_owned().unbind()))
        }
    }
}

/// What is subtracted: one number, or one for each input.
#[derive(FromPyObject)]
enum MeanChoice<'py> {
    Common(f64),
    OfRow(PyReadonlyArray1<'py, f64>),
}

/// Where F comes from, in a form that any thread may read.
enum Origin<'a> {
    Matrix(ArrayView2<'a, f64>),
    Drawn(FeatureKind, (usize, usize), Stream),
}

impl Origin<'_> {
    fn features<T: Real>(&self, normalise_rows: bool, cancel: &Cancel) -> Result<Arc<Features<T>>> {
        match self {
            Self::Matrix(matrix) => Features::from_matrix(*matrix, normalise_rows),
            Self::Drawn(kind, (inputs, latents), disorder) => {
                Features::draw(*kind, *inputs, *latents, normalise_rows, disorder, cancel)
            }
        }
        .map(Arc::new)
    }
}

fn nonlinearity<T: Element + Real>(choice: NonlinearityChoice) -> Result<Nonlinearity<T>> {
    match choice {
        NonlinearityChoice::Named(Name(activation)) => Nonlinearity::named(activation),
        NonlinearityChoice::Function(function) => {
            Ok(Nonlinearity::Custom(Arc::new(PythonElementwise(function))))
        }
    }
}

fn manifold<T: Element + Real>(
    origin: &Origin<'_>,
    normalise_rows: bool,
    f: NonlinearityChoice,
    mean: &Mean,
    cancel: &Cancel,
) -> Result<Handle<T>> {
    let features = origin.features(normalise_rows, cancel)?;
    let source = HiddenManifold::new(Arc::clone(&features), nonlinearity(f)?, mean)?;
    Ok(Handle {
        source: Arc::new(source),
        features: Some(features),
    })
}

#[pymethods]
impl PySource {
    /// x = f(C Fᵀ/√D) - mean
    #[staticmethod]
    #[pyo3(signature = (inputs, latents, *, f, features, normalise_rows, mean, seed, dtype))]
    fn hidden_manifold(
        py: Python<'_>,
        inputs: usize,
        latents: usize,
        f: NonlinearityChoice,
        features: FeatureChoice<'_>,
        normalise_rows: bool,
        mean: MeanChoice<'_>,
        seed: SeedWords,
        dtype: Name<Dtype>,
    ) -> PyResult<Self> {
        let disorder = Stream::new(&seed.0, Purpose::Disorder);
        let origin = match &features {
            FeatureChoice::Matrix(matrix) => Origin::Matrix(matrix.as_array()),
            FeatureChoice::Kind(kind) => Origin::Drawn(kind.0, (inputs, latents), disorder),
        };
        let mean = match mean {
            MeanChoice::Common(mean) => Mean::Common(mean),
            MeanChoice::OfRow(means) => Mean::OfRow(means.as_array().to_owned()),
        };
        run(py, None, |cancel| {
            in_dtype!(dtype.0, T => manifold::<T>(&origin, normalise_rows, f, &mean, cancel))
        })
        .map(Self)
    }

    /// x = mean + slope u + noise ξ on the features of another source, a number for each input.
    #[staticmethod]
    #[pyo3(signature = (manifold, *, mean, slope, noise))]
    fn conjugate(
        py: Python<'_>,
        manifold: &Self,
        mean: PyReadonlyArray1<'_, f64>,
        slope: PyReadonlyArray1<'_, f64>,
        noise: PyReadonlyArray1<'_, f64>,
    ) -> PyResult<Self> {
        let (mean, slope, noise) = (mean.as_array(), slope.as_array(), noise.as_array());
        call(py, || {
            Ok(Self(match &manifold.0 {
                ByDtype::F32(handle) => ByDtype::F32(on_features(handle, |features| {
                    ConjugateManifold::new(features, mean, slope, noise)
                })?),
                ByDtype::F64(handle) => ByDtype::F64(on_features(handle, |features| {
                    ConjugateManifold::new(features, mean, slope, noise)
                })?),
            }))
        })
    }

    /// x ~ N(0, 1) in `inputs` dimensions, latents the same.
    #[staticmethod]
    #[pyo3(signature = (inputs, *, dtype))]
    fn gaussian(py: Python<'_>, inputs: usize, dtype: Name<Dtype>) -> PyResult<Self> {
        let source = GaussianInputs { inputs };
        call(
            py,
            || in_dtype!(dtype.0, T => Result::Ok(Handle::<T>::without_features(source))),
        )
        .map(Self)
    }

    /// Gaussian inputs with the covariances Ω (N x N) and, with their latents, Φ (N x D).
    #[staticmethod]
    #[pyo3(signature = (omega, phi, *, dtype))]
    fn correlated(
        py: Python<'_>,
        omega: PyReadonlyArray2<'_, f64>,
        phi: PyReadonlyArray2<'_, f64>,
        dtype: Name<Dtype>,
    ) -> PyResult<Self> {
        let (omega, phi) = (omega.as_array(), phi.as_array());
        run(py, None, |cancel| {
            in_dtype!(dtype.0, T => {
                CorrelatedGaussian::<T>::conjugate(omega, phi, cancel).map(Handle::without_features)
            })
        })
        .map(Self)
    }

    /// Rows of x (P x N), each with its label as the one latent, drawn with replacement.
    #[staticmethod]
    #[pyo3(signature = (x, y, *, dtype))]
    fn stored(
        py: Python<'_>,
        x: PyReadonlyArray2<'_, f64>,
        y: PyReadonlyArray1<'_, f64>,
        dtype: Name<Dtype>,
    ) -> PyResult<Self> {
        let (x, y) = (x.as_array(), y.as_array());
        call(
            py,
            || in_dtype!(dtype.0, T => StoredSamples::<T>::new(x, y).map(Handle::without_features)),
        )
        .map(Self)
    }

    /// x = function(c) - mean with a Python function of a (rows, D) array.
    #[staticmethod]
    #[pyo3(signature = (function, inputs, latents, *, mean, dtype))]
    fn from_callable(
        py: Python<'_>,
        function: Py<PyAny>,
        inputs: usize,
        latents: usize,
        mean: PyReadonlyArray1<'_, f64>,
        dtype: Name<Dtype>,
    ) -> PyResult<Self> {
        let generator = PythonGenerator {
            function,
            inputs,
            latents,
            mean: mean.as_array().to_owned(),
        };
        call(py, || {
            generator.check()?;
            in_dtype!(dtype.0, T => Result::Ok(Handle::<T>::without_features(generator)))
        })
        .map(Self)
    }

    /// Samples start..start+count of the stream `seed`: (X, C).
    #[pyo3(signature = (count, *, start, seed, test, threads))]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        count: usize,
        start: u64,
        seed: SeedWords,
        test: bool,
        threads: Option<usize>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let purpose = if test { Purpose::Test } else { Purpose::Sample };
        let stream = Stream::new(&seed.0, purpose);
        either!(&self.0, handle => draw(py, &*handle.source, &stream, count, start, threads))
    }

    /// Mean of the inputs over the first `count` samples of the stream `seed`.
    #[pyo3(signature = (count, *, seed, threads))]
    fn mean<'py>(
        &self,
        py: Python<'py>,
        count: usize,
        seed: SeedWords,
        threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let stream = Stream::new(&seed.0, Purpose::Sample);
        let found = either!(&self.0, handle => {
            run(py, threads, |cancel| mean(&*handle.source, &stream, count, cancel))
        })?;
        Ok(PyArray::from_owned_array(py, found))
    }

    /// F as a dense (N, D) array.
    fn features<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyArray2<f64>>>> {
        either!(&self.0, handle => {
            let Some(features) = &handle.features else {
                return Ok(None);
            };
            let shape = Ix2(features.inputs(), features.latents());
            let mut dense = fresh(py, shape, "the feature matrix", "lower N or D")?;
            let matrix = dense.as_array_mut();
            run(py, None, |cancel| features.dense_into(matrix, cancel))?;
            Ok(Some(given(dense)))
        })
    }
}

/// A source on the features of another one.
fn on_features<T: Real, S: Source<T> + 'static>(
    handle: &Handle<T>,
    build: impl FnOnce(Arc<Features<T>>) -> Result<S>,
) -> Result<Handle<T>> {
    let features = handle.features.clone().ok_or_else(|| {
        Error::invalid(
            "model",
            "a source without features",
            "must be a hidden manifold",
            "pass one",
        )
    })?;
    Ok(Handle {
        source: Arc::new(build(Arc::clone(&features))?),
        features: Some(features),
    })
}

/// Inputs, shape (count, N), and latents, shape (count, D), of one precision.
fn draw<'py, T: Element + Real>(
    py: Python<'py>,
    source: &dyn Source<T>,
    stream: &Stream,
    count: usize,
    start: u64,
    threads: Option<usize>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let remedy = "take fewer at a time: start= continues the stream";
    let what = format!("a sample of P={count}");
    let mut x = fresh(py, Ix2(count, source.inputs()), &what, remedy)?;
    let mut c = fresh(py, Ix2(count, source.latents()), &what, remedy)?;
    let (inputs, latents) = (x.as_array_mut(), c.as_array_mut());
    run(py, threads, |cancel| {
        sample(source, stream, start, inputs, latents, cancel)
    })?;
    Ok((given(x).into_any(), given(c).into_any()))
}

/// Add this subject's class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PySource>()
}
