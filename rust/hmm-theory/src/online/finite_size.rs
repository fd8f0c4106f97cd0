//! Modes of given weights: projections on eigenvectors, the same on any number of threads and with any BLAS.
//!
//! ```
//! use hmm_core::Cancel;
//! use hmm_theory::online::finite_size::manifold_modes;
//! use ndarray::{Ix1, Ix2, Ix3, array};
//! // Orthogonal columns of squared norm N = 4: all D = 2 modes have the eigenvalue 1 and are one.
//! let features = array![[2.0, 0.0], [0.0, 2.0], [0.0, 0.0], [0.0, 0.0]];
//! let (w, teacher) = (array![[3.0, 1.0, 1.0, 1.0]], array![[1.0, 2.0]]);
//! let modes = manifold_modes(features.view(), w.view(), teacher.view(), &Cancel::new())?;
//! assert_eq!(modes.array::<f64, Ix1>("rho")?, array![1.0]);
//! assert_eq!(modes.array::<f64, Ix2>("W0")?, array![[3.0]]); // |w|^2/N
//! // S = w F/sqrt N = (3, 1): Sigma = S.S/D, r = S.w~/D.
//! assert_eq!(modes.array::<f64, Ix3>("sigma0")?, array![[[5.0]]]);
//! assert_eq!(modes.array::<f64, Ix3>("r0")?, array![[[2.5]]]);
//! # Ok::<(), hmm_core::Error>(())
//! ```

use crate::checks::{finite, not_empty, shape};
use hmm_core::decompositions::symmetric_eigen;
use hmm_core::linalg::{matmul, rows, rows_mut};
use hmm_core::memory::{bytes_of, filled, require};
use hmm_core::{Cancel, Error, Result, Table};
use ndarray::{Array1, Array2, Array3, ArrayView2};
use rayon::prelude::*;

/// Columns of F this close to orthogonal, of squared norm N, have one eigenvalue.
const ORTHOGONAL: f64 = 1e-10;

/// Rows of a product made between two looks at the cancel flag; its bits do not depend on threads.
const PRODUCT_ROWS: usize = 64;

/// An array as row-major numbers, at least one row and one column.
struct Rows {
    values: Vec<f64>,
    columns: usize,
}

impl Rows {
    fn of(argument: &'static str, view: ArrayView2<'_, f64>) -> Result<Self> {
        not_empty(argument, view.shape())?;
        Ok(Self {
            values: view.iter().copied().collect(),
            columns: view.ncols(),
        })
    }

    fn count(&self) -> usize {
        self.values.len() / self.columns
    }

    /// `scale` self otherᵀ.
    fn times_transposed(&self, other: &Self, scale: f64, cancel: &Cancel) -> Result<Self> {
        let (n, q) = (self.columns, other.count());
        let size = self.count().saturating_mul(q);
        let mut values = filled(0.0, size, "a product of matrices", "lower N or D")?;
        values
            .par_chunks_mut(PRODUCT_ROWS * q)
            .zip(self.values.par_chunks(PRODUCT_ROWS * n))
            .try_for_each(|(out, left)| {
                cancel.check()?;
                let p = left.len() / n;
                matmul(
                    rows_mut(out, p, q),
                    rows(left, p, n),
                    rows(&other.values, q, n).transpose(),
                    scale,
                );
                Ok::<(), Error>(())
            })?;
        Ok(Self { values, columns: q })
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "asked for rows below `count` and columns below `columns`, of which `values` is made"
    )]
    fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.columns + column]
    }

    fn array(&self) -> Array2<f64> {
        Array2::from_shape_fn((self.count(), self.columns), |(i, j)| self.at(i, j))
    }
}

/// Eigenvalues, ascending, and eigenvectors in rows of a symmetric matrix.
///
/// On one thread: beyond a size of some 700 it takes longer than half a second.
fn eigenvectors(name: &'static str, matrix: &Rows, cancel: &Cancel) -> Result<(Vec<f64>, Rows)> {
    let n = matrix.columns;
    // The entries of a product of finite numbers can be too large.
    finite(name, &matrix.values)?;
    require(
        bytes_of::<f64>(n.saturating_mul(n).saturating_mul(4)),
        "the eigenvectors of a matrix this large",
        "lower N or D",
    )?;
    let given = ArrayView2::from_shape((n, n), &matrix.values)
        .map_err(|error| Error::shape(name, &[n], error.to_string(), "pass a square matrix"))?;
    let (eigenvalues, vectors) = symmetric_eigen(given, cancel)?;
    let values = vectors.t().iter().copied().collect();
    Ok((eigenvalues.to_vec(), Rows { values, columns: n }))
}

