//! Decompositions of symmetric matrices and solutions of linear systems, serial: their bits depend on the matrix alone.
//!
//! A decomposition is one call of the linear algebra library. From [`LARGE`] rows on it runs on a thread of its own,
//! so that an interruption ends the wait for it at once.

use crate::cancel::apart_if;
use crate::memory::require;
use crate::{Cancel, Error, Result};
use faer::linalg::solvers::{Solve, SolveLstsq};
use faer::{Mat, Side};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

/// Rows from which a decomposition runs on a thread of its own: eigenvectors take some ten milliseconds there, the thread
/// less than one.
pub const LARGE: usize = 256;

/// Eigenvalues, ascending, and eigenvectors, columns in that order, of a symmetric matrix whose lower half is read.
///
/// # Errors
/// [`Error::Shape`] where the matrix is not square, [`Error::InvalidParameter`] where it is not finite,
/// [`Error::Resource`], [`Error::Convergence`], [`Error::Interrupted`].
///
/// ```
/// use hmm_core::{Cancel, decompositions::symmetric_eigen};
/// let (values, _) = symmetric_eigen(ndarray::array![[2.0, 1.0], [1.0, 2.0]].view(), &Cancel::new())?;
/// assert!((values[0] - 1.0).abs() < 1e-15 && (values[1] - 3.0).abs() < 1e-15);
/// # Ok::<(), hmm_core::Error>(())
/// ```
pub fn symmetric_eigen(
    a: ArrayView2<'_, f64>,
    cancel: &Cancel,
) -> Result<(Array1<f64>, Array2<f64>)> {
    let n = square("a", a)?;
    let unit = unit(a);
    let a = matrix(a, n, unit)?;
    let eigen = apart_if(n >= LARGE, cancel, move || {
        a.self_adjoint_eigen(Side::Lower)
    })?
    .map_err(|_| not_found())?;
    let (values, vectors) = (eigen.S().column_vector(), eigen.U());
    Ok((
        in_range((0..n).map(|i| unit * values[i]).collect())?,
        Array2::from_shape_fn((n, n), |(i, j)| vectors[(i, j)]),
    ))
}

/// The eigenvalues alone, ascending, in a fraction of the time.
///
/// # Errors
/// As [`symmetric_eigen`].
///
/// ```
/// use hmm_core::{Cancel, decompositions::symmetric_eigenvalues};
/// // A ring of n sites: 2 cos(2 pi k/n).
/// let n = 6;
/// let ring = ndarray::Array2::from_shape_fn((n, n), |(i, j)| {
///     if (i + 1) % n == j || (j + 1) % n == i { 1.0 } else { 0.0 }
/// });
/// let found = symmetric_eigenvalues(ring.view(), &Cancel::new())?;
/// for (value, known) in found.iter().zip([-2.0, -1.0, -1.0, 1.0, 1.0, 2.0]) {
///     assert!((value - known).abs() < 1e-14);
/// }
/// # Ok::<(), hmm_core::Error>(())
/// ```
pub fn symmetric_eigenvalues(a: ArrayView2<'_, f64>, cancel: &Cancel) -> Result<Array1<f64>> {
    let n = square("a", a)?;
    let unit = unit(a);
    let a = matrix(a, n, unit)?;
    let values = apart_if(n >= LARGE, cancel, move || {
        a.self_adjoint_eigenvalues(Side::Lower)
    })?
    .map_err(|_| not_found())?;
    in_range(values.into_iter().map(|value| unit * value).collect())
}

/// Whether a symmetric matrix, whose lower half is read, is positive definite.
///
/// # Errors
/// [`Error::Shape`] where it is not square, [`Error::InvalidParameter`] where it is not finite, [`Error::Resource`],
/// [`Error::Interrupted`].
///
/// ```
/// use hmm_core::{Cancel, decompositions::is_positive_definite};
/// // Two variables of variance one cannot be correlated by more than one.
/// for (correlation, possible) in [(0.9, true), (1.1, false)] {
///     let covariance = ndarray::array![[1.0, correlation], [correlation, 1.0]];
///     assert_eq!(is_positive_definite(covariance.view(), &Cancel::new())?, possible);
/// }
/// # Ok::<(), hmm_core::Error>(())
/// ```
pub fn is_positive_definite(a: ArrayView2<'_, f64>, cancel: &Cancel) -> Result<bool> {
    let n = square("a", a)?;
    let a = matrix(a, n, unit(a))?;
    apart_if(n >= LARGE, cancel, move || a.llt(Side::Lower).is_ok())
}

