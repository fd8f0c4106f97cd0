//! Matrix products on one thread, so that the caller's chunks decide what runs where.

use crate::Real;
use faer::linalg::matmul::matmul as faer_matmul;
use faer::{Accum, Par};

pub use faer::{MatMut, MatRef};

/// `dst = alpha lhs rhs` on the calling thread.
pub fn matmul<T: Real>(dst: MatMut<'_, T>, lhs: MatRef<'_, T>, rhs: MatRef<'_, T>, alpha: T) {
    faer_matmul(dst, Accum::Replace, lhs, rhs, alpha, Par::Seq);
}

/// `dst += alpha lhs rhs` on the calling thread.
pub fn matmul_add<T: Real>(dst: MatMut<'_, T>, lhs: MatRef<'_, T>, rhs: MatRef<'_, T>, alpha: T) {
    faer_matmul(dst, Accum::Add, lhs, rhs, alpha, Par::Seq);
}

/// View of a row-major slice as a `rows` x `columns` matrix.
pub fn rows<T>(slice: &[T], rows: usize, columns: usize) -> MatRef<'_, T> {
    MatRef::from_row_major_slice(slice, rows, columns)
}

/// Mutable view of a row-major slice as a `rows` x `columns` matrix.
pub fn rows_mut<T>(slice: &mut [T], rows: usize, columns: usize) -> MatMut<'_, T> {
    MatMut::from_row_major_slice_mut(slice, rows, columns)
}
