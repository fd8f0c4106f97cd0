//! Gaussian averages of the error function, g(x) = erf(x/sqrt 2), g'(x) = sqrt(2/pi) exp(-x^2/2).
//!
//! Two gates g'(a) g'(b) are a Gaussian weight, so what stands behind them is an average over
//! fields of *tilted* covariance: that one fact gives every four-field average with erf gates.
//! No singularities: valid for any covariance, repeated fields and zero variances included.
//! Source: Saad and Solla, Phys. Rev. E 52, 4225 (1995), appendix.

use super::arcsine::arcsine;
use super::difference_of_products;
use std::f64::consts::FRAC_2_PI;

/// I2 = E\[g(a) g(b)\] = (2/pi) asin(C_ab / sqrt((1 + C_aa)(1 + C_bb))).
#[inline(always)]
pub fn i2(c_aa: f64, c_ab: f64, c_bb: f64) -> f64 {
    FRAC_2_PI * arcsine(c_ab / ((1.0 + c_aa) * (1.0 + c_bb)).sqrt())
}

/// A = E\[g''(a) g(b)\].
#[inline(always)]
pub fn a(c_aa: f64, c_ab: f64, c_bb: f64) -> f64 {
    -c_ab / (1.0 + c_aa) * b(c_aa, c_ab, c_bb)
}

/// B = E\[g'(a) g'(b)\].
#[inline(always)]
pub fn b(c_aa: f64, c_ab: f64, c_bb: f64) -> f64 {
    FRAC_2_PI / ((1.0 + c_aa) * (1.0 + c_bb) - c_ab * c_ab).sqrt()
}

/// Variance beyond which (1 + C_aa)(1 + C_bb) - C_ab^2 is computed without cancellation.
pub const LARGE: f64 = 1e4;

/// (1 + C_aa)(1 + C_bb) - C_ab^2, right also where C_ab^2 is nearly C_aa C_bb and both are large.
pub fn determinant(c_aa: f64, c_ab: f64, c_bb: f64) -> f64 {
    if c_aa.max(c_bb) > LARGE {
        1.0 + c_aa + c_bb + difference_of_products(c_aa, c_bb, c_ab, c_ab).max(0.0)
    } else {
        (1.0 + c_aa) * (1.0 + c_bb) - c_ab * c_ab
    }
}

/// Mass of two gates on fields 0 and 1, and the tilted covariance (cc, cd, dd) of fields 2 and 3, one gate after the
/// other and every difference of products without cancellation: for variances so large that [`Tilt`] has no digits.
#[expect(
    clippy::indexing_slicing,
    reason = "gates and fields are counted to 2 and 4, the sides of the array"
)]
pub fn tilted_in_turn(c: &[[f64; 4]; 4]) -> (f64, [f64; 3]) {
    let mut tilted = *c;
    let mut determinant = 1.0;
    for gate in 0..2 {
        let before = tilted;
        let variance = before[gate][gate].max(0.0);
        determinant *= 1.0 + variance;
        for i in 0..4 {
            for j in 0..4 {
                let (x, y) = (before[i][gate], before[j][gate]);
                if x != 0.0 && y != 0.0 {
                    let rest = difference_of_products(before[i][j], variance, x, y);
                    tilted[i][j] = (before[i][j] + rest) / (1.0 + variance);
                }
            }
        }
    }
    let mass = FRAC_2_PI / determinant.sqrt();
    (mass, [tilted[2][2], tilted[2][3], tilted[3][3]])
}

/// Two gates g'(a) g'(b) as a Gaussian weight: its mass and the inverse of (1 + C) on (a, b).
///
/// E\[g'(a) g'(b) h\] = mass * E'\[h\], where E' has covariance C - X (1 + C_gates)^-1 X^T and X holds
/// the covariances with the two gates.
#[derive(Clone, Copy, Debug)]
pub struct Tilt {
    /// (2/pi) / sqrt(Lambda_4), equal to B of the two gates.
    pub mass: f64,
    /// (1 + C)^-1 on the gates: entries aa, ab, bb.
    pub inverse: [f64; 3],
}

impl Tilt {
    /// The tilt of gates with covariance entries `c_aa, c_ab, c_bb`.
    #[inline(always)]
    pub fn new(c_aa: f64, c_ab: f64, c_bb: f64) -> Self {
        // Lambda_4 of the papers.
        let determinant = (1.0 + c_aa) * (1.0 + c_bb) - c_ab * c_ab;
        Self {
            mass: FRAC_2_PI / determinant.sqrt(),
            inverse: [
                (1.0 + c_bb) / determinant,
                -c_ab / determinant,
                (1.0 + c_aa) / determinant,
            ],
        }
    }

    /// Covariance of two fields under the tilt; `x`, `y`: their covariances with (a, b).
    #[inline(always)]
    pub fn covariance(&self, c: f64, x: [f64; 2], y: [f64; 2]) -> f64 {
        let [m_aa, m_ab, m_bb] = self.inverse;
        c - x[0] * (m_aa * y[0] + m_ab * y[1]) - x[1] * (m_ab * y[0] + m_bb * y[1])
    }
}
