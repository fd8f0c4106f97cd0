//! Orthant probabilities and moments of up to four Gaussian fields.
//!
//! M(S; i, j) = E\[x_i x_j prod_{l in S} 1(x_l > 0)\] follows from integrating by parts: each gate
//! that a factor meets turns into the density of its field at 0, and the other fields into their
//! conditional distribution there. Only the probability of four gates needs an integral, over one
//! angle. Gates whose conditional variance vanishes, and (anti)parallel gates, are taken out at
//! every level; otherwise fields of rank below their number lose all digits.
//!
//! ```
//! use hmm_theory::integrals::orthant::GaussianFields;
//! // P(x > 0, y > 0) = 1/4 + asin(rho)/(2 pi).
//! let rho = 0.6;
//! let mut covariance = [[0.0; 4]; 4];
//! for i in 0..4 {
//!     covariance[i][i] = 1.0;
//! }
//! (covariance[0][1], covariance[1][0]) = (rho, rho);
//! let fields = GaussianFields::new(covariance);
//! let quadrant = 0.25 + f64::asin(rho) / std::f64::consts::TAU;
//! assert!((fields.probability(0b0011) - quadrant).abs() < 1e-15);
//! ```

#![expect(
    clippy::indexing_slicing,
    reason = "fields are counted to FIELDS, the side of every array, or are 2 and 3, which `i4` asks for; a mask gives no others"
)]

use super::arcsine::arcsine;
use super::relu::correlation;
use std::f64::consts::{FRAC_PI_2, PI, TAU};

/// Fields of one average.
pub const FIELDS: usize = 4;

/// A set of gates as a bit mask over the fields.
pub type Gates = u8;

/// Below this fraction of its first variance a conditional variance is round-off.
const VANISHED: f64 = 1e-13;

/// Four Gaussian fields of zero mean, possibly conditioned on others being zero.
#[derive(Clone, Copy, Debug)]
pub struct GaussianFields {
    covariance: [[f64; FIELDS]; FIELDS],
    /// Variances before any conditioning: the scale of the round-off in the covariances.
    first_variance: [f64; FIELDS],
}

impl GaussianFields {
    /// Fields with this covariance.
    pub fn new(covariance: [[f64; FIELDS]; FIELDS]) -> Self {
        Self {
            covariance,
            first_variance: std::array::from_fn(|i| covariance[i][i]),
        }
    }

    /// The same fields given x_l = 0.
    fn given_zero(&self, l: usize) -> Self {
        let c = &self.covariance;
        let covariance = std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                if i == l || j == l {
                    0.0
                } else {
                    c[i][j] - c[i][l] * c[j][l] / c[l][l]
                }
            })
        });
        Self {
            covariance,
            first_variance: self.first_variance,
        }
    }

    /// Round-off of variance `i` relative to itself.
    fn relative_noise(&self, i: usize) -> f64 {
        8.0 * f64::EPSILON * self.first_variance[i] / self.covariance[i][i]
    }

    /// Independent gates among `gates` and the factor of those taken out; `None` if no point
    /// passes all gates.
    fn independent_gates(&self, gates: Gates) -> Option<(f64, Gates)> {
        let c = &self.covariance;
        let mut factor = 1.0;
        let mut kept: Gates = 0;
        for i in members(gates) {
            // A field that is always 0 passes no gate, 1(0 > 0) = 0; one that vanishes only where others do is on
            // either side of them.
            if self.first_variance[i] <= 0.0 {
                return None;
            }
            if c[i][i] <= VANISHED * self.first_variance[i] {
                factor *= 0.5;
                continue;
            }
            let mut parallel = false;
            for j in members(kept) {
                let rho = correlation(c[i][i], c[i][j], c[j][j]);
                let noise = 1e-14 + self.relative_noise(i) + self.relative_noise(j);
                if 1.0 + rho <= noise {
                    return None;
                }
                parallel |= 1.0 - rho <= noise;
            }
            if !parallel {
                kept |= 1 << i;
            }
        }
        Some((factor, kept))
    }

    /// P(S): probability that all fields in `gates` are positive.
    pub fn probability(&self, gates: Gates) -> f64 {
        let Some((factor, kept)) = self.independent_gates(gates) else {
            return 0.0;
        };
        let mut index = [0; FIELDS];
        let mut count = 0;
        for i in members(kept) {
            index[count] = i;
            count += 1;
        }
        let rho = |a: usize, b: usize| {
            let (i, j) = (index[a], index[b]);
            let c = &self.covariance;
            correlation(c[i][i], c[i][j], c[j][j])
        };
        factor
            * match count {
                0 => 1.0,
                1 => 0.5,
                2 => two_gates(rho(0, 1)),
                3 => three_gates(rho(0, 1), rho(0, 2), rho(1, 2)),
                _ => four_gates(&std::array::from_fn(|a| {
                    std::array::from_fn(|b| if a == b { 1.0 } else { rho(a, b) })
                })),
            }
    }

    /// M1(S; i) = E\[x_i prod_S 1(x > 0)\]; `i` need not be in S.
    pub(super) fn first_moment(&self, gates: Gates, i: usize) -> f64 {
        let Some((factor, kept)) = self.independent_gates(gates) else {
            return 0.0;
        };
        let c = &self.covariance;
        let mut sum = 0.0;
        for l in members(kept) {
            if c[i][l] != 0.0 {
                let density = c[i][l] / (TAU * c[l][l]).sqrt();
                sum += density * self.given_zero(l).probability(kept & !(1 << l));
            }
        }
        factor * sum
    }

    /// M2(S; i, j) = E\[x_i x_j prod_S 1(x > 0)\]; `i`, `j` need not be in S.
    pub(super) fn second_moment(&self, gates: Gates, i: usize, j: usize) -> f64 {
        let Some((factor, kept)) = self.independent_gates(gates) else {
            return 0.0;
        };
        let c = &self.covariance;
        let mut sum = if c[i][j] == 0.0 {
            0.0
        } else {
            c[i][j] * self.probability(kept)
        };
        for l in members(kept) {
            // Given x_j = 0 the first moment of x_j vanishes.
            if l != j && c[i][l] != 0.0 {
                let density = c[i][l] / (TAU * c[l][l]).sqrt();
                sum += density * self.given_zero(l).first_moment(kept & !(1 << l), j);
            }
        }
        factor * sum
    }
}

