//! The hinge loss: dual coordinate descent, finished by solving for the examples on the margin; where that is
//! slow, an interior-point method.
//!
//! The dual is `max_a sum a - |X^T (a y)|^2/(2 lam)` over `0 <= a <= 1`, `w = X^T (a y)/lam`. Coordinate
//! descent (Hsieh et al. 2008) finds which examples have `a = 0` and `a = 1`; those between satisfy
//! `y x.w = 1` exactly, a linear system that coordinate descent would take thousands of passes to solve
//! when the penalty is small. Where classes overlap and the penalty is small it does not find the sets either:
//! once it has cost as much as [`interior`] would, that takes over.

use super::examples::{Examples, add_scaled, dot};
use super::gram::{factor, lower_gram, solve_factored};
use super::{Fit, Stop, interior};
use crate::loss::ExampleLoss;
use hmm_core::linalg::rows;
use hmm_core::random::Rng;
use hmm_core::random::{Purpose, Stream};
use hmm_core::{Cancel, Result};

/// Its formula; the deficit is `1 - y z`.
pub(super) const LOSS: ExampleLoss = ExampleLoss::Hinge;

/// Passes between two looks at the gap (and attempts at the linear system).
const PASSES: usize = 10;
/// Rounds of descent that polish what the interior-point method has left.
const POLISH: usize = 20;
/// A multiplication of a matrix product against one of a pass through memory.
const PRODUCT: f64 = 0.1;
/// Examples between two looks at the cancel flag.
const LOOK: usize = 256;

/// State of the dual ascent.
struct Dual<'a> {
    problem: &'a Examples<'a>,
    /// `|x_mu|^2`.
    norms: Vec<f64>,
    /// Dual coordinates in [0, 1].
    a: Vec<f64>,
    w: Vec<f64>,
    /// Multiplications so far, those of matrix products at their lower price.
    spent: f64,
}

/// The gap between the objective at w, with margins `z = y x.w`, and the dual at `a`.
///
/// `sum (1 - z)_+ - a (1 - z) + lam/2 |w - X^T (a y)/lam|^2`: no term is negative, so that no digit is lost to
/// their difference; `apart` is the last one.
pub(super) fn gap(z: &[f64], a: &[f64], apart: f64) -> f64 {
    let terms = z.iter().zip(a).map(|(z, a)| {
        let short = 1.0 - z;
        if short > 0.0 {
            (1.0 - a) * short
        } else {
            -a * short
        }
    });
    terms.sum::<f64>() + apart
}

/// What rounding of `X^T (a y)/lam` can add to the gap: `(eps sum a |x|)^2/(2 lam)`.
pub(super) fn rounding(a: &[f64], squares: &[f64], lam: f64) -> f64 {
    let sum: f64 = a
        .iter()
        .zip(squares)
        .map(|(a, square)| a * square.sqrt())
        .sum();
    0.5 * (f64::EPSILON * sum) * (f64::EPSILON * sum / lam)
}

/// What the interior-point method costs in the currency of [`Dual::spent`].
fn interior_cost(problem: &Examples<'_>) -> f64 {
    let (n, p) = (problem.count() as f64, problem.features as f64);
    let m = n.min(p);
    interior::TYPICAL as f64 * (PRODUCT * m * m * (0.5 * n.max(p) + m / 3.0) + 8.0 * n * p)
}

