//! Labelled inputs: `(x, y)` with `y = +-1`.
//!
//! Row `j` of a stream is a function of the seed, the stream, the law and `j` alone. [`Linear`] names the laws with a
//! linear teacher along the first axis and label noise, [`Manifold`] the Gaussian inputs whose label is constant along
//! most directions.

mod linear;
mod manifold;

use hmm_core::memory::{zero_matrix, zeros};
use hmm_core::random::Stream;
use hmm_core::{Cancel, Error, Real, Result};
pub use linear::Linear;
pub use manifold::Manifold;
use ndarray::{Array1, Array2};

/// Shape of a data law.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// A linear teacher along the first axis.
    Linear(Linear),
    /// Gaussian inputs, labels constant along most directions.
    Manifold(Manifold),
}

/// A law of labelled inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelledLaw {
    shape: Shape,
    d: usize,
    flip: f64,
}

impl LabelledLaw {
    /// A law in `d` dimensions; `flip` is the probability of a flipped label (laws with a linear teacher only).
    ///
    /// # Errors
    /// No dimensions, more informative directions than dimensions, a probability outside [0, 1], numbers that are not
    /// finite.
    ///
    /// ```
    /// use hmm_core::{Cancel, random::{Purpose, Stream}};
    /// use hmm_sim::labelled::{LabelledLaw, Manifold, Shape};
    /// let stripe = Manifold::Stripe { low: -0.3, high: 1.2, inside: 1.0, stretch: 1.0 };
    /// let law = LabelledLaw::new(Shape::Manifold(stripe), 5, 0.0)?;
    /// let (x, y) = law.sample(&Stream::new(&[1; 8], Purpose::Sample), 0, 10, false, &Cancel::new())?;
    /// assert_eq!((x.dim(), y.len()), ((10, 5), 10));
    /// # Ok::<(), hmm_core::Error>(())
    /// ```
    pub fn new(shape: Shape, d: usize, flip: f64) -> Result<Self> {
        if d == 0 {
            return Err(Error::invalid(
                "d",
                d,
                "must be at least 1",
                "pass d=1 or more",
            ));
        }
        if !(0.0..=1.0).contains(&flip) {
            return Err(Error::invalid(
                "flip",
                flip,
                "must be a probability",
                "pass a number in [0, 1]",
            ));
        }
        match &shape {
            Shape::Linear(linear) => linear.check()?,
            Shape::Manifold(manifold) => {
                if flip > 0.0 {
                    return Err(Error::invalid(
                        "flip",
                        flip,
                        "labels of a manifold are not flipped",
                        "pass 0",
                    ));
                }
                manifold.check(d)?;
            }
        }
        Ok(Self { shape, d, flip })
    }

    /// d, the number of inputs.
    pub const fn inputs(&self) -> usize {
        self.d
    }

    /// Fill `x` (rows of length d) and `y` with the rows `start..` of `stream`; `clean` leaves out the
    /// label flips.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is one row for each label, rows beyond the stream's length,
    /// [`Error::Interrupted`].
    pub fn fill<T: Real>(
        &self,
        stream: &Stream,
        start: u64,
        x: &mut [T],
        y: &mut [T],
        clean: bool,
        cancel: &Cancel,
    ) -> Result<()> {
        if y.len().checked_mul(self.d) != Some(x.len()) {
            return Err(Error::shape(
                "x",
                &[x.len()],
                format!(
                    "must hold {} rows of {} inputs, as many as labels",
                    y.len(),
                    self.d
                ),
                "pass room for one row for each label",
            ));
        }
        match &self.shape {
            Shape::Linear(law) => {
                let flip = if clean { 0.0 } else { self.flip };
                law.fill(stream, start, (x, y), self.d, flip, cancel)
            }
            Shape::Manifold(law) => law.fill(stream, start, (x, y), self.d, cancel),
        }
    }

    /// The rows `start..start + count` of `stream` and their labels, shapes (count, d) and (count,).
    ///
    /// # Errors
    /// As [`Self::fill`]; [`Error::Resource`] if they do not fit into memory.
    pub fn sample(
        &self,
        stream: &Stream,
        start: u64,
        count: usize,
        clean: bool,
        cancel: &Cancel,
    ) -> Result<(Array2<f64>, Array1<f64>)> {
        let remedy = "take fewer at a time: start= continues the stream";
        let mut x = zero_matrix((count, self.d), "a sample", remedy)?;
        let mut y = zeros(count, "a sample", remedy)?;
        let inputs = x.as_slice_mut().unwrap_or_default();
        self.fill(stream, start, inputs, &mut y, clean, cancel)?;
        Ok((x, Array1::from(y)))
    }
}

/// The sign as a label: +1 at zero.
fn sign(x: f64) -> f64 {
    if x < 0.0 { -1.0 } else { 1.0 }
}

/// Nothing if all of `numbers` are finite.
fn finite(numbers: &[(&'static str, f64)]) -> Result<()> {
    numbers
        .iter()
        .find(|(_, number)| !number.is_finite())
        .map_or(Ok(()), |(name, number)| {
            Err(Error::invalid(
                name,
                number,
                "must be finite",
                "pass such a number",
            ))
        })
}
