//! The one set of equations all three systems are: independent modes driven by common averages.
//!
//! With L, G, N of [`super::committee`] every mode s obeys, for its overlap r_s (K x M) and its
//! covariance sigma_s (K x K),
//!
//! ```text
//! dr_s/dt     = -eta d_s L r_s + eta p_s G t_s - kappa r_s
//! dsigma_s/dt = -eta d_s (L sigma_s + sigma_s L^T) + eta p_s (G r_s^T + r_s G^T)
//!               + eta^2 gamma_s N / B - 2 kappa sigma_s
//! dv/dt       = -eta_v E[Delta g(lambda)] - kappa v        (0 if the second layer is fixed)
//! ```
//!
//! and the averages depend on the modes only through Q = sum_s a_s sigma_s and R = sum_s b_s r_s.
//! For frozen L, G, N every mode is linear, and the derivative of the averages has rank at most
//! K(K+1)/2 + K M + K: the stiff integrator lives on that.

use super::committee::{Committee, Drive};
use super::fields::Scratch;
use super::scheduled::Schedules;
use crate::integrate::{Block, OdeSystem};
use hmm_core::special::vectorised;
use hmm_core::{Cancel, Error, Result};

/// Rates of the descent.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// First-layer rate eta.
    pub lr: f64,
    /// Second-layer rate eta_v.
    pub lr_v: f64,
    /// Whether the second layer is trained at all; where it is not, it does not decay either.
    pub second_layer: bool,
    /// Weight decay kappa.
    pub weight_decay: f64,
    /// Samples B averaged per step.
    pub batch: usize,
}

/// Scalar coefficients of the modes, one entry per mode.
#[derive(Clone, Debug, Default)]
pub struct Coefficients {
    /// d_s: how fast the mode forgets.
    pub decay: Vec<f64>,
    /// p_s: how strongly the teacher pulls.
    pub pull: Vec<f64>,
    /// gamma_s: how much gradient noise enters.
    pub diffusion: Vec<f64>,
    /// a_s: weight in Q.
    pub in_q: Vec<f64>,
    /// b_s: weight in R.
    pub in_r: Vec<f64>,
}

/// A symmetric matrix read off the modes, sum_s weight_s sigma_s, besides Q.
#[derive(Clone, Debug)]
pub struct Observable {
    /// Name in the result.
    pub name: &'static str,
    /// Weight of every mode.
    pub weights: Vec<f64>,
}

/// A complete initial value problem of online learning, as [`super::saad_solla`], [`super::hidden_manifold`] and
/// [`super::covariance`] make it: all its sizes agree.
///
/// The state vector holds r (K M rows), the upper triangle of sigma (K(K+1)/2 rows), each row the
/// values of all modes, and then v.
#[derive(Clone, Debug)]
pub struct OnlineSystem {
    /// Units, teacher, noise.
    pub(super) committee: Committee,
    /// Rates; where they change, those of t = 0.
    pub(super) rates: Rates,
    /// Rates and noise as functions of time.
    pub(super) schedules: Schedules,
    /// Coefficients of the modes.
    pub(super) coefficients: Coefficients,
    /// p_s t_s in rows like r: (M M rows, row-major in m, n) of one value per mode.
    pub(super) pulled_teacher: Vec<f64>,
    /// Further matrices to report.
    pub(super) observables: Vec<Observable>,
    /// State at t = 0.
    pub(super) initial: Vec<f64>,
}

/// Index of (i, j), i <= j, in the rows of an upper triangle of size k.
#[inline(always)]
pub(super) fn triangle(k: usize, i: usize, j: usize) -> usize {
    let (i, j) = if i <= j { (i, j) } else { (j, i) };
    i * (2 * k - i + 1) / 2 + (j - i)
}

/// out += factor * x
#[inline(always)]
pub(super) fn add_scaled(out: &mut [f64], factor: f64, x: &[f64]) {
    for (o, x) in out.iter_mut().zip(x) {
        *o += factor * x;
    }
}

/// Work done on runs of modes whose length the compiler knows, so that sums stay in registers.
pub(super) trait Blocks {
    /// Do it for the `B` modes from `start` on.
    fn block<const B: usize>(&mut self, start: usize) -> Result<()>;
}

/// Most modes of a run: two registers of the widest kind, so that one sum does not wait for the other.
pub(super) const LONGEST: usize = 16;

/// All of `count` modes: sixteen at a time, then eight, four, two and one; each mode's arithmetic is the same in all.
#[inline(always)]
pub(super) fn in_blocks(count: usize, work: &mut impl Blocks) -> Result<()> {
    let mut start = 0;
    while count - start >= LONGEST {
        work.block::<LONGEST>(start)?;
        start += LONGEST;
    }
    if count - start >= 8 {
        work.block::<8>(start)?;
        start += 8;
    }
    if count - start >= 4 {
        work.block::<4>(start)?;
        start += 4;
    }
    if count - start >= 2 {
        work.block::<2>(start)?;
        start += 2;
    }
    if start < count {
        work.block::<1>(start)?;
    }
    Ok(())
}

