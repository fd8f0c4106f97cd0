//! Formulas of the losses of a margin: the list of their names is [`hmm_core::Loss`].

use hmm_core::names::refused;
use hmm_core::{Loss, Named, Result};

/// Losses that depend on the margin alone and drive a flow.
pub const FLOW: [Loss; 4] = [
    Loss::Hinge,
    Loss::SoftHinge,
    Loss::QuadraticHinge,
    Loss::LinearHinge,
];

/// `ln(1 + exp(x))`, without overflow.
pub fn softplus(x: f64) -> f64 {
    // ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|).
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
}

/// A loss l(z) of the margin z = y F.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MarginLoss {
    /// `max(0, m - z)`.
    Hinge {
        /// m
        margin: f64,
    },
    /// `ln(1 + exp(B (m - z)))/B`.
    SoftHinge {
        /// m
        margin: f64,
        /// B
        sharpness: f64,
    },
    /// `max(0, m - z)^2/2`.
    QuadraticHinge {
        /// m
        margin: f64,
    },
    /// `m - z`.
    Linear {
        /// m
        margin: f64,
    },
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
        match kind {
            Loss::Hinge => Ok(Self::Hinge { margin }),
            Loss::SoftHinge => Ok(Self::SoftHinge { margin, sharpness }),
            Loss::QuadraticHinge => Ok(Self::QuadraticHinge { margin }),
            Loss::LinearHinge => Ok(Self::Linear { margin }),
            Loss::Ridge | Loss::Squared | Loss::Logistic => {
                Err(refused("loss", kind.name(), &FLOW))
            }
        }
    }

    /// The margin m.
    pub fn margin(self) -> f64 {
        match self {
            Self::Hinge { margin }
            | Self::SoftHinge { margin, .. }
            | Self::QuadraticHinge { margin }
            | Self::Linear { margin } => margin,
        }
    }

    /// l(z)
    pub fn value(self, z: f64) -> f64 {
        let short = self.margin() - z;
        match self {
            Self::Hinge { .. } => short.max(0.0),
            Self::SoftHinge { sharpness, .. } => softplus(sharpness * short) / sharpness,
            Self::QuadraticHinge { .. } => 0.5 * short.max(0.0).powi(2),
            Self::Linear { .. } => short,
        }
    }

    /// l'(z); the subgradient 0 at the hinge's kink.
    pub fn slope(self, z: f64) -> f64 {
        let short = self.margin() - z;
        match self {
            Self::Hinge { .. } if short > 0.0 => -1.0,
            Self::Hinge { .. } => 0.0,
            Self::SoftHinge { sharpness, .. } => -1.0 / (1.0 + libm::exp(-sharpness * short)),
            Self::QuadraticHinge { .. } => -short.max(0.0),
            Self::Linear { .. } => -1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_derivatives() {
        for kind in FLOW {
            for margin in [0.5, 1.0] {
                let loss = MarginLoss::new(kind, margin, 20.0).unwrap();
                for z in [-2.0, 0.3, 0.97, 1.4, 60.0] {
                    let step = 1e-6;
                    let numeric = (loss.value(z + step) - loss.value(z - step)) / (2.0 * step);
                    assert!((loss.slope(z) - numeric).abs() < 1e-8, "{loss:?} {z}");
                }
            }
        }
        let hinge = MarginLoss::new(Loss::Hinge, 1.0, 20.0).unwrap();
        assert_eq!(hinge.slope(1.0), 0.0);
        let soft = MarginLoss::new(Loss::SoftHinge, 1.0, 20.0).unwrap();
        assert!(soft.value(-1e300).is_finite() && soft.slope(1e300) == 0.0);
    }
}
