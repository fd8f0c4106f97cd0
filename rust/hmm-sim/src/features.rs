//! Feature matrix F (N x D): dense, or structured and never stored.
//!
//! Conventions: u = C Fᵀ / √D for latents C; rows of F have squared norm about D, so that u has
//! unit variance; orthogonal kinds have FᵀF = N 1.

use hmm_core::linalg::{matmul, rows, rows_mut};
use hmm_core::random::{Rng, Stream, fill_normal};
use hmm_core::special::vectorised;
use hmm_core::{Error, Real, Result};
use rayon::prelude::*;
use rustdct::{DctPlanner, TransformType2And3};
use std::sync::Arc;

/// Rows of F drawn from one random block.
const DISORDER_ROWS: usize = 64;

/// Unit of the disorder stream that holds the entries of a dense F.
const ENTRY_UNIT: u32 = 0;
/// Unit of the disorder stream that holds columns and signs of a structured F.
const STRUCTURE_UNIT: u32 = 1;

/// Which F to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureKind {
    /// Independent N(0, 1) entries.
    Gaussian,
    /// Haar distributed columns with FᵀF = N 1 (D <= N).
    Orthogonal,
    /// D random columns of the N x N Hadamard matrix, rows with random signs (N a power of two).
    Hadamard,
    /// D random columns of √N times the orthonormal cosine transform, rows with random signs.
    Dct,
}

/// An N x D feature matrix.
pub struct Features<T> {
    inputs: usize,
    latents: usize,
    form: Form<T>,
}

enum Form<T> {
    /// Row-major N x D.
    Dense(Vec<T>),
    Structured(Structured<T>),
}

/// F = diag(row_scale) (transform restricted to `columns`).
struct Structured<T> {
    columns: Vec<usize>,
    /// Random sign of each row, times its normalisation.
    row_scale: Vec<T>,
    transform: Transform,
}

enum Transform {
    Hadamard,
    /// In double precision whatever the number type: the transform is not the bottleneck.
    Dct(Arc<dyn TransformType2And3<f64>>),
}

impl<T: Real> Features<T> {
    /// Draw F of `kind` from the disorder stream of `seed`.
    pub fn draw(
        kind: FeatureKind,
        inputs: usize,
        latents: usize,
        normalise_rows: bool,
        disorder: &Stream,
    ) -> Result<Self> {
        if kind != FeatureKind::Gaussian && latents > inputs {
            return Err(Error::invalid(
                "D",
                latents,
                format!("orthogonal columns need D <= N = {inputs}"),
                "lower D, or use F=\"gaussian\"",
            ));
        }
        let form = match kind {
            FeatureKind::Gaussian => Form::Dense(from_f64(&gaussian(inputs, latents, disorder))),
            FeatureKind::Orthogonal => {
                Form::Dense(from_f64(&orthogonal(inputs, latents, disorder)))
            }
            FeatureKind::Hadamard => {
                if !inputs.is_power_of_two() {
                    return Err(Error::invalid(
                        "N",
                        inputs,
                        "F=\"hadamard\" needs N to be a power of two",
                        format!("take N={} or F=\"dct\"", inputs.next_power_of_two()),
                    ));
                }
                Form::Structured(Structured::draw(
                    Transform::Hadamard,
                    inputs,
                    latents,
                    disorder,
                ))
            }
            FeatureKind::Dct => {
                let plan = DctPlanner::new().plan_dct3(inputs);
                Form::Structured(Structured::draw(
                    Transform::Dct(plan),
                    inputs,
                    latents,
                    disorder,
                ))
            }
        };
        let mut features = Self {
            inputs,
            latents,
            form,
        };
        if normalise_rows {
            features.normalise_rows();
        }
        Ok(features)
    }

    /// From a row-major N x D matrix of the caller.
    pub fn from_matrix(
        matrix: &[f64],
        inputs: usize,
        latents: usize,
        normalise_rows: bool,
    ) -> Result<Self> {
        if inputs == 0 || latents == 0 || matrix.len() != inputs * latents {
            return Err(Error::shape(
                "F",
                &[matrix.len()],
                format!("must hold N x D = {inputs} x {latents} entries"),
                "pass an (N, D) array",
            ));
        }
        let mut features = Self {
            inputs,
            latents,
            form: Form::Dense(from_f64(matrix)),
        };
        if normalise_rows {
            features.normalise_rows();
        }
        Ok(features)
    }

    /// N
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// D
    pub fn latents(&self) -> usize {
        self.latents
    }

