//! Vanilla teacher and student: i.i.d. Gaussian inputs, one mode.
//!
//! dR/dt = -eta L R + eta G T - kappa R, dQ/dt = -eta (LQ + QL^T) + eta (G R^T + R G^T) + eta^2 N
//! minus 2 kappa Q. Source: Saad and Solla, Phys. Rev. E 52, 4225 (1995).

use super::initial::{ModeNumbers, Setting, numbers};
use super::modes::{Coefficients, OnlineSystem};
use crate::checks::shape;
use hmm_core::Result;
use ndarray::ArrayView2;

/// The system with overlaps `q0` (K, K), `r0` (K, M) and teacher overlaps `t` (M, M).
///
/// # Errors
/// Shapes that disagree, overlaps that are no covariance, rates below 0.
pub fn saad_solla(
    setting: &Setting,
    q0: ArrayView2<'_, f64>,
    r0: ArrayView2<'_, f64>,
    t: ArrayView2<'_, f64>,
) -> Result<OnlineSystem> {
    let (k, m) = (setting.v0.len(), setting.v_teacher.len());
    shape("Q0", q0.shape(), &[k, k])?;
    shape("R0", r0.shape(), &[k, m])?;
    shape("T", t.shape(), &[m, m])?;
    let (q0, r0, t) = (numbers(&q0), numbers(&r0), numbers(&t));
    let one = || vec![1.0];
    setting.system(
        &t,
        Coefficients {
            decay: one(),
            pull: one(),
            diffusion: one(),
            in_q: one(),
            in_r: one(),
        },
        ModeNumbers {
            covariance: &q0,
            overlap: &r0,
            teacher: &t,
        },
        Vec::new(),
    )
}
