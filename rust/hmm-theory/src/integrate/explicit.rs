//! Dormand-Prince 8(5,3) with its seventh-order interpolant.
//!
//! Source: Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, sections II.5, II.6;
//! stiffness detection as in their program DOP853.

use super::dop853_coefficients::{A, D, E3, E5, EXTENDED, STAGES};
use super::{Block, Interpolant, OdeSystem, Outcome, Progress, Tolerance, combine, record_within};
use hmm_core::special::vectorised;
use hmm_core::{Cancel, Error, Result};

/// Evaluations of the right-hand side per step.
pub(crate) const EVALUATIONS: f64 = STAGES as f64;
/// h |lambda| beyond which stability limits the step.
const STABILITY_LIMIT: f64 = 6.1;
/// Steps at that limit that make a problem stiff.
const STIFF_STEPS: usize = 15;

/// A tenth of the largest value of the interpolant's last term, x^4 (1-x)^3 times its coefficient.
///
/// Where it exceeds the tolerance, stability rather than accuracy has set the step, and the
/// interpolant errs by more than the step (measured: 50 times): output times then get a step of
/// their own.
const LAST_TERM: f64 = 0.00084;

struct Dense<'a> {
    y_old: &'a [f64],
    /// The seven vectors of the nested polynomial.
    nested: [Vec<f64>; 7],
}

impl Interpolant for Dense<'_> {
    fn at(&self, x: f64, out: &mut [f64]) {
        out.fill(0.0);
        for (i, f) in self.nested.iter().rev().enumerate() {
            let factor = if i % 2 == 0 { x } else { 1.0 - x };
            for (o, f) in out.iter_mut().zip(f) {
                *o = (*o + f) * factor;
            }
        }
        for (o, y) in out.iter_mut().zip(self.y_old) {
            *o += y;
        }
    }
}

/// Step until the last time; `None` if the problem has turned stiff and more than
/// `worth_changing` explicit steps are left.
#[expect(
    clippy::indexing_slicing,
    reason = "k holds EXTENDED vectors and partial one more than STAGES"
)]
pub(crate) fn advance<S: OdeSystem>(
    system: &S,
    progress: &mut Progress,
    velocity: Vec<f64>,
    times: &[f64],
    tolerance: Tolerance,
    worth_changing: Option<f64>,
    cancel: &Cancel,
    work: &mut S::Workspace,
    record: &mut impl FnMut(usize, &[f64]) -> Result<()>,
) -> Result<Option<Outcome>> {
    let n = progress.y.len();
    let end = times.last().copied().unwrap_or(0.0);
    let mut k = vec![vec![0.0; n]; EXTENDED];
    k[0] = velocity;
    let (mut stage, mut y_new, mut buffer) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let mut partial = vec![vec![0.0; n]; STAGES + 1];
    let (mut error_5, mut error_3) = (vec![0.0; n], vec![0.0; n]);
    let (mut stiff_steps, mut easy_steps) = (0, 0);
    let blocks = system.blocks();
    while let Some(&next_time) = times.get(progress.reached) {
        cancel.check()?;
        if let Some(outcome) = progress.stalled() {
            return Ok(Some(outcome));
        }
        let h = progress.h.min(end - progress.t);
        match stages(
            system,
            &progress.y,
            h,
            &mut k,
            &mut stage,
            &mut y_new,
            work,
            cancel,
        ) {
            Ok(()) => {}
            Err(Error::Divergence(_)) => {
                // Not finite within the step: a tenth of it may be.
                progress.statistics.rejections += 1;
                progress.h = 0.1 * h;
                continue;
            }
            Err(other) => return Err(other),
        }
        progress.statistics.evaluations += STAGES;
        let error = h * embedded_error(
            &k,
            &progress.y,
            &y_new,
            tolerance,
            &blocks,
            &mut error_5,
            &mut error_3,
        );
        if error > 1.0 || error.is_nan() {
            progress.reject(h, error, 8.0);
            continue;
        }
        // `stage` still holds the last stage, which the interpolant will overwrite.
        if worth_changing.is_some() {
            let stiff = stiffness(&k, &stage, &y_new) * h;
            if stiff > STABILITY_LIMIT {
                easy_steps = 0;
                stiff_steps += 1;
            } else {
                easy_steps += 1;
                if easy_steps == 6 {
                    stiff_steps = 0;
                }
            }
        }
        if next_time <= progress.t + h || progress.t + h >= end {
            let nested = interpolant(
                system, progress, h, &mut k, &y_new, &mut stage, work, cancel,
            )?;
            let y_old = std::mem::take(&mut progress.y);
            let dense = Dense {
                y_old: &y_old,
                nested,
            };
            // Rounding must not leave the last time out.
            let reach = if progress.t + h >= end {
                h.max(end - progress.t)
            } else {
                h
            };
            if LAST_TERM * tolerance.norm_by_block(&blocks, &dense.nested[6], &y_old, &y_new) <= 1.0
            {
                record_within(
                    progress,
                    &dense,
                    (progress.t, reach),
                    times,
                    &mut buffer,
                    record,
                )?;
            } else {
                partial[0].copy_from_slice(&k[0]);
                let within = progress.t + reach;
                while let Some(time) = times.get(progress.reached).filter(|t| **t <= within) {
                    let part = time - progress.t;
                    if part >= h {
                        record(progress.reached, &y_new)?;
                    } else {
                        stages(
                            system,
                            &y_old,
                            part,
                            &mut partial,
                            &mut stage,
                            &mut buffer,
                            work,
                            cancel,
                        )?;
                        progress.statistics.evaluations += STAGES;
                        record(progress.reached, &buffer)?;
                    }
                    progress.reached += 1;
                }
            }
            progress.y = y_old;
        }
        progress.t += h;
        std::mem::swap(&mut progress.y, &mut y_new);
        k.swap(0, STAGES);
        progress.accept(h, error, 8.0, (0.333, 6.0));
        let remaining = (end - progress.t) / progress.h;
        if stiff_steps >= STIFF_STEPS && worth_changing.is_some_and(|steps| remaining > steps) {
            return Ok(None);
        }
    }
    Ok(Some(Outcome::Complete))
}

