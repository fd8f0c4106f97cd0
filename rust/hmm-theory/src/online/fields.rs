//! The local fields of student and teacher, and the averages over them that drive every equation.
//!
//! Fields x_alpha: student lambda^1..lambda^K, then teacher nu^1..nu^M, with signed output weights
//! s = (v_1..v_K, -v~_1..-v~_M), so that the output error is Delta = sum_alpha s_alpha g(x_alpha).

use super::quadrature;
use crate::integrals::arcsine::{LANES, arcsines};
use crate::integrals::sampled::SampledUnit;
use crate::integrals::{self, Unit, erf};
use hmm_core::Result;
use hmm_core::special::vectorised;
use std::f64::consts::FRAC_2_PI;
use std::sync::Arc;

/// Activation of a layer of units.
#[derive(Clone, Debug)]
pub enum Activation {
    /// A unit with closed averages.
    Closed(Unit),
    /// A unit known by its values: averages by quadrature, for K + M <= 4.
    Sampled(Arc<SampledUnit>),
}

/// What the student learns from: units, teacher and noise.
#[derive(Clone, Debug)]
pub struct Committee {
    /// Student units K.
    pub k: usize,
    /// Teacher units M.
    pub m: usize,
    /// Activation of the student.
    pub student: Activation,
    /// Activation of the teacher.
    pub teacher: Activation,
    /// T^{mn} = E\[nu^m nu^n\], row-major (M, M).
    pub t: Vec<f64>,
    /// Output weights v~ of the teacher, (M,).
    pub v_teacher: Vec<f64>,
    /// Variance sigma^2 of the output noise.
    pub noise_variance: f64,
}

/// The averages L, G, N and the mean gradient of the second layer at one point.
#[derive(Clone, Debug, Default)]
pub struct Drive {
    /// L_kj: pull of the student's own fields, symmetric, row-major (K, K).
    pub l: Vec<f64>,
    /// G_km: pull of the teacher's fields, row-major (K, M).
    pub g: Vec<f64>,
    /// N_kl = E\[Delta^2 v_k g'(lambda^k) v_l g'(lambda^l)\], noise included; row-major (K, K).
    pub n: Vec<f64>,
    /// E\[Delta g(lambda^k)\], (K,).
    pub second_layer: Vec<f64>,
    signs: Vec<f64>,
    covariance: Vec<f64>,
    tilted: TiltedFields,
}

impl Drive {
    /// Zeros of the sizes of K student and M teacher units.
    pub(super) fn resize(&mut self, k: usize, m: usize) {
        for (array, size) in [
            (&mut self.l, k * k),
            (&mut self.g, k * m),
            (&mut self.n, k * k),
            (&mut self.second_layer, k),
        ] {
            array.clear();
            array.resize(size, 0.0);
        }
    }
}

impl Committee {
    /// Fields K + M.
    pub fn fields(&self) -> usize {
        self.k + self.m
    }

    /// Units of student and teacher if both have closed averages.
    fn closed_units(&self) -> Option<[Unit; 2]> {
        match (&self.student, &self.teacher) {
            (Activation::Closed(student), Activation::Closed(teacher)) => {
                Some([*student, *teacher])
            }
            _ => None,
        }
    }

    fn unit_of(&self, [student, teacher]: [Unit; 2], field: usize) -> Unit {
        if field < self.k { student } else { teacher }
    }

    /// s = (v, -v~).
    fn signed_weights(&self, v: &[f64], out: &mut Vec<f64>) {
        out.clear();
        out.extend_from_slice(v);
        out.extend(self.v_teacher.iter().map(|x| -x));
    }

    /// C = ((Q, R), (R^T, T)), row-major (K+M, K+M), from `q` (K, K) and `r` (K, M).
    pub fn field_covariance(&self, q: &[f64], r: &[f64], out: &mut Vec<f64>) {
        let (k, m, n) = (self.k, self.m, self.fields());
        out.clear();
        out.resize(n * n, 0.0);
        for i in 0..k {
            out[i * n..i * n + k].copy_from_slice(&q[i * k..(i + 1) * k]);
            for a in 0..m {
                out[i * n + k + a] = r[i * m + a];
                out[(k + a) * n + i] = r[i * m + a];
            }
        }
        for a in 0..m {
            for b in 0..m {
                out[(k + a) * n + k + b] = self.t[a * m + b];
            }
        }
    }

