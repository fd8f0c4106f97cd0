//! Exact derivatives of the averages of erf units with respect to c = (Q, R, v).
//!
//! L and G are made of B = E\[g'g'\] and A = E\[g''g\] = 2 dI2/dC_aa, whose derivatives are elementary. N is a sum of arc
//! sines of tilted covariances S = C - X M X^T, where X holds the covariances with the two gates and M = (1 + C_gates)^-1:
//! with F = sum_ab s_a s_b asin(S_ab/sqrt((1 + S_aa)(1 + S_bb))) and H = dF/dS,
//!
//! ```text
//! dF = sum_ab H_ab dC_ab - 2 sum_a (H X M)_a . dX_a + tr(M X^T H X M dC_gates)
//! ```
//!
//! so that one pass over the fields gives the derivatives along all directions at once.

use super::closed::TiltedFields;
use super::modes::OnlineSystem;
use super::response::Responses;
use crate::activation::Closed;
use crate::integrals::arcsine::{LANES, arcsines};
use crate::integrals::erf::{self, Tilt};
use hmm_core::special::vectorised;
use hmm_core::{Cancel, Result};
use std::f64::consts::FRAC_2_PI;

/// A function of (C_aa, C_ab, C_bb) and its derivatives.
struct Pair {
    value: f64,
    slopes: [f64; 3],
}

/// B = E\[g'(a) g'(b)\].
fn gates(c_aa: f64, c_ab: f64, c_bb: f64) -> Pair {
    let value = erf::b(c_aa, c_ab, c_bb);
    let per_determinant = value / erf::determinant(c_aa, c_ab, c_bb);
    Pair {
        value,
        slopes: [
            -0.5 * per_determinant * (1.0 + c_bb),
            per_determinant * c_ab,
            -0.5 * per_determinant * (1.0 + c_aa),
        ],
    }
}

/// A = E\[g''(a) g(b)\] = -C_ab/(1 + C_aa) B.
fn curvature(c_aa: f64, c_ab: f64, b: &Pair) -> Pair {
    let ratio = c_ab / (1.0 + c_aa);
    Pair {
        value: -ratio * b.value,
        slopes: [
            ratio / (1.0 + c_aa) * b.value - ratio * b.slopes[0],
            -b.value / (1.0 + c_aa) - ratio * b.slopes[1],
            -ratio * b.slopes[2],
        ],
    }
}

impl OnlineSystem {
    /// Whether the derivatives of the averages are known in closed form.
    pub(super) fn has_exact_responses(&self) -> bool {
        self.committee.closed_units() == Some([Closed::Erf; 2])
    }

    /// Answers along all directions, if student and teacher have erf units.
    pub(super) fn erf_responses(
        &self,
        q: &[f64],
        r: &[f64],
        v: &[f64],
        cancel: &Cancel,
    ) -> Result<Option<Responses>> {
        if !self.has_exact_responses() {
            return Ok(None);
        }
        let (mut s, mut c) = (Vec::new(), Vec::new());
        self.committee.signed_weights(v, &mut s);
        self.committee.field_covariance(q, r, &mut c);
        let mut responses = Responses::zeros(self);
        self.pull_responses(&s, &c, &mut responses);
        self.noise_responses(&s, &c, &mut responses, cancel)?;
        Ok(Some(responses))
    }

