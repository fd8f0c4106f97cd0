//! Averages over jointly Gaussian fields of a unit's activation g and its derivatives.
//!
//! I2(a,b) = E\[g(a) g(b)\], I3(a,b,c) = E\[g'(a) b g(c)\], I4(a,b,c,d) = E\[g'(a) g'(b) g(c) g(d)\],
//! A(a,b) = E\[g''(a) g(b)\], B(a,b) = E\[g'(a) g'(b)\]. Covariances are unnormalised. The two fields
//! of a pair may belong to different units (a teacher of another kind than the student); the
//! averages of unlike pairs follow from Stein's lemma because one of the two is odd or linear:
//! E\[max(a,0) h(b)\] = E\[a h(b)\]/2 for odd h.
//!
//! [`orthant`] holds what gates of a rectifier need, [`sampled`] a unit without closed forms.
//!
//! ```
//! use hmm_core::{Activation, Cancel};
//! use hmm_theory::integrals::batch::averages;
//! use ndarray::array;
//! let covariance = array![[[1.0, 0.5], [0.5, 1.0]]];
//! let i2 = averages(covariance.view(), &[Activation::Erf; 2], &Cancel::new())?;
//! let exact = 2.0 / std::f64::consts::PI * 0.25_f64.asin();
//! assert!((i2[0] - exact).abs() < 1e-14);
//! # Ok::<(), hmm_core::Error>(())
//! ```

pub(crate) mod arcsine;
pub mod batch;
pub(crate) mod erf;
mod linear;
pub mod orthant;
mod relu;
pub mod sampled;

use crate::activation::Closed;
use orthant::{FIELDS, Gates, GaussianFields};
use std::f64::consts::{FRAC_2_PI, TAU};

/// E\[erf(a/sqrt 2) b\] = C_ab sqrt(2/pi) / sqrt(1 + C_aa): the slope of it in C_ab.
#[inline(always)]
fn mean_erf_slope(c_aa: f64) -> f64 {
    (FRAC_2_PI / (1.0 + c_aa)).sqrt()
}

/// I2 = E\[g(a) h(b)\] for the units g of a and h of b.
#[inline]
pub fn i2(g: Closed, h: Closed, c_aa: f64, c_ab: f64, c_bb: f64) -> f64 {
    match (g, h) {
        (Closed::Erf, Closed::Erf) => erf::i2(c_aa, c_ab, c_bb),
        (Closed::Relu, Closed::Relu) => relu::i2(c_aa, c_ab, c_bb),
        (Closed::Linear, Closed::Linear) => linear::i2(c_aa, c_ab, c_bb),
        (Closed::Erf, Closed::Linear) => mean_erf_slope(c_aa) * c_ab,
        (Closed::Linear, Closed::Erf) => mean_erf_slope(c_bb) * c_ab,
        (Closed::Erf, Closed::Relu) => 0.5 * mean_erf_slope(c_aa) * c_ab,
        (Closed::Relu, Closed::Erf) => 0.5 * mean_erf_slope(c_bb) * c_ab,
        (Closed::Relu, Closed::Linear) | (Closed::Linear, Closed::Relu) => 0.5 * c_ab,
    }
}

/// A = E\[g''(a) h(b)\] = 2 dI2/dC_aa for the units g of a and h of b.
#[inline]
pub fn a(g: Closed, h: Closed, c_aa: f64, c_ab: f64, c_bb: f64) -> f64 {
    match (g, h) {
        (Closed::Erf, Closed::Erf) => erf::a(c_aa, c_ab, c_bb),
        (Closed::Relu, Closed::Relu) => relu::a(c_aa, c_ab, c_bb),
        (Closed::Erf, Closed::Linear) => -mean_erf_slope(c_aa) * c_ab / (1.0 + c_aa),
        (Closed::Erf, Closed::Relu) => -0.5 * mean_erf_slope(c_aa) * c_ab / (1.0 + c_aa),
        (Closed::Linear, _) | (Closed::Relu, Closed::Erf | Closed::Linear) => 0.0,
    }
}

/// Mean of a rectifier's gate: 1/2, and 0 of a field that is always 0, where the gate is shut.
#[inline(always)]
fn mean_gate(variance: f64) -> f64 {
    if variance > 0.0 { 0.5 } else { 0.0 }
}

/// B = E\[g'(a) h'(b)\] = dI2/dC_ab for the units g of a and h of b.
#[inline]
pub fn b(g: Closed, h: Closed, c_aa: f64, c_ab: f64, c_bb: f64) -> f64 {
    match (g, h) {
        (Closed::Erf, Closed::Erf) => erf::b(c_aa, c_ab, c_bb),
        (Closed::Relu, Closed::Relu) => relu::b(c_aa, c_ab, c_bb),
        (Closed::Linear, Closed::Linear) => 1.0,
        (Closed::Erf, Closed::Linear) => mean_erf_slope(c_aa),
        (Closed::Linear, Closed::Erf) => mean_erf_slope(c_bb),
        (Closed::Erf, Closed::Relu) => mean_gate(c_bb) * mean_erf_slope(c_aa),
        (Closed::Relu, Closed::Erf) => mean_gate(c_aa) * mean_erf_slope(c_bb),
        (Closed::Relu, Closed::Linear) => mean_gate(c_aa),
        (Closed::Linear, Closed::Relu) => mean_gate(c_bb),
    }
}

