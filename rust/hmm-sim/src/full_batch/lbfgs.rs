//! The logistic loss by a limited-memory quasi-Newton method (Liu and Nocedal 1989).
//!
//! Value and gradient take one pass over X: a row is used twice while it is in the first cache.

use super::examples::{Examples, add_scaled, dot, dot_lanes};
use super::logistic::LOSS;
use crate::loss::softplus;
use hmm_core::parallel::sum_chunks;
use hmm_core::special::vectorised;
use hmm_core::{Cancel, Result};

/// Pairs of steps and gradient changes that are kept.
const MEMORY: usize = 10;
/// Rows whose gradients are summed by one thread: fixed, so that the sum has one order.
const CHUNK: usize = 128;
/// Rows that are multiplied at a time, so that w and the gradient are read once for all of them.
const ROWS: usize = 4;
/// Halvings of a step before the minimum is taken to be reached within rounding.
const HALVINGS: usize = 30;

/// A point with its objective and gradient.
pub(super) struct Point {
    pub(super) w: Vec<f64>,
    pub(super) value: f64,
    pub(super) gradient: Vec<f64>,
}

impl Point {
    #[expect(
        clippy::indexing_slicing,
        reason = "chunks of the rows that x and y both have by `Problem::check`; the last one ends with them"
    )]
    fn new(problem: &Examples<'_>, w: Vec<f64>, cancel: &Cancel) -> Result<Self> {
        let p = problem.features;
        let (mut value, mut gradient) = sum_chunks(
            problem.count().div_ceil(CHUNK),
            (0.0, vec![0.0; p]),
            |chunk| {
                cancel.check()?;
                let first = chunk * CHUNK;
                let last = (first + CHUNK).min(problem.count());
                Ok(chunk_gradient(
                    &problem.x[first * p..last * p],
                    &problem.y[first..last],
                    &w,
                ))
            },
            |(value, gradient), (part, partial)| {
                *value += part;
                add_scaled(gradient, 1.0, &partial);
            },
        )?;
        value += problem.penalty(&w);
        add_scaled(&mut gradient, problem.lam, &w);
        Ok(Self { w, value, gradient })
    }
}

/// Loss and its gradient over a few rows.
#[expect(
    clippy::indexing_slicing,
    reason = "`chunks_exact` gives ROWS rows of p = w.len() numbers and ROWS labels; what is left starts at \
              whole < y.len()"
)]
fn chunk_gradient(x: &[f64], y: &[f64], w: &[f64]) -> (f64, Vec<f64>) {
    let mut gradient = vec![0.0; w.len()];
    let mut value = 0.0;
    vectorised(
        #[inline(always)]
        || {
            let p = w.len();
            let whole = y.len() - y.len() % ROWS;
            for (rows, y) in x.chunks_exact(ROWS * p).zip(y.chunks_exact(ROWS)) {
                let row: [&[f64]; ROWS] = std::array::from_fn(|r| &rows[r * p..(r + 1) * p]);
                let z = predictions(row, w);
                let mut pull = [0.0; ROWS];
                for r in 0..ROWS {
                    value += softplus(-y[r] * z[r]);
                    pull[r] = -y[r] * LOSS.pull(-y[r] * z[r]);
                }
                let columns = row[0].iter().zip(row[1]).zip(row[2]).zip(row[3]);
                for (gradient, (((a, b), c), d)) in gradient.iter_mut().zip(columns) {
                    let first = pull[0].mul_add(*a, pull[1] * b);
                    let second = pull[2].mul_add(*c, pull[3] * d);
                    *gradient += first + second;
                }
            }
            for (row, y) in x[whole * p..].chunks_exact(p).zip(&y[whole..]) {
                let margin = y * dot_lanes(row, w);
                value += softplus(-margin);
                let pull = -y * LOSS.pull(-margin);
                for (gradient, x) in gradient.iter_mut().zip(row) {
                    *gradient += pull * x;
                }
            }
        },
    );
    (value, gradient)
}

