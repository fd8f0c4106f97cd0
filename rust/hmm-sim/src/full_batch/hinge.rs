//! The hinge loss: dual coordinate descent, finished by solving for the examples on the margin.
//!
//! The dual is `max_a sum a - |X^T (a y)|^2/(2 lam)` over `0 <= a <= 1`, `w = X^T (a y)/lam`. Coordinate
//! descent (Hsieh et al. 2008) finds which examples have `a = 0` and `a = 1`; those between satisfy
//! `y x.w = 1` exactly, a linear system that coordinate descent would take thousands of passes to solve
//! when the penalty is small.

use super::gram::{lower_gram, solve_positive};
use super::{Fit, Problem, Stop, add_scaled, dot};
use hmm_core::linalg::rows;
use hmm_core::random::Rng;
use hmm_core::random::{Purpose, Stream};
use hmm_core::{Cancel, Result};

/// Passes between two looks at the gap (and attempts at the linear system).
const PASSES: usize = 10;

/// State of the dual ascent.
struct Dual<'a> {
    problem: &'a Problem<'a>,
    /// `|x_mu|^2`.
    norms: Vec<f64>,
    /// Dual coordinates in [0, 1].
    a: Vec<f64>,
    w: Vec<f64>,
}

pub(super) fn fit(problem: &Problem<'_>, stop: &Stop, cancel: &Cancel) -> Result<Fit> {
    let n = problem.examples();
    let mut dual = Dual {
        problem,
        norms: problem
            .x
            .chunks_exact(problem.features)
            .map(|row| dot(row, row))
            .collect(),
        a: vec![0.0; n],
        w: vec![0.0; problem.features],
    };
    // The order of a pass is part of the algorithm, not of the experiment: one fixed stream.
    let order_stream = Stream::new(&[0; 8], Purpose::Resample);
    let mut order: Vec<usize> = (0..n).collect();
    let mut iterations = 0;
    loop {
        cancel.check()?;
        dual.refresh();
        let (objective, gap) = dual.certificate();
        let converged = gap <= stop.tol * objective;
        if converged || iterations >= stop.max_iterations {
            return Ok(Fit {
                w: dual.w,
                objective,
                gap,
                iterations,
                converged,
            });
        }
        for _ in 0..PASSES.min(stop.max_iterations - iterations) {
            cancel.check()?;
            let mut generator = order_stream.generator(0, iterations as u64);
            for last in (1..n).rev() {
                // Lemire's reduction: the bias of 2^-64 n has no meaning here.
                let pick = (u128::from(generator.next_u64()) * (last as u128 + 1)) >> 64;
                order.swap(last, pick as usize);
            }
            dual.pass(&order);
            iterations += 1;
        }
        dual.solve_margin(cancel)?;
    }
}

impl Dual<'_> {
    fn row(&self, mu: usize) -> &[f64] {
        let p = self.problem.features;
        &self.problem.x[mu * p..(mu + 1) * p]
    }

    /// `w = X^T (a y)/lam` afresh, without the rounding of the updates.
    fn refresh(&mut self) {
        let signed: Vec<f64> = self
            .a
            .iter()
            .zip(self.problem.y)
            .map(|(a, y)| a * y)
            .collect();
        self.w = self.problem.transposed(&signed);
        for w in &mut self.w {
            *w /= self.problem.lam;
        }
    }

    /// The primal objective and the duality gap.
    fn certificate(&self) -> (f64, f64) {
        let z = self.problem.predictions(&self.w);
        let losses = z
            .iter()
            .zip(self.problem.y)
            .map(|(z, y)| (1.0 - y * z).max(0.0));
        let penalty = self.problem.penalty(&self.w);
        let primal = losses.sum::<f64>() + penalty;
        let value: f64 = self.a.iter().sum::<f64>() - penalty;
        (primal, (primal - value).max(0.0))
    }

    /// `a_mu <- clip(a_mu + lam (1 - y_mu x_mu.w)/|x_mu|^2, 0, 1)` for every example once.
    fn pass(&mut self, order: &[usize]) {
        let lam = self.problem.lam;
        for &mu in order {
            let (y, norm, old) = (self.problem.y[mu], self.norms[mu], self.a[mu]);
            let slack = 1.0 - y * dot(self.row(mu), &self.w);
            let new = if norm > 0.0 {
                (old + lam * slack / norm).clamp(0.0, 1.0)
            } else {
                1.0
            };
            if new != old {
                self.a[mu] = new;
                let p = self.problem.features;
                add_scaled(
                    &mut self.w,
                    (new - old) * y / lam,
                    &self.problem.x[mu * p..(mu + 1) * p],
                );
            }
        }
    }

    /// Move the free coordinates towards the solution of `y x.w = 1`, up to the first bound.
    fn solve_margin(&mut self, cancel: &Cancel) -> Result<()> {
        let free: Vec<usize> = (0..self.a.len())
            .filter(|mu| self.a[*mu] > 0.0 && self.a[*mu] < 1.0)
            .collect();
        // More margin examples than features cannot all be met: their set is not identified yet.
        if free.is_empty() || free.len() > self.problem.features {
            return Ok(());
        }
        let p = self.problem.features;
        let lam = self.problem.lam;
        let mut signed = Vec::with_capacity(free.len() * p);
        for &mu in &free {
            signed.extend(self.row(mu).iter().map(|x| x * self.problem.y[mu]));
        }
        self.refresh();
        let largest = free.iter().fold(0.0_f64, |a, &mu| a.max(self.norms[mu]));
        // Dependent rows leave a direction free; a shift of rounding size picks the short one.
        let kernel = lower_gram(rows(&signed, free.len(), p), 1e-13 * largest, cancel)?;
        let slack: Vec<f64> = signed
            .chunks_exact(p)
            .map(|row| lam * (1.0 - dot(row, &self.w)))
            .collect();
        let Ok(step) = solve_positive(&kernel, &slack) else {
            return Ok(());
        };
        let mut length = 1.0_f64;
        for (&mu, step) in free.iter().zip(&step) {
            let room = if *step > 0.0 {
                1.0 - self.a[mu]
            } else {
                self.a[mu]
            };
            if room < length * step.abs() {
                length = room / step.abs();
            }
        }
        for (&mu, step) in free.iter().zip(&step) {
            self.a[mu] = (self.a[mu] + length * step).clamp(0.0, 1.0);
        }
        self.refresh();
        Ok(())
    }
}
