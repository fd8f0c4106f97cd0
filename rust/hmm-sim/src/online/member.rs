//! The students of a run: one, or many that see the same samples.

use super::groups::{Group, LabelNoise};
use super::rule::{Rule, StepRates, Student};
use super::step::{self, BatchGradient, Halt};
use hmm_core::random::Stream;
use hmm_core::{Cancel, Real, Result};
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

/// Bytes of inputs that several students go through one after the other: a part of a core's second cache.
const TILE_BYTES: usize = 256 << 10;
/// Rows of a tile at least: where each begins, a student passes over its weights once more.
const TILE_ROWS: usize = 16;

/// A student with the rule by which it learns.
pub(super) struct Member<T: Real> {
    pub(super) student: Student<T>,
    pub(super) rule: Rule,
    /// Steps done when its error grew beyond all sense: it has left the run.
    pub(super) diverged: Option<u64>,
    /// Memory of the gradient of a mini-batch, between two steps.
    gradient: Vec<T>,
}

/// Consecutive samples of a group.
pub(super) struct Samples<'a, T> {
    pub(super) group: &'a Group<T>,
    pub(super) stream: &'a Stream,
    /// Number of the first sample.
    pub(super) first: u64,
    pub(super) count: usize,
    /// Samples a step.
    pub(super) batch: u64,
}

/// What a student needs beside the inputs: labels and rates, one a sample.
struct Lesson<'a, T: Real> {
    labels: Cow<'a, [T]>,
    rates: StepRates<'a>,
}

impl<T: Real> Member<T> {
    pub(super) const fn new(student: Student<T>, rule: Rule) -> Self {
        Self {
            student,
            rule,
            diverged: None,
            gradient: Vec::new(),
        }
    }

    fn labels<'a>(&self, samples: &Samples<'a, T>) -> Result<Cow<'a, [T]>> {
        let noise = LabelNoise {
            sigma: &self.rule.noise,
            batch: samples.batch,
            inputs: self.student.inputs(),
            stream: samples.stream,
        };
        samples.group.labels(samples.first, samples.count, &noise)
    }

    /// Labels and rates of `samples`, one a step. A user's functions are asked here, before anybody learns.
    fn lesson<'a>(&self, samples: &Samples<'a, T>) -> Result<Lesson<'a, T>> {
        let inputs = self.student.inputs();
        Ok(Lesson {
            labels: self.labels(samples)?,
            rates: self.rule.rates(samples.first, samples.count, inputs)?,
        })
    }

    /// Learn from all of `samples`, or as many as there are before it is cancelled or diverges.
    pub(super) fn learn(
        &mut self,
        samples: &Samples<'_, T>,
        cancel: &Cancel,
    ) -> Result<(u64, Option<Halt>)> {
        let lesson = self.lesson(samples)?;
        let inputs = samples.group.rows(samples.first, samples.count);
        Ok(self.follow(&lesson, inputs, 0..samples.count, cancel))
    }

    /// Learn from a part of the samples of a lesson.
    #[expect(
        clippy::indexing_slicing,
        reason = "a part of the samples of the lesson, which has a label and a row for each of them"
    )]
    fn follow(
        &mut self,
        lesson: &Lesson<'_, T>,
        inputs: &[T],
        part: Range<usize>,
        cancel: &Cancel,
    ) -> (u64, Option<Halt>) {
        let n = self.student.inputs();
        let (done, outcome) = step::learn(
            &mut self.student,
            self.rule.train_second_layer,
            &lesson.rates.part(part.clone()),
            &inputs[part.start * n..part.end * n],
            &lesson.labels[part],
            cancel,
        );
        (done, outcome.err())
    }

    /// Leave the run: the weights of a student that has diverged are of no use to anybody, and may not even be numbers.
    fn leave(&mut self, step: u64) {
        self.diverged = Some(step);
        self.student.clear();
    }

    pub(super) const fn learns(&self) -> bool {
        self.diverged.is_none()
    }
}

