//! The hinge loss by a primal-dual interior-point method: ten to twenty Newton steps at any penalty.
//!
//! Minimise `sum xi + lam/2 |w|^2` over `y x.w + xi - s = 1`, `xi, s >= 0`, with the multipliers `a` of the
//! equations and `b = 1 - a` of `xi >= 0`: `X^T (a y) = lam w`, `a s = 0`, `b xi = 0`. Mehrotra's predictor and
//! corrector (1992); a step solves with `X^T D X + lam`, or with `X X^T + lam/D` if there are fewer examples than
//! features, `1/D = xi/b + s/a` (Ferris and Munson 2002).

use super::examples::{Examples, add_scaled};
use super::gram::{factor, lower_gram, solve_factored};
use super::hinge::{LOSS, gap, rounding};
use super::{Fit, Stop};
use faer::Mat;
use faer::linalg::solvers::Llt;
use hmm_core::linalg::rows;
use hmm_core::{Cancel, Error, Result};

/// Steps it takes, as a rule.
pub(super) const TYPICAL: usize = 15;
/// Steps after which it is stuck.
const MAX_STEPS: usize = 80;
/// Share of the way to the boundary that a step goes.
const SHARE: f64 = 0.995;
/// Steps shorter than this lead nowhere.
const SHORTEST: f64 = 1e-10;
/// Shift of a matrix that rounding has made indefinite, against its largest diagonal entry.
const SHIFT: f64 = 1e-14;
/// Larger and larger shifts before the matrix is given up.
const SHIFTS: i32 = 5;

/// A point inside; margins `s` in excess and `xi` in lack, multipliers `a` and `b`.
#[derive(Clone)]
struct Point {
    w: Vec<f64>,
    a: Vec<f64>,
    b: Vec<f64>,
    s: Vec<f64>,
    xi: Vec<f64>,
}

/// A direction in the same unknowns; that of `b` is minus that of `a`.
struct Direction {
    w: Vec<f64>,
    a: Vec<f64>,
    s: Vec<f64>,
    xi: Vec<f64>,
}

/// The linear system of one point.
enum System {
    /// `X^T D X + lam`.
    Features(Llt<f64>),
    /// `X X^T + lam/D`.
    Examples(Llt<f64>),
}

/// What the equations miss at a point.
struct Residuals {
    /// `X^T (a y) - lam w`.
    w: Vec<f64>,
    /// `1 - y x.w - xi + s`.
    margin: Vec<f64>,
}

/// Minimise within `limit` steps: the best point with its certificate, and its dual coordinates; `squares` are
/// the `|x|^2`.
pub(super) fn fit(
    problem: &Examples<'_>,
    squares: &[f64],
    stop: &Stop,
    limit: usize,
    cancel: &Cancel,
) -> Result<(Fit, Vec<f64>)> {
    let (n, p) = (problem.count(), problem.features);
    let kernel = if n <= p {
        Some(lower_gram(rows(problem.x, n, p), 0.0, cancel)?)
    } else {
        None
    };
    let mut point = Point {
        w: vec![0.0; p],
        a: vec![0.5; n],
        b: vec![0.5; n],
        s: vec![1.0; n],
        xi: vec![2.0; n],
    };
    let mut best: Option<(Fit, Vec<f64>)> = None;
    for step in 0..=limit.min(MAX_STEPS) {
        cancel.check()?;
        let found = point.judge(problem, squares, step, stop);
        let converged = found.converged;
        if best
            .as_ref()
            .is_none_or(|(best, _)| found.better_than(best))
        {
            best = Some((found, point.a.clone()));
        }
        if converged || !point.advance(problem, kernel.as_ref(), cancel)? {
            break;
        }
    }
    best.ok_or(Error::Interrupted)
}

impl Point {
    /// The better of `w` and `X^T (a y)/lam`, with its certificate.
    fn judge(&self, problem: &Examples<'_>, squares: &[f64], steps: usize, stop: &Stop) -> Fit {
        let rounding = rounding(&self.a, squares, problem.lam);
        let mut dual_w = pulled(problem, &self.a);
        for w in &mut dual_w {
            *w /= problem.lam;
        }
        let certify = |w: Vec<f64>| {
            let z = margins(problem, &w);
            let mut apart = dual_w.clone();
            add_scaled(&mut apart, -1.0, &w);
            let losses: f64 = z.iter().map(|z| LOSS.value(1.0 - z)).sum();
            let objective = losses + problem.penalty(&w);
            let gap = gap(&z, &self.a, problem.penalty(&apart) + rounding);
            Fit::judged(w, objective, gap, steps, stop)
        };
        let (own, other) = (certify(self.w.clone()), certify(dual_w.clone()));
        if own.better_than(&other) { own } else { other }
    }

