//! The hidden manifold: x = f(C Fᵀ/√D) - a, and its conjugate Gaussian data.
//!
//! ```
//! use hmm_core::random::{Purpose, Stream};
//! use hmm_core::{Activation, Cancel};
//! use hmm_sim::features::{FeatureKind, Features};
//! use hmm_sim::hidden_manifold::{HiddenManifold, Mean};
//! use hmm_sim::nonlinearity::Nonlinearity;
//! use hmm_sim::source::sample;
//! use ndarray::Array2;
//! use std::sync::Arc;
//! let (n, d, count, cancel) = (64, 32, 1000, Cancel::new());
//! let disorder = Stream::new(&[1; 8], Purpose::Disorder);
//! let f = Features::<f64>::draw(FeatureKind::Hadamard, n, d, false, &disorder, &cancel)?;
//! let rows = f.dense(&cancel)?;
//! let sign = Nonlinearity::named(Activation::Sign)?;
//! let data = HiddenManifold::new(Arc::new(f), sign, &Mean::Common(0.0))?;
//! let (mut x, mut c) = (Array2::zeros((count, n)), Array2::zeros((count, d)));
//! sample(&data, &disorder.with_purpose(Purpose::Sample), 0, x.view_mut(), c.view_mut(), &cancel)?;
//! // c = E f² = 1 of the sign, and b = E u f(u) = √(2/π), of which the mean over samples knows two digits.
//! assert!(x.iter().all(|x| x * x == 1.0));
//! let u = c.dot(&rows.t()) / (d as f64).sqrt();
//! let b = (&u * &x).sum() / x.len() as f64;
//! assert!((b - (2.0 / std::f64::consts::PI).sqrt()).abs() < 0.02);
//! # Ok::<(), hmm_core::Error>(())
//! ```

use crate::features::Features;
use crate::nonlinearity::Nonlinearity;
use crate::source::{INPUT_NOISE_UNIT, Source, block_size};
use hmm_core::random::{GROUP, Stream, fill_normal};
use hmm_core::{Error, Real, Result};
use ndarray::{Array1, ArrayView1};
use std::sync::Arc;

/// What is subtracted from the inputs.
#[derive(Debug, Clone, PartialEq)]
pub enum Mean {
    /// The same number everywhere.
    Common(f64),
    /// A number of its own for each input, shape (N,): rows of F of unequal norm have unequal means.
    OfRow(Array1<f64>),
}

/// Inputs on a hidden manifold (HMM paper, section II).
pub struct HiddenManifold<T> {
    features: Arc<Features<T>>,
    nonlinearity: Nonlinearity<T>,
    common: f64,
    of_row: Vec<T>,
}

impl<T: Real> HiddenManifold<T> {
    /// Inputs x = f(u) - `mean`.
    ///
    /// # Errors
    /// [`Error::Shape`] for means that are not one for each input.
    pub fn new(
        features: Arc<Features<T>>,
        nonlinearity: Nonlinearity<T>,
        mean: &Mean,
    ) -> Result<Self> {
        let (common, of_row) = match mean {
            Mean::Common(mean) => (*mean, Vec::new()),
            Mean::OfRow(means) => {
                one_for_each("mean", means.view(), features.inputs())?;
                (0.0, means.iter().map(|&mean| T::from_f64(mean)).collect())
            }
        };
        Ok(Self {
            features,
            nonlinearity,
            common,
            of_row,
        })
    }
}

fn one_for_each(argument: &'static str, values: ArrayView1<'_, f64>, inputs: usize) -> Result<()> {
    if values.len() == inputs {
        return Ok(());
    }
    Err(Error::shape(
        argument,
        values.shape(),
        format!("must have one entry for each of {inputs} inputs"),
        "pass an array of shape (N,)",
    ))
}

impl<T: Real> Source<T> for HiddenManifold<T> {
    fn inputs(&self) -> usize {
        self.features.inputs()
    }

