//! Neural tangent kernel of an infinitely wide one-hidden-layer ReLU network at its start.

use super::distance::{inner_product, squared_distance, squared_sum};
use super::pairs::{Pair, Points, row};
use hmm_core::memory::filled;
use hmm_core::{Cancel, Result};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use std::f64::consts::{FRAC_1_PI, PI};

hmm_core::named! {
    /// What the hidden biases do.
    pub enum Bias: "bias" {
        /// Drawn from N(0, 1) and trained.
        Normal = "normal",
        /// Zero at the start and trained.
        Zero = "zero",
        /// Absent.
        None = "none",
    }
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

/// `h Theta` of points `x` (P, d) against `y` (Q, d), shape (P, Q); `y = None` stands for `y = x`.
///
/// With `a = sqrt(|x|^2/d + v_b)`, `cos th = (x.y/d + v_b)/(a a')`:
/// `h Theta = (1/pi)[a a' (sin th + (pi - th) cos th) + (x.y/d + gamma)(pi - th)]`
/// (Jacot, Gabriel, Hongler, NeurIPS 2018). The angle comes from `|u - v|` and `|u + v|` of the unit vectors, so the
/// diagonal is exact. A zero input without bias has kernel 0 with everything.
///
/// # Errors
/// As [`ntk_into`]; [`hmm_core::Error::Resource`].
///
/// ```
/// use hmm_core::Cancel;
/// use hmm_theory::kernels::{Bias, ntk};
/// let kernel = ntk(ndarray::array![[1.0, 1.0]].view(), None, Bias::Normal, &Cancel::new())?;
/// assert!((kernel[[0, 0]] - 4.0).abs() < 1e-14);
/// # Ok::<(), hmm_core::Error>(())
/// ```
pub fn ntk(
    x: ArrayView2<'_, f64>,
    y: Option<ArrayView2<'_, f64>>,
    bias: Bias,
    cancel: &Cancel,
) -> Result<Array2<f64>> {
    let mut out = Pair::new(x, y)?.zeros()?;
    ntk_into(x, y, bias, out.view_mut(), cancel)?;
    Ok(out)
}

/// [`ntk`] into an array of the caller's, shape (P, Q), contiguous row by row.
///
/// # Errors
/// If shapes do not fit; [`hmm_core::Error::Resource`] for the directions of the points;
/// [`hmm_core::Error::Interrupted`].
#[expect(
    clippy::indexing_slicing,
    reason = "`Pair::fill` counts i and j to the numbers of points, which have a length each"
)]
pub fn ntk_into(
    x: ArrayView2<'_, f64>,
    y: Option<ArrayView2<'_, f64>>,
    bias: Bias,
    out: ArrayViewMut2<'_, f64>,
    cancel: &Cancel,
) -> Result<()> {
    let pair = Pair::new(x, y)?;
    let left = Directions::new(&pair.x, bias)?;
    let second = (!pair.is_symmetric())
        .then(|| Directions::new(pair.y(), bias))
        .transpose()?;
    let right = second.as_ref().unwrap_or(&left);
    let d = pair.x.dimension() as f64;
    let (v_b, gamma) = (bias.variance(), bias.trained());
    pair.fill(out, cancel, |i, j| {
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
    })
}

/// The vectors `(x/sqrt d, sqrt v_b)` of a set of points, as lengths and directions.
struct Directions<'a> {
    points: &'a [f64],
    d: usize,
    units: Vec<f64>,
    lengths: Vec<f64>,
}

impl<'a> Directions<'a> {
    fn new(points: &'a Points<'_>, bias: Bias) -> Result<Self> {
        let d = points.dimension();
        let scale = 1.0 / (d as f64).sqrt();
        let room = |count| {
            filled(
                0.0,
                count,
                "the directions of the points",
                "pass fewer points",
            )
        };
        let mut units = room(points.count().saturating_mul(d + 1))?;
        let mut lengths = room(points.count())?;
        let rows = units.chunks_exact_mut(d + 1).zip(&mut lengths);
        for (x, (unit, norm)) in points.values().chunks_exact(d).zip(rows) {
            let length = (inner_product(x, x) / d as f64 + bias.variance()).sqrt();
            let inverse = if length > 0.0 { 1.0 / length } else { 0.0 };
            for (unit, x) in unit.iter_mut().zip(x) {
                *unit = x * scale * inverse;
            }
            if let Some(last) = unit.last_mut() {
                *last = bias.variance().sqrt() * inverse;
            }
            *norm = length;
        }
        Ok(Self {
            points: points.values(),
            d,
            units,
            lengths,
        })
    }

    fn unit(&self, i: usize) -> &[f64] {
        row(&self.units, self.d + 1, i)
    }

    fn point(&self, i: usize) -> &[f64] {
        row(self.points, self.d, i)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;

    fn diagonal(x: &[f64], bias: Bias) -> f64 {
        let square = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        2.0 * square + bias.variance() + bias.trained()
    }

    #[test]
    fn a_zero_input_without_bias_has_no_kernel() {
        let x = array![[0.0, 0.0], [1.0, 2.0]];
        let kernel = ntk(x.view(), None, Bias::None, &Cancel::new()).unwrap();
        assert_eq!(kernel.row(0), array![0.0, 0.0]);
        assert_eq!(kernel[[1, 0]], 0.0);
        assert!((kernel[[1, 1]] - 5.0).abs() < 1e-14);
    }

    #[test]
    fn opposite_points_without_bias_share_nothing() {
        let x = array![[0.3, -1.1], [-0.3, 1.1]];
        let kernel = ntk(x.view(), None, Bias::None, &Cancel::new()).unwrap();
        assert!(kernel[[0, 1]].abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn diagonal_is_exact_and_the_matrix_symmetric(
            x in proptest::collection::vec(-30.0_f64..30.0, 12),
        ) {
            for bias in [Bias::Normal, Bias::Zero, Bias::None] {
                let points = ArrayView2::from_shape((4, 3), &x).unwrap();
                let kernel = ntk(points, None, bias, &Cancel::new()).unwrap();
                let both = ntk(points, Some(points), bias, &Cancel::new()).unwrap();
                for i in 0..4 {
                    let exact = diagonal(&x[3 * i..3 * i + 3], bias);
                    prop_assert!((kernel[[i, i]] - exact).abs() <= 1e-14 * exact.max(1.0));
                    for j in 0..4 {
                        prop_assert_eq!(kernel[[i, j]], kernel[[j, i]]);
                        prop_assert!((kernel[[i, j]] - both[[i, j]]).abs() <= 1e-12);
                    }
                }
            }
        }
    }
}
