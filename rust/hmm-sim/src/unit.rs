//! Activation g of a hidden unit, its derivative, and the pair average that the error needs.

use hmm_core::Real;

/// Activation function of a hidden unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// g(x) = erf(x/√2)
    Erf,
    /// g(x) = max(x, 0), with g'(0) = 0
    Relu,
    /// g(x) = x
    Linear,
}

impl Unit {
    /// g(x)
    #[inline(always)]
    pub fn value<T: Real>(self, x: T) -> T {
        match self {
            Self::Erf => x.erf_sqrt2(),
            Self::Relu => x.larger(T::ZERO),
            Self::Linear => x,
        }
    }

    /// g'(x)
    #[inline(always)]
    pub fn slope<T: Real>(self, x: T) -> T {
        match self {
            // √(2/π) exp(-x²/2)
            Self::Erf => {
                T::from_f64(0.797_884_560_802_865_4) * (T::from_f64(-0.5) * x * x).exponential()
            }
            Self::Relu => {
                if x > T::ZERO {
                    T::ONE
                } else {
                    T::ZERO
                }
            }
            Self::Linear => T::ONE,
        }
    }

    /// I2 = E[g(x) h(y)] for centred Gaussian (x, y) with covariance [[cxx, cxy], [cxy, cyy]],
    /// where g is this unit and h the other one.
    pub fn pair_average(self, other: Self, cxx: f64, cxy: f64, cyy: f64) -> f64 {
        use std::f64::consts::{FRAC_2_PI, FRAC_PI_2, TAU};
        match (self, other) {
            (Self::Erf, Self::Erf) => {
                FRAC_2_PI
                    * (cxy / ((1.0 + cxx) * (1.0 + cyy)).sqrt())
                        .clamp(-1.0, 1.0)
                        .asin()
            }
            (Self::Relu, Self::Relu) => {
                let scale = (cxx * cyy).sqrt();
                if scale == 0.0 {
                    return 0.0;
                }
                let determinant = (cxx * cyy - cxy * cxy).max(0.0);
                let angle = (cxy / scale).clamp(-1.0, 1.0).asin();
                (determinant.sqrt() + cxy * (FRAC_PI_2 + angle)) / TAU
            }
            (Self::Linear, Self::Linear) => cxy,
            (Self::Erf, Self::Linear) => (FRAC_2_PI / (1.0 + cxx)).sqrt() * cxy,
            (Self::Linear, Self::Erf) => (FRAC_2_PI / (1.0 + cyy)).sqrt() * cxy,
            (Self::Relu, Self::Linear) | (Self::Linear, Self::Relu) => 0.5 * cxy,
            // dE/dcxy = E[g'] / 2 because the sign of y is independent of the even g'(x).
            (Self::Erf, Self::Relu) => cxy / (TAU * (1.0 + cxx)).sqrt(),
            (Self::Relu, Self::Erf) => cxy / (TAU * (1.0 + cyy)).sqrt(),
        }
    }
}
