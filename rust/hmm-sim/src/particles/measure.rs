//! What is measured: fractions and losses of examples, the fitted rotation.

use super::rule::Rule;
use hmm_core::{Cancel, Real, Result};

/// Nodes between two looks at the interruption flag.
const LOOK: usize = 1 << 14;

/// Averages over a set of examples.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Score {
    /// Fraction with `alpha y f < h`.
    pub unsatisfied: f64,
    /// Fraction with `y f <= 0`: an output of exactly zero is wrong.
    pub error: f64,
    /// Loss.
    pub loss: f64,
}

impl Rule {
    /// Averages over examples with the outputs `output` and labels `y`.
    pub fn score<T: Real>(&self, output: &[f64], y: &[T]) -> Score {
        let scale = self.alpha.powf(-self.exponent);
        let (mut unsatisfied, mut wrong, mut loss) = (0_usize, 0_usize, 0.0);
        for (f, y) in output.iter().zip(y) {
            let label = y.to_f64();
            let deficit = self.deficit(label, *f);
            unsatisfied += usize::from(deficit > 0.0);
            wrong += usize::from(label * f <= 0.0);
            loss += scale * self.loss.value(deficit);
        }
        let count = output.len().max(1) as f64;
        Score {
            unsatisfied: unsatisfied as f64 / count,
            error: wrong as f64 / count,
            loss: loss / count,
        }
    }
}

/// The overlaps `<(a0 + w0), (a + w_par)>` and `<(a0 + w0), (a0 + w0)>` over nodes, with `start = a0 + w0`.
pub fn overlaps<T: Real>(start: &[T], a: &[T], w: &[T], cancel: &Cancel) -> Result<[f64; 2]> {
    let d = (w.len() / a.len().max(1)).max(1);
    let (mut cross, mut norm) = (0.0, 0.0);
    let nodes = start.iter().zip(a).zip(w.iter().step_by(d));
    for (node, ((start, a), w)) in nodes.enumerate() {
        if node % LOOK == 0 {
            cancel.check()?;
        }
        let start = start.to_f64();
        cross += start * (a.to_f64() + w.to_f64());
        norm += start * start;
    }
    Ok([cross, norm])
}

/// The fitted rotation `log(cross / norm)`.
///
/// Not a number where it has no meaning: where the overlap is not positive (the nodes have turned against their start)
/// or where all nodes started on `a = -w_par`.
pub fn fitted_gamma([cross, norm]: [f64; 2]) -> f64 {
    (cross / norm).ln()
}
