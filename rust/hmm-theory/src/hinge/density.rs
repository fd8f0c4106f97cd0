//! A density on `z` given as a function, tabulated once: piecewise Chebyshev interpolation.

use hmm_core::{Error, Result};
use std::f64::consts::PI;

/// Interpolation points of a panel.
const POINTS: usize = 16;
/// A panel is resolved once its last coefficients are this small against its largest one.
const RESOLVED: f64 = 1e-13;
/// Panels that a density may need; more means that it is not piecewise smooth.
const MOST_PANELS: usize = 4000;
/// Gauss-Legendre nodes and weights that integrate `z` times a panel's polynomial exactly
/// (degree 16; nine nodes reach degree 17).
const GAUSS: [(f64, f64); 9] = [
    (-0.9681602395076261, 0.08127438836157441),
    (-0.8360311073266358, 0.1806481606948574),
    (-0.6133714327005904, 0.26061069640293544),
    (-0.3242534234038089, 0.31234707704000286),
    (0.0, 0.3302393550012598),
    (0.3242534234038089, 0.31234707704000286),
    (0.6133714327005904, 0.26061069640293544),
    (0.8360311073266358, 0.1806481606948574),
    (0.9681602395076261, 0.08127438836157441),
];

/// One interval on which the density is a polynomial.
#[derive(Debug, Clone)]
struct Panel {
    from: f64,
    to: f64,
    coefficients: [f64; POINTS],
}

/// Integrals of `rho` and `z rho` from zero to the panel's edge nearest to zero.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    mass: f64,
    first: f64,
}

/// A normalised density on `z`, with its partial moments.
#[derive(Debug, Clone)]
pub struct DensityTable {
    /// Panels from zero outwards on the positive and on the negative side, with the moments up to
    /// their inner edge.
    positive: Vec<(Panel, Moments)>,
    negative: Vec<(Panel, Moments)>,
    /// Moments of `z < 0` (first moment not positive) and of everything.
    below_zero: Moments,
    total: Moments,
}

impl Panel {
    fn points(from: f64, to: f64) -> [f64; POINTS] {
        std::array::from_fn(|k| {
            let x = (PI * (k as f64 + 0.5) / POINTS as f64).cos();
            0.5 * (from + to) + 0.5 * (to - from) * x
        })
    }

    fn interpolate(from: f64, to: f64, values: &[f64]) -> Self {
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

    fn is_resolved(&self, scale: f64) -> bool {
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
        self.coefficients[0] + x * b1 - b2
    }

    /// Moments of the part between two points of the panel: positive terms only, so a thin slice
    /// keeps all its digits.
    fn moments(&self, from: f64, to: f64) -> Moments {
        let half = 0.5 * (to - from);
        let mut moments = Moments::default();
        for (node, weight) in GAUSS {
            let z = from + half * (1.0 + node);
            let mass = half.abs() * weight * self.density(z);
            moments.mass += mass;
            moments.first += mass * z;
        }
        moments
    }
}

impl DensityTable {
    /// Tabulate `density` (vectorised, in a scale of order `scale`) on `support`.
    ///
    /// Zero is always an edge; jumps and kinks elsewhere are found by bisection.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if the density is negative, not finite, not piecewise smooth or does
    /// not integrate to one within 1e-6; whatever error `density` returns.
    pub fn new(
        density: &mut dyn FnMut(&[f64]) -> Result<Vec<f64>>,
        scale: f64,
        support: (f64, f64),
    ) -> Result<Self> {
        if support.0.is_nan() || support.1.is_nan() || support.0 >= support.1 {
            return Err(Error::invalid(
                "support",
                format!("({}, {})", support.0, support.1),
                "must be an interval (lower, upper)",
                "pass lower < upper",
            ));
        }
        let mut sides = Vec::with_capacity(2);
        for sign in [1.0, -1.0] {
            let limits = if sign > 0.0 {
                (support.0.max(0.0), support.1)
            } else {
                ((-support.1).max(0.0), -support.0)
            };
            let panels = side(density, sign, scale, limits)?;
            let mut sum = Moments::default();
            let mut with_moments = Vec::with_capacity(panels.len());
            for panel in panels {
                let moments = panel.moments(panel.from, panel.to);
                with_moments.push((panel, sum));
                sum.mass += moments.mass;
                sum.first += moments.first;
            }
            sides.push((with_moments, sum));
        }
        let (negative, below_zero) = sides.pop().unwrap_or_default();
        let (positive, above_zero) = sides.pop().unwrap_or_default();
        let mass = below_zero.mass + above_zero.mass;
        if (mass - 1.0).abs() > 1e-6 {
            return Err(Error::invalid(
                "law",
                format!("a density that integrates to {mass}"),
                "must integrate to 1 within 1e-6",
                "normalise it, or name the interval it lives on with support=(lower, upper)",
            ));
        }
        let total = Moments {
            mass,
            first: below_zero.first + above_zero.first,
        };
        Ok(Self {
            positive,
            negative,
            below_zero,
            total,
        })
    }

    /// `E[z]`.
    pub fn mean(&self) -> f64 {
        self.total.first
    }

    /// `E[z 1(z < c)]`.
    pub fn first_moment_below(&self, c: f64) -> f64 {
        let towards = self.moments_up_to(c).first;
        if c >= 0.0 {
            self.below_zero.first + towards
        } else {
            self.below_zero.first - towards
        }
    }

    /// `P(z < c)`.
    pub fn probability_below(&self, c: f64) -> f64 {
        let towards = self.moments_up_to(c).mass;
        if c >= 0.0 {
            self.below_zero.mass + towards
        } else {
            self.below_zero.mass - towards
        }
    }