/// Samples that all members can learn from within some tens of milliseconds.
pub(super) fn together_at_most<T: Real>(members: &[Member<T>]) -> usize {
    let weights: usize = members.iter().map(|member| member.student.size()).sum();
    ((1 << 27) / weights.max(1)).max(1)
}

/// Let every member that still learns do so from all of `samples`, side by side.
///
/// Each student has the bits that it has alone: they share nothing but what they read. Those whose error grows beyond
/// all sense leave.
pub(super) fn learn_together<T: Real>(
    members: &mut [Member<T>],
    samples: &Samples<'_, T>,
) -> Result<()> {
    let mut learning: Vec<(&mut Member<T>, Lesson<'_, T>)> = members
        .iter_mut()
        .filter(|member| member.learns())
        .map(|member| {
            let lesson = member.lesson(samples)?;
            Ok((member, lesson))
        })
        .collect::<Result<_>>()?;
    let inputs = samples.group.rows(samples.first, samples.count);
    // Nobody stops half-way: all of them are at the same step after it.
    let never = Cancel::new();
    let tasks = 2 * rayon::current_num_threads();
    let share = learning.len().div_ceil(tasks).max(1);
    let rows = (TILE_BYTES / (size_of_val(inputs) / samples.count).max(1)).max(TILE_ROWS);
    let tile = if share == 1 { samples.count } else { rows };
    learning.par_chunks_mut(share).for_each(|few| {
        for start in (0..samples.count).step_by(tile.max(1)) {
            let part = start..samples.count.min(start + tile);
            for (member, lesson) in few.iter_mut().filter(|(member, _)| member.learns()) {
                let (done, halt) = member.follow(lesson, inputs, part.clone(), &never);
                if halt.is_some() {
                    member.leave(samples.first + start as u64 + done);
                }
            }
        }
    });
    Ok(())
}

/// A step of every member that still learns on one mini-batch, whose samples come part by part.
pub(super) struct Batch<'a, T: Real> {
    learning: Vec<(&'a mut Member<T>, BatchGradient<T>, Option<Halt>)>,
    step: u64,
}

impl<'a, T: Real> Batch<'a, T> {
    /// No sample yet.
    pub(super) fn begin(members: &'a mut [Member<T>], step: u64) -> Self {
        let learning = members.iter_mut().filter(|member| member.learns());
        Self {
            learning: learning
                .map(|member| {
                    let memory = std::mem::take(&mut member.gradient);
                    let sums = BatchGradient::start(&member.student, memory);
                    (member, sums, None)
                })
                .collect(),
            step,
        }
    }

    /// Add the next samples.
    pub(super) fn add(&mut self, samples: &Samples<'_, T>) -> Result<()> {
        let inputs = samples.group.rows(samples.first, samples.count);
        let pieces = samples.group.pieces(samples.first, samples.count);
        self.learning
            .par_iter_mut()
            .filter(|(_, _, halt)| halt.is_none())
            .try_for_each(|(member, sums, halt)| {
                let labels = member.labels(samples)?;
                *halt = sums.add(&member.student, inputs, &labels, pieces).err();
                Ok(())
            })
    }

    /// Take the step; those whose error grew beyond all sense do not.
    ///
    /// Returns that error if the student is alone, who must not leave but end the run.
    pub(super) fn end(self, lone: bool) -> Result<Option<Halt>> {
        let mut ready = Vec::with_capacity(self.learning.len());
        for (member, sums, halt) in self.learning {
            match halt {
                None => {
                    let rates = member.rule.rates_of(self.step, member.student.inputs())?;
                    ready.push((member, sums, rates));
                }
                Some(halt) if lone => return Ok(Some(halt)),
                Some(_) => member.leave(self.step),
            }
        }
        for (member, sums, rates) in ready {
            member.gradient = sums.apply(&mut member.student, &member.rule, &rates);
        }
        Ok(None)
    }
}
