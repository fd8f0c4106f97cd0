//! The averages of the equations for units with closed forms.

use super::committee::{Committee, Drive};
use crate::activation::Closed;
use crate::integrals::arcsine::{LANES, arcsines};
use crate::integrals::{self, erf};
use hmm_core::special::vectorised;
use hmm_core::{Cancel, Result};
use std::f64::consts::FRAC_2_PI;

impl Committee {
    /// (1/2) sum_ab s_a s_b I2(a, b).
    #[expect(
        clippy::indexing_slicing,
        reason = "s and c are of K + M fields, made by the callers in `fields`; fields are counted to that"
    )]
    pub(super) fn closed_error(
        &self,
        units: [Closed; 2],
        s: &[f64],
        c: &[f64],
        cancel: &Cancel,
    ) -> Result<f64> {
        let n = self.fields();
        let mut sum = 0.0;
        for i in 0..n {
            cancel.check()?;
            for j in 0..n {
                let (a, b) = (self.unit_of(units, i), self.unit_of(units, j));
                sum += s[i] * s[j] * integrals::i2(a, b, c[i * n + i], c[i * n + j], c[j * n + j]);
            }
        }
        Ok(0.5 * sum)
    }

    /// L, G, N and the second layer's gradient.
    pub(super) fn closed_drive(
        &self,
        units: [Closed; 2],
        s: &[f64],
        c: &[f64],
        second_layer: bool,
        out: &mut Drive,
        tilted: &mut TiltedFields,
        cancel: &Cancel,
    ) -> Result<()> {
        self.pulls(units, s, c, second_layer, out);
        if units == [Closed::Erf; 2] {
            vectorised(
                #[inline(always)]
                || self.squared_gradient_erf(s, c, out, tilted, cancel),
            )
        } else {
            self.squared_gradient(units, s, c, out, cancel)
        }
    }

    /// L, G and the second layer's gradient, from two-field averages.
    #[expect(
        clippy::indexing_slicing,
        reason = "s and c are of K + M fields, made by the callers in `fields`; `resize` gives the averages their sizes"
    )]
    fn pulls(&self, units: [Closed; 2], s: &[f64], c: &[f64], second_layer: bool, out: &mut Drive) {
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
    #[expect(
        clippy::indexing_slicing,
        reason = "s and c are of K + M fields, made by the callers in `fields`; `pulls` has given N its size"
    )]
    fn squared_gradient(
        &self,
        units: [Closed; 2],
        s: &[f64],
        c: &[f64],
        out: &mut Drive,
        cancel: &Cancel,
    ) -> Result<()> {
        let (k, n) = (self.k, self.fields());
        for i in 0..k {
            for j in i..k {
                let mut sum = self.noise_variance * out.n[i * k + j];
                for a in 0..n {
                    cancel.check()?;
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
        Ok(())
    }

    /// N for erf units: every pair of gates tilts the covariance, and what is left is an error.
    ///
    /// E\[g'(k) g'(l) Delta^2\] = mass_kl sum_ab s_a s_b I2(a, b; tilted C). Pairs of gates lie in the
    /// lanes of vector registers; all else is loops over fields.
    #[expect(
        clippy::indexing_slicing,
        reason = "there is a mass and a sum for each pair of gates, at least K(K + 1)/2; `pulls` has given N its size"
    )]
    #[inline(always)]
    fn squared_gradient_erf(
        &self,
        s: &[f64],
        c: &[f64],
        out: &mut Drive,
        tilted: &mut TiltedFields,
        cancel: &Cancel,
    ) -> Result<()> {
        let (k, n) = (self.k, self.fields());
        tilted.prepare(k, n, c);
        tilted.sum_arcsines(n, s, c, cancel)?;
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
        Ok(())
    }
}

/// All pairs of gates (i, j), i <= j, of erf units: arrays by field and then by pair, the number of
/// pairs rounded up to whole registers with gates that meet no field.
#[derive(Clone, Debug, Default)]
pub(super) struct TiltedFields {
    pub(super) pairs: usize,
    masses: Vec<f64>,
    /// Covariances of a field with the two gates.
    pub(super) with_first: Vec<f64>,
    pub(super) with_second: Vec<f64>,
    /// (1 + C_gates)^-1 applied to them.
    pub(super) weight_first: Vec<f64>,
    pub(super) weight_second: Vec<f64>,
    /// 1 / sqrt(1 + variance) of a field under the tilt.
    pub(super) scale: Vec<f64>,
    /// sum_ab s_a s_b asin(tilted correlation).
    sums: Vec<f64>,
}

#[expect(
    clippy::indexing_slicing,
    reason = "every array is a row of `pairs` numbers for each of n fields, made so in `prepare`, and runs of LANES divide a row; s and c are of the same n fields"
)]
impl TiltedFields {
    #[inline(always)]
    pub(super) fn prepare(&mut self, k: usize, n: usize, c: &[f64]) {
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
    fn sum_arcsines(&mut self, n: usize, s: &[f64], c: &[f64], cancel: &Cancel) -> Result<()> {
        self.sums.clear();
        self.sums.resize(self.pairs, 0.0);
        for start in (0..self.pairs).step_by(LANES) {
            let lanes = |array: &[f64], field: usize| -> [f64; LANES] {
                let row = &array[field * self.pairs + start..][..LANES];
                std::array::from_fn(|lane| row[lane])
            };
            let mut total = [0.0; LANES];
            for a in 0..n {
                cancel.check()?;
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
        Ok(())
    }
}
