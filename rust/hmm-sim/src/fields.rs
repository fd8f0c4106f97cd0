//! Teacher, order parameters of given weights, and the error they imply.
//!
//! ```
//! use hmm_core::{Activation, Cancel};
//! use hmm_sim::fields::{Outputs, squared_error};
//! // One erf unit that learns another, all fields of variance one and the overlap R:
//! // error = 1/3 - (2/pi) asin(R/2) (Saad and Solla 1995).
//! let network = Outputs { v: &[1.0], unit: Activation::Erf };
//! let one: &[f64] = &[1.0];
//! for r in [0.0, 0.5, 1.0] {
//!     let found = squared_error([one, &[r], one], network, network, &Cancel::new())?;
//!     let known = 1.0 / 3.0 - std::f64::consts::FRAC_2_PI * (0.5 * r).asin();
//!     assert!((found.unwrap_or(f64::NAN) - known).abs() < 1e-15);
//! }
//! # Ok::<(), hmm_core::Error>(())
//! ```

use crate::activation::{CLOSED, Formula};
use crate::monomorphic;
use crate::source::{Source, block_size};
use hmm_core::linalg::{matmul, rows, rows_mut};
use hmm_core::{Activation, Cancel, Error, Named, Real, Result};
use ndarray::{ArrayView1, ArrayView2};
use rayon::prelude::*;

hmm_core::named! {
    /// What the teacher sees.
    pub enum Labels: "labels" {
        /// ν = w̃.c/√D
        Latent = "latent",
        /// ν = w̃.x/√N
        Input = "input",
    }
}

/// b = E u f(u) and ζ = c - a² - b² of a hidden manifold's nonlinearity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldMoments {
    /// b
    pub b: f64,
    /// ζ
    pub zeta: f64,
}

impl FieldMoments {
    /// Q = ζ W + b² Σ
    pub fn student_overlap(&self, w: &[f64], sigma: &[f64]) -> Vec<f64> {
        w.iter()
            .zip(sigma)
            .map(|(w, sigma)| self.zeta * w + self.b * self.b * sigma)
            .collect()
    }
}

/// A teacher y* = Σ_m ṽ_m g̃(ν_m).
#[derive(Debug, Clone)]
pub struct Teacher<T> {
    /// w̃, row-major M x D (labels on latents) or M x N (labels on inputs).
    w: Vec<T>,
    /// ṽ, M entries.
    pub(crate) v: Vec<f64>,
    /// g̃
    pub(crate) unit: Activation,
    labels: Labels,
    /// Whether its label is the sign of y*, +1 for zero.
    pub(crate) classify: bool,
}

impl<T: Real> Teacher<T> {
    /// A teacher of weights w̃, M x D (labels on latents) or M x N (labels on inputs), and ṽ, M entries.
    ///
    /// With `classify` its label is the sign of y*, +1 for zero.
    ///
    /// # Errors
    /// Shapes that disagree, a unit without closed averages, weights beyond the range of `T`.
    pub fn new(
        w: ArrayView2<'_, f64>,
        v: ArrayView1<'_, f64>,
        unit: Activation,
        labels: Labels,
        classify: bool,
    ) -> Result<Self> {
        check_layers("teacher.w", w, v)?;
        Ok(Self {
            w: narrowed("teacher.w", w.iter())?,
            v: v.to_vec(),
            unit: Activation::one_of("teacher.activation", unit.name(), &CLOSED)?,
            labels,
            classify,
        })
    }

    /// An error unless the rows of w̃ have the length of what the teacher sees.
    pub(crate) fn check_width(&self, inputs: usize, latents: usize) -> Result<()> {
        let (seen, name) = match self.labels {
            Labels::Latent => (latents, "D"),
            Labels::Input => (inputs, "N"),
        };
        if self.width() == seen {
            return Ok(());
        }
        Err(Error::shape(
            "teacher.w",
            &[self.v.len(), self.width()],
            format!(
                "with labels='{}' its rows must have length {name} = {seen}",
                self.labels
            ),
            format!("pass a teacher of {seen} inputs"),
        ))
    }

    /// Length of a row of w̃.
    fn width(&self) -> usize {
        self.w.len() / self.v.len()
    }

