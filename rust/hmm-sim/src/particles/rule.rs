//! Units, losses and rates.

use hmm_core::{Activation, Error, Loss, Named, Real, Result};

/// Activations that a node may have.
pub const UNITS: [Activation; 3] = [Activation::Relu, Activation::Erf, Activation::Tanh];
/// Losses that particles may descend.
pub const LOSSES: [Loss; 3] = [Loss::Hinge, Loss::Squared, Loss::Logistic];

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

impl TryFrom<Activation> for Unit {
    type Error = Error;

    fn try_from(activation: Activation) -> Result<Self> {
        match activation {
            Activation::Relu => Ok(Self::Relu),
            Activation::Erf => Ok(Self::Erf),
            Activation::Tanh => Ok(Self::Tanh),
            other => Err(refused("activation", other, &UNITS)),
        }
    }
}

/// The refusal of a value that is not among those allowed.
fn refused<T: Named>(argument: &'static str, value: T, allowed: &[T]) -> Error {
    let listed: Vec<String> = allowed
        .iter()
        .map(|one| format!("'{}'", one.name()))
        .collect();
    Error::invalid(
        argument,
        format!("'{}'", value.name()),
        "is not one that particles know",
        format!("pass one of {}", listed.join(", ")),
    )
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
pub enum ExampleLoss {
    /// `max(0, h - m)`.
    Hinge,
    /// `(h - m)^2 / 2`.
    Squared,
    /// `log(1 + exp(h - m))`.
    Logistic,
}

impl TryFrom<Loss> for ExampleLoss {
    type Error = Error;

    fn try_from(loss: Loss) -> Result<Self> {
        match loss {
            Loss::Hinge => Ok(Self::Hinge),
            Loss::Squared => Ok(Self::Squared),
            Loss::Logistic => Ok(Self::Logistic),
            other => Err(refused("loss", other, &LOSSES)),
        }
    }
}

impl ExampleLoss {
    /// Loss at margin deficit `h - m`.
    pub fn value(self, deficit: f64) -> f64 {
        match self {
            Self::Hinge => deficit.max(0.0),
            Self::Squared => 0.5 * deficit * deficit,
            Self::Logistic => deficit.max(0.0) + (-deficit.abs()).exp().ln_1p(),
        }
    }

    /// Minus the derivative with respect to the margin; at the kink of the hinge (`m = h`) it is zero: the example is
    /// satisfied.
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
    pub loss: ExampleLoss,
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

    /// The deficit `h - alpha y f` of an example.
    ///
    /// One expression decides everywhere: an example is unsatisfied, pulls and has a hinge loss exactly if this is
    /// positive.
    #[inline]
    pub fn deficit(&self, label: f64, output: f64) -> f64 {
        self.h - self.alpha * label * output
    }
}
