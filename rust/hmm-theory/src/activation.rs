//! Formulas of the units g in theory: value, slope, curvature, and moments over a standard normal field.
//!
//! The one list of units is [`Activation`]; this is the one file of its formulas on this side. The simulation has its
//! own. Averages over several fields are in [`crate::integrals`].
//!
//! ```
//! use hmm_core::{Activation, Cancel, Named};
//! use hmm_theory::activation::{Formula, Smoothness};
//! use hmm_theory::quadrature::gauss_normal;
//! let rule = gauss_normal(80, &Cancel::new())?;
//! let average = |f: &dyn Fn(f64) -> f64| rule.nodes.iter().zip(&rule.weights).map(|(u, w)| w * f(*u)).sum::<f64>();
//! for (unit, name) in Activation::NAMES.iter().filter(|(unit, _)| unit.smoothness() == Smoothness::Smooth) {
//!     let moments = unit.moments();
//!     // Stein: b = E u g(u) = E g'(u).
//!     assert!((moments.b - average(&|u| unit.jet(u).slope)).abs() < 1e-8, "{name}");
//!     // What a, b and c leave to the noise, ζ = c - a² - b², is no negative variance.
//!     assert!(moments.c >= moments.a.powi(2) + moments.b.powi(2));
//! }
//! # Ok::<(), hmm_core::Error>(())
//! ```

use hmm_core::{Activation, Error, Named, Result};
use std::f64::consts::{FRAC_1_PI, FRAC_1_SQRT_2, FRAC_2_PI, PI, SQRT_2};

/// Slope of the leaky rectifier for negative arguments where a layer does not name its own.
pub const LEAK: f64 = 0.01;

/// Value, slope and curvature of an activation at one point.
#[derive(Clone, Copy, Debug, Default)]
pub struct Jet {
    /// g(x).
    pub value: f64,
    /// g'(x).
    pub slope: f64,
    /// g''(x).
    pub curvature: f64,
}

/// a = E g(u), b = E u g(u), c = E g(u)^2 over a standard normal u.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// a
    pub a: f64,
    /// b
    pub b: f64,
    /// c
    pub c: f64,
}

/// How smooth a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Smoothness {
    /// g jumps.
    Jump,
    /// g' jumps.
    Kink,
    /// As smooth as one likes.
    Smooth,
}

/// What theory knows of a unit by itself.
pub trait Formula: Copy {
    /// g, g' and g'' at `x`; 0 for the derivatives at jumps and kinks, so that g'(0) = 0 of a rectifier as in the
    /// simulation.
    fn jet(self, x: f64) -> Jet;

    /// (a, b, c) in closed form; of tanh and the sigmoid by quadrature to 30 digits.
    fn moments(self) -> Moments;

    /// How smooth it is.
    fn smoothness(self) -> Smoothness;
}

impl Formula for Activation {
    fn jet(self, x: f64) -> Jet {
        let straight = |value: f64, slope: f64| Jet {
            value,
            slope,
            curvature: 0.0,
        };
        let step = |slope: f64| if x > 0.0 { slope } else { 0.0 };
        match self {
            Self::Sign => straight(f64::from(x > 0.0) - f64::from(x < 0.0), 0.0),
            Self::Linear => straight(x, 1.0),
            Self::Relu => straight(x.max(0.0), step(1.0)),
            Self::Sqrt2Relu => straight(SQRT_2 * x.max(0.0), step(SQRT_2)),
            Self::LeakyRelu => {
                let slope = if x < 0.0 { LEAK } else { step(1.0) };
                straight(slope * x, slope)
            }
            Self::Erf => {
                let slope = FRAC_2_PI.sqrt() * (-0.5 * x * x).exp();
                Jet {
                    value: libm::erf(x * FRAC_1_SQRT_2),
                    slope,
                    curvature: -x * slope,
                }
            }
            Self::Tanh => {
                let value = libm::tanh(x);
                // 1/cosh^2 keeps its digits where 1 - tanh^2 has none; past 350 both are zero.
                let slope = libm::cosh(x.clamp(-350.0, 350.0)).powi(-2);
                Jet {
                    value,
                    slope,
                    curvature: -2.0 * value * slope,
                }
            }
            Self::Sigmoid => {
                let value = 1.0 / (1.0 + libm::exp(-x));
                let slope = value / (1.0 + libm::exp(x));
                Jet {
                    value,
                    slope,
                    curvature: slope * (1.0 - 2.0 * value),
                }
            }
        }
    }