/// x yᵀ of every mode: (S, K, M) from rows of S numbers of K and of M vectors.
fn products(x: &Rows, y: &Rows) -> Array3<f64> {
    Array3::from_shape_fn((x.columns, x.count(), y.count()), |(mode, i, j)| {
        x.at(i, mode) * y.at(j, mode)
    })
}

fn alone(matrix: &Rows) -> Array3<f64> {
    matrix.array().insert_axis(ndarray::Axis(0))
}

/// What makes a hidden-manifold system of given features F (N, D) and weights w (K, N), w~ (M, D): columns rho and
/// weights (S), sigma0 (S, K, K), r0 (S, K, M), t_modes (S, M, M), W0 (K, K).
///
/// One mode per eigenvector of FᵀF/N; where its columns are orthogonal with squared norm N (within 1e-10) all modes
/// obey one equation and are added up.
///
/// # Errors
/// Shapes that disagree or are empty, numbers that are not finite, too little memory, [`Error::Interrupted`] if cancelled.
pub fn manifold_modes(
    features: ArrayView2<'_, f64>,
    w: ArrayView2<'_, f64>,
    teacher: ArrayView2<'_, f64>,
    cancel: &Cancel,
) -> Result<Table> {
    let (n, d) = features.dim();
    not_empty("F", features.shape())?;
    shape("w", w.shape(), &[w.nrows(), n])?;
    shape("w_teacher", teacher.shape(), &[teacher.nrows(), d])?;
    require(
        bytes_of::<f64>(n.saturating_mul(d).saturating_mul(2)),
        "the spectrum of F",
        "lower N or D",
    )?;
    let transposed = Rows::of("F", features.t())?;
    let (w, teacher) = (Rows::of("w", w)?, Rows::of("w_teacher", teacher)?);
    finite("F", &transposed.values)?;
    let gram = transposed.times_transposed(&transposed, 1.0 / n as f64, cancel)?;
    // S = w F / sqrt N
    let seen = w.times_transposed(&transposed, 1.0 / (n as f64).sqrt(), cancel)?;
    let overlap = w.times_transposed(&w, 1.0 / n as f64, cancel)?;
    let off = gram
        .values
        .iter()
        .enumerate()
        .fold(0.0_f64, |most, (at, x)| {
            let unit = if at / d == at % d { 1.0 } else { 0.0 };
            most.max((x - unit).abs())
        });
    let table = Table::new().with("W0", overlap.array());
    if off < ORTHOGONAL {
        let scale = 1.0 / d as f64;
        return Ok(table
            .with("rho", vec![1.0])
            .with("weights", vec![1.0])
            .with(
                "sigma0",
                alone(&seen.times_transposed(&seen, scale, cancel)?),
            )
            .with(
                "r0",
                alone(&seen.times_transposed(&teacher, scale, cancel)?),
            )
            .with(
                "t_modes",
                alone(&teacher.times_transposed(&teacher, scale, cancel)?),
            ));
    }
    let (rho, vectors) = eigenvectors("F^T F/N", &gram, cancel)?;
    let seen = seen.times_transposed(&vectors, 1.0, cancel)?;
    let teacher = teacher.times_transposed(&vectors, 1.0, cancel)?;
    // Negative ones are round-off of zero.
    let rho: Array1<f64> = rho.into_iter().map(|x| x.max(0.0)).collect();
    Ok(table
        .with("rho", rho)
        .with("weights", Array1::from_elem(d, 1.0 / d as f64))
        .with("sigma0", products(&seen, &seen))
        .with("r0", products(&seen, &teacher))
        .with("t_modes", products(&teacher, &teacher)))
}

