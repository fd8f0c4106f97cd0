//! The arithmetic of single steps: memory-bound, so every pass over the weights counts.

use super::groups::Pieces;
use super::rule::{Decay, Rates, Rule, StepRates, Student};
use crate::activation::values_and_slopes;
use hmm_core::linalg::{matmul, matmul_add, rows, rows_mut};
use hmm_core::{Cancel, Real};
use rayon::prelude::*;
use std::ops::Range;

/// |Δ| beyond which the run counts as diverged: sensible errors are of order one.
const DIVERGED: f64 = 1e8;

/// Whether an error is beyond all sense, or not a number at all.
#[inline(always)]
fn diverged<T: Real>(delta: T) -> bool {
    !delta.finite() || delta.to_f64().abs() > DIVERGED
}

/// Why learning stopped before its end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Halt {
    /// The output error of the next step is beyond all sense.
    Diverged(f64),
    /// The cancel flag is up.
    Cancelled,
}

/// The rates of one step in the units of its arithmetic.
#[derive(Clone, Copy)]
struct Pace<T> {
    /// η/√N
    rate: T,
    /// η_v/N
    rate_v: T,
    /// 1 - κ/N
    decay: Decay<T>,
}

impl<T: Real> Pace<T> {
    fn new(rates: &Rates, inputs: usize) -> Self {
        Self {
            rate: T::from_f64(rates.lr / (inputs as f64).sqrt()),
            rate_v: T::from_f64(rates.lr_v / inputs as f64),
            decay: Decay::new(rates.weight_decay, inputs),
        }
    }
}

/// Learn from consecutive samples, one step each. Returns the steps done and why there are no more; the weights are
/// those after the last whole step.
pub(super) fn learn<T: Real>(
    student: &mut Student<T>,
    second_layer: bool,
    rates: &StepRates<'_>,
    inputs: &[T],
    labels: &[T],
    cancel: &Cancel,
) -> (u64, Result<(), Halt>) {
    let n = student.inputs();
    match rates {
        StepRates::Same(rates) => {
            let paces = std::iter::repeat(Pace::new(rates, n));
            learn_at(paces, student, second_layer, inputs, labels, cancel)
        }
        StepRates::Each(rates) => {
            let paces = rates.iter().map(|rates| Pace::new(rates, n));
            learn_at(paces, student, second_layer, inputs, labels, cancel)
        }
    }
}

/// The same at the pace of each step.
#[expect(
    clippy::indexing_slicing,
    reason = "all four vectors have an entry for each unit, as v has"
)]
fn learn_at<T: Real>(
    paces: impl Iterator<Item = Pace<T>>,
    student: &mut Student<T>,
    second_layer: bool,
    inputs: &[T],
    labels: &[T],
    cancel: &Cancel,
) -> (u64, Result<(), Halt>) {
    let (n, units) = (student.inputs(), student.units());
    let mut lambda = vec![T::ZERO; units];
    let mut change = vec![T::ZERO; units];
    // g(λ) and g'(λ) of all units.
    let mut values = vec![T::ZERO; units];
    let mut slopes = vec![T::ZERO; units];
    let mut keep = T::ONE;
    let mut previous: Option<&[T]> = None;
    let mut done = 0;
    let mut outcome = Ok(());
    for ((x, &y), pace) in inputs.chunks_exact(n).zip(labels).zip(paces) {
        if cancel.is_raised() {
            outcome = Err(Halt::Cancelled);
            break;
        }
        // The update of the step before and the local fields of this one in a single pass.
        for ((w, field), &change) in student.w.chunks_exact_mut(n).zip(&mut lambda).zip(&change) {
            *field = match previous {
                None => T::dot(w, x),
                Some(before) => T::update_dot(w, keep, change, before, x),
            };
        }
        let scale = T::from_f64(student.scale / (n as f64).sqrt());
        for field in &mut lambda {
            *field *= scale;
        }
        values.copy_from_slice(&lambda);
        slopes.copy_from_slice(&lambda);
        values_and_slopes(student.unit, &mut values, &mut slopes);
        let output_scale = T::from_f64(student.output_scale);
        let output: T = values
            .iter()
            .zip(&student.v)
            .map(|(&g, &v)| output_scale * v * g)
            .sum();
        let delta = output - y;
        if diverged(delta) {
            // The update of the step before is already in the weights.
            return (done, Err(Halt::Diverged(delta.to_f64())));
        }
        keep = pace.decay.shrink(student, second_layer);
        let (growth, growth_v) = (
            T::from_f64(1.0 / student.scale),
            T::from_f64(1.0 / student.output_scale),
        );
        for (k, v) in student.v.iter_mut().enumerate() {
            change[k] = -pace.rate * (output_scale * *v) * delta * slopes[k] * growth;
            if second_layer {
                *v = *v * keep - pace.rate_v * delta * values[k] * growth_v;
            }
        }
        previous = Some(x);
        done += 1;
    }
    if let Some(before) = previous {
        for (w, &change) in student.w.chunks_exact_mut(n).zip(&change) {
            T::update(w, keep, change, before);
        }
    }
    (done, outcome)
}

