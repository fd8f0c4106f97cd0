//! The clock of the rotation: `gamma(t)`, its inverse, and where it ends.

use super::clock::{Clock, Plateau};
use super::flow;
use super::law::Unsatisfied;
use super::reduction::HingeMeanField;
use hmm_core::{Cancel, Error, Result};
use ndarray::{Array1, ArrayView1};

/// Largest rotation worth looking at: `S^2` overflows at 177.
const LARGEST_GAMMA: f64 = 350.0;
/// At this rotation any example but those with `z` within 1e-40 of zero is satisfied.
const LATE_GAMMA: f64 = 50.0;
/// Tolerance of the integrator, per step.
const FLOW_TOLERANCE: f64 = 1e-12;

impl HingeMeanField {
    /// The rotation at which learning stops, if it does.
    ///
    /// The speed only ever falls along the flow: as the network grows, examples with `z > 0` become
    /// satisfied and examples with `z < 0` become unsatisfied. So there is one zero, and there is
    /// one exactly if some examples pull backwards, or if none lie near `z = 0`.
    pub fn plateau(&self) -> Option<f64> {
        let initial = self.gamma_dot(0.0);
        if initial == 0.0 {
            return Some(0.0);
        }
        let sign = initial.signum();
        let last = if sign > 0.0 {
            Unsatisfied::Below(0.0)
        } else {
            Unsatisfied::Above(-0.0)
        };
        let pull = sign * self.law().drive(last);
        if pull > 0.0 || (pull == 0.0 && self.gamma_dot(sign * LATE_GAMMA) != 0.0) {
            return None;
        }
        let moving = |g: f64| self.gamma_dot(g) * initial > 0.0;
        let (mut inside, mut outside) = (0.0, 0.25 * sign);
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

    /// The rotation that is approached for `t -> infinity`: the plateau, or infinity with the sign of the rotation.
    pub fn end(&self) -> f64 {
        self.plateau()
            .unwrap_or_else(|| f64::INFINITY.copysign(self.gamma_dot(0.0)))
    }

    /// `d gamma/dt` at the rotations `gammas`.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn speeds(&self, gammas: ArrayView1<'_, f64>, cancel: &Cancel) -> Result<Array1<f64>> {
        let speed = |g: &f64| cancel.check().map(|()| self.gamma_dot(*g));
        gammas.iter().map(speed).collect()
    }

    fn clock<'a>(&self, velocity: &'a dyn Fn(f64) -> f64, cancel: &'a Cancel) -> Clock<'a> {
        let plateau = self.plateau().map(|position| Plateau {
            position,
            pull: self.pull_at(self.alignment(position)),
        });
        Clock::new(velocity, 0.0, 0.0, plateau, cancel).with_kinks(&self.kinks())
    }

    /// Rotations at which the speed has a kink: the threshold passes one of the law, or of the flipped labels.
    fn kinks(&self) -> Vec<f64> {
        let kinks = self.law().base().kinks();
        let both = kinks.iter().flat_map(|z| [*z, -*z]);
        both.filter_map(|z| self.rotation(self.alignment_at(z)))
            .collect()
    }

    /// `gamma` at the times `t`, by the inverted quadrature (9).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for negative or not finite times; [`Error::Interrupted`].
    pub fn gamma(&self, times: ArrayView1<'_, f64>, cancel: &Cancel) -> Result<Array1<f64>> {
        let velocity = |g: f64| self.gamma_dot(g);
        let mut clock = self.clock(&velocity, cancel);
        times.iter().map(|t| clock.position(*t)).collect()
    }

    /// `gamma` at the increasing times `t`, by integrating (5).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for times that are not increasing from zero; [`Error::Interrupted`].
    pub fn gamma_by_flow(
        &self,
        times: ArrayView1<'_, f64>,
        cancel: &Cancel,
    ) -> Result<Array1<f64>> {
        increasing_times(times)?;
        let slope = |[g]: &[f64; 1]| [self.gamma_dot(*g)];
        let states = flow::integrate(slope, [0.0], times, FLOW_TOLERANCE, cancel)?;
        Ok(states.into_iter().map(|[g]| g).collect())
    }

