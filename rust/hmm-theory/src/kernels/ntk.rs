//! Neural tangent kernel of an infinitely wide one-hidden-layer ReLU network at its start.

use super::distance::{inner_product, squared_distance, squared_sum};
use super::pairs::{Points, fill, same_dimension};
use hmm_core::{Cancel, Result};
use std::f64::consts::{FRAC_1_PI, PI};

/// What the hidden biases do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    /// Drawn from N(0, 1) and trained.
    Normal,
    /// Zero at the start and trained.
    Zero,
    /// Absent.
    None,
}

impl Bias {
    /// Variance `v_b` at the start.
    fn variance(self) -> f64 {
        f64::from(u8::from(self == Self::Normal))
    }

    /// `gamma`: 1 if the bias is trained.
    fn trained(self) -> f64 {
        f64::from(u8::from(self != Self::None))
    }
}

/// `h Theta(x, y)`, row-major (X.count, Y.count); `y = None` stands for `y = x`.
///
/// With `a = sqrt(|x|^2/d + v_b)`, `cos th = (x.y/d + v_b)/(a a')`:
/// `h Theta = (1/pi)[a a' (sin th + (pi - th) cos th) + (x.y/d + gamma)(pi - th)]`
/// (Jacot, Gabriel, Hongler, NeurIPS 2018). The angle comes from `|u - v|` and `|u + v|` of the unit vectors, so the
/// diagonal is exact. A zero input without bias has kernel 0 with everything.
///
/// # Errors
/// If dimensions differ; [`hmm_core::Error::Interrupted`].
pub fn ntk(x: Points<'_>, y: Option<Points<'_>>, bias: Bias, cancel: &Cancel) -> Result<Vec<f64>> {
    let other = y.unwrap_or(x);
    same_dimension(x, other)?;
    let left = Directions::new(x, bias);
    let right = Directions::new(other, bias);
    let d = x.dimension() as f64;
    let (v_b, gamma) = (bias.variance(), bias.trained());
    let mut kernel = vec![0.0; x.count() * other.count()];
    fill(&mut kernel, other.count(), y.is_none(), cancel, |i, j| {
        let lengths = left.lengths[i] * right.lengths[j];
        if lengths == 0.0 {
            return 0.0;
        }
        let (u, v) = (left.unit(i), right.unit(j));
        // |u - v| = 2 sin(th/2), |u + v| = 2 cos(th/2).
        let apart = squared_distance(u, v);
        let together = squared_sum(u, v);
        let angle = 2.0 * libm::atan2(apart.sqrt(), together.sqrt());
        let sine = 0.5 * (apart * together).sqrt();
        let cosine = if apart <= together {
            1.0 - 0.5 * apart
        } else {
            0.5 * together - 1.0
        };
        let overlap = if apart <= together {
            // Exact on the diagonal, where both lengths are the same number.
            lengths * cosine - v_b
        } else {
            inner_product(left.point(i), right.point(j)) / d
        };
        FRAC_1_PI * (lengths * (sine + (PI - angle) * cosine) + (overlap + gamma) * (PI - angle))
    })?;
    Ok(kernel)
}

/// The vectors `(x/sqrt d, sqrt v_b)` of a set of points, as lengths and directions.
struct Directions<'a> {
    points: &'a [f64],
    d: usize,
    units: Vec<f64>,
    lengths: Vec<f64>,
}

impl<'a> Directions<'a> {
    fn new(points: Points<'a>, bias: Bias) -> Self {
        let d = points.dimension();
        let scale = 1.0 / (d as f64).sqrt();
        let mut units = Vec::with_capacity(points.count() * (d + 1));
        let mut lengths = Vec::with_capacity(points.count());
        for x in points.values().chunks_exact(d) {
            let length = (inner_product(x, x) / d as f64 + bias.variance()).sqrt();
            let inverse = if length > 0.0 { 1.0 / length } else { 0.0 };
            units.extend(x.iter().map(|x| x * scale * inverse));
            units.push(bias.variance().sqrt() * inverse);
            lengths.push(length);
        }
        Self {
            points: points.values(),
            d,
            units,
            lengths,
        }
    }

    fn unit(&self, i: usize) -> &[f64] {
        &self.units[i * (self.d + 1)..(i + 1) * (self.d + 1)]
    }

    fn point(&self, i: usize) -> &[f64] {
        &self.points[i * self.d..(i + 1) * self.d]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn diagonal(x: &[f64], bias: Bias) -> f64 {
        let square = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        2.0 * square + bias.variance() + bias.trained()
    }

    #[test]
    fn a_zero_input_without_bias_has_no_kernel() {
        let x = [0.0, 0.0, 1.0, 2.0];
        let points = Points::new("X", &x, 2).unwrap();
        let kernel = ntk(points, None, Bias::None, &Cancel::new()).unwrap();
        assert_eq!(&kernel[..3], [0.0; 3]);
        assert!((kernel[3] - 5.0).abs() < 1e-14);
    }

    #[test]
    fn opposite_points_without_bias_share_nothing() {
        let x = [0.3, -1.1, -0.3, 1.1];
        let points = Points::new("X", &x, 2).unwrap();
        let kernel = ntk(points, None, Bias::None, &Cancel::new()).unwrap();
        assert!(kernel[1].abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn diagonal_is_exact_and_the_matrix_symmetric(
            x in proptest::collection::vec(-30.0_f64..30.0, 12),
        ) {
            for bias in [Bias::Normal, Bias::Zero, Bias::None] {
                let points = Points::new("X", &x, 3).unwrap();
                let kernel = ntk(points, None, bias, &Cancel::new()).unwrap();
                let both = ntk(points, Some(points), bias, &Cancel::new()).unwrap();
                for i in 0..4 {
                    let exact = diagonal(&x[3 * i..3 * i + 3], bias);
                    prop_assert!((kernel[5 * i] - exact).abs() <= 1e-14 * exact.max(1.0));
                    for j in 0..4 {
                        prop_assert_eq!(kernel[4 * i + j], kernel[4 * j + i]);
                        prop_assert!((kernel[4 * i + j] - both[4 * i + j]).abs() <= 1e-12);
                    }
                }
            }
        }
    }
}