    fn moments(self) -> Moments {
        let rectifier = |scale: f64, leak: f64| Moments {
            a: scale * (1.0 - leak) / (2.0 * PI).sqrt(),
            b: scale * 0.5 * (1.0 + leak),
            c: scale * scale * 0.5 * (1.0 + leak * leak),
        };
        let odd = |b: f64, c: f64| Moments { a: 0.0, b, c };
        match self {
            Self::Sign => odd(FRAC_2_PI.sqrt(), 1.0),
            Self::Erf => odd(FRAC_1_PI.sqrt(), 1.0 / 3.0),
            Self::Linear => odd(1.0, 1.0),
            // c = 1 - b: E tanh^2 = 1 - E tanh'.
            Self::Tanh => odd(0.6057055096021588, 0.3942944903978412),
            Self::Relu => rectifier(1.0, 0.0),
            Self::Sqrt2Relu => rectifier(SQRT_2, 0.0),
            Self::LeakyRelu => rectifier(1.0, LEAK),
            // c = a - b: the slope is g - g^2.
            Self::Sigmoid => Moments {
                a: 0.5,
                b: 0.206_620_964_141_907_03,
                c: 0.293_379_035_858_092_94,
            },
        }
    }

    fn smoothness(self) -> Smoothness {
        match self {
            Self::Sign => Smoothness::Jump,
            Self::Relu | Self::Sqrt2Relu | Self::LeakyRelu => Smoothness::Kink,
            Self::Erf | Self::Tanh | Self::Linear | Self::Sigmoid => Smoothness::Smooth,
        }
    }
}

/// A unit whose averages over Gaussian fields have closed forms: the proof that one of the list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// erf(x/sqrt 2).
    Erf,
    /// max(x, 0).
    Relu,
    /// x.
    Linear,
}

impl Closed {
    /// The unit if it has closed averages.
    pub const fn of(unit: Activation) -> Option<Self> {
        match unit {
            Activation::Erf => Some(Self::Erf),
            Activation::Relu => Some(Self::Relu),
            Activation::Linear => Some(Self::Linear),
            _ => None,
        }
    }

    /// The unit if it has closed averages, for the argument `argument`.
    ///
    /// # Errors
    /// It has none; with the list of those that have.
    pub fn required(argument: &'static str, unit: Activation) -> Result<Self> {
        Self::of(unit).ok_or_else(|| {
            Error::invalid(
                argument,
                format!("'{}'", unit.name()),
                "no closed form for this unit",
                "pass 'erf', 'relu' or 'linear'",
            )
        })
    }

    /// Its place in the one list.
    pub const fn activation(self) -> Activation {
        match self {
            Self::Erf => Activation::Erf,
            Self::Relu => Activation::Relu,
            Self::Linear => Activation::Linear,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jets_are_derivatives_and_zero_at_jumps_and_kinks() {
        let h = 1e-5;
        for (unit, name) in Activation::NAMES {
            for x in [-2.3, -0.4, 0.7, 3.1] {
                let (up, here, down) = (unit.jet(x + h), unit.jet(x), unit.jet(x - h));
                assert!(
                    (here.slope - (up.value - down.value) / (2.0 * h)).abs() < 1e-9,
                    "{name}"
                );
                let curvature = (up.slope - down.slope) / (2.0 * h);
                assert!((here.curvature - curvature).abs() < 1e-9, "{name}");
            }
            if unit.smoothness() != Smoothness::Smooth {
                assert_eq!(unit.jet(0.0).slope, 0.0);
            }
        }
    }

    /// Moments against the trapezoidal rule, halves apart so that jumps and kinks lie at its ends.
    #[test]
    fn moments_are_averages() {
        let (steps, reach) = (200_000, 12.0);
        let h = reach / f64::from(steps);
        for (unit, name) in Activation::NAMES {
            let mut sums = [0.0; 3];
            for side in [-1.0, 1.0] {
                for i in 0..steps {
                    let u = side * (f64::from(i) + 0.5) * h;
                    let weight = h * (-0.5 * u * u).exp() / (2.0 * PI).sqrt();
                    let g = unit.jet(u).value;
                    for (sum, x) in sums.iter_mut().zip([g, u * g, g * g]) {
                        *sum += weight * x;
                    }
                }
            }
            let Moments { a, b, c } = unit.moments();
            for (sum, exact) in sums.iter().zip([a, b, c]) {
                // The midpoint rule errs by h^2/24 of a change of slope.
                assert!((sum - exact).abs() < 1e-9, "{name}: {sum} {exact}");
            }
        }
    }
}
