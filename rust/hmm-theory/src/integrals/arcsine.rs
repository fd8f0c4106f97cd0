//! Arc sines of correlations: one at a time, and eight at once in vector registers.
//!
//! The right-hand side of the erf equations is little more than (K + M)^2 K^2 / 4 arc sines.

use std::f64::consts::FRAC_PI_2;

/// Values in one vector call.
pub const LANES: usize = 8;

/// R in asin(x) = x + x^3 R(x^2) for |x| <= 1/2: Chebyshev interpolation of degree 11 in x^2 on
/// [0, 1/4], computed in 60 digits; its relative error in asin is 6e-17.
const R: [[f64; 2]; 6] = [
    [0.1666666666666665, 0.07500000000020764],
    [0.044642857103423646, 0.03038194736709848],
    [0.02237204763174451, 0.017355259955786323],
    [0.013929652902326633, 0.011875494382636922],
    [0.0078029494773533175, 0.01603551434914882],
    [-0.010749050339697808, 0.028169218060881414],
];

/// Arc sine of `x` clipped to [-1, 1]: round-off may carry a correlation past 1.
#[inline]
pub fn arcsine(x: f64) -> f64 {
    libm::asin(x.clamp(-1.0, 1.0))
}

/// Eight arc sines, clipped likewise; for use inside `hmm_core::special::vectorised`, where the
/// fused multiply-adds are single instructions.
#[inline(always)]
pub fn arcsines(x: &[f64; LANES]) -> [f64; LANES] {
    let mut result = [0.0; LANES];
    for (result, &x) in result.iter_mut().zip(x) {
        let size = x.abs().min(1.0);
        let large = size > 0.5;
        // Above 1/2: asin(x) = pi/2 - 2 asin(sqrt((1 - x)/2)).
        let z = if large {
            (-0.5_f64).mul_add(size, 0.5)
        } else {
            size * size
        };
        let root = if large { z.sqrt() } else { size };
        // Estrin's scheme: short chains, so that the calls of a loop overlap.
        let (z2, z4) = (z * z, (z * z) * (z * z));
        let pair = |[even, odd]: [f64; 2]| odd.mul_add(z, even);
        let low = pair(R[1]).mul_add(z2, pair(R[0]));
        let middle = pair(R[3]).mul_add(z2, pair(R[2]));
        let high = pair(R[5]).mul_add(z2, pair(R[4]));
        let r = high.mul_add(z4, middle).mul_add(z4, low);
        let small = (root * z).mul_add(r, root);
        let value = if large {
            (-2.0_f64).mul_add(small, FRAC_PI_2)
        } else {
            small
        };
        *result = value.copysign(x);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::{LANES, arcsine, arcsines};

    #[test]
    fn vectors_agree_with_libm_to_two_ulp() {
        for i in -20_000..=20_000 {
            let x = f64::from(i) / 20_000.0;
            let exact = arcsine(x);
            for value in arcsines(&[x; LANES]) {
                assert!(
                    (value - exact).abs() <= 2.0 * f64::EPSILON * exact.abs(),
                    "{x}"
                );
            }
        }
    }

    #[test]
    fn round_off_past_one_is_clipped() {
        assert_eq!(arcsine(1.0 + 1e-12), std::f64::consts::FRAC_PI_2);
        assert_eq!(
            arcsines(&[-1.0 - 1e-12; LANES]),
            [-std::f64::consts::FRAC_PI_2; LANES]
        );
    }
}
