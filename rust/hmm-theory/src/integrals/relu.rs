//! Gaussian averages of the rectifier, g(x) = max(x, 0), g'(x) = 1\[x > 0\].
//!
//! Edge cases: a field of zero variance has I2 = 0 and A = 0, and its gate is shut, g'(0) = 0, so B = 0: as in the
//! simulation, where a unit of exactly zero weights never learns.
//! Source: Cho and Saul (2009) for I2; four-field averages in [`super::orthant`].

use super::arcsine::arcsine;
use std::f64::consts::PI;

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
///
/// The difference of the products is rounded once (Kahan): of fields that are almost parallel it is all that is left.
#[inline(always)]
fn root_determinant(c_aa: f64, c_ab: f64, c_bb: f64) -> f64 {
    let square = c_ab * c_ab;
    let rounding = c_ab.mul_add(c_ab, -square);
    (c_aa.mul_add(c_bb, -square) - rounding).max(0.0).sqrt()
}

/// I2 = E\[g(a) g(b)\].
#[inline(always)]
pub fn i2(c_aa: f64, c_ab: f64, c_bb: f64) -> f64 {
    let root = root_determinant(c_aa, c_ab, c_bb);
    // The angle is that of the very determinant beside it: errors of both cancel. The arc sine of a correlation that was
    // rounded by itself is off by 1e-9 where fields are almost parallel, more than what a student has left to learn there.
    (root + c_ab * libm::atan2(root, -c_ab)) / (2.0 * PI)
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
