//! How the averages L, G, N and dv/dt answer to a change of c = (Q, R, v).
//!
//! Directions of c: R row by row, the upper triangle of Q, and v if the second layer learns. Exact where student and
//! teacher have erf units ([`super::erf_response`]), central differences else.

use super::committee::Drive;
use super::fields::Scratch;
use super::modes::{OnlineSystem, triangle};
use hmm_core::{Cancel, Result};

/// Relative step of the central differences: their error is then about 1e-10.
const DIFFERENCE: f64 = 6e-6;

/// Change of the averages along one direction of c, or along a sum of directions.
#[derive(Clone, Debug, Default)]
pub(super) struct Change {
    /// (K, K).
    pub(super) l: Vec<f64>,
    /// (K, M).
    pub(super) g: Vec<f64>,
    /// (K, K).
    pub(super) n: Vec<f64>,
    /// d(dv/dt), (K,); empty if the second layer is fixed.
    pub(super) v: Vec<f64>,
}

/// Changes along all directions: one row of `directions` numbers for each entry of L, G, N and dv/dt.
#[derive(Clone, Debug, Default)]
pub(super) struct Responses {
    pub(super) directions: usize,
    /// (K K, directions); the Jacobian holds it, `g` and `n` in the eigenbasis of L.
    pub(super) l: Vec<f64>,
    /// (K M, directions).
    pub(super) g: Vec<f64>,
    /// (K K, directions).
    pub(super) n: Vec<f64>,
    /// (K, directions), in the original basis; empty if the second layer is fixed.
    pub(super) v: Vec<f64>,
}

/// (i, j) of row `at` of an upper triangle of size k.
pub(super) fn triangle_entry(k: usize, at: usize) -> (usize, usize) {
    let mut row = 0;
    let mut start = 0;
    while at >= start + k - row {
        start += k - row;
        row += 1;
    }
    (row, row + at - start)
}

impl Responses {
    pub(super) fn zeros(system: &OnlineSystem) -> Self {
        let (k, m) = (system.committee.k, system.committee.m);
        let directions = system.directions();
        let outputs = if system.second_layer_learns() { k } else { 0 };
        Self {
            directions,
            l: vec![0.0; k * k * directions],
            g: vec![0.0; k * m * directions],
            n: vec![0.0; k * k * directions],
            v: vec![0.0; outputs * directions],
        }
    }

    /// The change along direction `j`.
    pub(super) fn along(&self, j: usize) -> Change {
        let column = |rows: &[f64]| {
            rows.iter()
                .skip(j)
                .step_by(self.directions)
                .copied()
                .collect()
        };
        Change {
            l: column(&self.l),
            g: column(&self.g),
            n: column(&self.n),
            v: column(&self.v),
        }
    }

    fn set(&mut self, j: usize, change: &Change) {
        let directions = self.directions;
        let put = |rows: &mut [f64], values: &[f64]| {
            for (row, x) in rows.chunks_exact_mut(directions).zip(values) {
                if let Some(entry) = row.get_mut(j) {
                    *entry = *x;
                }
            }
        };
        put(&mut self.l, &change.l);
        put(&mut self.g, &change.g);
        put(&mut self.n, &change.n);
        put(&mut self.v, &change.v);
    }
}

impl OnlineSystem {
    /// Directions of c: K(K+1)/2 of Q, K M of R, K of v if the second layer learns.
    pub(super) fn directions(&self) -> usize {
        let k = self.committee.k;
        self.row_count() + if self.second_layer_learns() { k } else { 0 }
    }

    /// The direction that is the covariance of fields `x` and `y`; the teacher's own are none.
    pub(super) fn direction_of(&self, x: usize, y: usize) -> Option<usize> {
        let (k, m) = (self.committee.k, self.committee.m);
        let (x, y) = (x.min(y), x.max(y));
        if y < k {
            Some(k * m + triangle(k, x, y))
        } else if x < k {
            Some(x * m + y - k)
        } else {
            None
        }
    }

    /// Answers of the averages at (q, r, v) along all directions.
    pub(super) fn responses(
        &self,
        q: &[f64],
        r: &[f64],
        v: &[f64],
        scratch: &mut Scratch,
        cancel: &Cancel,
    ) -> Result<Responses> {
        if let Some(exact) = self.erf_responses(q, r, v, cancel)? {
            return Ok(exact);
        }
        let mut responses = Responses::zeros(self);
        for j in 0..responses.directions {
            responses.set(j, &self.difference(q, r, v, j, scratch, cancel)?);
        }
        Ok(responses)
    }

    /// Move (Q, R, v) along direction `j` of c by `fraction` of its size; the size times |fraction|.
    #[expect(
        clippy::indexing_slicing,
        reason = "j is below the number of directions: one for each entry of R, of the triangle of Q and of v; T is (M, M)"
    )]
    pub(super) fn displace(
        &self,
        j: usize,
        fraction: f64,
        q: &mut [f64],
        r: &mut [f64],
        v: &mut [f64],
    ) -> f64 {
        let (k, m) = (self.committee.k, self.committee.m);
        let t = &self.committee.t;
        if j < k * m {
            let scale = (q[j / m * (k + 1)] * t[j % m * (m + 1)])
                .abs()
                .sqrt()
                .max(1e-3);
            r[j] += fraction * scale;
            fraction.abs() * scale
        } else if j < self.row_count() {
            let (x, y) = triangle_entry(k, j - k * m);
            let scale = (q[x * (k + 1)] * q[y * (k + 1)]).abs().sqrt().max(1e-3);
            q[x * k + y] += fraction * scale;
            if x != y {
                q[y * k + x] += fraction * scale;
            }
            fraction.abs() * scale
        } else {
            let x = j - self.row_count();
            let scale = v[x].abs().max(0.1);
            v[x] += fraction * scale;
            fraction.abs() * scale
        }
    }

    /// Central difference of the averages along direction `j` of c.
    pub(super) fn difference(
        &self,
        q: &[f64],
        r: &[f64],
        v: &[f64],
        j: usize,
        scratch: &mut Scratch,
        cancel: &Cancel,
    ) -> Result<Change> {
        let mut side = |sign: f64| -> Result<(Drive, Vec<f64>, f64)> {
            let (mut q, mut r, mut v) = (q.to_vec(), r.to_vec(), v.to_vec());
            let width = self.displace(j, sign * DIFFERENCE, &mut q, &mut r, &mut v);
            let (mut drive, mut velocity) = (Drive::default(), vec![0.0; v.len()]);
            self.drive(&q, &r, &v, &mut drive, scratch, cancel)?;
            self.output_weight_velocity(&drive, &v, &mut velocity);
            Ok((drive, velocity, width))
        };
        let (plus, rising, _) = side(1.0)?;
        let (minus, falling, width) = side(-1.0)?;
        let slope = |plus: &[f64], minus: &[f64]| -> Vec<f64> {
            let pairs = plus.iter().zip(minus);
            pairs.map(|(p, n)| (p - n) / (2.0 * width)).collect()
        };
        Ok(Change {
            l: slope(&plus.l, &minus.l),
            g: slope(&plus.g, &minus.g),
            n: slope(&plus.n, &minus.n),
            v: if self.second_layer_learns() {
                slope(&rising, &falling)
            } else {
                Vec::new()
            },
        })
    }
}