    /// L, G and dv/dt.
    #[expect(
        clippy::indexing_slicing,
        reason = "s and c are of K + M fields, made in `erf_responses`; `Responses::zeros` has a row for each entry of L, G and v where it learns, and `direction_of` is below its length"
    )]
    fn pull_responses(&self, s: &[f64], c: &[f64], out: &mut Responses) {
        let (k, m, n) = (self.committee.k, self.committee.m, self.committee.fields());
        let (directions, rows) = (out.directions, self.row_count());
        let learns = self.second_layer_learns();
        for i in 0..k {
            let mut total_curvature = 0.0;
            for j in 0..n {
                let (c_ii, c_ij, c_jj) = (c[i * n + i], c[i * n + j], c[j * n + j]);
                let b = gates(c_ii, c_ij, c_jj);
                let a = curvature(c_ii, c_ij, &b);
                total_curvature += s[j] * a.value;
                let entries = [
                    self.direction_of(i, i),
                    self.direction_of(i, j),
                    self.direction_of(j, j),
                ];
                let own = (i * k + i) * directions;
                let (pair, sign) = if j < k {
                    ((i * k + j) * directions, 1.0)
                } else {
                    ((i * m + j - k) * directions, -1.0)
                };
                let sum = if j < k { &mut out.l } else { &mut out.g };
                for (entry, slope) in entries.iter().zip(b.slopes) {
                    if let Some(entry) = entry {
                        sum[pair + entry] += sign * s[i] * s[j] * slope;
                    }
                }
                for (entry, slope) in entries.iter().zip(a.slopes) {
                    if let Some(entry) = entry {
                        out.l[own + entry] += s[i] * s[j] * slope;
                    }
                }
                if !learns {
                    continue;
                }
                // The output weights: s_x = v_x for x < K.
                let sum = if j < k { &mut out.l } else { &mut out.g };
                sum[pair + rows + i] += sign * s[j] * b.value;
                if j < k {
                    out.l[pair + rows + j] += s[i] * b.value;
                    out.l[own + rows + j] += s[i] * a.value;
                }
                let velocity = &mut out.v[i * directions..(i + 1) * directions];
                let reverse = -c_ij / (1.0 + c_jj) * b.value;
                let slopes = [0.5 * a.value, b.value, 0.5 * reverse];
                for (entry, slope) in entries.iter().zip(slopes) {
                    if let Some(entry) = entry {
                        velocity[*entry] -= self.rates.lr_v * s[j] * slope;
                    }
                }
                if j < k {
                    velocity[rows + j] -= self.rates.lr_v * erf::i2(c_ii, c_ij, c_jj);
                }
            }
            if learns {
                out.l[(i * k + i) * directions + rows + i] += total_curvature;
                out.v[i * directions + rows + i] -= self.rates.weight_decay;
            }
        }
    }

    /// N / B.
    #[expect(
        clippy::indexing_slicing,
        reason = "as for `pull_responses`; tilted fields and slopes are made for the pairs of gates counted here"
    )]
    fn noise_responses(
        &self,
        s: &[f64],
        c: &[f64],
        out: &mut Responses,
        cancel: &Cancel,
    ) -> Result<()> {
        let (k, n) = (self.committee.k, self.committee.fields());
        let (directions, rows) = (out.directions, self.row_count());
        let learns = self.second_layer_learns();
        let per_batch = 1.0 / self.rates.batch as f64;
        let noise = self.committee.noise_variance;
        let mut tilted = TiltedFields::default();
        let mut slopes = Slopes::default();
        vectorised(
            #[inline(always)]
            || {
                tilted.prepare(k, n, c);
                slopes.fill(&tilted, n, if learns { k } else { 0 }, s, c, cancel)
            },
        )?;
        let pairs = tilted.pairs;
        let mut along = vec![0.0; directions];
        let mut at = 0;
        for i in 0..k {
            for j in i..k {
                along.fill(0.0);
                let mut add = |x: usize, y: usize, slope: f64| {
                    if let Some(direction) = self.direction_of(x, y) {
                        along[direction] += slope;
                    }
                };
                let (c_ii, c_ij, c_jj) = (c[i * n + i], c[i * n + j], c[j * n + j]);
                let b = gates(c_ii, c_ij, c_jj);
                let [m_ii, m_ij, m_jj] = Tilt::new(c_ii, c_ij, c_jj).inverse;
                let lane = |array: &[f64], row: usize| array[row * pairs + at];
                let sum = lane(&slopes.sum, 0);
                let (mut t_ii, mut t_ij, mut t_jj) = (0.0, 0.0, 0.0);
                for a in 0..n {
                    let (first, second) = (lane(&slopes.first, a), lane(&slopes.second, a));
                    add(i, a, -2.0 * first);
                    add(j, a, -2.0 * second);
                    t_ii += lane(&tilted.weight_first, a) * first;
                    t_ij += lane(&tilted.weight_first, a) * second;
                    t_jj += lane(&tilted.weight_second, a) * second;
                    for b in a..n {
                        let both = if a == b { 1.0 } else { 2.0 };
                        add(a, b, both * lane(&slopes.covariance, a * n + b));
                    }
                }
                add(i, i, t_ii - 0.5 * sum * m_ii);
                add(i, j, 2.0 * t_ij - sum * m_ij);
                add(j, j, t_jj - 0.5 * sum * m_jj);
                let weight = b.value * FRAC_2_PI;
                for slope in &mut along {
                    *slope *= weight;
                }
                let entries = [(i, i), (i, j), (j, j)];
                for ((x, y), slope) in entries.into_iter().zip(b.slopes) {
                    if let Some(direction) = self.direction_of(x, y) {
                        along[direction] += noise * slope;
                    }
                }
                for slope in &mut along {
                    *slope *= s[i] * s[j];
                }
                if learns {
                    let average = weight * sum + noise * b.value;
                    for x in 0..k {
                        along[rows + x] = s[i] * s[j] * weight * 2.0 * lane(&slopes.angles, x);
                    }
                    along[rows + i] += s[j] * average;
                    along[rows + j] += s[i] * average;
                }
                for (x, y) in [(i, j), (j, i)] {
                    let target = &mut out.n[(x * k + y) * directions..][..directions];
                    for (target, slope) in target.iter_mut().zip(&along) {
                        *target = per_batch * slope;
                    }
                }
                at += 1;
            }
        }
        Ok(())
    }
}

