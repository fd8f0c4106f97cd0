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
//! Many students can learn from one stream ([`OnlineSgd::ensemble`]): the data are made once, and each student has the
//! bits that it has alone. One whose error grows beyond all sense leaves, the others go on.
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
//! let mut run = OnlineSgd::new(
//!     source.clone(), teacher.clone(), student.clone(), rule.clone(), measurement, &[7; 8],
//! )?;
//! let cancel = Cancel::new();
//! let before = run.measure(&cancel)?.number::<f64>("eg")?;
//! run.advance(5_000, &cancel)?;
//! assert!(run.measure(&cancel)?.number::<f64>("eg")? < 0.5 * before);
//!
//! // Two students of one stream: the first is the one above.
//! let slower = Rule { lr: 0.1.into(), ..rule.clone() };
//! let members = vec![(student.clone(), rule), (student, slower)];
//! let mut both = OnlineSgd::ensemble(source, teacher, members, measurement, &[7; 8])?;
//! both.advance(5_000, &cancel)?;
//! assert_eq!(both.students().next().map(Student::first_layer), Some(run.student().first_layer()));
//! # Ok::<(), hmm_core::Error>(())
//! ```

mod groups;
mod measure;
mod member;
mod rule;
mod step;
mod stepper;
mod test_set;

pub use rule::{Rule, Student};

