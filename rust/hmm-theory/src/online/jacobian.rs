//! The derivative of the mode equations, and linear equations with it at the cost of a few
//! evaluations.
//!
//! The modes feel each other only through c = (Q, R, v), so J = (blocks of frozen L, G, N) +
//! (change of the modes with L, G, N) x (change of L, G, N with c) x (c from the modes). L is
//! symmetric; in its eigenbasis the blocks are diagonal but for the pull of r on sigma. What is
//! left is one dense system of size K(K+1)/2 + K M (+ K).

use super::committee::Drive;
use super::fields::Scratch;
use super::modes::{OnlineSystem, add_scaled, triangle, weighted_sum};
use crate::integrate::StiffSystem;
use faer::Mat;
use faer::linalg::solvers::{PartialPivLu, Solve};
use hmm_core::cancel::apart_if;
use hmm_core::decompositions::{LARGE, symmetric_eigen};
use hmm_core::memory::{bytes_of, require};
use hmm_core::special::vectorised;
use hmm_core::{Cancel, Error, Result};
use ndarray::ArrayView2;

/// Relative step of the central differences: their error is then about 1e-10.
const DIFFERENCE: f64 = 6e-6;

/// Change of the averages along one direction of c = (Q, R, v).
#[derive(Clone, Debug, Default)]
pub(super) struct Response {
    /// (K, K); the Jacobian holds it in the eigenbasis of L.
    pub(super) l: Vec<f64>,
    /// (K, M).
    pub(super) g: Vec<f64>,
    /// (K, K).
    pub(super) n: Vec<f64>,
    /// d(dv/dt), (K,), in the original basis.
    pub(super) v: Vec<f64>,
}

/// The Jacobian at one state, rotated to the eigenbasis of L.
#[derive(Default)]
pub struct ModeJacobian {
    /// Eigenvectors of L in columns, row-major (K, K).
    basis: Vec<f64>,
    eigenvalues: Vec<f64>,
    /// G in the eigenbasis, (K, M).
    g: Vec<f64>,
    /// Rows of r and sigma in the eigenbasis.
    state: Vec<f64>,
    /// Responses to the directions of c.
    responses: Vec<Response>,
    shift: f64,
    /// 1 / (shift + decay) of every row.
    inverse: Vec<f64>,
    dense: Option<PartialPivLu<f64>>,
    rotated: Vec<f64>,
    answer: Vec<f64>,
}

/// Two matrix products with a small square matrix: rows of r by V^T, rows of sigma by V^T . V.
#[inline(always)]
fn rotate_rows(
    (k, m, s): (usize, usize, usize),
    basis: &[f64],
    transpose: bool,
    rows: &[f64],
    out: &mut [f64],
    cancel: &Cancel,
) -> Result<()> {
    let entry = |i: usize, j: usize| {
        if transpose {
            basis[j * k + i]
        } else {
            basis[i * k + j]
        }
    };
    out.fill(0.0);
    for i in 0..k {
        for a in 0..m {
            let target = &mut out[(i * m + a) * s..(i * m + a + 1) * s];
            for j in 0..k {
                let source = &rows[(j * m + a) * s..(j * m + a + 1) * s];
                add_scaled(target, entry(i, j), source);
            }
        }
    }
    for i in 0..k {
        for j in i..k {
            cancel.check()?;
            let here = k * m + triangle(k, i, j);
            let target = &mut out[here * s..(here + 1) * s];
            for x in 0..k {
                for y in x..k {
                    let mut weight = entry(i, x) * entry(j, y);
                    if x != y {
                        weight += entry(i, y) * entry(j, x);
                    }
                    let there = k * m + triangle(k, x, y);
                    add_scaled(target, weight, &rows[there * s..(there + 1) * s]);
                }
            }
        }
    }
    Ok(())
}