/// The solution x of a x = b by elimination with row exchanges; where that meets an exact zero, the least squares
/// solution.
///
/// # Errors
/// [`Error::Shape`], [`Error::InvalidParameter`] where a number is not finite, [`Error::Resource`],
/// [`Error::Interrupted`].
///
/// ```
/// use hmm_core::{Cancel, decompositions::solve};
/// use ndarray::array;
/// let (a, b) = (array![[0.0, 2.0], [1.0, 1.0]], array![4.0, 3.0]);
/// let x = solve(a.view(), b.view(), &Cancel::new())?;
/// assert!((x[0] - 1.0).abs() < 1e-15 && (x[1] - 2.0).abs() < 1e-15);
/// # Ok::<(), hmm_core::Error>(())
/// ```
pub fn solve(
    a: ArrayView2<'_, f64>,
    b: ArrayView1<'_, f64>,
    cancel: &Cancel,
) -> Result<Array1<f64>> {
    let n = square("a", a)?;
    if b.len() != n {
        return Err(Error::shape(
            "b",
            b.shape(),
            format!("must have the length {n} of a's rows"),
            "pass a matching right-hand side",
        ));
    }
    let a = matrix(a, n, 1.0)?;
    #[expect(clippy::indexing_slicing, reason = "b was found to have n entries")]
    let right = Mat::from_fn(n, 1, |i, _| b[i]);
    let solution = apart_if(n >= LARGE, cancel, move || {
        let direct = a.partial_piv_lu().solve(&right);
        if (0..n).all(|i| direct[(i, 0)].is_finite()) {
            direct
        } else {
            a.col_piv_qr().solve_lstsq(&right)
        }
    })?;
    Ok(Array1::from_shape_fn(n, |i| solution[(i, 0)]))
}

fn square(argument: &'static str, a: ArrayView2<'_, f64>) -> Result<usize> {
    let (rows, columns) = a.dim();
    if rows != columns {
        return Err(Error::shape(
            argument,
            a.shape(),
            "must be square",
            "pass a square matrix",
        ));
    }
    if let Some(bad) = a.iter().find(|x| !x.is_finite()) {
        return Err(Error::invalid(
            argument,
            bad,
            "all entries must be finite",
            "remove NaN and infinity",
        ));
    }
    Ok(rows)
}

/// A copy in faer's layout and in a unit; the decomposition takes some more of its size.
#[expect(
    clippy::indexing_slicing,
    reason = "n is what `square` found for both sides of the matrix"
)]
fn matrix(a: ArrayView2<'_, f64>, n: usize, unit: f64) -> Result<Mat<f64>> {
    let bytes = (n as u64).saturating_mul(n as u64).saturating_mul(5 * 8);
    require(bytes, "a decomposition", "pass a smaller matrix")?;
    Ok(Mat::from_fn(n, n, |i, j| a[[i, j]] / unit))
}

/// Binary orders of magnitude around 1 in which a decomposition needs no unit: squares of such numbers are finite.
const SAFE: f64 = 300.0;

/// The unit of a matrix: 1 where its entries are of ordinary size, else the power of two near the largest.
fn unit(a: ArrayView2<'_, f64>) -> f64 {
    let largest = a.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    let exponent = largest.log2();
    if largest == 0.0 || !exponent.is_finite() || exponent.abs() <= SAFE {
        1.0
    } else {
        // The inverse of the smallest number is none.
        2.0_f64.powi(exponent.clamp(-1000.0, 1000.0) as i32)
    }
}

fn not_found() -> Error {
    Error::Convergence(
        "the eigenvalues of a matrix were not found; check that its entries are finite, or rescale them"
            .to_owned(),
    )
}

