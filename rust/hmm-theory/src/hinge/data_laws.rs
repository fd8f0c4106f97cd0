//! Data laws: all the theory needs of them is the law of `z = y x_par`.

use super::density::DensityTable;
use super::kronrod;
use hmm_core::{Error, Result};
use libm::{erf, erfc, expm1, lgamma, log1p};
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};
use std::sync::Arc;

/// The examples with `alpha y f < h`, as a set of `z` (eq. 7).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unsatisfied {
    /// `z < chi`, for a network aligned with the teacher.
    Below(f64),
    /// Everything: the network is zero.
    All,
    /// `z > chi` (chi < 0), for a network that points the wrong way.
    Above(f64),
}

/// Law of `z = y x_par` with clean labels.
#[derive(Debug, Clone)]
pub enum BaseLaw {
    /// `x ~ N(0, sigma^2)`, `y = sign(x_par)`: `z` is half-normal.
    Gaussian {
        /// Standard deviation of an input.
        sigma: f64,
    },
    /// `x` uniform on the sphere of this radius in `d` dimensions, `y = sign(x_par)`.
    Sphere {
        /// Radius.
        radius: f64,
        /// Dimension (at least 2).
        d: f64,
    },
    /// `x = y mu wstar + sigma xi`: `z ~ N(mu, sigma^2)`.
    Mixture {
        /// Distance of the cluster centres from the origin.
        mu: f64,
        /// Standard deviation of an input.
        sigma: f64,
    },
    /// Any law with a density.
    Density(Arc<DensityTable>),
}

/// A base law whose labels are flipped with a probability.
#[derive(Debug, Clone)]
pub struct DataLaw {
    base: BaseLaw,
    flip: f64,
}

/// Standard normal distribution function.
fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x * FRAC_1_SQRT_2)
}

/// Standard normal density.
fn normal_pdf(x: f64) -> f64 {
    (-0.5 * x * x).exp() * FRAC_1_SQRT_2 * 0.5 * FRAC_2_SQRT_PI
}

/// `Gamma(x + 1/2) / Gamma(x)`.
fn gamma_half_step(x: f64) -> f64 {
    if x < 50.0 {
        return (lgamma(x + 0.5) - lgamma(x)).exp();
    }
    // Stirling's series of the ratio: differences of large log-gammas would lose digits.
    let r = 1.0 / x;
    let series = -0.125
        + r * (1.0 / 128.0 + r * (5.0 / 1024.0 + r * (-21.0 / 32768.0 + r * (-399.0 / 262_144.0))));
    x.sqrt() * (1.0 + r * series)
}

impl BaseLaw {
    /// `E[z]`.
    pub fn mean(&self) -> f64 {
        match self {
            Self::Density(table) => table.mean(),
            Self::Mixture { mu, .. } => *mu,
            _ => self.first_moment_below(f64::INFINITY),
        }
    }

    /// `E[z 1(z < c)]`.
    pub fn first_moment_below(&self, c: f64) -> f64 {
        match self {
            Self::Gaussian { sigma } if c > 0.0 => {
                let s = c * FRAC_1_SQRT_2 / sigma;
                -sigma * (2.0 / PI).sqrt() * expm1(-s * s)
            }
            // (k r / (d - 1)) [1 - (1 - v^2)^((d-1)/2)]
            Self::Sphere { radius, d } if c > 0.0 => {
                let v = (c / radius).min(1.0);
                let half = 0.5 * (d - 1.0);
                -radius * gamma_half_step(half) / (PI.sqrt() * half) * expm1(half * log1p(-v * v))
            }
            Self::Gaussian { .. } | Self::Sphere { .. } => 0.0,
            Self::Mixture { mu, .. } if c == f64::INFINITY => *mu,
            Self::Mixture { mu, sigma } => {
                let q = (c - mu) / sigma;
                mu * normal_cdf(q) - sigma * normal_pdf(q)
            }
            Self::Density(table) => table.first_moment_below(c),
        }
    }

    /// `P(z < c)`.
    pub fn probability_below(&self, c: f64) -> f64 {
        match self {
            Self::Gaussian { sigma } if c > 0.0 => erf(c * FRAC_1_SQRT_2 / sigma),
            Self::Sphere { radius, d } if c > 0.0 => {
                if c >= *radius {
                    return 1.0;
                }
                // I_{v^2}(1/2, (d-1)/2) in the angle phi = asin v, where nothing is singular.
                let k = 2.0 * gamma_half_step(0.5 * (d - 1.0)) / PI.sqrt();
                k * kronrod::adaptive(
                    |phi| phi.cos().powf(d - 2.0),
                    0.0,
                    (c / radius).asin(),
                    1e-12,
                )
            }
            Self::Gaussian { .. } | Self::Sphere { .. } => 0.0,
            Self::Mixture { mu, sigma } => normal_cdf((c - mu) / sigma),
            Self::Density(table) => table.probability_below(c),
        }
    }
}

