//! The embedded Runge-Kutta pair 5(4) of Dormand and Prince (1980), for flows whose error is controlled step by step.
//!
//! ```
//! use hmm_core::dormand_prince::{ERROR, STAGES};
//! // A step of dy/dt = y from y = 1 is the Taylor series of e^h to fifth order, and h^6/600.
//! let h: f64 = 0.4;
//! let (mut y, mut slopes) = (1.0, vec![1.0]);
//! for row in STAGES {
//!     y = 1.0 + h * row.iter().zip(&slopes).map(|(a, k)| a * k).sum::<f64>();
//!     slopes.push(y);
//! }
//! let taylor = 1.0 + h * (1.0 + h / 2.0 * (1.0 + h / 3.0 * (1.0 + h / 4.0 * (1.0 + h / 5.0))));
//! assert!((y - taylor - h.powi(6) / 600.0).abs() < 1e-15);
//! // The estimate of its error covers the true one.
//! let estimate = h * ERROR.iter().zip(&slopes).map(|(e, k)| e * k).sum::<f64>();
//! assert!((y - h.exp()).abs() < estimate.abs());
//! ```

/// Stage coefficients, a row for each stage after the first; the last row is the fifth-order solution.
pub const STAGES: [&[f64]; 6] = [
    &[1.0 / 5.0],
    &[3.0 / 40.0, 9.0 / 40.0],
    &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
    &[
        19372.0 / 6561.0,
        -25360.0 / 2187.0,
        64448.0 / 6561.0,
        -212.0 / 729.0,
    ],
    &[
        9017.0 / 3168.0,
        -355.0 / 33.0,
        46732.0 / 5247.0,
        49.0 / 176.0,
        -5103.0 / 18656.0,
    ],
    &[
        35.0 / 384.0,
        0.0,
        500.0 / 1113.0,
        125.0 / 192.0,
        -2187.0 / 6784.0,
        11.0 / 84.0,
    ],
];
/// Difference of the fifth- and fourth-order weights.
pub const ERROR: [f64; 7] = [
    71.0 / 57600.0,
    0.0,
    -71.0 / 16695.0,
    71.0 / 1920.0,
    -17253.0 / 339200.0,
    22.0 / 525.0,
    -1.0 / 40.0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_are_consistent() {
        let nodes = [0.2, 0.3, 0.8, 8.0 / 9.0, 1.0, 1.0];
        for (row, node) in STAGES.iter().zip(nodes) {
            assert!((row.iter().sum::<f64>() - node).abs() < 1e-14);
        }
        assert!(ERROR.iter().sum::<f64>().abs() < 1e-15);
    }
}
