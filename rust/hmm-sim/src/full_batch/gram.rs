//! Symmetric products tile by tile, and the solution of positive definite systems.

use faer::linalg::solvers::Solve;
use faer::{Mat, MatRef, Side};
use hmm_core::linalg::matmul;
use hmm_core::{Cancel, Error, Result};
use rayon::prelude::*;

/// Side of a tile. Tiles above the diagonal are not computed: half the product is saved up to the tiles
/// on it, while 192 keeps the packing of a tile small against its product.
const TILE: usize = 192;

/// The lower triangle of `rows rows^T` for a (size x inner) matrix, tiles in parallel, plus `shift` on
/// the diagonal.
///
/// Every tile is one serial product, so its bits do not depend on the number of threads.
pub(crate) fn lower_gram(matrix: MatRef<'_, f64>, shift: f64, cancel: &Cancel) -> Result<Mat<f64>> {
    let size = matrix.nrows();
    let tiles = size.div_ceil(TILE);
    let range = |tile: usize| (tile * TILE, TILE.min(size - tile * TILE));
    let pairs: Vec<(usize, usize)> = (0..tiles)
        .flat_map(|row| (0..=row).map(move |column| (row, column)))
        .collect();
    let blocks: Result<Vec<Mat<f64>>> = pairs
        .par_iter()
        .map(|(row, column)| {
            cancel.check()?;
            let ((r, height), (c, width)) = (range(*row), range(*column));
            let mut block = Mat::zeros(height, width);
            matmul(
                block.as_mut(),
                matrix.subrows(r, height),
                matrix.subrows(c, width).transpose(),
                1.0,
            );
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

/// Solve `matrix x = rhs` for a positive definite matrix given by its lower triangle.
pub(crate) fn solve_positive(matrix: &Mat<f64>, rhs: &[f64]) -> Result<Vec<f64>> {
    let factor = matrix.llt(Side::Lower).map_err(|_| {
        Error::Convergence(
            "the normal equations are singular in double precision; raise lam".to_owned(),
        )
    })?;
    let solution = factor.solve(MatRef::from_column_major_slice(rhs, rhs.len(), 1));
    Ok(solution.col(0).iter().copied().collect())
}
