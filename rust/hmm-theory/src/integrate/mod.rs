//! Integrators with error control and output at any time.
//!
//! Explicit: Dormand-Prince 8(5,3), for what is not stiff. Stiff: the Rosenbrock method
//! Rodas5P, whose linear systems the caller solves by the structure of its own Jacobian. The
//! automatic choice starts explicitly and changes over where stability, not accuracy, limits the
//! step. They are written here, not taken from a library, because the two share one loop: the
//! change-over, cancellation, a right-hand side that may fail, a partial result, and a stiff solve
//! that never forms a matrix of the system's size.
//!
//! ```
//! use hmm_core::{Cancel, Result};
//! use hmm_theory::integrate::{Method, OdeSystem, Outcome, StiffSystem, Tolerance, integrate};
//! /// dx/dt = -x and dy/dt = 1000 (x^2 - y): y follows x^2, its slow manifold.
//! struct Slaved;
//! impl OdeSystem for Slaved {
//!     type Workspace = ();
//!     fn dimension(&self) -> usize {
//!         2
//!     }
//!     fn velocity(&self, y: &[f64], out: &mut [f64], _: &mut (), _: &Cancel) -> Result<()> {
//!         (out[0], out[1]) = (-y[0], 1000.0 * (y[0] * y[0] - y[1]));
//!         Ok(())
//!     }
//! }
//! impl StiffSystem for Slaved {
//!     type Jacobian = (f64, f64); // x, and the shift
//!     fn stiff_cost(&self) -> f64 {
//!         8.0
//!     }
//!     fn linearise(&self, y: &[f64], jacobian: &mut (f64, f64), _: &Cancel) -> Result<()> {
//!         jacobian.0 = y[0];
//!         Ok(())
//!     }
//!     fn factorise(&self, jacobian: &mut (f64, f64), shift: f64, _: &Cancel) -> Result<()> {
//!         jacobian.1 = shift;
//!         Ok(())
//!     }
//!     fn solve(&self, (x, shift): &mut (f64, f64), b: &mut [f64], _: &Cancel) -> Result<()> {
//!         b[0] /= *shift + 1.0;
//!         b[1] = (b[1] + 2000.0 * *x * b[0]) / (*shift + 1000.0);
//!         Ok(())
//!     }
//! }
//! let (times, tolerance, cancel) = ([0.5, 2.0], Tolerance::new(1e-8, 1e-12)?, Cancel::new());
//! for method in [Method::Explicit, Method::Stiff] {
//!     let record = |i: usize, y: &[f64]| {
//!         // Exactly: x = e^-t and, once the start is forgotten, y = e^-2t 1000/998.
//!         let x = f64::exp(-times[i]);
//!         assert!((y[0] - x).abs() < 1e-7 && (y[1] - x * x * 1000.0 / 998.0).abs() < 1e-7);
//!         Ok(())
//!     };
//!     let (outcome, _) = integrate(&Slaved, &[1.0, 0.0], &times, method, tolerance, &cancel, record)?;
//!     assert!(matches!(outcome, Outcome::Complete));
//! }
//! # Ok::<(), hmm_core::Error>(())
//! ```

mod dop853_coefficients;
mod explicit;
mod stiff;

use hmm_core::special::vectorised;
use hmm_core::{Cancel, Error, Result};

/// Autonomous system dy/dt = f(y).
pub trait OdeSystem: Sync {
    /// Buffers of one evaluation.
    type Workspace: Default;
    /// Length of y.
    fn dimension(&self) -> usize;
    /// The blocks of y: each is a quantity with a scale of its own.
    fn blocks(&self) -> Vec<Block> {
        vec![Block {
            end: self.dimension(),
            group: 0,
        }]
    }
    /// f(y); [`Error::Divergence`] where it is not finite.
    fn velocity(
        &self,
        y: &[f64],
        out: &mut [f64],
        work: &mut Self::Workspace,
        cancel: &Cancel,
    ) -> Result<()>;
}

/// A part of the state, from the end of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it ends.
    pub end: usize,
    /// Blocks of one group are made of each other: the rounding of the largest is in all of them.
    pub group: usize,
}

