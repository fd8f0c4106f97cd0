//! Rates that change: eta(t), eta_v(t), sigma(t), kappa(t) at every instant of the equations.
//!
//! Between two breaks of the schedules the rates are smooth. Where all of them are numbers, the equations of that piece
//! are the ordinary ones. Else time joins the state as one more variable, u = 1 + (t - start)/length with du/dt =
//! 1/length: both integrators then see an autonomous system, and the stiff one the derivative with respect to time that
//! its order rests on. u is of order one, so that its error, zero but for rounding, and its speed set no step.
//!
//! ```
//! // A linear unit turns to its teacher as dR/dt = eta(t) (T - R): R = 1 - exp(-integral of eta).
//! use hmm_core::{Activation, Cancel, Schedule};
//! use hmm_theory::integrate::{Method, Tolerance};
//! use hmm_theory::online::{Setting, committee::Unit, saad_solla::saad_solla};
//! use ndarray::{Ix3, array, aview1};
//! let unit = Unit::of("activation", Activation::Linear)?;
//! let setting = Setting {
//!     student: unit.clone(),
//!     teacher: unit,
//!     v0: vec![1.0],
//!     v_teacher: vec![1.0],
//!     lr: Schedule::Power { a: 0.5, b: 2.0, c: 1.0 },
//!     lr_v: 0.0.into(),
//!     noise: 0.0.into(),
//!     weight_decay: 0.0.into(),
//!     batch: 1,
//! };
//! let (q, r, t) = (array![[0.3]], array![[0.0]], array![[1.0]]);
//! let system = saad_solla(&setting, q.view(), r.view(), t.view())?;
//! let (times, tolerance) = ([0.0, 1.0, 30.0], Tolerance::new(1e-10, 1e-12)?);
//! for method in [Method::Explicit, Method::Stiff] {
//!     let solution = system.solve(aview1(&times), method, tolerance, &Cancel::new())?;
//!     let r = solution.values.array::<f64, Ix3>("R")?;
//!     for (r, time) in r.iter().zip(times) {
//!         // The integral of 0.5/(1 + t/2) is ln(1 + t/2).
//!         assert!((r - (1.0 - 1.0 / (1.0 + 0.5 * time))).abs() < 1e-8);
//!     }
//! }
//! # Ok::<(), hmm_core::Error>(())
//! ```

use super::jacobian::ModeJacobian;
use super::modes::{OnlineSystem, Workspace};
use crate::integrate::{
    Block, Method, OdeSystem, Outcome, Statistics, StiffSystem, Tolerance, integrate,
};
use hmm_core::{Cancel, Result, Schedule};
use std::borrow::Cow;

/// Rates and noise as functions of time.
#[derive(Clone, Debug)]
pub struct Schedules {
    /// First-layer rate eta.
    pub lr: Schedule,
    /// Second-layer rate eta_v.
    pub lr_v: Schedule,
    /// Standard deviation sigma of the output noise.
    pub noise: Schedule,
    /// Weight decay kappa.
    pub weight_decay: Schedule,
}

/// The same at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Instant {
    /// First-layer rate eta.
    pub lr: f64,
    /// Second-layer rate eta_v.
    pub lr_v: f64,
    /// Standard deviation sigma of the output noise.
    pub noise: f64,
    /// Weight decay kappa.
    pub weight_decay: f64,
}

impl Schedules {
    fn all(&self) -> [&Schedule; 4] {
        [&self.lr, &self.lr_v, &self.noise, &self.weight_decay]
    }

    /// Refuse schedules that cannot be.
    pub(super) fn check(&self) -> Result<()> {
        self.lr.check("lr")?;
        self.lr_v.check("lr_v")?;
        self.noise.check("noise")?;
        self.weight_decay.check("weight_decay")
    }

    /// Whether no rate ever changes.
    pub fn are_constant(&self) -> bool {
        self.all().iter().all(|s| s.constant().is_some())
    }

    /// The rates at time `t`.
    ///
    /// # Errors
    /// What a user's function raises, and rates that it must not give.
    pub fn at(&self, t: f64) -> Result<Instant> {
        Ok(Instant {
            lr: self.lr.at(t)?,
            lr_v: self.lr_v.at(t)?,
            noise: self.noise.at(t)?,
            weight_decay: self.weight_decay.at(t)?,
        })
    }

    /// The schedules between two breaks, from `start` on.
    fn piece_from(&self, start: f64) -> Self {
        Self {
            lr: self.lr.piece_from(start),
            lr_v: self.lr_v.piece_from(start),
            noise: self.noise.piece_from(start),
            weight_decay: self.weight_decay.piece_from(start),
        }
    }

