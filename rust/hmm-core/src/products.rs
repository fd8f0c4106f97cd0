//! Products of large matrices on the pool they are called in.
//!
//! The result is cut into fixed square tiles and the sum over the inner index into fixed stretches, each of them a
//! serial product: the bits depend on the operands and their layout alone, not on the number of threads.

use crate::memory::require;
use crate::{Cancel, Error, Real, Result, linalg, memory};
use faer::{MatMut, MatRef};
use ndarray::{ArrayView2, ArrayViewMut2, Axis, CowArray, Ix2};
use rayon::prelude::*;

/// Rows and columns of a tile of the result.
const TILE: usize = 192;
/// Rows, columns and terms of the inner sum in one serial product at most.
const STRETCH: usize = 1024;

/// `out = a b`: shapes (m, n), (m, k) and (k, n), in any memory layout.
///
/// # Errors
/// [`Error::Shape`], [`Error::Interrupted`], [`Error::Resource`] for the copy of an operand that is contiguous along
/// neither axis.
///
/// ```
/// use hmm_core::{Cancel, products::product};
/// use ndarray::{Array2, array};
/// let (a, b) = (array![[1.0, 2.0], [3.0, 4.0]], array![[1.0], [-1.0]]);
/// let mut out = Array2::zeros((2, 1));
/// product(a.view(), b.view(), out.view_mut(), &Cancel::new())?;
/// assert_eq!(out, array![[-1.0], [-1.0]]);
/// # Ok::<(), hmm_core::Error>(())
/// ```
pub fn product<T: Real>(
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    out: ArrayViewMut2<'_, T>,
    cancel: &Cancel,
) -> Result<()> {
    let ((m, inner), n) = (a.dim(), b.ncols());
    check("b", b.dim(), (inner, n))?;
    check("out", out.dim(), (m, n))?;
    let (a, b) = (contiguous(a)?, contiguous(b)?);
    let (a, b) = (matrix(&a)?, matrix(&b)?);
    strips(out, Axis(0))
        .into_iter()
        .enumerate()
        .flat_map(|(row, strip)| {
            let tiles = strips(strip, Axis(1)).into_iter().enumerate();
            tiles.map(move |(column, tile)| (row, column, tile))
        })
        .collect::<Vec<_>>()
        .into_par_iter()
        .try_for_each(|(row, column, mut tile)| {
            let sums = tile_sums(a, b, (row * TILE, column * TILE), tile.dim(), cancel)?;
            for (to, &sum) in tile.iter_mut().zip(&sums) {
                *to = sum;
            }
            Ok(())
        })
}

/// `out = a aᵀ`, exactly symmetric, in half the work: shapes (m, m) and (m, k).
///
/// # Errors
/// As [`product`].
pub fn gram<T: Real>(
    a: ArrayView2<'_, T>,
    out: ArrayViewMut2<'_, T>,
    cancel: &Cancel,
) -> Result<()> {
    let m = a.nrows();
    check("out", out.dim(), (m, m))?;
    let a = contiguous(a)?;
    let a = matrix(&a)?;
    let mut above: Vec<Vec<ArrayViewMut2<'_, T>>> = Vec::new();
    let mut pairs = Vec::new();
    // A tile below the diagonal travels with its mirror image; `above[row]` holds what is still alone, last first.
    for (row, strip) in strips(out, Axis(0)).into_iter().enumerate() {
        let mut tiles = strips(strip, Axis(1));
        let mut right = tiles.split_off(row);
        right.reverse();
        pairs.extend(right.pop().map(|diagonal| (row, row, diagonal, None)));
        for (column, below) in tiles.into_iter().enumerate() {
            let mirror = above.get_mut(column).and_then(Vec::pop);
            pairs.push((row, column, below, mirror));
        }
        above.push(right);
    }
    pairs
        .into_par_iter()
        .try_for_each(|(row, column, mut tile, mirror)| {
            let sums = tile_sums(
                a,
                a.transpose(),
                (row * TILE, column * TILE),
                tile.dim(),
                cancel,
            )?;
            let columns = tile.ncols();
            for ((i, j), to) in tile.indexed_iter_mut() {
                // On the diagonal the lower half is the one that counts.
                let (i, j) = if row == column {
                    (i.max(j), i.min(j))
                } else {
                    (i, j)
                };
                #[expect(
                    clippy::indexing_slicing,
                    reason = "`tile_sums` gave one sum per entry of the tile, and tiles on the diagonal are square"
                )]
                let sum = sums[i * columns + j];
                *to = sum;
            }
            if let Some(mut mirror) = mirror {
                mirror.assign(&tile.t());
            }
            Ok(())
        })
}

/// `dst += alpha lhs rhs` on the calling thread, in fixed parts of a few milliseconds between which it looks at the
/// flag.
///
/// Like a product of [`linalg`] it panics on shapes that do not fit.
///
/// # Errors
/// [`Error::Interrupted`], after which `dst` holds part of the sum.
pub fn add_serial<T: Real>(
    mut dst: MatMut<'_, T>,
    lhs: MatRef<'_, T>,
    rhs: MatRef<'_, T>,
    alpha: T,
    cancel: &Cancel,
) -> Result<()> {
    let (rows, columns) = (dst.nrows(), dst.ncols());
    for row in (0..rows).step_by(STRETCH) {
        let height = STRETCH.min(rows - row);
        for column in (0..columns).step_by(STRETCH) {
            let width = STRETCH.min(columns - column);
            for start in (0..lhs.ncols()).step_by(STRETCH) {
                cancel.check()?;
                let count = STRETCH.min(lhs.ncols() - start);
                linalg::matmul_add(
                    dst.as_mut().submatrix_mut(row, column, height, width),
                    lhs.submatrix(row, start, height, count),
                    rhs.submatrix(start, column, count, width),
                    alpha,
                );
            }
        }
    }
    Ok(())
}