impl DataLaw {
    /// `base` with labels flipped with probability `flip`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a scale that is not positive and finite, a sphere in fewer than
    /// two dimensions, or a flip probability outside [0, 1].
    pub fn new(base: BaseLaw, flip: f64) -> Result<Self> {
        match &base {
            BaseLaw::Gaussian { sigma } | BaseLaw::Mixture { sigma, .. } => {
                positive("sigma_x", *sigma)?;
            }
            BaseLaw::Sphere { radius, d } => {
                positive("radius", *radius)?;
                if *d < 2.0 {
                    return Err(Error::invalid(
                        "d",
                        d,
                        "a sphere law needs at least two dimensions",
                        "pass d >= 2",
                    ));
                }
            }
            BaseLaw::Density(_) => {}
        }
        if let BaseLaw::Mixture { mu, .. } = &base
            && !mu.is_finite()
        {
            return Err(Error::invalid("mu", mu, "must be finite", "pass a number"));
        }
        if !(0.0..=1.0).contains(&flip) {
            return Err(Error::invalid(
                "flip",
                flip,
                "must be a probability",
                "pass 0 <= flip <= 1",
            ));
        }
        Ok(Self { base, flip })
    }

    /// Law before label flips.
    pub fn base(&self) -> &BaseLaw {
        &self.base
    }

    /// Probability of a flipped label.
    pub fn flip(&self) -> f64 {
        self.flip
    }

    /// `<u z>`: the drive of the rotation.
    pub fn drive(&self, unsatisfied: Unsatisfied) -> f64 {
        let mean = self.base.mean();
        let below = |c| self.base.first_moment_below(c);
        // A flipped example has -z: it lies below c where z lies above -c.
        match unsatisfied {
            Unsatisfied::All => (1.0 - self.flip) * mean - self.flip * mean,
            Unsatisfied::Below(chi) if self.flip == 0.0 => below(chi),
            Unsatisfied::Below(chi) => {
                (1.0 - self.flip) * below(chi) - self.flip * (mean - below(-chi))
            }
            Unsatisfied::Above(chi) => {
                (1.0 - self.flip) * (mean - below(chi)) - self.flip * below(-chi)
            }
        }
    }

    /// `U`: probability of an unsatisfied example.
    pub fn unsatisfied_fraction(&self, unsatisfied: Unsatisfied) -> f64 {
        let below = |c| self.base.probability_below(c);
        match unsatisfied {
            Unsatisfied::All => 1.0,
            Unsatisfied::Below(chi) if self.flip == 0.0 => below(chi),
            Unsatisfied::Below(chi) => {
                (1.0 - self.flip) * below(chi) + self.flip * (1.0 - below(-chi))
            }
            Unsatisfied::Above(chi) => {
                (1.0 - self.flip) * (1.0 - below(chi)) + self.flip * below(-chi)
            }
        }
    }
}

/// `value` if it is positive and finite.
pub(super) fn positive(argument: &'static str, value: f64) -> Result<f64> {
    if value > 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err(Error::invalid(
            argument,
            value,
            "must be positive and finite",
            "pass such a number",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A law, its density, and where quadrature of it may begin.
    type Case<'a> = (BaseLaw, &'a dyn Fn(f64) -> f64, f64);

    /// Every law's moments against quadrature of its density.
    #[test]
    fn moments_are_integrals_of_the_density() {
        let d = 7.0;
        let radius = 2.5;
        let k = 2.0 * (lgamma(0.5 * d) - lgamma(0.5 * (d - 1.0))).exp() / PI.sqrt();
        let half_normal = |z: f64| 2.0 * normal_pdf(z / 1.5) / 1.5;
        let sphere =
            |z: f64| k / radius * (1.0 - (z / radius).powi(2)).max(0.0).powf(0.5 * (d - 3.0));
        let mixture = |z: f64| normal_pdf((z - 0.8) / 1.5) / 1.5;
        let cases: [Case<'_>; 3] = [
            (BaseLaw::Gaussian { sigma: 1.5 }, &half_normal, 0.0),
            (BaseLaw::Sphere { radius, d }, &sphere, 0.0),
            (
                BaseLaw::Mixture {
                    mu: 0.8,
                    sigma: 1.5,
                },
                &mixture,
                -20.0,
            ),
        ];
        for (law, density, from) in cases {
            for c in [0.01, 0.3, 1.0, 2.2, 20.0] {
                let moment = kronrod::adaptive(|z| z * density(z), from, c, 1e-12);
                let mass = kronrod::adaptive(density, from, c, 1e-12);
                assert!(
                    (law.first_moment_below(c) - moment).abs() < 1e-12,
                    "{law:?} {c}"
                );
                assert!(
                    (law.probability_below(c) - mass).abs() < 1e-12,
                    "{law:?} {c}"
                );
            }
        }
    }

    #[test]
    fn flips_mirror_the_law() {
        // Flipping everything turns z into -z.
        let law = |flip| {
            DataLaw::new(
                BaseLaw::Mixture {
                    mu: 0.8,
                    sigma: 1.5,
                },
                flip,
            )
            .unwrap()
        };
        for chi in [0.1, 1.0, 5.0] {
            let flipped = law(1.0).drive(Unsatisfied::Below(chi));
            assert!((flipped + law(0.0).drive(Unsatisfied::Above(-chi))).abs() < 1e-15);
        }
    }

    #[test]
    fn stirling_series_joins_the_log_gamma() {
        // 5e-14: rounding of log-gammas of order 150.
        let direct = (lgamma(50.5) - lgamma(50.0)).exp();
        assert!((gamma_half_step(50.0) / direct - 1.0).abs() < 5e-14);
    }
}
