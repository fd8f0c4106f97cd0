//! How long a step may be: two controllers for explicit Euler, and an embedded Runge-Kutta pair.

/// How the flow is integrated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// Explicit Euler; the step follows the change of the outputs, so that a hinge is slid along by
    /// chattering with a bounded amplitude.
    Chatter,
    /// Explicit Euler with the published rule: the change of the gradient counts too.
    /// With kinks it can shrink the step without bound.
    Published {
        /// Largest `|g - g'|^2/(|g| |g'|)`.
        max_dgrad: f64,
    },
    /// Dormand-Prince 5(4) with error control on the parameters, for smooth losses.
    RungeKutta {
        /// Relative tolerance.
        rtol: f64,
        /// Absolute tolerance.
        atol: f64,
    },
}

/// Limits of an Euler step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Largest change of a predictor `F` within a step.
    pub max_dout: f64,
    /// Largest change of the parameters relative to their norm.
    pub max_dw: f64,
}

/// What to do with a trial step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Whether the step is taken.
    pub accepted: bool,
    /// Factor on the step size for the next trial.
    pub factor: f64,
}

/// Controller that follows the outputs; `relative_dout = max |F' - F|/max_dout`.
pub fn chatter(relative_dout: f64) -> Verdict {
    // Not a number counts as too large.
    let accepted = relative_dout < 1.0;
    let factor = if !accepted {
        (0.8 / relative_dout).max(0.1)
    } else if relative_dout == 0.0 {
        1.3
    } else {
        (0.9 / relative_dout).clamp(0.5, 1.3)
    };
    Verdict { accepted, factor }
}

/// Published controller, from both changes in units of their limits.
pub fn published(relative_dout: f64, relative_dgrad: f64) -> Verdict {
    let accepted = relative_dout < 1.0 && relative_dgrad < 1.0;
    let factor = if !accepted {
        0.1
    } else if relative_dout < 0.5 && relative_dgrad < 0.5 {
        1.1
    } else {
        1.0
    };
    Verdict { accepted, factor }
}

/// Error control of a fifth-order pair; `error` in units of the tolerance.
pub fn embedded_pair(error: f64) -> Verdict {
    let accepted = error <= 1.0;
    let factor = if error == 0.0 {
        5.0
    } else if error.is_finite() {
        (0.9 * libm::pow(error, -0.2)).clamp(0.2, 5.0)
    } else {
        0.1
    };
    Verdict { accepted, factor }
}

/// Dormand-Prince 5(4): stage coefficients; the last row is the fifth-order solution.
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

    #[test]
    fn not_a_number_is_rejected_everywhere() {
        assert!(!chatter(f64::NAN).accepted && chatter(f64::NAN).factor == 0.1);
        assert!(!published(f64::NAN, 0.0).accepted);
        assert!(!embedded_pair(f64::NAN).accepted && embedded_pair(f64::NAN).factor == 0.1);
    }
}
