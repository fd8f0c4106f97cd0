//! Products with a matrix that stays, its rows packed once in the order in which the vector kernel reads them.
//!
//! A general product packs both operands at every call: where a hundred rows at a time meet the same large matrix, that
//! is a quarter of its time.
//!
//! ```
//! use hmm_core::packed::PackedRows;
//! // Rows (1, 2, 3) and (0, 1, 0).
//! let stored = [[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]];
//! let packed = PackedRows::new((2, 3), ["the table", "take a smaller one"], |row, entries| {
//!     entries.copy_from_slice(&stored[row]);
//! })?;
//! let mut fields = [f64::NAN; 2];
//! packed.product(&[1.0, 10.0, 100.0], 0.5, &mut fields)?;
//! assert_eq!(fields, [0.5 * 321.0, 0.5 * 10.0]);
//! assert_eq!(packed.row(1).collect::<Vec<f64>>(), stored[1]);
//! # Ok::<(), hmm_core::Error>(())
//! ```

use crate::memory::zeros;
use crate::{Error, Real, Result};
use rayon::prelude::*;

/// Inner numbers that are summed at a time: a panel of so many stays in the second cache, and all sums are made of the
/// same parts whatever else there is.
const DEPTH: usize = 512;

/// A row-major matrix, packed in panels of [`Real::PANEL`] rows.
pub struct PackedRows<T> {
    rows: usize,
    width: usize,
    /// Panel after panel, entry after entry, the entries of the panel's rows side by side; the last panel is filled up
    /// with zeros.
    panels: Vec<T>,
}

impl<T: Real> PackedRows<T> {
    /// A matrix of shape (rows, width); `fill` writes row by row, in any order. What it is and the remedy are for the
    /// error where memory is short.
    ///
    /// # Errors
    /// [`crate::Error::Resource`].
    pub fn new(
        (rows, width): (usize, usize),
        [what, remedy]: [&str; 2],
        fill: impl Fn(usize, &mut [T]) + Sync,
    ) -> Result<Self> {
        let length = rows
            .div_ceil(T::PANEL)
            .saturating_mul(T::PANEL)
            .saturating_mul(width);
        let mut panels = zeros(length, what, remedy)?;
        // Without an entry there is no panel, and no room is asked for.
        if !panels.is_empty() {
            panels
                .par_chunks_exact_mut(T::PANEL * width)
                .enumerate()
                .for_each_init(
                    || vec![T::ZERO; width],
                    |entries, (panel, packed)| {
                        let first = panel * T::PANEL;
                        for row in first..rows.min(first + T::PANEL) {
                            fill(row, entries);
                            let places = packed.iter_mut().skip(row - first).step_by(T::PANEL);
                            for (place, &entry) in places.zip(entries.iter()) {
                                *place = entry;
                            }
                        }
                    },
                );
        }
        Ok(Self {
            rows,
            width,
            panels,
        })
    }

    /// The entries of a row; nothing for one that the matrix does not have.
    pub fn row(&self, row: usize) -> impl Iterator<Item = T> + '_ {
        let panel = T::PANEL * self.width;
        let first = if row < self.rows {
            row / T::PANEL * panel + row % T::PANEL
        } else {
            self.panels.len()
        };
        self.panels
            .iter()
            .skip(first)
            .step_by(T::PANEL)
            .take(self.width)
            .copied()
    }

    /// `out = scale lhs (this matrix)ᵀ` on the calling thread, for `lhs` (count x width) and `out` (count x rows).
    ///
    /// A row of `out` has the same bits whatever rows are asked for beside it.
    ///
    /// # Errors
    /// [`Error::Shape`] for slices of other lengths.
    pub fn product(&self, lhs: &[T], scale: T, out: &mut [T]) -> Result<()> {
        let (rows, width) = (self.rows, self.width);
        let whole = |numbers: usize, row: usize| numbers.checked_div(row).unwrap_or_default();
        let count = whole(lhs.len(), width).max(whole(out.len(), rows));
        if (lhs.len(), out.len()) != (count * width, count * rows) {
            return Err(Error::shape(
                "lhs, out",
                &[lhs.len(), out.len()],
                format!("must hold as many rows of {width} numbers as of {rows}"),
                "pass whole rows, and room for the product of each",
            ));
        }
        T::packed_product(&self.panels, (rows, width), lhs, scale, out);
        Ok(())
    }
}

