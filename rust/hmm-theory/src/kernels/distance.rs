//! Distances of two vectors, summed in eight lanes in a fixed order.

const LANES: usize = 8;

/// `|x - y|^2`, exactly zero for equal vectors.
#[inline(always)]
pub fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    lanes(x, y, |a, b| (a - b) * (a - b))
}

/// `|x + y|^2`.
#[inline(always)]
pub fn squared_sum(x: &[f64], y: &[f64]) -> f64 {
    lanes(x, y, |a, b| (a + b) * (a + b))
}

/// `x.y`.
#[inline(always)]
pub fn inner_product(x: &[f64], y: &[f64]) -> f64 {
    lanes(x, y, |a, b| a * b)
}

#[inline(always)]
fn lanes(x: &[f64], y: &[f64], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut partial = [0.0; LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let tail: f64 = xs
        .remainder()
        .iter()
        .zip(ys.remainder())
        .map(|(a, b)| term(*a, *b))
        .sum();
    for (a, b) in xs.zip(ys) {
        for ((sum, a), b) in partial.iter_mut().zip(a).zip(b) {
            *sum += term(*a, *b);
        }
    }
    partial.iter().sum::<f64>() + tail
}