    /// Times at which the rotations `gamma` are reached; infinite for those that never are.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn time_of_gamma(
        &self,
        gammas: ArrayView1<'_, f64>,
        cancel: &Cancel,
    ) -> Result<Array1<f64>> {
        let velocity = |g: f64| self.gamma_dot(g);
        let mut clock = self.clock(&velocity, cancel);
        gammas.iter().map(|g| clock.time(*g)).collect()
    }
}

/// The times if they are finite, not negative and in order.
pub(super) fn increasing_times(times: ArrayView1<'_, f64>) -> Result<()> {
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
    use super::super::density::DensityTable;
    use super::super::law::BaseLaw;
    use super::super::reduction::tests::{gaussian, problem};
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;
    use std::sync::Arc;

    /// Laws of every kind, narrow ones and ones with a gap around zero included.
    fn any_law() -> impl Strategy<Value = BaseLaw> {
        let narrow = |mu: f64, sigma: f64| {
            let mut density = |z: &[f64]| {
                let value = |z: &f64| (-0.5 * ((z - mu) / sigma).powi(2)).exp();
                let norm = sigma * std::f64::consts::TAU.sqrt();
                Ok(z.iter().map(|z| value(z) / norm).collect())
            };
            let all = (f64::NEG_INFINITY, f64::INFINITY);
            DensityTable::new(&mut density, mu, all, &Cancel::new()).unwrap()
        };
        let slab = |from: f64, width: f64| {
            let mut density = |z: &[f64]| Ok(vec![1.0 / width; z.len()]);
            let support = (from, from + width);
            DensityTable::new(&mut density, width, support, &Cancel::new()).unwrap()
        };
        prop_oneof![
            (0.3..3.0).prop_map(|sigma| BaseLaw::Gaussian { sigma }),
            (0.5..5.0, 3.0..60.0).prop_map(|(radius, d)| BaseLaw::Sphere { radius, d }),
            (-2.0..2.0, -2.5..0.5).prop_map(|(mu, log): (f64, f64)| BaseLaw::Mixture {
                mu,
                sigma: 10_f64.powf(log),
            }),
            (0.2..2.0, 0.1..0.5)
                .prop_map(move |(mu, sigma)| BaseLaw::Density(Arc::new(narrow(mu, sigma)))),
            (0.05..1.0, 0.1..2.0)
                .prop_map(move |(from, width)| BaseLaw::Density(Arc::new(slab(from, width)))),
        ]
    }

    proptest! {
        /// The two ways to gamma agree, gamma is monotone, and the clock inverts it: for every law.
        #[test]
        fn the_clock_holds_for_every_law(
            base in any_law(),
            log_alpha in -2.0..3.0_f64,
            c0 in prop_oneof![Just(0.0), -0.9..0.9],
            flip in prop_oneof![Just(0.0), 0.0..1.0],
        ) {
            let problem = problem(base, 100.0, 10_f64.powf(log_alpha), flip, c0);
            let cancel = Cancel::new();
            let times = array![0.0, 0.1, 1.0, 3.0, 10.0, 50.0, 100.0, 2000.0];
            let gammas = problem.gamma(times.view(), &cancel).unwrap();
            // A plateau at the end of a steep fall is stiff: the explicit integrator may give up, and says so; nobody
            // waits for its five million steps here.
            let patience = Arc::new(Cancel::new());
            let bell = Arc::clone(&patience);
            std::thread::spawn(move || {
                std::thread::sleep(std::time::Duration::from_secs(1));
                bell.raise();
            });
            let flow = match problem.gamma_by_flow(times.view(), &patience) {
                Ok(flow) => flow,
                Err(Error::Convergence(_) | Error::Interrupted) => gammas.clone(),
                Err(other) => return Err(TestCaseError::fail(other.to_string())),
            };
            let back = problem.time_of_gamma(gammas.view(), &cancel).unwrap();
            let plateau = problem.plateau();
            let direction = problem.gamma_dot(0.0).signum();
            let mut last = 0.0;
            for (((t, g), f), returned) in times.iter().zip(&gammas).zip(&flow).zip(&back) {
                // Accumulated tolerance of the integrator.
                prop_assert!((g - f).abs() <= 1e-8 * g.abs() + 1e-13, "{t}: {g} {f}");
                prop_assert!(direction * (g - last) >= -4e-16 * g.abs(), "{t}: {g} after {last}");
                last = *g;
                // A rounding error of gamma is worth so much time; at a plateau all times are one.
                let speed = problem.gamma_dot(*g).abs();
                let blur = 4e-16 * g.abs() / speed;
                let there = plateau.is_some_and(|end| (end - g).abs() <= 1e-12 * end.abs());
                prop_assert!(
                    there || (returned - t).abs() <= 1e-9 * t + blur,
                    "{t}: {returned} {blur}"
                );
            }
        }

        #[test]
        fn time_of_gamma_inverts_gamma(alpha in 0.01..100.0, t in 1e-3..1e6) {
            let problem = gaussian(100.0, alpha, 0.0, 0.0);
            let cancel = Cancel::new();
            let g = problem.gamma(array![t].view(), &cancel).unwrap();
            let back = problem.time_of_gamma(g.view(), &cancel).unwrap();
            prop_assert!((back[0] / t - 1.0).abs() < 1e-11);
        }
    }

    #[test]
    fn a_narrow_cluster_stops_where_it_is_satisfied() {
        let base = BaseLaw::Mixture {
            mu: 1.0,
            sigma: 0.05,
        };
        let problem = problem(base, 100.0, 100.0, 0.0, 0.0);
        let gammas = problem
            .gamma(array![1.0, 10.0, 100.0].view(), &Cancel::new())
            .unwrap();
        for (g, exact) in gammas.iter().zip([0.05, 0.112_983_34, 0.118_557_12]) {
            assert!((g / exact - 1.0).abs() < 1e-7, "{g} {exact}");
        }
    }

    #[test]
    fn a_gap_around_zero_ends_the_rotation() {
        // Uniform on [0.5, 1.5]: all is over once chi = 0.5.
        let mut density = |z: &[f64]| Ok(vec![1.0; z.len()]);
        let table = DensityTable::new(&mut density, 1.0, (0.5, 1.5), &Cancel::new()).unwrap();
        let problem = problem(BaseLaw::Density(Arc::new(table)), 100.0, 1.0, 0.0, 0.0);
        let end = problem.plateau().unwrap();
        let exact = 0.5 * (2.0 * 10.0 / 0.5_f64).asinh();
        assert!((end / exact - 1.0).abs() < 1e-12);
        let late = problem.gamma(array![1e9].view(), &Cancel::new()).unwrap();
        assert!((late[0] / exact - 1.0).abs() < 1e-12);
    }

    #[test]
    fn flips_end_on_their_plateau() {
        let problem = gaussian(100.0, 1.0, 0.1, 0.0);
        // S_inf^2 = A / log((1-pf)/(1-2pf)), A = 2 d
        let s = (200.0 / (0.9_f64 / 0.8).ln()).sqrt();
        let exact = 0.5 * s.asinh();
        let cancel = Cancel::new();
        assert!((problem.plateau().unwrap() / exact - 1.0).abs() < 1e-12);
        let late = problem.gamma(array![1e9].view(), &cancel).unwrap();
        assert!((late[0] / exact - 1.0).abs() < 1e-12);
        let beyond = problem
            .time_of_gamma(array![exact + 0.1].view(), &cancel)
            .unwrap();
        assert_eq!(beyond[0], f64::INFINITY);
    }
}
