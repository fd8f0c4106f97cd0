//! How far single runs at N inputs stray from the equations: linear noise.
//!
//! Given the initial weights, the order parameters of a run are y(t) + z/sqrt(N), where y solves the equations and
//!
//! ```text
//! dC/dt = J C + C J^T + D,    C(0) = 0,    C = cov z
//! ```
//!
//! with J the derivative of the equations (`linear`) and D the covariance of one step (`moments`). Written for the
//! modes of [`super::covariance`]: of weight p_s, input variance rho_s, and averages q_s, r_s, t_s over p_s N directions.
//!
//! The error of time s is followed to t > s by the same equation without noise, which gives the covariance of the error at
//! two times.
//!
//! ```
//! // A linear unit without weights: a step adds eta nu^2 to R, whose variance is 2 eta^2.
//! use hmm_core::{Activation, Cancel};
//! use hmm_theory::integrate::{Method, Tolerance};
//! use hmm_theory::online::fluctuations::NormalRule;
//! use hmm_theory::online::{Setting, committee::Unit, saad_solla::saad_solla};
//! use ndarray::{Array1, Array2, array, aview1};
//! let unit = Unit::of("activation", Activation::Linear)?;
//! let (lr, lr_v, noise, weight_decay, batch) = (0.5, 0.0, 0.0, 0.0, 1);
//! let (v0, v_teacher) = (vec![1.0], vec![1.0]);
//! let (student, teacher) = (unit.clone(), unit);
//! let (lr_v, noise, weight_decay) = (lr_v.into(), noise.into(), weight_decay.into());
//! let setting =
//!     Setting { student, teacher, v0, v_teacher, lr: lr.into(), lr_v, noise, weight_decay, batch };
//! let (q, r, t) = (array![[0.0]], array![[0.0]], array![[1.0]]);
//! let system = saad_solla(&setting, q.view(), r.view(), t.view())?;
//! // The trapezoidal rule in two variables.
//! let side: Vec<f64> = (-25..25).map(|i| 0.25 * (f64::from(i) + 0.5)).collect();
//! let nodes = Array2::from_shape_fn((2500, 2), |(p, c)| side[if c == 0 { p / 50 } else { p % 50 }]);
//! let density = nodes.outer_iter().map(|z| (-0.5 * z.dot(&z)).exp()).collect::<Array1<f64>>();
//! let weights = &density / density.sum();
//! let rule = NormalRule::new(nodes.view(), weights.view())?;
//! let tolerance = Tolerance::new(1e-8, 1e-10)?;
//! let found = system.fluctuations(aview1(&[1e-3]), Method::Auto, tolerance, &rule, &Cancel::new())?;
//! // To first order in t = 1e-3.
//! assert!((found.overlaps[(0, 0, 0)] / (2.0 * lr * lr * 1e-3) - 1.0).abs() < 3e-3);
//! # Ok::<(), hmm_core::Error>(())
//! ```

mod linear;
mod moments;

pub use moments::NormalRule;

use super::modes::OnlineSystem;
use super::solution::check_times;
use crate::integrate::{Method, Tolerance};
use faer::Mat;
use faer::linalg::solvers::Solve;
use hmm_core::memory::{bytes_of, require};
use hmm_core::{Cancel, Error, Result};
use linear::{Instant, Layout};
use ndarray::{Array1, Array2, Array3, ArrayView1};
use rayon::prelude::*;
use std::borrow::Cow;

/// Steps per time in which the overlaps move, and the longest step as a share of the time so far. The implicit midpoint
/// rule errs by a twelfth of the square of the first; slow and stationary parts it has exactly at any step.
const STEP: f64 = 0.25;
const GROWTH: f64 = 0.03;
/// Times at which that rate is measured, and how early the first of them.
const LOOKS: usize = 40;
const FIRST: f64 = 1e-4;
/// Most steps.
const MOST: usize = 100_000;
/// States that are looked at together.
const WAVE: usize = 32;
/// Relative step of the central difference of the error.
const DIFFERENCE: f64 = 6e-6;

/// Covariances of N^(1/2) times the deviations, at the times reached.
#[derive(Clone, Debug)]
pub struct Fluctuations {
    /// Of (R, upper triangle of Q, v where it learns), (n, P, P).
    pub overlaps: Array3<f64>,
    /// Of the error at two times, (n, n).
    pub error: Array2<f64>,
    /// Steps of the linear equations.
    pub steps: usize,
}

