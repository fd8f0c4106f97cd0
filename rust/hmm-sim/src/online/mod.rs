//! One-pass stochastic gradient descent of a two-layer student on a stream of samples.
//!
//! HMM paper, section II: loss ½Δ², Δ = φ(x) - y, φ(x) = Σ_k v_k g(λ_k), λ = w x/√N;
//! ```text
//! w_k <- w_k - (η/√N) v_k Δ g'(λ_k) x - (κ/N) w_k
//! v_k <- v_k - (η_v/N) Δ g(λ_k)       - (κ/N) v_k   (second layer trained)
//! ```
//! both from the old weights; time t = steps / N. Mini-batches average the gradient.
//!
//! The stepper makes the next blocks of data while it learns from the present ones. What a step
//! does depends on its number only, never on how steps are grouped into calls or threads.
//!
//! ```
//! use hmm_core::{Activation, Cancel};
//! use hmm_sim::fields::{Labels, Teacher};
//! use hmm_sim::online::{Measurement, OnlineSgd, Rule, Student};
//! use hmm_sim::gaussian::GaussianInputs;
//! use ndarray::Array;
//! use std::sync::Arc;
//!
//! let (inputs, units) = (50, 2);
//! let weights = |shift: f64| {
//!     Array::from_shape_fn((units, inputs), |(k, i)| (shift + 1.7 * (k * inputs + i) as f64).sin())
//! };
//! let (w, target, v) = (weights(0.0), weights(0.5), Array::ones(units));
//! let student = Student::<f64>::new(w.view(), v.view(), Activation::Erf)?;
//! let teacher = Teacher::new(target.view(), v.view(), Activation::Erf, Labels::Input, false)?;
//! let rule = Rule {
//!     lr: 0.5.into(),
//!     lr_v: 0.0.into(),
//!     train_second_layer: false,
//!     noise: 0.0.into(),
//!     weight_decay: 0.0.into(),
//!     batch: 1,
//! };
//! let measurement = Measurement { moments: None, centred: true, test_size: 500 };
//! let source = Arc::new(GaussianInputs { inputs });
//! let mut run = OnlineSgd::new(source, teacher, student, rule, measurement, &[7; 8])?;
//! let cancel = Cancel::new();
//! let before = run.measure(&cancel)?.number::<f64>("eg")?;
//! run.advance(5_000, &cancel)?;
//! assert!(run.measure(&cancel)?.number::<f64>("eg")? < 0.5 * before);
//! # Ok::<(), hmm_core::Error>(())
//! ```

mod groups;
mod measure;
mod rule;
mod step;
mod stepper;
mod test_set;

pub use rule::{Rule, Student};

use crate::fields::{FieldMoments, Teacher};
use crate::source::Source;
use groups::{Group, LabelNoise, Maker, group_blocks};
use hmm_core::random::{Purpose, Seed, Stream};
use hmm_core::{Cancel, Error, Real, Result};
use std::sync::Arc;
use step::Halt;
use test_set::{TEST_CACHE_BYTES, TestSet};

/// Blocks of a random stream; beyond them it repeats.
const STREAM_BLOCKS: u128 = 1 << 32;

/// What a run is given beside its networks and their rule.
#[derive(Debug, Clone, Copy)]
pub struct Measurement {
    /// b and ζ of the inputs, for order parameters from weights; without them they are averages over the test set.
    pub moments: Option<FieldMoments>,
    /// Whether the local fields are centred, so that the error follows from the order parameters.
    pub centred: bool,
    /// Samples of the test set.
    pub test_size: usize,
}

/// State of a run of one-pass SGD.
pub struct OnlineSgd<T: Real> {
    source: Arc<dyn Source<T>>,
    measurement: Measurement,
    teacher: Teacher<T>,
    student: Student<T>,
    rule: Rule,
    samples: Stream,
    tests: TestSet<T>,
    step: u64,
    front: Group<T>,
    back: Group<T>,
    gradient: Vec<T>,
}