    /// Fields ν of a block of samples: `fields` is rows x M.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are as many rows of what the teacher sees.
    pub fn fields(&self, inputs: &[T], latents: &[T], fields: &mut [f64]) -> Result<()> {
        let (teachers, width) = (self.v.len(), self.width());
        let seen = match self.labels {
            Labels::Latent => latents,
            Labels::Input => inputs,
        };
        let count = fields.len() / teachers;
        if (fields.len(), seen.len()) != (count * teachers, count * width) {
            return Err(Error::shape(
                "fields",
                &[fields.len(), seen.len()],
                format!(
                    "must hold {teachers} numbers for each row of {width} that the teacher sees"
                ),
                "pass whole rows, and room for the fields of each",
            ));
        }
        let mut narrow = vec![T::ZERO; fields.len()];
        matmul(
            rows_mut(&mut narrow, count, teachers),
            rows(seen, count, width),
            rows(&self.w, teachers, width).transpose(),
            T::from_f64(1.0 / (width as f64).sqrt()),
        );
        for (field, x) in fields.iter_mut().zip(narrow) {
            *field = x.to_f64();
        }
        Ok(())
    }

    /// Noiseless labels of given fields.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are M fields for each label.
    pub fn labels(&self, fields: &[f64], labels: &mut [f64]) -> Result<()> {
        if labels.len().checked_mul(self.v.len()) != Some(fields.len()) {
            return Err(Error::shape(
                "fields",
                &[fields.len()],
                format!(
                    "must be {} for each of {} labels",
                    self.v.len(),
                    labels.len()
                ),
                "pass the fields of as many samples",
            ));
        }
        weighted_values(self.unit, &self.v, fields, labels);
        if self.classify {
            for label in labels {
                *label = if *label < 0.0 { -1.0 } else { 1.0 };
            }
        }
        Ok(())
    }

    /// R (K x M) and T (M x M) for a hidden manifold, from the student's weights w (K x N) and their
    /// projection S (K x D).
    ///
    /// # Errors
    /// A teacher of other inputs, weights and projections of other sizes.
    pub fn overlaps(
        &self,
        source: &dyn Source<T>,
        moments: &FieldMoments,
        w: &[f64],
        projected: &[f64],
    ) -> Result<(Vec<f64>, Vec<f64>)> {
        let (n, d) = (source.inputs(), source.latents());
        self.check_width(n, d)?;
        block_size(projected, d, w, n)?;
        let teacher: Vec<f64> = self.w.iter().map(|x| x.to_f64()).collect();
        Ok(match self.labels {
            // R = (b/D) S w̃ᵀ, T = w̃ w̃ᵀ/D
            Labels::Latent => (
                gram(projected, &teacher, d, moments.b / d as f64),
                gram(&teacher, &teacher, d, 1.0 / d as f64),
            ),
            // The teacher's fields have the student's form: ζ w.w̃/N + b² S.S̃/D.
            Labels::Input => {
                let seen = source
                    .project(&teacher, self.v.len())?
                    .unwrap_or_else(|| vec![f64::NAN; self.v.len() * d]);
                let overlap = |a: &[f64], a_seen: &[f64]| {
                    moments.student_overlap(
                        &gram(a, &teacher, n, 1.0 / n as f64),
                        &gram(a_seen, &seen, d, 1.0 / d as f64),
                    )
                };
                (overlap(w, projected), overlap(&teacher, &seen))
            }
        })
    }
}

/// Outputs Σ_k v_k g(field_k) of a network of one unit or more, for rows of fields.
pub(crate) fn weighted_values(unit: Activation, v: &[f64], fields: &[f64], outputs: &mut [f64]) {
    monomorphic!(unit, UNIT => hmm_core::special::vectorised(
        #[inline(always)]
        || {
            for (output, fields) in outputs.iter_mut().zip(fields.chunks_exact(v.len())) {
                let mut sum = 0.0;
                for (&field, v) in fields.iter().zip(v) {
                    sum += v * UNIT.value(field);
                }
                *output = sum;
            }
        },
    ));
}

/// An error unless w (units x inputs) and v (units) make a network.
pub(crate) fn check_layers(
    argument: &'static str,
    w: ArrayView2<'_, f64>,
    v: ArrayView1<'_, f64>,
) -> Result<()> {
    if w.nrows() == v.len() && !w.is_empty() {
        return Ok(());
    }
    Err(Error::shape(
        argument,
        w.shape(),
        format!(
            "must have one row for each of the {} entries of v, and a column",
            v.len()
        ),
        "pass w of shape (K, N) and v of shape (K,)",
    ))
}