/// `x_r.w` of four rows, reading w once.
#[inline(always)]
#[expect(
    clippy::indexing_slicing,
    reason = "a lane of chunks of LANES, and one of ROWS = 4 sums"
)]
fn predictions(rows: [&[f64]; ROWS], w: &[f64]) -> [f64; ROWS] {
    const LANES: usize = 8;
    let (w, w_rest) = w.as_chunks::<LANES>();
    let [(a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest)] =
        rows.map(|row| row.as_chunks::<LANES>());
    let mut total = [[0.0_f64; LANES]; ROWS];
    for ((((w, a), b), c), d) in w.iter().zip(a).zip(b).zip(c).zip(d) {
        for lane in 0..LANES {
            total[0][lane] = a[lane].mul_add(w[lane], total[0][lane]);
            total[1][lane] = b[lane].mul_add(w[lane], total[1][lane]);
            total[2][lane] = c[lane].mul_add(w[lane], total[2][lane]);
            total[3][lane] = d[lane].mul_add(w[lane], total[3][lane]);
        }
    }
    let mut sums = total.map(|lanes| lanes.iter().sum::<f64>());
    for (sum, rest) in sums.iter_mut().zip([a_rest, b_rest, c_rest, d_rest]) {
        *sum += rest.iter().zip(w_rest).map(|(x, w)| x * w).sum::<f64>();
    }
    sums
}

/// Minimise from w = 0 until `done(point, iteration)` or `limit` iterations; returns the point and the iterations.
pub(super) fn minimise(
    problem: &Examples<'_>,
    limit: usize,
    mut done: impl FnMut(&Point, usize) -> bool,
    cancel: &Cancel,
) -> Result<(Point, usize)> {
    let mut point = Point::new(problem, vec![0.0; problem.features], cancel)?;
    let scale = inverse_curvature(problem);
    // (step, gradient change, 1/(step.change)) of the last iterations.
    let mut history: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::with_capacity(MEMORY);
    for iteration in 0..limit {
        if done(&point, iteration) {
            return Ok((point, iteration));
        }
        let direction = descent(&point.gradient, &history, &scale);
        let slope = dot(&direction, &point.gradient);
        let mut length = 1.0;
        let mut next = None;
        for _ in 0..HALVINGS {
            let mut w = point.w.clone();
            add_scaled(&mut w, length, &direction);
            let candidate = Point::new(problem, w, cancel)?;
            // Armijo, blurred by the rounding of the objective.
            if candidate.value <= point.value + 1e-4 * length * slope + 1e-15 * point.value {
                next = Some(candidate);
                break;
            }
            length *= 0.5;
        }
        let Some(next) = next else {
            return Ok((point, iteration));
        };
        let mut step = next.w.clone();
        add_scaled(&mut step, -1.0, &point.w);
        let mut change = next.gradient.clone();
        add_scaled(&mut change, -1.0, &point.gradient);
        let curvature = dot(&step, &change);
        point = next;
        if curvature > 0.0 {
            if history.len() == MEMORY {
                history.remove(0);
            }
            history.push((step, change, 1.0 / curvature));
        }
    }
    Ok((point, limit))
}

/// `1/(lam + sum_mu x_mu,i^2/4)`: the inverse diagonal of the Hessian at w = 0.
fn inverse_curvature(problem: &Examples<'_>) -> Vec<f64> {
    let mut squares = vec![0.0; problem.features];
    for row in problem.x.chunks_exact(problem.features) {
        for (square, x) in squares.iter_mut().zip(row) {
            *square += x * x;
        }
    }
    squares
        .iter()
        .map(|square| 1.0 / (problem.lam + 0.25 * square))
        .collect()
}

/// `-H g` by the two-loop recursion from the diagonal `scale`, itself scaled by the last step.
fn descent(gradient: &[f64], history: &[(Vec<f64>, Vec<f64>, f64)], scale: &[f64]) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut taken = Vec::with_capacity(history.len());
    for (step, change, inverse) in history.iter().rev() {
        let weight = inverse * dot(step, &direction);
        add_scaled(&mut direction, -weight, change);
        taken.push(weight);
    }
    // gamma = s.y/(y.D y): the size of the inverse Hessian along the last step.
    let gamma = history.last().map_or(1.0, |(_, change, inverse)| {
        let metric: f64 = change.iter().zip(scale).map(|(y, d)| y * y * d).sum();
        1.0 / (inverse * metric)
    });
    for (direction, scale) in direction.iter_mut().zip(scale) {
        *direction *= gamma * scale;
    }
    for ((step, change, inverse), weight) in history.iter().zip(taken.iter().rev()) {
        let correction = weight - inverse * dot(change, &direction);
        add_scaled(&mut direction, correction, step);
    }
    direction
}
