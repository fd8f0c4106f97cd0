//! A source of labelled-by-latents data: inputs in blocks, each a function of its number alone.
//!
//! ```
//! use hmm_core::Cancel;
//! use hmm_core::random::{Purpose, Stream};
//! use hmm_sim::gaussian::GaussianInputs;
//! use hmm_sim::source::sample;
//! use ndarray::{Array2, s};
//! let (source, stream) = (GaussianInputs { inputs: 3 }, Stream::new(&[1; 8], Purpose::Sample));
//! let draw = |start, count| {
//!     let (mut x, mut c) = (Array2::<f64>::zeros((count, 3)), Array2::zeros((count, 3)));
//!     sample(&source, &stream, start, x.view_mut(), c.view_mut(), &Cancel::new()).map(|()| x)
//! };
//! // Row j of a stream is the same whatever is asked for with it.
//! assert_eq!(draw(7, 2)?, draw(0, 20)?.slice(s![7..9, ..]));
//! # Ok::<(), hmm_core::Error>(())
//! ```

use hmm_core::memory::zero_matrix;
use hmm_core::random::{BLOCKS_OF_UNIT, Stream, fill_normal};
use hmm_core::{Cancel, Error, Real, Result};
use ndarray::{Array1, ArrayViewMut2, s};
use rayon::prelude::*;

/// Unit of a sample stream that holds the latents.
pub const LATENT_UNIT: u32 = 0;
/// Unit of a sample stream that holds noise inside the inputs.
pub const INPUT_NOISE_UNIT: u32 = 1;
/// Unit of a sample stream that holds noise on the labels.
pub const LABEL_NOISE_UNIT: u32 = 2;

/// Inputs x (N of them) with the latents c (D of them) they were made from.
///
/// Samples come in blocks of [`Source::block_rows`] rows; sample j of a stream is row
/// `j % block_rows` of block `j / block_rows`, whatever was asked for before.
pub trait Source<T: Real>: Send + Sync {
    /// N, the number of inputs.
    fn inputs(&self) -> usize;

    /// D, the number of latents.
    fn latents(&self) -> usize;

    /// Fill `inputs` (block_rows x N) from `latents` (block_rows x D) in block `block` of `stream`.
    ///
    /// `stream` serves noise inside the inputs; the latents are there already.
    ///
    /// # Errors
    /// Slices that do not hold the same number of whole rows, and what the maker of the inputs raises.
    fn inputs_from_latents(
        &self,
        stream: &Stream,
        block: u64,
        latents: &[T],
        inputs: &mut [T],
    ) -> Result<()>;

    /// Rows of a block. A function of N alone, never of the number of threads.
    fn block_rows(&self) -> usize {
        // 128 rows amortise the packing of F; a block of many inputs must still leave all cores
        // something to do within a modest buffer.
        (1_usize << 19)
            .checked_div(self.inputs())
            .map_or(128, |rows| rows.next_power_of_two().clamp(16, 128))
    }

    /// Latents ~ N(0, 1) and inputs of block `block` of `stream`.
    ///
    /// # Errors
    /// As of [`Self::inputs_from_latents`].
    fn fill(&self, stream: &Stream, block: u64, latents: &mut [T], inputs: &mut [T]) -> Result<()> {
        fill_normal(&mut stream.generator(LATENT_UNIT, block), latents);
        self.inputs_from_latents(stream, block, latents, inputs)
    }

    /// Weights seen from the latents: S = w F / √N, (units x D) for w (units x N); `None` where
    /// the inputs are not a nonlinearity of linear features.
    ///
    /// # Errors
    /// Weights that are not those of so many units.
    fn project(&self, weights: &[f64], units: usize) -> Result<Option<Vec<f64>>>;
}

/// Rows of a block whose latents, `d` a row, and inputs, `n` a row, these are.
///
/// # Errors
/// [`Error::Shape`] unless both hold the same number of whole rows.
pub(crate) fn block_size<T>(latents: &[T], d: usize, inputs: &[T], n: usize) -> Result<usize> {
    let count = latents.len().checked_div(d).unwrap_or_default();
    if (latents.len(), inputs.len()) == (count * d, count * n) {
        return Ok(count);
    }
    Err(Error::shape(
        "latents, inputs",
        &[latents.len(), inputs.len()],
        format!("must hold as many rows of D = {d} numbers as of N = {n}"),
        "pass whole rows, of latents and of room for their inputs",
    ))
}

/// Samples of a stream whose blocks have so many rows.
pub fn stream_length(rows_of_block: usize) -> u64 {
    BLOCKS_OF_UNIT.saturating_mul(rows_of_block as u64)
}

/// Rows of one block that a call asks for.
pub(crate) struct Piece<'a, A, B> {
    /// Number of the block.
    pub block: u64,
    /// The first row of it that is wanted.
    pub offset: usize,
    /// Where the rows go: one output and the other.
    pub outputs: (&'a mut [A], &'a mut [B]),
}