    /// Ends of the smooth pieces until `end`, which is the last.
    pub(super) fn edges(&self, end: f64) -> Vec<f64> {
        let breaks = self.all().into_iter().flat_map(Schedule::breaks);
        let mut edges: Vec<f64> = breaks.copied().filter(|t| *t < end).collect();
        edges.push(end);
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        edges
    }
}

impl OnlineSystem {
    /// Take the rates of one instant for all times.
    pub fn freeze(&mut self, rates: Instant) {
        self.rates.lr = rates.lr;
        self.rates.lr_v = rates.lr_v;
        self.rates.weight_decay = rates.weight_decay;
        self.committee.noise_variance = rates.noise.powi(2);
    }

    /// The equations with the rates of time `t`.
    ///
    /// # Errors
    /// As [`Schedules::at`].
    pub(super) fn frozen_at(&self, t: f64) -> Result<Cow<'_, Self>> {
        if self.schedules.are_constant() {
            return Ok(Cow::Borrowed(self));
        }
        let mut frozen = self.clone();
        frozen.freeze(self.schedules.at(t)?);
        Ok(Cow::Owned(frozen))
    }

    /// [`integrate`] piece by piece of the schedules.
    pub(super) fn integrate_scheduled(
        &self,
        times: &[f64],
        method: Method,
        tolerance: Tolerance,
        cancel: &Cancel,
        mut record: impl FnMut(usize, &[f64]) -> Result<()>,
    ) -> Result<(Outcome, Statistics)> {
        let end = times.last().copied().unwrap_or(0.0);
        let mut total = Statistics::default();
        let mut state = self.initial.clone();
        let (mut start, mut done) = (0.0, 0);
        for edge in self.schedules.edges(end) {
            let here = times.iter().skip(done).take_while(|t| **t <= edge);
            let mut local: Vec<f64> = here.map(|t| t - start).collect();
            let count = local.len();
            // Where the next piece starts.
            local.push(edge - start);
            let mut last = Vec::new();
            let note = |at: usize, y: &[f64]| {
                let y = y.get(..state.len()).unwrap_or(y);
                if at < count {
                    record(done + at, y)
                } else {
                    last = y.to_vec();
                    Ok(())
                }
            };
            let schedules = self.schedules.piece_from(start);
            let (outcome, statistics) = if schedules.are_constant() {
                let mut frozen = self.clone();
                frozen.freeze(schedules.at(start)?);
                integrate(&frozen, &state, &local, method, tolerance, cancel, note)?
            } else {
                let piece = Piece {
                    system: self,
                    schedules,
                    start,
                    length: (edge - start).max(f64::MIN_POSITIVE),
                };
                let joined = [state.as_slice(), &[1.0]].concat();
                integrate(&piece, &joined, &local, method, tolerance, cancel, note)?
            };
            total.steps += statistics.steps;
            total.rejections += statistics.rejections;
            total.evaluations += statistics.evaluations;
            total.jacobians += statistics.jacobians;
            let stiff_from = statistics.stiff_from.map(|t| start + t);
            total.stiff_from = total.stiff_from.or(stiff_from);
            match outcome {
                Outcome::Complete => {}
                Outcome::Stalled(t) => return Ok((Outcome::Stalled(start + t), total)),
                Outcome::Diverged(t) => return Ok((Outcome::Diverged(start + t), total)),
            }
            (state, start) = (last, edge);
            done += count;
        }
        Ok((Outcome::Complete, total))
    }
}

/// The equations over a smooth piece of the schedules, with time in the state.
struct Piece<'a> {
    system: &'a OnlineSystem,
    schedules: Schedules,
    start: f64,
    length: f64,
}

impl Piece<'_> {
    /// t of the last entry of a state.
    fn time(&self, u: f64) -> f64 {
        // Rounding must not ask a user's function beyond the piece.
        self.start + (self.length * (u - 1.0)).clamp(0.0, self.length)
    }

    /// The right-hand side of the ordinary equations at the rates of time `t`.
    fn velocity_at(
        &self,
        t: f64,
        y: &[f64],
        out: &mut [f64],
        work: &mut PieceWorkspace,
        cancel: &Cancel,
    ) -> Result<()> {
        let rates = self.schedules.at(t)?;
        let frozen = work.frozen.get_or_insert_with(|| self.system.clone());
        frozen.freeze(rates);
        frozen.velocity(y, out, &mut work.inner, cancel)
    }
}

/// Buffers of one right-hand side: the equations with the rates of the moment, and theirs.
#[derive(Default)]
pub(super) struct PieceWorkspace {
    frozen: Option<OnlineSystem>,
    inner: Workspace,
}

