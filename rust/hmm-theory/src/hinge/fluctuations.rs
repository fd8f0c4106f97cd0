//! Networks of finite width M (population of infinite size): eqs. (10)-(12).

use super::reduction::HingeMeanField;
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

/// Finite-width predictions at one rotation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fluctuation {
    /// Variance of one node's contribution (V, not V/M) at the given point.
    pub var_node: f64,
    /// Test error with the initial fluctuations (11).
    pub test_error_frozen: f64,
    /// Test error after training has removed the constant and the linear modes (12).
    pub test_error_residual: f64,
}

/// `(A2, X)`: `E[a^2]` and `E[a w_par]` at rotation `gamma`.
fn moments(problem: &HingeMeanField, scales: InitialScales, gamma: f64) -> (f64, f64, f64) {
    let (c0, _) = problem.initial_moments();
    let (sinh, cosh) = (gamma.sinh(), gamma.cosh());
    let (va, vw) = (scales.sigma_a.powi(2), scales.sigma_w.powi(2));
    let cross = 2.0 * c0 * sinh * cosh;
    let a2 = va * cosh * cosh + vw * sinh * sinh + cross;
    let w2 = vw * cosh * cosh + va * sinh * sinh + cross;
    (a2, w2, problem.alignment(gamma))
}

/// `V(x)` of eq. (10) at a point with projection `x_par` and `|x_perp|^2 = xperp2`.
pub fn node_variance(
    problem: &HingeMeanField,
    scales: InitialScales,
    gamma: f64,
    (x_par, xperp2): (f64, f64),
) -> f64 {
    let (a2, w2, x) = moments(problem, scales, gamma);
    let kappa = problem.kappa();
    let linear = 0.5 * kappa * x * x_par;
    0.5 * kappa
        * kappa
        * ((a2 * w2 + 2.0 * x * x) * x_par * x_par + a2 * scales.sigma_w.powi(2) * xperp2)
        - linear * linear
}

/// Share of the even harmonics of degree >= 2 in the even part of a ReLU node.
const RESIDUAL_SHARE: f64 = 1.0 - 2.0 / PI;

/// Test error of a network of `width` nodes, `(frozen, residual)`, averaged over initial conditions
/// (Gaussian inputs).
pub fn test_errors(
    problem: &HingeMeanField,
    scales: InitialScales,
    gamma: f64,
    width: f64,
    d: f64,
) -> (f64, f64) {
    let (a2, _, x) = moments(problem, scales, gamma);
    let even = a2 * scales.sigma_w.powi(2) * (d - 1.0) / width;
    let error = |variance: f64| variance.sqrt().atan2(x) / PI;
    (error(2.0 * even), error(RESIDUAL_SHARE * even))
}

/// Projections satisfied at rotation `gamma` by outputs one standard deviation above and below the
/// mean: `(m_plus, m_minus)` with the frozen or the residual variance, at `|x_perp|^2 = xperp2`.
pub fn satisfaction_band(
    problem: &HingeMeanField,
    scales: InitialScales,
    gamma: f64,
    width: f64,
    xperp2: f64,
    residual: bool,
) -> (f64, f64) {
    let (a2, _, x) = moments(problem, scales, gamma);
    let kappa = problem.kappa();
    let frozen = 0.5 * kappa * kappa * a2 * scales.sigma_w.powi(2) * xperp2;
    let share = if residual { 0.5 * RESIDUAL_SHARE } else { 1.0 };
    let deviation = (share * frozen / width).sqrt();
    let slope = 0.5 * kappa * x;
    let threshold = problem.threshold();
    (
        (threshold - deviation) / slope,
        (threshold + deviation) / slope,
    )
}