/// Eigenvalues back in the unit of the matrix.
fn in_range(values: Array1<f64>) -> Result<Array1<f64>> {
    if values.iter().all(|value| value.is_finite()) {
        return Ok(values);
    }
    Err(Error::Convergence(
        "the eigenvalues of a matrix leave the range of floating-point numbers; rescale its entries"
            .to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, array};

    fn symmetric(n: usize) -> Array2<f64> {
        let a = Array::from_shape_fn((n, n), |(i, j)| (1.3 * (i * n + j) as f64).sin());
        &a + &a.t()
    }

    #[test]
    fn eigenvectors_rebuild_the_matrix() {
        for n in [1, 2, 7, 60] {
            let a = symmetric(n);
            let (values, vectors) = symmetric_eigen(a.view(), &Cancel::new()).unwrap();
            assert!(
                values
                    .iter()
                    .zip(values.iter().skip(1))
                    .all(|(a, b)| a <= b)
            );
            let rebuilt = vectors.dot(&Array2::from_diag(&values)).dot(&vectors.t());
            assert!((rebuilt - &a).iter().all(|gap| gap.abs() < 1e-12));
        }
    }

    #[test]
    fn the_size_of_the_entries_changes_nothing() {
        let a = symmetric(20);
        let (values, vectors) = symmetric_eigen(a.view(), &Cancel::new()).unwrap();
        for exponent in [-900, -400, -200, 200, 400, 900] {
            let unit = 2.0_f64.powi(exponent);
            let (scaled, same) = symmetric_eigen((&a * unit).view(), &Cancel::new()).unwrap();
            let alone = symmetric_eigenvalues((&a * unit).view(), &Cancel::new()).unwrap();
            let close = |found: &f64, value: &f64| (found / unit - value).abs() < 1e-13;
            assert!(
                scaled
                    .iter()
                    .zip(&values)
                    .all(|(found, value)| close(found, value))
            );
            assert!(
                alone
                    .iter()
                    .zip(&values)
                    .all(|(found, value)| close(found, value))
            );
            assert!((same - &vectors).iter().all(|gap| gap.abs() < 1e-12));
        }
        let huge = Array2::from_elem((40, 40), 1e308);
        let refused = symmetric_eigen(huge.view(), &Cancel::new());
        assert!(matches!(refused, Err(Error::Convergence(_))));
    }

    #[test]
    fn definiteness_is_that_of_the_eigenvalues() {
        let definite = |a: Array2<f64>| is_positive_definite(a.view(), &Cancel::new()).unwrap();
        assert!(definite(array![[2.0, 1.0], [1.0, 2.0]]));
        assert!(!definite(array![[1.0, 2.0], [2.0, 1.0]]));
    }

    #[test]
    fn systems_are_solved_and_singular_ones_in_least_squares() {
        let cancel = Cancel::new();
        for n in [30, LARGE] {
            let a = symmetric(n) + Array2::<f64>::eye(n) * (3.0 * n as f64);
            let x = Array1::from_shape_fn(n, |i| (0.4 * i as f64).cos());
            let found = solve(a.view(), a.dot(&x).view(), &cancel).unwrap();
            assert!((found - &x).iter().all(|gap| gap.abs() < 1e-11));
        }
        let singular = array![[1.0, 1.0], [1.0, 1.0]];
        let found = solve(singular.view(), array![2.0, 2.0].view(), &cancel).unwrap();
        assert!((found.sum() - 2.0).abs() < 1e-12);
    }

    /// Rounding of the two algorithms: n times that of the norm, some 4 root n.
    #[test]
    fn eigenvalues_alone_are_those_of_the_decomposition() {
        for n in [1, 40, LARGE + 3] {
            let a = symmetric(n);
            let (values, _) = symmetric_eigen(a.view(), &Cancel::new()).unwrap();
            let alone = symmetric_eigenvalues(a.view(), &Cancel::new()).unwrap();
            let tolerance = 1e-15 * n as f64 * 4.0 * (n as f64).sqrt();
            assert!((values - alone).iter().all(|gap| gap.abs() < tolerance));
        }
    }

    #[test]
    fn a_thread_of_its_own_gives_the_same_bits() {
        let a = symmetric(LARGE);
        let (values, vectors) = symmetric_eigen(a.view(), &Cancel::new()).unwrap();
        let here = matrix(a.view(), LARGE, 1.0).unwrap();
        let here = here.self_adjoint_eigen(Side::Lower).unwrap();
        for i in 0..LARGE {
            assert_eq!(values[i].to_bits(), here.S()[i].to_bits());
            assert_eq!(vectors[[i, 7]].to_bits(), here.U()[(i, 7)].to_bits());
        }
    }

    #[test]
    fn the_wait_for_a_large_matrix_ends_with_the_flag() {
        // Many seconds to the end.
        let a = symmetric(3000);
        let cancel = Cancel::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_millis(50));
                cancel.raise();
            });
            let stopped = symmetric_eigen(a.view(), &cancel);
            assert!(matches!(stopped, Err(Error::Interrupted)));
        });
        let raised = [
            symmetric_eigenvalues(a.view(), &cancel).err(),
            is_positive_definite(a.view(), &cancel).err(),
            solve(a.view(), a.row(0), &cancel).err(),
        ];
        assert!(raised.iter().all(|e| matches!(e, Some(Error::Interrupted))));
    }

    #[test]
    fn what_cannot_be_decomposed_is_refused() {
        let cancel = Cancel::new();
        assert!(symmetric_eigen(Array2::zeros((2, 3)).view(), &cancel).is_err());
        assert!(symmetric_eigen(array![[f64::NAN]].view(), &cancel).is_err());
        assert!(symmetric_eigenvalues(array![[1.0, 2.0]].view(), &cancel).is_err());
        assert!(symmetric_eigenvalues(array![[f64::NAN]].view(), &cancel).is_err());
        assert!(solve(array![[1.0]].view(), array![1.0, 2.0].view(), &cancel).is_err());
    }
}
