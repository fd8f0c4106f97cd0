//! The derivative of the mode equations, and linear equations with it at the cost of a few
//! evaluations.
//!
//! The modes feel each other only through c = (Q, R, v), so J = (blocks of frozen L, G, N) +
//! (change of the modes with L, G, N) x (change of L, G, N with c) x (c from the modes). L is
//! symmetric; in its eigenbasis the blocks are diagonal but for the pull of r on sigma. What is
//! left is one dense system of size K(K+1)/2 + K M (+ K).

use super::committee::Drive;
use super::fields::Scratch;
use super::modes::{OnlineSystem, weighted_sum};
use super::response::{Change, Responses, triangle_entry};
use super::rotation::{conjugate, project, rotate_rows};
use crate::integrate::StiffSystem;
use faer::Mat;
use faer::linalg::solvers::{PartialPivLu, Solve};
use hmm_core::cancel::apart_if;
use hmm_core::decompositions::{LARGE, symmetric_eigen};
use hmm_core::memory::{bytes_of, require};
use hmm_core::special::vectorised;
use hmm_core::{Cancel, Error, Result};
use ndarray::ArrayView2;

/// The Jacobian at one state, rotated to the eigenbasis of L.
#[derive(Default)]
pub struct ModeJacobian {
    /// Eigenvectors of L in columns, row-major (K, K).
    pub(super) basis: Vec<f64>,
    eigenvalues: Vec<f64>,
    /// G in the eigenbasis, (K, M).
    pub(super) g: Vec<f64>,
    /// Rows of r and sigma in the eigenbasis.
    pub(super) state: Vec<f64>,
    pub(super) responses: Responses,
    shift: f64,
    /// 1 / (shift + decay) of every row.
    pub(super) inverse: Vec<f64>,
    dense: Option<PartialPivLu<f64>>,
    rotated: Vec<f64>,
    answer: Vec<f64>,
}

impl ModeJacobian {
    /// Refuse a Jacobian that was not taken of `system`.
    fn check(&self, system: &OnlineSystem) -> Result<()> {
        let (k, m) = (system.committee.k, system.committee.m);
        let found = [
            self.basis.len(),
            self.g.len(),
            self.state.len(),
            self.responses.directions,
        ];
        let rows = system.row_count() * system.modes();
        let expected = [k * k, k * m, rows, system.directions()];
        if found == expected {
            return Ok(());
        }
        Err(Error::shape(
            "jacobian",
            &found,
            format!("the Jacobian of this system has sizes {expected:?}"),
            "call linearise first",
        ))
    }
}

impl OnlineSystem {
    /// (R, upper triangle of Q) of rows in the eigenbasis, turned back to the original one.
    #[expect(
        clippy::indexing_slicing,
        reason = "asked for rows of the state and sums of `row_count`, both made in `solve`"
    )]
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

impl StiffSystem for OnlineSystem {
    type Jacobian = ModeJacobian;