#[expect(
    clippy::indexing_slicing,
    reason = "the state ends with u: `integrate` has seen that it is as long as `dimension` says, one more than that of the ordinary equations"
)]
impl OdeSystem for Piece<'_> {
    type Workspace = PieceWorkspace;

    fn dimension(&self) -> usize {
        self.system.dimension() + 1
    }

    fn blocks(&self) -> Vec<Block> {
        let mut blocks = self.system.blocks();
        let group = blocks.iter().map(|block| block.group + 1).max();
        blocks.push(Block {
            end: self.dimension(),
            group: group.unwrap_or(0),
        });
        blocks
    }

    fn velocity(
        &self,
        y: &[f64],
        out: &mut [f64],
        work: &mut PieceWorkspace,
        cancel: &Cancel,
    ) -> Result<()> {
        let n = self.system.dimension();
        self.velocity_at(self.time(y[n]), &y[..n], &mut out[..n], work, cancel)?;
        out[n] = 1.0 / self.length;
        Ok(())
    }
}

/// The Jacobian of the ordinary equations, and the derivative of their right-hand side with respect to u.
#[derive(Default)]
pub(super) struct PieceJacobian {
    inner: ModeJacobian,
    work: PieceWorkspace,
    /// Where it was taken.
    y: Vec<f64>,
    slope: Vec<f64>,
    shift: f64,
}

/// Width of the differences in time as a share of 1/shift, which is a fifth of the step: truncation is then some 1e-7 of
/// what the step resolves, rounding 1e-12 of the solution's change.
const DIFFERENCE: f64 = 1e-3;

#[expect(
    clippy::indexing_slicing,
    reason = "the state ends with u, as `integrate` has seen; `linearise` keeps a state of that length for `factorise`"
)]
impl StiffSystem for Piece<'_> {
    type Jacobian = PieceJacobian;

    fn stiff_cost(&self) -> f64 {
        // Two evaluations for the derivative in time.
        self.system.stiff_cost() + 2.0
    }

    fn linearise(&self, y: &[f64], jacobian: &mut PieceJacobian, cancel: &Cancel) -> Result<()> {
        let n = self.system.dimension();
        let rates = self.schedules.at(self.time(y[n]))?;
        let work = &mut jacobian.work;
        let frozen = work.frozen.get_or_insert_with(|| self.system.clone());
        frozen.freeze(rates);
        jacobian.y = y.to_vec();
        frozen.linearise(&y[..n], &mut jacobian.inner, cancel)
    }

    fn factorise(&self, jacobian: &mut PieceJacobian, shift: f64, cancel: &Cancel) -> Result<()> {
        let n = self.system.dimension();
        let (t, width) = (self.time(jacobian.y[n]), DIFFERENCE / shift);
        // Central, or forward where the piece begins.
        let (points, weights) = if t - width >= self.start {
            ([-1.0, 0.0, 1.0], [-0.5, 0.0, 0.5])
        } else {
            ([0.0, 1.0, 2.0], [-1.5, 2.0, -0.5])
        };
        jacobian.slope.clear();
        jacobian.slope.resize(n, 0.0);
        let mut velocity = vec![0.0; n];
        for (point, weight) in points.into_iter().zip(weights) {
            if weight != 0.0 {
                let (y, work) = (&jacobian.y[..n], &mut jacobian.work);
                self.velocity_at(t + point * width, y, &mut velocity, work, cancel)?;
                let factor = weight * self.length / width;
                for (slope, velocity) in jacobian.slope.iter_mut().zip(&velocity) {
                    *slope += factor * velocity;
                }
            }
        }
        jacobian.shift = shift;
        let rates = self.schedules.at(t)?;
        let work = &mut jacobian.work;
        let frozen = work.frozen.get_or_insert_with(|| self.system.clone());
        frozen.freeze(rates);
        frozen.factorise(&mut jacobian.inner, shift, cancel)
    }

    fn solve(&self, jacobian: &mut PieceJacobian, b: &mut [f64], cancel: &Cancel) -> Result<()> {
        let n = self.system.dimension();
        // The last row is (shift - 0) u = b: known first.
        let u = b[n] / jacobian.shift;
        for (b, slope) in b.iter_mut().zip(&jacobian.slope) {
            *b += u * slope;
        }
        b[n] = u;
        let frozen = jacobian
            .work
            .frozen
            .get_or_insert_with(|| self.system.clone());
        StiffSystem::solve(&*frozen, &mut jacobian.inner, &mut b[..n], cancel)
    }
}