    /// Fields u = C Fᵀ / √D: `latents` (count x D) into `fields` (count x N).
    pub fn fields(&self, latents: &[T], fields: &mut [T]) {
        let (n, d) = (self.inputs, self.latents);
        let count = latents.len() / d;
        let scale = T::from_f64(1.0 / (d as f64).sqrt());
        match &self.form {
            Form::Dense(matrix) => matmul(
                rows_mut(fields, count, n),
                rows(latents, count, d),
                rows(matrix, n, d).transpose(),
                scale,
            ),
            Form::Structured(structured) => {
                let mut scratch = structured.scratch();
                for (c, u) in latents.chunks_exact(d).zip(fields.chunks_exact_mut(n)) {
                    structured.expand(c, u, scale, &mut scratch);
                }
            }
        }
    }

    /// S = w F / √N for weights w (units x N), result units x D, in double precision.
    pub fn project(&self, weights: &[f64], units: usize) -> Vec<f64> {
        let (n, d) = (self.inputs, self.latents);
        let scale = 1.0 / (n as f64).sqrt();
        let mut projected = vec![0.0; units * d];
        match &self.form {
            Form::Dense(matrix) => {
                // Chunks of F are widened on the way, so a second copy of it never exists.
                for (chunk, w_start) in matrix
                    .chunks(DISORDER_ROWS * d)
                    .zip((0..).step_by(DISORDER_ROWS))
                {
                    let wide: Vec<f64> = chunk.iter().map(|x| x.to_f64()).collect();
                    let count = chunk.len() / d;
                    hmm_core::linalg::matmul_add(
                        rows_mut(&mut projected, units, d),
                        rows(weights, units, n).subcols(w_start, count),
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
        projected
    }

    /// F as a dense row-major N x D matrix.
    pub fn dense(&self) -> Vec<f64> {
        match &self.form {
            Form::Dense(matrix) => matrix.iter().map(|x| x.to_f64()).collect(),
            Form::Structured(structured) => {
                let (n, d) = (self.inputs, self.latents);
                let mut matrix = vec![0.0; n * d];
                let mut scratch = structured.scratch();
                let mut unit = vec![T::ZERO; d];
                let mut column = vec![T::ZERO; n];
                for r in 0..d {
                    unit[r] = T::ONE;
                    structured.expand(&unit, &mut column, T::ONE, &mut scratch);
                    unit[r] = T::ZERO;
                    for (row, value) in matrix.chunks_exact_mut(d).zip(&column) {
                        row[r] = value.to_f64();
                    }
                }
                matrix
            }
        }
    }

    /// Scale every row to squared norm D.
    fn normalise_rows(&mut self) {
        let d = self.latents;
        match &mut self.form {
            Form::Dense(matrix) => {
                for row in matrix.chunks_exact_mut(d) {
                    let norm2: f64 = row.iter().map(|x| x.to_f64().powi(2)).sum();
                    let scale = T::from_f64((d as f64 / norm2).sqrt());
                    for x in row {
                        *x *= scale;
                    }
                }
            }
            Form::Structured(structured) => {
                let mut norm2 = vec![0.0; self.inputs];
                let mut scratch = structured.scratch();
                let mut unit = vec![T::ZERO; d];
                let mut column = vec![T::ZERO; self.inputs];
                for r in 0..d {
                    unit[r] = T::ONE;
                    structured.expand(&unit, &mut column, T::ONE, &mut scratch);
                    unit[r] = T::ZERO;
                    for (sum, x) in norm2.iter_mut().zip(&column) {
                        *sum += x.to_f64().powi(2);
                    }
                }
                for (scale, sum) in structured.row_scale.iter_mut().zip(norm2) {
                    *scale *= T::from_f64((d as f64 / sum).sqrt());
                }
            }
        }
    }
}

impl<T: Real> Structured<T> {
    fn draw(transform: Transform, inputs: usize, latents: usize, disorder: &Stream) -> Self {
        let mut generator = disorder.generator(STRUCTURE_UNIT, 0);
        // The constant column would give all inputs a common part: leave it out where possible.
        let spare = usize::from(latents < inputs);
        let mut order: Vec<usize> = (spare..inputs).collect();
        for r in 0..latents {
            let left = (order.len() - r) as u64;
            let pick = r + (generator.next_u64() % left) as usize;
            order.swap(r, pick);
        }
        order.truncate(latents);
        let row_scale = (0..inputs)
            .map(|_| {
                if generator.next_u32() & 1 == 0 {
                    T::ONE
                } else {
                    -T::ONE
                }
            })
            .collect();
        Self {
            columns: order,
            row_scale,
            transform,
        }
    }

    /// Working memory of [`Self::expand`]: the double-precision row, then the plan's own.
    fn scratch(&self) -> Vec<f64> {
        match &self.transform {
            Transform::Hadamard => Vec::new(),
            Transform::Dct(plan) => vec![0.0; self.row_scale.len() + plan.get_scratch_len()],
        }
    }

    /// u = scale F c
    fn expand(&self, c: &[T], u: &mut [T], scale: T, scratch: &mut [f64]) {
        match &self.transform {
            Transform::Hadamard => {
                u.fill(T::ZERO);
                for (&column, &value) in self.columns.iter().zip(c) {
                    u[column] = value;
                }
                walsh_hadamard(u);
            }
            Transform::Dct(plan) => {
                let (row, scratch) = scratch.split_at_mut(u.len());
                row.fill(0.0);
                for (&column, &value) in self.columns.iter().zip(c) {
                    // The type-3 transform halves its first input: x_0/2 + Σ x_k cos(πk(i+½)/N).
                    let doubled = if column == 0 { 2.0 } else { 1.0 };
                    row[column] = value.to_f64() * doubled * cosine_norm(column);
                }
                plan.process_dct3_with_scratch(row, scratch);
                for (x, &y) in u.iter_mut().zip(row.iter()) {
                    *x = T::from_f64(y);
                }
            }
        }
        vectorised(
            #[inline(always)]
            || {
                for (x, &row) in u.iter_mut().zip(&self.row_scale) {
                    *x *= row * scale;
                }
            },
        );
    }

    /// s = scale w F, in double precision.
    fn contract(&self, w: &[f64], s: &mut [f64], scale: f64) {
        let mut weighted: Vec<f64> = w
            .iter()
            .zip(&self.row_scale)
            .map(|(w, row)| w * row.to_f64())
            .collect();
        match &self.transform {
            Transform::Hadamard => walsh_hadamard(&mut weighted),
            // The type-2 transform is the transpose of the type-3 one (but for the halved input).
            Transform::Dct(plan) => plan.process_dct2(&mut weighted),
        }
        for (&column, out) in self.columns.iter().zip(s) {
            let norm = match &self.transform {
                Transform::Hadamard => 1.0,
                Transform::Dct(_) => cosine_norm(column),
            };
            *out = scale * norm * weighted[column];
        }
    }
}

/// Entry of √N times the orthonormal cosine transform, per cosine: 1 or √2.
fn cosine_norm(column: usize) -> f64 {
    if column == 0 {
        1.0
    } else {
        std::f64::consts::SQRT_2
    }
}

/// In-place Walsh-Hadamard transform (unnormalised, Sylvester order) of a power-of-two length.
fn walsh_hadamard<T: Real>(values: &mut [T]) {
    vectorised(
        #[inline(always)]
        || {
            let mut half = 1;
            while half < values.len() {
                for pair in values.chunks_exact_mut(2 * half) {
                    let (low, high) = pair.split_at_mut(half);
                    for (a, b) in low.iter_mut().zip(high) {
                        let (sum, difference) = (*a + *b, *a - *b);
                        *a = sum;
                        *b = difference;
                    }
                }
                half *= 2;
            }
        },
    );
}

fn from_f64<T: Real>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&x| T::from_f64(x)).collect()
}

/// N x D independent normals.
fn gaussian(inputs: usize, latents: usize, disorder: &Stream) -> Vec<f64> {
    let mut matrix = vec![0.0; inputs * latents];
    matrix
        .par_chunks_mut(DISORDER_ROWS * latents)
        .enumerate()
        .for_each(|(block, chunk)| {
            fill_normal(&mut disorder.generator(ENTRY_UNIT, block as u64), chunk);
        });
    matrix
}

/// Haar distributed N x D with FᵀF = N 1: QR of a Gaussian matrix, signs fixed by R.
fn orthogonal(inputs: usize, latents: usize, disorder: &Stream) -> Vec<f64> {
    let mut matrix = gaussian(inputs, latents, disorder);
    let decomposition = hmm_core::linalg::rows(&matrix, inputs, latents).qr();
    let q = decomposition.compute_thin_Q();
    let r = decomposition.thin_R();
    let norm = (inputs as f64).sqrt();
    for (i, row) in matrix.chunks_exact_mut(latents).enumerate() {
        for (j, x) in row.iter_mut().enumerate() {
            *x = norm * q[(i, j)] * r[(j, j)].signum();
        }
    }
    matrix
}
