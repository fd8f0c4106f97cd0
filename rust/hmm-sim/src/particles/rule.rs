//! Units, losses and rates.

use hmm_core::Real;

/// Activation function of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `max(z, 0)`, slope 0 at 0.
    Relu,
    /// `erf(z / sqrt 2)`.
    Erf,
    /// Hyperbolic tangent.
    Tanh,
}

impl Unit {
    /// `g(z)` and `g'(z)`.
    #[inline(always)]
    pub fn value_and_slope<T: Real>(self, z: T) -> (T, T) {
        match self {
            Self::Relu => {
                if z > T::ZERO {
                    (z, T::ONE)
                } else {
                    (T::ZERO, T::ZERO)
                }
            }
            // sqrt(2/pi) exp(-z^2/2)
            Self::Erf => {
                let slope = T::from_f64(0.797_884_560_802_865_4)
                    * (T::from_f64(-0.5) * z * z).exponential();
                (z.erf_sqrt2(), slope)
            }
            Self::Tanh => {
                let value = z.hyperbolic_tangent();
                (value, T::ONE - value * value)
            }
        }
    }
}

/// Loss of one example as a function of its margin `m = alpha y f`; `h` shifts the margin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// `max(0, h - m)`.
    Hinge,
    /// `(h - m)^2 / 2`.
    Squared,
    /// `log(1 + exp(h - m))`.
    Logistic,
}

impl Loss {
    /// Loss at margin deficit `h - m`.
    pub fn value(self, deficit: f64) -> f64 {
        match self {
            Self::Hinge => deficit.max(0.0),
            Self::Squared => 0.5 * deficit * deficit,
            Self::Logistic => deficit.max(0.0) + (-deficit.abs()).exp().ln_1p(),
        }
    }

    /// Minus the derivative with respect to the margin.
    pub fn pull(self, deficit: f64) -> f64 {
        match self {
            Self::Hinge => f64::from(u8::from(deficit > 0.0)),
            Self::Squared => deficit,
            Self::Logistic => 1.0 / (1.0 + (-deficit).exp()),
        }
    }
}

/// How a network learns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Loss function.
    pub loss: Loss,
    /// Output scale alpha.
    pub alpha: f64,
    /// Margin threshold h.
    pub h: f64,
    /// Mean-field learning rate beta: it multiplies M times the gradient.
    pub beta: f64,
    /// Exponent p: the loss carries a factor `alpha^-p`.
    pub exponent: f64,
    /// Train `f - f(t=0)`.
    pub subtract_init: bool,
}

impl Rule {
    /// `c = beta alpha^(1-p)`.
    pub fn clock_rate(&self) -> f64 {
        self.beta * self.alpha.powf(1.0 - self.exponent)
    }
}