/// Local fields λ = X wᵀ/√N of a block of samples, rows x K.
pub(super) fn local_fields<T: Real>(student: &Student<T>, inputs: &[T]) -> Vec<T> {
    let (units, n) = (student.units(), student.inputs());
    let count = inputs.len() / n;
    let mut lambda = vec![T::ZERO; units * count];
    matmul(
        rows_mut(&mut lambda, count, units),
        rows(inputs, count, n),
        rows(&student.w, units, n).transpose(),
        T::from_f64(student.scale / (n as f64).sqrt()),
    );
    lambda
}

/// Columns of the gradient of a mini-batch that are summed together.
const COLUMNS: usize = 256;
/// Products of two numbers that are worth a task of their own.
const TASK: usize = 1 << 16;

/// The coefficients Δ v_k g'(λ_k) of the samples of a piece, and what they add to the second layer's gradient.
type Coefficients<T> = (Vec<T>, Vec<T>);

/// Gradient of a mini-batch, summed piece by piece in sample order.
///
/// Fields are taken piece by piece, products columns by columns, in parallel: both cuts are fixed, so that the bits do
/// not depend on the number of threads, nor on how much of a batch is there at a time.
pub(super) struct BatchGradient<T> {
    /// Σ Δ v_k g'(λ_k) x: K rows of the first [`COLUMNS`] columns, then of the next.
    w: Vec<T>,
    /// Σ Δ g(λ_k)
    v: Vec<T>,
}

impl<T: Real> BatchGradient<T> {
    /// Zero, in the memory of an earlier one.
    pub(super) fn start(student: &Student<T>, memory: Vec<T>) -> Self {
        let mut w = memory;
        w.clear();
        w.resize(student.w.len(), T::ZERO);
        Self {
            w,
            v: vec![T::ZERO; student.v.len()],
        }
    }

