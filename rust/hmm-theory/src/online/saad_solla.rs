//! Vanilla teacher and student: i.i.d. Gaussian inputs, one mode.
//!
//! dR/dt = -eta L R + eta G T - kappa R, dQ/dt = -eta (LQ + QL^T) + eta (G R^T + R G^T) + eta^2 N
//! minus 2 kappa Q. Source: Saad and Solla, Phys. Rev. E 52, 4225 (1995).
//!
//! ```
//! // A linear unit turns to its teacher as dR/dt = eta (T - R): R = 1 - e^(-eta t).
//! use hmm_core::{Activation, Cancel, Schedule};
//! use hmm_theory::integrate::{Method, Tolerance};
//! use hmm_theory::online::{Setting, committee::Unit, saad_solla::saad_solla};
//! use ndarray::{Ix3, array, aview1};
//! let unit = Unit::of("activation", Activation::Linear)?;
//! let (lr, zero, batch) = (0.5, Schedule::from(0.0), 1);
//! let (lr_v, noise, weight_decay) = (zero.clone(), zero.clone(), zero);
//! let (v0, v_teacher) = (vec![1.0], vec![1.0]);
//! let (student, teacher) = (unit.clone(), unit);
//! let setting =
//!     Setting { student, teacher, v0, v_teacher, lr: lr.into(), lr_v, noise, weight_decay, batch };
//! let (q, r, t) = (array![[0.3]], array![[0.0]], array![[1.0]]);
//! let system = saad_solla(&setting, q.view(), r.view(), t.view())?;
//! let (times, tolerance) = ([0.0, 1.0, 3.0], Tolerance::new(1e-10, 1e-12)?);
//! let solution = system.solve(aview1(&times), Method::Auto, tolerance, &Cancel::new())?;
//! let r = solution.values.array::<f64, Ix3>("R")?;
//! for (r, time) in r.iter().zip(times) {
//!     assert!((r - (1.0 - f64::exp(-lr * time))).abs() < 1e-8);
//! }
//! # Ok::<(), hmm_core::Error>(())
//! ```

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
    let (k, m) = setting.units()?;
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
