//! Pieces of a tabulated density: intervals on which it is a polynomial, found by bisection.

use crate::quadrature::{Rule, gauss_legendre};
use hmm_core::{Cancel, Error, Result};
use std::f64::consts::PI;
use std::sync::LazyLock;

/// Interpolation points of a panel.
const POINTS: usize = 16;
/// A panel is resolved once its last coefficients are this small against its largest one.
const RESOLVED: f64 = 1e-13;
/// Distance from a panel's ends, in units of its width, at which the polynomial is held against the density: a jump
/// between an end and the outermost interpolation point is seen by no coefficient.
const INSET: f64 = 1e-6;
/// What the two may differ by there, in units of the largest density.
const CLOSE: f64 = 1e-10;
/// Panels that a density may need; more means that it is not piecewise smooth.
const MOST_PANELS: usize = 4000;
/// A rule that integrates `z` times a panel's polynomial exactly (degree 16; nine nodes reach degree 17).
static GAUSS: LazyLock<Rule> = LazyLock::new(|| gauss_legendre(9));

/// A density as its owner gives it: values at many points at once.
pub type Density<'a> = dyn FnMut(&[f64]) -> Result<Vec<f64>> + 'a;

/// One interval on which the density is a polynomial.
#[derive(Debug, Clone)]
pub(super) struct Panel {
    pub(super) from: f64,
    pub(super) to: f64,
    coefficients: [f64; POINTS],
}

/// Integrals of `rho` and `z rho` from zero to the panel's edge nearest to zero.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moments {
    pub(super) mass: f64,
    pub(super) first: f64,
}

impl Panel {
    pub(super) fn points(from: f64, to: f64) -> [f64; POINTS] {
        std::array::from_fn(|k| {
            let x = (PI * (k as f64 + 0.5) / POINTS as f64).cos();
            0.5 * (from + to) + 0.5 * (to - from) * x
        })
    }

    pub(super) fn interpolate(from: f64, to: f64, values: &[f64; POINTS]) -> Self {
        let coefficients = std::array::from_fn(|j| {
            let sum: f64 = values
                .iter()
                .enumerate()
                .map(|(k, value)| value * (PI * j as f64 * (k as f64 + 0.5) / POINTS as f64).cos())
                .sum();
            sum * if j == 0 { 1.0 } else { 2.0 } / POINTS as f64
        });
        Self {
            from,
            to,
            coefficients,
        }
    }

    pub(super) fn is_resolved(&self, scale: f64) -> bool {
        let largest = self
            .coefficients
            .iter()
            .fold(0.0_f64, |m, c| m.max(c.abs()));
        let last = self.coefficients[POINTS - 3..]
            .iter()
            .fold(0.0_f64, |m, c| m.max(c.abs()));
        last <= RESOLVED * largest.max(1e-6 * scale)
    }

    /// The polynomial at `z`, by Clenshaw's recurrence.
    fn density(&self, z: f64) -> f64 {
        let x = (2.0 * z - self.from - self.to) / (self.to - self.from);
        let (mut b1, mut b2) = (0.0, 0.0);
        for c in self.coefficients[1..].iter().rev() {
            (b1, b2) = (c + 2.0 * x * b1 - b2, b1);
        }
        // Rounding must not make a vanishing density negative.
        (self.coefficients[0] + x * b1 - b2).max(0.0)
    }

    /// Moments of the part between two points of the panel: positive terms only, so a thin slice
    /// keeps all its digits.
    pub(super) fn moments(&self, from: f64, to: f64) -> Moments {
        let half = 0.5 * (to - from);
        let mut moments = Moments::default();
        for (node, weight) in GAUSS.nodes.iter().zip(&GAUSS.weights) {
            let z = from + half * (1.0 + node);
            let mass = half.abs() * weight * self.density(z);
            moments.mass += mass;
            moments.first += mass * z;
        }
        moments
    }
}

/// Panels of one side of zero, from the inside out, within `limits` (distances from zero).
pub(super) fn side(
    density: &mut Density<'_>,
    sign: f64,
    scale: f64,
    limits: (f64, f64),
    cancel: &Cancel,
) -> Result<Vec<Panel>> {
    let mut panels = Vec::new();
    let (mut from, mut width) = (limits.0, 0.5 * scale);
    let (mut largest, mut empty) = (0.0_f64, 0);
    // Beyond eight scales, three empty doublings end the table.
    while from < limits.1 && (empty < 3 || from < 8.0 * scale) && from < 1e12 * scale {
        let to = (from + width).min(limits.1);
        let before = panels.len();
        resolve(
            density,
            sign * from,
            sign * to,
            &mut largest,
            &mut panels,
            cancel,
        )?;
        let heaviest = panels.iter().skip(before).fold(0.0_f64, |m, panel| {
            let moments = panel.moments(panel.from, panel.to);
            m.max(moments.mass).max(moments.first.abs() / scale)
        });
        empty = if heaviest < 1e-18 { empty + 1 } else { 0 };
        (from, width) = (to, if to >= 4.0 * scale { to } else { width });
    }
    Ok(panels)
}

/// Bisect `[from, to]` until every panel is resolved.
fn resolve(
    density: &mut Density<'_>,
    from: f64,
    to: f64,
    largest: &mut f64,
    panels: &mut Vec<Panel>,
    cancel: &Cancel,
) -> Result<()> {
    let mut open = vec![(from, to)];
    while let Some((from, to)) = open.pop() {
        cancel.check()?;
        let inset = INSET * (to - from);
        let mut points = Panel::points(from, to).to_vec();
        points.extend([from + inset, to - inset]);
        let values = density(&points)?;
        let complete = values.len() == points.len();
        let Some(inner) = values.first_chunk::<POINTS>().filter(|_| complete) else {
            return Err(Error::invalid(
                "law",
                format!(
                    "a function that returns {} values for {}",
                    values.len(),
                    points.len()
                ),
                "must return one density per z",
                "pass a vectorised density",
            ));
        };
        if let Some((z, value)) = points
            .iter()
            .zip(&values)
            .find(|(_, v)| !(v.is_finite() && **v >= 0.0))
        {
            return Err(Error::invalid(
                "law",
                format!("{value} at z = {z}"),
                "a density must be finite and not negative",
                "pass a density, or name the interval it lives on with support=(lower, upper)",
            ));
        }
        *largest = values.iter().fold(*largest, |m, v| m.max(*v));
        let panel = Panel::interpolate(from, to, inner);
        let ends = points.iter().zip(&values).skip(POINTS);
        let whole = ends
            .map(|(z, value)| (panel.density(*z) - value).abs())
            .all(|off| off <= CLOSE * *largest);
        let middle = 0.5 * (from + to);
        let narrow = (to - from).abs() <= 1e-14 * from.abs().max(to.abs());
        if narrow || (whole && panel.is_resolved(*largest)) {
            panels.push(panel);
        } else {
            open.push((middle, to));
            open.push((from, middle));
        }
        if panels.len() + open.len() > MOST_PANELS {
            return Err(Error::invalid(
                "law",
                format!("a density that {MOST_PANELS} polynomials do not resolve"),
                "must be piecewise smooth",
                "pass a smooth density",
            ));
        }
    }
    Ok(())
}
