//! Feature matrix F (N x D): dense, or structured and never stored.
//!
//! Conventions: u = C Fᵀ / √D for latents C; rows of F have squared norm about D, so that u has
//! unit variance; orthogonal kinds have FᵀF = N 1.
//!
//! ```
//! use hmm_core::Cancel;
//! use hmm_core::random::{Purpose, Stream};
//! use hmm_sim::features::{FeatureKind, Features};
//! let (n, d, disorder) = (8, 3, Stream::new(&[1; 8], Purpose::Disorder));
//! let hadamard = FeatureKind::Hadamard;
//! let f = Features::<f64>::draw(hadamard, n, d, false, &disorder, &Cancel::new())?;
//! let matrix = f.dense(&Cancel::new())?;
//! assert!(matrix.iter().all(|x| x.abs() == 1.0));
//! assert_eq!(matrix.t().dot(&matrix), ndarray::Array2::<f64>::eye(d) * n as f64);
//! // Weights along a column of F, seen from the latents: S = w F/√N is √N at that latent.
//! let s = f.project(&matrix.column(1).to_vec(), 1)?;
//! assert!((s[1] - (n as f64).sqrt()).abs() < 1e-14 && s[0].abs() < 1e-14);
//! # Ok::<(), hmm_core::Error>(())
//! ```

mod dense;
mod structured;

use crate::source::block_size;
use dense::DISORDER_ROWS;
use hmm_core::linalg::{matmul_add, rows, rows_mut};
use hmm_core::memory::zero_matrix;
use hmm_core::packed::PackedRows;
use hmm_core::random::Stream;
use hmm_core::{Cancel, Error, Real, Result};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;
use structured::{Structured, Transform};

/// Numbers of the rows that a fast transform makes at a time.
const PIECE: usize = 1 << 14;

hmm_core::named! {
    /// Which F to draw.
    pub enum FeatureKind: "F" {
        /// Independent N(0, 1) entries.
        Gaussian = "gaussian",
        /// Haar distributed columns with FᵀF = N 1 (D <= N).
        Orthogonal = "orthogonal",
        /// D random columns of the N x N Hadamard matrix, rows with random signs (N a power of two).
        Hadamard = "hadamard",
        /// D random columns of √N times the orthonormal cosine transform, rows with random signs.
        Dct = "dct",
    }
}

/// An N x D feature matrix.
pub struct Features<T> {
    inputs: usize,
    latents: usize,
    form: Form<T>,
}

enum Form<T> {
    /// N x D, packed for the product with latents.
    Dense(PackedRows<T>),
    Structured(Structured<T>),
}

impl<T: Real> Features<T> {
    /// Draw F of `kind` from the disorder stream of a seed.
    ///
    /// # Errors
    /// No inputs or latents, more orthogonal columns than rows, a Hadamard matrix whose size is no power of two;
    /// [`Error::Resource`]; an interruption.
    pub fn draw(
        kind: FeatureKind,
        inputs: usize,
        latents: usize,
        normalise_rows: bool,
        disorder: &Stream,
        cancel: &Cancel,
    ) -> Result<Self> {
        if inputs == 0 || latents == 0 {
            return Err(empty(inputs, latents));
        }
        if kind != FeatureKind::Gaussian && latents > inputs {
            return Err(Error::invalid(
                "D",
                latents,
                format!("orthogonal columns need D <= N = {inputs}"),
                "lower D, or use F=\"gaussian\"",
            ));
        }
        let transform = match kind {
            FeatureKind::Gaussian => {
                let drawn = dense::gaussian(inputs, latents, disorder, cancel)?;
                return Self::from_matrix(drawn.view(), normalise_rows);
            }
            FeatureKind::Orthogonal => {
                let drawn = dense::orthogonal(inputs, latents, disorder, cancel)?;
                return Self::from_matrix(drawn.view(), normalise_rows);
            }
            FeatureKind::Hadamard => {
                if !inputs.is_power_of_two() {
                    return Err(Error::invalid(
                        "N",
                        inputs,
                        "F=\"hadamard\" needs N to be a power of two",
                        "take such an N, or F=\"dct\"",
                    ));
                }
                Transform::Hadamard
            }
            FeatureKind::Dct => Transform::dct(inputs),
        };
        let mut structured = Structured::draw(transform, inputs, latents, disorder);
        if normalise_rows {
            structured.normalise_rows();
        }
        Ok(Self {
            inputs,
            latents,
            form: Form::Structured(structured),
        })
    }

    /// From a matrix of the caller, shape (N, D).
    ///
    /// # Errors
    /// [`Error::Shape`] for a matrix without entries, [`Error::Resource`].
    pub fn from_matrix(matrix: ArrayView2<'_, f64>, normalise_rows: bool) -> Result<Self> {
        let (inputs, latents) = matrix.dim();
        if matrix.is_empty() {
            return Err(empty(inputs, latents));
        }
        let packed = PackedRows::new(
            (inputs, latents),
            ["the feature matrix", "lower N or D"],
            |row, entries| {
                for (entry, &x) in entries.iter_mut().zip(matrix.row(row)) {
                    *entry = T::from_f64(x);
                }
                if normalise_rows {
                    normalise(entries);
                }
            },
        )?;
        Ok(Self {
            inputs,
            latents,
            form: Form::Dense(packed),
        })
    }

    /// N
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// D
    pub fn latents(&self) -> usize {
        self.latents
    }

