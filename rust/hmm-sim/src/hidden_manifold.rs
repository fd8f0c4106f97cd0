//! The hidden manifold: x = f(C Fᵀ/√D) - a, and its conjugate Gaussian data.

use crate::features::Features;
use crate::nonlinearity::Nonlinearity;
use crate::source::{INPUT_NOISE_UNIT, Source};
use hmm_core::random::{Stream, fill_normal};
use hmm_core::{Real, Result};
use std::sync::Arc;

/// Inputs on a hidden manifold (HMM paper, section II).
pub struct HiddenManifold<T> {
    features: Arc<Features<T>>,
    nonlinearity: Nonlinearity<T>,
    mean: f64,
}

impl<T: Real> HiddenManifold<T> {
    /// Inputs x = f(u) - `mean`.
    pub fn new(features: Arc<Features<T>>, nonlinearity: Nonlinearity<T>, mean: f64) -> Self {
        Self {
            features,
            nonlinearity,
            mean,
        }
    }
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
        self.features.fields(latents, inputs);
        self.nonlinearity
            .apply(inputs, self.features.inputs(), self.mean)
    }

    fn project(&self, weights: &[f64], units: usize) -> Option<Vec<f64>> {
        Some(self.features.project(weights, units))
    }
}

/// Conjugate Gaussian data: x = a + b u + √ζ ξ with the features' own u and fresh noise ξ.
pub struct ConjugateManifold<T> {
    features: Arc<Features<T>>,
    mean: f64,
    slope: f64,
    noise: f64,
}

impl<T: Real> ConjugateManifold<T> {
    /// From the mean (0 where inputs are centred), b = E u f(u) and √ζ = √(c - a² - b²).
    pub fn new(features: Arc<Features<T>>, mean: f64, slope: f64, noise: f64) -> Self {
        Self {
            features,
            mean,
            slope,
            noise,
        }
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
        let mut noise = vec![T::ZERO; inputs.len()];
        fill_normal(&mut stream.generator(INPUT_NOISE_UNIT, block), &mut noise);
        self.features.fields(latents, inputs);
        let (mean, slope, scale) = (
            T::from_f64(self.mean),
            T::from_f64(self.slope),
            T::from_f64(self.noise),
        );
        for (x, xi) in inputs.iter_mut().zip(noise) {
            *x = mean + slope * *x + scale * xi;
        }
        Ok(())
    }

    fn project(&self, weights: &[f64], units: usize) -> Option<Vec<f64>> {
        Some(self.features.project(weights, units))
    }
}