    /// Generalisation error eps = (1/2) E\[Delta^2\] = (1/2) sum_ab s_a s_b I2(a, b).
    pub fn generalisation_error(&self, q: &[f64], r: &[f64], v: &[f64]) -> Result<f64> {
        let (mut s, mut c) = (Vec::new(), Vec::new());
        self.signed_weights(v, &mut s);
        self.field_covariance(q, r, &mut c);
        let Some(units) = self.closed_units() else {
            return quadrature::generalisation_error(self, &s, &c);
        };
        let n = self.fields();
        let mut sum = 0.0;
        for i in 0..n {
            for j in 0..n {
                let (a, b) = (self.unit_of(units, i), self.unit_of(units, j));
                sum += s[i] * s[j] * integrals::i2(a, b, c[i * n + i], c[i * n + j], c[j * n + j]);
            }
        }
        Ok(0.5 * sum)
    }

    /// All averages of the equations at overlaps `q` (K, K), `r` (K, M) and output weights `v`.
    ///
    /// From Stein's lemma E\[Delta v_k g'(lambda^k) z\] = sum_j L_kj cov(lambda^j, z)
    /// minus sum_m G_km cov(nu^m, z) for every z jointly Gaussian with the fields. This compact form
    /// has no division by Q_jj Q_kk - Q_kj^2, unlike the published one, and equals it.
    pub fn drive(
        &self,
        q: &[f64],
        r: &[f64],
        v: &[f64],
        second_layer: bool,
        out: &mut Drive,
    ) -> Result<()> {
        let mut signs = std::mem::take(&mut out.signs);
        let mut c = std::mem::take(&mut out.covariance);
        self.signed_weights(v, &mut signs);
        self.field_covariance(q, r, &mut c);
        if let Some(units) = self.closed_units() {
            self.pulls(units, &signs, &c, second_layer, out);
            if units == [Unit::Erf; 2] {
                vectorised(
                    #[inline(always)]
                    || self.squared_gradient_erf(&signs, &c, out),
                );
            } else {
                self.squared_gradient(units, &signs, &c, out);
            }
        } else {
            quadrature::drive(self, &signs, &c, out)?;
        }
        out.signs = signs;
        out.covariance = c;
        Ok(())
    }

    /// L, G and the second layer's gradient, from two-field averages.
    fn pulls(&self, units: [Unit; 2], s: &[f64], c: &[f64], second_layer: bool, out: &mut Drive) {
        let (k, m, n) = (self.k, self.m, self.fields());
        out.resize(k, m);
        for i in 0..k {
            // a_k = sum_alpha s_alpha A_k,alpha
            let mut curvature = 0.0;
            for j in 0..n {
                let (g, h) = (units[0], self.unit_of(units, j));
                let (c_ii, c_ij, c_jj) = (c[i * n + i], c[i * n + j], c[j * n + j]);
                curvature += s[j] * integrals::a(g, h, c_ii, c_ij, c_jj);
                let gates = integrals::b(g, h, c_ii, c_ij, c_jj);
                if j < k {
                    out.l[i * k + j] += s[i] * gates * s[j];
                    // B of two student gates, kept for the noise term of N.
                    out.n[i * k + j] = gates;
                } else {
                    out.g[i * m + j - k] = -s[i] * gates * s[j];
                }
                if second_layer {
                    out.second_layer[i] += s[j] * integrals::i2(g, h, c_ii, c_ij, c_jj);
                }
            }
            out.l[i * k + i] += s[i] * curvature;
        }
    }

    /// N with the four-field averages one by one.
    fn squared_gradient(&self, units: [Unit; 2], s: &[f64], c: &[f64], out: &mut Drive) {
        let (k, n) = (self.k, self.fields());
        for i in 0..k {
            for j in i..k {
                let mut sum = self.noise_variance * out.n[i * k + j];
                for a in 0..n {
                    for b in a..n {
                        let index = [i, j, a, b];
                        let block = std::array::from_fn(|x| {
                            std::array::from_fn(|y| c[index[x] * n + index[y]])
                        });
                        let count = if a == b { 1.0 } else { 2.0 };
                        let behind = [self.unit_of(units, a), self.unit_of(units, b)];
                        let weight = count * s[a] * s[b];
                        if weight != 0.0 {
                            sum += weight * integrals::i4(units[0], behind, &block);
                        }
                    }
                }
                out.n[i * k + j] = s[i] * s[j] * sum;
                out.n[j * k + i] = out.n[i * k + j];
            }
        }
    }