use crate::fields::{FieldMoments, Teacher};
use crate::source::Source;
use groups::{Data, group_blocks};
use hmm_core::random::{Purpose, Seed, Stream};
use hmm_core::{Cancel, Error, Real, Result};
use member::{Batch, Member, Samples, learn_together, together_at_most};
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
    data: Data<T>,
    measurement: Measurement,
    members: Vec<Member<T>>,
    /// Whether the run is that of its one student, and ends where it diverges, rather than an ensemble's.
    lone: bool,
    /// Samples a step.
    batch: usize,
    tests: TestSet<T>,
    step: u64,
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
        let members = vec![(student, rule)];
        let run = Self::ensemble(source, teacher, members, measurement, seed)?;
        Ok(Self { lone: true, ..run })
    }

    /// A run of many students that see the same samples, each with its own rule.
    ///
    /// # Errors
    /// As [`Self::new`]; no student, and rules that do not agree on the samples of a step.
    pub fn ensemble(
        source: Arc<dyn Source<T>>,
        teacher: Teacher<T>,
        members: Vec<(Student<T>, Rule)>,
        measurement: Measurement,
        seed: &Seed,
    ) -> Result<Self> {
        let inputs = source.inputs();
        let Some(batch) = members.first().map(|(_, rule)| rule.batch) else {
            return Err(Error::invalid(
                "student",
                "empty",
                "there is nobody to learn",
                "pass at least one student",
            ));
        };
        for (student, rule) in &members {
            if student.inputs() != inputs {
                return Err(Error::shape(
                    "student.w",
                    &[student.units(), student.inputs()],
                    format!("its rows must have length N = {inputs}"),
                    "pass a student of the data's inputs",
                ));
            }
            rule.check()?;
            if rule.batch != batch {
                return Err(Error::invalid(
                    "batch",
                    rule.batch,
                    format!("another student takes {batch} samples a step"),
                    "let all of them take as many",
                ));
            }
        }
        teacher.check_width(inputs, source.latents())?;
        for (argument, value) in [("batch", batch), ("test_size", measurement.test_size)] {
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
            data: Data::new(
                source,
                teacher,
                Stream::new(seed, Purpose::Sample),
                common_noise(&members),
            ),
            measurement,
            members: members
                .into_iter()
                .map(|(student, rule)| Member::new(student, rule))
                .collect(),
            lone: false,
            batch,
            step: 0,
        })
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The student as it is now; of an ensemble the first.
    #[expect(
        clippy::indexing_slicing,
        reason = "`ensemble` refuses a run without students"
    )]
    pub fn student(&self) -> &Student<T> {
        &self.members[0].student
    }

    /// All students as they are now. The weights of one that has diverged are zero.
    pub fn students(&self) -> impl Iterator<Item = &Student<T>> {
        self.members.iter().map(|member| &member.student)
    }

    /// Bytes a run needs beside F: training buffers, test set or its working memory, weights and their gradient.
    pub fn memory_estimate(&self, threads: usize) -> usize {
        let size = size_of::<T>();
        let source = &*self.data.source;
        let row = (source.inputs() + source.latents() + 1) * size + size_of::<f64>();
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
        let weights: usize = self.students().map(|student| student.size() * size).sum();
        (2 * group_blocks(source, threads))
            .saturating_mul(block)
            .saturating_add(test)
            .saturating_add(2 * weights)
    }

    /// Steps that the random stream lasts for.
    fn longest(&self) -> u64 {
        let most = STREAM_BLOCKS * self.data.source.block_rows() as u128 / self.batch as u128;
        u64::try_from(most).unwrap_or(u64::MAX)
    }

    /// The number of the step that `steps` more lead to.
    fn end_of(&self, steps: u64) -> Result<u64> {
        let most = self.longest();
        match self.step.checked_add(steps) {
            Some(end) if end <= most => Ok(end),
            _ => Err(Error::invalid(
                "n_steps",
                steps,
                format!(
                    "the random stream lasts for {most} steps of {} samples, of which {} are done",
                    self.batch, self.step
                ),
                "take fewer steps, or go on in a new run with another seed",
            )),
        }
    }

    /// Take `steps` steps. On an error the state is that after the last whole step.
    ///
    /// # Errors
    /// [`Error::Divergence`] if the learning rate is too large (of an ensemble: for every student),
    /// [`Error::Interrupted`] if cancelled, more steps than the random stream lasts for, and what data sources raise.
    pub fn advance(&mut self, steps: u64, cancel: &Cancel) -> Result<()> {
        self.advance_on_the_way(steps, steps, cancel)
    }

    /// The same where it is known that `to_come` steps follow, these included: their data are made ahead.
    fn advance_on_the_way(&mut self, steps: u64, to_come: u64, cancel: &Cancel) -> Result<()> {
        let end = self.end_of(steps)?;
        let known = self.step.saturating_add(to_come).min(self.longest());
        while self.step < end {
            cancel.check()?;
            self.check_somebody_learns()?;
            if self.batch > 1 {
                self.batch_step(known, cancel)?;
            } else {
                self.single_steps(end, known, cancel)?;
            }
            self.check_somebody_learns()?;
        }
        Ok(())
    }

    /// Take steps of one sample each, as far as the data go that are there; those up to step `known` will be needed.
    fn single_steps(&mut self, end: u64, known: u64, cancel: &Cancel) -> Result<()> {
        self.data.bring_forward(self.step, known, cancel)?;
        let (members, step) = (&mut self.members, &mut self.step);
        let lone = self.lone;
        let most = if lone {
            u64::MAX
        } else {
            together_at_most(members) as u64
        };
        let (outcome, made) = self.data.while_making(known, cancel, |group, stream| {
            let stop = group.end().min(end);
            while *step < stop {
                let samples = Samples {
                    group,
                    stream,
                    first: *step,
                    count: (stop - *step).min(most) as usize,
                    batch: 1,
                };
                if let (true, Some(member)) = (lone, members.first_mut()) {
                    let (done, halt) = member.learn(&samples, cancel)?;
                    *step += done;
                    return Ok(halt);
                }
                cancel.check()?;
                learn_together(members, &samples)?;
                *step += samples.count as u64;
            }
            Ok(None)
        });
        if let Some(halt) = outcome? {
            return Err(self.error(halt));
        }
        made
    }

    /// One step on a mini-batch; the samples up to step `known` will be needed.
    fn batch_step(&mut self, known: u64, cancel: &Cancel) -> Result<()> {
        let batch = self.batch as u64;
        let known = known.saturating_mul(batch);
        let (mut sample, stop) = (self.step * batch, (self.step + 1) * batch);
        let mut sums = Batch::begin(&mut self.members, self.step);
        while sample < stop {
            cancel.check()?;
            self.data.bring_forward(sample, known, cancel)?;
            let (added, made) = self.data.while_making(known, cancel, |group, stream| {
                let samples = Samples {
                    group,
                    stream,
                    first: sample,
                    count: (stop.min(group.end()) - sample) as usize,
                    batch,
                };
                sums.add(&samples)?;
                Ok::<_, Error>(samples.count)
            });
            sample += added? as u64;
            made?;
        }
        if let Some(halt) = sums.end(self.lone)? {
            return Err(self.error(halt));
        }
        self.step += 1;
        Ok(())
    }

    /// Refuse to go on where every student of an ensemble has diverged; time stands where the last one did.
    fn check_somebody_learns(&mut self) -> Result<()> {
        let mut last = 0;
        for member in &self.members {
            match member.diverged {
                None => return Ok(()),
                Some(step) => last = last.max(step),
            }
        }
        self.step = last;
        Err(Error::Divergence(format!(
            "all students of the run ({} of them) have diverged, the last one at step {last} (t = {:.6}): every lr is \
             too large; lower the learning rates (the partial result is in .result)",
            self.members.len(),
            self.time_of(last),
        )))
    }

    fn time_of(&self, step: u64) -> f64 {
        step as f64 / self.data.source.inputs() as f64
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "`ensemble` refuses a run without students"
    )]
    fn error(&self, halt: Halt) -> Error {
        match halt {
            Halt::Cancelled => Error::Interrupted,
            Halt::Diverged(delta) => {
                let t = self.time_of(self.step);
                match self.members[0].rule.lr.at(t) {
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

/// The noise on labels if it is the same for all students at all steps.
fn common_noise<T: Real>(members: &[(Student<T>, Rule)]) -> Option<f64> {
    let mut all = members.iter().map(|(_, rule)| rule.noise.constant());
    let first = all.next()?;
    all.all(|noise| noise == first).then_some(first)?
}