/// V^T a V for row-major (K, K).
fn conjugate(k: usize, basis: &[f64], a: &[f64]) -> Vec<f64> {
    let mut half = vec![0.0; k * k];
    let mut out = vec![0.0; k * k];
    for i in 0..k {
        for j in 0..k {
            half[i * k + j] = (0..k).map(|l| a[i * k + l] * basis[l * k + j]).sum();
        }
    }
    for i in 0..k {
        for j in 0..k {
            out[i * k + j] = (0..k).map(|l| basis[l * k + i] * half[l * k + j]).sum();
        }
    }
    out
}

/// V^T g for row-major (K, M).
fn project(k: usize, m: usize, basis: &[f64], g: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; k * m];
    for i in 0..k {
        for a in 0..m {
            out[i * m + a] = (0..k).map(|l| basis[l * k + i] * g[l * m + a]).sum();
        }
    }
    out
}

impl OnlineSystem {
    /// Directions of c: K(K+1)/2 of Q, K M of R, K of v if the second layer learns.
    pub(super) fn directions(&self) -> usize {
        let k = self.committee.k;
        self.row_count() + if self.second_layer_learns() { k } else { 0 }
    }

    /// Move (Q, R, v) along direction `j` of c by `fraction` of its size; the size times |fraction|.
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
    ) -> Result<Response> {
        let mut sides = [Drive::default(), Drive::default()];
        let mut velocities = [vec![0.0; v.len()], vec![0.0; v.len()]];
        let mut width = 0.0;
        for (side, sign) in [1.0, -1.0].into_iter().enumerate() {
            let (mut q, mut r, mut v) = (q.to_vec(), r.to_vec(), v.to_vec());
            width = self.displace(j, sign * DIFFERENCE, &mut q, &mut r, &mut v);
            self.drive(&q, &r, &v, &mut sides[side], scratch, cancel)?;
            self.output_weight_velocity(&sides[side], &v, &mut velocities[side]);
        }
        let slope = |plus: &[f64], minus: &[f64]| -> Vec<f64> {
            let pairs = plus.iter().zip(minus);
            pairs.map(|(p, n)| (p - n) / (2.0 * width)).collect()
        };
        let [plus, minus] = &sides;
        Ok(Response {
            l: slope(&plus.l, &minus.l),
            g: slope(&plus.g, &minus.g),
            n: slope(&plus.n, &minus.n),
            v: slope(&velocities[0], &velocities[1]),
        })
    }

    /// out <- blocks^-1 (source + change of the modes with `change`), in the eigenbasis.
    #[inline(always)]
    fn mode_answer(
        &self,
        jacobian: &ModeJacobian,
        source: Option<&[f64]>,
        change: Option<&Response>,
        out: &mut [f64],
    ) {
        let (k, m, s) = (self.committee.k, self.committee.m, self.modes());
        let lr = self.rates.lr;
        let c = &self.coefficients;
        let state = &jacobian.state;
        let span = |row: usize| row * s..(row + 1) * s;
        for i in 0..k {
            for a in 0..m {
                let here = i * m + a;
                let target = &mut out[span(here)];
                target.fill(0.0);
                if let Some(change) = change {
                    for j in 0..k {
                        add_scaled(target, -lr * change.l[i * k + j], &state[span(j * m + a)]);
                    }
                    for (o, d) in target.iter_mut().zip(&c.decay) {
                        *o *= d;
                    }
                    for b in 0..m {
                        let pulled = &self.pulled_teacher[span(b * m + a)];
                        add_scaled(target, lr * change.g[i * m + b], pulled);
                    }
                }
                if let Some(source) = source {
                    add_scaled(target, 1.0, &source[span(here)]);
                }
                for (o, x) in target.iter_mut().zip(&jacobian.inverse[span(here)]) {
                    *o *= x;
                }
            }
        }
        let (overlaps, covariances) = out.split_at_mut(k * m * s);
        for i in 0..k {
            for j in i..k {
                let row = triangle(k, i, j);
                let here = k * m + row;
                let target = &mut covariances[span(row)];
                target.fill(0.0);
                for b in 0..m {
                    add_scaled(
                        target,
                        lr * jacobian.g[i * m + b],
                        &overlaps[span(j * m + b)],
                    );
                    add_scaled(
                        target,
                        lr * jacobian.g[j * m + b],
                        &overlaps[span(i * m + b)],
                    );
                    if let Some(change) = change {
                        add_scaled(target, lr * change.g[i * m + b], &state[span(j * m + b)]);
                        add_scaled(target, lr * change.g[j * m + b], &state[span(i * m + b)]);
                    }
                }
                for (o, p) in target.iter_mut().zip(&c.pull) {
                    *o *= p;
                }
                if let Some(change) = change {
                    for l in 0..k {
                        let left = lr * change.l[i * k + l];
                        let right = lr * change.l[j * k + l];
                        let x = &state[span(k * m + triangle(k, l, j))];
                        let y = &state[span(k * m + triangle(k, i, l))];
                        for (((o, d), x), y) in target.iter_mut().zip(&c.decay).zip(x).zip(y) {
                            *o -= d * (left * x + right * y);
                        }
                    }
                    add_scaled(target, lr * lr * change.n[i * k + j], &c.diffusion);
                }
                if let Some(source) = source {
                    add_scaled(target, 1.0, &source[span(here)]);
                }
                for (o, x) in target.iter_mut().zip(&jacobian.inverse[span(here)]) {
                    *o *= x;
                }
            }
        }
    }

    /// (R, upper triangle of Q) of rows in the eigenbasis, turned back to the original one.
    #[inline(always)]
    fn overlaps_of(
        &self,
        basis: &[f64],
        rows: &[f64],
        out: &mut [f64],
        cancel: &Cancel,
    ) -> Result<()> {
        let (k, m, s) = (self.committee.k, self.committee.m, self.modes());
        let count = self.row_count();
        let mut sums = vec![0.0; count];
        for (row, sum) in sums.iter_mut().enumerate() {
            let weights = if row < k * m {
                &self.coefficients.in_r
            } else {
                &self.coefficients.in_q
            };
            *sum = weighted_sum(weights, &rows[row * s..(row + 1) * s]);
        }
        rotate_rows((k, m, 1), basis, false, &sums, &mut out[..count], cancel)
    }
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

