//! A finite set of labelled samples as a source: rows drawn with replacement, as one-pass learning of real data does.
//!
//! ```
//! use hmm_core::Cancel;
//! use hmm_core::random::{Purpose, Stream};
//! use hmm_sim::source::sample;
//! use hmm_sim::stored::StoredSamples;
//! use ndarray::{Array2, array};
//! let source = StoredSamples::<f64>::new(array![[1.0], [2.0], [3.0]].view(), array![1.0, 4.0, 9.0].view())?;
//! let (mut x, mut y) = (Array2::zeros((3000, 1)), Array2::zeros((3000, 1)));
//! let stream = Stream::new(&[1; 8], Purpose::Sample);
//! sample(&source, &stream, 0, x.view_mut(), y.view_mut(), &Cancel::new())?;
//! // A row keeps its label, y = x², and rows are equally likely: the mean label is that of the set, 14/3.
//! assert_eq!(&x * &x, y);
//! let error = (98.0 / 3.0 - 14.0_f64.powi(2) / 9.0).sqrt() / 3000_f64.sqrt();
//! assert!((y.sum() / 3000.0 - 14.0 / 3.0).abs() < 5.0 * error);
//! # Ok::<(), hmm_core::Error>(())
//! ```

use crate::source::{Source, block_size};
use hmm_core::memory::zeros;
use hmm_core::random::{Rng, Stream};
use hmm_core::{Error, Real, Result};
use ndarray::{ArrayView1, ArrayView2};

/// Unit of a sample stream that holds the numbers of the rows drawn.
const ROW_UNIT: u32 = 3;

/// P stored inputs x with their labels y. The label is the one "latent" of a sample, so that a
/// linear teacher of unit weight on it gives the stored label back, bit for bit.
pub struct StoredSamples<T> {
    inputs: usize,
    x: Vec<T>,
    y: Vec<T>,
}

impl<T: Real> StoredSamples<T> {
    /// From x, shape (P, N), and y, shape (P,).
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is a sample, an input, and a row of x for each label;
    /// [`Error::Resource`] if the copy does not fit into memory.
    pub fn new(x: ArrayView2<'_, f64>, y: ArrayView1<'_, f64>) -> Result<Self> {
        let (samples, inputs) = x.dim();
        if inputs == 0 || samples == 0 || samples != y.len() {
            return Err(Error::shape(
                "X",
                x.shape(),
                format!("must have one row for each of the {} labels", y.len()),
                "pass X of shape (P, N) and y of shape (P,)",
            ));
        }
        let mut own = zeros(x.len(), "a copy of the samples", "pass fewer, or float32")?;
        for (own, &value) in own.iter_mut().zip(x) {
            *own = T::from_f64(value);
        }
        Ok(Self {
            inputs,
            x: own,
            y: y.iter().map(|&value| T::from_f64(value)).collect(),
        })
    }
}

impl<T: Real> Source<T> for StoredSamples<T> {
    fn inputs(&self) -> usize {
        self.inputs
    }

    fn latents(&self) -> usize {
        1
    }

    /// Stored inputs are not a function of their label: always an error.
    fn inputs_from_latents(&self, _: &Stream, _: u64, _: &[T], _: &mut [T]) -> Result<()> {
        Err(Error::invalid(
            "model",
            "stored samples",
            "their inputs are not a function of latents",
            "draw whole samples",
        ))
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "`drawn` is below the number of samples, for each of which `new` found a label and a row"
    )]
    fn fill(&self, stream: &Stream, block: u64, latents: &mut [T], inputs: &mut [T]) -> Result<()> {
        block_size(latents, 1, inputs, self.inputs)?;
        let mut generator = stream.generator(ROW_UNIT, block);
        for (label, row) in latents.iter_mut().zip(inputs.chunks_exact_mut(self.inputs)) {
            // The high word of u P, u uniform on 64 bits: uniform on 0..P up to P/2^64.
            let drawn = ((u128::from(generator.next_u64()) * self.y.len() as u128) >> 64) as usize;
            *label = self.y[drawn];
            row.copy_from_slice(&self.x[drawn * self.inputs..(drawn + 1) * self.inputs]);
        }
        Ok(())
    }

    fn project(&self, _: &[f64], _: usize) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmm_core::random::Purpose;
    use ndarray::{Array1, Array2};

    #[test]
    fn rows_keep_their_labels_and_are_drawn_evenly() {
        let y: Array1<f64> = (0..10).map(f64::from).collect();
        let x = Array2::from_shape_fn((10, 2), |(i, j)| if j == 0 { y[i] + 0.5 } else { -y[i] });
        let source = StoredSamples::<f64>::new(x.view(), y.view()).unwrap();
        let stream = Stream::new(&[7; 8], Purpose::Sample);
        let mut counts = [0_usize; 10];
        for block in 0..100 {
            let (mut c, mut z) = (vec![0.0; 128], vec![0.0; 256]);
            source.fill(&stream, block, &mut c, &mut z).unwrap();
            for (label, row) in c.iter().zip(z.chunks_exact(2)) {
                assert!(row[0] == label + 0.5 && row[1] == -label);
                counts[*label as usize] += 1;
            }
        }
        // 1280 each, standard deviation √(12800·0.09) = 34; five of them.
        assert!(counts.iter().all(|&n| n.abs_diff(1280) < 170), "{counts:?}");
    }

    #[test]
    fn shapes_that_do_not_match_are_refused() {
        for (shape, labels) in [((2, 2), 3), ((0, 2), 0), ((1, 0), 1)] {
            let (x, y) = (Array2::ones(shape), Array1::ones(labels));
            assert!(StoredSamples::<f32>::new(x.view(), y.view()).is_err());
        }
    }
}
