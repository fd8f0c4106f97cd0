//! Spectrum of F^T F / N for an i.i.d. Gaussian N x D feature matrix, as a quadrature.
//!
//! ```
//! use hmm_core::Cancel;
//! use hmm_theory::spectrum::marchenko_pastur;
//! // Moments of the law of ratio delta = D/N: 1 and 1 + delta; its atom at zero: 1 - 1/delta.
//! for delta in [0.3, 2.0] {
//!     let law = marchenko_pastur(delta, 50, &Cancel::new())?;
//!     let moment = |power| law.rho.iter().zip(&law.weights).map(|(r, w)| w * r.powi(power)).sum::<f64>();
//!     assert!((moment(1) - 1.0).abs() < 1e-14 && (moment(2) - 1.0 - delta).abs() < 1e-14);
//!     let atom = law.weights[50];
//!     assert!((atom - (1.0_f64 - 1.0 / delta).max(0.0)).abs() < 1e-12);
//! }
//! # Ok::<(), hmm_core::Error>(())
//! ```

use hmm_core::memory::filled;
use hmm_core::{Cancel, Error, Result};
use ndarray::Array1;
use std::f64::consts::PI;

/// Nodes and weights of a spectrum: average over modes = sum of weights times values at nodes.
#[derive(Clone, Debug)]
pub struct Spectrum {
    /// Eigenvalues, (n + 1,).
    pub rho: Array1<f64>,
    /// Weights, (n + 1,); they sum to 1.
    pub weights: Array1<f64>,
}

/// Marchenko-Pastur law of ratio `delta` = D/N on `n` nodes and the atom at 0, which comes last.
///
/// rho_j = 1 + delta + 2 sqrt(delta) cos(j pi/(n+1)) with weight (2/(n+1)) sin^2(j pi/(n+1))/rho_j
/// is the trapezoidal rule in the angle: spectrally accurate but for the pole at rho = 0. The last
/// node takes what is missing from 1: the atom 1 - 1/delta of delta > 1, and the pole's correction
/// at finite n otherwise. Source: Marchenko and Pastur (1967); Goldt et al. (2020), section IV.
///
/// # Errors
/// `delta` <= 0, no node, more nodes than memory, [`Error::Interrupted`] if cancelled.
pub fn marchenko_pastur(delta: f64, n: usize, cancel: &Cancel) -> Result<Spectrum> {
    if !(delta.is_finite() && delta > 0.0) {
        return Err(Error::invalid(
            "delta",
            delta,
            "the ratio D/N must be finite and > 0",
            "pass delta=D/N",
        ));
    }
    if n == 0 {
        return Err(Error::invalid(
            "n",
            n,
            "at least one node is needed",
            "pass n=30 or more",
        ));
    }
    let count = n.saturating_add(1);
    let column = || {
        filled(
            0.0,
            count,
            "a quadrature of so many nodes",
            "pass n=30 or so",
        )
    };
    let (mut rho, mut weights) = (column()?, column()?);
    let nodes = rho.iter_mut().zip(&mut weights).take(n);
    for (j, (rho, weight)) in (1_usize..).zip(nodes) {
        if j % 4096 == 0 {
            cancel.check()?;
        }
        let angle = j as f64 * PI / (n + 1) as f64;
        // (1 - sqrt delta)^2 + 4 sqrt delta cos^2(angle/2): no cancellation at the lower edge.
        let edge = 1.0 - delta.sqrt();
        let eigenvalue = edge * edge + 4.0 * delta.sqrt() * (0.5 * angle).cos().powi(2);
        *rho = eigenvalue;
        *weight = 2.0 / (n + 1) as f64 * angle.sin().powi(2) / eigenvalue;
    }
    if let Some((atom, others)) = weights.split_last_mut() {
        *atom = 1.0 - others.iter().sum::<f64>();
    }
    Ok(Spectrum {
        rho: rho.into(),
        weights: weights.into(),
    })
}