/// What chance does in one step, at t = 0.
#[derive(Clone, Debug)]
pub struct FirstStep {
    /// E h without weight decay, (size,): (r, q) row by row of every mode, then v where it learns.
    pub mean: Array1<f64>,
    /// D, (size, size).
    pub diffusion: Array2<f64>,
    /// J, (size, size).
    pub jacobian: Array2<f64>,
}

fn array(matrix: &Mat<f64>) -> Array2<f64> {
    Array2::from_shape_fn((matrix.nrows(), matrix.ncols()), |(i, j)| matrix[(i, j)])
}

impl OnlineSystem {
    /// Mean and covariance of one step and the answer to it, at t = 0.
    ///
    /// # Errors
    /// As [`OnlineSystem::fluctuations`].
    pub fn first_step(&self, rule: &NormalRule, cancel: &Cancel) -> Result<FirstStep> {
        let layout = self.layout(rule)?;
        let instant = self.instant(&self.initial, rule, cancel)?;
        Ok(FirstStep {
            mean: self.mean_step(&instant, &layout).into(),
            diffusion: array(&self.diffusion(&instant, &layout)),
            jacobian: array(&self.answer(&instant, &layout)),
        })
    }

    /// Covariances at `times`, (n,), as far as the solution gets.
    ///
    /// # Errors
    /// Times out of order, a rule over another number of fields, a solution too large for memory, [`Error::Interrupted`] if cancelled,
    /// [`Error::Divergence`] where deviations grow beyond the finite numbers.
    pub fn fluctuations(
        &self,
        times: ArrayView1<'_, f64>,
        method: Method,
        tolerance: Tolerance,
        rule: &NormalRule,
        cancel: &Cancel,
    ) -> Result<Fluctuations> {
        let layout = self.layout(rule)?;
        let times = times.to_vec();
        check_times(&times)?;
        let map = self.overlap_map(&layout);
        let looks = self.looks(&times, method, tolerance, rule, &layout, &map, cancel)?;
        let last = looks.last().map_or(f64::NEG_INFINITY, |look| look.0);
        let times: Vec<f64> = times.into_iter().filter(|t| *t <= last).collect();
        let edges = match times.last() {
            Some(&end) => self.schedules.edges(end),
            None => Vec::new(),
        };
        let plan = plan(&times, &edges, &looks)?;
        // States at the middle of every step, and at its end where the result is read off.
        let mut wanted = Vec::new();
        for step in &plan {
            wanted.push(step.start + 0.5 * step.length);
            if step.output {
                wanted.push(step.start + step.length);
            }
        }
        let states = self.states(&wanted, method, tolerance, cancel)?;
        let (n, size) = (times.len(), layout.size());
        let mut walk = Walk {
            covariance: Mat::zeros(size, size),
            echoes: Mat::zeros(size, n),
            overlaps: Array3::zeros((n, layout.overlaps(), layout.overlaps())),
            error: Array2::zeros((n, n)),
            read: 0,
        };
        while times.get(walk.read).is_some_and(|time| *time <= 0.0) {
            walk.read += 1;
        }
        let mut state = states.iter();
        for wave in plan.chunks(WAVE) {
            let pairs: Vec<(&Vec<f64>, Option<&Vec<f64>>)> = wave
                .iter()
                .filter_map(|step| {
                    let middle = state.next()?;
                    Some((middle, if step.output { state.next() } else { None }))
                })
                .collect();
            // One after the other: a rate may be a function of the user.
            let frozen: Vec<Cow<'_, Self>> = wave
                .iter()
                .map(|step| self.frozen_at(step.start + 0.5 * step.length))
                .collect::<Result<_>>()?;
            let instants: Vec<Instant> = pairs
                .par_iter()
                .zip(&frozen)
                .map(|((middle, _), system)| system.instant(middle, rule, cancel))
                .collect::<Result<_>>()?;
            let there = pairs.iter().zip(&frozen).zip(&instants);
            for (step, (((_, end), system), instant)) in wave.iter().zip(there) {
                cancel.check()?;
                let answer = system.answer(instant, &layout);
                let diffusion = system.diffusion(instant, &layout);
                walk.step(step.length, &answer, &diffusion)?;
                if let Some(end) = end {
                    let slopes = &self.error_slopes(end, &layout, cancel)? * &map;
                    let t = step.start + step.length;
                    while times.get(walk.read).is_some_and(|time| *time <= t) {
                        walk.read_off(&map, &slopes);
                    }
                }
            }
        }
        Ok(Fluctuations {
            overlaps: walk.overlaps,
            error: walk.error,
            steps: plan.len(),
        })
    }

