//! Formulas of the units g in simulation: value, slope, and the pair average that the error needs.
//!
//! The one list of units is [`Activation`]; this is the one file of its formulas on this side. Theory has its own,
//! so that an agreement between the two proves something.
//!
//! ```
//! use hmm_core::Activation::{Erf, Linear, Relu};
//! use hmm_sim::activation::Formula;
//! // Of two standard normal fields of correlation c: (2/pi) asin(c/2) for erf, a third of one for equal fields.
//! assert!((Erf.pair_average(Erf, 1.0, 1.0, 1.0).unwrap() - 1.0 / 3.0).abs() < 1e-15);
//! // Half of all fields are positive.
//! assert_eq!(Relu.pair_average(Relu, 1.0, 1.0, 1.0), Some(0.5));
//! // Stein: E g(x) y = E g'(x) E x y, and the mean slope of erf(x/sqrt 2) is 1/sqrt pi.
//! let stein = 0.3 / std::f64::consts::PI.sqrt();
//! assert!((Erf.pair_average(Linear, 1.0, 0.3, 1.0).unwrap() - stein).abs() < 1e-15);
//! assert_eq!(Erf.value_and_slope(0.0), (0.0, (2.0 / std::f64::consts::PI).sqrt()));
//! ```

use hmm_core::{Activation, Real};

/// Slope of the leaky rectifier for negative arguments where a layer does not name its own.
pub const LEAK: f64 = 0.01;

/// The units whose averages over pairs of Gaussian fields have a closed form: those of online learning.
pub const CLOSED: [Activation; 3] = [Activation::Erf, Activation::Relu, Activation::Linear];

/// √(2/π)
const ROOT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;

/// Do the same for every unit with the unit a constant: `monomorphic!(unit, UNIT => expression in UNIT)`.
///
/// The choice is made once, outside the loops of the expression, which then hold one formula each.
#[macro_export]
macro_rules! monomorphic {
    ($unit:expr, $constant:ident => $body:expr) => {
        $crate::monomorphic!(@arms $unit, $constant, $body,
            Sign, Erf, Relu, Sqrt2Relu, Tanh, Linear, Sigmoid, LeakyRelu)
    };
    (@arms $unit:expr, $constant:ident, $body:expr, $($variant:ident),+) => {
        match $unit {
            $(hmm_core::Activation::$variant => {
                const $constant: hmm_core::Activation = hmm_core::Activation::$variant;
                $body
            })+
        }
    };
}

/// What a unit does to its field.
pub trait Formula: Copy {
    /// g(x)
    fn value<T: Real>(self, x: T) -> T;

    /// g'(x); 0 where g jumps or has a kink.
    fn slope<T: Real>(self, x: T) -> T;

    /// g(x) and g'(x), sharing what they have in common.
    fn value_and_slope<T: Real>(self, x: T) -> (T, T);

    /// I2 = E\[g(x) h(y)\] for centred Gaussian (x, y) of covariance \[\[cxx, cxy\], \[cxy, cyy\]\], where g is this
    /// unit and h the other one; `None` where there is no closed form here.
    fn pair_average(self, other: Self, cxx: f64, cxy: f64, cyy: f64) -> Option<f64>;
}

impl Formula for Activation {
    #[inline(always)]
    fn value<T: Real>(self, x: T) -> T {
        match self {
            Self::Sign => {
                let up = if x > T::ZERO { T::ONE } else { T::ZERO };
                let down = if x < T::ZERO { T::ONE } else { T::ZERO };
                up - down
            }
            Self::Erf => x.erf_sqrt2(),
            Self::Relu => x.larger(T::ZERO),
            Self::Sqrt2Relu => T::from_f64(std::f64::consts::SQRT_2) * x.larger(T::ZERO),
            Self::Tanh => x.hyperbolic_tangent(),
            Self::Linear => x,
            Self::Sigmoid => T::ONE / (T::ONE + (-x).exponential()),
            Self::LeakyRelu => {
                if x > T::ZERO {
                    x
                } else {
                    T::from_f64(LEAK) * x
                }
            }
        }
    }

