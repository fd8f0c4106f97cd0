//! Losses and their proximal operators for label +1 (the other label by symmetry).

use hmm_core::memory::{bytes_of, require};
use hmm_core::{Cancel, Error, Loss, Result, Table};
use ndarray::ArrayView1;
use rayon::prelude::*;

/// The losses of full-batch learning: "ridge" on real targets, the others on labels +-1.
pub const LOSSES: [Loss; 4] = [Loss::Ridge, Loss::Squared, Loss::Logistic, Loss::Hinge];

/// Points between two looks at the cancel flag.
const CHUNK: usize = 4096;

/// `loss` is one of [`LOSSES`].
pub(crate) fn check_loss(loss: Loss) -> Result<()> {
    if LOSSES.contains(&loss) {
        Ok(())
    } else {
        Err(unknown_loss(loss))
    }
}

/// The refusal of a loss that is not among [`LOSSES`].
pub(crate) fn unknown_loss(loss: Loss) -> Error {
    let names = LOSSES.map(|known| format!("'{known}'")).join(", ");
    Error::invalid(
        "loss",
        format!("'{loss}'"),
        "the replica theory does not know it",
        format!("pass one of {names}"),
    )
}

/// The loss of one example with margin `z` (label times preactivation); not-a-number outside [`LOSSES`].
fn of_margin(loss: Loss, z: f64) -> f64 {
    match loss {
        Loss::Ridge | Loss::Squared => 0.5 * (1.0 - z) * (1.0 - z),
        Loss::Logistic => softplus(-z),
        Loss::Hinge => (1.0 - z).max(0.0),
        Loss::SoftHinge | Loss::QuadraticHinge | Loss::LinearHinge => f64::NAN,
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
/// `v` that is not positive, `s` that is not finite, a loss that is not among [`LOSSES`].
pub fn proximal(loss: Loss, s: f64, v: f64) -> Result<Proximal> {
    check_loss(loss)?;
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
        Loss::Ridge | Loss::Squared => {
            ((s + v) / (1.0 + v), (1.0 - s) / (1.0 + v), 1.0 / (1.0 + v))
        }
        Loss::Hinge if s < 1.0 - v => (s + v, 1.0, 0.0),
        Loss::Hinge if s < 1.0 => (1.0, (1.0 - s) / v, 1.0 / v),
        Loss::Hinge => (s, 0.0, 0.0),
        Loss::Logistic => {
            let x = logistic_point(s, v);
            let f = sigmoid(-x);
            let e = f * sigmoid(x);
            (x, f, e / (1.0 + v * e))
        }
        Loss::SoftHinge | Loss::QuadraticHinge | Loss::LinearHinge => {
            (f64::NAN, f64::NAN, f64::NAN)
        }
    };
    Ok(Proximal {
        point,
        f,
        minus_slope,
        moreau: 0.5 * v * f * f + of_margin(loss, point),
    })
}

/// The proximal operator at every entry of `s` (n): columns `prox, f, minus_df_ds, moreau`.
///
/// # Errors
/// As [`proximal`]; more points than memory holds; an interruption.
pub fn proximal_at(loss: Loss, s: ArrayView1<'_, f64>, v: f64, cancel: &Cancel) -> Result<Table> {
    require(
        bytes_of::<f64>(s.len()).saturating_mul(9),
        "the proximal operator at so many points",
        "pass fewer points",
    )?;
    let points: Vec<f64> = s.to_vec();
    let found: Result<Vec<Vec<Proximal>>> = points
        .par_chunks(CHUNK)
        .map(|chunk| {
            cancel.check()?;
            chunk.iter().map(|s| proximal(loss, *s, v)).collect()
        })
        .collect();
    let found = found?.concat();
    let column = |number: fn(&Proximal) -> f64| found.iter().map(number).collect::<Vec<f64>>();
    Ok(Table::new()
        .with("prox", column(|p| p.point))
        .with("f", column(|p| p.f))
        .with("minus_df_ds", column(|p| p.minus_slope))
        .with("moreau", column(|p| p.moreau)))
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
