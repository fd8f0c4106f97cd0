//! Anderson's acceleration of a fixed point in three unknowns.

use hmm_core::Result;

/// Differences of iterates that are kept.
const DEPTH: usize = 5;
/// Plain steps before the first accelerated one.
const PLAIN: usize = 4;
/// Singular values below this fraction of the largest are dropped from the least squares.
const RCOND: f64 = 1e-10;

/// Three unknowns.
pub type Point = [f64; 3];

/// What the iteration reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// The best point.
    pub point: Point,
    /// `max |G(z) - z|` there.
    pub residual: f64,
    /// Evaluations of `G`.
    pub iterations: usize,
    /// Whether the residual is below the tolerance.
    pub converged: bool,
}

/// Iterate `z <- G(z)` from `start` until `max |G(z) - z| < tolerance`.
///
/// An accelerated step that `admissible(from, to)` refuses is replaced by a plain one.
///
/// # Errors
/// Those of the map.
pub fn fixed_point(
    start: Point,
    tolerance: f64,
    max_iterations: usize,
    mut map: impl FnMut(&Point) -> Result<Point>,
    admissible: impl Fn(&Point, &Point) -> bool,
) -> Result<Outcome> {
    let mut history: Vec<(Point, Point)> = Vec::with_capacity(DEPTH + 1);
    let mut point = start;
    let mut best = Outcome {
        point: start,
        residual: f64::INFINITY,
        iterations: 0,
        converged: false,
    };
    for iteration in 1..=max_iterations {
        let image = map(&point)?;
        let residual = subtract(&image, &point);
        let size = residual.iter().fold(0.0_f64, |a, r| a.max(r.abs()));
        best.iterations = iteration;
        if image.iter().any(|z| !z.is_finite()) {
            break;
        }
        if size < best.residual {
            best.point = point;
            best.residual = size;
        }
        if size < tolerance {
            best.converged = true;
            break;
        }
        if history.len() > DEPTH {
            history.remove(0);
        }
        history.push((point, residual));
        let accelerated = (iteration > PLAIN).then(|| extrapolate(&history, &image, &residual));
        point = accelerated
            .filter(|next| next.iter().all(|z| z.is_finite()) && admissible(&point, next))
            .unwrap_or(image);
    }
    Ok(best)
}

/// `G(z) - sum_k gamma_k (dz_k + dr_k)` with `gamma = argmin |r - sum_k gamma_k dr_k|`.
fn extrapolate(history: &[(Point, Point)], image: &Point, residual: &Point) -> Point {
    let neighbours = history.iter().zip(history.iter().skip(1));
    let pairs = neighbours
        .map(|(before, after)| (subtract(&after.0, &before.0), subtract(&after.1, &before.1)));
    let (steps, changes): (Vec<Point>, Vec<Point>) = pairs.unzip();
    let gamma = least_squares(&changes, residual);
    let mut next = *image;
    for ((step, change), gamma) in steps.iter().zip(&changes).zip(gamma) {
        for (next, (step, change)) in next.iter_mut().zip(step.iter().zip(change)) {
            *next -= gamma * (step + change);
        }
    }
    next
}

/// The shortest `gamma` that minimises `|target - sum_k gamma_k columns_k|`.
///
/// One-sided Jacobi rotations of the three rows give the singular values without squaring them.
#[expect(
    clippy::indexing_slicing,
    reason = "rows, target and every column are arrays of three, and the pairs are of 0, 1 and 2"
)]
fn least_squares(columns: &[Point], target: &Point) -> Vec<f64> {
    // rows[i] is row i of the 3 x n matrix; after the rotations rows = V^T A = S U^T.
    let mut rows: [Vec<f64>; 3] =
        std::array::from_fn(|i| columns.iter().map(|column| column[i]).collect());
    let mut target = *target;
    for _ in 0..30 {
        let mut rotated = false;
        for (i, j) in [(0, 1), (0, 2), (1, 2)] {
            let (a, b, c) = (
                dot(&rows[i], &rows[i]),
                dot(&rows[j], &rows[j]),
                dot(&rows[i], &rows[j]),
            );
            if c.abs() <= 1e-15 * (a * b).sqrt() {
                continue;
            }
            rotated = true;
            let zeta = (b - a) / (2.0 * c);
            let tangent = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
            let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
            let sine = cosine * tangent;
            let (upper, lower) = rows.split_at_mut(j);
            for (x, y) in upper[i].iter_mut().zip(&mut lower[0]) {
                (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
            }
            (target[i], target[j]) = (
                cosine * target[i] - sine * target[j],
                sine * target[i] + cosine * target[j],
            );
        }
        if !rotated {
            break;
        }
    }
    let squares: [f64; 3] = std::array::from_fn(|i| dot(&rows[i], &rows[i]));
    let largest = squares.iter().fold(0.0_f64, |a, s| a.max(*s));
    let mut gamma = vec![0.0; columns.len()];
    for (row, (square, target)) in rows.iter().zip(squares.iter().zip(target)) {
        if *square > RCOND * RCOND * largest {
            for (gamma, x) in gamma.iter_mut().zip(row) {
                *gamma += x * target / square;
            }
        }
    }
    gamma
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn subtract([a, b, c]: &Point, [x, y, z]: &Point) -> Point {
    [a - x, b - y, c - z]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_map_is_solved_at_once_after_four_differences() {
        // z = A z + b with spectral radius 0.9: plain iteration needs 200 steps.
        let map = |z: &Point| {
            Ok([
                0.9 * z[0] + 0.1 * z[1] + 1.0,
                0.3 * z[1] - 0.2 * z[2] + 0.5,
                0.1 * z[0] + 0.4 * z[2] - 1.0,
            ])
        };
        let outcome = fixed_point([0.0; 3], 1e-11, 100, map, |_, _| true).unwrap();
        assert!(outcome.converged && outcome.iterations < 12, "{outcome:?}");
    }

    #[test]
    fn what_does_not_converge_says_so() {
        let outcome = fixed_point(
            [1.0; 3],
            1e-10,
            50,
            |z| Ok(z.map(|x| x + 1.0)),
            |_, _| false,
        )
        .unwrap();
        assert!(!outcome.converged && outcome.iterations == 50);
    }
}
