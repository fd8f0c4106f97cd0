//! The loss `alpha^-p <max(0, h - alpha y f)>` and its clock.

use hmm_core::{Error, Result};

/// Loss parameters of the hinge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HingeLoss {
    /// Output scale.
    pub alpha: f64,
    /// Margin threshold.
    pub h: f64,
    /// Mean-field learning rate: it multiplies M times the gradient.
    pub beta: f64,
    /// Exponent p.
    pub exponent: f64,
}

impl HingeLoss {
    /// The same loss if its parameters make sense.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for scales that are not positive and finite, or whose clock rate or threshold leaves
    /// double precision.
    pub fn checked(self) -> Result<Self> {
        positive("alpha", self.alpha)?;
        positive("h", self.h)?;
        positive("beta", self.beta)?;
        if !self.exponent.is_finite() {
            return Err(Error::invalid(
                "p",
                self.exponent,
                "must be finite",
                "pass 1 or 2",
            ));
        }
        positive("beta alpha^(1-p)", self.clock_rate())?;
        positive("h / alpha", self.threshold())?;
        positive("alpha^-p", self.alpha.powf(-self.exponent))?;
        Ok(self)
    }

    /// `h / alpha`, the output at which an example is satisfied.
    pub fn threshold(&self) -> f64 {
        self.h / self.alpha
    }

    /// `c = beta alpha^(1-p)`: speed of the clock.
    pub fn clock_rate(&self) -> f64 {
        self.beta * self.alpha.powf(1.0 - self.exponent)
    }
}

/// `value` if it is positive and finite.
pub(crate) fn positive(argument: &'static str, value: f64) -> Result<f64> {
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
