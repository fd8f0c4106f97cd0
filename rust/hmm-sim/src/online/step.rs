//! The arithmetic of single steps: memory-bound, so every pass over the weights counts.

use super::{Rule, Student};
use hmm_core::Real;
use hmm_core::linalg::{matmul, matmul_add, rows, rows_mut};
use hmm_core::special::vectorised;

/// |Δ| beyond which the run counts as diverged: sensible errors are of order one.
const DIVERGED: f64 = 1e8;

/// Accumulators per unit in a dot product: their order fixes the result's bits.
const LANES: usize = 16;

/// Units handled in one pass over a sample, so that their accumulators stay in registers.
const UNITS_PER_PASS: usize = 4;

/// Learn from consecutive samples, one step each. Returns the steps done and, if the run
/// diverged in the step after them, the offending Δ.
pub(super) fn learn<T: Real>(
    student: &mut Student<T>,
    rule: &Rule,
    n: usize,
    inputs: &[T],
    labels: &[T],
) -> (u64, Result<(), f64>) {
    vectorised(
        #[inline(always)]
        || learn_rows(student, rule, n, inputs, labels),
    )
}

#[inline(always)]
fn learn_rows<T: Real>(
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
    let mut previous: Option<&[T]> = None;
    let mut done = 0;
    for (x, &y) in inputs.chunks_exact(n).zip(labels) {
        // The update of the step before and the local fields of this one in a single pass.
        match previous {
            None => fields_only(&student.w, n, x, &mut lambda),
            Some(before) => {
                update_then_fields(&mut student.w, n, before, &change, keep, x, &mut lambda);
            }
        }
        let mut output = T::ZERO;
        for (field, &v) in lambda.iter_mut().zip(&student.v) {
            *field *= scale;
            output += v * student.unit.value(*field);
        }
        let delta = output - y;
        if !(delta.to_f64().abs() < DIVERGED) {
            // The update of the step before is already in the weights.
            return (done, Err(delta.to_f64()));
        }
        for ((change, &field), v) in change.iter_mut().zip(&lambda).zip(&mut student.v) {
            *change = -rate * *v * delta * student.unit.slope(field);
            if rule.train_second_layer {
                *v = *v * keep - rate_v * delta * student.unit.value(field);
            }
        }
        previous = Some(x);
        done += 1;
    }
    if let Some(before) = previous {
        update_only(&mut student.w, n, before, &change, keep);
    }
    (done, Ok(()))
}

/// Sum of the lanes in a fixed tree order.
#[inline(always)]
fn sum_lanes<T: Real>(lanes: [T; LANES]) -> T {
    let mut lanes = lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            let other = lanes[i + width];
            lanes[i] += other;
        }
        width /= 2;
    }
    lanes[0]
}

/// λ_k = w_k . x (unscaled)
#[inline(always)]
fn fields_only<T: Real>(w: &[T], n: usize, x: &[T], lambda: &mut [T]) {
    let (x_lanes, x_rest) = x.as_chunks::<LANES>();
    for (w, field) in w.chunks_exact(n).zip(lambda) {
        let (w_lanes, w_rest) = w.as_chunks::<LANES>();
        let mut sums = [T::ZERO; LANES];
        for (w, x) in w_lanes.iter().zip(x_lanes) {
            for i in 0..LANES {
                sums[i] = w[i].fused_mul_add(x[i], sums[i]);
            }
        }
        for ((sum, &w), &x) in sums.iter_mut().zip(w_rest).zip(x_rest) {
            *sum = w.fused_mul_add(x, *sum);
        }
        *field = sum_lanes(sums);
    }
}

/// w_k <- keep w_k + change_k x
#[inline(always)]
fn update_only<T: Real>(w: &mut [T], n: usize, x: &[T], change: &[T], keep: T) {
    for (w, &change) in w.chunks_exact_mut(n).zip(change) {
        for (w, &x) in w.iter_mut().zip(x) {
            *w = change.fused_mul_add(x, keep * *w);
        }
    }
}

