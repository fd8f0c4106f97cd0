//! Rows of r and sigma, and derivatives of the averages, in another basis of the student's units.

use super::modes::{Blocks, LONGEST, add_scaled, in_blocks, triangle};
use hmm_core::{Cancel, Result};

/// Rows of r by a square matrix E, rows of sigma by E . E^T, over runs of columns.
struct Rotation<'a> {
    k: usize,
    m: usize,
    width: usize,
    matrix: &'a [f64],
    rows: &'a [f64],
    out: &'a mut [f64],
    /// A whole sigma and its half-turned form, of one run.
    sigma: Vec<f64>,
    half: Vec<f64>,
    cancel: &'a Cancel,
}

impl Blocks for Rotation<'_> {
    #[expect(
        clippy::indexing_slicing,
        reason = "rows, out and basis are of K, M and the width that `rotate_rows` is called with; runs of B end at the width and are LONGEST at most, the room in sigma and half"
    )]
    #[inline(always)]
    fn block<const B: usize>(&mut self, start: usize) -> Result<()> {
        self.cancel.check()?;
        let (k, m, width) = (self.k, self.m, self.width);
        let run = |row: usize| row * width + start..row * width + start + B;
        let entries = |i: usize| &self.matrix[i * k..(i + 1) * k];
        for i in 0..k {
            for a in 0..m {
                let mut sum = [0.0; B];
                for (j, entry) in entries(i).iter().enumerate() {
                    for (sum, x) in sum.iter_mut().zip(&self.rows[run(j * m + a)]) {
                        *sum += entry * x;
                    }
                }
                self.out[run(i * m + a)].copy_from_slice(&sum);
            }
        }
        for x in 0..k {
            for y in x..k {
                let source = &self.rows[run(k * m + triangle(k, x, y))];
                self.sigma[(x * k + y) * B..][..B].copy_from_slice(source);
                self.sigma[(y * k + x) * B..][..B].copy_from_slice(source);
            }
        }
        for i in 0..k {
            for y in 0..k {
                let mut sum = [0.0; B];
                for (x, entry) in entries(i).iter().enumerate() {
                    for (sum, x) in sum.iter_mut().zip(&self.sigma[(y * k + x) * B..][..B]) {
                        *sum += entry * x;
                    }
                }
                self.half[(i * k + y) * B..][..B].copy_from_slice(&sum);
            }
        }
        for i in 0..k {
            for j in i..k {
                let mut sum = [0.0; B];
                for (y, entry) in entries(j).iter().enumerate() {
                    for (sum, x) in sum.iter_mut().zip(&self.half[(i * k + y) * B..][..B]) {
                        *sum += entry * x;
                    }
                }
                self.out[run(k * m + triangle(k, i, j))].copy_from_slice(&sum);
            }
        }
        Ok(())
    }
}

/// Two matrix products with a small square matrix, columns V (or V^T): rows of r by it, rows of sigma by it on both sides.
#[expect(
    clippy::indexing_slicing,
    reason = "the basis is (K, K), as the eigenvectors of L"
)]
#[inline(always)]
pub(super) fn rotate_rows(
    (k, m, width): (usize, usize, usize),
    basis: &[f64],
    transpose: bool,
    rows: &[f64],
    out: &mut [f64],
    cancel: &Cancel,
) -> Result<()> {
    let at = |i: usize, j: usize| basis[if transpose { j * k + i } else { i * k + j }];
    let matrix: Vec<f64> = (0..k * k).map(|e| at(e / k, e % k)).collect();
    in_blocks(
        width,
        &mut Rotation {
            k,
            m,
            width,
            matrix: &matrix,
            rows,
            out,
            sigma: vec![0.0; k * k * LONGEST],
            half: vec![0.0; k * k * LONGEST],
            cancel,
        },
    )
}

/// V^T g for a matrix of `columns` columns in the rows of V's index, whose entries are runs of `width` numbers.
#[expect(
    clippy::indexing_slicing,
    reason = "g has K rows of runs, and the basis is (K, K), as the eigenvectors of L"
)]
#[inline(always)]
pub(super) fn project(
    k: usize,
    columns: usize,
    width: usize,
    basis: &[f64],
    g: &[f64],
) -> Vec<f64> {
    let run = columns * width;
    let mut out = vec![0.0; k * run];
    for i in 0..k {
        for l in 0..k {
            let target = &mut out[i * run..(i + 1) * run];
            add_scaled(target, basis[l * k + i], &g[l * run..(l + 1) * run]);
        }
    }
    out
}

/// V^T a V for a (K, K) matrix whose entries are runs of `width` numbers.
#[inline(always)]
pub(super) fn conjugate(k: usize, width: usize, basis: &[f64], a: &[f64]) -> Vec<f64> {
    let left = project(k, k, width, basis, a);
    let mut out = vec![0.0; k * k * width];
    for (target, row) in out
        .chunks_exact_mut(k * width)
        .zip(left.chunks_exact(k * width))
    {
        target.copy_from_slice(&project(k, 1, width, basis, row));
    }
    out
}
