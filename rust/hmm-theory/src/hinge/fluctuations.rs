//! Networks of finite width M (population of infinite size): eqs. (10)-(12).
//!
//! ```
//! use hmm_core::Cancel;
//! use hmm_theory::hinge::{BaseLaw, DataLaw, HingeLoss, HingeMeanField, InitialMoments};
//! use hmm_theory::hinge::fluctuations::{InitialScales, test_errors};
//! use ndarray::aview1;
//! let law = DataLaw::new(BaseLaw::Gaussian { sigma: 1.0 }, 0.0)?;
//! let loss = HingeLoss { alpha: 1.0, h: 1.0, beta: 1.0, exponent: 1.0 };
//! let moments = InitialMoments { correlation: 0.0, power: 1.0 };
//! let field = HingeMeanField::new(law, loss, 0.1, moments, false)?;
//! let scales = InitialScales { sigma_a: 1.0, sigma_w: 1.0 };
//! let of = |width| test_errors(&field, scales, aview1(&[0.0, 1.0]), width, 100.0, &Cancel::new());
//! // A network that has learnt nothing guesses; one of infinite width has one question left, the sign of x_par.
//! assert_eq!(of(50.0)?.frozen[0], 0.5);
//! assert!(of(1e30)?.frozen[1] < 1e-12);
//! // Errors fall as 1/sqrt M.
//! assert!((of(1e8)?.frozen[1] / of(4e8)?.frozen[1] - 2.0).abs() < 1e-4);
//! # Ok::<(), hmm_core::Error>(())
//! ```

use super::reduction::{HingeMeanField, InitialMoments};
use hmm_core::{Cancel, Error, Result};
use ndarray::{Array1, ArrayView1};
use std::f64::consts::PI;

/// Variances behind the finite-width formulas: of the inputs, the initial output weights and the
/// initial input weights.
#[derive(Debug, Clone, Copy)]
pub struct InitialScales {
    /// Standard deviation of the initial output weights.
    pub sigma_a: f64,
    /// Standard deviation of the initial input weights.
    pub sigma_w: f64,
}

/// Largest rotation whose fourth powers of `e^gamma` double precision holds.
const LARGEST_GAMMA: f64 = 175.0;

/// `gamma` if the formulas have a value there.
fn rotation(gamma: f64) -> Result<f64> {
    if gamma.abs() <= LARGEST_GAMMA {
        return Ok(gamma);
    }
    Err(Error::invalid(
        "gamma",
        gamma,
        format!("rotations beyond {LARGEST_GAMMA} leave double precision"),
        "pass smaller ones",
    ))
}

/// `E[a^2]`, `E[w_par^2]` and `E[a w_par]` at rotation `gamma`.
fn moments(problem: &HingeMeanField, scales: InitialScales, gamma: f64) -> (f64, f64, f64) {
    let InitialMoments {
        correlation: c0, ..
    } = problem.initial_moments();
    let (sinh, cosh) = (gamma.sinh(), gamma.cosh());
    let (va, vw) = (scales.sigma_a.powi(2), scales.sigma_w.powi(2));
    let cross = 2.0 * c0 * sinh * cosh;
    let a2 = va * cosh * cosh + vw * sinh * sinh + cross;
    let w2 = vw * cosh * cosh + va * sinh * sinh + cross;
    (a2, w2, problem.alignment(gamma))
}

/// A point seen by its projection on the teacher and the squared length of the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// `x_par`.
    pub x_par: f64,
    /// `|x_perp|^2`.
    pub perpendicular: f64,
}

/// Which of a node's fluctuations are still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fluctuations {
    /// The initial ones, all of them.
    Frozen,
    /// The even harmonics of degree two and more: training has removed the constant and the linear modes.
    Residual,
}

/// Test errors averaged over initial conditions.
#[derive(Debug, Clone, PartialEq)]
pub struct TestErrors {
    /// With the initial fluctuations (11), shape (n,).
    pub frozen: Array1<f64>,
    /// After training has removed the constant and the linear modes (12), shape (n,).
    pub residual: Array1<f64>,
}

/// Projections satisfied by outputs one standard deviation above and below the mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// Satisfied early, shape (n,).
    pub low: Array1<f64>,
    /// Satisfied late, shape (n,).
    pub high: Array1<f64>,
}

/// `V(x)` of eq. (10) at `point`, the variance of one node (not V/M), at every rotation.
///
/// # Errors
/// [`Error::InvalidParameter`] for rotations beyond double precision; [`Error::Interrupted`].
pub fn node_variance(
    problem: &HingeMeanField,
    scales: InitialScales,
    gammas: ArrayView1<'_, f64>,
    point: Point,
    cancel: &Cancel,
) -> Result<Array1<f64>> {
    let kappa = problem.kappa();
    let Point {
        x_par,
        perpendicular,
    } = point;
    let variance = |gamma: &f64| {
        cancel.check()?;
        let (a2, w2, x) = moments(problem, scales, rotation(*gamma)?);
        let linear = 0.5 * kappa * x * x_par;
        Ok(0.5
            * kappa
            * kappa
            * ((a2 * w2 + 2.0 * x * x) * x_par * x_par
                + a2 * scales.sigma_w.powi(2) * perpendicular)
            - linear * linear)
    };
    gammas.iter().map(variance).collect()
}

