//! The arithmetic of single steps: memory-bound, so every pass over the weights counts.

use super::{Rule, Student};
use hmm_core::Real;
use hmm_core::linalg::{matmul, matmul_add, rows, rows_mut};
use hmm_core::special::{map_in_place, vectorised};

/// |Δ| beyond which the run counts as diverged: sensible errors are of order one.
const DIVERGED: f64 = 1e8;

/// Whether an error is beyond all sense, or not a number at all.
#[inline(always)]
fn diverged<T: Real>(delta: T) -> bool {
    !delta.finite() || delta.to_f64().abs() > DIVERGED
}

/// Learn from consecutive samples, one step each. Returns the steps done and, if the run
/// diverged in the step after them, the offending Δ.
pub(super) fn learn<T: Real>(
    student: &mut Student<T>,
    rule: &Rule,
    n: usize,
    inputs: &[T],
    labels: &[T],
) -> (u64, Result<(), f64>) {
    let units = student.v.len();
    let scale = T::from_f64(1.0 / (n as f64).sqrt());
    let rate = T::from_f64(rule.lr / (n as f64).sqrt());
    let rate_v = T::from_f64(rule.lr_v / n as f64);
    let keep = T::from_f64(1.0 - rule.weight_decay / n as f64);
    let mut lambda = vec![T::ZERO; units];
    let mut change = vec![T::ZERO; units];
    // g(λ) and g'(λ) of all units.
    let mut values = vec![T::ZERO; units];
    let mut slopes = vec![T::ZERO; units];
    let mut previous: Option<&[T]> = None;
    let mut done = 0;
    for (x, &y) in inputs.chunks_exact(n).zip(labels) {
        // The update of the step before and the local fields of this one in a single pass.
        for ((w, field), &change) in student.w.chunks_exact_mut(n).zip(&mut lambda).zip(&change) {
            *field = match previous {
                None => T::dot(w, x),
                Some(before) => T::update_dot(w, keep, change, before, x),
            };
        }
        for field in &mut lambda {
            *field *= scale;
        }
        values.copy_from_slice(&lambda);
        slopes.copy_from_slice(&lambda);
        let unit = student.unit;
        vectorised(
            #[inline(always)]
            || {
                for (value, slope) in values.iter_mut().zip(&mut slopes) {
                    *value = unit.value(*value);
                    *slope = unit.slope(*slope);
                }
            },
        );
        let output: T = values.iter().zip(&student.v).map(|(&g, &v)| v * g).sum();
        let delta = output - y;
        if diverged(delta) {
            // The update of the step before is already in the weights.
            return (done, Err(delta.to_f64()));
        }
        for (k, v) in student.v.iter_mut().enumerate() {
            change[k] = -rate * *v * delta * slopes[k];
            if rule.train_second_layer {
                *v = *v * keep - rate_v * delta * values[k];
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
    (done, Ok(()))
}

/// Local fields λ = X wᵀ/√N of a block of samples, rows x K.
pub(super) fn local_fields<T: Real>(student: &Student<T>, n: usize, inputs: &[T]) -> Vec<T> {
    let (units, count) = (student.v.len(), inputs.len() / n);
    let mut lambda = vec![T::ZERO; units * count];
    matmul(
        rows_mut(&mut lambda, count, units),
        rows(inputs, count, n),
        rows(&student.w, units, n).transpose(),
        T::from_f64(1.0 / (n as f64).sqrt()),
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

    /// Add samples; `Err(Δ)` if the run has diverged.
    pub(super) fn add(
        &mut self,
        student: &Student<T>,
        n: usize,
        inputs: &[T],
        labels: &[T],
    ) -> Result<(), f64> {
        let units = student.v.len();
        let lambda = local_fields(student, n, inputs);
        let (mut values, mut slopes) = (lambda.clone(), lambda);
        let unit = student.unit;
        map_in_place(
            &mut values,
            #[inline(always)]
            move |x| unit.value(x),
        );
        map_in_place(
            &mut slopes,
            #[inline(always)]
            move |x| unit.slope(x),
        );
        for ((values, slopes), &y) in values
            .chunks_exact(units)
            .zip(slopes.chunks_exact_mut(units))
            .zip(labels)
        {
            let output: T = values.iter().zip(&student.v).map(|(&g, &v)| v * g).sum();
            let delta = output - y;
            if diverged(delta) {
                return Err(delta.to_f64());
            }
            for k in 0..units {
                // The slope's place becomes the coefficient Δ v_k g'(λ_k) of the sample.
                slopes[k] *= delta * student.v[k];
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

    /// Take the step; returns the memory for the next batch.
    pub(super) fn apply(self, student: &mut Student<T>, rule: &Rule, n: usize) -> Vec<T> {
        let rate = T::from_f64(rule.lr / ((n as f64).sqrt() * rule.batch as f64));
        let rate_v = T::from_f64(rule.lr_v / (n as f64 * rule.batch as f64));
        let keep = T::from_f64(1.0 - rule.weight_decay / n as f64);
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