    fn layout(&self, rule: &NormalRule) -> Result<Layout> {
        let fields = self.committee.fields();
        if rule.fields() != fields {
            return Err(Error::invalid(
                "nodes",
                format!("of {} variables", rule.fields()),
                format!("K + M = {fields} variables"),
                "pass nodes of that many",
            ));
        }
        let layout = Layout::of(self);
        let size = layout.size() as u64;
        require(
            bytes_of::<f64>(6).saturating_mul(size.saturating_mul(size)),
            "fluctuations of so many modes and units",
            "pass fewer units",
        )?;
        Ok(layout)
    }

    /// Times up to the last of `times` and the rates at which the overlaps move there.
    fn looks(
        &self,
        times: &[f64],
        method: Method,
        tolerance: Tolerance,
        rule: &NormalRule,
        layout: &Layout,
        map: &Mat<f64>,
        cancel: &Cancel,
    ) -> Result<Vec<(f64, f64)>> {
        let end = times.last().copied().unwrap_or(0.0);
        let wanted: Vec<f64> = (0..=LOOKS)
            .map(|i| match i {
                0 => 0.0,
                LOOKS => end,
                _ => end * FIRST.powf(1.0 - i as f64 / LOOKS as f64),
            })
            .collect();
        let states = self.states(&wanted, method, tolerance, cancel)?;
        // The rates need no moments: one point serves.
        let point = NormalRule::new(
            Array2::zeros((1, rule.fields())).view(),
            Array1::ones(1).view(),
        )?;
        wanted
            .iter()
            .zip(&states)
            .map(|(&t, y)| {
                let system = self.frozen_at(t)?;
                let instant = system.instant(y, &point, cancel)?;
                let answer = system.answer(&instant, layout);
                Ok((t, system.rate(&answer, map, &instant, layout)))
            })
            .collect()
    }

    /// The solution at `times`, as far as it gets.
    fn states(
        &self,
        times: &[f64],
        method: Method,
        tolerance: Tolerance,
        cancel: &Cancel,
    ) -> Result<Vec<Vec<f64>>> {
        require(
            bytes_of::<f64>(times.len().saturating_mul(self.initial.len())),
            "a solution at so many times",
            "pass fewer times",
        )?;
        let mut states = Vec::with_capacity(times.len());
        self.integrate(times, method, tolerance, cancel, |_, y| {
            states.push(y.to_vec());
            Ok(())
        })?;
        Ok(states)
    }

    /// Slope of the error along (R, triangle of Q, v where it learns), (1, overlaps).
    fn error_slopes(&self, y: &[f64], layout: &Layout, cancel: &Cancel) -> Result<Mat<f64>> {
        let (k, m) = (self.committee.k, self.committee.m);
        let (mut q, mut r) = (Vec::new(), Vec::new());
        self.q(y, &mut q);
        self.r(y, &mut r);
        let v = self.output_weights(y);
        let mut slopes = Mat::<f64>::zeros(1, layout.overlaps());
        for direction in 0..layout.overlaps() {
            let mut sides = [0.0; 2];
            let mut width = 0.0;
            for (side, sign) in sides.iter_mut().zip([1.0, -1.0]) {
                let (mut q, mut r, mut v) = (q.clone(), r.clone(), v.to_vec());
                width = self.displace(direction, DIFFERENCE * sign, &mut q, &mut r, &mut v);
                *side = self.committee.generalisation_error(&q, &r, &v, cancel)?;
            }
            slopes[(0, direction)] = (sides[0] - sides[1]) / (2.0 * width);
        }
        debug_assert!(q.len() == k * k && r.len() == k * m);
        Ok(slopes)
    }
}

/// One step of the linear equations.
struct Step {
    start: f64,
    length: f64,
    /// Whether the result is read off at its end.
    output: bool,
}

/// Steps from 0 to the last of `times`; each of them, and each of the `edges` where rates jump, is the end of one.
fn plan(times: &[f64], edges: &[f64], looks: &[(f64, f64)]) -> Result<Vec<Step>> {
    let mut stops: Vec<(f64, bool)> = times.iter().map(|&t| (t, true)).collect();
    let between = edges.iter().filter(|edge| !times.contains(edge));
    stops.extend(between.map(|&t| (t, false)));
    stops.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut steps = Vec::new();
    let mut t = 0.0;
    for (end, read) in stops {
        while t < end {
            let rate = looks
                .iter()
                .zip(looks.iter().skip(1))
                .find(|(_, after)| t < after.0)
                .map_or(0.0, |(before, after)| before.1.max(after.1));
            let length = (STEP / rate).max(GROWTH * t);
            // The last two steps before an output share what is left.
            let left = end - t;
            let whole = (left / length).ceil().max(1.0);
            let length = if whole <= 4.0 { left / whole } else { length };
            let last = whole <= 1.0;
            steps.push(Step {
                start: t,
                length,
                output: last && read,
            });
            t = if last { end } else { t + length };
            if steps.len() > MOST {
                return Err(Error::Convergence(format!(
                    "fluctuations take more than {MOST} steps up to t = {t:.3}: the rates are too large; pass shorter t_eval"
                )));
            }
        }
    }
    Ok(steps)
}