/// Numbers rounded to `T`.
///
/// # Errors
/// One that is not finite there.
pub(crate) fn narrowed<'a, T: Real>(
    argument: &'static str,
    values: impl Iterator<Item = &'a f64>,
) -> Result<Vec<T>> {
    values
        .map(|&value| {
            let rounded = T::from_f64(value);
            if rounded.finite() {
                Ok(rounded)
            } else {
                Err(Error::invalid(
                    argument,
                    value,
                    format!("must be finite in {}", T::NAME),
                    "pass smaller weights, or dtype='float64'",
                ))
            }
        })
        .collect()
}

/// Rows of a product that are made between two looks at the cancel flag.
const PRODUCT_ROWS: usize = 256;

/// [`gram`] in blocks of rows, in parallel and with looks at `cancel`.
pub(crate) fn large_gram(
    a: &[f64],
    b: &[f64],
    n: usize,
    scale: f64,
    cancel: &Cancel,
) -> Result<Vec<f64>> {
    let q = b.len() / n;
    let mut product = vec![0.0; a.len() / n * q];
    product
        .par_chunks_mut(PRODUCT_ROWS * q)
        .zip(a.par_chunks(PRODUCT_ROWS * n))
        .try_for_each(|(out, a)| {
            cancel.check()?;
            let p = a.len() / n;
            matmul(
                rows_mut(out, p, q),
                rows(a, p, n),
                rows(b, q, n).transpose(),
                scale,
            );
            Ok::<(), Error>(())
        })?;
    Ok(product)
}

/// `scale` a bᵀ for row-major a and b with rows of length `n` > 0.
pub(crate) fn gram(a: &[f64], b: &[f64], n: usize, scale: f64) -> Vec<f64> {
    let (p, q) = (a.len() / n, b.len() / n);
    let mut product = vec![0.0; p * q];
    matmul(
        rows_mut(&mut product, p, q),
        rows(a, p, n),
        rows(b, q, n).transpose(),
        scale,
    );
    product
}

/// Second layer and unit of a network.
#[derive(Debug, Clone, Copy)]
pub struct Outputs<'a> {
    /// v
    pub v: &'a [f64],
    /// g
    pub unit: Activation,
}

/// ε_g = ½ E(φ - y*)² from the order parameters Q (K x K), R (K x M), T (M x M) (HMM note 4.4); `None` for units
/// without closed averages.
///
/// # Errors
/// [`Error::Shape`] for order parameters of other sizes, [`Error::Interrupted`] if cancelled.
#[expect(
    clippy::indexing_slicing,
    reason = "the sizes of Q, R and T are checked at the door against those of v"
)]
pub fn squared_error(
    [q, r, t]: [&[f64]; 3],
    student: Outputs<'_>,
    teacher: Outputs<'_>,
    cancel: &Cancel,
) -> Result<Option<f64>> {
    let (students, teachers) = (student.v.len(), teacher.v.len());
    for (argument, found, rows, columns) in [
        ("Q", q.len(), students, students),
        ("R", r.len(), students, teachers),
        ("T", t.len(), teachers, teachers),
    ] {
        if rows.checked_mul(columns) != Some(found) {
            return Err(Error::shape(
                argument,
                &[found],
                format!("must have {rows} x {columns} entries, as the second layers say"),
                "pass order parameters of these networks",
            ));
        }
    }
    let mut sum = 0.0;
    let mut add = |weight: f64, average: Option<f64>| match average {
        Some(average) => {
            sum += weight * average;
            true
        }
        None => false,
    };
    for k in 0..students {
        cancel.check()?;
        let variance = q[k * students + k];
        for l in 0..students {
            let (between, other) = (q[k * students + l], q[l * students + l]);
            let average = student
                .unit
                .pair_average(student.unit, variance, between, other);
            if !add(student.v[k] * student.v[l], average) {
                return Ok(None);
            }
        }
        for m in 0..teachers {
            let (between, other) = (r[k * teachers + m], t[m * teachers + m]);
            let average = student
                .unit
                .pair_average(teacher.unit, variance, between, other);
            if !add(-2.0 * student.v[k] * teacher.v[m], average) {
                return Ok(None);
            }
        }
    }
    for m in 0..teachers {
        cancel.check()?;
        for n in 0..teachers {
            let average = teacher.unit.pair_average(
                teacher.unit,
                t[m * teachers + m],
                t[m * teachers + n],
                t[n * teachers + n],
            );
            if !add(teacher.v[m] * teacher.v[n], average) {
                return Ok(None);
            }
        }
    }
    Ok(Some(0.5 * sum))
}
