//! Late times and the lazy and rich limits.
//!
//! ```
//! use hmm_core::Cancel;
//! use hmm_theory::hinge::asymptotics::{lazy_master, rich_front};
//! use ndarray::aview1;
//! // Both begin ballistically: nothing is satisfied yet, and the rotation is time itself.
//! let cancel = Cancel::new();
//! assert!((lazy_master(aview1(&[0.2]), &cancel)?[0] - 0.2).abs() < 1e-9);
//! assert!((rich_front(aview1(&[-3.0]), &cancel)?[0] + 3.0).abs() < 1e-9);
//! // Later dg/ds = 1 - exp(-1/g^2) slows down: a difference of the curve is its slope.
//! let h = 1e-3;
//! let g = lazy_master(aview1(&[2.0 - h, 2.0, 2.0 + h]), &cancel)?;
//! let slope = (g[2] - g[0]) / (2.0 * h);
//! assert!((slope - (1.0 - (-1.0 / (g[1] * g[1])).exp())).abs() < 1e-6); // the cubic term
//! # Ok::<(), hmm_core::Error>(())
//! ```

use super::clock::Clock;
use super::loss::positive;
use super::reduction::{HingeMeanField, InitialMoments};
use crate::quadrature;
use hmm_core::{Cancel, Result};
use libm::expm1;
use ndarray::{Array1, ArrayView1};

/// Where `exp(-exp(-4 D))` falls below rounding: the front is ballistic before it.
const BALLISTIC_FRONT: f64 = -1.2;

/// `1/(1 - e^-x) - 1/x - 1/2`.
fn bernoulli_remainder(x: f64) -> f64 {
    if x < 0.03 {
        // The three terms cancel; the series is exact to rounding here.
        let x2 = x * x;
        return x / 12.0 * (1.0 - x2 / 60.0 * (1.0 - x2 / 42.0 * (1.0 - x2 / 40.0)));
    }
    -expm1(-x).recip() - x.recip() - 0.5
}

/// `K(A) = int_0^inf [1/(1 - e^-eps) - 1/eps - 1/2] dg`, `eps = A / sinh^2(2g)`: the constant of the
/// late-time law.
///
/// # Errors
/// [`hmm_core::Error::InvalidParameter`] unless `A` is positive and finite.
pub fn late_constant(a: f64) -> Result<f64> {
    positive("A", a)?;
    // The integrand ends as A e^{-4g} / 3.
    let end = 0.25 * (a.ln().max(0.0) + 42.0);
    let integrand = |g: f64| bernoulli_remainder(a / (2.0 * g).sinh().powi(2));
    // The first piece holds the ballistic phase of a lazy problem (g ~ sqrt A).
    let knee = (0.5 * a.sqrt().asinh()).min(0.5 * end);
    Ok(quadrature::adaptive(integrand, 0.0, knee, 1e-13)
        + quadrature::adaptive(integrand, knee, end, 1e-13))
}

/// `R t` at rotation `g` by the late-time law,
/// `sinh(4g)/(8A) - g/(2A) + g/2 + K(A) - A e^{-4g}/12`.
fn late_clock(a: f64, constant: f64, g: f64) -> f64 {
    (4.0 * g).sinh() / (8.0 * a) - g / (2.0 * a) + 0.5 * g + constant - a * (-4.0 * g).exp() / 12.0
}

