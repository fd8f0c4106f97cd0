//! The isotropic Laplace kernel.

use super::distance::squared_distance;
use super::pairs::{Pair, row};
use hmm_core::{Cancel, Error, Result};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};

/// `K(x, y) = exp(-|x - y|/scale)` of points `x` (P, d) against `y` (Q, d), shape (P, Q); `y = None` stands for
/// `y = x`.
///
/// # Errors
/// As [`laplace_into`]; [`Error::Resource`].
///
/// ```
/// use hmm_core::Cancel;
/// use hmm_theory::kernels::laplace;
/// let kernel = laplace(ndarray::array![[0.0], [2.0]].view(), None, 2.0, &Cancel::new())?;
/// assert_eq!(kernel[[0, 1]], (-1.0_f64).exp());
/// # Ok::<(), hmm_core::Error>(())
/// ```
pub fn laplace(
    x: ArrayView2<'_, f64>,
    y: Option<ArrayView2<'_, f64>>,
    scale: f64,
    cancel: &Cancel,
) -> Result<Array2<f64>> {
    let mut out = Pair::new(x, y)?.zeros()?;
    laplace_into(x, y, scale, out.view_mut(), cancel)?;
    Ok(out)
}

/// [`laplace`] into an array of the caller's, shape (P, Q), contiguous row by row.
///
/// # Errors
/// If shapes do not fit or `scale` is not positive and finite; [`Error::Interrupted`].
pub fn laplace_into(
    x: ArrayView2<'_, f64>,
    y: Option<ArrayView2<'_, f64>>,
    scale: f64,
    out: ArrayViewMut2<'_, f64>,
    cancel: &Cancel,
) -> Result<()> {
    if !(scale > 0.0 && scale.is_finite()) {
        return Err(Error::invalid(
            "scale",
            scale,
            "must be positive and finite",
            "pass a length, for example scale=100",
        ));
    }
    let pair = Pair::new(x, y)?;
    let d = pair.x.dimension();
    let (xs, ys) = (pair.x.values(), pair.y().values());
    pair.fill(out, cancel, |i, j| {
        let distance = squared_distance(row(xs, d, i), row(ys, d, j)).sqrt();
        libm::exp(-distance / scale)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{ShapeBuilder, array};

    #[test]
    fn distance_decays_and_the_diagonal_is_one() {
        let x = array![[0.0, 0.0], [3.0, 4.0]];
        let kernel = laplace(x.view(), None, 5.0, &Cancel::new()).unwrap();
        assert_eq!(kernel[[0, 0]], 1.0);
        assert!((kernel[[0, 1]] - (-1.0_f64).exp()).abs() < 1e-15);
        assert_eq!(kernel[[0, 1]], kernel[[1, 0]]);
        assert!(laplace(x.view(), None, 0.0, &Cancel::new()).is_err());
        assert!(laplace(x.view(), None, f64::NAN, &Cancel::new()).is_err());
        assert!(laplace(x.view(), Some(array![[1.0]].view()), 1.0, &Cancel::new()).is_err());
        let columns = Array2::from_shape_fn((2, 2).f(), |place| x[place]);
        assert_eq!(
            laplace(columns.view(), None, 5.0, &Cancel::new()).unwrap(),
            kernel
        );
    }
}
