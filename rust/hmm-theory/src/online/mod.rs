//! Equations of one-pass stochastic gradient descent in the limit of many inputs.
//!
//! Time t counts steps divided by N. Three laws of the inputs ([`saad_solla`], [`hidden_manifold`],
//! [`covariance`]; the modes of given weights are made in [`finite_size`]) give one set of mode equations ([`modes`])
//! driven by averages over the local fields of a [`committee`]; [`solution`] integrates it and reads off
//! Q, R, T, v and the error.
//!
//! ```
//! use hmm_core::{Activation, Cancel};
//! use hmm_theory::integrate::{Method, Tolerance};
//! use hmm_theory::online::{Setting, committee::Unit, saad_solla::saad_solla};
//! use ndarray::{Ix1, array, aview1};
//!
//! let setting = Setting {
//!     student: Unit::of("activation", Activation::Erf)?,
//!     teacher: Unit::of("activation", Activation::Erf)?,
//!     v0: vec![1.0],
//!     v_teacher: vec![1.0],
//!     lr: 0.5.into(),
//!     lr_v: 0.0.into(),
//!     noise: 0.0.into(),
//!     weight_decay: 0.0.into(),
//!     batch: 1,
//! };
//! let (q, r, t) = (array![[0.1]], array![[0.0]], array![[1.0]]);
//! let system = saad_solla(&setting, q.view(), r.view(), t.view())?;
//! let tolerance = Tolerance::new(1e-8, 1e-10)?;
//! let solution = system.solve(aview1(&[0.0, 50.0]), Method::Auto, tolerance, &Cancel::new())?;
//! assert!(solution.values.array::<f64, Ix1>("eg")?[1] < 1e-3);
//! # Ok::<(), hmm_core::Error>(())
//! ```

mod closed;
pub mod committee;
pub mod covariance;
mod erf_response;
mod fields;
pub mod finite_size;
pub mod fluctuations;
pub mod hidden_manifold;
mod initial;
mod jacobian;
mod mode_answers;
pub mod modes;
mod quadrature;
mod response;
mod rotation;
pub mod saad_solla;
pub mod scheduled;
pub mod solution;

pub use initial::{ModeArrays, Setting};

use crate::checks::shape;
use hmm_core::memory::filled;
use hmm_core::{Cancel, Result};
use initial::numbers;
use ndarray::{Array1, ArrayView2, ArrayView3};
use rayon::prelude::*;

/// Generalisation error of overlaps q (P, K, K), r (P, K, M) and output weights v (P, K) against one teacher of overlaps
/// t (M, M): (P,).
///
/// # Errors
/// Shapes that disagree, a `t` that is no covariance, [`hmm_core::Error::Interrupted`] if cancelled.
pub fn generalisation_errors(
    setting: &Setting,
    q: ArrayView3<'_, f64>,
    r: ArrayView3<'_, f64>,
    t: ArrayView2<'_, f64>,
    v: ArrayView2<'_, f64>,
    cancel: &Cancel,
) -> Result<Array1<f64>> {
    let ((k, m), count) = (setting.units()?, q.dim().0);
    shape("Q", q.shape(), &[count, k, k])?;
    shape("R", r.shape(), &[count, k, m])?;
    shape("T", t.shape(), &[m, m])?;
    shape("v", v.shape(), &[count, k])?;
    let (committee, _) = setting.committee(&numbers(&t))?;
    let (q, r, v) = (numbers(&q), numbers(&r), numbers(&v));
    let mut errors = filled(0.0, count, "so many errors", "pass fewer overlaps")?;
    errors
        .par_iter_mut()
        .zip(q.par_chunks_exact(k * k))
        .zip(r.par_chunks_exact(k * m))
        .zip(v.par_chunks_exact(k))
        .try_for_each(|(((error, q), r), v)| {
            *error = committee.generalisation_error(q, r, v, cancel)?;
            Ok::<(), hmm_core::Error>(())
        })?;
    Ok(errors.into())
}