impl<T: Real> OnlineSgd<T> {
    /// A run that has not taken a step yet.
    ///
    /// # Errors
    /// Networks whose rows do not have the length of what they see, no samples in a step or a test, a test set longer
    /// than the random stream.
    pub fn new(
        source: Arc<dyn Source<T>>,
        teacher: Teacher<T>,
        student: Student<T>,
        rule: Rule,
        measurement: Measurement,
        seed: &Seed,
    ) -> Result<Self> {
        let inputs = source.inputs();
        if student.inputs() != inputs {
            return Err(Error::shape(
                "student.w",
                &[student.units(), student.inputs()],
                format!("its rows must have length N = {inputs}"),
                "pass a student of the data's inputs",
            ));
        }
        teacher.check_width(inputs, source.latents())?;
        rule.check()?;
        for (argument, value) in [("batch", rule.batch), ("test_size", measurement.test_size)] {
            if value == 0 {
                return Err(Error::invalid(
                    argument,
                    value,
                    "at least one sample is needed",
                    "pass 1 or more",
                ));
            }
        }
        if measurement.test_size as u128 > STREAM_BLOCKS * source.block_rows() as u128 {
            return Err(Error::invalid(
                "test_size",
                measurement.test_size,
                "longer than the random stream",
                "pass a smaller one",
            ));
        }
        Ok(Self {
            tests: TestSet::new(Stream::new(seed, Purpose::Test), measurement.test_size),
            samples: Stream::new(seed, Purpose::Sample),
            source,
            measurement,
            teacher,
            student,
            rule,
            step: 0,
            front: Group::empty(),
            back: Group::empty(),
            gradient: Vec::new(),
        })
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The student as it is now.
    pub fn student(&self) -> &Student<T> {
        &self.student
    }

    /// Bytes a run needs beside F: training buffers, test set or its working memory, weights and their gradient.
    pub fn memory_estimate(&self, threads: usize) -> usize {
        let size = size_of::<T>();
        let source = &*self.source;
        let row = (source.inputs() + source.latents() + 1) * size;
        let block = source.block_rows().saturating_mul(row);
        let test = self
            .measurement
            .test_size
            .saturating_mul(source.inputs())
            .saturating_mul(size);
        let test = if test <= TEST_CACHE_BYTES {
            test
        } else {
            threads.saturating_mul(block)
        };
        (2 * group_blocks(source, threads))
            .saturating_mul(block)
            .saturating_add(test)
    }

    /// The number of the step that `steps` more lead to.
    fn end_of(&self, steps: u64) -> Result<u64> {
        let (batch, rows) = (self.rule.batch as u128, self.source.block_rows() as u128);
        let most = STREAM_BLOCKS * rows / batch;
        let end = u128::from(self.step) + u128::from(steps);
        if end > most {
            return Err(Error::invalid(
                "n_steps",
                steps,
                format!(
                    "the random stream lasts for {most} steps of {batch} samples, of which {} are done",
                    self.step
                ),
                "take fewer steps, or go on in a new run with another seed",
            ));
        }
        Ok(end as u64)
    }

    /// Take `steps` steps. On an error the state is that after the last whole step.
    ///
    /// # Errors
    /// [`Error::Divergence`] if the learning rate is too large, [`Error::Interrupted`] if cancelled, more steps than
    /// the random stream lasts for, and what data sources raise.
    pub fn advance(&mut self, steps: u64, cancel: &Cancel) -> Result<()> {
        let batch = self.rule.batch as u64;
        let size = self.source.block_rows() as u64;
        let end = self.end_of(steps)?;
        while self.step < end {
            cancel.check()?;
            let first_sample = self.step * batch;
            self.bring_forward(first_sample / size, cancel)?;
            if batch > 1 {
                self.batch_step(cancel)?;
                continue;
            }
            // Learn from the front group and make the next one at the same time.
            let group_end = (self.front.first_block + self.front.blocks as u64) * size;
            let stop = group_end.min(end);
            let offset = (first_sample - self.front.first_block * size) as usize;
            let count = (stop - first_sample) as usize;
            let n = self.source.inputs();
            let inputs = &self.front.inputs[offset * n..(offset + count) * n];
            let noise = LabelNoise {
                sigma: &self.rule.noise,
                batch,
                inputs: n,
                stream: &self.samples,
            };
            let labels = self.front.labels(first_sample, count, &noise)?;
            let next_block = self.front.first_block + self.front.blocks as u64;
            let wanted = stop == group_end && end > stop && !self.back.holds(next_block);
            let rates = self.rule.rates(self.step, count, n)?;
            let second_layer = self.rule.train_second_layer;
            let student = &mut self.student;
            let maker = Maker {
                source: &*self.source,
                teacher: &self.teacher,
                stream: &self.samples,
                noise: self.rule.noise.constant(),
            };
            let back = &mut self.back;
            let (learnt, made) = rayon::join(
                || step::learn(student, second_layer, &rates, inputs, &labels, cancel),
                || {
                    if wanted {
                        maker.make(back, next_block, cancel)
                    } else {
                        Ok(())
                    }
                },
            );
            let (done, outcome) = learnt;
            self.step += done;
            if made.is_err() {
                self.back.blocks = 0;
            }
            outcome.map_err(|halt| self.error(halt))?;
            made?;
        }
        Ok(())
    }

    /// Make the group with `block` the front group.
    fn bring_forward(&mut self, block: u64, cancel: &Cancel) -> Result<()> {
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
            stream: &self.samples,
            noise: self.rule.noise.constant(),
        };
        let made = maker.make(&mut self.front, block, cancel);
        if made.is_err() {
            self.front.blocks = 0;
        }
        made
    }

    /// One step on a mini-batch: its gradient is summed block by block in sample order.
    fn batch_step(&mut self, cancel: &Cancel) -> Result<()> {
        let (n, size) = (self.source.inputs(), self.source.block_rows() as u64);
        let rates = self.rule.rates_of(self.step, n)?;
        let mut sums =
            step::BatchGradient::start(&self.student, std::mem::take(&mut self.gradient));
        let mut sample = self.step * self.rule.batch as u64;
        let end = sample + self.rule.batch as u64;
        while sample < end {
            cancel.check()?;
            let block = sample / size;
            self.bring_forward(block, cancel)?;
            let stop = end.min((block + 1) * size);
            let offset = (sample - self.front.first_block * size) as usize;
            let count = (stop - sample) as usize;
            let noise = LabelNoise {
                sigma: &self.rule.noise,
                batch: self.rule.batch as u64,
                inputs: n,
                stream: &self.samples,
            };
            let labels = self.front.labels(sample, count, &noise)?;
            sums.add(
                &self.student,
                &self.front.inputs[offset * n..(offset + count) * n],
                &labels,
            )
            .map_err(|halt| self.error(halt))?;
            sample = stop;
        }
        self.gradient = sums.apply(&mut self.student, &self.rule, &rates);
        self.step += 1;
        Ok(())
    }

    fn error(&self, halt: Halt) -> Error {
        match halt {
            Halt::Cancelled => Error::Interrupted,
            Halt::Diverged(delta) => {
                let t = self.step as f64 / self.source.inputs() as f64;
                match self.rule.lr.at(t) {
                    Ok(lr) => Error::Divergence(format!(
                        "the student's error grew to {delta:e} at step {} (t = {t:.6}): lr = {lr} is too large; \
                         lower the learning rate (the partial result is in .result)",
                        self.step,
                    )),
                    Err(error) => error,
                }
            }
        }
    }
}
