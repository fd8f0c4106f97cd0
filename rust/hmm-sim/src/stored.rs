//! A finite set of labelled samples as a source: rows drawn with replacement.

use crate::source::Source;
use hmm_core::random::{Rng, Stream};
use hmm_core::{Error, Real, Result};

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
    /// From x (P x N, row-major) and y (P).
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is a sample, an input, and a row of x for each label.
    pub fn new(x: &[f64], y: &[f64], inputs: usize) -> Result<Self> {
        if inputs == 0 || y.is_empty() || x.len() != inputs * y.len() {
            return Err(Error::shape(
                "X",
                &[x.len().checked_div(inputs).unwrap_or(0), inputs],
                format!("must have one row for each of the {} labels", y.len()),
                "pass X of shape (P, N) and y of shape (P,)",
            ));
        }
        let narrow = |values: &[f64]| values.iter().map(|&value| T::from_f64(value)).collect();
        Ok(Self {
            inputs,
            x: narrow(x),
            y: narrow(y),
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

    fn fill(&self, stream: &Stream, block: u64, latents: &mut [T], inputs: &mut [T]) -> Result<()> {
        let mut generator = stream.generator(ROW_UNIT, block);
        for (label, row) in latents.iter_mut().zip(inputs.chunks_exact_mut(self.inputs)) {
            // The high word of u P, u uniform on 64 bits: uniform on 0..P up to P/2^64.
            let drawn = ((u128::from(generator.next_u64()) * self.y.len() as u128) >> 64) as usize;
            *label = self.y[drawn];
            row.copy_from_slice(&self.x[drawn * self.inputs..(drawn + 1) * self.inputs]);
        }
        Ok(())
    }

    fn project(&self, _: &[f64], _: usize) -> Option<Vec<f64>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmm_core::random::Purpose;

    #[test]
    fn rows_keep_their_labels_and_are_drawn_evenly() {
        let y: Vec<f64> = (0..10).map(f64::from).collect();
        let x: Vec<f64> = y.iter().flat_map(|&y| [y + 0.5, -y]).collect();
        let source = StoredSamples::<f64>::new(&x, &y, 2).unwrap();
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
        assert!(StoredSamples::<f64>::new(&[1.0; 4], &[1.0; 3], 2).is_err());
        assert!(StoredSamples::<f64>::new(&[], &[], 2).is_err());
        assert!(StoredSamples::<f32>::new(&[], &[1.0], 0).is_err());
    }
}