macro_rules! packed_kernel {
    ($type:ident, $panel:literal, $vectors:ident, $as_simd:ident, $as_mut_simd:ident, $splat:ident, $mul:ident,
     $mul_add:ident) => {
        /// The kernel of one precision.
        #[expect(
            clippy::indexing_slicing,
            reason = "`product` cuts both operands to whole rows, `chunks_exact` the panels, and every other size is \
                      a constant of the kernel or made from these; bounds are checked per tile, not per entry"
        )]
        pub(crate) mod $type {
            use super::DEPTH;
            use pulp::{Simd, WithSimd};

            /// Rows of a panel: three of the longest vectors.
            pub(crate) const PANEL: usize = $panel;

            struct Product<'a> {
                panels: &'a [$type],
                rows: usize,
                width: usize,
                lhs: &'a [$type],
                scale: $type,
                out: &'a mut [$type],
            }

            /// Sums of `R` rows of the left side with `V` of the `WIDE` vectors of a panel: all of them stay in registers.
            #[inline(always)]
            fn sums<S: Simd, const R: usize, const V: usize, const WIDE: usize>(
                simd: S,
                panel: &[S::$vectors],
                from: usize,
                lhs: [&[$type]; R],
            ) -> [[S::$vectors; V]; R] {
                let mut sums = [[simd.$splat(0.0); V]; R];
                let (panel, _) = panel.as_chunks::<WIDE>();
                let lhs: [&[$type]; R] = std::array::from_fn(
                    #[inline(always)]
                    |r| &lhs[r][..panel.len()],
                );
                for (k, entries) in panel.iter().enumerate() {
                    let entries: [S::$vectors; V] = std::array::from_fn(
                        #[inline(always)]
                        |v| entries[(from + v) % WIDE],
                    );
                    for r in 0..R {
                        let factor = simd.$splat(lhs[r][k]);
                        for v in 0..V {
                            sums[r][v] = simd.$mul_add(factor, entries[v], sums[r][v]);
                        }
                    }
                }
                sums
            }

            /// Write scaled sums, or add them to what the parts before have left.
            #[inline(always)]
            fn store<S: Simd, const V: usize>(
                simd: S,
                sums: &[S::$vectors; V],
                scale: $type,
                first: bool,
                out: &mut [$type],
            ) {
                let scale = simd.$splat(scale);
                let scaled = |sum: S::$vectors, old: S::$vectors| {
                    if first {
                        simd.$mul(scale, sum)
                    } else {
                        simd.$mul_add(scale, sum, old)
                    }
                };
                if out.len() == V * size_of::<S::$vectors>() / size_of::<$type>() {
                    for (place, &sum) in S::$as_mut_simd(out).0.iter_mut().zip(sums) {
                        *place = scaled(sum, *place);
                    }
                } else {
                    let mut whole = [0.0; PANEL];
                    whole[..out.len()].copy_from_slice(out);
                    for (place, &sum) in S::$as_mut_simd(&mut whole).0.iter_mut().zip(sums) {
                        *place = scaled(sum, *place);
                    }
                    out.copy_from_slice(&whole[..out.len()]);
                }
            }

            /// A part of a panel, and where it stands.
            #[derive(Clone, Copy)]
            struct Part<'a, V> {
                vectors: &'a [V],
                /// First inner number.
                depth: usize,
                /// First column of the result.
                column: usize,
            }

            impl Product<'_> {
                /// The products of all rows of the left side, `R` at a time, with a part of a panel.
                #[inline(always)]
                fn with_part<S: Simd, const R: usize, const V: usize, const WIDE: usize>(
                    &mut self,
                    simd: S,
                    part: Part<'_, S::$vectors>,
                    done: usize,
                ) {
                    let (rows, width, lanes) = (self.rows, self.width, PANEL / WIDE);
                    let depth = part.depth..width.min(part.depth + DEPTH);
                    let lhs = self.lhs[done * width..].chunks_exact(R * width);
                    let out = self.out[done * rows..].chunks_exact_mut(R * rows);
                    for (lhs, out) in lhs.zip(out) {
                        let lhs: [&[$type]; R] = std::array::from_fn(
                            #[inline(always)]
                            |r| &lhs[r * width..(r + 1) * width][depth.clone()],
                        );
                        for from in (0..WIDE).step_by(V) {
                            let start = part.column + from * lanes;
                            if start >= rows {
                                break;
                            }
                            let columns = start..rows.min(start + V * lanes);
                            let sums = sums::<S, R, V, WIDE>(simd, part.vectors, from, lhs);
                            for (out, sums) in out.chunks_exact_mut(rows).zip(&sums) {
                                let out = &mut out[columns.clone()];
                                store(simd, sums, self.scale, part.depth == 0, out);
                            }
                        }
                    }
                }

                /// All products, in tiles of `R` rows and `V` vectors; what is left of the rows by two and by one.
                #[inline(always)]
                fn in_tiles<S: Simd, const R: usize, const V: usize, const WIDE: usize>(
                    mut self,
                    simd: S,
                ) {
                    let count = self.lhs.len() / self.width;
                    let (tiled, paired) = (count / R * R, count % R / 2 * 2);
                    let panels = self.panels.chunks_exact(PANEL * self.width);
                    for (panel, column) in panels.zip((0..).step_by(PANEL)) {
                        let parts = panel.chunks(PANEL * DEPTH);
                        for (vectors, depth) in parts.zip((0..).step_by(DEPTH)) {
                            let part = Part {
                                vectors: S::$as_simd(vectors).0,
                                depth,
                                column,
                            };
                            self.with_part::<S, R, V, WIDE>(simd, part, 0);
                            if paired > 0 {
                                self.with_part::<S, 2, V, WIDE>(simd, part, tiled);
                            }
                            if tiled + paired < count {
                                self.with_part::<S, 1, V, WIDE>(simd, part, tiled + paired);
                            }
                        }
                    }
                }
            }

            impl WithSimd for Product<'_> {
                type Output = ();

                #[inline(always)]
                fn with_simd<S: Simd>(self, simd: S) {
                    // What leaves the sums in registers: there are 32 with AVX-512 and on ARM, 16 else.
                    match PANEL * size_of::<$type>() / size_of::<S::$vectors>() {
                        3 => self.in_tiles::<S, 8, 3, 3>(simd),
                        6 => self.in_tiles::<S, 6, 2, 6>(simd),
                        12 => self.in_tiles::<S, 6, 4, 12>(simd),
                        _ => self.in_tiles::<S, 2, 4, PANEL>(simd),
                    }
                }
            }

            /// `out = scale lhs matrixᵀ` for packed rows; of `lhs` and `out` the rows that both have.
            pub(crate) fn product(
                panels: &[$type],
                (rows, width): (usize, usize),
                lhs: &[$type],
                scale: $type,
                out: &mut [$type],
            ) {
                if rows == 0 || width == 0 {
                    out.fill(0.0);
                    return;
                }
                let count = (lhs.len() / width).min(out.len() / rows);
                let (lhs, out) = (&lhs[..count * width], &mut out[..count * rows]);
                crate::instructions::arch().dispatch(Product {
                    panels,
                    rows,
                    width,
                    lhs,
                    scale,
                    out,
                });
            }
        }
    };
}