/// x y - z w with the rounding error of one product made good: right to two units in the last place for the numbers
/// given (Kahan; Jeannerod, Louvet and Muller 2013).
pub(crate) fn difference_of_products(x: f64, y: f64, z: f64, w: f64) -> f64 {
    let product = z * w;
    let error = libm::fma(-z, w, product);
    libm::fma(x, y, -product) + error
}

/// I3 = E\[g'(a) b h(c)\] = C_ab A(a,c) + C_bc B(a,c), by Stein's lemma.
#[inline]
pub fn i3(g: Closed, h: Closed, c: &[[f64; 3]; 3]) -> f64 {
    let (c_aa, c_ac, c_cc) = (c[0][0], c[0][2], c[2][2]);
    if g == Closed::Erf {
        // A = -C_ac/(1 + C_aa) B: the two terms cancel where C_aa is large.
        let rest = difference_of_products(c[1][2], c_aa, c[0][1], c_ac);
        let gates = match h {
            Closed::Erf => FRAC_2_PI / erf::determinant(c_aa, c_ac, c_cc).sqrt(),
            Closed::Relu | Closed::Linear => b(g, h, c_aa, c_ac, c_cc),
        };
        return gates * (c[1][2] + rest) / (1.0 + c_aa);
    }
    c[0][1] * a(g, h, c_aa, c_ac, c_cc) + c[1][2] * b(g, h, c_aa, c_ac, c_cc)
}

/// I4 = E\[g'(a) g'(b) h_c(c) h_d(d)\]: two gates of unit g, fields of units h_c and h_d.
pub fn i4(g: Closed, [h_c, h_d]: [Closed; 2], c: &[[f64; FIELDS]; FIELDS]) -> f64 {
    match g {
        Closed::Linear => i2(h_c, h_d, c[2][2], c[2][3], c[3][3]),
        Closed::Erf if c[0][0].max(c[1][1]) > erf::LARGE => {
            let (mass, tilted) = erf::tilted_in_turn(c);
            mass * i2(h_c, h_d, tilted[0].max(0.0), tilted[1], tilted[2].max(0.0))
        }
        Closed::Erf => {
            let tilt = erf::Tilt::new(c[0][0], c[0][1], c[1][1]);
            let [[c_a, c_b, c_cc, c_cd], [d_a, d_b, _, c_dd]] = [c[2], c[3]];
            let (with_c, with_d) = ([c_a, c_b], [d_a, d_b]);
            tilt.mass
                * i2(
                    h_c,
                    h_d,
                    tilt.covariance(c_cc, with_c, with_c).max(0.0),
                    tilt.covariance(c_cd, with_c, with_d),
                    tilt.covariance(c_dd, with_d, with_d).max(0.0),
                )
        }
        Closed::Relu => i4_relu_gates([h_c, h_d], c),
    }
}

/// E\[1(a > 0) 1(b > 0) h_c(c) h_d(d)\].
///
/// A rectified field is a factor and a gate. An erf is a gate with a fresh standard normal added to
/// its field, erf(c/sqrt 2) = 2 P(c + xi > 0) - 1: two terms.
#[expect(
    clippy::indexing_slicing,
    reason = "two fields are visited: two factors at most, and terms double at most twice, to four"
)]
fn i4_relu_gates(units: [Closed; 2], c: &[[f64; FIELDS]; FIELDS]) -> f64 {
    let mut covariance = *c;
    let mut factors = [0; 2];
    let mut factor_count = 0;
    // Terms: coefficient and gates. Two erf fields make four.
    let mut terms = [(0.0, 0 as Gates); 4];
    terms[0] = (1.0, 0b0011);
    let mut term_count = 1;
    for (field, unit) in [(2, units[0]), (3, units[1])] {
        if matches!(unit, Closed::Relu | Closed::Linear) {
            if c[field][field] <= 0.0 {
                return 0.0;
            }
            factors[factor_count] = field;
            factor_count += 1;
        }
        match unit {
            Closed::Relu => terms[..term_count]
                .iter_mut()
                .for_each(|term| term.1 |= 1 << field),
            Closed::Linear => {}
            Closed::Erf => {
                covariance[field][field] += 1.0;
                for i in 0..term_count {
                    let (coefficient, gates) = terms[i];
                    terms[i] = (2.0 * coefficient, gates | 1 << field);
                    terms[term_count + i] = (-coefficient, gates);
                }
                term_count *= 2;
            }
        }
    }
    let fields = GaussianFields::new(covariance);
    terms[..term_count]
        .iter()
        .map(|&(coefficient, gates)| {
            coefficient
                * match factor_count {
                    0 => fields.probability(gates),
                    1 => fields.first_moment(gates, factors[0]),
                    _ => fields.second_moment(gates, factors[0], factors[1]),
                }
        })
        .sum()
}

/// Mean of max(x, 0) for a field of variance `variance`.
pub fn mean_relu(variance: f64) -> f64 {
    (variance / TAU).sqrt()
}