pub(super) fn fit(problem: &Examples<'_>, stop: &Stop, cancel: &Cancel) -> Result<Fit> {
    let n = problem.count();
    let mut dual = Dual {
        problem,
        norms: problem
            .x
            .chunks_exact(problem.features)
            .map(|row| dot(row, row))
            .collect(),
        a: vec![0.0; n],
        w: vec![0.0; problem.features],
        spent: 0.0,
    };
    // The order of a pass is part of the algorithm, not of the experiment: one fixed stream.
    let order_stream = Stream::new(&[0; 8], Purpose::Resample);
    let mut order: Vec<usize> = (0..n).collect();
    let mut iterations = 0;
    let mut patience = interior_cost(problem);
    let mut best: Option<Fit> = None;
    let mut polished = 0;
    loop {
        cancel.check()?;
        dual.refresh();
        let (objective, gap) = dual.certificate();
        let fit = Fit::judged(dual.w.clone(), objective, gap, iterations, stop);
        if fit.converged {
            return Ok(fit);
        }
        if best.as_ref().is_none_or(|best| fit.better_than(best)) {
            best = Some(fit);
        }
        if iterations >= stop.max_iterations || polished > POLISH {
            break;
        }
        if dual.spent >= patience {
            let limit = stop.max_iterations - iterations;
            let (found, a) = interior::fit(problem, &dual.norms, stop, limit, cancel)?;
            iterations += found.iterations;
            if found.converged {
                return Ok(Fit {
                    iterations,
                    ..found
                });
            }
            if best.as_ref().is_none_or(|best| found.better_than(best)) {
                best = Some(found);
                dual.a = a;
            }
            // What it leaves is a matter of the last digits.
            patience = f64::INFINITY;
            polished = 1;
            dual.solve_margin(cancel)?;
            continue;
        }
        for _ in 0..PASSES.min(stop.max_iterations - iterations) {
            let mut generator = order_stream.generator(0, iterations as u64);
            for last in (1..n).rev() {
                // Lemire's reduction: the bias of 2^-64 n has no meaning here.
                let pick = (u128::from(generator.next_u64()) * (last as u128 + 1)) >> 64;
                order.swap(last, pick as usize);
            }
            dual.pass(&order, cancel)?;
            iterations += 1;
        }
        polished += usize::from(polished > 0);
        dual.solve_margin(cancel)?;
    }
    best.map(|best| Fit { iterations, ..best })
        .ok_or(hmm_core::Error::Interrupted)
}

impl Dual<'_> {
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
        let mut z = self.problem.predictions(&self.w);
        for (z, y) in z.iter_mut().zip(self.problem.y) {
            *z *= y;
        }
        let losses: f64 = z.iter().map(|z| LOSS.value(1.0 - z)).sum();
        let objective = losses + self.problem.penalty(&self.w);
        let rounding = rounding(&self.a, &self.norms, self.problem.lam);
        (objective, gap(&z, &self.a, rounding))
    }

    /// `a_mu <- clip(a_mu + lam (1 - y_mu x_mu.w)/|x_mu|^2, 0, 1)` for every example once.
    #[expect(
        clippy::indexing_slicing,
        reason = "`order` holds the numbers of the examples; y, norms and a have an entry for each of them"
    )]
    fn pass(&mut self, order: &[usize], cancel: &Cancel) -> Result<()> {
        let lam = self.problem.lam;
        self.spent += 2.0 * self.problem.x.len() as f64;
        for (done, &mu) in order.iter().enumerate() {
            if done % LOOK == 0 {
                cancel.check()?;
            }
            let (y, norm, old) = (self.problem.y[mu], self.norms[mu], self.a[mu]);
            let slack = 1.0 - y * dot(self.problem.row(mu), &self.w);
            let new = if norm > 0.0 {
                (old + lam * slack / norm).clamp(0.0, 1.0)
            } else {
                1.0
            };
            if new != old {
                self.a[mu] = new;
                add_scaled(&mut self.w, (new - old) * y / lam, self.problem.row(mu));
            }
        }
        Ok(())
    }

    /// Move the free coordinates towards the solution of `y x.w = 1`, up to the first bound.
    #[expect(
        clippy::indexing_slicing,
        reason = "`free` holds numbers of examples; y, norms and a have an entry for each of them"
    )]
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
        let side = free.len() as f64;
        self.spent += PRODUCT * side * side * (0.5 * p as f64 + side / 3.0);
        let mut signed = Vec::with_capacity(free.len() * p);
        for &mu in &free {
            signed.extend(self.problem.row(mu).iter().map(|x| x * self.problem.y[mu]));
        }
        self.refresh();
        let largest = free.iter().fold(0.0_f64, |a, &mu| a.max(self.norms[mu]));
        // Dependent rows leave a direction free; a shift of rounding size picks the short one.
        let kernel = lower_gram(rows(&signed, free.len(), p), 1e-13 * largest, cancel)?;
        let slack: Vec<f64> = signed
            .chunks_exact(p)
            .map(|row| lam * (1.0 - dot(row, &self.w)))
            .collect();
        cancel.check()?;
        let Ok(kernel) = factor(kernel, cancel) else {
            return Ok(());
        };
        let step = solve_factored(&kernel, &slack);
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
