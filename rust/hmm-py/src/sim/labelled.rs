//! Laws of labelled inputs.

use crate::border::{call, run};
use crate::convert::array::{fresh, given};
use crate::convert::seed::SeedWords;
use hmm_core::random::{Purpose, Stream};
use hmm_sim::labelled::{LabelledLaw, Linear, Manifold, Shape};
use ndarray::{Ix1, Ix2};
use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;

/// Inputs and labels.
type Examples<'py> = (Bound<'py, PyArray2<f64>>, Bound<'py, PyArray1<f64>>);

/// A law of labelled inputs, made by one of its constructors.
#[pyclass(name = "LabelledLaw", module = "hmm_rs._lib", frozen)]
pub struct PyLabelledLaw(pub LabelledLaw);

impl PyLabelledLaw {
    fn linear(py: Python<'_>, shape: Linear, d: usize, flip: f64) -> PyResult<Self> {
        call(py, || LabelledLaw::new(Shape::Linear(shape), d, flip)).map(Self)
    }

    fn manifold(py: Python<'_>, shape: Manifold, d: usize) -> PyResult<Self> {
        call(py, || LabelledLaw::new(Shape::Manifold(shape), d, 0.0)).map(Self)
    }
}

#[pymethods]
impl PyLabelledLaw {
    /// Gaussian inputs, y = sign(x_1).
    #[staticmethod]
    #[pyo3(signature = (d, *, sigma, flip))]
    fn separable(py: Python<'_>, d: usize, sigma: f64, flip: f64) -> PyResult<Self> {
        Self::linear(py, Linear::Separable { sigma }, d, flip)
    }

    /// Inputs uniform on a sphere, y = sign(x_1).
    #[staticmethod]
    #[pyo3(signature = (d, *, radius, flip))]
    fn sphere(py: Python<'_>, d: usize, radius: f64, flip: f64) -> PyResult<Self> {
        Self::linear(py, Linear::Sphere { radius }, d, flip)
    }

    /// Two clusters along the first axis.
    #[staticmethod]
    #[pyo3(signature = (d, *, mu, sigma, flip))]
    fn mixture(py: Python<'_>, d: usize, mu: f64, sigma: f64, flip: f64) -> PyResult<Self> {
        Self::linear(py, Linear::Mixture { mu, sigma }, d, flip)
    }

    /// Two parallel interfaces.
    #[staticmethod]
    #[pyo3(signature = (d, *, low, high, inside, stretch))]
    fn stripe(
        py: Python<'_>,
        d: usize,
        low: f64,
        high: f64,
        inside: f64,
        stretch: f64,
    ) -> PyResult<Self> {
        let shape = Manifold::Stripe {
            low,
            high,
            inside,
            stretch,
        };
        Self::manifold(py, shape, d)
    }

    /// One interface.
    #[staticmethod]
    #[pyo3(signature = (d, *, x0))]
    fn interface(py: Python<'_>, d: usize, x0: f64) -> PyResult<Self> {
        Self::manifold(py, Manifold::Interface { x0 }, d)
    }

    /// A spherical interface in the first directions.
    #[staticmethod]
    #[pyo3(signature = (d, *, informative, threshold, stretch))]
    fn radial(
        py: Python<'_>,
        d: usize,
        informative: usize,
        threshold: f64,
        stretch: f64,
    ) -> PyResult<Self> {
        let shape = Manifold::Radial {
            informative,
            threshold,
            stretch,
        };
        Self::manifold(py, shape, d)
    }

    /// `(X, y)`: `count` rows of the training or test stream from row `start` on.
    #[pyo3(signature = (count, *, start, seed, test, clean, threads))]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        count: usize,
        start: u64,
        seed: SeedWords,
        test: bool,
        clean: bool,
        threads: Option<usize>,
    ) -> PyResult<Examples<'py>> {
        let purpose = if test { Purpose::Test } else { Purpose::Sample };
        let stream = Stream::new(&seed.0, purpose);
        let remedy = "take fewer at a time: start= continues the stream";
        let mut x = fresh(py, Ix2(count, self.0.inputs()), "a sample", remedy)?;
        let mut y = fresh(py, Ix1(count), "a sample", remedy)?;
        let (inputs, labels) = (x.as_slice_mut()?, y.as_slice_mut()?);
        run(py, threads, |cancel| {
            self.0.fill(&stream, start, inputs, labels, clean, cancel)
        })?;
        Ok((given(x), given(y)))
    }
}

/// Add this subject's class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyLabelledLaw>()
}