/// The fields of a mask.
fn members(gates: Gates) -> impl Iterator<Item = usize> {
    (0..FIELDS).filter(move |i| gates & (1 << i) != 0)
}

fn two_gates(rho: f64) -> f64 {
    0.25 + arcsine(rho) / TAU
}

fn three_gates(rho_01: f64, rho_02: f64, rho_12: f64) -> f64 {
    0.125 + (arcsine(rho_01) + arcsine(rho_02) + arcsine(rho_12)) / (2.0 * TAU)
}

/// Probability of four gates with correlation matrix `rho`.
///
/// The correlations of one field, the pivot p, are turned on from 0: d/dt of the probability is a
/// sum of bivariate densities at 0 times conditional probabilities of the other two (Plackett
/// 1954). With t = sin(theta) the integrand stays bounded where a correlation nears 1.
fn four_gates(rho: &[[f64; FIELDS]; FIELDS]) -> f64 {
    let largest = |p: usize| {
        (0..FIELDS)
            .filter(|&i| i != p)
            .map(|i| rho[p][i].abs())
            .fold(0.0, f64::max)
    };
    let mut pivot = 0;
    for p in 1..FIELDS {
        if largest(p) < largest(pivot) {
            pivot = p;
        }
    }
    let mut others = [0; 3];
    let mut count = 0;
    for i in 0..FIELDS {
        if i != pivot {
            others[count] = i;
            count += 1;
        }
    }
    let [a, b, c] = others;
    let start = 0.5 * three_gates(rho[a][b], rho[a][c], rho[b][c]);
    // The pivot correlations measured from the angle's end keep 1 - t^2 rho^2 exact there.
    let integrand = |remainder: f64| {
        let (t, cosine) = (remainder.cos(), remainder.sin());
        let mut sum = 0.0;
        for (i, j, m) in [(a, b, c), (b, a, c), (c, a, b)] {
            let rho_pi = rho[pivot][i];
            if rho_pi != 0.0 {
                // 1 - t^2 rho^2 without cancellation: cos^2 + t^2 (1 - rho)(1 + rho).
                let determinant = cosine * cosine + t * t * (1.0 - rho_pi) * (1.0 + rho_pi);
                let kappa = partial_correlation(rho, [pivot, i, j, m], t, determinant);
                sum += rho_pi / determinant.sqrt() * two_gates(kappa);
            }
        }
        cosine * sum / TAU
    };
    start + adaptive_gauss_kronrod(&integrand, 0.0, FRAC_PI_2)
}

/// Correlation of x_j and x_m given x_p = x_i = 0, with the row of p scaled by t.
fn partial_correlation(
    rho: &[[f64; FIELDS]; FIELDS],
    [p, i, j, m]: [usize; 4],
    t: f64,
    determinant: f64,
) -> f64 {
    let t_pi = t * rho[p][i];
    let conditional = |u: usize, w: usize| {
        let (pu, pw) = (t * rho[p][u], t * rho[p][w]);
        rho[u][w]
            - (pu * pw + rho[i][u] * rho[i][w] - t_pi * (pu * rho[i][w] + rho[i][u] * pw))
                / determinant
    };
    correlation(conditional(j, j), conditional(j, m), conditional(m, m))
}