impl StiffSystem for OnlineSystem {
    type Jacobian = ModeJacobian;

    fn stiff_cost(&self) -> f64 {
        // Measured: two evaluations and one answer of the modes per direction, eight stages.
        16.0 + 3.0 * self.directions() as f64
    }

    fn linearise(&self, y: &[f64], jacobian: &mut ModeJacobian, cancel: &Cancel) -> Result<()> {
        let mut scratch = Scratch::default();
        let (k, m, s) = (self.committee.k, self.committee.m, self.modes());
        let rows = self.row_count() * s;
        let (mut q, mut r, mut drive) = (Vec::new(), Vec::new(), Drive::default());
        self.q(y, &mut q);
        self.r(y, &mut r);
        let v = self.output_weights(y);
        self.drive(&q, &r, v, &mut drive, &mut scratch, cancel)?;
        let lost = || Error::Divergence("L has no eigenvectors".to_owned());
        let l = ArrayView2::from_shape((k, k), &drive.l).map_err(|_| lost())?;
        let (eigenvalues, vectors) = match symmetric_eigen(l, cancel) {
            Err(Error::InvalidParameter { .. } | Error::Convergence(_)) => return Err(lost()),
            found => found?,
        };
        jacobian.basis = vectors.iter().copied().collect();
        jacobian.eigenvalues = eigenvalues.to_vec();
        jacobian.g = project(k, m, &jacobian.basis, &drive.g);
        jacobian.state.resize(rows, 0.0);
        jacobian.rotated.resize(rows, 0.0);
        jacobian.answer.resize(rows, 0.0);
        rotate_rows(
            (k, m, s),
            &jacobian.basis,
            true,
            &y[..rows],
            &mut jacobian.state,
            cancel,
        )?;
        jacobian.responses = (0..self.directions())
            .map(|j| {
                let original = self.difference(&q, &r, v, j, &mut scratch, cancel)?;
                Ok(Response {
                    l: conjugate(k, &jacobian.basis, &original.l),
                    g: project(k, m, &jacobian.basis, &original.g),
                    n: conjugate(k, &jacobian.basis, &original.n),
                    v: original.v,
                })
            })
            .collect::<Result<_>>()?;
        Ok(())
    }

