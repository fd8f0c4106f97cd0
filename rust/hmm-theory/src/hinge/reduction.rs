//! The exact reduction to one rotation parameter (eqs. 4-7).

use super::clock::Clock;
use super::data_laws::{DataLaw, Unsatisfied, positive};
use super::flow;
use hmm_core::{Error, Result};

/// Largest rotation worth looking at: `S^2` overflows at 177.
const LARGEST_GAMMA: f64 = 350.0;
/// Tolerance of the integrator, per step.
const FLOW_TOLERANCE: f64 = 1e-12;

/// A hinge-loss learning problem in the mean-field limit.
///
/// Node `(a0, w0, w_perp)` moves to `a = a0 cosh g + w0 sinh g`, `w_par = w0 cosh g + a0 sinh g`,
/// `w_perp` unchanged, where `dg/dt = (c kappa / 2) <u z>` with `c = beta alpha^(1-p)`.
#[derive(Debug, Clone)]
pub struct HingeMeanField {
    law: DataLaw,
    /// Input scale.
    kappa: f64,
    /// Output scale of the loss.
    alpha: f64,
    /// Margin threshold of the loss.
    h: f64,
    /// Loss exponent p.
    exponent: f64,
    /// Mean-field learning rate.
    beta: f64,
    /// `C0 = E[a0 w0]` and `C1 = E[a0^2 + w0^2] / 2`.
    correlation: f64,
    power: f64,
    /// The output that is subtracted from f, as a value of S: S(0) or 0.
    offset: f64,
}

/// State of learning at one rotation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observables {
    /// Satisfaction threshold on z (infinite while the network is zero).
    pub chi: f64,
    /// Unsatisfied fraction U.
    pub unsatisfied: f64,
    /// Loss (7b).
    pub loss: f64,
}

