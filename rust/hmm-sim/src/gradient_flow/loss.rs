//! Losses of the margin `z = y F`.

/// A loss l(z) with margin m.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
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

impl Loss {
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
            // ln(1 + e^u) = max(u, 0) + ln(1 + e^-|u|), which cannot overflow.
            Self::SoftHinge { sharpness, .. } => {
                let u = sharpness * short;
                (u.max(0.0) + libm::log1p(libm::exp(-u.abs()))) / sharpness
            }
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
        for loss in [
            Loss::Hinge { margin: 1.0 },
            Loss::SoftHinge {
                margin: 1.0,
                sharpness: 20.0,
            },
            Loss::QuadraticHinge { margin: 0.5 },
            Loss::Linear { margin: 1.0 },
        ] {
            for z in [-2.0, 0.3, 0.97, 1.4, 60.0] {
                let step = 1e-6;
                let numeric = (loss.value(z + step) - loss.value(z - step)) / (2.0 * step);
                assert!((loss.slope(z) - numeric).abs() < 1e-8, "{loss:?} {z}");
            }
        }
        assert_eq!(Loss::Hinge { margin: 1.0 }.slope(1.0), 0.0);
        let soft = Loss::SoftHinge {
            margin: 1.0,
            sharpness: 20.0,
        };
        assert!(soft.value(-1e300).is_finite() && soft.slope(1e300) == 0.0);
    }
}