/// w_k <- keep w_k + change_k x_before, then λ_k = w_k . x (unscaled), in one pass.
///
/// Same operations in the same order as [`update_only`] followed by [`fields_only`].
#[inline(always)]
fn update_then_fields<T: Real>(
    w: &mut [T],
    n: usize,
    before: &[T],
    change: &[T],
    keep: T,
    x: &[T],
    lambda: &mut [T],
) {
    let mut w = w;
    let mut first = 0;
    let units = change.len();
    while first < units {
        let pass = (units - first).min(UNITS_PER_PASS);
        let (head, tail) = w.split_at_mut(pass * n);
        let (change, lambda) = (
            &change[first..first + pass],
            &mut lambda[first..first + pass],
        );
        match pass {
            4 => pass_over::<T, 4>(head, n, before, change, keep, x, lambda),
            3 => pass_over::<T, 3>(head, n, before, change, keep, x, lambda),
            2 => pass_over::<T, 2>(head, n, before, change, keep, x, lambda),
            _ => pass_over::<T, 1>(head, n, before, change, keep, x, lambda),
        }
        w = tail;
        first += pass;
    }
}

/// [`update_then_fields`] for exactly `U` units.
#[inline(always)]
fn pass_over<T: Real, const U: usize>(
    w: &mut [T],
    n: usize,
    before: &[T],
    change: &[T],
    keep: T,
    x: &[T],
    lambda: &mut [T],
) {
    let mut rows_of_w = w.chunks_exact_mut(n);
    let mut w: [&mut [T]; U] = std::array::from_fn(|_| rows_of_w.next().unwrap_or_default());
    let change: [T; U] = std::array::from_fn(|k| change[k]);
    let mut sums = [[T::ZERO; LANES]; U];
    let (before_lanes, before_rest) = before.as_chunks::<LANES>();
    let (x_lanes, x_rest) = x.as_chunks::<LANES>();
    let chunks = x_lanes.len();
    let mut lanes: [&mut [[T; LANES]]; U] = [(); U].map(|()| Default::default());
    let mut rest: [&mut [T]; U] = [(); U].map(|()| Default::default());
    for ((w, lanes), rest) in w.iter_mut().zip(&mut lanes).zip(&mut rest) {
        let (a, b) = std::mem::take(w).as_chunks_mut::<LANES>();
        // Equal lengths let the compiler drop the bounds checks below.
        *lanes = &mut a[..chunks];
        *rest = b;
    }
    for c in 0..chunks {
        let (b, x) = (&before_lanes[c], &x_lanes[c]);
        for k in 0..U {
            let w = &mut lanes[k][c];
            for i in 0..LANES {
                let updated = change[k].fused_mul_add(b[i], keep * w[i]);
                w[i] = updated;
                sums[k][i] = updated.fused_mul_add(x[i], sums[k][i]);
            }
        }
    }
    for k in 0..U {
        for (i, w) in rest[k].iter_mut().enumerate() {
            *w = change[k].fused_mul_add(before_rest[i], keep * *w);
            sums[k][i] = w.fused_mul_add(x_rest[i], sums[k][i]);
        }
        lambda[k] = sum_lanes(sums[k]);
    }
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
        let mut coefficients = vec![T::ZERO; lambda.len()];
        for ((lambda, coefficients), &y) in lambda
            .chunks_exact(units)
            .zip(coefficients.chunks_exact_mut(units))
            .zip(labels)
        {
            let mut output = T::ZERO;
            for (&field, &v) in lambda.iter().zip(&student.v) {
                output += v * student.unit.value(field);
            }
            let delta = output - y;
            if !(delta.to_f64().abs() < DIVERGED) {
                return Err(delta.to_f64());
            }
            for (k, (&field, coefficient)) in lambda.iter().zip(coefficients).enumerate() {
                *coefficient = delta * student.v[k] * student.unit.slope(field);
                self.v[k] += delta * student.unit.value(field);
            }
        }
        matmul_add(
            rows_mut(&mut self.w, units, n),
            rows(&coefficients, labels.len(), units).transpose(),
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