/// A system that can solve linear equations with its Jacobian J.
pub trait StiffSystem: OdeSystem {
    /// J at one point and the factors of shift - J.
    type Jacobian: Default;
    /// Cost of one stiff step in evaluations of the right-hand side.
    fn stiff_cost(&self) -> f64;
    /// Take J at `y`.
    fn linearise(&self, y: &[f64], jacobian: &mut Self::Jacobian, cancel: &Cancel) -> Result<()>;
    /// Prepare solutions with shift - J.
    fn factorise(&self, jacobian: &mut Self::Jacobian, shift: f64, cancel: &Cancel) -> Result<()>;
    /// b <- (shift - J)^-1 b.
    fn solve(&self, jacobian: &mut Self::Jacobian, b: &mut [f64], cancel: &Cancel) -> Result<()>;
}

hmm_core::named! {
    /// Which integrator runs.
    pub enum Method: "method" {
        /// Explicit, stiff from where that pays.
        Auto = "auto",
        /// Explicit throughout.
        Explicit = "explicit",
        /// Stiff throughout.
        Stiff = "stiff",
    }
}

/// Error allowed per step: atol + rtol |y|, root mean square over the components.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Relative part.
    pub rtol: f64,
    /// Absolute part.
    pub atol: f64,
}

impl Tolerance {
    /// Tolerances checked: 1e-13 <= rtol < 1, atol > 0.
    pub fn new(rtol: f64, atol: f64) -> Result<Self> {
        if !(rtol.is_finite() && (1e-13..1.0).contains(&rtol)) {
            return Err(Error::invalid(
                "rtol",
                rtol,
                "must lie in [1e-13, 1)",
                "pass rtol=1e-8",
            ));
        }
        if !(atol.is_finite() && atol > 0.0) {
            return Err(Error::invalid(
                "atol",
                atol,
                "must be finite and > 0",
                "pass atol=1e-10",
            ));
        }
        Ok(Self { rtol, atol })
    }

    /// Sum of the squares of error / (atol + rtol max(|before|, |after|)).
    #[inline(always)]
    fn sum_of_squares(self, error: &[f64], before: &[f64], after: &[f64]) -> f64 {
        let mut sum = 0.0;
        for ((e, a), b) in error.iter().zip(before).zip(after) {
            let scaled = e / (self.atol + self.rtol * a.abs().max(b.abs()));
            sum += scaled * scaled;
        }
        sum
    }

    /// Root mean square of error / (atol + rtol max(|before|, |after|)).
    #[inline(always)]
    fn norm(self, error: &[f64], before: &[f64], after: &[f64]) -> f64 {
        (self.sum_of_squares(error, before, after) / error.len() as f64).sqrt()
    }
}

/// A block of the state is resolved to this share of its largest entry even where that is far below atol: an absolute
/// tolerance is meant for a solution that stays as large as it is, and says nothing of one that grows out of it.
const RESOLVED: f64 = 1e-6;

/// Share of the largest entry of a group of blocks that is rounding in all of them, and not resolved.
const ROUNDING: f64 = 1e-15;

impl Tolerance {
    /// [`Self::norm`] with the absolute part of each block no larger than [`RESOLVED`] of its largest entry.
    ///
    /// Without this, growth from below atol is wrong, and lost by a stiff method, which damps what it does not resolve.
    #[expect(
        clippy::indexing_slicing,
        reason = "`check_sizes` has seen that blocks cut the state in order; the error and both states are as long"
    )]
    fn norm_by_block(self, blocks: &[Block], error: &[f64], before: &[f64], after: &[f64]) -> f64 {
        let ranges = || {
            let starts = std::iter::once(0).chain(blocks.iter().map(|block| block.end));
            starts.zip(blocks).map(|(start, block)| start..block.end)
        };
        let largest: Vec<f64> = ranges()
            .map(|range| {
                let entries = before[range.clone()].iter().chain(&after[range]);
                entries.fold(0.0_f64, |most, x| most.max(x.abs()))
            })
            .collect();
        let mut sum = 0.0;
        for ((range, block), own) in ranges().zip(blocks).zip(&largest) {
            let group = blocks.iter().zip(&largest);
            let of_group = group
                .filter(|(other, _)| other.group == block.group)
                .fold(0.0_f64, |most, (_, x)| most.max(*x));
            let resolved = (RESOLVED * own)
                .max(ROUNDING * of_group)
                .max(f64::MIN_POSITIVE);
            let tolerance = Self {
                rtol: self.rtol,
                atol: self.atol.min(resolved),
            };
            sum += tolerance.sum_of_squares(
                &error[range.clone()],
                &before[range.clone()],
                &after[range],
            );
        }
        (sum / error.len() as f64).sqrt()
    }
}