/// sum_s x_s y_s in four interleaved partial sums: a fixed order that vectorises.
#[inline(always)]
pub(super) fn weighted_sum(x: &[f64], y: &[f64]) -> f64 {
    let mut partial = [0.0; 8];
    let ((x_chunks, x_rest), (y_chunks, y_rest)) = (x.as_chunks::<8>(), y.as_chunks::<8>());
    let rest: f64 = x_rest.iter().zip(y_rest).map(|(a, b)| a * b).sum();
    for (a, b) in x_chunks.iter().zip(y_chunks) {
        for (sum, (a, b)) in partial.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    partial.iter().sum::<f64>() + rest
}

impl OnlineSystem {
    /// Refuse a state of another length.
    pub(super) fn check_state(&self, y: &[f64]) -> Result<()> {
        if y.len() == self.initial.len() {
            return Ok(());
        }
        Err(Error::shape(
            "y",
            &[y.len()],
            format!("a state holds {} numbers", self.initial.len()),
            "pass r, sigma and v of every mode",
        ))
    }

    /// Number of modes S.
    pub fn modes(&self) -> usize {
        self.coefficients.decay.len()
    }

    /// Rows of the state: K M of r and K(K+1)/2 of sigma.
    pub fn row_count(&self) -> usize {
        let (k, m) = (self.committee.k, self.committee.m);
        k * m + k * (k + 1) / 2
    }

    /// The part of the state with output weights.
    #[expect(
        clippy::indexing_slicing,
        reason = "the end of the state, whose length `check_state` sees wherever one comes in"
    )]
    pub(super) fn output_weights<'a>(&self, y: &'a [f64]) -> &'a [f64] {
        &y[self.row_count() * self.modes()..]
    }

    /// Q (K, K) of a state.
    pub(super) fn q(&self, y: &[f64], out: &mut Vec<f64>) {
        self.symmetric_sum(y, &self.coefficients.in_q, out);
    }

    /// sum_s weight_s sigma_s as a full (K, K) matrix.
    #[expect(
        clippy::indexing_slicing,
        reason = "rows of the state, whose length `check_state` sees wherever one comes in; the matrix is made here"
    )]
    pub(super) fn symmetric_sum(&self, y: &[f64], weights: &[f64], out: &mut Vec<f64>) {
        let (k, m, s) = (self.committee.k, self.committee.m, self.modes());
        out.resize(k * k, 0.0);
        for i in 0..k {
            for j in i..k {
                let row = k * m + triangle(k, i, j);
                let value = weighted_sum(weights, &y[row * s..(row + 1) * s]);
                out[i * k + j] = value;
                out[j * k + i] = value;
            }
        }
    }

    /// R (K, M) of a state.
    #[expect(
        clippy::indexing_slicing,
        reason = "rows of the state, whose length `check_state` sees wherever one comes in"
    )]
    pub(super) fn r(&self, y: &[f64], out: &mut Vec<f64>) {
        let (rows, s) = (self.committee.k * self.committee.m, self.modes());
        out.clear();
        out.extend(
            (0..rows).map(|row| weighted_sum(&self.coefficients.in_r, &y[row * s..(row + 1) * s])),
        );
    }

    /// Whether the second layer learns.
    pub fn second_layer_learns(&self) -> bool {
        self.rates.second_layer
    }

    /// L, G, N / B and the second layer's gradient at given overlaps.
    pub(super) fn drive(
        &self,
        q: &[f64],
        r: &[f64],
        v: &[f64],
        out: &mut Drive,
        scratch: &mut Scratch,
        cancel: &Cancel,
    ) -> Result<()> {
        let learns = self.second_layer_learns();
        self.committee
            .averages(q, r, v, learns, out, scratch, cancel)?;
        if self.rates.batch > 1 {
            for n in &mut out.n {
                *n /= self.rates.batch as f64;
            }
        }
        Ok(())
    }

    /// dv/dt at given gradient.
    pub(super) fn output_weight_velocity(&self, drive: &Drive, v: &[f64], out: &mut [f64]) {
        for ((o, gradient), v) in out.iter_mut().zip(&drive.second_layer).zip(v) {
            *o = if self.second_layer_learns() {
                -self.rates.lr_v * gradient - self.rates.weight_decay * v
            } else {
                0.0
            };
        }
    }

    /// Velocities of `B` modes from `start` on: sums stay in registers.
    #[expect(
        clippy::indexing_slicing,
        reason = "rows of the state, whose length `check_state` sees wherever one comes in; runs of B end at S; `Drive::resize` has made L, G and N"
    )]
    #[inline(always)]
    fn block_velocities<const B: usize>(
        &self,
        start: usize,
        drive: &Drive,
        y: &[f64],
        out: &mut [f64],
    ) {
        let (k, m, s) = (self.committee.k, self.committee.m, self.modes());
        let Rates {
            lr, weight_decay, ..
        } = self.rates;
        let block = |values: &[f64], row: usize| -> [f64; B] {
            let values = &values[row * s + start..][..B];
            std::array::from_fn(|lane| values[lane])
        };
        let decay = block(&self.coefficients.decay, 0);
        let pull = block(&self.coefficients.pull, 0);
        let diffusion = block(&self.coefficients.diffusion, 0);
        for i in 0..k {
            let (l_row, g_row) = (&drive.l[i * k..(i + 1) * k], &drive.g[i * m..(i + 1) * m]);
            for a in 0..m {
                let mut forgotten = [0.0; B];
                for (j, l) in l_row.iter().enumerate() {
                    let r = block(y, j * m + a);
                    for lane in 0..B {
                        forgotten[lane] += l * r[lane];
                    }
                }
                let mut taught = [0.0; B];
                for (b, g) in g_row.iter().enumerate() {
                    let t = block(&self.pulled_teacher, b * m + a);
                    for lane in 0..B {
                        taught[lane] += g * t[lane];
                    }
                }
                let here = i * m + a;
                let r = block(y, here);
                let target = &mut out[here * s + start..][..B];
                for lane in 0..B {
                    target[lane] = lr * (taught[lane] - decay[lane] * forgotten[lane])
                        - weight_decay * r[lane];
                }
            }
        }
        for i in 0..k {
            let (l_i, g_i) = (&drive.l[i * k..(i + 1) * k], &drive.g[i * m..(i + 1) * m]);
            for j in i..k {
                let (l_j, g_j) = (&drive.l[j * k..(j + 1) * k], &drive.g[j * m..(j + 1) * m]);
                let mut forgotten = [0.0; B];
                for (l, (left, right)) in l_i.iter().zip(l_j).enumerate() {
                    let x = block(y, k * m + triangle(k, l, j));
                    let z = block(y, k * m + triangle(k, i, l));
                    for lane in 0..B {
                        forgotten[lane] += left * x[lane] + right * z[lane];
                    }
                }
                let mut taught = [0.0; B];
                for (b, (left, right)) in g_i.iter().zip(g_j).enumerate() {
                    let x = block(y, j * m + b);
                    let z = block(y, i * m + b);
                    for lane in 0..B {
                        taught[lane] += left * x[lane] + right * z[lane];
                    }
                }
                let here = k * m + triangle(k, i, j);
                let sigma = block(y, here);
                let noise = lr * lr * drive.n[i * k + j];
                let target = &mut out[here * s + start..][..B];
                for lane in 0..B {
                    target[lane] = lr * (pull[lane] * taught[lane] - decay[lane] * forgotten[lane])
                        + noise * diffusion[lane]
                        - 2.0 * weight_decay * sigma[lane];
                }
            }
        }
    }
}

