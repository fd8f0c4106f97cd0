//! Training data: groups of consecutive blocks, made side by side.

use crate::fields::Teacher;
use crate::source::{LABEL_NOISE_UNIT, Source};
use hmm_core::random::{Stream, fill_normal};
use hmm_core::{Aligned, Cancel, Real, Result};
use rayon::prelude::*;

/// Bytes one of the two training buffers aims at, and never exceeds by more than a block.
const GROUP_BYTES: usize = 32 << 20;

/// Consecutive training blocks with their labels.
pub(super) struct Group<T> {
    pub(super) first_block: u64,
    pub(super) blocks: usize,
    pub(super) inputs: Aligned<T>,
    latents: Vec<T>,
    pub(super) labels: Vec<T>,
}

impl<T: Real> Group<T> {
    pub(super) const fn empty() -> Self {
        Self {
            first_block: 0,
            blocks: 0,
            inputs: Aligned::empty(),
            latents: Vec::new(),
            labels: Vec::new(),
        }
    }

    pub(super) fn holds(&self, block: u64) -> bool {
        block >= self.first_block && block < self.first_block + self.blocks as u64
    }
}

/// What it takes to make training blocks.
pub(super) struct Maker<'a, T> {
    pub(super) source: &'a dyn Source<T>,
    pub(super) teacher: &'a Teacher<T>,
    pub(super) stream: &'a Stream,
    pub(super) noise: f64,
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
        group.labels.resize(blocks * size, T::ZERO);
        group.first_block = first_block;
        group.blocks = blocks;
        group
            .inputs
            .par_chunks_mut(size * n)
            .zip(group.latents.par_chunks_mut(size * d))
            .zip(group.labels.par_chunks_mut(size))
            .enumerate()
            .try_for_each(|(i, ((x, c), y))| {
                cancel.check()?;
                self.block(first_block + i as u64, x, c, y)
            })
    }

    /// Inputs, latents and (noisy) labels of one block.
    fn block(&self, block: u64, x: &mut [T], c: &mut [T], y: &mut [T]) -> Result<()> {
        self.source.fill(self.stream, block, c, x)?;
        let mut nu = vec![0.0; y.len() * self.teacher.v.len()];
        let mut clean = vec![0.0; y.len()];
        self.teacher.fields(x, c, &mut nu);
        self.teacher.labels(&nu, &mut clean);
        if self.noise > 0.0 {
            let mut xi = vec![0.0; y.len()];
            fill_normal(&mut self.stream.generator(LABEL_NOISE_UNIT, block), &mut xi);
            for (label, xi) in clean.iter_mut().zip(xi) {
                *label += self.noise * xi;
            }
        }
        for (label, clean) in y.iter_mut().zip(clean) {
            *label = T::from_f64(clean);
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
