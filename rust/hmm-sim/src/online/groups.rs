//! Training data: groups of consecutive blocks, made side by side.

use crate::fields::Teacher;
use crate::source::{LABEL_NOISE_UNIT, Source};
use hmm_core::random::{Stream, fill_normal};
use hmm_core::{Aligned, Cancel, Real, Result, Schedule};
use rayon::prelude::*;
use std::borrow::Cow;

/// Bytes one of the two training buffers aims at, and never exceeds by more than a block.
const GROUP_BYTES: usize = 32 << 20;

/// Consecutive training blocks with their labels.
pub(super) struct Group<T> {
    pub(super) first_block: u64,
    pub(super) blocks: usize,
    pub(super) inputs: Aligned<T>,
    latents: Vec<T>,
    /// The teacher's labels, and the same with noise if that is the same at all steps.
    clean: Vec<f64>,
    labels: Vec<T>,
}

impl<T: Real> Group<T> {
    pub(super) const fn empty() -> Self {
        Self {
            first_block: 0,
            blocks: 0,
            inputs: Aligned::empty(),
            latents: Vec::new(),
            clean: Vec::new(),
            labels: Vec::new(),
        }
    }

    pub(super) fn holds(&self, block: u64) -> bool {
        block >= self.first_block && block < self.first_block + self.blocks as u64
    }

    /// The noisy labels of `count` >= 1 samples from `first` on, all of them in this group.
    ///
    /// Noise that changes is added here and not where labels are made: a user's function is asked for the steps that
    /// are taken, never for those of a group beyond the end of a run.
    pub(super) fn labels(
        &self,
        first: u64,
        count: usize,
        noise: &LabelNoise<'_>,
    ) -> Result<Cow<'_, [T]>> {
        let size = (self.labels.len() / self.blocks) as u64;
        let offset = (first - self.first_block * size) as usize;
        if noise.sigma.constant().is_some() {
            return Ok(Cow::Borrowed(&self.labels[offset..offset + count]));
        }
        let step = |sample: u64| sample / noise.batch;
        let steps = step(first + count as u64 - 1) - step(first) + 1;
        let mut sigma = vec![0.0; steps as usize];
        noise
            .sigma
            .of_steps(step(first), noise.inputs, &mut sigma)?;
        let mut labels = Vec::with_capacity(count);
        let mut xi = vec![0.0; size as usize];
        let clean = &self.clean[offset..offset + count];
        for (sample, clean) in (first..).zip(clean) {
            if sample == first || sample % size == 0 {
                let block = sample / size;
                fill_normal(
                    &mut noise.stream.generator(LABEL_NOISE_UNIT, block),
                    &mut xi,
                );
            }
            let sigma = sigma[(step(sample) - step(first)) as usize];
            labels.push(T::from_f64(clean + sigma * xi[(sample % size) as usize]));
        }
        Ok(Cow::Owned(labels))
    }
}

/// The noise on training labels.
pub(super) struct LabelNoise<'a> {
    pub(super) sigma: &'a Schedule,
    /// Samples a step.
    pub(super) batch: u64,
    pub(super) inputs: usize,
    pub(super) stream: &'a Stream,
}

/// What it takes to make training blocks.
pub(super) struct Maker<'a, T> {
    pub(super) source: &'a dyn Source<T>,
    pub(super) teacher: &'a Teacher<T>,
    pub(super) stream: &'a Stream,
    /// σ if it is the same at all steps.
    pub(super) noise: Option<f64>,
}

impl<T: Real> Maker<'_, T> {
    /// Fill `group` with blocks from `first_block` on, in parallel.
    pub(super) fn make(
        &self,
        group: &mut Group<T>,
        first_block: u64,
        cancel: &Cancel,
    ) -> Result<()> {
        let (n, d, size) = (
            self.source.inputs(),
            self.source.latents(),
            self.source.block_rows(),
        );
        let blocks = group_blocks(self.source, rayon::current_num_threads());
        group.inputs.reset_len(blocks * size * n);
        group.latents.resize(blocks * size * d, T::ZERO);
        group.clean.resize(blocks * size, 0.0);
        group.labels.resize(blocks * size, T::ZERO);
        group.first_block = first_block;
        group.blocks = blocks;
        group
            .inputs
            .par_chunks_mut(size * n)
            .zip(group.latents.par_chunks_mut(size * d))
            .zip(group.clean.par_chunks_mut(size))
            .zip(group.labels.par_chunks_mut(size))
            .enumerate()
            .try_for_each(|(i, (((x, c), clean), y))| {
                cancel.check()?;
                self.block(first_block + i as u64, (x, c), (clean, y))
            })
    }

    /// Inputs and latents, clean and noisy labels of one block.
    fn block(
        &self,
        block: u64,
        (x, c): (&mut [T], &mut [T]),
        (clean, y): (&mut [f64], &mut [T]),
    ) -> Result<()> {
        self.source.fill(self.stream, block, c, x)?;
        let mut nu = vec![0.0; y.len() * self.teacher.v.len()];
        self.teacher.fields(x, c, &mut nu);
        self.teacher.labels(&nu, clean);
        match self.noise {
            Some(sigma) if sigma > 0.0 => {
                let mut xi = vec![0.0; y.len()];
                fill_normal(&mut self.stream.generator(LABEL_NOISE_UNIT, block), &mut xi);
                for ((label, clean), xi) in y.iter_mut().zip(clean).zip(xi) {
                    *label = T::from_f64(*clean + sigma * xi);
                }
            }
            _ => {
                for (label, clean) in y.iter_mut().zip(clean) {
                    *label = T::from_f64(*clean);
                }
            }
        }
        Ok(())
    }
}

/// Blocks in a training group: enough for every thread, within the buffer's size. Grouping never
/// changes a result.
pub(super) fn group_blocks<T: Real>(source: &dyn Source<T>, threads: usize) -> usize {
    let block = source
        .block_rows()
        .saturating_mul(source.inputs())
        .saturating_mul(size_of::<T>());
    (4 * threads).min(GROUP_BYTES / block.max(1)).max(1)
}