/// The rows that a call asks for, cut where blocks begin; `widths` numbers of each go into the two outputs.
///
/// # Errors
/// Rows beyond the stream's length: they would repeat its beginning.
pub(crate) fn cut_by_block<'a, A, B>(
    start: u64,
    rows_of_block: usize,
    outputs: (&'a mut [A], &'a mut [B]),
    widths: (usize, usize),
) -> Result<Vec<Piece<'a, A, B>>> {
    let count = outputs.0.len() / widths.0;
    let size = rows_of_block as u64;
    let length = stream_length(rows_of_block);
    if start
        .checked_add(count as u64)
        .is_none_or(|end| end > length)
    {
        return Err(Error::invalid(
            "start",
            start,
            format!("a stream of these inputs has {length} samples, and {count} are asked for"),
            "start earlier, or name another stream with seed",
        ));
    }
    let offset = (start % size) as usize;
    // The first piece ends at a block boundary; all others but the last are whole blocks.
    let head = (rows_of_block - offset).min(count);
    let (first, others) = outputs.0.split_at_mut(head * widths.0);
    let (first_too, others_too) = outputs.1.split_at_mut(head * widths.1);
    let block = start / size;
    let head = Piece {
        block,
        offset,
        outputs: (first, first_too),
    };
    let whole = others
        .chunks_mut(rows_of_block * widths.0)
        .zip(others_too.chunks_mut(rows_of_block * widths.1))
        .zip(block + 1..)
        .map(|(outputs, block)| Piece {
            block,
            offset: 0,
            outputs,
        });
    Ok(std::iter::once(head).chain(whole).collect())
}

/// Samples `start..start + count` of `stream` into `inputs`, shape (count, N), and `latents`, shape (count, D).
///
/// # Errors
/// Samples beyond the stream's length, shapes that do not fit, what the source refuses, an interruption.
pub fn sample<T: Real>(
    source: &dyn Source<T>,
    stream: &Stream,
    start: u64,
    mut inputs: ArrayViewMut2<'_, T>,
    mut latents: ArrayViewMut2<'_, T>,
    cancel: &Cancel,
) -> Result<()> {
    let (n, d, size) = (source.inputs(), source.latents(), source.block_rows());
    let shapes = (inputs.dim(), latents.dim());
    let (Some(inputs), Some(latents)) = (inputs.as_slice_mut(), latents.as_slice_mut()) else {
        return Err(misfit(shapes.0, n, d));
    };
    if shapes.0.0 != shapes.1.0 || (shapes.0.1, shapes.1.1) != (n, d) || n == 0 || d == 0 {
        return Err(misfit(shapes.0, n, d));
    }
    cut_by_block(start, size, (inputs, latents), (n, d))?
        .into_par_iter()
        .try_for_each(|piece| {
            cancel.check()?;
            let (block, offset, (x, c)) = (piece.block, piece.offset, piece.outputs);
            if x.len() == size * n {
                return source.fill(stream, block, c, x);
            }
            // Part of a block: make all of it, so that its bits cannot depend on the part.
            let mut all_latents = vec![T::ZERO; size * d];
            let mut all_inputs = vec![T::ZERO; size * n];
            source.fill(stream, block, &mut all_latents, &mut all_inputs)?;
            for (c, made) in c.iter_mut().zip(all_latents.iter().skip(offset * d)) {
                *c = *made;
            }
            for (x, made) in x.iter_mut().zip(all_inputs.iter().skip(offset * n)) {
                *x = *made;
            }
            Ok(())
        })
}

/// Samples of a mean that are held at a time.
const SLAB: usize = 4096;

/// Mean of the inputs, shape (N,), over the first `count` samples of `stream`.
///
/// # Errors
/// As [`sample`]; no samples; [`Error::Resource`].
pub fn mean<T: Real>(
    source: &dyn Source<T>,
    stream: &Stream,
    count: usize,
    cancel: &Cancel,
) -> Result<Array1<f64>> {
    if count == 0 {
        return Err(Error::invalid(
            "n_samples",
            count,
            "a mean needs samples",
            "pass more",
        ));
    }
    let (n, d) = (source.inputs(), source.latents());
    let what = format!("{SLAB} samples of N={n} inputs");
    let mut total = Array1::zeros(n);
    let most = SLAB.min(count);
    let mut inputs = zero_matrix::<T>((most, n), &what, "lower N")?;
    let mut latents = zero_matrix::<T>((most, d), &what, "lower D")?;
    for start in (0..count).step_by(SLAB) {
        let rows = SLAB.min(count - start);
        let mut x = inputs.slice_mut(s![..rows, ..]);
        let c = latents.slice_mut(s![..rows, ..]);
        sample(source, stream, start as u64, x.view_mut(), c, cancel)?;
        let mut sum = Array1::<f64>::zeros(n);
        for row in x.rows() {
            sum.zip_mut_with(&row, |sum, x| *sum += x.to_f64());
        }
        total += &sum;
    }
    Ok(total / count as f64)
}

fn misfit(found: (usize, usize), n: usize, d: usize) -> Error {
    Error::shape(
        "inputs",
        &[found.0, found.1],
        format!("must be contiguous (samples, {n}), with latents (samples, {d})"),
        "pass arrays of these shapes",
    )
}