/// Positive nodes of the 15-point Kronrod rule and the node 0, outermost first (QUADPACK).
const KRONROD_NODES: [f64; 8] = [
    0.9914553711208126,
    0.9491079123427585,
    0.8648644233597691,
    0.7415311855993945,
    0.5860872354676911,
    0.4058451513773972,
    0.20778495500789848,
    0.0,
];
const KRONROD_WEIGHTS: [f64; 8] = [
    0.022935322010529224,
    0.06309209262997856,
    0.10479001032225019,
    0.14065325971552592,
    0.1690047266392679,
    0.19035057806478542,
    0.20443294007529889,
    0.20948214108472782,
];
/// Weights of the embedded 7-point Gauss rule (0 at the Kronrod nodes).
const GAUSS_WEIGHTS: [f64; 8] = [
    0.0,
    0.1294849661688697,
    0.0,
    0.27970539148927664,
    0.0,
    0.3818300505051189,
    0.0,
    0.4179591836734694,
];

/// Difference of the two rules at which an interval is accepted; the Kronrod value is then good to
/// about the square of it.
const ACCEPTED_DIFFERENCE: f64 = 1e-11;

/// Intervals evaluated at most: where covariances are nearly singular the integrand carries their
/// round-off, which no refinement removes.
const MOST_INTERVALS: usize = 200;

/// Integral over [from, to], intervals halved where the integrand is rough.
///
/// Left halves come first, towards the end where correlations may near 1: when the intervals are
/// used up, the right halves left over are graded towards it.
fn adaptive_gauss_kronrod(f: &impl Fn(f64) -> f64, from: f64, to: f64) -> f64 {
    let mut left = MOST_INTERVALS;
    refine(f, from, to, &mut left)
}

fn refine(f: &impl Fn(f64) -> f64, from: f64, to: f64, intervals_left: &mut usize) -> f64 {
    let half = 0.5 * (to - from);
    let middle = 0.5 * (to + from);
    let (mut kronrod, mut gauss) = (0.0, 0.0);
    for ((node, k), g) in KRONROD_NODES.iter().zip(KRONROD_WEIGHTS).zip(GAUSS_WEIGHTS) {
        let value = if *node == 0.0 {
            f(middle)
        } else {
            f(middle - half * node) + f(middle + half * node)
        };
        kronrod += k * value;
        gauss += g * value;
    }
    *intervals_left = intervals_left.saturating_sub(1);
    // 2^-40 of the range: nothing is left to resolve.
    let resolved = (kronrod - gauss).abs() * half <= ACCEPTED_DIFFERENCE || half < 1e-12 * PI;
    if resolved || *intervals_left == 0 {
        return half * kronrod;
    }
    refine(f, from, middle, intervals_left) + refine(f, middle, to, intervals_left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kronrod_rule_is_exact_for_polynomials() {
        for power in 0..23 {
            let value = adaptive_gauss_kronrod(&|x: f64| x.powi(power), 0.0, 1.0);
            assert!(
                (value - 1.0 / f64::from(power + 1)).abs() < 1e-15,
                "{power}"
            );
        }
    }

    #[test]
    fn independent_gates_multiply() {
        let fields = GaussianFields::new(std::array::from_fn(|i| {
            std::array::from_fn(|j| if i == j { 0.3 + i as f64 } else { 0.0 })
        }));
        assert!((fields.probability(0b1111) - 1.0 / 16.0).abs() < 1e-15);
    }

    #[test]
    fn a_gate_and_a_field_beside_it_follow_stein() {
        // E max(x, 0) y = rho/2.
        let rho = 0.6;
        let mut covariance =
            std::array::from_fn(|i| std::array::from_fn(|j| if i == j { 1.0 } else { 0.0 }));
        (covariance[0][1], covariance[1][0]) = (rho, rho);
        let fields = GaussianFields::new(covariance);
        assert!((fields.second_moment(0b0001, 0, 1) - 0.5 * rho).abs() < 1e-15);
    }

    #[test]
    fn equicorrelated_half_gives_one_fifth() {
        // P(all n positive) = 1/(n + 1) at correlation 1/2.
        let fields = GaussianFields::new(std::array::from_fn(|i| {
            std::array::from_fn(|j| if i == j { 1.0 } else { 0.5 })
        }));
        assert!((fields.probability(0b1111) - 0.2).abs() < 1e-13);
    }
}