/// What an integration took.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// Accepted steps, explicit and stiff.
    pub steps: usize,
    /// Steps repeated because their error was too large.
    pub rejections: usize,
    /// Evaluations of the right-hand side.
    pub evaluations: usize,
    /// Jacobians taken, one per accepted stiff step.
    pub jacobians: usize,
    /// Time from which the stiff integrator ran.
    pub stiff_from: Option<f64>,
}

/// How an integration ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// All times reached.
    Complete,
    /// The tolerance cannot be met from this time on.
    Stalled(f64),
    /// The solution left the range of finite numbers at this time.
    Diverged(f64),
}

/// Steps after which an integration is given up.
const MOST_STEPS: usize = 200_000;

/// |y| beyond which a solution counts as diverged: no overlap of a working student comes near.
const DIVERGED: f64 = 1e12;

/// State the two integrators hand to each other.
pub(crate) struct Progress {
    pub t: f64,
    pub y: Vec<f64>,
    /// Next step to try.
    pub h: f64,
    pub statistics: Statistics,
    /// Output times reached.
    pub reached: usize,
    /// Whether the last trial was refused: the step after it may not grow.
    pub just_rejected: bool,
}

impl Progress {
    /// Refuse a step of size `h` with `error` > 1 of a method whose error goes as h^`order`.
    fn reject(&mut self, h: f64, error: f64, order: f64) {
        self.statistics.rejections += 1;
        self.h = h * if error.is_finite() {
            (0.9 * error.powf(-1.0 / order)).max(0.2)
        } else {
            0.1
        };
        self.just_rejected = true;
    }

    /// Count a step of size `h` with `error` <= 1 and choose the next, within `limits` of this one.
    fn accept(&mut self, h: f64, error: f64, order: f64, limits: (f64, f64)) {
        self.statistics.steps += 1;
        let growth = (0.9 * error.max(1e-10).powf(-1.0 / order)).clamp(limits.0, limits.1);
        self.h = h * if self.just_rejected {
            growth.min(1.0)
        } else {
            growth
        };
        self.just_rejected = false;
    }

    /// Outcome if the step size has become meaningless at this time.
    fn stalled(&self) -> Option<Outcome> {
        let finite = self.y.iter().all(|x| x.abs() < DIVERGED);
        if !finite {
            return Some(Outcome::Diverged(self.t));
        }
        let too_small = self.h < 16.0 * f64::EPSILON * self.t.max(1e-12);
        (too_small || self.statistics.steps + self.statistics.rejections > MOST_STEPS)
            .then_some(Outcome::Stalled(self.t))
    }
}

/// One step that has been accepted and can be read at any time within it.
pub(crate) trait Interpolant {
    /// State at `t_old + fraction h`.
    fn at(&self, fraction: f64, out: &mut [f64]);
}

/// Integrate from t = 0 and call `record(i, y)` with the state at every `times[i]`, in order.
///
/// `times` must be sorted. Returns how it ended and what it took.
///
/// # Errors
/// An initial state or blocks of another length than the system's, interruptions, errors of `record`.
pub fn integrate<S: StiffSystem>(
    system: &S,
    initial: &[f64],
    times: &[f64],
    method: Method,
    tolerance: Tolerance,
    cancel: &Cancel,
    mut record: impl FnMut(usize, &[f64]) -> Result<()>,
) -> Result<(Outcome, Statistics)> {
    let Some(&end) = times.last() else {
        return Ok((Outcome::Complete, Statistics::default()));
    };
    check_sizes(system, initial)?;
    let mut progress = Progress {
        t: 0.0,
        y: initial.to_vec(),
        h: 0.0,
        statistics: Statistics::default(),
        reached: 0,
        just_rejected: false,
    };
    while times.get(progress.reached).is_some_and(|t| *t <= 0.0) {
        record(progress.reached, initial)?;
        progress.reached += 1;
    }
    if progress.reached == times.len() {
        return Ok((Outcome::Complete, progress.statistics));
    }
    let mut work = S::Workspace::default();
    let mut velocity = vec![0.0; initial.len()];
    system.velocity(initial, &mut velocity, &mut work, cancel)?;
    progress.statistics.evaluations += 1;
    progress.h = first_step(initial, &velocity, tolerance, end);
    let mut outcome = None;
    if method != Method::Stiff {
        outcome = explicit::advance(
            system,
            &mut progress,
            velocity,
            times,
            tolerance,
            (method == Method::Auto).then(|| explicit_steps_of(system.stiff_cost())),
            cancel,
            &mut work,
            &mut record,
        )?;
    }
    let outcome = if let Some(outcome) = outcome {
        outcome
    } else {
        progress.statistics.stiff_from = Some(progress.t);
        stiff::advance(
            system,
            &mut progress,
            times,
            tolerance,
            cancel,
            &mut work,
            &mut record,
        )?
    };
    Ok((outcome, progress.statistics))
}

