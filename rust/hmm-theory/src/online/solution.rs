//! Solving an online-learning system and reading off what a person wants to see.
//!
//! ```
//! // The error of a linear unit falls as e^(-(2 eta - eta^2) t): what it takes from a sample and what that costs.
//! use hmm_core::{Activation, Cancel, Schedule};
//! use hmm_theory::integrate::{Method, Tolerance};
//! use hmm_theory::online::{Setting, committee::Unit, saad_solla::saad_solla};
//! use ndarray::{Ix1, array, aview1};
//! let unit = Unit::of("activation", Activation::Linear)?;
//! let (lr, zero, batch) = (0.5, Schedule::from(0.0), 1);
//! let (lr_v, noise, weight_decay) = (zero.clone(), zero.clone(), zero);
//! let (v0, v_teacher) = (vec![1.0], vec![1.0]);
//! let (student, teacher) = (unit.clone(), unit);
//! let setting =
//!     Setting { student, teacher, v0, v_teacher, lr: lr.into(), lr_v, noise, weight_decay, batch };
//! let (q, r, t) = (array![[0.3]], array![[0.0]], array![[1.0]]);
//! let system = saad_solla(&setting, q.view(), r.view(), t.view())?;
//! let (times, tolerance) = ([0.0, 1.0, 3.0], Tolerance::new(1e-10, 1e-12)?);
//! let solution = system.solve(aview1(&times), Method::Auto, tolerance, &Cancel::new())?;
//! assert_eq!(solution.reached, 3);
//! let eg = solution.values.array::<f64, Ix1>("eg")?;
//! for (error, time) in eg.iter().zip(times) {
//!     assert!((error - eg[0] * f64::exp(-(2.0 * lr - lr * lr) * time)).abs() < 1e-8);
//! }
//! # Ok::<(), hmm_core::Error>(())
//! ```

use super::modes::{OnlineSystem, Workspace};
use crate::integrate::{Method, OdeSystem, Outcome, Statistics, Tolerance, integrate};
use hmm_core::memory::{bytes_of, require};
use hmm_core::{Cancel, Error, Result, Table};
use ndarray::{Array2, Array3, ArrayView1};
use rayon::prelude::*;

/// Order parameters along a solution, one row per time reached.
#[derive(Clone, Debug)]
pub struct Solution {
    /// Times reached, n (all of those asked for if the outcome is complete).
    pub reached: usize,
    /// eg (n), Q (n, K, K), R (n, K, M), v (n, K), and the further matrices of the system, (n, K, K).
    pub values: Table,
    /// How the integration ended.
    pub outcome: Outcome,
    /// What it took.
    pub statistics: Statistics,
}

/// What is read off the state, time after time.
#[derive(Default)]
struct Records {
    reached: usize,
    error: Vec<f64>,
    q: Vec<f64>,
    r: Vec<f64>,
    v: Vec<f64>,
    observables: Vec<Vec<f64>>,
}

impl Records {
    fn table(self, system: &OnlineSystem) -> Result<Table> {
        let (n, k, m) = (self.reached, system.committee.k, system.committee.m);
        let matrices = |values: Vec<f64>, columns: usize| {
            Array3::from_shape_vec((n, k, columns), values).map_err(|error| mismatch(&error))
        };
        let mut table = Table::new()
            .with("eg", self.error)
            .with("Q", matrices(self.q, k)?)
            .with("R", matrices(self.r, m)?)
            .with(
                "v",
                Array2::from_shape_vec((n, k), self.v).map_err(|error| mismatch(&error))?,
            );
        for (observable, rows) in system.observables.iter().zip(self.observables) {
            table.push(observable.name, matrices(rows, k)?);
        }
        Ok(table)
    }
}

fn mismatch(error: &ndarray::ShapeError) -> Error {
    Error::Convergence(format!("a solution lost rows: {error}; please report it"))
}

/// Sorted, finite, non-negative output times.
pub(super) fn check_times(times: &[f64]) -> Result<()> {
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
            self.velocity(&self.initial, &mut velocity, &mut work, cancel)?;
        }
        Ok(velocity)
    }

    /// Integrate from t = 0 and report at `times`, (n,).
    ///
    /// # Errors
    /// Times out of order, a solution too large for memory, [`Error::Interrupted`] if cancelled. Divergence and a
    /// tolerance that cannot be met are outcomes, not errors.
    pub fn solve(
        &self,
        times: ArrayView1<'_, f64>,
        method: Method,
        tolerance: Tolerance,
        cancel: &Cancel,
    ) -> Result<Solution> {
        let times = times.to_vec();
        check_times(&times)?;
        let (k, m) = (self.committee.k, self.committee.m);
        let row = 2 + k * (k * (1 + self.observables.len()) + m + 1);
        require(
            bytes_of::<f64>(times.len().saturating_mul(row)),
            "a solution at so many times",
            "pass fewer times",
        )?;
        let mut records = Records {
            observables: vec![Vec::new(); self.observables.len()],
            ..Records::default()
        };
        let (mut q, mut r, mut sum) = (Vec::new(), Vec::new(), Vec::new());
        let record = |_: usize, y: &[f64]| {
            self.q(y, &mut q);
            self.r(y, &mut r);
            let v = self.output_weights(y);
            records.reached += 1;
            records
                .error
                .push(self.committee.generalisation_error(&q, &r, v, cancel)?);
            records.q.extend_from_slice(&q);
            records.r.extend_from_slice(&r);
            records.v.extend_from_slice(v);
            for (observable, rows) in self.observables.iter().zip(&mut records.observables) {
                self.symmetric_sum(y, &observable.weights, &mut sum);
                rows.extend_from_slice(&sum);
            }
            Ok(())
        };
        let (outcome, statistics) = self.integrate(&times, method, tolerance, cancel, record)?;
        Ok(Solution {
            reached: records.reached,
            values: records.table(self)?,
            outcome,
            statistics,
        })
    }
}

impl OnlineSystem {
    /// [`integrate`] from t = 0, whatever the rates do.
    pub(super) fn integrate(
        &self,
        times: &[f64],
        method: Method,
        tolerance: Tolerance,
        cancel: &Cancel,
        record: impl FnMut(usize, &[f64]) -> Result<()>,
    ) -> Result<(Outcome, Statistics)> {
        if self.schedules.are_constant() {
            let initial = &self.initial;
            integrate(self, initial, times, method, tolerance, cancel, record)
        } else {
            self.integrate_scheduled(times, method, tolerance, cancel, record)
        }
    }
}

/// Solve many systems on the current thread pool, in the order given.
///
/// # Errors
/// As [`OnlineSystem::solve`].
pub fn solve_many(
    systems: &[&OnlineSystem],
    times: ArrayView1<'_, f64>,
    method: Method,
    tolerance: Tolerance,
    cancel: &Cancel,
) -> Result<Vec<Solution>> {
    systems
        .par_iter()
        .map(|system| system.solve(times, method, tolerance, cancel))
        .collect()
}