/// Rotation at the scaled time `R t` by the late-time law, for `dg/d(Rt) = 1 - exp(-A/sinh^2(2g))`.
fn late_rotation(a: f64, constant: f64, scaled_time: f64) -> f64 {
    // The law grows with g wherever it holds; bisect it.
    let (mut low, mut high) = (0.0, 1.0);
    while late_clock(a, constant, high) < scaled_time && high < 180.0 {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if late_clock(a, constant, middle) < scaled_time {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// Scaled time `R t` at which `dg/d(Rt) = 1 - exp(-A/sinh^2(2g))` (1 for g < 0) reaches `g`, from 0.
fn standard_time(a: f64, g: f64, cancel: &Cancel) -> Result<f64> {
    if g <= 0.0 {
        return Ok(g);
    }
    let velocity = |g: f64| -expm1(-a / (2.0 * g).sinh().powi(2));
    Clock::new(&velocity, 0.0, 0.0, None, cancel).time(g)
}

/// The late-time law of a problem.
#[derive(Debug, Clone, PartialEq)]
pub struct LateTime {
    /// Rotations by the law, shape (n,).
    pub gamma: Array1<f64>,
    /// Its leading form `log(16 A R t) / 4`, shape (n,).
    pub log_law: Array1<f64>,
    /// `chi sqrt(2 R t) / sigma_x` of the exact solution, which tends to one, shape (n,).
    pub scaled_threshold: Array1<f64>,
    /// Ballistic speed R.
    pub rate: f64,
    /// Constant A of the speed.
    pub a: f64,
    /// Constant K(A) of the law.
    pub constant: f64,
}

impl HingeMeanField {
    /// The late-time law at `times`, for separable Gaussian inputs of standard deviation `sigma_x`.
    ///
    /// # Errors
    /// [`hmm_core::Error::InvalidParameter`] unless `|C0| < C1`; [`hmm_core::Error::Interrupted`].
    pub fn late_time(
        &self,
        sigma_x: f64,
        times: ArrayView1<'_, f64>,
        cancel: &Cancel,
    ) -> Result<LateTime> {
        let InitialMoments { correlation, power } = self.initial_moments();
        let rate = if correlation == 0.0 {
            self.gamma_dot(0.0)
        } else {
            // R of (8): the speed while everything is unsatisfied.
            self.clock_rate() * self.kappa() * sigma_x / std::f64::consts::TAU.sqrt()
        };
        let needed = self.threshold() / (self.kappa() * sigma_x);
        // S = sqrt(C1^2 - C0^2) sinh(2 gamma + artanh(C0/C1)): the standard problem, shifted.
        let shift = 0.5 * (correlation / power).atanh();
        let a = positive(
            "A",
            2.0 * needed * needed / (power * power - correlation * correlation),
        )?;
        let constant = late_constant(a)?;
        let start = standard_time(a, shift, cancel)?;
        let exact = self.gamma(times, cancel)?;
        let mut gamma = Array1::zeros(times.len());
        for (g, t) in gamma.iter_mut().zip(&times) {
            cancel.check()?;
            *g = late_rotation(a, constant, rate * t + start) - shift;
        }
        let threshold = |(g, t): (&f64, &f64)| {
            let chi = self.observables_at(self.alignment(*g)).chi;
            chi * (2.0 * rate * t).sqrt() / sigma_x
        };
        Ok(LateTime {
            gamma,
            log_law: times.mapv(|t| 0.25 * (16.0 * a * rate * t).ln() - shift),
            scaled_threshold: exact.iter().zip(&times).map(threshold).collect(),
            rate,
            a,
            constant,
        })
    }
}

/// The universal lazy curve: `dg/ds = 1 - exp(-1/g^2)`, `g(0) = 0`, with `g = 2 C1 gamma / sqrt A` and
/// `s = 2 C1 R t / sqrt A`.
///
/// # Errors
/// [`hmm_core::Error::InvalidParameter`] for negative or not finite `s`; [`hmm_core::Error::Interrupted`].
pub fn lazy_master(s: ArrayView1<'_, f64>, cancel: &Cancel) -> Result<Array1<f64>> {
    let velocity = |g: f64| -expm1(-(g * g).recip());
    let mut clock = Clock::new(&velocity, 0.0, 0.0, None, cancel);
    s.iter().map(|s| clock.position(*s)).collect()
}

/// The universal rich front: `dD/dtau = 1 - exp(-exp(-4D))`, `D -> tau` as `tau -> -inf`.
///
/// # Errors
/// [`hmm_core::Error::InvalidParameter`] for `tau` that is not finite; [`hmm_core::Error::Interrupted`].
pub fn rich_front(tau: ArrayView1<'_, f64>, cancel: &Cancel) -> Result<Array1<f64>> {
    let velocity = |d: f64| -expm1(-(-4.0 * d).exp());
    let mut clock = Clock::new(&velocity, BALLISTIC_FRONT, BALLISTIC_FRONT, None, cancel);
    tau.iter()
        .map(|tau| {
            if *tau <= BALLISTIC_FRONT && tau.is_finite() {
                Ok(*tau)
            } else {
                clock.position(*tau)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::aview1;

    #[test]
    fn published_constants() {
        assert!((late_constant(200.0).unwrap() / 0.6815505052091192 - 1.0).abs() < 1e-12);
        assert!(
            (rich_front(aview1(&[0.0]), &Cancel::new()).unwrap()[0] + 0.047791173719).abs() < 1e-11
        );
        assert!(
            (lazy_master(aview1(&[2.0]), &Cancel::new()).unwrap()[0] / 1.43000941579 - 1.0).abs()
                < 1e-11
        );
    }

    #[test]
    fn the_series_joins_the_closed_form() {
        for x in [0.02_f64, 0.0299] {
            let direct = -expm1(-x).recip() - x.recip() - 0.5;
            // Rounding of 1/x against a remainder of x/12.
            assert!((bernoulli_remainder(x) / direct - 1.0).abs() < 1e-11);
        }
    }

    #[test]
    fn limits_of_the_lazy_curve() {
        // g ~ (3 s)^(1/3), with a correction s^(-2/3).
        let g = lazy_master(aview1(&[1e30]), &Cancel::new()).unwrap()[0];
        assert!((g / 3e30_f64.cbrt() - 1.0).abs() < 1e-12);
    }
}