    /// Moments of the interval between zero and `c`.
    fn moments_up_to(&self, c: f64) -> Moments {
        let panels = if c >= 0.0 {
            &self.positive
        } else {
            &self.negative
        };
        let count = panels.partition_point(|(panel, _)| panel.from.abs() < c.abs());
        let Some((panel, inner)) = count.checked_sub(1).and_then(|k| panels.get(k)) else {
            return Moments::default();
        };
        let end = if c.abs() < panel.to.abs() {
            c
        } else {
            panel.to
        };
        let part = panel.moments(panel.from, end);
        Moments {
            mass: inner.mass + part.mass,
            first: inner.first + part.first,
        }
    }
}

/// Panels of one side of zero, from the inside out, within `limits` (distances from zero).
fn side(
    density: &mut dyn FnMut(&[f64]) -> Result<Vec<f64>>,
    sign: f64,
    scale: f64,
    limits: (f64, f64),
) -> Result<Vec<Panel>> {
    let mut panels = Vec::new();
    let (mut from, mut width) = (limits.0, 0.5 * scale);
    let (mut largest, mut empty) = (0.0_f64, 0);
    // Beyond eight scales, three empty doublings end the table.
    while from < limits.1 && (empty < 3 || from < 8.0 * scale) && from < 1e12 * scale {
        let to = (from + width).min(limits.1);
        let before = panels.len();
        resolve(density, sign * from, sign * to, &mut largest, &mut panels)?;
        let heaviest = panels[before..].iter().fold(0.0_f64, |m, panel| {
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
    density: &mut dyn FnMut(&[f64]) -> Result<Vec<f64>>,
    from: f64,
    to: f64,
    largest: &mut f64,
    panels: &mut Vec<Panel>,
) -> Result<()> {
    let mut open = vec![(from, to)];
    while let Some((from, to)) = open.pop() {
        let points = Panel::points(from, to);
        let values = density(&points)?;
        if values.len() != POINTS {
            return Err(Error::invalid(
                "law",
                format!(
                    "a function that returns {} values for {POINTS}",
                    values.len()
                ),
                "must return one density per z",
                "pass a vectorised density",
            ));
        }
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
        let panel = Panel::interpolate(from, to, &values);
        let middle = 0.5 * (from + to);
        let narrow = (to - from).abs() <= 1e-14 * from.abs().max(to.abs());
        if narrow || panel.is_resolved(*largest) {
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

#[cfg(test)]
mod tests {
    use super::super::BaseLaw;
    use super::*;

    fn normal(mu: f64) -> impl FnMut(&[f64]) -> Result<Vec<f64>> {
        move |z| {
            Ok(z.iter()
                .map(|z| (-0.5 * (z - mu).powi(2)).exp() / (2.0 * PI).sqrt())
                .collect())
        }
    }

    #[test]
    fn a_tabulated_normal_is_the_mixture() {
        let infinite = (f64::NEG_INFINITY, f64::INFINITY);
        let table = DensityTable::new(&mut normal(0.7), 1.0, infinite).unwrap();
        let closed = BaseLaw::Mixture {
            mu: 0.7,
            sigma: 1.0,
        };
        for c in [-9.0, -2.0, -1e-3, 0.0, 1e-9, 0.4, 3.0, 12.0] {
            assert!((table.first_moment_below(c) - closed.first_moment_below(c)).abs() < 1e-13);
            assert!((table.probability_below(c) - closed.probability_below(c)).abs() < 1e-13);
        }
    }

    #[test]
    fn a_half_normal_keeps_its_digits_near_zero() {
        let mut half = |z: &[f64]| {
            Ok(z.iter()
                .map(|z| {
                    if *z < 0.0 {
                        0.0
                    } else {
                        (-0.5 * z * z).exp() * (2.0 / PI).sqrt()
                    }
                })
                .collect())
        };
        let table = DensityTable::new(&mut half, 1.0, (f64::NEG_INFINITY, f64::INFINITY)).unwrap();
        for c in [1e-12, 1e-6, 0.1, 2.0] {
            let exact = BaseLaw::Gaussian { sigma: 1.0 }.first_moment_below(c);
            assert!(
                (table.first_moment_below(c) / exact - 1.0).abs() < 1e-12,
                "{c}"
            );
        }
    }

    #[test]
    fn jumps_away_from_zero_are_found() {
        let mut uniform = |z: &[f64]| {
            Ok(z.iter()
                .map(|z| f64::from((0.2..0.7).contains(z)) * 2.0)
                .collect())
        };
        let table =
            DensityTable::new(&mut uniform, 1.0, (f64::NEG_INFINITY, f64::INFINITY)).unwrap();
        assert!((table.mean() - 0.45).abs() < 1e-13);
        assert!((table.probability_below(0.3) - 0.2).abs() < 1e-13);
    }

    #[test]
    fn what_is_no_density_is_refused() {
        let all = (f64::NEG_INFINITY, f64::INFINITY);
        let mut negative = |z: &[f64]| Ok(vec![-1.0; z.len()]);
        assert!(DensityTable::new(&mut negative, 1.0, all).is_err());
        let mut short = |_: &[f64]| Ok(vec![1.0]);
        assert!(DensityTable::new(&mut short, 1.0, all).is_err());
        let mut twice = |z: &[f64]| Ok(z.iter().map(|z| 2.0 * (-z.abs()).exp()).collect());
        assert!(DensityTable::new(&mut twice, 1.0, all).is_err());
    }
}