impl HingeMeanField {
    /// A problem; `subtract_init` trains on `f - f(t=0)`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for scales that are not positive and finite, or `|C0| > C1`.
    pub fn new(
        law: DataLaw,
        (alpha, h, beta, exponent): (f64, f64, f64, f64),
        kappa: f64,
        (correlation, power): (f64, f64),
        subtract_init: bool,
    ) -> Result<Self> {
        positive("alpha", alpha)?;
        positive("h", h)?;
        positive("beta", beta)?;
        positive("kappa", kappa)?;
        positive("C1", power)?;
        if !exponent.is_finite() {
            return Err(Error::invalid(
                "p",
                exponent,
                "must be finite",
                "pass 1 or 2",
            ));
        }
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
            alpha,
            h,
            exponent,
            beta,
            correlation,
            power,
            offset: if subtract_init { correlation } else { 0.0 },
        })
    }

    /// Law of the data.
    pub fn law(&self) -> &DataLaw {
        &self.law
    }

    /// Input scale.
    pub fn kappa(&self) -> f64 {
        self.kappa
    }

    /// `h / alpha`, the output at which an example is satisfied.
    pub fn threshold(&self) -> f64 {
        self.h / self.alpha
    }

    /// `c = beta alpha^(1-p)`: speed of the clock.
    pub fn clock_rate(&self) -> f64 {
        self.beta * self.alpha.powf(1.0 - self.exponent)
    }

    /// `(C0, C1)`.
    pub fn initial_moments(&self) -> (f64, f64) {
        (self.correlation, self.power)
    }

    /// Whether the loss is on `f - f(t=0)`.
    pub fn subtracts_init(&self) -> bool {
        self.offset != 0.0
    }

    /// `S = E[a w_par]` at rotation `gamma` (eq. 6).
    pub fn alignment(&self, gamma: f64) -> f64 {
        let (x, c0, c1) = (2.0 * gamma, self.correlation, self.power);
        // C0 cosh x + C1 sinh x, without cancellation on either side.
        if x >= 0.0 {
            (c1 + c0) * x.sinh() + c0 * (-x).exp()
        } else {
            (c1 - c0) * x.sinh() + c0 * x.exp()
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

    /// `d gamma/dt` at rotation `gamma`.
    pub fn gamma_dot(&self, gamma: f64) -> f64 {
        self.speed_at(self.alignment(gamma))
    }

    /// The rotation at which learning stops, if it does.
    ///
    /// The speed only ever falls along the flow: as the network grows, examples with `z > 0` become
    /// satisfied and examples with `z < 0` become unsatisfied. So there is one zero, and there is
    /// one exactly if some examples pull backwards.
    pub fn plateau(&self) -> Option<f64> {
        let initial = self.gamma_dot(0.0);
        if initial == 0.0 {
            return Some(0.0);
        }
        let forward = initial > 0.0;
        let last = if forward {
            Unsatisfied::Below(0.0)
        } else {
            Unsatisfied::Above(-0.0)
        };
        let pull = self.law.drive(last);
        if if forward { pull >= 0.0 } else { pull <= 0.0 } {
            return None;
        }
        let moving = |g: f64| self.gamma_dot(g) * initial > 0.0;
        let (mut inside, mut outside) = (0.0, 0.25 * initial.signum());
        while moving(outside) {
            (inside, outside) = (outside, 2.0 * outside);
            if outside.abs() > LARGEST_GAMMA {
                return None;
            }
        }
        loop {
            let middle = 0.5 * (inside + outside);
            if middle == inside || middle == outside {
                return Some(outside);
            }
            if moving(middle) {
                inside = middle;
            } else {
                outside = middle;
            }
        }
    }

    /// `gamma` at the times `t`, by the inverted quadrature (9).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for negative or not finite times.
    pub fn gamma(&self, times: &[f64]) -> Result<Vec<f64>> {
        let velocity = |g: f64| self.gamma_dot(g);
        let mut clock = Clock::new(&velocity, 0.0, 0.0, self.plateau());
        times.iter().map(|t| clock.position(*t)).collect()
    }

    /// `gamma` at the increasing times `t`, by integrating (5).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for times that are not increasing from zero.
    pub fn gamma_by_flow(&self, times: &[f64]) -> Result<Vec<f64>> {
        increasing_times(times)?;
        let states = flow::integrate(|[g]| [self.gamma_dot(*g)], [0.0], times, FLOW_TOLERANCE)?;
        Ok(states.into_iter().map(|[g]| g).collect())
    }

    /// Times at which the rotations `gamma` are reached; infinite for those that never are.
    pub fn time_of_gamma(&self, gammas: &[f64]) -> Vec<f64> {
        let velocity = |g: f64| self.gamma_dot(g);
        let mut clock = Clock::new(&velocity, 0.0, 0.0, self.plateau());
        gammas.iter().map(|g| clock.time(*g)).collect()
    }

    /// Rotation at which an example with `z = y x_par` becomes satisfied (infinite: never).
    pub fn satisfaction_gamma(&self, z: f64) -> f64 {
        // Satisfied once kappa (S - offset) z / 2 >= h/alpha; for z < 0 mirror S and gamma.
        let (c0, c1, sign) = (
            self.correlation,
            self.power,
            if z < 0.0 { -1.0 } else { 1.0 },
        );
        let needed = 2.0 * self.threshold() / (self.kappa * z.abs()) + sign * self.offset;
        let start = sign * c0;
        if start >= needed {
            return 0.0;
        }
        let forward = self.gamma_dot(0.0) * sign > 0.0;
        if !forward {
            return f64::INFINITY;
        }
        let (sum, difference) = (c1 + start, c1 - start);
        let rotation = if difference == 0.0 {
            // S = C1 e^{2 gamma}
            0.5 * (needed / c1).ln()
        } else if sum == 0.0 {
            // S = -C1 e^{-2 gamma} reaches a negative value only
            if needed < 0.0 {
                -0.5 * (-needed / c1).ln()
            } else {
                f64::INFINITY
            }
        } else {
            0.5 * ((needed / (sum * difference).sqrt()).asinh() - (start / c1).atanh())
        };
        sign * rotation.max(0.0)
    }

    /// Threshold, unsatisfied fraction and loss at alignment `S`.
    pub fn observables_at(&self, alignment: f64) -> Observables {
        let set = self.unsatisfied(alignment);
        let unsatisfied = self.law.unsatisfied_fraction(set);
        let (chi, gain) = match set {
            // (7b): alpha kappa S / 2 = h / chi
            Unsatisfied::Below(chi) | Unsatisfied::Above(chi) if chi != 0.0 => {
                (chi, self.law.drive(set) / chi)
            }
            Unsatisfied::Below(chi) | Unsatisfied::Above(chi) => (chi, 0.0),
            Unsatisfied::All => (f64::INFINITY, 0.0),
        };
        let loss = self.alpha.powf(-self.exponent) * self.h * (unsatisfied - gain);
        Observables {
            chi,
            unsatisfied,
            loss,
        }
    }
}

/// The times if they are finite, not negative and in order.
pub(super) fn increasing_times(times: &[f64]) -> Result<()> {
    let mut last = 0.0;
    for &t in times {
        if !t.is_finite() || t < last {
            return Err(Error::invalid(
                "t",
                t,
                "times must be finite, start at 0 or later and not decrease",
                "pass sorted times >= 0",
            ));
        }
        last = t;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::BaseLaw;
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn gaussian(d: f64, alpha: f64, flip: f64, moments: (f64, f64)) -> HingeMeanField {
        let law = DataLaw::new(BaseLaw::Gaussian { sigma: 1.0 }, flip).unwrap();
        HingeMeanField::new(
            law,
            (alpha, 1.0, 1.0, 1.0),
            d.sqrt().recip(),
            moments,
            false,
        )
        .unwrap()
    }

    proptest! {
        #[test]
        fn quadrature_and_flow_agree(alpha in 0.01..100.0, c0 in -0.9..0.9, flip in 0.0..0.4) {
            let problem = gaussian(50.0, alpha, flip, (c0, 1.0));
            let times = [0.1, 3.0, 50.0, 2000.0];
            let quadrature = problem.gamma(&times).unwrap();
            let flow = problem.gamma_by_flow(&times).unwrap();
            for (g, f) in quadrature.iter().zip(&flow) {
                // Accumulated tolerance of the integrator.
                prop_assert!((g - f).abs() <= 1e-9 * g.abs(), "{g} {f}");
            }
        }

        #[test]
        fn time_of_gamma_inverts_gamma(alpha in 0.01..100.0, t in 1e-3..1e6) {
            let problem = gaussian(100.0, alpha, 0.0, (0.0, 1.0));
            let g = problem.gamma(&[t]).unwrap();
            prop_assert!((problem.time_of_gamma(&g)[0] / t - 1.0).abs() < 1e-11);
        }
    }

    #[test]
    fn flips_end_on_their_plateau() {
        let problem = gaussian(100.0, 1.0, 0.1, (0.0, 1.0));
        // S_inf^2 = A / log((1-pf)/(1-2pf)), A = 2 d
        let s = (200.0 / (0.9_f64 / 0.8).ln()).sqrt();
        let exact = 0.5 * s.asinh();
        assert!((problem.plateau().unwrap() / exact - 1.0).abs() < 1e-12);
        assert!((problem.gamma(&[1e9]).unwrap()[0] / exact - 1.0).abs() < 1e-12);
        assert_eq!(problem.time_of_gamma(&[exact + 0.1]), [f64::INFINITY]);
    }

    #[test]
    fn satisfaction_is_where_the_margin_is_met() {
        for c0 in [-1.0, -0.4, 0.0, 0.7, 1.0] {
            let problem = gaussian(10.0, 3.0, 0.0, (c0, 1.0));
            for z in [0.01, 0.5, 3.0] {
                let g = problem.satisfaction_gamma(z);
                if g.is_finite() && g > 0.0 {
                    let output = 0.5 * problem.kappa() * problem.alignment(g) * z;
                    assert!((output / problem.threshold() - 1.0).abs() < 1e-12);
                }
            }
        }
    }
}
