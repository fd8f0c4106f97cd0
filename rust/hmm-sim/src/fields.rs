//! Teacher, order parameters of given weights, and the error they imply.

use crate::source::Source;
use crate::unit::Unit;
use hmm_core::Real;
use hmm_core::linalg::{matmul, rows, rows_mut};

/// What the teacher sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    /// ν = w̃.c/√D
    Latent,
    /// ν = w̃.x/√N
    Input,
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
    pub w: Vec<T>,
    /// ṽ, M entries.
    pub v: Vec<f64>,
    /// g̃
    pub unit: Unit,
    /// What it sees.
    pub labels: Labels,
    /// Whether its label is the sign of y*, +1 for zero.
    pub classify: bool,
}

impl<T: Real> Teacher<T> {
    /// Length of a row of w̃.
    fn width(&self) -> usize {
        self.w.len() / self.v.len()
    }

    /// Fields ν of a block of samples: `fields` is rows x M.
    pub fn fields(&self, inputs: &[T], latents: &[T], fields: &mut [f64]) {
        let (teachers, width) = (self.v.len(), self.width());
        let seen = match self.labels {
            Labels::Latent => latents,
            Labels::Input => inputs,
        };
        let count = fields.len() / teachers;
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
    }

    /// Noiseless labels of given fields.
    pub fn labels(&self, fields: &[f64], labels: &mut [f64]) {
        weighted_values(self.unit, &self.v, fields, labels);
        if self.classify {
            for label in labels {
                *label = if *label < 0.0 { -1.0 } else { 1.0 };
            }
        }
    }

    /// R (K x M) and T (M x M) for a hidden manifold, from the student's weights w and their
    /// projection S.
    pub fn overlaps(
        &self,
        source: &dyn Source<T>,
        moments: &FieldMoments,
        w: &[f64],
        projected: &[f64],
    ) -> (Vec<f64>, Vec<f64>) {
        let (n, d) = (source.inputs(), source.latents());
        let teacher: Vec<f64> = self.w.iter().map(|x| x.to_f64()).collect();
        match self.labels {
            // R = (b/D) S w̃ᵀ, T = w̃ w̃ᵀ/D
            Labels::Latent => (
                gram(projected, &teacher, d, moments.b / d as f64),
                gram(&teacher, &teacher, d, 1.0 / d as f64),
            ),
            // The teacher's fields have the student's form: ζ w.w̃/N + b² S.S̃/D.
            Labels::Input => {
                let seen = source
                    .project(&teacher, self.v.len())
                    .unwrap_or_else(|| vec![f64::NAN; self.v.len() * d]);
                let overlap = |a: &[f64], a_seen: &[f64]| {
                    moments.student_overlap(
                        &gram(a, &teacher, n, 1.0 / n as f64),
                        &gram(a_seen, &seen, d, 1.0 / d as f64),
                    )
                };
                (overlap(w, projected), overlap(&teacher, &seen))
            }
        }
    }
}

/// Outputs Σ_k v_k g(field_k) of a network, for rows of fields.
pub fn weighted_values(unit: Unit, v: &[f64], fields: &[f64], outputs: &mut [f64]) {
    hmm_core::special::vectorised(
        #[inline(always)]
        || {
            for (output, fields) in outputs.iter_mut().zip(fields.chunks_exact(v.len())) {
                let mut sum = 0.0;
                for (&field, v) in fields.iter().zip(v) {
                    sum += v * unit.value(field);
                }
                *output = sum;
            }
        },
    );
}

/// `scale` a bᵀ for row-major a and b with rows of length `n`.
pub fn gram(a: &[f64], b: &[f64], n: usize, scale: f64) -> Vec<f64> {
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

/// ε_g = ½ E(φ - y*)² from the order parameters (HMM note 4.4).
pub fn squared_error(
    q: &[f64],
    r: &[f64],
    t: &[f64],
    v: &[f64],
    v_teacher: &[f64],
    unit: Unit,
    teacher_unit: Unit,
) -> f64 {
    let (students, teachers) = (v.len(), v_teacher.len());
    let mut sum = 0.0;
    for k in 0..students {
        for l in 0..students {
            let average = unit.pair_average(
                unit,
                q[k * students + k],
                q[k * students + l],
                q[l * students + l],
            );
            sum += v[k] * v[l] * average;
        }
        for m in 0..teachers {
            let average = unit.pair_average(
                teacher_unit,
                q[k * students + k],
                r[k * teachers + m],
                t[m * teachers + m],
            );
            sum -= 2.0 * v[k] * v_teacher[m] * average;
        }
    }
    for m in 0..teachers {
        for n in 0..teachers {
            let average = teacher_unit.pair_average(
                teacher_unit,
                t[m * teachers + m],
                t[m * teachers + n],
                t[n * teachers + n],
            );
            sum += v_teacher[m] * v_teacher[n] * average;
        }
    }
    0.5 * sum
}