    #[inline(always)]
    fn slope<T: Real>(self, x: T) -> T {
        let step = |slope: f64| {
            if x > T::ZERO {
                T::from_f64(slope)
            } else {
                T::ZERO
            }
        };
        match self {
            Self::Sign => T::ZERO,
            // √(2/π) exp(-x²/2)
            Self::Erf => T::from_f64(ROOT_2_OVER_PI) * (T::from_f64(-0.5) * x * x).exponential(),
            Self::Relu => step(1.0),
            Self::Sqrt2Relu => step(std::f64::consts::SQRT_2),
            Self::Tanh | Self::Sigmoid => slope_of_value(self, self.value(x)),
            Self::Linear => T::ONE,
            Self::LeakyRelu => {
                if x < T::ZERO {
                    T::from_f64(LEAK)
                } else {
                    step(1.0)
                }
            }
        }
    }

    #[inline(always)]
    fn value_and_slope<T: Real>(self, x: T) -> (T, T) {
        let value = self.value(x);
        let slope = match self {
            Self::Tanh | Self::Sigmoid => slope_of_value(self, value),
            _ => self.slope(x),
        };
        (value, slope)
    }

    fn pair_average(self, other: Self, cxx: f64, cxy: f64, cyy: f64) -> Option<f64> {
        use std::f64::consts::{FRAC_2_PI, FRAC_PI_2, TAU};
        Some(match (self, other) {
            (Self::Erf, Self::Erf) => {
                FRAC_2_PI
                    * (cxy / ((1.0 + cxx) * (1.0 + cyy)).sqrt())
                        .clamp(-1.0, 1.0)
                        .asin()
            }
            (Self::Relu, Self::Relu) => {
                let scale = (cxx * cyy).sqrt();
                if scale == 0.0 {
                    return Some(0.0);
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
            _ => return None,
        })
    }
}

/// g' of the sigmoids as a function of g: 1 - g² of tanh, g (1 - g) of the logistic one.
#[inline(always)]
fn slope_of_value<T: Real>(unit: Activation, value: T) -> T {
    match unit {
        Activation::Tanh => T::ONE - value * value,
        _ => value * (T::ONE - value),
    }
}

/// `fields` <- g(fields), vectorised.
pub fn values_in_place<T: Real>(unit: Activation, fields: &mut [T]) {
    monomorphic!(unit, UNIT => hmm_core::special::map_in_place(
        fields,
        #[inline(always)]
        |x| UNIT.value(x),
    ));
}

/// `values` <- g(values), `slopes` <- g'(slopes), vectorised.
pub fn values_and_slopes<T: Real>(unit: Activation, values: &mut [T], slopes: &mut [T]) {
    monomorphic!(unit, UNIT => hmm_core::special::vectorised(
        #[inline(always)]
        || {
            for (value, slope) in values.iter_mut().zip(slopes) {
                *value = UNIT.value(*value);
                *slope = UNIT.slope(*slope);
            }
        },
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmm_core::Named;

    #[test]
    fn slopes_are_derivatives_and_zero_at_jumps_and_kinks() {
        let h = 1e-6;
        for (unit, name) in Activation::NAMES {
            for x in [-2.3, -0.4, 0.7, 3.1] {
                let numeric: f64 = (unit.value(x + h) - unit.value(x - h)) / (2.0 * h);
                assert!((unit.slope(x) - numeric).abs() < 1e-8, "{name} {x}");
            }
        }
        for unit in [
            Activation::Sign,
            Activation::Relu,
            Activation::Sqrt2Relu,
            Activation::LeakyRelu,
        ] {
            assert_eq!(unit.slope(0.0_f64), 0.0);
        }
    }

    #[test]
    fn whole_slices_get_the_bits_of_single_numbers() {
        let fields: Vec<f32> = (-40..40).map(|i| 0.17 * i as f32).collect();
        for (unit, _) in Activation::NAMES {
            let (mut values, mut slopes) = (fields.clone(), fields.clone());
            values_and_slopes(*unit, &mut values, &mut slopes);
            let mut mapped = fields.clone();
            values_in_place(*unit, &mut mapped);
            for (i, &x) in fields.iter().enumerate() {
                assert_eq!(values[i].to_bits(), unit.value(x).to_bits());
                assert_eq!(mapped[i].to_bits(), unit.value(x).to_bits());
                assert_eq!(slopes[i].to_bits(), unit.slope(x).to_bits());
                assert_eq!(unit.value_and_slope(x), (unit.value(x), unit.slope(x)));
            }
        }
    }

    #[test]
    fn closed_averages_exist_for_the_closed_units_only() {
        for (g, _) in Activation::NAMES {
            for (h, _) in Activation::NAMES {
                let closed = CLOSED.contains(g) && CLOSED.contains(h);
                assert_eq!(g.pair_average(*h, 1.2, 0.3, 0.8).is_some(), closed);
            }
        }
    }
}