    fn latents(&self) -> usize {
        self.features.latents()
    }

    fn inputs_from_latents(
        &self,
        _: &Stream,
        _: u64,
        latents: &[T],
        inputs: &mut [T],
    ) -> Result<()> {
        let (n, d) = (self.features.inputs(), self.features.latents());
        block_size(latents, d, inputs, n)?;
        let rows = match self.nonlinearity {
            // A function of the caller gets whole blocks: calling it costs.
            Nonlinearity::Custom(_) => usize::MAX,
            _ => self.features.rows_at_once(),
        };
        let pieces = inputs.chunks_mut(n.saturating_mul(rows));
        for (latents, inputs) in latents.chunks(d.saturating_mul(rows)).zip(pieces) {
            self.features.fields(latents, inputs)?;
            self.nonlinearity.apply(inputs, n, self.common)?;
            if !self.of_row.is_empty() {
                for row in inputs.chunks_exact_mut(n) {
                    for (x, mean) in row.iter_mut().zip(&self.of_row) {
                        *x -= *mean;
                    }
                }
            }
        }
        Ok(())
    }

    fn project(&self, weights: &[f64], units: usize) -> Result<Option<Vec<f64>>> {
        self.features.project(weights, units).map(Some)
    }
}

/// Conjugate Gaussian data: x = a + b u + √ζ ξ with the features' own u and fresh noise ξ.
pub struct ConjugateManifold<T> {
    features: Arc<Features<T>>,
    /// a, b and √ζ of each input.
    lines: Vec<[T; 3]>,
}

impl<T: Real> ConjugateManifold<T> {
    /// From the mean (0 where inputs are centred), b = E u f(u)/E u² and √ζ = √(c - a² - b² E u²) of each input,
    /// shapes (N,).
    ///
    /// # Errors
    /// [`Error::Shape`] for numbers that are not one for each input.
    pub fn new(
        features: Arc<Features<T>>,
        mean: ArrayView1<'_, f64>,
        slope: ArrayView1<'_, f64>,
        noise: ArrayView1<'_, f64>,
    ) -> Result<Self> {
        for (argument, values) in [("mean", mean), ("slope", slope), ("noise", noise)] {
            one_for_each(argument, values, features.inputs())?;
        }
        let lines = mean.iter().zip(slope).zip(noise);
        Ok(Self {
            lines: lines
                .map(|((&mean, &slope), &noise)| [mean, slope, noise].map(T::from_f64))
                .collect(),
            features,
        })
    }
}

impl<T: Real> Source<T> for ConjugateManifold<T> {
    fn inputs(&self) -> usize {
        self.features.inputs()
    }

    fn latents(&self) -> usize {
        self.features.latents()
    }

    fn inputs_from_latents(
        &self,
        stream: &Stream,
        block: u64,
        latents: &[T],
        inputs: &mut [T],
    ) -> Result<()> {
        self.features.fields(latents, inputs)?;
        let width = self.lines.len();
        // The fewest rows that hold whole groups of normals: pieces of them have the bits of one stretch.
        let rows = GROUP >> width.trailing_zeros().min(GROUP.trailing_zeros());
        let mut generator = stream.generator(INPUT_NOISE_UNIT, block);
        let mut noise = vec![T::ZERO; inputs.len().min(rows * width)];
        for piece in inputs.chunks_mut(rows * width) {
            let noise = noise.get_mut(..piece.len()).unwrap_or_default();
            fill_normal(&mut generator, noise);
            let rows = piece.chunks_exact_mut(width);
            for (row, noise) in rows.zip(noise.chunks_exact(width)) {
                for ((x, xi), [mean, slope, scale]) in row.iter_mut().zip(noise).zip(&self.lines) {
                    *x = *mean + *slope * *x + *scale * *xi;
                }
            }
        }
        Ok(())
    }

    fn project(&self, weights: &[f64], units: usize) -> Result<Option<Vec<f64>>> {
        self.features.project(weights, units).map(Some)
    }
}