    fn stiff_cost(&self) -> f64 {
        // Measured: eight stages with a solution each, and the answers to the directions of c.
        let per_direction = if self.has_exact_responses() {
            0.125
        } else {
            2.0
        };
        24.0 + per_direction * self.directions() as f64
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "`check_state` has seen the length of y"
    )]
    fn linearise(&self, y: &[f64], jacobian: &mut ModeJacobian, cancel: &Cancel) -> Result<()> {
        self.check_state(y)?;
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
        jacobian.state.resize(rows, 0.0);
        // Factors of the Jacobian before.
        jacobian.dense = None;
        let Responses {
            directions,
            l,
            g,
            n,
            v,
        } = self.responses(&q, &r, v, &mut scratch, cancel)?;
        let basis = &jacobian.basis;
        vectorised(
            #[inline(always)]
            || {
                jacobian.g = project(k, m, 1, basis, &drive.g);
                jacobian.responses = Responses {
                    directions,
                    l: conjugate(k, directions, basis, &l),
                    g: project(k, m, directions, basis, &g),
                    n: conjugate(k, directions, basis, &n),
                    v,
                };
                let (y, out) = (&y[..rows], &mut jacobian.state);
                rotate_rows((k, m, s), basis, true, y, out, cancel)
            },
        )
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "`check` has seen that the Jacobian is of this system: K eigenvalues, and rows of one number for each direction"
    )]
    fn factorise(&self, jacobian: &mut ModeJacobian, shift: f64, cancel: &Cancel) -> Result<()> {
        let (k, m, s) = (self.committee.k, self.committee.m, self.modes());
        jacobian.check(self)?;
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
        let size = jacobian.responses.directions;
        require(
            bytes_of::<f64>(size.saturating_mul(size).saturating_mul(2)),
            "a stiff step with so many units",
            "pass method='explicit'",
        )?;
        let mut answers = vec![0.0; count * size];
        vectorised(
            #[inline(always)]
            || {
                let turned = self.answers_along(jacobian, cancel)?;
                let basis = &jacobian.basis;
                rotate_rows((k, m, size), basis, false, &turned, &mut answers, cancel)
            },
        )?;
        let outputs = &jacobian.responses.v;
        let matrix = Mat::from_fn(size, size, |i, j| match i.checked_sub(count) {
            None => f64::from(i == j) - answers[i * size + j],
            Some(unit) => {
                let diagonal = if i == j { shift } else { 0.0 };
                diagonal - outputs[unit * size + j]
            }
        });
        let factors = apart_if(size >= LARGE, cancel, move || matrix.partial_piv_lu())?;
        jacobian.dense = Some(factors);
        Ok(())
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "`check` and `check_state` have seen the sizes of Jacobian and b; directions are the rows, and K more where v learns"
    )]
    fn solve(&self, jacobian: &mut ModeJacobian, b: &mut [f64], cancel: &Cancel) -> Result<()> {
        let (k, m, s) = (self.committee.k, self.committee.m, self.modes());
        let count = self.row_count();
        jacobian.check(self)?;
        self.check_state(b)?;
        let (rows, output) = b.split_at_mut(count * s);
        let size = jacobian.responses.directions;
        let mut rotated = std::mem::take(&mut jacobian.rotated);
        let mut answer = std::mem::take(&mut jacobian.answer);
        // An interruption of the solution before has left them empty.
        rotated.resize(count * s, 0.0);
        answer.resize(count * s, 0.0);
        let Some(dense) = &jacobian.dense else {
            return Err(Error::invalid(
                "jacobian",
                "without factors",
                "it is solved with once it is factorised",
                "call factorise first",
            ));
        };
        let mut small = vec![0.0; size];
        vectorised(
            #[inline(always)]
            || {
                rotate_rows((k, m, s), &jacobian.basis, true, rows, &mut rotated, cancel)?;
                self.mode_answer(jacobian, &rotated, None, &mut answer)?;
                self.overlaps_of(&jacobian.basis, &answer, &mut small[..count], cancel)
            },
        )?;
        small[count..].copy_from_slice(&output[..size - count]);
        let mut right = Mat::from_fn(size, 1, |i, _| small[i]);
        dense.solve_in_place(right.as_mut());
        let solution: Vec<f64> = (0..size).map(|i| right[(i, 0)]).collect();
        let responses = &jacobian.responses;
        let along = |rows: &[f64]| -> Vec<f64> {
            let rows = rows.chunks_exact(size);
            rows.map(|row| weighted_sum(row, &solution)).collect()
        };
        let change = vectorised(
            #[inline(always)]
            || Change {
                l: along(&responses.l),
                g: along(&responses.g),
                n: along(&responses.n),
                v: Vec::new(),
            },
        );
        vectorised(
            #[inline(always)]
            || {
                self.mode_answer(jacobian, &rotated, Some(&change), &mut answer)?;
                rotate_rows((k, m, s), &jacobian.basis, false, &answer, rows, cancel)
            },
        )?;
        if self.second_layer_learns() {
            for (o, x) in output.iter_mut().zip(solution.iter().skip(count)) {
                *o = *x;
            }
        } else {
            for o in output.iter_mut() {
                *o /= jacobian.shift;
            }
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
    fn exact_answers_of_erf_units_are_the_differences() -> Result<()> {
        let (system, cancel) = (system()?, Cancel::new());
        let mut scratch = Scratch::default();
        let (mut q, mut r) = (Vec::new(), Vec::new());
        system.q(&system.initial, &mut q);
        system.r(&system.initial, &mut r);
        let v = system.output_weights(&system.initial);
        let exact = system.responses(&q, &r, v, &mut scratch, &cancel)?;
        assert!(system.has_exact_responses() && exact.directions == 2 * 2 + 3 + 2);
        for j in 0..exact.directions {
            let (along, wanted) = (
                exact.along(j),
                system.difference(&q, &r, v, j, &mut scratch, &cancel)?,
            );
            let pairs = [
                (&along.l, &wanted.l),
                (&along.g, &wanted.g),
                (&along.n, &wanted.n),
                (&along.v, &wanted.v),
            ];
            for (entry, (found, wanted)) in pairs.into_iter().enumerate() {
                assert_eq!(found.len(), wanted.len());
                for (found, wanted) in found.iter().zip(wanted) {
                    // A central difference of relative width 6e-6 has about ten digits.
                    assert!(
                        (found - wanted).abs() < 1e-9,
                        "{j} {entry}: {found} {wanted}"
                    );
                }
            }
        }
        Ok(())
    }

    fn refused<T>(found: &Result<T>) -> bool {
        matches!(
            found,
            Err(Error::Shape { .. } | Error::InvalidParameter { .. })
        )
    }

    #[test]
    fn states_and_jacobians_of_other_systems_are_refused() -> Result<()> {
        let (system, cancel) = (system()?, Cancel::new());
        let y = system.initial.clone();
        let (n, shift) = (y.len(), 2.0);
        let mut work = crate::online::modes::Workspace::default();
        for (given, room) in [(n - 1, n), (n, n - 1), (n + 1, n), (0, 0)] {
            let (y, mut out) = (vec![0.1; given], vec![0.0; room]);
            assert!(refused(&system.velocity(&y, &mut out, &mut work, &cancel)));
        }
        let mut jacobian = ModeJacobian::default();
        let mut b = vec![1.0; n];
        assert!(refused(&system.linearise(&y[1..], &mut jacobian, &cancel)));
        assert!(refused(&system.factorise(&mut jacobian, shift, &cancel)));
        assert!(refused(&StiffSystem::solve(
            &system,
            &mut jacobian,
            &mut b,
            &cancel
        )));
        system.linearise(&y, &mut jacobian, &cancel)?;
        assert!(refused(&StiffSystem::solve(
            &system,
            &mut jacobian,
            &mut b,
            &cancel
        )));
        system.factorise(&mut jacobian, shift, &cancel)?;
        assert!(refused(&StiffSystem::solve(
            &system,
            &mut jacobian,
            &mut b[1..],
            &cancel
        )));
        // The same with a second layer that does not learn has other directions.
        let mut fixed = system.clone();
        fixed.rates.second_layer = false;
        assert!(refused(&fixed.factorise(&mut jacobian, shift, &cancel)));
        StiffSystem::solve(&system, &mut jacobian, &mut b, &cancel)
    }

    #[test]
    fn an_interrupted_solution_can_be_taken_up() -> Result<()> {
        let (system, cancel, raised) = (system()?, Cancel::new(), Cancel::new());
        raised.raise();
        let mut jacobian = ModeJacobian::default();
        system.linearise(&system.initial, &mut jacobian, &cancel)?;
        system.factorise(&mut jacobian, 2.0, &cancel)?;
        let (mut once, mut b) = (system.initial.clone(), system.initial.clone());
        StiffSystem::solve(&system, &mut jacobian, &mut once, &cancel)?;
        let stopped = StiffSystem::solve(&system, &mut jacobian, &mut b.clone(), &raised);
        assert!(matches!(stopped, Err(Error::Interrupted)));
        StiffSystem::solve(&system, &mut jacobian, &mut b, &cancel)?;
        assert_eq!(b, once);
        Ok(())
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
