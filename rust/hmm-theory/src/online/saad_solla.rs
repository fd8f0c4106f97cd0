//! Vanilla teacher and student: i.i.d. Gaussian inputs, one mode.
//!
//! dR/dt = -eta L R + eta G T - kappa R, dQ/dt = -eta (LQ + QL^T) + eta (G R^T + R G^T) + eta^2 N
//! minus 2 kappa Q. Source: Saad and Solla, Phys. Rev. E 52, 4225 (1995).

use super::initial::{ModeArrays, Setting};
use super::modes::{Coefficients, OnlineSystem};
use hmm_core::Result;

/// The system with overlaps `q0` (K, K), `r0` (K, M) and teacher overlaps `t` (M, M).
pub fn saad_solla(setting: &Setting, q0: &[f64], r0: &[f64], t: &[f64]) -> Result<OnlineSystem> {
    let one = || vec![1.0];
    setting.system(
        t,
        Coefficients {
            decay: one(),
            pull: one(),
            diffusion: one(),
            in_q: one(),
            in_r: one(),
        },
        ModeArrays {
            covariance: q0,
            overlap: r0,
            teacher: t,
        },
        Vec::new(),
    )
}
