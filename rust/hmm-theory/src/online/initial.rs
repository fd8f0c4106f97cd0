//! Checks and layout of what a user gives for t = 0, shared by the three systems.

use super::committee::{Committee, Unit};
use super::modes::{Coefficients, Observable, OnlineSystem, Rates, triangle};
use super::quadrature::check_quadrature;
use super::scheduled::Schedules;
use crate::checks::{COVARIANCE_TOLERANCE, check_covariance, finite, length};
use hmm_core::memory::{bytes_of, require};
use hmm_core::{Error, Result, Schedule};
use ndarray::{ArrayView, ArrayView3, Dimension};
use std::borrow::Cow;

/// States of the system that an integrator holds at a time.
const STATES: usize = 32;

/// Everything but the modes: student, teacher, descent.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Activation of the student.
    pub student: Unit,
    /// Activation of the teacher.
    pub teacher: Unit,
    /// Output weights of the student at t = 0, (K,).
    pub v0: Vec<f64>,
    /// Output weights of the teacher, (M,).
    pub v_teacher: Vec<f64>,
    /// First-layer rate eta.
    pub lr: Schedule,
    /// Second-layer rate eta_v.
    pub lr_v: Schedule,
    /// Standard deviation sigma of the output noise.
    pub noise: Schedule,
    /// Weight decay kappa.
    pub weight_decay: Schedule,
    /// Samples per step B.
    pub batch: usize,
}

/// Modes at t = 0, mode first.
#[derive(Clone, Copy, Debug)]
pub struct ModeArrays<'a> {
    /// sigma_s or q_s, (S, K, K).
    pub covariance: ArrayView3<'a, f64>,
    /// r_s, (S, K, M).
    pub overlap: ArrayView3<'a, f64>,
    /// t_s, (S, M, M).
    pub teacher: ArrayView3<'a, f64>,
}

/// The same as row-major numbers, for the lanes of modes.
#[derive(Clone, Copy, Debug)]
pub(super) struct ModeNumbers<'a> {
    pub(super) covariance: &'a [f64],
    pub(super) overlap: &'a [f64],
    pub(super) teacher: &'a [f64],
}

/// The numbers of a view in row-major order, copied only if they lie otherwise.
pub(super) fn numbers<'a, D: Dimension>(view: &'a ArrayView<'_, f64, D>) -> Cow<'a, [f64]> {
    match view.as_slice() {
        Some(slice) => Cow::Borrowed(slice),
        None => Cow::Owned(view.iter().copied().collect()),
    }
}

/// Modes rounded up to whole vector registers; the ones added are zero and stay so.
fn padded(modes: usize) -> usize {
    if modes < 5 {
        modes
    } else {
        modes.next_multiple_of(8)
    }
}

impl Setting {
    /// K and M, at least 1 each.
    pub(super) fn units(&self) -> Result<(usize, usize)> {
        let (k, m) = (self.v0.len(), self.v_teacher.len());
        if k == 0 || m == 0 {
            return Err(Error::shape(
                if k == 0 { "v0" } else { "v_teacher" },
                &[0],
                "student and teacher have at least one unit",
                "pass K >= 1 and M >= 1 output weights",
            ));
        }
        Ok((k, m))
    }

    /// The schedules of the rates, checked.
    fn schedules(&self) -> Result<Schedules> {
        let schedules = Schedules {
            lr: self.lr.clone(),
            lr_v: self.lr_v.clone(),
            noise: self.noise.clone(),
            weight_decay: self.weight_decay.clone(),
        };
        schedules.check()?;
        Ok(schedules)
    }

    /// Committee with teacher overlaps `t` (M, M), and rates; those of t = 0 where they change.
    pub fn committee(&self, t: &[f64]) -> Result<(Committee, Rates)> {
        let (k, m) = self.units()?;
        if self.batch == 0 {
            return Err(Error::invalid(
                "batch",
                0,
                "at least one sample per step",
                "pass batch=1 or more",
            ));
        }
        check_quadrature(&self.student, &self.teacher, k + m)?;
        finite("v0", &self.v0)?;
        finite("v_teacher", &self.v_teacher)?;
        check_covariance("T", t, m)?;
        let start = self.schedules()?.at(0.0)?;
        let committee = Committee {
            k,
            m,
            student: self.student.clone(),
            teacher: self.teacher.clone(),
            t: t.to_vec(),
            v_teacher: self.v_teacher.clone(),
            noise_variance: start.noise.powi(2),
        };
        let rates = Rates {
            lr: start.lr,
            lr_v: start.lr_v,
            second_layer: !self.lr_v.is_zero(),
            weight_decay: start.weight_decay,
            batch: self.batch,
        };
        Ok((committee, rates))
    }

