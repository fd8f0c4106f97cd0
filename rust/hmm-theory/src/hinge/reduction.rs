//! The exact reduction to one rotation parameter (eqs. 4-7).

use super::law::{DataLaw, Unsatisfied};
use super::loss::{HingeLoss, positive};
use hmm_core::{Error, Result};

/// Second moments of the initial nodes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InitialMoments {
    /// `C0 = E[a0 w0]`.
    pub correlation: f64,
    /// `C1 = E[a0^2 + w0^2] / 2`.
    pub power: f64,
}

/// A hinge-loss learning problem in the mean-field limit.
///
/// Node `(a0, w0, w_perp)` moves to `a = a0 cosh g + w0 sinh g`, `w_par = w0 cosh g + a0 sinh g`,
/// `w_perp` unchanged, where `dg/dt = (c kappa / 2) <u z>` with `c = beta alpha^(1-p)`.
#[derive(Debug, Clone)]
pub struct HingeMeanField {
    law: DataLaw,
    /// Input scale.
    kappa: f64,
    loss: HingeLoss,
    moments: InitialMoments,
    /// The output that is subtracted from f, as a value of S: S(0) or 0.
    offset: f64,
}

impl HingeMeanField {
    /// A problem; `subtract_init` trains on `f - f(t=0)`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for scales that are not positive and finite, or `|C0| > C1`.
    pub fn new(
        law: DataLaw,
        loss: HingeLoss,
        kappa: f64,
        moments: InitialMoments,
        subtract_init: bool,
    ) -> Result<Self> {
        let loss = loss.checked()?;
        positive("kappa", kappa)?;
        let InitialMoments { correlation, power } = moments;
        positive("C1", power)?;
        if correlation.is_nan() || correlation.abs() > power {
            return Err(Error::invalid(
                "C0",
                correlation,
                format!("E[a0 w0] cannot exceed E[a0^2 + w0^2]/2 = C1 = {power}"),
                "pass -C1 <= C0 <= C1",
            ));
        }
        Ok(Self {
            law,
            kappa,
            loss,
            moments,
            offset: if subtract_init { correlation } else { 0.0 },
        })
    }

    /// Law of the data.
    pub fn law(&self) -> &DataLaw {
        &self.law
    }

    /// The output that is subtracted from f, as a value of S.
    pub(super) fn offset(&self) -> f64 {
        self.offset
    }

    /// Input scale.
    pub fn kappa(&self) -> f64 {
        self.kappa
    }

    /// `h / alpha`, the output at which an example is satisfied.
    pub fn threshold(&self) -> f64 {
        self.loss.threshold()
    }

    /// `c = beta alpha^(1-p)`: speed of the clock.
    pub fn clock_rate(&self) -> f64 {
        self.loss.clock_rate()
    }

    /// The loss.
    pub fn loss(&self) -> HingeLoss {
        self.loss
    }

    /// `C0` and `C1`.
    pub fn initial_moments(&self) -> InitialMoments {
        self.moments
    }

    /// `S = E[a w_par]` at rotation `gamma` (eq. 6).
    pub fn alignment(&self, gamma: f64) -> f64 {
        let InitialMoments { correlation, power } = self.moments;
        let x = 2.0 * gamma;
        // A vanishing share of an infinite sinh is nothing.
        let share = |share: f64| {
            if share == 0.0 { 0.0 } else { share * x.sinh() }
        };
        // C0 cosh x + C1 sinh x, without cancellation on either side.
        if x >= 0.0 {
            share(power + correlation) + correlation * (-x).exp()
        } else {
            share(power - correlation) + correlation * x.exp()
        }
    }

    /// The unsatisfied set at alignment `S` (eq. 7).
    pub fn unsatisfied(&self, alignment: f64) -> Unsatisfied {
        let effective = alignment - self.offset;
        let chi = 2.0 * self.threshold() / (self.kappa * effective);
        if effective > 0.0 {
            Unsatisfied::Below(chi)
        } else if effective < 0.0 {
            Unsatisfied::Above(chi)
        } else {
            Unsatisfied::All
        }
    }

    /// `d gamma/dt` at alignment `S` (eq. 5).
    pub fn speed_at(&self, alignment: f64) -> f64 {
        0.5 * self.clock_rate() * self.kappa * self.law.drive(self.unsatisfied(alignment))
    }

    /// Size of the opposing pulls whose difference is [`Self::speed_at`].
    pub(super) fn pull_at(&self, alignment: f64) -> f64 {
        0.5 * self.clock_rate() * self.kappa * self.law.pull(self.unsatisfied(alignment))
    }

    /// `d gamma/dt` at rotation `gamma`.
    pub fn gamma_dot(&self, gamma: f64) -> f64 {
        self.speed_at(self.alignment(gamma))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::law::BaseLaw;
    use super::*;

    pub const UNIT_LOSS: HingeLoss = HingeLoss {
        alpha: 1.0,
        h: 1.0,
        beta: 1.0,
        exponent: 1.0,
    };

    pub fn problem(base: BaseLaw, d: f64, alpha: f64, flip: f64, c0: f64) -> HingeMeanField {
        let law = DataLaw::new(base, flip).unwrap();
        let moments = InitialMoments {
            correlation: c0,
            power: 1.0,
        };
        let loss = HingeLoss { alpha, ..UNIT_LOSS };
        HingeMeanField::new(law, loss, d.sqrt().recip(), moments, false).unwrap()
    }

    pub fn gaussian(d: f64, alpha: f64, flip: f64, c0: f64) -> HingeMeanField {
        problem(BaseLaw::Gaussian { sigma: 1.0 }, d, alpha, flip, c0)
    }

    #[test]
    fn scales_whose_clock_leaves_double_precision_are_refused() {
        let law = DataLaw::new(BaseLaw::Gaussian { sigma: 1.0 }, 0.0).unwrap();
        let moments = InitialMoments {
            correlation: 0.0,
            power: 1.0,
        };
        for (alpha, exponent) in [(1e-200, 3.0), (1e200, 3.0), (1e-320, 1.0)] {
            let loss = HingeLoss {
                alpha,
                exponent,
                ..UNIT_LOSS
            };
            assert!(HingeMeanField::new(law.clone(), loss, 0.1, moments, false).is_err());
        }
    }

    #[test]
    fn alignment_has_a_value_at_infinite_rotation() {
        for c0 in [-1.0, 0.0, 1.0] {
            let problem = gaussian(10.0, 1.0, 0.0, c0);
            for g in [f64::INFINITY, f64::NEG_INFINITY, 400.0, -400.0] {
                assert!(!problem.alignment(g).is_nan(), "{c0} {g}");
            }
        }
    }
}