/// The part of `a b` that a tile holds, row by row.
fn tile_sums<T: Real>(
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    (row, column): (usize, usize),
    (rows, columns): (usize, usize),
    cancel: &Cancel,
) -> Result<Vec<T>> {
    let mut sums = vec![T::ZERO; rows * columns];
    add_serial(
        linalg::rows_mut(&mut sums, rows, columns),
        a.subrows(row, rows),
        b.subcols(column, columns),
        T::ONE,
        cancel,
    )?;
    Ok(sums)
}

/// Disjoint strips of at most [`TILE`] along an axis.
fn strips<T>(mut rest: ArrayViewMut2<'_, T>, axis: Axis) -> Vec<ArrayViewMut2<'_, T>> {
    let mut strips = Vec::new();
    while rest.len_of(axis) > TILE {
        let (first, others) = rest.split_at(axis, TILE);
        strips.push(first);
        rest = others;
    }
    strips.push(rest);
    strips
}

/// The same numbers, contiguous along one axis with the other one dense behind it.
fn contiguous<T: Real>(a: ArrayView2<'_, T>) -> Result<CowArray<'_, T, Ix2>> {
    if a.is_standard_layout() || a.t().is_standard_layout() {
        return Ok(a.into());
    }
    require(
        memory::bytes_of::<T>(a.len()),
        "a copy of an operand",
        "pass a contiguous array",
    )?;
    Ok(a.as_standard_layout().into_owned().into())
}

fn matrix<'a, T: Real>(a: &'a CowArray<'_, T, Ix2>) -> Result<MatRef<'a, T>> {
    let (rows, columns) = a.dim();
    if let Some(slice) = a.as_slice() {
        return Ok(linalg::rows(slice, rows, columns));
    }
    let transposed = a.t();
    let slice = transposed.to_slice().ok_or_else(|| {
        Error::shape(
            "a",
            a.shape(),
            "must be contiguous along an axis",
            "pass a contiguous array",
        )
    })?;
    Ok(linalg::rows(slice, columns, rows).transpose())
}

fn check(argument: &'static str, found: (usize, usize), wanted: (usize, usize)) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::shape(
        argument,
        &[found.0, found.1],
        format!(
            "must be ({}, {}) to fit the other operands",
            wanted.0, wanted.1
        ),
        "pass matrices whose shapes fit",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::pool;
    use ndarray::{Array2, s};

    fn entries(rows: usize, columns: usize) -> Array2<f64> {
        Array2::from_shape_fn((rows, columns), |(i, j)| {
            (1.0 + 1.7 * (i * columns + j) as f64).sin()
        })
    }

    fn times(a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Array2<f64> {
        let mut out = Array2::from_elem((a.nrows(), b.ncols()), f64::NAN);
        product(a, b, out.view_mut(), &Cancel::new()).unwrap();
        out
    }

    #[test]
    fn products_agree_with_the_definition_in_any_layout() {
        for (m, k, n) in [
            (1, 1, 1),
            (3, 0, 2),
            (0, 4, 5),
            (5, 2100, 200),
            (193, 7, 400),
            (400, 30, 1),
        ] {
            let (a, b) = (entries(m, k), entries(k, n));
            let expected = a.dot(&b);
            let wide = entries(2 * m, k);
            let far = |found: Array2<f64>, expected: &Array2<f64>| {
                (found - expected)
                    .iter()
                    .fold(0.0, |most: f64, gap| most.max(gap.abs()))
            };
            assert!(far(times(a.view(), b.view()), &expected) < 1e-11);
            assert!(far(times(b.t(), a.t()), &expected.t().to_owned()) < 1e-11);
            let reversed = b.slice(s![..;-1, ..;-1]);
            assert!(far(times(a.view(), reversed), &a.dot(&reversed)) < 1e-11);
            let every_other = wide.slice(s![..;2, ..]);
            assert!(far(times(every_other, b.view()), &every_other.dot(&b)) < 1e-11);
        }
    }

    #[test]
    fn grams_are_products_and_symmetric() {
        for (m, k) in [(0, 3), (1, 1), (192, 5), (193, 40), (500, 1030)] {
            let a = entries(m, k);
            let mut out = Array2::from_elem((m, m), f64::NAN);
            gram(a.view(), out.view_mut(), &Cancel::new()).unwrap();
            assert_eq!(out, out.t());
            assert!((&out - &a.dot(&a.t())).iter().all(|gap| gap.abs() < 1e-11));
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let (a, b) = (entries(500, 1500), entries(1500, 300));
        let work = || {
            let mut squared = Array2::zeros((500, 500));
            gram(a.view(), squared.view_mut(), &Cancel::new()).unwrap();
            (times(a.view(), b.view()), squared)
        };
        let expected = pool(Some(1)).unwrap().install(work);
        for threads in [2, 3, 7] {
            assert_eq!(pool(Some(threads)).unwrap().install(work), expected);
        }
    }

    #[test]
    fn shapes_that_do_not_fit_and_raised_flags_are_errors() {
        let (a, mut out) = (entries(3, 2), Array2::zeros((3, 3)));
        let cancel = Cancel::new();
        let refused = product(a.view(), a.view(), out.view_mut(), &cancel).unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("b has shape [3, 2]: must be (2, 2)")
        );
        cancel.raise();
        let stopped = gram(a.view(), out.view_mut(), &cancel);
        assert!(matches!(stopped, Err(Error::Interrupted)));
    }
}
