//! Training or test inputs in the two layouts that the layer's two passes read.

use hmm_core::{Error, Real, Result};

/// Examples of a chunk of the forward pass: four 512-bit vectors of single precision.
pub const EXAMPLES: usize = 64;

/// Inputs `x/sqrt d`, once by rows and once by columns within chunks of [`EXAMPLES`] rows.
#[derive(Debug, Clone)]
pub struct Inputs<T> {
    d: usize,
    count: usize,
    rows: Vec<T>,
    columns: Vec<T>,
}

impl<T: Real> Inputs<T> {
    /// From `x` (count, d) row-major; the factor `1/sqrt d` is applied here.
    ///
    /// # Errors
    /// If there is no row or the length is no multiple of `d`.
    pub fn new(x: &[T], d: usize) -> Result<Self> {
        if d == 0 || x.is_empty() || !x.len().is_multiple_of(d) {
            return Err(Error::shape(
                "X",
                &[x.len(), d],
                "must be (p, d) with p >= 1 and d >= 1",
                "pass one example per row",
            ));
        }
        let count = x.len() / d;
        let scale = 1.0 / (d as f64).sqrt();
        let rows: Vec<T> = x.iter().map(|x| T::from_f64(x.to_f64() * scale)).collect();
        let mut columns = vec![T::ZERO; count.div_ceil(EXAMPLES) * EXAMPLES * d];
        for (mu, row) in rows.chunks_exact(d).enumerate() {
            let chunk = mu / EXAMPLES * EXAMPLES * d;
            for (i, x) in row.iter().enumerate() {
                columns[chunk + i * EXAMPLES + mu % EXAMPLES] = *x;
            }
        }
        Ok(Self {
            d,
            count,
            rows,
            columns,
        })
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

    /// Chunk by chunk of [`EXAMPLES`] examples: `x/sqrt d` with one input per row, shape
    /// (d, EXAMPLES), padded with zeros.
    pub fn chunks(&self) -> impl rayon::iter::IndexedParallelIterator<Item = &[T]> {
        use rayon::prelude::*;
        self.columns.par_chunks_exact(EXAMPLES * self.d)
    }
}