    /// Rows of fields worth asking for at once: what is done to them next finds them in the cache.
    pub(crate) fn rows_at_once(&self) -> usize {
        match &self.form {
            // The panels of F go through the cache once a call.
            Form::Dense(_) => usize::MAX,
            Form::Structured(_) => (PIECE / self.inputs).max(1),
        }
    }

    /// Fields u = C Fᵀ / √D: `latents` (count x D) into `fields` (count x N).
    ///
    /// # Errors
    /// [`Error::Shape`] unless both hold the same number of whole rows.
    pub fn fields(&self, latents: &[T], fields: &mut [T]) -> Result<()> {
        let (n, d) = (self.inputs, self.latents);
        block_size(latents, d, fields, n)?;
        let scale = T::from_f64(1.0 / (d as f64).sqrt());
        match &self.form {
            Form::Dense(matrix) => matrix.product(latents, scale, fields),
            Form::Structured(structured) => {
                let mut scratch = structured.scratch();
                for (c, u) in latents.chunks_exact(d).zip(fields.chunks_exact_mut(n)) {
                    structured.expand(c, u, scale, &mut scratch);
                }
                Ok(())
            }
        }
    }

    /// S = w F / √N for weights w (units x N), result units x D, in double precision.
    ///
    /// # Errors
    /// [`Error::Shape`] for weights that are not those of so many units.
    pub fn project(&self, weights: &[f64], units: usize) -> Result<Vec<f64>> {
        let (n, d) = (self.inputs, self.latents);
        check_weights(weights, units, n)?;
        let scale = 1.0 / (n as f64).sqrt();
        let mut projected = vec![0.0; units * d];
        match &self.form {
            Form::Dense(matrix) => {
                // Some rows of F are widened on the way, so a second copy of it never exists.
                for start in (0..n).step_by(DISORDER_ROWS) {
                    let chunk = start..n.min(start + DISORDER_ROWS);
                    let count = chunk.len();
                    let wide: Vec<f64> = chunk
                        .flat_map(|row| matrix.row(row))
                        .map(T::to_f64)
                        .collect();
                    matmul_add(
                        rows_mut(&mut projected, units, d),
                        rows(weights, units, n).subcols(start, count),
                        rows(&wide, count, d),
                        scale,
                    );
                }
            }
            Form::Structured(structured) => {
                for (w, s) in weights.chunks_exact(n).zip(projected.chunks_exact_mut(d)) {
                    structured.contract(w, s, scale);
                }
            }
        }
        Ok(projected)
    }

    /// F as a dense matrix, shape (N, D).
    ///
    /// # Errors
    /// [`Error::Resource`], an interruption.
    pub fn dense(&self, cancel: &Cancel) -> Result<Array2<f64>> {
        let shape = (self.inputs, self.latents);
        let mut matrix = zero_matrix(shape, "the feature matrix", "lower N or D")?;
        self.dense_into(matrix.view_mut(), cancel)?;
        Ok(matrix)
    }

    /// F into a matrix of the caller, contiguous and of shape (N, D).
    ///
    /// # Errors
    /// [`Error::Shape`] for another matrix, an interruption.
    pub fn dense_into(&self, mut matrix: ArrayViewMut2<'_, f64>, cancel: &Cancel) -> Result<()> {
        let (n, d) = (self.inputs, self.latents);
        let shape = matrix.dim();
        let Some(entries) = matrix.as_slice_mut().filter(|_| shape == (n, d)) else {
            return Err(Error::shape(
                "F",
                &[shape.0, shape.1],
                format!("must be contiguous, ({n}, {d})"),
                "pass such an array",
            ));
        };
        match &self.form {
            Form::Dense(packed) => {
                entries
                    .par_chunks_mut(d)
                    .enumerate()
                    .try_for_each(|(row, wide)| {
                        cancel.check()?;
                        for (wide, value) in wide.iter_mut().zip(packed.row(row)) {
                            *wide = value.to_f64();
                        }
                        Ok(())
                    })
            }
            Form::Structured(structured) => matrix
                .axis_iter_mut(Axis(1))
                .enumerate()
                .collect::<Vec<_>>()
                .into_par_iter()
                .try_for_each_init(
                    || (structured.scratch(), vec![T::ZERO; d], vec![T::ZERO; n]),
                    |(scratch, unit, values), (r, mut column)| {
                        cancel.check()?;
                        unit.fill(T::ZERO);
                        if let Some(entry) = unit.get_mut(r) {
                            *entry = T::ONE;
                        }
                        structured.expand(unit, values, T::ONE, scratch);
                        for (entry, value) in column.iter_mut().zip(values) {
                            *entry = value.to_f64();
                        }
                        Ok(())
                    },
                ),
        }
    }
}

/// Scale a row to a squared norm of its length.
fn normalise<T: Real>(row: &mut [T]) {
    let norm2: f64 = row.iter().map(|x| x.to_f64().powi(2)).sum();
    let scale = T::from_f64((row.len() as f64 / norm2).sqrt());
    for x in row {
        *x *= scale;
    }
}

/// An error unless these are the weights of so many units on `inputs` inputs.
pub(crate) fn check_weights(weights: &[f64], units: usize, inputs: usize) -> Result<()> {
    if units.checked_mul(inputs) == Some(weights.len()) {
        return Ok(());
    }
    Err(Error::shape(
        "weights",
        &[weights.len()],
        format!("must be those of {units} units on N = {inputs} inputs"),
        "pass w row by row",
    ))
}

fn empty(inputs: usize, latents: usize) -> Error {
    Error::shape(
        "F",
        &[inputs, latents],
        "must have inputs and latents",
        "pass an (N, D) array with N, D >= 1",
    )
}
