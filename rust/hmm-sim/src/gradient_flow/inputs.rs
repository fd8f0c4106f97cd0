//! Training or test inputs in the two layouts that the layer's two passes read.

use hmm_core::memory::{bytes_of, filled};
use hmm_core::{Error, Real, Result};
use ndarray::ArrayView2;

/// Examples of a chunk of the forward pass: four 512-bit vectors of single precision.
pub const EXAMPLES: usize = 64;

/// Inputs `x/sqrt d`, once by rows and once by columns within chunks of `EXAMPLES` rows.
#[derive(Debug, Clone)]
pub struct Inputs<T> {
    d: usize,
    count: usize,
    rows: Vec<T>,
    columns: Vec<T>,
}

impl<T: Real> Inputs<T> {
    /// From `x` (count, d), rounded to the working precision; the factor `1/sqrt d` is applied here.
    ///
    /// # Errors
    /// [`Error::Shape`] if there is no row or no column; [`Error::Resource`].
    pub fn new(x: ArrayView2<'_, f64>) -> Result<Self> {
        let (count, d) = x.dim();
        if d == 0 || count == 0 {
            return Err(Error::shape(
                "X",
                x.shape(),
                "must be (p, d) with p >= 1 and d >= 1",
                "pass one example per row",
            ));
        }
        let scale = 1.0 / (d as f64).sqrt();
        let layout = |count: usize| {
            let numbers = count.saturating_mul(d);
            filled(
                T::ZERO,
                numbers,
                "the inputs of a flow",
                "pass fewer examples",
            )
        };
        let mut rows = layout(count)?;
        for (row, x) in rows.iter_mut().zip(&x) {
            *row = T::from_f64(T::from_f64(*x).to_f64() * scale);
        }
        let mut columns = layout(count.div_ceil(EXAMPLES) * EXAMPLES)?;
        let chunks = columns.chunks_exact_mut(EXAMPLES * d);
        for (chunk, rows) in chunks.zip(rows.chunks(EXAMPLES * d)) {
            for (mu, row) in rows.chunks_exact(d).enumerate() {
                let places = chunk.iter_mut().skip(mu).step_by(EXAMPLES);
                for (place, x) in places.zip(row) {
                    *place = *x;
                }
            }
        }
        Ok(Self {
            d,
            count,
            rows,
            columns,
        })
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        bytes_of::<T>(self.rows.len() + self.columns.len())
    }

    /// Number of examples.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Dimension d.
    pub fn dimension(&self) -> usize {
        self.d
    }

    /// `x/sqrt d` row by row, shape (count, d).
    pub fn rows(&self) -> &[T] {
        &self.rows
    }

    /// Chunk by chunk of `EXAMPLES` examples: `x/sqrt d` with one input per row, shape
    /// (d, EXAMPLES), padded with zeros.
    pub fn chunks(&self) -> impl rayon::iter::IndexedParallelIterator<Item = &[T]> {
        use rayon::prelude::*;
        self.columns.par_chunks_exact(EXAMPLES * self.d)
    }
}
