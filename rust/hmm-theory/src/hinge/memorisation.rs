//! Training sets of finite size N (infinite width): over-fitting by memorisation.
//!
//! An approximate theory. It holds for `N >> d^2/2`, where only kernel harmonics of degree three and
//! more are memorised; it is 5-20 % accurate until half its own end of training and then ends too
//! abruptly, because every example gets the same extra margin.
//!
//! ```
//! use hmm_core::Cancel;
//! use hmm_theory::hinge::{BaseLaw, DataLaw, HingeLoss, HingeMeanField, InitialMoments};
//! use hmm_theory::hinge::memorisation::{FiniteSample, end_of_training, memorise};
//! use ndarray::aview1;
//! let law = DataLaw::new(BaseLaw::Gaussian { sigma: 1.0 }, 0.0)?;
//! let loss = HingeLoss { alpha: 1.0, h: 1.0, beta: 1.0, exponent: 1.0 };
//! let moments = InitialMoments { correlation: 0.0, power: 1.0 };
//! let field = HingeMeanField::new(law, loss, 0.1, moments, false)?;
//! let of = |samples| FiniteSample { d: 100.0, samples, sigma_x: 1.0, sigma_a: 1.0, sigma_w: 1.0 };
//! // Training ends at a time that grows as N^(2/3).
//! let ratio = end_of_training(&field, of(8e5))? / end_of_training(&field, of(1e5))?;
//! assert!((ratio - 4.0).abs() < 1e-12);
//! // Examples that were stored are satisfied before fresh ones.
//! let course = memorise(&field, of(1e5), aview1(&[0.0, 100.0, 500.0]), &Cancel::new())?;
//! for (train, test) in course.train_unsatisfied.iter().zip(&course.test_unsatisfied) {
//!     assert!(train <= test);
//! }
//! # Ok::<(), hmm_core::Error>(())
//! ```

use super::flow;
use super::loss::positive;
use super::reduction::HingeMeanField;
use super::rotation::increasing_times;
use hmm_core::{Cancel, Result};
use ndarray::{Array1, ArrayView1};
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Degree >= 3 share of the kernel of input weights, `1/4 - 3/(4 pi)`.
pub const HW: f64 = 0.25 - 3.0 / (4.0 * PI);
/// Degree >= 3 share of the kernel of output weights, `1/4 - 1/(2 pi)`.
pub const HA: f64 = 0.25 - 1.0 / (2.0 * PI);
/// Tolerance of the integrator; the theory itself is good to per cents.
const TOLERANCE: f64 = 1e-10;

/// Course of learning on a finite training set.
#[derive(Debug, Clone, PartialEq)]
pub struct Memorised {
    /// Rotation, shape (n,).
    pub gamma: Array1<f64>,
    /// Extra margin s that an unsatisfied training example has gained from its own updates, shape (n,).
    pub extra_margin: Array1<f64>,
    /// Unsatisfied fraction of the training set, shape (n,).
    pub train_unsatisfied: Array1<f64>,
    /// Unsatisfied fraction of fresh data, shape (n,).
    pub test_unsatisfied: Array1<f64>,
}

/// Scales of the Gaussian problem: dimension, training-set size, input and weight deviations.
#[derive(Debug, Clone, Copy)]
pub struct FiniteSample {
    /// Dimension d.
    pub d: f64,
    /// Size N of the training set.
    pub samples: f64,
    /// Standard deviation of an input.
    pub sigma_x: f64,
    /// Standard deviation of the initial output weights.
    pub sigma_a: f64,
    /// Standard deviation of the initial input weights.
    pub sigma_w: f64,
}

/// Learning of separable Gaussian data from `N` stored examples, at the increasing `times`.
///
/// # Errors
/// [`hmm_core::Error::InvalidParameter`] for times out of order or a size that is not positive;
/// [`hmm_core::Error::Interrupted`].
pub fn memorise(
    problem: &HingeMeanField,
    sample: FiniteSample,
    times: ArrayView1<'_, f64>,
    cancel: &Cancel,
) -> Result<Memorised> {
    increasing_times(times)?;
    positive("N", sample.samples)?;
    let (va, vw) = (sample.sigma_a.powi(2), sample.sigma_w.powi(2));
    let (kappa, threshold) = (problem.kappa(), problem.threshold());
    let rate =
        problem.clock_rate() * kappa * kappa * sample.d * sample.sigma_x.powi(2) / sample.samples;
    let scaled = |margin: f64, gamma: f64| {
        let slope = 0.5 * kappa * problem.alignment(gamma);
        let chi = if slope > 0.0 {
            margin / slope
        } else {
            f64::INFINITY
        };
        chi * FRAC_1_SQRT_2 / sample.sigma_x
    };
    let train = |s: f64, gamma: f64| {
        let margin = (threshold - s).max(0.0);
        if margin == 0.0 {
            0.0
        } else {
            scaled(margin, gamma)
        }
    };
    let ballistic = problem.speed_at(0.0);
    let slopes = |[gamma, s]: &[f64; 2]| {
        if *s >= threshold {
            // Every training example is satisfied.
            return [0.0, 0.0];
        }
        let a2 = va * gamma.cosh().powi(2) + vw * gamma.sinh().powi(2);
        [
            -ballistic * libm::expm1(-train(*s, *gamma).powi(2)),
            rate * (HW * vw + HA * a2),
        ]
    };
    let states = flow::integrate(slopes, [0.0, 0.0], times, TOLERANCE, cancel)?;
    let column = |value: &dyn Fn(&[f64; 2]) -> f64| states.iter().map(value).collect();
    Ok(Memorised {
        gamma: column(&|[gamma, _]| *gamma),
        extra_margin: column(&|[_, s]| s.min(threshold)),
        train_unsatisfied: column(&|[gamma, s]| libm::erf(train(*s, *gamma))),
        test_unsatisfied: column(&|[gamma, _]| libm::erf(scaled(threshold, *gamma))),
    })
}

/// Rough end of training, `c t = [3N/(4 HA)]^(2/3) (2d/pi)^(-1/6)` (for `kappa = 1/sqrt d`, unit inputs).
///
/// # Errors
/// [`hmm_core::Error::InvalidParameter`] for a size that is not positive.
pub fn end_of_training(problem: &HingeMeanField, sample: FiniteSample) -> Result<f64> {
    let samples = positive("N", sample.samples)?;
    let scaled = (0.75 * samples / HA).powf(2.0 / 3.0) * (2.0 * sample.d / PI).powf(-1.0 / 6.0);
    Ok(scaled / problem.clock_rate())
}