    fn residuals(&self, problem: &Examples<'_>) -> Residuals {
        let mut w = pulled(problem, &self.a);
        add_scaled(&mut w, -problem.lam, &self.w);
        let margin = margins(problem, &self.w)
            .iter()
            .zip(self.s.iter().zip(&self.xi))
            .map(|(z, (s, xi))| 1.0 - z - xi + s)
            .collect();
        Residuals { w, margin }
    }

    /// `1/D = xi/b + s/a`.
    fn widths(&self) -> Vec<f64> {
        let lack = self.xi.iter().zip(&self.b);
        let excess = self.s.iter().zip(&self.a);
        lack.zip(excess)
            .map(|((xi, b), (s, a))| xi / b + s / a)
            .collect()
    }

    /// Mean of `a s` and `b xi` after a step of `length` along `direction`.
    #[expect(
        clippy::indexing_slicing,
        reason = "every vector of a point, of a direction and of what is wanted has an entry for each of the n \
                  examples: `fit` and `direction` made them"
    )]
    fn complementarity(&self, direction: &Direction, length: f64) -> f64 {
        let n = self.a.len();
        let sum: f64 = (0..n)
            .map(|i| {
                let step = length * direction.a[i];
                (self.a[i] + step) * (self.s[i] + length * direction.s[i])
                    + (self.b[i] - step) * (self.xi[i] + length * direction.xi[i])
            })
            .sum();
        sum / (2 * n) as f64
    }

    /// The longest step up to 1 that keeps every unknown positive.
    fn room(&self, direction: &Direction) -> f64 {
        let shortest = |value: &[f64], step: &[f64], sign: f64| {
            value
                .iter()
                .zip(step)
                .filter(|(_, step)| sign * **step < 0.0)
                .fold(1.0_f64, |room, (value, step)| {
                    room.min(-value / (sign * step))
                })
        };
        shortest(&self.a, &direction.a, 1.0)
            .min(shortest(&self.b, &direction.a, -1.0))
            .min(shortest(&self.s, &direction.s, 1.0))
            .min(shortest(&self.xi, &direction.xi, 1.0))
    }

    /// One step; whether it led anywhere.
    #[expect(
        clippy::indexing_slicing,
        reason = "every vector of a point, of a direction and of what is wanted has an entry for each of the n \
                  examples: `fit` and `direction` made them"
    )]
    fn advance(
        &mut self,
        problem: &Examples<'_>,
        kernel: Option<&Mat<f64>>,
        cancel: &Cancel,
    ) -> Result<bool> {
        let widths = self.widths();
        let Some(system) = System::new(problem, kernel, &widths, cancel)? else {
            return Ok(false);
        };
        let residuals = self.residuals(problem);
        let n = self.a.len();
        let still = Direction {
            w: Vec::new(),
            a: vec![0.0; n],
            s: vec![0.0; n],
            xi: vec![0.0; n],
        };
        let mean = self.complementarity(&still, 0.0);
        // Predictor: straight to complementarity zero.
        let aim =
            |i: usize, (a, b): (f64, f64)| (a - self.a[i] * self.s[i], b - self.b[i] * self.xi[i]);
        let wanted: Vec<(f64, f64)> = (0..n).map(|i| aim(i, (0.0, 0.0))).collect();
        let predictor = self.direction(problem, &system, &widths, &residuals, &wanted);
        let reached = self.complementarity(&predictor, self.room(&predictor));
        // Corrector: to what the predictor can reach, with its own second order.
        let target = mean * (reached / mean).powi(3);
        let wanted: Vec<(f64, f64)> = (0..n)
            .map(|i| {
                let a = predictor.a[i];
                aim(
                    i,
                    (target - a * predictor.s[i], target + a * predictor.xi[i]),
                )
            })
            .collect();
        let direction = self.direction(problem, &system, &widths, &residuals, &wanted);
        let length = SHARE * self.room(&direction);
        let finite = [&direction.w, &direction.a, &direction.s, &direction.xi]
            .iter()
            .all(|part| part.iter().all(|x| x.is_finite()));
        if !finite || length < SHORTEST {
            return Ok(false);
        }
        add_scaled(&mut self.w, length, &direction.w);
        add_scaled(&mut self.a, length, &direction.a);
        add_scaled(&mut self.b, -length, &direction.a);
        add_scaled(&mut self.s, length, &direction.s);
        add_scaled(&mut self.xi, length, &direction.xi);
        Ok(true)
    }

    /// The direction that closes the residuals and moves `(a s, b xi)` by `wanted`.
    #[expect(
        clippy::indexing_slicing,
        reason = "every vector of a point, of a direction and of what is wanted has an entry for each of the n \
                  examples: `fit` and `direction` made them"
    )]
    fn direction(
        &self,
        problem: &Examples<'_>,
        system: &System,
        widths: &[f64],
        residuals: &Residuals,
        wanted: &[(f64, f64)],
    ) -> Direction {
        let n = self.a.len();
        let margin: Vec<f64> = (0..n)
            .map(|i| residuals.margin[i] - wanted[i].1 / self.b[i] + wanted[i].0 / self.a[i])
            .collect();
        let (mut w, mut a) = system.solve(problem, widths, &residuals.w, &margin);
        // One round of refinement: the widths range over twenty decades near the end.
        let mut left_w = pulled(problem, &a);
        add_scaled(&mut left_w, -problem.lam, &w);
        add_scaled(&mut left_w, 1.0, &residuals.w);
        let left_margin: Vec<f64> = margins(problem, &w)
            .iter()
            .enumerate()
            .map(|(i, z)| margin[i] - z - a[i] * widths[i])
            .collect();
        let (more_w, more_a) = system.solve(problem, widths, &left_w, &left_margin);
        add_scaled(&mut w, 1.0, &more_w);
        add_scaled(&mut a, 1.0, &more_a);
        let s = (0..n)
            .map(|i| (wanted[i].0 - self.s[i] * a[i]) / self.a[i])
            .collect();
        let xi = (0..n)
            .map(|i| (wanted[i].1 + self.xi[i] * a[i]) / self.b[i])
            .collect();
        Direction { w, a, s, xi }
    }
}

