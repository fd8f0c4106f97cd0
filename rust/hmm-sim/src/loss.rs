//! Formulas of the losses in simulation: value, slope and curvature, each written once.
//!
//! The list of their names is [`hmm_core::Loss`]. Every loss is a function of what an example lacks, its deficit s:
//! `s = h - m` of a margin m = y F (hinge, logistic with h = 0), `s = y - z` of an output z (squared). Theory has
//! formulas of its own, so that an agreement between the two proves something.
//!
//! ```
//! use hmm_sim::loss::ExampleLoss;
//! // The soft hinge lies above the hinge by ln 2/beta at most, at the kink.
//! let (hard, soft) = (ExampleLoss::Hinge, ExampleLoss::SoftHinge { sharpness: 20.0 });
//! for deficit in [-0.4, 0.0, 0.3] {
//!     let gap = soft.value(deficit) - hard.value(deficit);
//!     assert!((0.0..=2_f64.ln() / 20.0).contains(&gap));
//! }
//! // An example on the margin pulls with half its strength, and there the logistic loss is most curved.
//! assert_eq!((soft.pull(0.0), ExampleLoss::Logistic.curvature(0.0)), (0.5, 0.25));
//! ```

use hmm_core::names::refused;
use hmm_core::{Loss, Named, Result};

/// Losses that depend on the margin alone and drive a flow.
pub const FLOW: [Loss; 4] = [
    Loss::Hinge,
    Loss::SoftHinge,
    Loss::QuadraticHinge,
    Loss::LinearHinge,
];

/// `ln(1 + exp(x))`, without overflow, rounded as the solvers of [`crate::full_batch`] and soft hinges have it.
#[inline]
pub(crate) fn softplus(x: f64) -> f64 {
    // ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|).
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
}

/// A loss l(s) of the deficit s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ExampleLoss {
    /// `max(0, s)`.
    Hinge,
    /// `s^2/2`.
    Squared,
    /// `ln(1 + exp(s))`.
    Logistic,
    /// `ln(1 + exp(B s))/B`.
    SoftHinge {
        /// B
        sharpness: f64,
    },
    /// `max(0, s)^2/2`.
    QuadraticHinge,
    /// `s`.
    Linear,
}

impl ExampleLoss {
    /// The formula of a loss; only the soft hinge reads `sharpness`.
    pub fn of(loss: Loss, sharpness: f64) -> Self {
        match loss {
            Loss::Ridge | Loss::Squared => Self::Squared,
            Loss::Logistic => Self::Logistic,
            Loss::Hinge => Self::Hinge,
            Loss::SoftHinge => Self::SoftHinge { sharpness },
            Loss::QuadraticHinge => Self::QuadraticHinge,
            Loss::LinearHinge => Self::Linear,
        }
    }

    /// l(s)
    #[inline]
    pub fn value(self, deficit: f64) -> f64 {
        match self {
            Self::Hinge => deficit.max(0.0),
            Self::Squared => 0.5 * deficit * deficit,
            // The functions of the C library, as in its pull: `softplus` differs in the last bit, and a change of
            // either would change the bits of runs.
            Self::Logistic => deficit.max(0.0) + (-deficit.abs()).exp().ln_1p(),
            Self::SoftHinge { sharpness } => softplus(sharpness * deficit) / sharpness,
            Self::QuadraticHinge => 0.5 * deficit.max(0.0).powi(2),
            Self::Linear => deficit,
        }
    }

    /// l'(s), how hard an example pulls; 0 at the kink of the hinge: the example is satisfied.
    #[inline]
    pub fn pull(self, deficit: f64) -> f64 {
        match self {
            Self::Hinge => f64::from(u8::from(deficit > 0.0)),
            Self::Squared => deficit,
            Self::Logistic => 1.0 / (1.0 + (-deficit).exp()),
            Self::SoftHinge { sharpness } => 1.0 / (1.0 + libm::exp(-sharpness * deficit)),
            Self::QuadraticHinge => deficit.max(0.0),
            Self::Linear => 1.0,
        }
    }

    /// l''(s); 0 at kinks.
    #[inline]
    pub fn curvature(self, deficit: f64) -> f64 {
        let pull = self.pull(deficit);
        match self {
            Self::Hinge | Self::Linear => 0.0,
            Self::Squared => 1.0,
            Self::Logistic => pull * (1.0 - pull),
            Self::SoftHinge { sharpness } => sharpness * pull * (1.0 - pull),
            Self::QuadraticHinge => f64::from(u8::from(deficit > 0.0)),
        }
    }
}

/// A loss of the margin z = y F, with the margin m that is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MarginLoss {
    /// The loss of the deficit m - z.
    pub loss: ExampleLoss,
    /// m
    pub margin: f64,
}

impl MarginLoss {
    /// The loss of this name, one of [`FLOW`]; only the soft one reads `sharpness`.
    ///
    /// # Errors
    /// A loss that is not of a margin.
    ///
    /// ```
    /// use hmm_core::Loss;
    /// use hmm_sim::loss::MarginLoss;
    /// assert_eq!(MarginLoss::new(Loss::Hinge, 1.0, 20.0)?.value(0.25), 0.75);
    /// assert!(MarginLoss::new(Loss::Ridge, 1.0, 20.0).is_err());
    /// # Ok::<(), hmm_core::Error>(())
    /// ```
    pub fn new(kind: Loss, margin: f64, sharpness: f64) -> Result<Self> {
        if !FLOW.contains(&kind) {
            return Err(refused("loss", kind.name(), &FLOW));
        }
        let loss = ExampleLoss::of(kind, sharpness);
        Ok(Self { loss, margin })
    }

    /// l(z)
    pub fn value(self, z: f64) -> f64 {
        self.loss.value(self.margin - z)
    }

    /// l'(z); the subgradient 0 at the hinge's kink.
    pub fn slope(self, z: f64) -> f64 {
        -self.loss.pull(self.margin - z)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmm_core::Named;

    #[test]
    fn pulls_and_curvatures_are_derivatives() {
        for (loss, name) in Loss::NAMES {
            let loss = ExampleLoss::of(*loss, 20.0);
            // Away from the kink at 0.
            for s in [-2.0, -0.4, 0.03, 0.7, 3.0] {
                let step = 1e-6;
                let numeric = |f: &dyn Fn(f64) -> f64| (f(s + step) - f(s - step)) / (2.0 * step);
                // Roundings of 1e-16 over a step of 1e-6; slopes change by up to 5 and 5 B in the soft hinge.
                let slope = numeric(&|s| loss.value(s));
                assert!((loss.pull(s) - slope).abs() < 1e-8, "{name} {s}");
                let curvature = numeric(&|s| loss.pull(s));
                assert!((loss.curvature(s) - curvature).abs() < 1e-7, "{name} {s}");
            }
        }
        assert_eq!(ExampleLoss::Hinge.pull(0.0), 0.0);
        let soft = ExampleLoss::SoftHinge { sharpness: 20.0 };
        assert!(soft.value(1e300).is_finite() && soft.pull(-1e300) == 0.0);
    }

    #[test]
    fn a_margin_is_asked_for() {
        for margin in [0.5, 1.0] {
            for kind in FLOW {
                let loss = MarginLoss::new(kind, margin, 20.0).unwrap();
                let deficit = ExampleLoss::of(kind, 20.0);
                for z in [-2.0, 0.3, 0.97, 1.4, 60.0] {
                    assert_eq!(loss.value(z), deficit.value(margin - z));
                    assert_eq!(loss.slope(z), -deficit.pull(margin - z));
                }
            }
        }
    }
}
