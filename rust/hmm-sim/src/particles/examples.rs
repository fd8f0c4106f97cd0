//! What particles learn from: stored examples, or a fresh batch at every step.

use crate::labelled::LabelledLaw;
use hmm_core::random::{Purpose, Seed, Stream};
use hmm_core::{Cancel, Error, Real, Result, memory};
use ndarray::{Array1, Array2};

/// Inputs and labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled<T> {
    /// Inputs, shape (P, d), row by row.
    pub(super) x: Vec<T>,
    /// Labels, shape (P,).
    pub(super) y: Vec<T>,
}

impl<T: Real> Labelled<T> {
    /// Inputs `x`, shape (P, d), and labels `y`, shape (P,).
    ///
    /// # Errors
    /// [`Error::Shape`] for shapes that disagree or hold nothing.
    pub fn new(x: Array2<T>, y: Array1<T>) -> Result<Self> {
        if x.nrows() != y.len() || x.is_empty() {
            return Err(Error::shape(
                "X",
                x.shape(),
                format!("must have one row for each of {} labels", y.len()),
                "pass arrays of matching shapes",
            ));
        }
        Ok(Self {
            x: row_major(x),
            y: row_major(y),
        })
    }

    /// Number of examples.
    pub(super) fn len(&self) -> usize {
        self.y.len()
    }
}

/// The numbers of an array in row-major order, without a copy where they lie so.
pub(super) fn row_major<T: Copy, D: ndarray::Dimension>(array: ndarray::Array<T, D>) -> Vec<T> {
    if !array.is_standard_layout() {
        return array.iter().copied().collect();
    }
    let length = array.len();
    match array.into_raw_vec_and_offset() {
        (values, None | Some(0)) if values.len() == length => values,
        (values, offset) => values
            .into_iter()
            .skip(offset.unwrap_or(0))
            .take(length)
            .collect(),
    }
}

/// A stream of labelled examples: row `j` is the same whenever and in whatever batch it is asked for.
pub trait Batches<T>: Send + Sync {
    /// Inputs of an example.
    fn inputs(&self) -> usize;

    /// Fill `x` (rows of inputs) and `y` with the rows `start..` of the stream.
    ///
    /// # Errors
    /// [`Error::Interrupted`], and what the maker of the examples raises.
    fn fill(&self, start: u64, x: &mut [T], y: &mut [T], cancel: &Cancel) -> Result<()>;
}

/// The training stream of a law.
#[derive(Debug, Clone, Copy)]
pub struct LawBatches {
    /// The law.
    pub law: LabelledLaw,
    /// Its seed.
    pub seed: Seed,
}

impl<T: Real> Batches<T> for LawBatches {
    fn inputs(&self) -> usize {
        self.law.inputs()
    }

    fn fill(&self, start: u64, x: &mut [T], y: &mut [T], cancel: &Cancel) -> Result<()> {
        let stream = Stream::new(&self.seed, Purpose::Sample);
        self.law.fill(&stream, start, x, y, false, cancel)
    }
}

/// What a network learns from.
pub enum Examples<T> {
    /// The same examples at every step.
    Fixed(Labelled<T>),
    /// New examples at every step.
    Fresh {
        /// Where they come from.
        stream: Box<dyn Batches<T>>,
        /// Their number.
        batch: usize,
    },
}

impl<T: Real> Examples<T> {
    /// Number of examples of a step.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Fixed(examples) => examples.len(),
            Self::Fresh { batch, .. } => *batch,
        }
    }

    /// The fresh batch of `step`, if there is one.
    pub(super) fn draw(&self, step: u64, d: usize, cancel: &Cancel) -> Result<Option<Labelled<T>>> {
        let Self::Fresh { stream, batch } = self else {
            return Ok(None);
        };
        let remedy = "use a smaller batch";
        let mut x = memory::filled(
            T::ZERO,
            batch.saturating_mul(d),
            "the inputs of a batch",
            remedy,
        )?;
        let mut y = memory::filled(T::ZERO, *batch, "the labels of a batch", remedy)?;
        let start = step.checked_mul(*batch as u64).ok_or_else(|| {
            Error::invalid(
                "steps",
                step,
                format!("the stream of examples ends before {batch} times as many rows"),
                "take fewer steps",
            )
        })?;
        stream.fill(start, &mut x, &mut y, cancel)?;
        Ok(Some(Labelled { x, y }))
    }
}
