//! F as a fast transform, never stored: D columns of it, rows with random signs.

use hmm_core::random::{Rng, Stream};
use hmm_core::special::vectorised;
use hmm_core::{Aligned, Real};
use rustdct::{DctPlanner, TransformType2And3};
use std::f64::consts::SQRT_2;
use std::sync::Arc;

/// Unit of the disorder stream that holds columns and signs.
const STRUCTURE_UNIT: u32 = 1;

/// F = diag(row_scale) (transform restricted to `columns`).
pub(super) struct Structured<T> {
    columns: Vec<usize>,
    /// Random sign of each row, times its normalisation.
    row_scale: Vec<T>,
    transform: Transform,
}

/// Working memory of a transform.
pub(super) struct Scratch<T> {
    row: Aligned<T>,
    /// The row in double precision, where the transform is that of cosines.
    wide: Vec<f64>,
    /// What its plan needs.
    plan: Vec<f64>,
}

pub(super) enum Transform {
    Hadamard,
    /// In double precision whatever the number type: the transform is not the bottleneck.
    Dct(Arc<dyn TransformType2And3<f64>>),
}

impl Transform {
    /// The cosine transform of this length.
    pub(super) fn dct(length: usize) -> Self {
        Self::Dct(DctPlanner::new().plan_dct3(length))
    }
}

impl<T: Real> Structured<T> {
    pub(super) fn draw(
        transform: Transform,
        inputs: usize,
        latents: usize,
        disorder: &Stream,
    ) -> Self {
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

    /// Scale every row to squared norm D.
    #[expect(
        clippy::indexing_slicing,
        reason = "`draw` takes the columns from 0..N, and N is the length of whatever a row of the transform \
                  is in"
    )]
    pub(super) fn normalise_rows(&mut self) {
        // Rows of the Hadamard matrix have it already.
        if let Transform::Dct(plan) = &self.transform {
            // 2 cos²(πk(i+½)/N) = 1 + cos(2πk(i+½)/N): the squared norms are one transform. Frequencies past N come
            // back with the other sign, N itself vanishes.
            let inputs = self.row_scale.len();
            let mut sums = vec![0.0; inputs];
            for &column in &self.columns {
                match 2 * column {
                    0 => {}
                    low if low < inputs => sums[low] += 1.0,
                    high if high > inputs => sums[2 * inputs - high] -= 1.0,
                    _ => {}
                }
            }
            plan.process_dct3(&mut sums);
            let latents = self.columns.len() as f64;
            for (scale, sum) in self.row_scale.iter_mut().zip(sums) {
                *scale *= T::from_f64((latents / (latents + sum)).sqrt());
            }
        }
    }

    /// Working memory of [`Self::expand`].
    pub(super) fn scratch(&self) -> Scratch<T> {
        let inputs = self.row_scale.len();
        let (wide, plan) = match &self.transform {
            Transform::Hadamard => (0, 0),
            Transform::Dct(plan) => (inputs, plan.get_scratch_len()),
        };
        Scratch {
            row: Aligned::zeros(inputs),
            wide: vec![0.0; wide],
            plan: vec![0.0; plan],
        }
    }

    /// u = scale F c. The transform works in `scratch`, which stays in the cache: fresh memory is written once.
    #[expect(
        clippy::indexing_slicing,
        reason = "`draw` takes the columns from 0..N, and N is the length of whatever a row of the transform \
                  is in"
    )]
    pub(super) fn expand(&self, c: &[T], u: &mut [T], scale: T, scratch: &mut Scratch<T>) {
        let Scratch {
            row,
            wide,
            plan: own,
        } = scratch;
        match &self.transform {
            Transform::Hadamard => {
                row.fill(T::ZERO);
                for (&column, &value) in self.columns.iter().zip(c) {
                    row[column] = value;
                }
                T::walsh_hadamard(row);
            }
            Transform::Dct(plan) => {
                wide.fill(0.0);
                for (&column, &value) in self.columns.iter().zip(c) {
                    // The type-3 transform halves its first input: x_0/2 + Σ x_k cos(πk(i+½)/N).
                    let doubled = if column == 0 { 2.0 } else { 1.0 };
                    wide[column] = value.to_f64() * doubled * cosine_norm(column);
                }
                plan.process_dct3_with_scratch(wide, own);
                for (x, &y) in row.iter_mut().zip(wide.iter()) {
                    *x = T::from_f64(y);
                }
            }
        }
        vectorised(
            #[inline(always)]
            || {
                for ((x, &y), &row) in u.iter_mut().zip(row.iter()).zip(&self.row_scale) {
                    *x = y * (row * scale);
                }
            },
        );
    }

    /// s = scale w F, in double precision.
    #[expect(
        clippy::indexing_slicing,
        reason = "`draw` takes the columns from 0..N, and N is the length of whatever a row of the transform \
                  is in"
    )]
    pub(super) fn contract(&self, w: &[f64], s: &mut [f64], scale: f64) {
        let mut weighted: Vec<f64> = w
            .iter()
            .zip(&self.row_scale)
            .map(|(w, row)| w * row.to_f64())
            .collect();
        match &self.transform {
            Transform::Hadamard => f64::walsh_hadamard(&mut weighted),
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
    if column == 0 { 1.0 } else { SQRT_2 }
}