impl System {
    /// Factor the system of a point; `None` if rounding has made it singular.
    fn new(
        problem: &Examples<'_>,
        kernel: Option<&Mat<f64>>,
        widths: &[f64],
        cancel: &Cancel,
    ) -> Result<Option<Self>> {
        if let Some(kernel) = kernel {
            let mut matrix = kernel.clone();
            for (i, width) in widths.iter().enumerate() {
                matrix[(i, i)] += problem.lam * width;
            }
            return Ok(shifted(&matrix, cancel)?.map(Self::Examples));
        }
        let (n, p) = (problem.count(), problem.features);
        let mut scaled = Vec::with_capacity(n * p);
        for (mu, width) in widths.iter().enumerate() {
            let root = width.sqrt().recip();
            scaled.extend(problem.row(mu).iter().map(|x| x * root));
        }
        let matrix = lower_gram(rows(&scaled, n, p).transpose(), problem.lam, cancel)?;
        Ok(shifted(&matrix, cancel)?.map(Self::Features))
    }

    /// `lam w - X^T (a y) = right_w`, `y x.w + a/D = right_margin`.
    fn solve(
        &self,
        problem: &Examples<'_>,
        widths: &[f64],
        right_w: &[f64],
        right_margin: &[f64],
    ) -> (Vec<f64>, Vec<f64>) {
        match self {
            Self::Features(matrix) => {
                let weighted: Vec<f64> = right_margin
                    .iter()
                    .zip(widths)
                    .map(|(right, width)| right / width)
                    .collect();
                let mut right = pulled(problem, &weighted);
                add_scaled(&mut right, 1.0, right_w);
                let w = solve_factored(matrix, &right);
                let a = margins(problem, &w)
                    .iter()
                    .zip(right_margin.iter().zip(widths))
                    .map(|(z, (right, width))| (right - z) / width)
                    .collect();
                (w, a)
            }
            Self::Examples(matrix) => {
                // In the signed multipliers a y.
                let right: Vec<f64> = margins(problem, right_w)
                    .iter()
                    .zip(right_margin)
                    .zip(problem.y)
                    .map(|((z, right), y)| y * (problem.lam * right - z))
                    .collect();
                let mut a = solve_factored(matrix, &right);
                for (a, y) in a.iter_mut().zip(problem.y) {
                    *a *= y;
                }
                let mut w = pulled(problem, &a);
                add_scaled(&mut w, 1.0, right_w);
                for w in &mut w {
                    *w /= problem.lam;
                }
                (w, a)
            }
        }
    }
}

