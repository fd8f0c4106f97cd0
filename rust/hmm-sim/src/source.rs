//! A source of labelled-by-latents data: inputs in blocks, each a function of its number alone.

use hmm_core::linalg::{matmul, rows, rows_mut};
use hmm_core::random::{Stream, fill_normal};
use hmm_core::{Cancel, Error, Real, Result};
use rayon::prelude::*;

/// Unit of a sample stream that holds the latents.
pub const LATENT_UNIT: u32 = 0;
/// Unit of a sample stream that holds noise inside the inputs.
pub const INPUT_NOISE_UNIT: u32 = 1;
/// Unit of a sample stream that holds noise on the labels.
pub const LABEL_NOISE_UNIT: u32 = 2;

/// Inputs x (N of them) with the latents c (D of them) they were made from.
///
/// Samples come in blocks of [`Source::block_rows`] rows; sample j of a stream is row
/// `j % block_rows` of block `j / block_rows`, whatever was asked for before.
pub trait Source<T: Real>: Send + Sync {
    /// N, the number of inputs.
    fn inputs(&self) -> usize;

    /// D, the number of latents.
    fn latents(&self) -> usize;

    /// Fill `inputs` (block_rows x N) from `latents` (block_rows x D) in block `block` of `stream`.
    ///
    /// `stream` serves noise inside the inputs; the latents are there already.
    fn inputs_from_latents(
        &self,
        stream: &Stream,
        block: u64,
        latents: &[T],
        inputs: &mut [T],
    ) -> Result<()>;

    /// Rows of a block. A function of N alone, never of the number of threads.
    fn block_rows(&self) -> usize {
        // 128 rows amortise the packing of F; a block of many inputs must still leave all cores
        // something to do within a modest buffer.
        (1_usize << 19)
            .checked_div(self.inputs())
            .map_or(128, |rows| rows.next_power_of_two().clamp(16, 128))
    }

    /// Latents ~ N(0, 1) and inputs of block `block` of `stream`.
    fn fill(&self, stream: &Stream, block: u64, latents: &mut [T], inputs: &mut [T]) -> Result<()> {
        fill_normal(&mut stream.generator(LATENT_UNIT, block), latents);
        self.inputs_from_latents(stream, block, latents, inputs)
    }

    /// Weights seen from the latents: S = w F / √N, (units x D) for w (units x N); `None` where
    /// the inputs are not a nonlinearity of linear features.
    fn project(&self, weights: &[f64], units: usize) -> Option<Vec<f64>>;
}

/// Samples `start..start + count` of `stream` into `inputs` (count x N) and `latents` (count x D).
pub fn sample<T: Real>(
    source: &dyn Source<T>,
    stream: &Stream,
    start: u64,
    inputs: &mut [T],
    latents: &mut [T],
    cancel: &Cancel,
) -> Result<()> {
    let (n, d, size) = (source.inputs(), source.latents(), source.block_rows());
    let count = inputs.len() / n;
    let offset = (start % size as u64) as usize;
    let first = start / size as u64;
    // The first piece ends at a block boundary; all others but the last are whole blocks.
    let head = (size - offset).min(count);
    let (head_inputs, inputs) = inputs.split_at_mut(head * n);
    let (head_latents, latents) = latents.split_at_mut(head * d);
    std::iter::once((first, offset, head_inputs, head_latents))
        .chain(
            inputs
                .chunks_mut(size * n)
                .zip(latents.chunks_mut(size * d))
                .zip(first + 1..)
                .map(|((x, c), block)| (block, 0, x, c)),
        )
        .collect::<Vec<_>>()
        .into_par_iter()
        .try_for_each(|(block, offset, x, c)| {
            cancel.check()?;
            if x.len() == size * n {
                return source.fill(stream, block, c, x);
            }
            // Part of a block: make all of it, so that its bits cannot depend on the part.
            let mut all_latents = vec![T::ZERO; size * d];
            let mut all_inputs = vec![T::ZERO; size * n];
            source.fill(stream, block, &mut all_latents, &mut all_inputs)?;
            c.copy_from_slice(&all_latents[offset * d..offset * d + c.len()]);
            x.copy_from_slice(&all_inputs[offset * n..offset * n + x.len()]);
            Ok(())
        })
}

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
        inputs.copy_from_slice(latents);
        Ok(())
    }

    fn project(&self, weights: &[f64], _: usize) -> Option<Vec<f64>> {
        // F = √N 1, so S = w.
        Some(weights.to_vec())
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
    /// From A (N x D) and B (N x noises), row-major.
    pub fn new(
        inputs: usize,
        latents: usize,
        from_latents: &[f64],
        from_noise: &[f64],
    ) -> Result<Self> {
        if inputs == 0
            || latents == 0
            || from_latents.len() != inputs * latents
            || !from_noise.len().is_multiple_of(inputs)
        {
            return Err(Error::shape(
                "from_latents",
                &[from_latents.len()],
                format!("must hold N x D = {inputs} x {latents} entries"),
                "pass Phi with one row per input",
            ));
        }
        Ok(Self {
            inputs,
            latents,
            noises: from_noise.len() / inputs,
            from_latents: from_latents.iter().map(|&x| T::from_f64(x)).collect(),
            from_noise: from_noise.iter().map(|&x| T::from_f64(x)).collect(),
        })
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
        let count = latents.len() / self.latents;
        let mut noise = vec![T::ZERO; count * self.noises];
        fill_normal(&mut stream.generator(INPUT_NOISE_UNIT, block), &mut noise);
        matmul(
            rows_mut(inputs, count, self.inputs),
            rows(latents, count, self.latents),
            rows(&self.from_latents, self.inputs, self.latents).transpose(),
            T::ONE,
        );
        hmm_core::linalg::matmul_add(
            rows_mut(inputs, count, self.inputs),
            rows(&noise, count, self.noises),
            rows(&self.from_noise, self.inputs, self.noises).transpose(),
            T::ONE,
        );
        Ok(())
    }

    fn project(&self, _: &[f64], _: usize) -> Option<Vec<f64>> {
        None
    }
}