    /// The system of these modes; `pull` t_s is what the teacher does to mode s.
    #[expect(
        clippy::indexing_slicing,
        reason = "the arrays of the modes hold S of each matrix (`length`), the coefficients S numbers that are padded here with the state"
    )]
    pub(super) fn system(
        &self,
        t: &[f64],
        coefficients: Coefficients,
        modes: ModeNumbers<'_>,
        observables: Vec<Observable>,
    ) -> Result<OnlineSystem> {
        let (committee, rates) = self.committee(t)?;
        let (k, m, s) = (committee.k, committee.m, coefficients.decay.len());
        length("sigma0", modes.covariance, &[s, k, k])?;
        length("r0", modes.overlap, &[s, k, m])?;
        length("t_modes", modes.teacher, &[s, m, m])?;
        let rows = k * m + k * (k + 1) / 2;
        require(
            bytes_of::<f64>(rows.saturating_mul(s).saturating_mul(STATES)),
            "the state of so many modes and units",
            "pass fewer nodes or units",
        )?;
        let modes_given = s;
        let s = padded(s);
        let pad = |mut values: Vec<f64>| {
            values.resize(s, 0.0);
            values
        };
        let coefficients = Coefficients {
            decay: pad(coefficients.decay),
            pull: pad(coefficients.pull),
            diffusion: pad(coefficients.diffusion),
            in_q: pad(coefficients.in_q),
            in_r: pad(coefficients.in_r),
        };
        let observables = observables
            .into_iter()
            .map(|o| Observable {
                name: o.name,
                weights: pad(o.weights),
            })
            .collect();
        let mut initial = vec![0.0; rows * s + k];
        let mut pulled_teacher = vec![0.0; m * m * s];
        for mode in 0..modes_given {
            for entry in 0..k * m {
                initial[entry * s + mode] = modes.overlap[mode * k * m + entry];
            }
            for i in 0..k {
                for j in i..k {
                    let at = mode * k * k;
                    let entries = [
                        modes.covariance[at + i * k + j],
                        modes.covariance[at + j * k + i],
                    ];
                    let [upper, lower] = entries;
                    let slack = COVARIANCE_TOLERANCE * (1.0 + upper.abs());
                    if (upper - lower).abs() > slack {
                        return Err(Error::invalid(
                            "sigma0",
                            format!("[{mode}, {i}, {j}] != [{mode}, {j}, {i}]"),
                            "a covariance is symmetric",
                            "symmetrise it",
                        ));
                    }
                    initial[(k * m + triangle(k, i, j)) * s + mode] = 0.5 * (upper + lower);
                }
            }
            for entry in 0..m * m {
                pulled_teacher[entry * s + mode] =
                    coefficients.pull[mode] * modes.teacher[mode * m * m + entry];
            }
        }
        initial[rows * s..].copy_from_slice(&self.v0);
        let system = OnlineSystem {
            committee,
            rates,
            schedules: self.schedules()?,
            coefficients,
            pulled_teacher,
            observables,
            initial,
        };
        let (mut q, mut r, mut c) = (Vec::new(), Vec::new(), Vec::new());
        system.q(&system.initial, &mut q);
        system.r(&system.initial, &mut r);
        system.committee.field_covariance(&q, &r, &mut c);
        check_covariance("covariance ((Q, R), (R^T, T)) at t = 0", &c, k + m)?;
        Ok(system)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::{Closed, Moments};
    use crate::online::covariance::covariance;
    use crate::online::hidden_manifold::{Manifold, TeacherModes, hidden_manifold};
    use ndarray::{Array1, Array2, Array3};

    /// Inputs of a covariance and of a hidden manifold, `s` modes.
    fn systems(k: usize, m: usize, s: usize) -> [Result<OnlineSystem>; 2] {
        let unit = Unit::Closed(Closed::Erf);
        let setting = Setting {
            student: unit.clone(),
            teacher: unit,
            v0: vec![1.0; k],
            v_teacher: vec![1.0; m],
            lr: 0.1.into(),
            lr_v: 0.0.into(),
            noise: 0.0.into(),
            weight_decay: 0.0.into(),
            batch: 1,
        };
        let rho = Array1::ones(s);
        let weights = Array1::from_elem(s, 1.0 / s as f64);
        let (covariances, overlaps) = (Array3::zeros((s, k, k)), Array3::zeros((s, k, m)));
        let teachers = Array3::zeros((s, m, m));
        let (t, w0) = (Array2::zeros((m, m)), Array2::zeros((k, k)));
        let modes = ModeArrays {
            covariance: covariances.view(),
            overlap: overlaps.view(),
            teacher: teachers.view(),
        };
        let manifold = Manifold {
            delta: 0.5,
            moments: Moments {
                a: 0.0,
                b: 0.5,
                c: 0.5,
            },
            center: true,
            rho: rho.view(),
            weights: weights.view(),
            w0: w0.view(),
            teacher_modes: TeacherModes::Exact,
        };
        [
            covariance(&setting, t.view(), rho.view(), weights.view(), modes),
            hidden_manifold(&setting, &manifold, modes),
        ]
    }

    #[test]
    fn systems_without_units_or_modes_are_refused() {
        assert!(systems(2, 1, 3).iter().all(Result::is_ok));
        for (k, m, s) in [(0, 1, 2), (1, 0, 2), (0, 0, 2), (1, 1, 0)] {
            for system in systems(k, m, s) {
                assert!(matches!(system, Err(Error::Shape { .. })), "{k} {m} {s}");
            }
        }
    }
}
