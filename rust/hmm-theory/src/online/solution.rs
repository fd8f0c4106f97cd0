//! Solving an online-learning system and reading off what a person wants to see.

use super::modes::{OnlineSystem, Workspace};
use crate::integrate::{Method, OdeSystem, Outcome, Statistics, Tolerance, integrate};
use hmm_core::{Cancel, Error, Result};
use rayon::prelude::*;

/// Order parameters along a solution, one row per time reached.
#[derive(Clone, Debug)]
pub struct Solution {
    /// Times reached (all of those asked for if the outcome is complete).
    pub reached: usize,
    /// Generalisation error, (n,).
    pub error: Vec<f64>,
    /// Q, (n, K, K).
    pub q: Vec<f64>,
    /// R, (n, K, M).
    pub r: Vec<f64>,
    /// v, (n, K).
    pub v: Vec<f64>,
    /// Further matrices by name, (n, K, K) each.
    pub observables: Vec<(&'static str, Vec<f64>)>,
    /// How the integration ended.
    pub outcome: Outcome,
    /// What it took.
    pub statistics: Statistics,
}

/// Sorted, finite, non-negative output times.
fn check_times(times: &[f64]) -> Result<()> {
    if times.is_empty() {
        return Err(Error::shape(
            "t_eval",
            &[0],
            "at least one time is needed",
            "pass the times you want to see",
        ));
    }
    let mut last = 0.0;
    for &t in times {
        if !(t.is_finite() && t >= last) {
            return Err(Error::invalid(
                "t_eval",
                t,
                "times are finite, >= 0 and in ascending order",
                "sort them; the equations start at t = 0",
            ));
        }
        last = t;
    }
    Ok(())
}

impl OnlineSystem {
    /// The right-hand side at t = 0, evaluated `repeats` times (at least once).
    pub fn initial_velocity(&self, repeats: usize, cancel: &Cancel) -> Result<Vec<f64>> {
        let mut work = Workspace::default();
        let mut velocity = vec![0.0; self.initial.len()];
        for _ in 0..repeats.max(1) {
            self.velocity(&self.initial, &mut velocity, &mut work)?;
        }
        cancel.check()?;
        Ok(velocity)
    }

    /// Integrate from t = 0 and report at `times`.
    pub fn solve(
        &self,
        times: &[f64],
        method: Method,
        tolerance: Tolerance,
        cancel: &Cancel,
    ) -> Result<Solution> {
        check_times(times)?;
        let mut solution = Solution {
            reached: 0,
            error: Vec::with_capacity(times.len()),
            q: Vec::new(),
            r: Vec::new(),
            v: Vec::new(),
            observables: self
                .observables
                .iter()
                .map(|o| (o.name, Vec::new()))
                .collect(),
            outcome: Outcome::Complete,
            statistics: Statistics::default(),
        };
        let (mut q, mut r, mut sum) = (Vec::new(), Vec::new(), Vec::new());
        let (outcome, statistics) = integrate(
            self,
            &self.initial,
            times,
            method,
            tolerance,
            cancel,
            |_, y| {
                self.q(y, &mut q);
                self.r(y, &mut r);
                let v = self.output_weights(y);
                solution.reached += 1;
                solution
                    .error
                    .push(self.committee.generalisation_error(&q, &r, v)?);
                solution.q.extend_from_slice(&q);
                solution.r.extend_from_slice(&r);
                solution.v.extend_from_slice(v);
                for (observable, (_, rows)) in
                    self.observables.iter().zip(&mut solution.observables)
                {
                    self.symmetric_sum(y, &observable.weights, &mut sum);
                    rows.extend_from_slice(&sum);
                }
                Ok(())
            },
        )?;
        solution.outcome = outcome;
        solution.statistics = statistics;
        Ok(solution)
    }
}

/// Solve many systems on the current thread pool, in the order given.
pub fn solve_many(
    systems: &[&OnlineSystem],
    times: &[f64],
    method: Method,
    tolerance: Tolerance,
    cancel: &Cancel,
) -> Result<Vec<Solution>> {
    systems
        .par_iter()
        .map(|system| system.solve(times, method, tolerance, cancel))
        .collect()
}