/// H = dF/dS of all pairs of gates and what is read off it, by field and then by pair as in [`TiltedFields`].
#[derive(Default)]
struct Slopes {
    /// F.
    sum: Vec<f64>,
    /// H_ab, (n n rows); only b >= a is filled.
    covariance: Vec<f64>,
    /// sum_b H_ab (X M)_b, first and second gate, (n rows).
    first: Vec<f64>,
    second: Vec<f64>,
    /// sum_b s_b asin(rho_ab) of the student's fields, (rows as asked).
    angles: Vec<f64>,
}

impl Slopes {
    #[expect(
        clippy::indexing_slicing,
        reason = "every array is made here in rows of `pairs` numbers, and runs of LANES divide a row; `prepare` has made those of the tilted fields alike; s and c are of the same n fields"
    )]
    #[inline(always)]
    fn fill(
        &mut self,
        tilted: &TiltedFields,
        n: usize,
        angles: usize,
        s: &[f64],
        c: &[f64],
        cancel: &Cancel,
    ) -> Result<()> {
        let pairs = tilted.pairs;
        self.sum = vec![0.0; pairs];
        self.covariance = vec![0.0; n * n * pairs];
        self.first = vec![0.0; n * pairs];
        self.second = vec![0.0; n * pairs];
        self.angles = vec![0.0; angles * pairs];
        for start in (0..pairs).step_by(LANES) {
            let lanes = |array: &[f64], row: usize| -> [f64; LANES] {
                let row = &array[row * pairs + start..][..LANES];
                std::array::from_fn(|lane| row[lane])
            };
            let mut sum = [0.0; LANES];
            for a in 0..n {
                cancel.check()?;
                let (x, y) = (lanes(&tilted.with_first, a), lanes(&tilted.with_second, a));
                let scale_a = lanes(&tilted.scale, a);
                let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
                let (mut angle_sum, mut own) = ([0.0; LANES], [0.0; LANES]);
                for b in 0..n {
                    let u = lanes(&tilted.weight_first, b);
                    let w = lanes(&tilted.weight_second, b);
                    let scale_b = lanes(&tilted.scale, b);
                    let (c_ab, weight) = (c[a * n + b], s[a] * s[b]);
                    let mut correlation = [0.0; LANES];
                    let mut slope = [0.0; LANES];
                    for lane in 0..LANES {
                        let covariance = c_ab - u[lane] * x[lane] - w[lane] * y[lane];
                        let scale = scale_a[lane] * scale_b[lane];
                        correlation[lane] = covariance * scale;
                        // (1 + S_aa)(1 + S_bb) - S_ab^2 >= 1 + S_aa + S_bb, which rounding must not undercut.
                        let (v_a, v_b) = (scale_a[lane].powi(-2), scale_b[lane].powi(-2));
                        let determinant =
                            (v_a * v_b - covariance * covariance).max(v_a + v_b - 1.0);
                        slope[lane] = weight / determinant.sqrt();
                        own[lane] -= slope[lane] * covariance / v_a;
                        first[lane] += slope[lane] * u[lane];
                        second[lane] += slope[lane] * w[lane];
                    }
                    if b >= a {
                        let row = (a * n + b) * pairs + start;
                        self.covariance[row..row + LANES].copy_from_slice(&slope);
                    }
                    let angle = arcsines(&correlation);
                    for lane in 0..LANES {
                        angle_sum[lane] += s[b] * angle[lane];
                    }
                }
                let (u, w) = (
                    lanes(&tilted.weight_first, a),
                    lanes(&tilted.weight_second, a),
                );
                let row = a * pairs + start;
                let diagonal = (a * n + a) * pairs + start;
                for lane in 0..LANES {
                    sum[lane] += s[a] * angle_sum[lane];
                    self.covariance[diagonal + lane] += own[lane];
                    self.first[row + lane] = first[lane] + own[lane] * u[lane];
                    self.second[row + lane] = second[lane] + own[lane] * w[lane];
                }
                if a < angles {
                    self.angles[row..row + LANES].copy_from_slice(&angle_sum);
                }
            }
            self.sum[start..start + LANES].copy_from_slice(&sum);
        }
        Ok(())
    }
}
