//! Checks of what a user gives: shapes, finite numbers, covariances.

use hmm_core::{Error, Result};

/// Asymmetry and negative eigenvalues up to this fraction of the largest entry are round-off.
pub(crate) const COVARIANCE_TOLERANCE: f64 = 1e-8;

/// An error unless `found` is the `expected` shape.
pub(crate) fn shape(argument: &'static str, found: &[usize], expected: &[usize]) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::shape(
        argument,
        found,
        format!("must be {expected:?}"),
        "pass arrays that agree in S, K and M",
    ))
}

/// An error if a side of the shape `found` has length 0.
pub(crate) fn not_empty(argument: &'static str, found: &[usize]) -> Result<()> {
    if !found.contains(&0) {
        return Ok(());
    }
    Err(Error::shape(
        argument,
        found,
        "no side may have length 0",
        "pass at least one entry along every side",
    ))
}

/// An error if any of `values` is not finite.
pub(crate) fn finite(argument: &'static str, values: &[f64]) -> Result<()> {
    match values.iter().find(|x| !x.is_finite()) {
        None => Ok(()),
        Some(bad) => Err(Error::invalid(
            argument,
            bad,
            "all entries must be finite",
            format!("remove NaN and infinity before you pass {argument}"),
        )),
    }
}

/// An error unless `values` has `expected` entries.
pub(crate) fn length(argument: &'static str, values: &[f64], expected: &[usize]) -> Result<()> {
    if values.len() == expected.iter().product() {
        return finite(argument, values);
    }
    Err(Error::shape(
        argument,
        &[values.len()],
        format!("must hold {expected:?} numbers"),
        "pass arrays that agree in S, K and M",
    ))
}

/// An error unless the row-major n x n `matrix` is a covariance: symmetric and positive
/// semi-definite within 1e-8 of its largest entry.
#[expect(
    clippy::indexing_slicing,
    reason = "`length` has refused anything but n x n numbers, and the copy has as many"
)]
pub(crate) fn check_covariance(argument: &'static str, matrix: &[f64], n: usize) -> Result<()> {
    length(argument, matrix, &[n, n])?;
    let scale = matrix.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    let slack = COVARIANCE_TOLERANCE * scale;
    for i in 0..n {
        for j in 0..i {
            if (matrix[i * n + j] - matrix[j * n + i]).abs() > slack {
                return Err(Error::invalid(
                    argument,
                    format!("[{i}, {j}] != [{j}, {i}]"),
                    "a covariance is symmetric",
                    "symmetrise it",
                ));
            }
        }
    }
    // Cholesky of the matrix lifted by the slack (twice for its own round-off) fails exactly
    // where an eigenvalue lies below -slack.
    let mut factor = matrix.to_vec();
    for i in 0..n {
        factor[i * n + i] += 2.0 * slack;
    }
    for j in 0..n {
        let mut pivot = factor[j * n + j];
        for l in 0..j {
            pivot -= factor[j * n + l] * factor[j * n + l];
        }
        if pivot < 0.0 {
            return Err(Error::invalid(
                argument,
                format!("pivot {pivot:e} in row {j}"),
                "a covariance has no negative eigenvalue (tolerance 1e-8)",
                "check that the overlaps belong to one set of weights",
            ));
        }
        let root = pivot.sqrt();
        for i in j + 1..n {
            let mut entry = factor[i * n + j];
            for l in 0..j {
                entry -= factor[i * n + l] * factor[j * n + l];
            }
            factor[i * n + j] = if root > 0.0 { entry / root } else { 0.0 };
        }
    }
    Ok(())
}
