//! Gaussian inputs: independent ones, and ones with given covariances Ω = E x xᵀ and Φ = E x cᵀ.
//!
//! ```
//! use hmm_core::Cancel;
//! use hmm_core::random::{Purpose, Stream};
//! use hmm_sim::gaussian::CorrelatedGaussian;
//! use hmm_sim::source::sample;
//! use ndarray::{Array2, array};
//! // Where Ω = Φ Φᵀ the latents say everything, and x = Φ c.
//! let (phi, cancel) = (array![[0.5, 0.1], [0.2, -0.4], [0.0, 0.3]], Cancel::new());
//! let source = CorrelatedGaussian::<f64>::conjugate(phi.dot(&phi.t()).view(), phi.view(), &cancel)?;
//! let (mut x, mut c) = (Array2::zeros((9, 3)), Array2::zeros((9, 2)));
//! let stream = Stream::new(&[1; 8], Purpose::Sample);
//! sample(&source, &stream, 0, x.view_mut(), c.view_mut(), &cancel)?;
//! // Roots of what rounding leaves of the noise's variance.
//! assert!((x - c.dot(&phi.t())).iter().all(|gap: &f64| gap.abs() < 1e-7));
//! # Ok::<(), hmm_core::Error>(())
//! ```

use crate::features::check_weights;
use crate::source::{INPUT_NOISE_UNIT, Source, block_size};
use hmm_core::decompositions::symmetric_eigen;
use hmm_core::linalg::{matmul, matmul_add, rows, rows_mut};
use hmm_core::memory::{bytes_of, require, zero_matrix};
use hmm_core::products::gram;
use hmm_core::random::{Stream, fill_normal};
use hmm_core::{Cancel, Error, Real, Result};
use ndarray::ArrayView2;

/// Vanilla teacher-student inputs: x = c ~ N(0, 1) in N dimensions.
#[derive(Debug, Clone, Copy)]
pub struct GaussianInputs {
    /// N, the number of inputs.
    pub inputs: usize,
}

impl<T: Real> Source<T> for GaussianInputs {
    fn inputs(&self) -> usize {
        self.inputs
    }

    fn latents(&self) -> usize {
        self.inputs
    }

    fn inputs_from_latents(
        &self,
        _: &Stream,
        _: u64,
        latents: &[T],
        inputs: &mut [T],
    ) -> Result<()> {
        block_size(latents, self.inputs, inputs, self.inputs)?;
        inputs.copy_from_slice(latents);
        Ok(())
    }

    fn project(&self, weights: &[f64], units: usize) -> Result<Option<Vec<f64>>> {
        check_weights(weights, units, self.inputs)?;
        // F = √N 1, so S = w.
        Ok(Some(weights.to_vec()))
    }
}

/// Gaussian inputs with a given covariance: x = A c + B ξ, ξ ~ N(0, 1) fresh.
///
/// With A = Φ and B Bᵀ = Ω - Φ Φᵀ this is the conjugate Gaussian data of any model with
/// covariances (Ω, Φ).
pub struct CorrelatedGaussian<T> {
    inputs: usize,
    latents: usize,
    noises: usize,
    from_latents: Vec<T>,
    from_noise: Vec<T>,
}

impl<T: Real> CorrelatedGaussian<T> {
    /// From A, shape (N, D), and B, shape (N, noises).
    ///
    /// # Errors
    /// [`Error::Shape`] unless both have a row for each input, and A a column.
    pub fn new(from_latents: ArrayView2<'_, f64>, from_noise: ArrayView2<'_, f64>) -> Result<Self> {
        let ((inputs, latents), noises) = (from_latents.dim(), from_noise.ncols());
        if inputs == 0 || latents == 0 || from_noise.nrows() != inputs {
            return Err(Error::shape(
                "from_latents",
                from_latents.shape(),
                format!(
                    "must be (N, D) with the {} rows of from_noise",
                    from_noise.nrows()
                ),
                "pass Phi with one row per input",
            ));
        }
        let narrow = |values: ArrayView2<'_, f64>| values.iter().map(|&x| T::from_f64(x)).collect();
        Ok(Self {
            inputs,
            latents,
            noises,
            from_latents: narrow(from_latents),
            from_noise: narrow(from_noise),
        })
    }

