//! Symmetric products tile by tile, and the solution of positive definite systems.

use faer::linalg::solvers::{Llt, Solve};
use faer::{Mat, MatRef, Side};
use hmm_core::cancel::apart_if;
use hmm_core::linalg::matmul_add;
use hmm_core::{Cancel, Error, Real, Result};
use rayon::prelude::*;

/// Side of a tile. Tiles above the diagonal are not computed: half the product is saved up to the tiles
/// on it, while 192 keeps the packing of a tile small against its product.
const TILE: usize = 192;
/// Terms of the inner sum between two looks at the cancel flag: a tile of so many takes about 20 ms.
const STRETCH: usize = 1 << 14;
/// Sides from which a factor takes longer than a thread of its own costs.
const LARGE: usize = 1000;

/// The lower triangle of `rows rows^T` for a (size x inner) matrix, tiles in parallel, plus `shift` on
/// the diagonal.
///
/// Every tile is one serial product, so its bits do not depend on the number of threads.
pub(crate) fn lower_gram<T: Real>(
    matrix: MatRef<'_, T>,
    shift: T,
    cancel: &Cancel,
) -> Result<Mat<T>> {
    let size = matrix.nrows();
    let tiles = size.div_ceil(TILE);
    let range = |tile: usize| (tile * TILE, TILE.min(size - tile * TILE));
    let pairs: Vec<(usize, usize)> = (0..tiles)
        .flat_map(|row| (0..=row).map(move |column| (row, column)))
        .collect();
    let blocks: Result<Vec<Mat<T>>> = pairs
        .par_iter()
        .map(|(row, column)| {
            let ((r, height), (c, width)) = (range(*row), range(*column));
            let mut block = Mat::zeros(height, width);
            for start in (0..matrix.ncols()).step_by(STRETCH) {
                cancel.check()?;
                let terms = matrix.subcols(start, STRETCH.min(matrix.ncols() - start));
                matmul_add(
                    block.as_mut(),
                    terms.subrows(r, height),
                    terms.subrows(c, width).transpose(),
                    T::ONE,
                );
            }
            Ok(block)
        })
        .collect();
    let mut gram = Mat::zeros(size, size);
    for ((row, column), block) in pairs.iter().zip(blocks?) {
        let ((r, height), (c, width)) = (range(*row), range(*column));
        gram.as_mut()
            .submatrix_mut(r, c, height, width)
            .copy_from(&block);
    }
    for i in 0..size {
        gram[(i, i)] += shift;
    }
    Ok(gram)
}

/// Cholesky factor of a positive definite matrix given by its lower triangle.
pub(crate) fn factor<T: Real>(matrix: Mat<T>, cancel: &Cancel) -> Result<Llt<T>> {
    let large = matrix.nrows() >= LARGE;
    apart_if(large, cancel, move || matrix.llt(Side::Lower))?.map_err(|_| {
        Error::Convergence(
            "the normal equations are singular in the working precision; raise lam".to_owned(),
        )
    })
}

/// Solve `L L^T x = rhs` in the precision of the factor.
pub(crate) fn solve_factored<T: Real>(factor: &Llt<T>, rhs: &[f64]) -> Vec<f64> {
    let rounded: Vec<T> = rhs.iter().map(|x| T::from_f64(*x)).collect();
    let solution = factor.solve(MatRef::from_column_major_slice(&rounded, rhs.len(), 1));
    solution.col(0).iter().map(|x| x.to_f64()).collect()
}
