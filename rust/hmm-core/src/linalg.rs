//! Matrix products on one thread, so that the caller's chunks decide what runs where.
//!
//! The shapes are the caller's responsibility: like slice indexing, a product of shapes that do not fit
//! panics.
//!
//! ```
//! use hmm_core::linalg::{matmul, rows, rows_mut};
//! // Turning by a and by b turns by a + b.
//! let turn = |angle: f64| [angle.cos(), -angle.sin(), angle.sin(), angle.cos()];
//! let mut product = [f64::NAN; 4];
//! matmul(rows_mut(&mut product, 2, 2), rows(&turn(0.3), 2, 2), rows(&turn(0.9), 2, 2), 1.0);
//! for (found, known) in product.iter().zip(turn(1.2)) {
//!     assert!((found - known).abs() < 1e-15);
//! }
//! ```

use crate::Real;
use faer::linalg::matmul::matmul as faer_matmul;
use faer::{Accum, Par};

pub use faer::{MatMut, MatRef};

/// `dst = alpha lhs rhs` on the calling thread; what `dst` held, even not-a-number, is forgotten.
pub fn matmul<T: Real>(dst: MatMut<'_, T>, lhs: MatRef<'_, T>, rhs: MatRef<'_, T>, alpha: T) {
    faer_matmul(dst, Accum::Replace, lhs, rhs, alpha, Par::Seq);
}

/// `dst += alpha lhs rhs` on the calling thread.
pub fn matmul_add<T: Real>(dst: MatMut<'_, T>, lhs: MatRef<'_, T>, rhs: MatRef<'_, T>, alpha: T) {
    faer_matmul(dst, Accum::Add, lhs, rhs, alpha, Par::Seq);
}

/// View of a row-major slice of length `rows * columns` as a `rows` x `columns` matrix.
pub fn rows<T>(slice: &[T], rows: usize, columns: usize) -> MatRef<'_, T> {
    MatRef::from_row_major_slice(slice, rows, columns)
}

/// Mutable view of a row-major slice of length `rows * columns` as a `rows` x `columns` matrix.
pub fn rows_mut<T>(slice: &mut [T], rows: usize, columns: usize) -> MatMut<'_, T> {
    MatMut::from_row_major_slice_mut(slice, rows, columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::pool;
    use proptest::prelude::*;

    /// `sum_k lhs[i, k] rhs[k, j]` in double precision, and the same of absolute values.
    fn naive<T: Real>(lhs: &[T], rhs: &[T], shape: (usize, usize, usize)) -> Vec<(f64, f64)> {
        let (m, k, n) = shape;
        (0..m * n)
            .map(|place| {
                let (i, j) = (place / n, place % n);
                (0..k).fold((0.0, 0.0), |(sum, size), l| {
                    let product = lhs[i * k + l].to_f64() * rhs[l * n + j].to_f64();
                    (sum + product, size + product.abs())
                })
            })
            .collect()
    }

    fn entries<T: Real>(count: usize, phase: f64) -> Vec<T> {
        (0..count)
            .map(|i| T::from_f64((1.0 + phase + 1.7 * i as f64).sin()))
            .collect()
    }

    fn products_are_products<T: Real>(shape: (usize, usize, usize), alpha: f64, epsilon: f64) {
        let (m, k, n) = shape;
        let (lhs, rhs) = (entries::<T>(m * k, 0.0), entries::<T>(k * n, 0.5));
        let alpha = T::from_f64(alpha);
        let before = entries::<T>(m * n, 0.2);
        let (mut replaced, mut added) = (vec![T::from_f64(f64::NAN); m * n], before.clone());
        matmul(
            rows_mut(&mut replaced, m, n),
            rows(&lhs, m, k),
            rows(&rhs, k, n),
            alpha,
        );
        matmul_add(
            rows_mut(&mut added, m, n),
            rows(&lhs, m, k),
            rows(&rhs, k, n),
            alpha,
        );
        for (place, (sum, size)) in naive(&lhs, &rhs, shape).into_iter().enumerate() {
            let product = alpha.to_f64() * sum;
            // k roundings of the sum, one each of alpha and of the addition.
            let bound = epsilon * ((k + 2) as f64 * alpha.to_f64().abs() * size + 2.0);
            let old = before[place].to_f64();
            assert!((replaced[place].to_f64() - product).abs() <= bound);
            assert!((added[place].to_f64() - old - product).abs() <= bound);
        }
    }

    proptest! {
        #[test]
        fn products_agree_with_the_definition(
            m in 0_usize..40, k in 0_usize..40, n in 0_usize..40, alpha in -3.0..3.0,
        ) {
            products_are_products::<f64>((m, k, n), alpha, f64::EPSILON);
            products_are_products::<f32>((m, k, n), alpha, f64::from(f32::EPSILON));
        }
    }

    #[test]
    fn views_are_row_major() {
        let mut values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(*rows(&values, 2, 3).get(0, 2), 3.0);
        assert_eq!(*rows(&values, 3, 2).transpose().get(1, 2), 6.0);
        *rows_mut(&mut values, 2, 3).get_mut(1, 0) = 9.0;
        assert_eq!(values[3], 9.0);
    }

    #[test]
    fn products_have_the_same_bits_in_any_pool() {
        let (m, k, n) = (130, 257, 70);
        let (lhs, rhs) = (entries::<f64>(m * k, 0.0), entries::<f64>(k * n, 0.5));
        let product = || {
            let mut out = vec![0.0; m * n];
            matmul(
                rows_mut(&mut out, m, n),
                rows(&lhs, m, k),
                rows(&rhs, k, n),
                1.0,
            );
            out
        };
        let expected = product();
        for threads in [1, 2, 3, 7] {
            assert_eq!(pool(Some(threads)).unwrap().install(product), expected);
        }
    }
}
