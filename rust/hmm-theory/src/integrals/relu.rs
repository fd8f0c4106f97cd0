//! Gaussian averages of the rectifier, g(x) = max(x, 0), g'(x) = 1\[x > 0\].
//!
//! Edge cases: a field of zero variance has I2 = 0 and A = 0, and its gate is shut, g'(0) = 0, so B = 0: as in the
//! simulation, where a unit of exactly zero weights never learns.
//! Source: Cho and Saul (2009) for I2; four-field averages in [`super::orthant`].

use super::arcsine::arcsine;
use std::f64::consts::{FRAC_PI_2, PI};

/// Correlation clipped to [-1, 1]; 0 if either variance is.
#[inline(always)]
pub fn correlation(c_aa: f64, c_ab: f64, c_bb: f64) -> f64 {
    if c_aa > 0.0 && c_bb > 0.0 {
        (c_ab / (c_aa * c_bb).sqrt()).clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

/// sqrt(C_aa C_bb - C_ab^2), 0 where round-off makes it imaginary.
#[inline(always)]
fn root_determinant(c_aa: f64, c_ab: f64, c_bb: f64) -> f64 {
    (c_aa * c_bb - c_ab * c_ab).max(0.0).sqrt()
}

/// I2 = E\[g(a) g(b)\].
#[inline(always)]
pub fn i2(c_aa: f64, c_ab: f64, c_bb: f64) -> f64 {
    let angle = FRAC_PI_2 + arcsine(correlation(c_aa, c_ab, c_bb));
    (root_determinant(c_aa, c_ab, c_bb) + c_ab * angle) / (2.0 * PI)
}

/// A = E\[g''(a) g(b)\].
#[inline(always)]
pub fn a(c_aa: f64, c_ab: f64, c_bb: f64) -> f64 {
    if c_aa > 0.0 {
        root_determinant(c_aa, c_ab, c_bb) / (2.0 * PI * c_aa)
    } else {
        0.0
    }
}

/// B = E\[g'(a) g'(b)\].
#[inline(always)]
pub fn b(c_aa: f64, c_ab: f64, c_bb: f64) -> f64 {
    if c_aa > 0.0 && c_bb > 0.0 {
        0.25 + arcsine(correlation(c_aa, c_ab, c_bb)) / (2.0 * PI)
    } else {
        0.0
    }
}
