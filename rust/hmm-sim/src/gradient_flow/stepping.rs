//! How long a step may be: two controllers for explicit Euler, and an embedded Runge-Kutta pair.

hmm_core::named! {
    /// The ways to integrate a flow, see [`Method`].
    pub enum Controller: "method" {
        /// [`Method::Chatter`].
        Chatter = "chatter",
        /// [`Method::Published`].
        Published = "published",
        /// [`Method::RungeKutta`].
        RungeKutta = "rk",
    }
}

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
    /// Dormand-Prince 5(4) with error control on parameters and predictions, for smooth losses.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_a_number_is_rejected_everywhere() {
        assert!(!chatter(f64::NAN).accepted && chatter(f64::NAN).factor == 0.1);
        assert!(!published(f64::NAN, 0.0).accepted);
        assert!(!embedded_pair(f64::NAN).accepted && embedded_pair(f64::NAN).factor == 0.1);
    }
}