packed_kernel!(
    f64,
    24,
    f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    splat_f64s,
    mul_f64s,
    mul_add_e_f64s
);
packed_kernel!(
    f32,
    48,
    f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    splat_f32s,
    mul_f32s,
    mul_add_e_f32s
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries<T: Real>(count: usize, phase: f64) -> Vec<T> {
        (0..count)
            .map(|i| T::from_f64((1.0 + phase + 1.7 * i as f64).sin()))
            .collect()
    }

    fn packed<T: Real>(matrix: &[T], rows: usize, width: usize) -> Result<PackedRows<T>> {
        PackedRows::new(
            (rows, width),
            ["a matrix", "take a smaller one"],
            |row, target| {
                target.copy_from_slice(&matrix[row * width..(row + 1) * width]);
            },
        )
    }

    fn product<T: Real>(packed: &PackedRows<T>, lhs: &[T], scale: T) -> Vec<T> {
        let mut out = vec![T::from_f64(f64::NAN); lhs.len() / packed.width.max(1) * packed.rows];
        packed.product(lhs, scale, &mut out).unwrap();
        out
    }

    fn is_the_product<T: Real>(shape: (usize, usize, usize), epsilon: f64) -> Result<()> {
        let (count, width, rows) = shape;
        let (lhs, matrix) = (
            entries::<T>(count * width, 0.0),
            entries::<T>(rows * width, 0.5),
        );
        let packed = packed(&matrix, rows, width)?;
        for (row, stored) in matrix.chunks_exact(width).enumerate() {
            assert_eq!(packed.row(row).collect::<Vec<T>>(), stored);
        }
        let found = product(&packed, &lhs, T::from_f64(0.7));
        for (i, x) in lhs.chunks_exact(width).enumerate() {
            for (j, y) in matrix.chunks_exact(width).enumerate() {
                let terms = x.iter().zip(y).map(|(x, y)| x.to_f64() * y.to_f64());
                let size: f64 = terms.clone().map(f64::abs).sum();
                let sum: f64 = T::from_f64(0.7).to_f64() * terms.sum::<f64>();
                // A rounding of each term, one of the scale, one of each part.
                let bound = epsilon * (width as f64 + 4.0) * size;
                let found = found[i * rows + j].to_f64();
                assert!((found - sum).abs() <= bound, "{i} {j}: {found} {sum}");
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn products_agree_with_the_definition(
            count in 0_usize..20, width in 1_usize..40, rows in 1_usize..100,
        ) {
            is_the_product::<f64>((count, width, rows), f64::EPSILON)?;
            is_the_product::<f32>((count, width, rows), f64::from(f32::EPSILON))?;
        }
    }

    #[test]
    fn long_rows_are_summed_in_parts() -> Result<()> {
        for width in [DEPTH - 1, DEPTH, DEPTH + 1, 2 * DEPTH + 3] {
            is_the_product::<f64>((9, width, 31), f64::EPSILON)?;
            is_the_product::<f32>((9, width, 31), f64::from(f32::EPSILON))?;
        }
        Ok(())
    }

    #[test]
    fn a_row_has_the_same_bits_in_any_company() -> Result<()> {
        let (count, width, rows) = (21, 700, 53);
        let lhs = entries::<f64>(count * width, 0.0);
        let packed = packed(&entries::<f64>(rows * width, 0.5), rows, width)?;
        let together = product(&packed, &lhs, 0.3);
        for (first, some) in [(0, 1), (5, 8), (13, 8), (2, 19)] {
            let part = product(&packed, &lhs[first * width..(first + some) * width], 0.3);
            assert_eq!(part, together[first * rows..(first + some) * rows]);
        }
        Ok(())
    }

    #[test]
    fn nothing_times_something_is_nothing() -> Result<()> {
        assert_eq!(product(&packed::<f64>(&[], 0, 3)?, &[1.0; 6], 1.0), []);
        let mut out = [f64::NAN; 2];
        packed::<f64>(&[], 2, 0)?.product(&[], 1.0, &mut out)?;
        assert_eq!(out, [0.0; 2]);
        // A matrix without rows may be of any width.
        let none = PackedRows::<f64>::new((0, usize::MAX / 2), ["", ""], |_, _| {})?;
        assert_eq!(none.row(0).count(), 0);
        Ok(())
    }

    #[test]
    fn slices_of_other_lengths_are_refused_and_rows_beyond_the_last_are_empty() -> Result<()> {
        let (rows, width) = (5, 3);
        let packed = packed(&entries::<f64>(rows * width, 0.5), rows, width)?;
        for (lhs, out) in [
            (2 * width, rows),
            (width, 2 * rows),
            (width + 1, rows),
            (width, rows - 1),
        ] {
            let mut out = vec![0.0; out];
            let refused = packed
                .product(&entries(lhs, 0.0), 1.0, &mut out)
                .unwrap_err();
            assert!(
                refused
                    .to_string()
                    .contains("as many rows of 3 numbers as of 5"),
                "{refused}"
            );
        }
        // The kernel itself takes the rows that both sides have, and leaves the others alone.
        let mut out = vec![-1.0; 2 * rows];
        f64::packed_product(
            &packed.panels,
            (rows, width),
            &entries(width, 0.0),
            1.0,
            &mut out,
        );
        assert_eq!(out[..rows], product(&packed, &entries(width, 0.0), 1.0));
        assert_eq!(out[rows..], [-1.0; 5]);
        for row in [rows, rows + 1, 1000, usize::MAX] {
            assert_eq!(packed.row(row).count(), 0);
        }
        Ok(())
    }
}
