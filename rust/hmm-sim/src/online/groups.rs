//! Training data: groups of consecutive blocks, made side by side.

use crate::fields::Teacher;
use crate::source::{LABEL_NOISE_UNIT, Source};
use hmm_core::random::{Stream, fill_normal};
use hmm_core::{Aligned, Cancel, Real, Result, Schedule};
use rayon::prelude::*;
use std::borrow::Cow;
use std::sync::Arc;

/// Bytes one of the two training buffers aims at, and never exceeds by more than a block.
const GROUP_BYTES: usize = 32 << 20;

/// Consecutive training blocks with their labels.
pub(super) struct Group<T> {
    pub(super) first_block: u64,
    pub(super) blocks: usize,
    pub(super) inputs: Aligned<T>,
    latents: Vec<T>,
    /// The teacher's labels, and the same with the noise that all students have at all steps, if there is such a one.
    clean: Vec<f64>,
    labels: Vec<T>,
    noise: Option<f64>,
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
            noise: None,
        }
    }

    pub(super) fn holds(&self, block: u64) -> bool {
        block >= self.first_block && block < self.first_block + self.blocks as u64
    }

    /// Rows of a block.
    fn size(&self) -> u64 {
        (self.labels.len() / self.blocks) as u64
    }

    /// Number of the first sample behind this group.
    pub(super) fn end(&self) -> u64 {
        (self.first_block + self.blocks as u64) * self.size()
    }

    /// Inputs of `count` samples from `first` on, all of them in this group.
    #[expect(
        clippy::indexing_slicing,
        reason = "`count` samples from `first` on are in this group: `Samples` are cut where it ends, and it \
                  has a row and a label for each"
    )]
    pub(super) fn rows(&self, first: u64, count: usize) -> &[T] {
        let n = self.inputs.len() / self.labels.len();
        let offset = (first - self.first_block * self.size()) as usize;
        &self.inputs[offset * n..(offset + count) * n]
    }

    /// How a part of `count` samples from `first` on is cut where blocks begin.
    pub(super) fn pieces(&self, first: u64, count: usize) -> Pieces {
        let size = self.size();
        Pieces {
            head: ((size - first % size) as usize).min(count),
            size: size as usize,
        }
    }

    /// The noisy labels of `count` >= 1 samples from `first` on, all of them in this group.
    ///
    /// Noise that changes, or that not all students have, is added here and not where labels are made: a user's function
    /// is asked for the steps that are taken, never for those of a group beyond the end of a run.
    #[expect(
        clippy::indexing_slicing,
        reason = "`count` samples from `first` on are in this group: `Samples` are cut where it ends, and it \
                  has a row and a label for each"
    )]
    pub(super) fn labels(
        &self,
        first: u64,
        count: usize,
        noise: &LabelNoise<'_>,
    ) -> Result<Cow<'_, [T]>> {
        let size = self.size();
        let offset = (first - self.first_block * size) as usize;
        let constant = noise.sigma.constant();
        if constant.is_some() && constant == self.noise {
            return Ok(Cow::Borrowed(&self.labels[offset..offset + count]));
        }
        let clean = &self.clean[offset..offset + count];
        if constant == Some(0.0) {
            return Ok(clean.iter().map(|&clean| T::from_f64(clean)).collect());
        }
        let step = |sample: u64| sample / noise.batch;
        let steps = step(first + count as u64 - 1) - step(first) + 1;
        let mut sigma = vec![0.0; steps as usize];
        noise
            .sigma
            .of_steps(step(first), noise.inputs, &mut sigma)?;
        let mut labels = Vec::with_capacity(count);
        let mut xi = vec![0.0; size as usize];
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

/// Where a run of samples is cut: after the first `head` of them, then every `size`.
#[derive(Clone, Copy)]
pub(super) struct Pieces {
    pub(super) head: usize,
    pub(super) size: usize,
}

/// The noise on training labels.
pub(super) struct LabelNoise<'a> {
    pub(super) sigma: &'a Schedule,
    /// Samples a step.
    pub(super) batch: u64,
    pub(super) inputs: usize,
    pub(super) stream: &'a Stream,
}

