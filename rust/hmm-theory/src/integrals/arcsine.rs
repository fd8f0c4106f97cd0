//! A branch-free arc sine, so that a loop over many of them runs on vector registers.
//!
//! The right-hand side of the erf equations is little more than `(K + M)^2 K^2 / 4` arc sines.

use std::f64::consts::FRAC_PI_2;

/// Rational approximation of `asin(x) = x + x R(x^2)` on |x| <= 1/2 (FreeBSD msun, `e_asin.c`).
const NUMERATOR: [f64; 6] = [
    0.16666666666666666,
    -0.3255658186224009,
    0.20121253213486293,
    -0.04005553450067941,
    0.0007915349942898145,
    3.479331075960212e-05,
];
const DENOMINATOR: [f64; 4] = [
    -2.403394911734414,
    2.0209457602335057,
    -0.6882839716054533,
    0.07703815055590194,
];

/// Arc sine of `x` clipped to [-1, 1].
///
/// The argument is a correlation, which round-off may carry past 1.
#[inline(always)]
pub fn arcsine(x: f64) -> f64 {
    let size = x.abs().min(1.0);
    let large = size > 0.5;
    // Above 1/2: asin(x) = pi/2 - 2 asin(sqrt((1 - x)/2)).
    let z = if large {
        0.5 * (1.0 - size)
    } else {
        size * size
    };
    let root = if large { z.sqrt() } else { size };
    let [p0, p1, p2, p3, p4, p5] = NUMERATOR;
    let [q0, q1, q2, q3] = DENOMINATOR;
    let p = z * (p0 + z * (p1 + z * (p2 + z * (p3 + z * (p4 + z * p5)))));
    let q = 1.0 + z * (q0 + z * (q1 + z * (q2 + z * q3)));
    let small = root + root * (p / q);
    let result = if large {
        FRAC_PI_2 - 2.0 * small
    } else {
        small
    };
    result.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::arcsine;

    #[test]
    fn agrees_with_libm_to_two_ulp() {
        for i in -20_000..=20_000 {
            let x = f64::from(i) / 20_000.0;
            let exact = libm::asin(x);
            assert!(
                (arcsine(x) - exact).abs() <= 2.0 * f64::EPSILON * exact.abs(),
                "{x}"
            );
        }
        assert_eq!(arcsine(1.0 + 1e-12), std::f64::consts::FRAC_PI_2);
    }
}
