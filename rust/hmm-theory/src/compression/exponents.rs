//! Learning-curve exponents `test error ~ p^-beta` of a frozen isotropic kernel and of the network in
//! the feature regime.

use hmm_core::{Error, Result};

/// Exponents of the learning curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exponents {
    /// Frozen kernel: `(d - 1 + xi)/(3d - 3 + xi)`.
    pub lazy: f64,
    /// Network in the feature regime, compression `Lambda ~ sqrt p`.
    pub feature: f64,
}

/// Exponents in `d` dimensions, `d_par` of them informative, for a kernel with cusp exponent `xi`
/// (`K = const - c |x - x'|^xi` at short distance; 1 for the neural tangent kernel of ReLU and for
/// the Laplace kernel).
///
/// `feature` is `(2d - 2 + xi)/(3d - 3 + xi)` for `d_par = 1` and
/// `(d - 1 + xi + xi d_perp/2)/(3d - 3 + xi)` for `d_par > 1`; at `xi = 1` these are the published
/// `(2d - 1)/(3d - 2)` and `(d + d_perp/2)/(3d - 2)`.
///
/// # Errors
/// Unless `1 <= d_par <= d` and `0 < xi < 2`.
pub fn learning_curve_exponents(d: usize, d_par: usize, xi: f64) -> Result<Exponents> {
    if d == 0 {
        return Err(Error::invalid("d", d, "must be >= 1", "pass a dimension"));
    }
    if d_par == 0 || d_par > d {
        return Err(Error::invalid(
            "d_par",
            d_par,
            format!("must be between 1 and d = {d}"),
            "pass the number of informative directions",
        ));
    }
    if !(xi > 0.0 && xi < 2.0) {
        return Err(Error::invalid(
            "xi",
            xi,
            "must lie between 0 and 2 (a cusp)",
            "pass xi=1 for ReLU and Laplace kernels",
        ));
    }
    let (d, d_perp) = (d as f64, (d - d_par) as f64);
    let denominator = 3.0 * d - 3.0 + xi;
    let feature = if d_par == 1 {
        2.0 * d - 2.0 + xi
    } else {
        d - 1.0 + xi + 0.5 * xi * d_perp
    };
    Ok(Exponents {
        lazy: (d - 1.0 + xi) / denominator,
        feature: feature / denominator,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_table() {
        for (d, lazy, feature) in [
            (2, 0.5, 0.75),
            (3, 3.0 / 7.0, 5.0 / 7.0),
            (10, 10.0 / 28.0, 19.0 / 28.0),
        ] {
            let exponents = learning_curve_exponents(d, 1, 1.0).unwrap();
            assert!((exponents.lazy - lazy).abs() < 1e-15);
            assert!((exponents.feature - feature).abs() < 1e-15);
        }
    }

    #[test]
    fn two_informative_directions_give_one_half_in_any_dimension() {
        for d in 3..40 {
            let feature = learning_curve_exponents(d, 2, 1.0).unwrap().feature;
            assert!((feature - 0.5).abs() < 1e-15);
        }
    }

    #[test]
    fn bad_dimensions_are_refused() {
        assert!(learning_curve_exponents(0, 1, 1.0).is_err());
        assert!(learning_curve_exponents(3, 4, 1.0).is_err());
        assert!(learning_curve_exponents(3, 0, 1.0).is_err());
        assert!(learning_curve_exponents(3, 1, f64::NAN).is_err());
    }
}