/// Refuse a state that is not of the system's length, and blocks that do not cut it in order.
fn check_sizes(system: &impl OdeSystem, initial: &[f64]) -> Result<()> {
    let n = system.dimension();
    if initial.len() != n {
        return Err(Error::shape(
            "initial",
            &[initial.len()],
            format!("the state of this system holds {n} numbers"),
            "pass one number for each of them",
        ));
    }
    let ends: Vec<usize> = system.blocks().iter().map(|block| block.end).collect();
    if ends.is_sorted() && ends.last().is_none_or(|end| *end == n) {
        return Ok(());
    }
    Err(Error::shape(
        "blocks",
        &ends,
        format!("blocks end one after the other, the last at {n}"),
        "pass ends in ascending order",
    ))
}

/// Steps a stiff solution takes from where explicit stability ends, as a rule.
const STIFF_STEPS_EXPECTED: f64 = 120.0;

/// Explicit steps that cost as much as the rest of a stiff solution.
fn explicit_steps_of(stiff_cost: f64) -> f64 {
    STIFF_STEPS_EXPECTED * stiff_cost / explicit::EVALUATIONS
}

/// A first step that moves y by about a hundredth of its scale.
fn first_step(y: &[f64], velocity: &[f64], tolerance: Tolerance, end: f64) -> f64 {
    let size = tolerance.norm(y, y, y);
    let speed = tolerance.norm(velocity, y, y);
    let h = if size < 1e-5 || speed < 1e-5 {
        1e-6
    } else {
        0.01 * size / speed
    };
    h.min(end)
}

/// Record all output times within the step from `t_old` to `t_old + h`.
pub(crate) fn record_within(
    progress: &mut Progress,
    interpolant: &impl Interpolant,
    (t_old, h): (f64, f64),
    times: &[f64],
    buffer: &mut [f64],
    record: &mut impl FnMut(usize, &[f64]) -> Result<()>,
) -> Result<()> {
    while let Some(time) = times.get(progress.reached).filter(|t| **t <= t_old + h) {
        interpolant.at((time - t_old) / h, buffer);
        record(progress.reached, buffer)?;
        progress.reached += 1;
    }
    Ok(())
}

/// Numbers combined at once: as many as the registers hold sums of.
const BLOCK: usize = 32;

/// out <- base + factor sum_j coefficients_j terms_j
#[inline]
pub(crate) fn combine(
    out: &mut [f64],
    base: Option<&[f64]>,
    factor: f64,
    coefficients: &[f64],
    terms: &[Vec<f64>],
) {
    vectorised(
        #[inline(always)]
        || {
            let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
            let end = BLOCK * blocks.len();
            for (at, block) in blocks.iter_mut().enumerate() {
                combine_from(BLOCK * at, block, base, factor, coefficients, terms);
            }
            for (at, single) in rest.as_chunks_mut::<1>().0.iter_mut().enumerate() {
                combine_from(end + at, single, base, factor, coefficients, terms);
            }
        },
    );
}

/// The `N` numbers from `start` on.
#[inline(always)]
fn chunk_from<const N: usize>(numbers: &[f64], start: usize) -> Option<&[f64; N]> {
    numbers.get(start..)?.first_chunk()
}