    /// The conjugate data of a model with covariances Ω, shape (N, N), and Φ, shape (N, D): B Bᵀ = Ω - Φ Φᵀ.
    ///
    /// Sampling errors make the smallest eigenvalues of the difference slightly negative; they count as zero.
    ///
    /// # Errors
    /// Shapes that do not fit, entries that are not finite, [`Error::Resource`], an interruption. The decomposition
    /// takes half a second at N = 1000.
    pub fn conjugate(
        omega: ArrayView2<'_, f64>,
        phi: ArrayView2<'_, f64>,
        cancel: &Cancel,
    ) -> Result<Self> {
        let (n, _) = phi.dim();
        if omega.dim() != (n, n) {
            return Err(Error::shape(
                "Omega",
                omega.shape(),
                format!("must be (N, N) with the {n} rows of Phi"),
                "pass covariances of one model",
            ));
        }
        let what = "the conjugate of a model of so many inputs";
        require(
            bytes_of::<f64>(omega.len().saturating_mul(6)),
            what,
            "lower N",
        )?;
        let mut rest = zero_matrix((n, n), what, "lower N")?;
        gram(phi, rest.view_mut(), cancel)?;
        rest.zip_mut_with(&omega, |rest, omega| *rest = omega - *rest);
        if rest.iter().any(|x| !x.is_finite()) {
            return Err(Error::invalid(
                "Omega",
                "an array",
                "all entries of Omega - Phi Phi^T must be finite",
                "pass covariances of one model",
            ));
        }
        let (values, vectors) = symmetric_eigen(rest.view(), cancel)?;
        for (mut roots, vectors) in rest.rows_mut().into_iter().zip(vectors.rows()) {
            for ((root, vector), value) in roots.iter_mut().zip(vectors).zip(&values) {
                *root = vector * value.max(0.0).sqrt();
            }
        }
        Self::new(phi, rest.view())
    }
}

impl<T: Real> Source<T> for CorrelatedGaussian<T> {
    fn inputs(&self) -> usize {
        self.inputs
    }

    fn latents(&self) -> usize {
        self.latents
    }

    fn inputs_from_latents(
        &self,
        stream: &Stream,
        block: u64,
        latents: &[T],
        inputs: &mut [T],
    ) -> Result<()> {
        let count = block_size(latents, self.latents, inputs, self.inputs)?;
        let mut noise = vec![T::ZERO; count * self.noises];
        fill_normal(&mut stream.generator(INPUT_NOISE_UNIT, block), &mut noise);
        matmul(
            rows_mut(inputs, count, self.inputs),
            rows(latents, count, self.latents),
            rows(&self.from_latents, self.inputs, self.latents).transpose(),
            T::ONE,
        );
        matmul_add(
            rows_mut(inputs, count, self.inputs),
            rows(&noise, count, self.noises),
            rows(&self.from_noise, self.inputs, self.noises).transpose(),
            T::ONE,
        );
        Ok(())
    }

    fn project(&self, _: &[f64], _: usize) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, arr2};

    #[test]
    fn the_conjugate_has_the_covariances_of_its_model() {
        let phi = arr2(&[[0.5, 0.1], [0.2, -0.4], [0.0, 0.3]]);
        let omega = phi.dot(&phi.t()) + Array2::<f64>::eye(3) * 0.25;
        let source = CorrelatedGaussian::<f64>::conjugate(omega.view(), phi.view(), &Cancel::new());
        let source = source.unwrap();
        let root = Array2::from_shape_vec((3, 3), source.from_noise).unwrap();
        let found = root.dot(&root.t()) + phi.dot(&phi.t());
        assert!((found - omega).iter().all(|gap| gap.abs() < 1e-15));
        let narrow = arr2(&[[1.0]]);
        assert!(
            CorrelatedGaussian::<f64>::conjugate(narrow.view(), phi.view(), &Cancel::new())
                .is_err()
        );
    }
}