/// Factor `matrix`, moved away from the singular by as little as it takes.
fn shifted(matrix: &Mat<f64>, cancel: &Cancel) -> Result<Option<Llt<f64>>> {
    let largest = (0..matrix.nrows()).fold(0.0_f64, |most, i| most.max(matrix[(i, i)]));
    for attempt in 0..SHIFTS {
        let mut moved = matrix.clone();
        if attempt > 0 {
            let shift = SHIFT * 100.0_f64.powi(attempt - 1) * largest;
            for i in 0..moved.nrows() {
                moved[(i, i)] += shift;
            }
        }
        match factor(moved, cancel) {
            Ok(found) => return Ok(Some(found)),
            Err(Error::Convergence(_)) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(None)
}

/// `y x.w` of every example.
fn margins(problem: &Examples<'_>, w: &[f64]) -> Vec<f64> {
    let mut z = problem.predictions(w);
    for (z, y) in z.iter_mut().zip(problem.y) {
        *z *= y;
    }
    z
}

/// `X^T (a y)`.
fn pulled(problem: &Examples<'_>, a: &[f64]) -> Vec<f64> {
    let signed: Vec<f64> = a.iter().zip(problem.y).map(|(a, y)| a * y).collect();
    problem.transposed(&signed)
}

#[cfg(test)]
mod tests {
    use super::super::examples::dot;
    use super::*;

    fn squares(x: &[f64], p: usize) -> Vec<f64> {
        x.chunks_exact(p).map(|row| dot(row, row)).collect()
    }

    fn examples<'a>(x: &'a [f64], y: &'a [f64], lam: f64) -> Examples<'a> {
        Examples {
            x,
            y,
            features: x.len() / y.len(),
            lam,
        }
    }

    #[test]
    fn overlapping_classes_are_no_harder_at_a_small_penalty() {
        let x = [1.0, 0.0, 1.0, 0.1, 1.0, -0.1, 1.0, 0.3, 1.0, 0.2];
        let y = [1.0, -1.0, 1.0, 1.0, -1.0];
        // w = (1, 0) loses 2 at both negative examples, which no direction separates.
        for lam in [1e-3, 1e-6, 1e-9, 1e-12] {
            let stop = Stop {
                tol: 1e-11,
                max_iterations: 100,
            };
            let problem = examples(&x, &y, lam);
            let (found, _) = fit(
                &problem,
                &squares(&x, problem.features),
                &stop,
                100,
                &Cancel::new(),
            )
            .unwrap();
            assert!(found.converged && found.iterations < 30, "{lam}: {found:?}");
            // The three examples on the margin tilt w by what the penalty gains: 0.495 lam, not lam/2.
            assert!((found.objective - 4.0 - 0.495 * lam).abs() < 1e-4 * lam + 5e-11);
        }
    }

    #[test]
    fn more_features_than_examples_separate_them() {
        let x: Vec<f64> = (0..60_u32).map(|i| (1.7 * f64::from(i)).sin()).collect();
        let y = [1.0, -1.0, 1.0, 1.0, -1.0, -1.0];
        for lam in [1.0, 1e-6, 1e-12] {
            let stop = Stop {
                tol: 1e-9,
                max_iterations: 100,
            };
            let problem = examples(&x, &y, lam);
            let (found, a) = fit(
                &problem,
                &squares(&x, problem.features),
                &stop,
                100,
                &Cancel::new(),
            )
            .unwrap();
            assert!(found.converged, "{lam}: {found:?}");
            let dual = a.iter().sum::<f64>()
                - 0.5 * dot(&pulled(&problem, &a), &pulled(&problem, &a)) / lam;
            assert!((found.objective / dual - 1.0).abs() < 1e-8);
        }
    }
}
