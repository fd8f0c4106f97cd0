//! Laws of `z = y x_par` with clean labels, by their partial moments.

use super::super::density::DensityTable;
use crate::quadrature;
use libm::{erf, erfc, expm1, lgamma, log1p};
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};
use std::sync::Arc;

hmm_core::named! {
    /// A law of inputs and labels that is known by name.
    pub enum LawName: "law" {
        /// `y = sign(x_par)` of a Gaussian input.
        Gaussian = "gaussian",
        /// `y = sign(x_par)` of an input uniform on a sphere.
        Sphere = "sphere",
        /// Two Gaussian clusters, one of each label.
        Mixture = "mixture",
    }
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

/// Standard normal distribution function.
fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x * FRAC_1_SQRT_2)
}

/// Standard normal density.
fn normal_pdf(x: f64) -> f64 {
    (-0.5 * x * x).exp() * FRAC_1_SQRT_2 * 0.5 * FRAC_2_SQRT_PI
}

/// Standard deviations below the mean from where on tail and density are too alike to be subtracted.
const TAIL: f64 = -5.0;

/// Mills' ratio `P(N > x) / pdf(x)` for `x >= 5`, by Laplace's continued fraction.
fn mills(x: f64) -> f64 {
    /// Terms that leave a remainder below rounding at 5.
    const TERMS: u32 = 80;
    (1..=TERMS)
        .rev()
        .fold(x, |tail, k| x + f64::from(k) / tail)
        .recip()
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

    /// Where the density of `z` may not be smooth, 0 left aside.
    pub fn kinks(&self) -> Vec<f64> {
        match self {
            Self::Density(table) => table.edges(),
            Self::Sphere { radius, .. } => vec![-radius, *radius],
            Self::Gaussian { .. } | Self::Mixture { .. } => Vec::new(),
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
                if q < TAIL {
                    // Far below the cluster the two terms nearly cancel; what they share stands outside.
                    sigma * normal_pdf(q) * (mu / sigma * mills(-q) - 1.0)
                } else {
                    mu * normal_cdf(q) - sigma * normal_pdf(q)
                }
            }
            Self::Density(table) => table.first_moment_below(c),
        }
    }

    /// `E[|z| 1(z < c)]`, up to a factor of order one: the size of the terms whose difference is
    /// [`Self::first_moment_below`].
    pub fn pull_below(&self, c: f64) -> f64 {
        match self {
            Self::Gaussian { .. } | Self::Sphere { .. } => self.first_moment_below(c),
            Self::Mixture { mu, .. } if c == f64::INFINITY => mu.abs(),
            Self::Mixture { mu, sigma } => {
                let q = (c - mu) / sigma;
                mu.abs() * normal_cdf(q) + sigma * normal_pdf(q)
            }
            Self::Density(table) => table.pull_below(c),
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
                k * quadrature::adaptive(
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
                let moment = quadrature::adaptive(|z| z * density(z), from, c, 1e-12);
                let mass = quadrature::adaptive(density, from, c, 1e-12);
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
    fn stirling_series_joins_the_log_gamma() {
        // 5e-14: rounding of log-gammas of order 150.
        let direct = (lgamma(50.5) - lgamma(50.0)).exp();
        assert!((gamma_half_step(50.0) / direct - 1.0).abs() < 5e-14);
    }

    /// Values with sixty digits of `mu Phi(q) - sigma pdf(q)` at sigma = mu/20, far below the cluster.
    #[test]
    fn a_narrow_cluster_keeps_its_digits_far_below_it() {
        let law = BaseLaw::Mixture {
            mu: 1.0,
            sigma: 0.05,
        };
        let exact = [
            (0.7, 6.827_935_025_465_315e-10),
            (0.4, 7.032_902_442_461_583e-34),
            (0.1, 9.472_012_059_616_505e-74),
            (0.003, 4.621_788_361_595_846e-92),
        ];
        for (c, exact) in exact {
            assert!(
                (law.first_moment_below(c) / exact - 1.0).abs() < 1e-12,
                "{c}: {}",
                law.first_moment_below(c)
            );
        }
    }
}