/// What makes a system of inputs of covariance Omega (N, N) and weights w (K, N): columns T (M, M), rho and weights (N),
/// q0 (N, K, K), r0 (N, K, M), t_modes (N, M, M).
///
/// The teacher w~ is (M, D) with Phi = E x cᵀ (N, D), labels on the latents, or (M, N) without Phi, labels on the inputs.
///
/// # Errors
/// Shapes that disagree or are empty, numbers that are not finite, an Omega that is not symmetric, too little memory,
/// [`Error::Interrupted`] if cancelled.
pub fn covariance_modes(
    omega: ArrayView2<'_, f64>,
    phi: Option<ArrayView2<'_, f64>>,
    w: ArrayView2<'_, f64>,
    teacher: ArrayView2<'_, f64>,
    cancel: &Cancel,
) -> Result<Table> {
    let n = omega.nrows();
    shape("Omega", omega.shape(), &[n, n])?;
    shape("w", w.shape(), &[w.nrows(), n])?;
    let (omega, w) = (Rows::of("Omega", omega)?, Rows::of("w", w)?);
    finite("Omega", &omega.values)?;
    let largest = omega
        .values
        .iter()
        .fold(0.0_f64, |most, x| most.max(x.abs()));
    for i in 0..n {
        for j in 0..i {
            if (omega.at(i, j) - omega.at(j, i)).abs() > 1e-8 * largest {
                return Err(Error::invalid(
                    "Omega",
                    format!("[{i}, {j}] != [{j}, {i}]"),
                    "Omega is not symmetric: a covariance is",
                    "pass E[x x^T]",
                ));
            }
        }
    }
    let (rho, vectors) = eigenvectors("Omega", &omega, cancel)?;
    // The teacher's drive b = sqrt N E[x nu] in the eigenbasis, and its overlaps.
    let (drive, t) = if let Some(phi) = phi {
        let d = phi.ncols();
        shape("Phi", phi.shape(), &[n, d])?;
        shape("w_teacher", teacher.shape(), &[teacher.nrows(), d])?;
        let (phi, teacher) = (Rows::of("Phi", phi)?, Rows::of("w_teacher", teacher)?);
        let seen = teacher.times_transposed(&phi, 1.0, cancel)?;
        let scale = (n as f64 / d as f64).sqrt();
        (
            seen.times_transposed(&vectors, scale, cancel)?,
            teacher.times_transposed(&teacher, 1.0 / d as f64, cancel)?,
        )
    } else {
        shape("w_teacher", teacher.shape(), &[teacher.nrows(), n])?;
        let teacher = Rows::of("w_teacher", teacher)?;
        let mut drive = teacher.times_transposed(&vectors, 1.0, cancel)?;
        let in_basis = Rows {
            values: drive.values.clone(),
            columns: n,
        };
        for row in drive.values.chunks_exact_mut(n) {
            for (x, rho) in row.iter_mut().zip(&rho) {
                *x *= rho;
            }
        }
        let t = drive.times_transposed(&in_basis, 1.0 / n as f64, cancel)?;
        (drive, t)
    };
    let student = w.times_transposed(&vectors, 1.0, cancel)?;
    Ok(Table::new()
        .with("T", t.array())
        .with("rho", rho)
        .with("weights", Array1::from_elem(n, 1.0 / n as f64))
        .with("q0", products(&student, &student))
        .with("r0", products(&student, &drive))
        .with("t_modes", products(&drive, &drive)))
}

/// Overlaps a bᵀ/n of weights a (K, n) and b (M, n).
///
/// # Errors
/// Rows of different lengths or none at all, [`Error::Interrupted`] if cancelled.
pub fn overlaps(
    a: ArrayView2<'_, f64>,
    b: ArrayView2<'_, f64>,
    cancel: &Cancel,
) -> Result<Array2<f64>> {
    let n = a.ncols();
    shape("w_teacher", b.shape(), &[b.nrows(), n])?;
    let (a, b) = (Rows::of("w", a)?, Rows::of("w_teacher", b)?);
    let product = a.times_transposed(&b, 1.0 / n as f64, cancel)?;
    Ok(product.array())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::ArrayView2;

    fn of(rows: usize, columns: usize) -> Array2<f64> {
        Array2::ones((rows, columns))
    }

    fn refused<T>(found: Result<T>) -> bool {
        matches!(found, Err(Error::Shape { .. }))
    }

    #[test]
    fn arrays_without_entries_are_refused() {
        let cancel = Cancel::new();
        let seen = |a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>| overlaps(a, b, &cancel);
        for (k, m, n) in [(0, 2, 3), (2, 0, 3), (2, 2, 0)] {
            assert!(refused(seen(of(k, n).view(), of(m, n).view())));
        }
        assert!(seen(of(1, 1).view(), of(1, 1).view()).is_ok());
    }

    #[test]
    fn modes_of_no_inputs_latents_or_units_are_refused() {
        let cancel = Cancel::new();
        for (n, d, k, m) in [(0, 2, 1, 1), (3, 0, 1, 1), (3, 2, 0, 1), (3, 2, 1, 0)] {
            let (features, w, teacher) = (of(n, d), of(k, n), of(m, d));
            let modes = manifold_modes(features.view(), w.view(), teacher.view(), &cancel);
            assert!(refused(modes), "N = {n}, D = {d}, K = {k}, M = {m}");
        }
        for (n, d, k, m) in [
            (0, None, 1, 1),
            (2, None, 0, 1),
            (2, None, 1, 0),
            (2, Some(0), 1, 1),
            (2, Some(3), 1, 0),
        ] {
            let omega = Array2::eye(n);
            let phi = d.map(|d| of(n, d));
            let (w, teacher) = (of(k, n), of(m, d.unwrap_or(n)));
            let phi = phi.as_ref().map(|phi| phi.view());
            let modes = covariance_modes(omega.view(), phi, w.view(), teacher.view(), &cancel);
            assert!(refused(modes), "N = {n}, D = {d:?}, K = {k}, M = {m}");
        }
    }
}