/// All stages of a step, the new state and the derivative there (stage 12).
#[expect(
    clippy::indexing_slicing,
    reason = "stages are counted to STAGES; `advance` makes one vector more in k and in partial, and the tableau has as many rows"
)]
fn stages<S: OdeSystem>(
    system: &S,
    y: &[f64],
    h: f64,
    k: &mut [Vec<f64>],
    stage: &mut [f64],
    y_new: &mut [f64],
    work: &mut S::Workspace,
    cancel: &Cancel,
) -> Result<()> {
    for i in 1..STAGES {
        let (done, next) = k.split_at_mut(i);
        combine(stage, Some(y), h, &A[i][..i], done);
        system.velocity(stage, &mut next[0], work, cancel)?;
    }
    let (done, next) = k.split_at_mut(STAGES);
    combine(y_new, Some(y), h, &A[STAGES][..STAGES], done);
    system.velocity(y_new, &mut next[0], work, cancel)
}

/// Error per unit step of the combined third- and fifth-order estimates.
fn embedded_error(
    k: &[Vec<f64>],
    y: &[f64],
    y_new: &[f64],
    tolerance: Tolerance,
    blocks: &[Block],
    error_5: &mut [f64],
    error_3: &mut [f64],
) -> f64 {
    combine(error_5, None, 1.0, &E5, k);
    combine(error_3, None, 1.0, &E3, k);
    let (fifth, third) = vectorised(
        #[inline(always)]
        || {
            (
                tolerance.norm_by_block(blocks, error_5, y, y_new),
                tolerance.norm_by_block(blocks, error_3, y, y_new),
            )
        },
    );
    let denominator = (fifth * fifth + 0.01 * third * third).sqrt();
    if denominator == 0.0 {
        0.0
    } else {
        fifth * fifth / denominator
    }
}

/// |lambda| seen between the last stage and the new point, both at t + h.
#[expect(
    clippy::indexing_slicing,
    reason = "`advance` makes k of EXTENDED > STAGES vectors"
)]
fn stiffness(k: &[Vec<f64>], stage: &[f64], y_new: &[f64]) -> f64 {
    let square =
        |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum() };
    let moved = square(y_new, stage);
    if moved > 0.0 {
        (square(&k[STAGES], &k[STAGES - 1]) / moved).sqrt()
    } else {
        0.0
    }
}

/// The nested polynomial of the step; three more stages.
#[expect(
    clippy::indexing_slicing,
    reason = "stages are counted to EXTENDED, the side of the tableau and the number of vectors that `advance` makes"
)]
fn interpolant<S: OdeSystem>(
    system: &S,
    progress: &mut Progress,
    h: f64,
    k: &mut [Vec<f64>],
    y_new: &[f64],
    stage: &mut [f64],
    work: &mut S::Workspace,
    cancel: &Cancel,
) -> Result<[Vec<f64>; 7]> {
    let y = &progress.y;
    for i in STAGES + 1..EXTENDED {
        let (done, next) = k.split_at_mut(i);
        combine(stage, Some(y), h, &A[i][..i], done);
        system.velocity(stage, &mut next[0], work, cancel)?;
    }
    progress.statistics.evaluations += EXTENDED - STAGES - 1;
    let n = y.len();
    let mut nested: [Vec<f64>; 7] = std::array::from_fn(|_| vec![0.0; n]);
    let [deltas, rises, bends, others @ ..] = &mut nested;
    let ends = y_new.iter().zip(y).zip(k[0].iter().zip(&k[STAGES]));
    let targets = deltas.iter_mut().zip(rises).zip(bends);
    for (((delta, rise), bend), ((y_new, y), (first, last))) in targets.zip(ends) {
        let (step, first, last) = (y_new - y, h * first, h * last);
        *delta = step;
        *rise = first - step;
        *bend = 2.0 * step - (last + first);
    }
    for (row, coefficients) in others.iter_mut().zip(&D) {
        combine(row, None, h, coefficients, k);
    }
    Ok(nested)
}
