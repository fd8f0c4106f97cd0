//! Decompositions of symmetric matrices and solutions of linear systems, on the calling thread: their bits depend on
//! the matrix alone.
//!
//! A decomposition is one call of the linear algebra library and is not interrupted; at 2,000 rows it takes some
//! seconds.

use crate::memory::require;
use crate::{Error, Result};
use faer::linalg::solvers::{Solve, SolveLstsq};
use faer::{Mat, MatRef, Side};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

/// Eigenvalues, ascending, and eigenvectors, columns in that order, of a symmetric matrix whose lower half is read.
///
/// # Errors
/// [`Error::Shape`] where the matrix is not square, [`Error::InvalidParameter`] where it is not finite,
/// [`Error::Resource`], [`Error::Convergence`].
///
/// ```
/// use hmm_core::decompositions::symmetric_eigen;
/// let (values, _) = symmetric_eigen(ndarray::array![[2.0, 1.0], [1.0, 2.0]].view())?;
/// assert!((values[0] - 1.0).abs() < 1e-15 && (values[1] - 3.0).abs() < 1e-15);
/// # Ok::<(), hmm_core::Error>(())
/// ```
pub fn symmetric_eigen(a: ArrayView2<'_, f64>) -> Result<(Array1<f64>, Array2<f64>)> {
    let n = square("a", a)?;
    let eigen = matrix(a, n)?
        .self_adjoint_eigen(Side::Lower)
        .map_err(|error| Error::Convergence(format!("the eigendecomposition failed: {error:?}")))?;
    let (values, vectors) = (eigen.S().column_vector(), eigen.U());
    Ok((
        Array1::from_shape_fn(n, |i| values[i]),
        Array2::from_shape_fn((n, n), |(i, j)| vectors[(i, j)]),
    ))
}

/// Whether a symmetric matrix, whose lower half is read, is positive definite.
///
/// # Errors
/// [`Error::Shape`] where it is not square, [`Error::InvalidParameter`] where it is not finite, [`Error::Resource`].
pub fn is_positive_definite(a: ArrayView2<'_, f64>) -> Result<bool> {
    let n = square("a", a)?;
    Ok(matrix(a, n)?.llt(Side::Lower).is_ok())
}

/// The solution x of a x = b by elimination with row exchanges; where that meets an exact zero, the least squares
/// solution.
///
/// # Errors
/// [`Error::Shape`], [`Error::InvalidParameter`] where a number is not finite, [`Error::Resource`].
///
/// ```
/// use hmm_core::decompositions::solve;
/// let x = solve(ndarray::array![[0.0, 2.0], [1.0, 1.0]].view(), ndarray::array![4.0, 3.0].view())?;
/// assert!((x[0] - 1.0).abs() < 1e-15 && (x[1] - 2.0).abs() < 1e-15);
/// # Ok::<(), hmm_core::Error>(())
/// ```
pub fn solve(a: ArrayView2<'_, f64>, b: ArrayView1<'_, f64>) -> Result<Array1<f64>> {
    let n = square("a", a)?;
    if b.len() != n {
        return Err(Error::shape(
            "b",
            b.shape(),
            format!("must have the length {n} of a's rows"),
            "pass a matching right-hand side",
        ));
    }
    let a = matrix(a, n)?;
    let right = Mat::from_fn(n, 1, |i, _| b[i]);
    let column = |x: MatRef<'_, f64>| Array1::from_shape_fn(n, |i| x[(i, 0)]);
    let direct = column(a.partial_piv_lu().solve(&right).as_ref());
    if direct.iter().all(|x| x.is_finite()) {
        return Ok(direct);
    }
    Ok(column(a.col_piv_qr().solve_lstsq(&right).as_ref()))
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

/// A copy in faer's layout; the decomposition takes some more of its size.
fn matrix(a: ArrayView2<'_, f64>, n: usize) -> Result<Mat<f64>> {
    let bytes = (n as u64).saturating_mul(n as u64).saturating_mul(5 * 8);
    require(bytes, "a decomposition", "pass a smaller matrix")?;
    Ok(Mat::from_fn(n, n, |i, j| a[[i, j]]))
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
            let (values, vectors) = symmetric_eigen(a.view()).unwrap();
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
    fn definiteness_is_that_of_the_eigenvalues() {
        assert!(is_positive_definite(array![[2.0, 1.0], [1.0, 2.0]].view()).unwrap());
        assert!(!is_positive_definite(array![[1.0, 2.0], [2.0, 1.0]].view()).unwrap());
    }

    #[test]
    fn systems_are_solved_and_singular_ones_in_least_squares() {
        let a = symmetric(30) + Array2::<f64>::eye(30) * 7.0;
        let x = Array1::from_shape_fn(30, |i| (0.4 * i as f64).cos());
        let found = solve(a.view(), a.dot(&x).view()).unwrap();
        assert!((found - &x).iter().all(|gap| gap.abs() < 1e-11));
        let singular = array![[1.0, 1.0], [1.0, 1.0]];
        let found = solve(singular.view(), array![2.0, 2.0].view()).unwrap();
        assert!((found.sum() - 2.0).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_decomposed_is_refused() {
        assert!(symmetric_eigen(Array2::zeros((2, 3)).view()).is_err());
        assert!(symmetric_eigen(array![[f64::NAN]].view()).is_err());
        assert!(solve(array![[1.0]].view(), array![1.0, 2.0].view()).is_err());
    }
}
