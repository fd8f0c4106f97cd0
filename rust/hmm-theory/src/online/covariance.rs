//! Inputs of any covariance Omega: one mode per eigenvalue of it.
//!
//! ```text
//! dr/dt = -eta rho L r + eta G t - kappa r
//! dq/dt = -eta rho (L q + q L^T) + eta (G r^T + r G^T) + eta^2 rho N - 2 kappa q
//! Q = <rho q>,  R = <r>, averages over the N modes
//! ```
//! Source: Goldt et al., arXiv:2006.14709, section 3.

use super::initial::{ModeArrays, ModeNumbers, Setting, numbers};
use super::modes::{Coefficients, Observable, OnlineSystem};
use crate::checks::{finite, not_empty, shape};
use hmm_core::{Error, Result};
use ndarray::{ArrayView1, ArrayView2};

/// Modes whose eigenvalues differ by less than this fraction of the largest obey one equation.
const SAME_EIGENVALUE: f64 = 1e-13;

/// The system for eigenvalues `rho` of Omega with `weights` (1/N each), teacher overlaps `t`, and
/// modes q (S, K, K), r (S, K, M), t (S, M, M).
///
/// Modes of equal eigenvalue are added up first: their equations are linear and the same.
///
/// # Errors
/// Shapes that disagree or are empty, negative eigenvalues, overlaps that are no covariance, rates below 0.
pub fn covariance(
    setting: &Setting,
    t: ArrayView2<'_, f64>,
    rho: ArrayView1<'_, f64>,
    weights: ArrayView1<'_, f64>,
    modes: ModeArrays<'_>,
) -> Result<OnlineSystem> {
    let ((k, m), s) = (setting.units()?, rho.len());
    not_empty("Omega", rho.shape())?;
    shape("T", t.shape(), &[m, m])?;
    shape("weights", weights.shape(), &[s])?;
    shape("q0", modes.covariance.shape(), &[s, k, k])?;
    shape("r0", modes.overlap.shape(), &[s, k, m])?;
    shape("t_modes", modes.teacher.shape(), &[s, m, m])?;
    let (t, rho, weights) = (numbers(&t), numbers(&rho), numbers(&weights));
    let (covariance, overlap, teacher) = (
        numbers(&modes.covariance),
        numbers(&modes.overlap),
        numbers(&modes.teacher),
    );
    finite("Omega", &rho)?;
    let largest = rho.iter().fold(0.0_f64, |a, &b| a.max(b.abs()));
    if let Some(negative) = rho.iter().find(|&&x| x < -1e-8 * largest) {
        return Err(Error::invalid(
            "Omega",
            format!("eigenvalue {negative:e}"),
            "a covariance has no negative eigenvalue (tolerance 1e-8)",
            "pass E[x x^T] of centred inputs",
        ));
    }
    let parts = covariance
        .chunks_exact(k * k)
        .zip(overlap.chunks_exact(k * m))
        .zip(teacher.chunks_exact(m * m));
    let mut order: Vec<_> = rho.iter().zip(weights.iter()).zip(parts).collect();
    order.sort_by(|((a, _), _), ((b, _), _)| a.total_cmp(b));
    let mut merged = Merged::default();
    for ((rho, weight), ((covariance, overlap), teacher)) in order {
        // Negative eigenvalues are round-off of zero.
        let eigenvalue = rho.max(0.0);
        let same = merged
            .rho
            .last()
            .is_some_and(|last| (eigenvalue - last).abs() <= SAME_EIGENVALUE * largest);
        merged.add(eigenvalue, *weight, !same, [covariance, overlap, teacher]);
    }
    merged.average([k * k, k * m, m * m]);
    let Merged {
        rho,
        weights,
        arrays,
    } = merged;
    let in_q: Vec<f64> = rho.iter().zip(&weights).map(|(r, w)| r * w).collect();
    setting.system(
        &t,
        Coefficients {
            decay: rho.clone(),
            pull: vec![1.0; rho.len()],
            diffusion: rho,
            in_q,
            in_r: weights.clone(),
        },
        ModeNumbers {
            covariance: &arrays[0],
            overlap: &arrays[1],
            teacher: &arrays[2],
        },
        vec![Observable { name: "W", weights }],
    )
}

/// Groups of modes: weighted sums of q, r, t, made averages at the end.
#[derive(Default)]
struct Merged {
    rho: Vec<f64>,
    weights: Vec<f64>,
    arrays: [Vec<f64>; 3],
}

impl Merged {
    fn add(&mut self, rho: f64, weight: f64, new: bool, parts: [&[f64]; 3]) {
        if new {
            self.rho.push(rho);
            self.weights.push(0.0);
        }
        if let Some(total) = self.weights.last_mut() {
            *total += weight;
        }
        for (array, part) in self.arrays.iter_mut().zip(parts) {
            if new {
                array.extend(part.iter().map(|x| weight * x));
            } else {
                let start = array.len() - part.len();
                for (sum, x) in array.iter_mut().skip(start).zip(part) {
                    *sum += weight * x;
                }
            }
        }
    }

    fn average(&mut self, sizes: [usize; 3]) {
        for (array, size) in self.arrays.iter_mut().zip(sizes) {
            for (group, weight) in array.chunks_exact_mut(size).zip(&self.weights) {
                for x in group {
                    *x /= weight;
                }
            }
        }
    }
}