/// [`combine`] for the numbers from `start` on; a length that the compiler knows stays in registers while all terms
/// pass by.
#[inline(always)]
fn combine_from<const N: usize>(
    start: usize,
    out: &mut [f64; N],
    base: Option<&[f64]>,
    factor: f64,
    coefficients: &[f64],
    terms: &[Vec<f64>],
) {
    let mut sum = [0.0; N];
    for (c, term) in coefficients.iter().zip(terms) {
        if *c != 0.0
            && let Some(term) = chunk_from::<N>(term, start)
        {
            for (o, x) in sum.iter_mut().zip(term) {
                *o += c * x;
            }
        }
    }
    match base.and_then(|base| chunk_from::<N>(base, start)) {
        Some(base) => {
            for ((o, b), x) in out.iter_mut().zip(base).zip(sum) {
                *o = b + factor * x;
            }
        }
        None => {
            for (o, x) in out.iter_mut().zip(sum) {
                *o = factor * x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two decays, in the blocks that are given.
    struct Decays(Vec<usize>);

    impl OdeSystem for Decays {
        type Workspace = ();

        fn dimension(&self) -> usize {
            2
        }

        fn blocks(&self) -> Vec<Block> {
            let ends = self.0.iter().enumerate();
            ends.map(|(group, &end)| Block { end, group }).collect()
        }

        fn velocity(&self, y: &[f64], out: &mut [f64], (): &mut (), _: &Cancel) -> Result<()> {
            for (out, y) in out.iter_mut().zip(y) {
                *out = -y;
            }
            Ok(())
        }
    }

    impl StiffSystem for Decays {
        type Jacobian = f64;

        fn stiff_cost(&self) -> f64 {
            8.0
        }

        fn linearise(&self, _: &[f64], _: &mut f64, _: &Cancel) -> Result<()> {
            Ok(())
        }

        fn factorise(&self, jacobian: &mut f64, shift: f64, _: &Cancel) -> Result<()> {
            *jacobian = shift;
            Ok(())
        }

        fn solve(&self, shift: &mut f64, b: &mut [f64], _: &Cancel) -> Result<()> {
            for b in b {
                *b /= *shift + 1.0;
            }
            Ok(())
        }
    }

    #[test]
    fn states_and_blocks_that_do_not_fit_are_refused() {
        let tolerance = Tolerance::new(1e-6, 1e-8).unwrap();
        let run = |blocks: &[usize], initial: &[f64], method| {
            let (system, cancel) = (Decays(blocks.to_vec()), Cancel::new());
            integrate(
                &system,
                initial,
                &[0.0, 1.0],
                method,
                tolerance,
                &cancel,
                |_, _| Ok(()),
            )
        };
        for method in [Method::Explicit, Method::Stiff, Method::Auto] {
            for blocks in [&[2][..], &[1, 2], &[0, 1, 1, 2], &[]] {
                assert!(run(blocks, &[1.0, 2.0], method).is_ok(), "{blocks:?}");
            }
            for blocks in [&[3][..], &[1], &[2, 1], &[2, 1, 2], &[usize::MAX, 2]] {
                let refused = run(blocks, &[1.0, 2.0], method);
                assert!(matches!(refused, Err(Error::Shape { .. })), "{blocks:?}");
            }
            for initial in [&[][..], &[1.0], &[1.0, 2.0, 3.0]] {
                let refused = run(&[2], initial, method);
                assert!(matches!(refused, Err(Error::Shape { .. })), "{initial:?}");
            }
        }
    }

    #[test]
    fn times_out_of_order_end_all_the_same() {
        let tolerance = Tolerance::new(1e-6, 1e-8).unwrap();
        for method in [Method::Explicit, Method::Stiff, Method::Auto] {
            for times in [&[2.0, 1.0][..], &[1.0, f64::NAN], &[-1.0], &[0.0, 0.0]] {
                let (system, cancel) = (Decays(vec![2]), Cancel::new());
                let initial = [1.0, 2.0];
                let mut seen = 0;
                let record = |_: usize, _: &[f64]| {
                    seen += 1;
                    Ok(())
                };
                let end = integrate(&system, &initial, times, method, tolerance, &cancel, record);
                assert!(end.is_ok() && seen <= times.len());
            }
        }
    }
}