/// Velocities of all modes at frozen averages.
struct Velocities<'a> {
    system: &'a OnlineSystem,
    drive: &'a Drive,
    y: &'a [f64],
    out: &'a mut [f64],
    cancel: &'a Cancel,
}

impl Blocks for Velocities<'_> {
    #[inline(always)]
    fn block<const B: usize>(&mut self, start: usize) -> Result<()> {
        self.cancel.check()?;
        self.system
            .block_velocities::<B>(start, self.drive, self.y, self.out);
        Ok(())
    }
}

/// Buffers of one right-hand side.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    pub(super) q: Vec<f64>,
    pub(super) r: Vec<f64>,
    pub(super) drive: Drive,
    pub(super) scratch: Scratch,
}

impl OdeSystem for OnlineSystem {
    type Workspace = Workspace;

    fn dimension(&self) -> usize {
        self.initial.len()
    }

    fn blocks(&self) -> Vec<Block> {
        let (k, m, s) = (self.committee.k, self.committee.m, self.modes());
        let block = |end: usize, group: usize| Block { end, group };
        // r and sigma are made of each other; v stands apart.
        vec![
            block(k * m * s, 0),
            block(self.row_count() * s, 0),
            block(self.initial.len(), 1),
        ]
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "`check_state` has seen that out is a state"
    )]
    fn velocity(
        &self,
        y: &[f64],
        out: &mut [f64],
        work: &mut Workspace,
        cancel: &Cancel,
    ) -> Result<()> {
        self.check_state(y)?;
        self.check_state(out)?;
        let inner = self.row_count() * self.modes();
        vectorised(
            #[inline(always)]
            || {
                self.q(y, &mut work.q);
                self.r(y, &mut work.r);
            },
        );
        let v = self.output_weights(y);
        if !work.q.iter().chain(&work.r).chain(v).all(|x| x.is_finite()) {
            return Err(Error::Divergence("overlaps are not finite".to_owned()));
        }
        self.drive(
            &work.q,
            &work.r,
            v,
            &mut work.drive,
            &mut work.scratch,
            cancel,
        )?;
        let mut velocities = Velocities {
            system: self,
            drive: &work.drive,
            y,
            out: &mut *out,
            cancel,
        };
        vectorised(
            #[inline(always)]
            || in_blocks(self.modes(), &mut velocities),
        )?;
        self.output_weight_velocity(&work.drive, v, &mut out[inner..]);
        Ok(())
    }
}
