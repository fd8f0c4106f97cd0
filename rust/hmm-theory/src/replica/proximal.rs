//! Losses and their proximal operators for label +1 (the other label by symmetry).

use hmm_core::{Error, Result};

/// The losses of full-batch learning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// `(y - z)^2 / 2` on real targets.
    Ridge,
    /// `(y - z)^2 / 2` on labels +-1.
    Square,
    /// `log(1 + exp(-y z))`.
    Logistic,
    /// `max(0, 1 - y z)`.
    Hinge,
}

impl Loss {
    /// The loss called `name`.
    ///
    /// # Errors
    /// An unknown name.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "ridge" => Ok(Self::Ridge),
            "square" => Ok(Self::Square),
            "logistic" => Ok(Self::Logistic),
            "hinge" => Ok(Self::Hinge),
            other => Err(Error::invalid(
                "loss",
                format!("{other:?}"),
                "unknown choice",
                "pass one of \"ridge\", \"square\", \"logistic\", \"hinge\"",
            )),
        }
    }

    /// The loss of one example with margin `z` (label times preactivation).
    pub fn of_margin(self, z: f64) -> f64 {
        match self {
            Self::Ridge | Self::Square => 0.5 * (1.0 - z) * (1.0 - z),
            Self::Logistic => softplus(-z),
            Self::Hinge => (1.0 - z).max(0.0),
        }
    }
}

/// The proximal operator of a loss at one point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proximal {
    /// `argmin_x (x - s)^2/(2V) + l(x)`.
    pub point: f64,
    /// `f = (prox - s)/V`, computed without the cancellation.
    pub f: f64,
    /// `-df/ds`.
    pub minus_slope: f64,
    /// The minimum itself, `(prox - s)^2/(2V) + l(prox)`.
    pub moreau: f64,
}

/// The proximal operator of `loss` for label +1 at `s`, with `v > 0`.
///
/// # Errors
/// `v` that is not positive or `s` that is not finite.
pub fn proximal(loss: Loss, s: f64, v: f64) -> Result<Proximal> {
    super::spectrum::positive("V", v, "pass the variance V of the fixed point")?;
    if !s.is_finite() {
        return Err(Error::invalid(
            "s",
            s,
            "must be finite",
            "remove NaN and infinity",
        ));
    }
    let (point, f, minus_slope) = match loss {
        Loss::Ridge | Loss::Square => ((s + v) / (1.0 + v), (1.0 - s) / (1.0 + v), 1.0 / (1.0 + v)),
        Loss::Hinge if s < 1.0 - v => (s + v, 1.0, 0.0),
        Loss::Hinge if s < 1.0 => (1.0, (1.0 - s) / v, 1.0 / v),
        Loss::Hinge => (s, 0.0, 0.0),
        Loss::Logistic => {
            let x = logistic_point(s, v);
            let f = sigmoid(-x);
            let e = f * sigmoid(x);
            (x, f, e / (1.0 + v * e))
        }
    };
    Ok(Proximal {
        point,
        f,
        minus_slope,
        moreau: 0.5 * v * f * f + loss.of_margin(point),
    })
}

/// `log(1 + exp(x))`.
pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `1/(1 + exp(-x))`.
pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The proximal point of the logistic loss: the root of `x = s + V/(1 + e^x)` in `[s, s + V]`.
pub(crate) fn logistic_point(s: f64, v: f64) -> f64 {
    let (mut lower, mut upper) = (s, s + v);
    // Where the root lies, up to logarithms: the loss is -x on the left, 0 on the right.
    let mut x = 0.0_f64.clamp(lower, upper);
    for _ in 0..200 {
        let f = sigmoid(-x);
        let g = x - s - v * f;
        if g > 0.0 {
            upper = x;
        } else {
            lower = x;
        }
        let newton = x - g / (1.0 + v * f * (1.0 - f));
        let next = if newton > lower && newton < upper {
            newton
        } else {
            f64::midpoint(lower, upper)
        };
        let step = (next - x).abs();
        x = next;
        if step <= 1e-14 * (1.0 + x.abs()) {
            break;
        }
    }
    x
}
