//! How particles learn: units, losses and rates.
//!
//! ```
//! use hmm_sim::loss::ExampleLoss;
//! use hmm_sim::particles::Rule;
//! let (alpha, h, beta, subtract_init) = (4.0, 1.0, 2.0, false);
//! let rule = |exponent| Rule { loss: ExampleLoss::Hinge, alpha, h, beta, exponent, subtract_init };
//! // The clock c = beta alpha^(1-p): with p = 1 the scale of the output does not matter.
//! assert_eq!((rule(1.0).clock_rate(), rule(0.0).clock_rate()), (2.0, 8.0));
//! // An example is satisfied where y f >= h/alpha, and the loss alpha^-p max(0, h - alpha y f) ends there.
//! let seen = rule(1.0).score(&[0.25, -0.25], &[1.0, 1.0]);
//! assert_eq!((seen.unsatisfied, seen.error, seen.loss), (0.5, 0.5, 0.5 * 2.0 / 4.0));
//! ```

use crate::loss::ExampleLoss;
use hmm_core::{Activation, Error, Loss, Named, Result};

/// Activations that a node may have.
pub const UNITS: [Activation; 3] = [Activation::Relu, Activation::Erf, Activation::Tanh];
/// Losses that particles may descend.
pub const LOSSES: [Loss; 3] = [Loss::Hinge, Loss::Squared, Loss::Logistic];

/// `activation` if it is one of [`UNITS`].
///
/// # Errors
/// Another one, with the list of those.
pub fn unit(activation: Activation) -> Result<Activation> {
    allowed("activation", activation, &UNITS)
}

/// The formula of `loss` if it is one of [`LOSSES`].
///
/// # Errors
/// Another one, with the list of those.
pub fn example_loss(loss: Loss) -> Result<ExampleLoss> {
    // None of them has a sharpness.
    allowed("loss", loss, &LOSSES).map(|loss| ExampleLoss::of(loss, f64::INFINITY))
}

/// `value` if it is one of those allowed.
fn allowed<T: Named>(argument: &'static str, value: T, allowed: &[T]) -> Result<T> {
    if allowed.contains(&value) {
        return Ok(value);
    }
    let listed: Vec<String> = allowed
        .iter()
        .map(|one| format!("'{}'", one.name()))
        .collect();
    Err(Error::invalid(
        argument,
        format!("'{}'", value.name()),
        "is not one that particles know",
        format!("pass one of {}", listed.join(", ")),
    ))
}

/// How a network learns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Loss of an example as a function of its deficit `h - alpha y f`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_particles_do_not_know_is_refused_with_the_list() {
        assert_eq!(unit(Activation::Erf).unwrap(), Activation::Erf);
        let text = unit(Activation::Linear).unwrap_err().to_string();
        assert!(text.contains("'linear'") && text.contains("'relu', 'erf', 'tanh'"));
        assert_eq!(example_loss(Loss::Hinge).unwrap(), ExampleLoss::Hinge);
        let text = example_loss(Loss::SoftHinge).unwrap_err().to_string();
        assert!(text.contains("'softhinge'") && text.contains("'hinge', 'squared', 'logistic'"));
    }
}
