//! The isotropic Laplace kernel.

use super::distance::squared_distance;
use super::pairs::{Points, fill, same_dimension};
use hmm_core::{Cancel, Error, Result};

/// `K(x, y) = exp(-|x - y|/scale)`; row-major (X.count, Y.count), `y = None` stands for `y = x`.
///
/// # Errors
/// If dimensions differ or `scale` is not positive and finite; [`Error::Interrupted`].
pub fn laplace(
    x: Points<'_>,
    y: Option<Points<'_>>,
    scale: f64,
    cancel: &Cancel,
) -> Result<Vec<f64>> {
    if !(scale > 0.0 && scale.is_finite()) {
        return Err(Error::invalid(
            "scale",
            scale,
            "must be positive and finite",
            "pass a length, for example scale=100",
        ));
    }
    let other = y.unwrap_or(x);
    same_dimension(x, other)?;
    let d = x.dimension();
    let (xs, ys) = (x.values(), other.values());
    let mut kernel = vec![0.0; x.count() * other.count()];
    fill(&mut kernel, other.count(), y.is_none(), cancel, |i, j| {
        let distance = squared_distance(&xs[i * d..(i + 1) * d], &ys[j * d..(j + 1) * d]).sqrt();
        libm::exp(-distance / scale)
    })?;
    Ok(kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_decays_and_the_diagonal_is_one() {
        let x = [0.0, 0.0, 3.0, 4.0];
        let points = Points::new("X", &x, 2).unwrap();
        let kernel = laplace(points, None, 5.0, &Cancel::new()).unwrap();
        assert_eq!(kernel[0], 1.0);
        assert!((kernel[1] - (-1.0_f64).exp()).abs() < 1e-15);
        assert_eq!(kernel[1], kernel[2]);
        assert!(laplace(points, None, 0.0, &Cancel::new()).is_err());
        assert!(laplace(points, None, f64::NAN, &Cancel::new()).is_err());
    }
}