    fn factorise(&self, jacobian: &mut ModeJacobian, shift: f64, cancel: &Cancel) -> Result<()> {
        let (k, m, s) = (self.committee.k, self.committee.m, self.modes());
        let count = self.row_count();
        let kappa = self.rates.weight_decay;
        jacobian.shift = shift;
        jacobian.inverse.resize(count * s, 0.0);
        for row in 0..count {
            let (rate, decay) = if row < k * m {
                (jacobian.eigenvalues[row / m], kappa)
            } else {
                let (i, j) = triangle_entry(k, row - k * m);
                (
                    jacobian.eigenvalues[i] + jacobian.eigenvalues[j],
                    2.0 * kappa,
                )
            };
            let target = &mut jacobian.inverse[row * s..(row + 1) * s];
            for (x, d) in target.iter_mut().zip(&self.coefficients.decay) {
                *x = 1.0 / (shift + decay + self.rates.lr * d * rate);
            }
        }
        let size = jacobian.responses.len();
        require(
            bytes_of::<f64>(size.saturating_mul(size).saturating_mul(2)),
            "a stiff step with so many units",
            "pass method='explicit'",
        )?;
        let mut matrix = Mat::<f64>::zeros(size, size);
        let mut answer = std::mem::take(&mut jacobian.answer);
        let mut column = vec![0.0; count];
        for (j, response) in jacobian.responses.iter().enumerate() {
            cancel.check()?;
            vectorised(
                #[inline(always)]
                || {
                    self.mode_answer(jacobian, None, Some(response), &mut answer);
                    self.overlaps_of(&jacobian.basis, &answer, &mut column, cancel)
                },
            )?;
            for (i, x) in column.iter().enumerate() {
                matrix[(i, j)] = f64::from(i == j) - x;
            }
            for i in count..size {
                matrix[(i, j)] = if i == j { shift } else { 0.0 } - response.v[i - count];
            }
        }
        jacobian.answer = answer;
        let factors = apart_if(size >= LARGE, cancel, move || matrix.partial_piv_lu())?;
        jacobian.dense = Some(factors);
        Ok(())
    }

