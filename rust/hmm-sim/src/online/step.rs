//! The arithmetic of single steps: memory-bound, so every pass over the weights counts.

use super::rule::{Decay, Rates, Rule, StepRates, Student};
use crate::activation::values_and_slopes;
use hmm_core::linalg::{matmul, matmul_add, rows, rows_mut};
use hmm_core::{Cancel, Real};

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
    rates: &StepRates,
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

/// Gradient of a mini-batch, summed piece by piece.
pub(super) struct BatchGradient<T> {
    /// Σ Δ v_k g'(λ_k) x, K x N.
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
    pub(super) fn add(
        &mut self,
        student: &Student<T>,
        inputs: &[T],
        labels: &[T],
    ) -> Result<(), Halt> {
        let (units, n) = (student.units(), student.inputs());
        let lambda = local_fields(student, inputs);
        let (mut values, mut slopes) = (lambda.clone(), lambda);
        values_and_slopes(student.unit, &mut values, &mut slopes);
        let output_scale = T::from_f64(student.output_scale);
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
                // The slope's place becomes the coefficient Δ v_k g'(λ_k) of the sample.
                slopes[k] *= delta * (output_scale * student.v[k]);
                self.v[k] += delta * values[k];
            }
        }
        matmul_add(
            rows_mut(&mut self.w, units, n),
            rows(&slopes, labels.len(), units).transpose(),
            rows(inputs, labels.len(), n),
            T::ONE,
        );
        Ok(())
    }

    /// Take the step at these rates; returns the memory for the next batch.
    pub(super) fn apply(self, student: &mut Student<T>, rule: &Rule, rates: &Rates) -> Vec<T> {
        let n = student.inputs();
        let keep = Decay::new(rates.weight_decay, n).shrink(student, rule.train_second_layer);
        let rate = rates.lr / ((n as f64).sqrt() * rule.batch as f64);
        let rate_v = rates.lr_v / (n as f64 * rule.batch as f64);
        let (rate, rate_v) = (
            T::from_f64(rate / student.scale),
            T::from_f64(rate_v / student.output_scale),
        );
        for (w, &gradient) in student.w.iter_mut().zip(&self.w) {
            *w = *w * keep - rate * gradient;
        }
        if rule.train_second_layer {
            for (v, &gradient) in student.v.iter_mut().zip(&self.v) {
                *v = *v * keep - rate_v * gradient;
            }
        }
        self.w
    }
}