    /// N for erf units: every pair of gates tilts the covariance, and what is left is an error.
    ///
    /// E\[g'(k) g'(l) Delta^2\] = mass_kl sum_ab s_a s_b I2(a, b; tilted C). Pairs of gates lie in the
    /// lanes of vector registers; all else is loops over fields.
    #[inline(always)]
    fn squared_gradient_erf(&self, s: &[f64], c: &[f64], out: &mut Drive) {
        let (k, n) = (self.k, self.fields());
        let tilted = &mut out.tilted;
        tilted.prepare(k, n, c);
        tilted.sum_arcsines(n, s, c);
        let mut at = 0;
        for i in 0..k {
            for j in i..k {
                let average = tilted.masses[at] * FRAC_2_PI * tilted.sums[at];
                let noise = self.noise_variance * out.n[i * k + j];
                out.n[i * k + j] = s[i] * s[j] * (average + noise);
                out.n[j * k + i] = out.n[i * k + j];
                at += 1;
            }
        }
    }
}

/// All pairs of gates (i, j), i <= j, of erf units: arrays by field and then by pair, the number of
/// pairs rounded up to whole registers with gates that meet no field.
#[derive(Clone, Debug, Default)]
struct TiltedFields {
    pairs: usize,
    masses: Vec<f64>,
    /// Covariances of a field with the two gates.
    with_first: Vec<f64>,
    with_second: Vec<f64>,
    /// (1 + C_gates)^-1 applied to them.
    weight_first: Vec<f64>,
    weight_second: Vec<f64>,
    /// 1 / sqrt(1 + variance) of a field under the tilt.
    scale: Vec<f64>,
    /// sum_ab s_a s_b asin(tilted correlation).
    sums: Vec<f64>,
}

impl TiltedFields {
    #[inline(always)]
    fn prepare(&mut self, k: usize, n: usize, c: &[f64]) {
        let gates = k * (k + 1) / 2;
        self.pairs = gates.next_multiple_of(LANES);
        self.masses.resize(self.pairs, 0.0);
        for array in [
            &mut self.with_first,
            &mut self.with_second,
            &mut self.weight_first,
            &mut self.weight_second,
            &mut self.scale,
        ] {
            array.resize(n * self.pairs, 0.0);
        }
        let mut at = 0;
        for i in 0..k {
            for j in i..k {
                let tilt = erf::Tilt::new(c[i * n + i], c[i * n + j], c[j * n + j]);
                self.masses[at] = tilt.mass;
                let [m_ii, m_ij, m_jj] = tilt.inverse;
                for a in 0..n {
                    let (x, y) = (c[i * n + a], c[j * n + a]);
                    let here = a * self.pairs + at;
                    self.with_first[here] = x;
                    self.with_second[here] = y;
                    self.weight_first[here] = m_ii * x + m_ij * y;
                    self.weight_second[here] = m_ij * x + m_jj * y;
                }
                at += 1;
            }
        }
        for a in 0..n {
            let row = a * self.pairs..(a + 1) * self.pairs;
            let seen = self.weight_first[row.clone()]
                .iter()
                .zip(&self.with_first[row.clone()])
                .zip(&self.weight_second[row.clone()])
                .zip(&self.with_second[row.clone()]);
            for (scale, (((u, x), w), y)) in self.scale[row].iter_mut().zip(seen) {
                *scale = 1.0 / (1.0 + (c[a * n + a] - u * x - w * y)).sqrt();
            }
        }
    }

    #[inline(always)]
    fn sum_arcsines(&mut self, n: usize, s: &[f64], c: &[f64]) {
        self.sums.clear();
        self.sums.resize(self.pairs, 0.0);
        for start in (0..self.pairs).step_by(LANES) {
            let lanes = |array: &[f64], field: usize| -> [f64; LANES] {
                let row = &array[field * self.pairs + start..][..LANES];
                std::array::from_fn(|lane| row[lane])
            };
            let mut total = [0.0; LANES];
            for a in 0..n {
                let (u, w) = (lanes(&self.weight_first, a), lanes(&self.weight_second, a));
                let scale_a = lanes(&self.scale, a);
                let mut row = [0.0; LANES];
                for b in a..n {
                    let (x, y) = (lanes(&self.with_first, b), lanes(&self.with_second, b));
                    let scale_b = lanes(&self.scale, b);
                    let c_ab = c[a * n + b];
                    let weight = if a == b { s[b] } else { 2.0 * s[b] };
                    let mut correlation = [0.0; LANES];
                    for lane in 0..LANES {
                        let covariance = c_ab - u[lane] * x[lane] - w[lane] * y[lane];
                        correlation[lane] = covariance * scale_a[lane] * scale_b[lane];
                    }
                    let angle = arcsines(&correlation);
                    for lane in 0..LANES {
                        row[lane] += weight * angle[lane];
                    }
                }
                for lane in 0..LANES {
                    total[lane] += s[a] * row[lane];
                }
            }
            self.sums[start..start + LANES].copy_from_slice(&total);
        }
    }
}