    fn solve(&self, jacobian: &mut ModeJacobian, b: &mut [f64], cancel: &Cancel) -> Result<()> {
        let (k, m, s) = (self.committee.k, self.committee.m, self.modes());
        let count = self.row_count();
        let (rows, output) = b.split_at_mut(count * s);
        let size = jacobian.responses.len();
        let mut rotated = std::mem::take(&mut jacobian.rotated);
        let mut answer = std::mem::take(&mut jacobian.answer);
        let mut small = vec![0.0; size];
        vectorised(
            #[inline(always)]
            || {
                rotate_rows((k, m, s), &jacobian.basis, true, rows, &mut rotated, cancel)?;
                self.mode_answer(jacobian, Some(&rotated), None, &mut answer);
                self.overlaps_of(&jacobian.basis, &answer, &mut small[..count], cancel)
            },
        )?;
        small[count..].copy_from_slice(&output[..size - count]);
        let mut right = Mat::from_fn(size, 1, |i, _| small[i]);
        if let Some(dense) = &jacobian.dense {
            dense.solve_in_place(right.as_mut());
        }
        let mut change = Response {
            l: vec![0.0; k * k],
            g: vec![0.0; k * m],
            n: vec![0.0; k * k],
            v: Vec::new(),
        };
        for (j, response) in jacobian.responses.iter().enumerate() {
            let x = right[(j, 0)];
            add_scaled(&mut change.l, x, &response.l);
            add_scaled(&mut change.g, x, &response.g);
            add_scaled(&mut change.n, x, &response.n);
        }
        vectorised(
            #[inline(always)]
            || {
                self.mode_answer(jacobian, Some(&rotated), Some(&change), &mut answer);
                rotate_rows((k, m, s), &jacobian.basis, false, &answer, rows, cancel)
            },
        )?;
        for (i, o) in output.iter_mut().enumerate() {
            *o = if size > count {
                right[(count + i, 0)]
            } else {
                *o / jacobian.shift
            };
        }
        jacobian.rotated = rotated;
        jacobian.answer = answer;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::{Closed, Moments};
    use crate::integrate::OdeSystem;
    use crate::online::committee::Unit;
    use crate::online::hidden_manifold::{Manifold, TeacherModes, hidden_manifold};
    use crate::online::{ModeArrays, Setting};
    use ndarray::{Array3, aview1, aview2};

    /// K = M = 2, three modes, everything switched on.
    fn system() -> Result<OnlineSystem> {
        let setting = Setting {
            student: Unit::Closed(Closed::Erf),
            teacher: Unit::Closed(Closed::Erf),
            v0: vec![0.9, 1.2],
            v_teacher: vec![1.0, 0.7],
            lr: 0.4.into(),
            lr_v: 0.3.into(),
            noise: 0.2.into(),
            weight_decay: 0.05.into(),
            batch: 2,
        };
        let gamma = [[0.8, -0.3], [0.2, 1.1], [-0.5, 0.4]];
        let omega = [[0.6, 0.9], [-1.1, 0.3], [0.2, -0.7]];
        let outer = |x: [f64; 2], y: [f64; 2]| [x[0] * y[0], x[0] * y[1], x[1] * y[0], x[1] * y[1]];
        let products = |x: &[[f64; 2]; 3], y: &[[f64; 2]; 3]| {
            let values: Vec<f64> = x.iter().zip(y).flat_map(|(x, y)| outer(*x, *y)).collect();
            Array3::from_shape_vec((3, 2, 2), values).unwrap()
        };
        hidden_manifold(
            &setting,
            &Manifold {
                delta: 0.3,
                moments: Moments {
                    a: 0.0,
                    b: 0.6,
                    c: 0.5,
                },
                center: true,
                rho: aview1(&[0.4, 1.1, 1.6]),
                weights: aview1(&[1.0 / 3.0; 3]),
                w0: aview2(&[[1.2, 0.1], [0.1, 0.9]]),
                teacher_modes: TeacherModes::Exact,
            },
            ModeArrays {
                covariance: products(&gamma, &gamma).view(),
                overlap: products(&gamma, &omega).view(),
                teacher: products(&omega, &omega).view(),
            },
        )
    }

    #[test]
    fn solves_with_the_derivative_of_the_right_hand_side() -> Result<()> {
        let system = system()?;
        let y = &system.initial;
        let (shift, cancel) = (2.5, Cancel::new());
        let mut jacobian = ModeJacobian::default();
        system.linearise(y, &mut jacobian, &cancel)?;
        system.factorise(&mut jacobian, shift, &cancel)?;
        let b: Vec<f64> = (0..y.len()).map(|i| (i as f64 * 1.7).sin()).collect();
        let mut x = b.clone();
        StiffSystem::solve(&system, &mut jacobian, &mut x, &cancel)?;
        // (shift - J) x by a central difference along x.
        let h = 1e-5;
        let velocity = |sign: f64| -> Result<Vec<f64>> {
            let moved: Vec<f64> = y.iter().zip(&x).map(|(y, x)| y + sign * h * x).collect();
            let mut out = vec![0.0; y.len()];
            system.velocity(
                &moved,
                &mut out,
                &mut crate::online::modes::Workspace::default(),
                &cancel,
            )?;
            Ok(out)
        };
        let (plus, minus) = (velocity(1.0)?, velocity(-1.0)?);
        for i in 0..y.len() {
            let along = (plus[i] - minus[i]) / (2.0 * h);
            let back = shift * x[i] - along;
            assert!((back - b[i]).abs() < 1e-7, "{i}: {back} {}", b[i]);
        }
        Ok(())
    }
}