    /// Add samples; an error if the run has diverged.
    #[expect(
        clippy::indexing_slicing,
        reason = "pieces cut the range of the labels, and inputs hold a row for each of them: `Group::rows` \
                  and `labels` gave both"
    )]
    pub(super) fn add(
        &mut self,
        student: &Student<T>,
        inputs: &[T],
        labels: &[T],
        cut: Pieces,
    ) -> Result<(), Halt> {
        let (units, n) = (student.units(), student.inputs());
        let starts = std::iter::once(0).chain((cut.head..labels.len()).step_by(cut.size));
        let ends = (cut.head..labels.len())
            .step_by(cut.size)
            .chain(std::iter::once(labels.len()));
        let pieces: Vec<Range<usize>> = starts.zip(ends).map(|(start, end)| start..end).collect();
        let worth = |products: usize| (TASK / products.max(1)).max(1);
        // The coefficients Δ v_k g'(λ_k) of every sample, and what the pieces add to the second layer.
        let parts: Vec<Result<Coefficients<T>, Halt>> = pieces
            .par_iter()
            .with_min_len(worth(cut.size * n * units))
            .map(|piece| {
                let rows = &inputs[piece.start * n..piece.end * n];
                coefficients(student, rows, &labels[piece.clone()])
            })
            .collect();
        let parts = parts.into_iter().collect::<Result<Vec<_>, Halt>>()?;
        for (_, part) in &parts {
            for (sum, &part) in self.v.iter_mut().zip(part) {
                *sum += part;
            }
        }
        self.w
            .par_chunks_mut(COLUMNS * units)
            .with_min_len(worth(labels.len() * COLUMNS * units))
            .enumerate()
            .for_each(|(chunk, sums)| {
                let columns = sums.len() / units;
                for (piece, (slopes, _)) in pieces.iter().zip(&parts) {
                    let (count, inputs) = (piece.len(), &inputs[piece.start * n..piece.end * n]);
                    matmul_add(
                        rows_mut(sums, units, columns),
                        rows(slopes, count, units).transpose(),
                        rows(inputs, count, n).subcols(chunk * COLUMNS, columns),
                        T::ONE,
                    );
                }
            });
        Ok(())
    }

    /// Take the step at these rates; returns the memory for the next batch.
    #[expect(
        clippy::indexing_slicing,
        reason = "a stretch of the gradient has K rows of its columns, as `start` and `add` lay it out"
    )]
    pub(super) fn apply(self, student: &mut Student<T>, rule: &Rule, rates: &Rates) -> Vec<T> {
        let (units, n) = (student.units(), student.inputs());
        let keep = Decay::new(rates.weight_decay, n).shrink(student, rule.train_second_layer);
        let rate = rates.lr / ((n as f64).sqrt() * rule.batch as f64);
        let rate_v = rates.lr_v / (n as f64 * rule.batch as f64);
        let (rate, rate_v) = (
            T::from_f64(rate / student.scale),
            T::from_f64(rate_v / student.output_scale),
        );
        student
            .w
            .par_chunks_mut(n)
            .with_min_len((TASK / n).max(1))
            .enumerate()
            .for_each(|(k, w)| {
                for (w, sums) in w.chunks_mut(COLUMNS).zip(self.w.chunks(COLUMNS * units)) {
                    let sums = &sums[k * w.len()..(k + 1) * w.len()];
                    for (w, &gradient) in w.iter_mut().zip(sums) {
                        *w = *w * keep - rate * gradient;
                    }
                }
            });
        if rule.train_second_layer {
            for (v, &gradient) in student.v.iter_mut().zip(&self.v) {
                *v = *v * keep - rate_v * gradient;
            }
        }
        self.w
    }
}

/// The coefficients Δ v_k g'(λ_k) of samples, rows x K, and Σ Δ g(λ_k) over them; an error if the run has diverged.
#[expect(
    clippy::indexing_slicing,
    reason = "`chunks_exact` gives rows of K, and v and the sums have K entries"
)]
fn coefficients<T: Real>(
    student: &Student<T>,
    inputs: &[T],
    labels: &[T],
) -> Result<Coefficients<T>, Halt> {
    let units = student.units();
    let lambda = local_fields(student, inputs);
    let (mut values, mut slopes) = (lambda.clone(), lambda);
    values_and_slopes(student.unit, &mut values, &mut slopes);
    let output_scale = T::from_f64(student.output_scale);
    let mut sums = vec![T::ZERO; units];
    for ((values, slopes), &y) in values
        .chunks_exact(units)
        .zip(slopes.chunks_exact_mut(units))
        .zip(labels)
    {
        let output: T = values
            .iter()
            .zip(&student.v)
            .map(|(&g, &v)| output_scale * v * g)
            .sum();
        let delta = output - y;
        if diverged(delta) {
            return Err(Halt::Diverged(delta.to_f64()));
        }
        for k in 0..units {
            // The slope's place becomes the coefficient.
            slopes[k] *= delta * (output_scale * student.v[k]);
            sums[k] += delta * values[k];
        }
    }
    Ok((slopes, sums))
}
