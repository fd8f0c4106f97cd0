//! The data of a committee: units, teacher, noise, and the averages that drive it.
//!
//! Fields x_alpha: student lambda^1..lambda^K, then teacher nu^1..nu^M, with signed output weights
//! s = (v_1..v_K, -v~_1..-v~_M), so that the output error is Delta = sum_alpha s_alpha g(x_alpha).
//!
//! ```
//! use hmm_core::{Activation, Cancel};
//! use hmm_theory::online::committee::{Committee, Unit};
//! // One erf unit that learns another of overlap R: error 1/3 - (2/pi) asin(R/2) (Saad and Solla 1995).
//! let unit = Unit::of("activation", Activation::Erf)?;
//! let (student, teacher) = (unit.clone(), unit);
//! let (t, v_teacher) = (vec![1.0], vec![1.0]);
//! let committee = Committee { k: 1, m: 1, student, teacher, t, v_teacher, noise_variance: 0.0 };
//! for r in [0.0, 0.5, 1.0] {
//!     let error = committee.generalisation_error(&[1.0], &[r], &[1.0], &Cancel::new())?;
//!     assert!((error - (1.0 / 3.0 - 2.0 / std::f64::consts::PI * (0.5 * r).asin())).abs() < 1e-15);
//! }
//! # Ok::<(), hmm_core::Error>(())
//! ```

use super::quadrature::check_quadrature;
use crate::activation::{Closed, Formula, Jet, Smoothness};
use crate::integrals::sampled::SampledUnit;
use hmm_core::{Activation, Error, Result};
use std::sync::Arc;

/// Activation of a layer of units.
#[derive(Clone, Debug)]
pub enum Unit {
    /// A unit with closed averages.
    Closed(Closed),
    /// A unit known by its values: averages by quadrature, for K + M <= 4.
    Sampled(Arc<SampledUnit>),
}

impl Unit {
    /// A unit of the list: closed averages where there are, a table of a smooth one else.
    ///
    /// # Errors
    /// A unit with a jump or a kink and without closed averages.
    pub fn of(argument: &'static str, unit: Activation) -> Result<Self> {
        if let Some(closed) = Closed::of(unit) {
            return Ok(Self::Closed(closed));
        }
        if unit.smoothness() == Smoothness::Smooth {
            return Ok(Self::Sampled(Arc::new(SampledUnit::of(unit)?)));
        }
        Err(Error::invalid(
            argument,
            format!("'{unit}'"),
            "neither closed averages nor smooth",
            "pass 'erf', 'relu', 'linear', 'tanh', 'sigmoid' or a smooth function",
        ))
    }

    /// g, g', g'' at `x`.
    pub fn jet(&self, x: f64) -> Jet {
        match self {
            Self::Sampled(unit) => unit.at(x),
            Self::Closed(unit) => unit.activation().jet(x),
        }
    }

    /// Whether quadrature has to average over its kink.
    pub fn has_kink(&self) -> bool {
        matches!(self, Self::Closed(unit) if unit.activation().smoothness() != Smoothness::Smooth)
    }
}

/// What the student learns from: units, teacher and noise.
#[derive(Clone, Debug)]
pub struct Committee {
    /// Student units K.
    pub k: usize,
    /// Teacher units M.
    pub m: usize,
    /// Unit of the student.
    pub student: Unit,
    /// Unit of the teacher.
    pub teacher: Unit,
    /// T^{mn} = E\[nu^m nu^n\], row-major (M, M).
    pub t: Vec<f64>,
    /// Output weights v~ of the teacher, (M,).
    pub v_teacher: Vec<f64>,
    /// Variance sigma^2 of the output noise.
    pub noise_variance: f64,
}

/// The averages L, G, N and the mean gradient of the second layer at one point.
#[derive(Clone, Debug, Default)]
pub struct Drive {
    /// L_kj: pull of the student's own fields, symmetric, row-major (K, K).
    pub l: Vec<f64>,
    /// G_km: pull of the teacher's fields, row-major (K, M).
    pub g: Vec<f64>,
    /// N_kl = E\[Delta^2 v_k g'(lambda^k) v_l g'(lambda^l)\], noise included; row-major (K, K).
    pub n: Vec<f64>,
    /// E\[Delta g(lambda^k)\], (K,).
    pub second_layer: Vec<f64>,
}

impl Drive {
    /// Zeros of the sizes of K student and M teacher units.
    pub(super) fn resize(&mut self, k: usize, m: usize) {
        for (array, size) in [
            (&mut self.l, k * k),
            (&mut self.g, k * m),
            (&mut self.n, k * k),
            (&mut self.second_layer, k),
        ] {
            array.clear();
            array.resize(size, 0.0);
        }
    }
}

impl Committee {
    /// Fields K + M.
    pub fn fields(&self) -> usize {
        self.k + self.m
    }

    /// Units of student and teacher if both have closed averages.
    pub(super) fn closed_units(&self) -> Option<[Closed; 2]> {
        match (&self.student, &self.teacher) {
            (Unit::Closed(student), Unit::Closed(teacher)) => Some([*student, *teacher]),
            _ => None,
        }
    }

    pub(super) fn unit_of(&self, [student, teacher]: [Closed; 2], field: usize) -> Closed {
        if field < self.k { student } else { teacher }
    }

    /// s = (v, -v~).
    pub(super) fn signed_weights(&self, v: &[f64], out: &mut Vec<f64>) {
        out.clear();
        out.extend_from_slice(v);
        out.extend(self.v_teacher.iter().map(|x| -x));
    }

    /// Refuse overlaps, output weights or a teacher of other sizes than K and M.
    pub(super) fn check(&self, q: &[f64], r: &[f64], v: &[f64]) -> Result<()> {
        let (k, m) = (self.k, self.m);
        for (argument, found, expected) in [
            ("q", q.len(), k.saturating_mul(k)),
            ("r", r.len(), k.saturating_mul(m)),
            ("v", v.len(), k),
            ("t", self.t.len(), m.saturating_mul(m)),
            ("v_teacher", self.v_teacher.len(), m),
        ] {
            if found != expected || found == 0 {
                return Err(Error::shape(
                    argument,
                    &[found],
                    format!(
                        "must hold {expected} numbers, as K = {k} and M = {m}, and at least one"
                    ),
                    "pass Q (K, K), R (K, M), v (K,), T (M, M) and v_teacher (M,)",
                ));
            }
        }
        check_quadrature(&self.student, &self.teacher, self.fields())
    }

    /// C = ((Q, R), (R^T, T)), row-major (K+M, K+M), from `q` (K, K) and `r` (K, M).
    #[expect(
        clippy::indexing_slicing,
        reason = "`check` has seen that q, r and T are of K and M units, or the state they are read off; the result is made here"
    )]
    pub(super) fn field_covariance(&self, q: &[f64], r: &[f64], out: &mut Vec<f64>) {
        let (k, m, n) = (self.k, self.m, self.fields());
        out.clear();
        out.resize(n * n, 0.0);
        for i in 0..k {
            out[i * n..i * n + k].copy_from_slice(&q[i * k..(i + 1) * k]);
            for a in 0..m {
                out[i * n + k + a] = r[i * m + a];
                out[(k + a) * n + i] = r[i * m + a];
            }
        }
        for a in 0..m {
            for b in 0..m {
                out[(k + a) * n + k + b] = self.t[a * m + b];
            }
        }
    }
}