/// The covariance on its way through time.
struct Walk {
    covariance: Mat<f64>,
    /// cov(z(t), N^(1/2) deviation of the error at an output time before t), a column each.
    echoes: Mat<f64>,
    overlaps: Array3<f64>,
    error: Array2<f64>,
    /// Output times read off.
    read: usize,
}

impl Walk {
    /// The implicit midpoint rule: with A = h J/2, (1 - A) C' (1 - A)^T = (1 + A) C (1 + A)^T + h D. It is positive, stable
    /// at any step, and has J C + C J^T + D = 0 as its fixed point.
    fn step(&mut self, h: f64, answer: &Mat<f64>, diffusion: &Mat<f64>) -> Result<()> {
        let size = answer.nrows();
        let unit = Mat::<f64>::identity(size, size);
        let half = answer * faer::Scale(0.5 * h);
        let plus = &unit + &half;
        let factors = (unit - half).partial_piv_lu();
        let pushed = &plus * &self.covariance * plus.transpose() + diffusion * faer::Scale(h);
        let left = factors.solve(&pushed);
        let both = factors.solve(left.transpose());
        self.covariance = Mat::from_fn(size, size, |i, j| 0.5 * (both[(i, j)] + both[(j, i)]));
        if self.read > 0 {
            let echoes = &plus * &self.echoes;
            self.echoes = factors.solve(&echoes);
        }
        if (0..size).all(|i| self.covariance[(i, i)].is_finite()) {
            Ok(())
        } else {
            Err(Error::Divergence("fluctuations are not finite".to_owned()))
        }
    }

    /// Note covariances at an output time; `slopes` is that of the error along the deviations, (1, size).
    #[expect(
        clippy::indexing_slicing,
        reason = "`read` is below the number of output times where this is called, and `echoes`, `overlaps` and `error` are made for them"
    )]
    fn read_off(&mut self, map: &Mat<f64>, slopes: &Mat<f64>) {
        let here = self.read;
        let overlaps = map * &self.covariance * map.transpose();
        for i in 0..overlaps.nrows() {
            for j in 0..overlaps.ncols() {
                self.overlaps[(here, i, j)] = overlaps[(i, j)];
            }
        }
        let echo = &self.covariance * slopes.transpose();
        for i in 0..echo.nrows() {
            self.echoes[(i, here)] = echo[(i, 0)];
        }
        let along = slopes * &self.echoes;
        for before in 0..=here {
            self.error[(here, before)] = along[(0, before)];
            self.error[(before, here)] = along[(0, before)];
        }
        self.read += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::Closed;
    use crate::online::Setting;
    use crate::online::committee::Unit;
    use crate::online::saad_solla::saad_solla;
    use ndarray::{array, aview1};

    #[test]
    fn times_out_of_order_are_refused() {
        let unit = Unit::Closed(Closed::Erf);
        let setting = Setting {
            student: unit.clone(),
            teacher: unit,
            v0: vec![1.0],
            v_teacher: vec![1.0],
            lr: 0.1.into(),
            lr_v: 0.0.into(),
            noise: 0.0.into(),
            weight_decay: 0.0.into(),
            batch: 1,
        };
        let (q, r, t) = (array![[0.3]], array![[0.1]], array![[1.0]]);
        let system = saad_solla(&setting, q.view(), r.view(), t.view()).unwrap();
        let rule = NormalRule::new(array![[0.0, 0.0]].view(), aview1(&[1.0])).unwrap();
        let tolerance = Tolerance::new(1e-6, 1e-8).unwrap();
        let at = |times: &[f64]| {
            system.fluctuations(
                aview1(times),
                Method::Auto,
                tolerance,
                &rule,
                &Cancel::new(),
            )
        };
        assert_eq!(at(&[0.0, 1.0, 3.0]).unwrap().error.dim(), (3, 3));
        // The second of these would be lost without a word.
        for times in [&[3.0, 1.0][..], &[-1.0, 1.0], &[f64::NAN], &[]] {
            assert!(at(times).is_err(), "{times:?}");
        }
    }
}
