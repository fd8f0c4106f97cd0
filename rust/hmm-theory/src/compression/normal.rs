//! The standard normal law: density, distribution function, and what stays exact in the tails.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// Density `exp(-x^2/2)/sqrt(2 pi)`; zero at plus and minus infinity.
pub fn density(x: f64) -> f64 {
    libm::exp(-0.5 * x * x) / TAU.sqrt()
}

/// Distribution function `P(N < x)`, accurate in the lower tail.
pub fn below(x: f64) -> f64 {
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
}

/// `P(N > x)`, accurate in the upper tail.
pub fn above(x: f64) -> f64 {
    below(-x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert!((below(1.0) - 0.8413447460685429).abs() < 1e-15);
        assert!((above(10.0) / 7.619853024160527e-24 - 1.0).abs() < 1e-13);
        assert!((density(0.5) - 0.3520653267642995).abs() < 1e-15);
        assert_eq!(density(f64::INFINITY), 0.0);
        assert_eq!(below(f64::NEG_INFINITY), 0.0);
        assert_eq!(below(f64::INFINITY), 1.0);
    }
}