/// Share of the even harmonics of degree >= 2 in the even part of a ReLU node.
const RESIDUAL_SHARE: f64 = 1.0 - 2.0 / PI;

/// Test errors of a network of `width` nodes on `d` Gaussian inputs.
///
/// # Errors
/// As for [`node_variance`].
pub fn test_errors(
    problem: &HingeMeanField,
    scales: InitialScales,
    gammas: ArrayView1<'_, f64>,
    width: f64,
    d: f64,
    cancel: &Cancel,
) -> Result<TestErrors> {
    let mut errors = TestErrors {
        frozen: Array1::zeros(gammas.len()),
        residual: Array1::zeros(gammas.len()),
    };
    let both = errors.frozen.iter_mut().zip(&mut errors.residual);
    for ((frozen, residual), gamma) in both.zip(&gammas) {
        cancel.check()?;
        let (a2, _, x) = moments(problem, scales, rotation(*gamma)?);
        let even = a2 * scales.sigma_w.powi(2) * (d - 1.0) / width;
        let error = |variance: f64| variance.sqrt().atan2(x) / PI;
        *frozen = error(2.0 * even);
        *residual = error(RESIDUAL_SHARE * even);
    }
    Ok(errors)
}

/// Projections satisfied at the rotations `gammas` by outputs one standard deviation above and below the
/// mean, at `|x_perp|^2 = perpendicular`.
///
/// While the mean output is zero a fluctuation alone satisfies every example or none: then the edges are infinite.
///
/// # Errors
/// As for [`node_variance`].
pub fn satisfaction_band(
    problem: &HingeMeanField,
    scales: InitialScales,
    gammas: ArrayView1<'_, f64>,
    width: f64,
    perpendicular: f64,
    kind: Fluctuations,
    cancel: &Cancel,
) -> Result<Band> {
    let (kappa, threshold) = (problem.kappa(), problem.threshold());
    let share = match kind {
        Fluctuations::Residual => 0.5 * RESIDUAL_SHARE,
        Fluctuations::Frozen => 1.0,
    };
    let mut band = Band {
        low: Array1::zeros(gammas.len()),
        high: Array1::zeros(gammas.len()),
    };
    let edges = band.low.iter_mut().zip(&mut band.high);
    for ((low, high), gamma) in edges.zip(&gammas) {
        cancel.check()?;
        let (a2, _, x) = moments(problem, scales, rotation(*gamma)?);
        let frozen = 0.5 * kappa * kappa * a2 * scales.sigma_w.powi(2) * perpendicular;
        let deviation = (share * frozen / width).sqrt();
        let slope = 0.5 * kappa * x;
        let edge = |margin: f64| {
            if slope != 0.0 {
                margin / slope
            } else if margin > 0.0 {
                f64::INFINITY
            } else {
                f64::NEG_INFINITY
            }
        };
        *low = edge(threshold - deviation);
        *high = edge(threshold + deviation);
    }
    Ok(band)
}

#[cfg(test)]
mod tests {
    use super::super::reduction::tests::gaussian;
    use super::*;
    use ndarray::array;

    const SCALES: InitialScales = InitialScales {
        sigma_a: 1.0,
        sigma_w: 1.0,
    };

    #[test]
    fn every_rotation_has_a_value_or_is_refused() {
        let cancel = Cancel::new();
        let point = Point {
            x_par: 1.0,
            perpendicular: 9.0,
        };
        for c0 in [-1.0, 0.0, 0.7] {
            let problem = gaussian(10.0, 1.0, 0.0, c0);
            let gammas = array![-175.0, -1.0, 0.0, 1e-300, 2.0, 174.0];
            let variance = node_variance(&problem, SCALES, gammas.view(), point, &cancel).unwrap();
            assert!(variance.iter().all(|v| v.is_finite()));
            let errors =
                test_errors(&problem, SCALES, gammas.view(), 100.0, 10.0, &cancel).unwrap();
            let all = errors.frozen.iter().chain(&errors.residual);
            assert!(all.into_iter().all(|e| (0.0..=1.0).contains(e)));
            for kind in [Fluctuations::Frozen, Fluctuations::Residual] {
                let band =
                    satisfaction_band(&problem, SCALES, gammas.view(), 100.0, 9.0, kind, &cancel)
                        .unwrap();
                assert!(band.low.iter().chain(&band.high).all(|m| !m.is_nan()));
            }
            for gamma in [176.0, -400.0, f64::INFINITY, f64::NAN] {
                let refused = node_variance(&problem, SCALES, array![gamma].view(), point, &cancel);
                assert!(matches!(refused, Err(Error::InvalidParameter { .. })));
            }
        }
    }
}