/// The training samples of a run: a group that is learnt from, and the next one, made at the same time.
pub(super) struct Data<T: Real> {
    pub(super) source: Arc<dyn Source<T>>,
    pub(super) teacher: Teacher<T>,
    stream: Stream,
    /// σ if it is the same for all students at all steps.
    noise: Option<f64>,
    front: Group<T>,
    back: Group<T>,
}

impl<T: Real> Data<T> {
    pub(super) fn new(
        source: Arc<dyn Source<T>>,
        teacher: Teacher<T>,
        stream: Stream,
        noise: Option<f64>,
    ) -> Self {
        Self {
            source,
            teacher,
            stream,
            noise,
            front: Group::empty(),
            back: Group::empty(),
        }
    }

    /// Let the front group be one with `sample`, if need be a new one with samples up to `end` at most.
    pub(super) fn bring_forward(&mut self, sample: u64, end: u64, cancel: &Cancel) -> Result<()> {
        let size = self.source.block_rows() as u64;
        let block = sample / size;
        if self.front.holds(block) {
            return Ok(());
        }
        if self.back.holds(block) {
            std::mem::swap(&mut self.front, &mut self.back);
            return Ok(());
        }
        let maker = Maker {
            source: &*self.source,
            teacher: &self.teacher,
            stream: &self.stream,
            noise: self.noise,
        };
        // Nobody learns meanwhile: half a group, so that learning and making side by side begin soon.
        let half = group_blocks(&*self.source, rayon::current_num_threads()).div_ceil(2) as u64;
        let wanted = (end - block * size).min(half * size);
        maker.make(&mut self.front, block, wanted, cancel)
    }

    /// Work with the front group, and make the next one at the same time where samples before `end` are left for it.
    pub(super) fn while_making<R: Send>(
        &mut self,
        end: u64,
        cancel: &Cancel,
        work: impl FnOnce(&Group<T>, &Stream) -> R + Send,
    ) -> (R, Result<()>) {
        let (front, back, stream) = (&self.front, &mut self.back, &self.stream);
        let next = front.first_block + front.blocks as u64;
        let left = end.saturating_sub(front.end());
        if left == 0 || back.holds(next) {
            return (work(front, stream), Ok(()));
        }
        let maker = Maker {
            source: &*self.source,
            teacher: &self.teacher,
            stream,
            noise: self.noise,
        };
        rayon::join(
            || work(front, stream),
            || maker.make(back, next, left, cancel),
        )
    }
}

/// What it takes to make training blocks.
struct Maker<'a, T> {
    source: &'a dyn Source<T>,
    teacher: &'a Teacher<T>,
    stream: &'a Stream,
    /// σ if it is the same for all students at all steps.
    noise: Option<f64>,
}

impl<T: Real> Maker<'_, T> {
    /// Fill `group` with blocks from `first_block` on, in parallel: so many that `wanted` more samples are there, as far
    /// as the group's size allows.
    fn make(
        &self,
        group: &mut Group<T>,
        first_block: u64,
        wanted: u64,
        cancel: &Cancel,
    ) -> Result<()> {
        let (n, d, size) = (
            self.source.inputs(),
            self.source.latents(),
            self.source.block_rows(),
        );
        let most = group_blocks(self.source, rayon::current_num_threads());
        let blocks = (most as u64).min(wanted.div_ceil(size as u64)).max(1) as usize;
        group.inputs.reset_len(blocks * size * n);
        group.latents.resize(blocks * size * d, T::ZERO);
        group.clean.resize(blocks * size, 0.0);
        group.labels.resize(blocks * size, T::ZERO);
        group.first_block = first_block;
        group.blocks = blocks;
        group.noise = self.noise;
        let made = group
            .inputs
            .par_chunks_mut(size * n)
            .zip(group.latents.par_chunks_mut(size * d))
            .zip(group.clean.par_chunks_mut(size))
            .zip(group.labels.par_chunks_mut(size))
            .enumerate()
            .try_for_each(|(i, (((x, c), clean), y))| {
                cancel.check()?;
                self.block(first_block + i as u64, (x, c), (clean, y))
            });
        if made.is_err() {
            group.blocks = 0;
        }
        made
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
        self.teacher.fields(x, c, &mut nu)?;
        self.teacher.labels(&nu, clean)?;
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
