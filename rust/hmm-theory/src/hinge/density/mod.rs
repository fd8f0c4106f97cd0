//! A density on `z` given as a function, tabulated once: piecewise Chebyshev interpolation.
//!
//! ```
//! use hmm_core::Cancel;
//! use hmm_theory::hinge::density::DensityTable;
//! // A half normal, z = |u|: mean sqrt(2/pi), and P(z < 1) = P(|u| < 1).
//! let height = (2.0 / std::f64::consts::PI).sqrt();
//! let mut density = |z: &[f64]| Ok(z.iter().map(|z| height * (-0.5 * z * z).exp()).collect());
//! let table = DensityTable::new(&mut density, 1.0, (0.0, f64::INFINITY), &Cancel::new())?;
//! assert!((table.mean() - height).abs() < 1e-10);
//! assert!((table.probability_below(1.0) - 0.682_689_492_137_085_9).abs() < 1e-10);
//! # Ok::<(), hmm_core::Error>(())
//! ```

mod panel;

pub use panel::Density;

use hmm_core::{Cancel, Error, Result};
use panel::{Moments, Panel, side};

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

impl DensityTable {
    /// Tabulate `density` (vectorised, in a scale of order `scale`) on `support`.
    ///
    /// Zero is always an edge; jumps and kinks elsewhere are found by bisection.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if the density is negative, not finite, not piecewise smooth or does
    /// not integrate to one within 1e-6; whatever error `density` returns;
    /// [`Error::Interrupted`].
    pub fn new(
        density: &mut Density<'_>,
        scale: f64,
        support: (f64, f64),
        cancel: &Cancel,
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
            let panels = side(density, sign, scale, limits, cancel)?;
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

    /// `E[|z| 1(z < c)]`, or of `z > c` where both signs of `z` enter: the size of what cancels in
    /// [`Self::first_moment_below`].
    pub fn pull_below(&self, c: f64) -> f64 {
        let towards = self.moments_up_to(c).first.abs();
        if c >= 0.0 {
            self.below_zero.first.abs() + towards
        } else {
            // The difference of two integrals from zero.
            self.below_zero.first.abs()
        }
    }

    /// Ends of the pieces: whatever jumps or kinks the density has lie on one of them.
    pub fn edges(&self) -> Vec<f64> {
        let panels = self.positive.iter().chain(&self.negative);
        panels
            .flat_map(|(panel, _)| [panel.from, panel.to])
            .filter(|z| *z != 0.0 && z.is_finite())
            .collect()
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

#[cfg(test)]
mod tests {
    use super::super::law::BaseLaw;
    use super::*;
    use std::f64::consts::PI;

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
        let table = DensityTable::new(&mut normal(0.7), 1.0, infinite, &Cancel::new()).unwrap();
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
        let table = DensityTable::new(
            &mut half,
            1.0,
            (f64::NEG_INFINITY, f64::INFINITY),
            &Cancel::new(),
        )
        .unwrap();
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
        let table = DensityTable::new(
            &mut uniform,
            1.0,
            (f64::NEG_INFINITY, f64::INFINITY),
            &Cancel::new(),
        )
        .unwrap();
        assert!((table.mean() - 0.45).abs() < 1e-13);
        assert!((table.probability_below(0.3) - 0.2).abs() < 1e-13);
    }

    #[test]
    fn jumps_and_kinks_are_edges() {
        // A tent on a slab: jumps at 0.2 and 1.1, a kink at 0.6.
        let mut tent = |z: &[f64]| {
            let value = |z: f64| {
                if (0.2..1.1).contains(&z) {
                    1.0 + (0.4 - (z - 0.6).abs())
                } else {
                    0.0
                }
            };
            Ok(z.iter().map(|z| value(*z) / 1.055).collect())
        };
        for support in [(f64::NEG_INFINITY, f64::INFINITY), (0.2, 1.1)] {
            let table = DensityTable::new(&mut tent, 1.0, support, &Cancel::new()).unwrap();
            for exact in [0.2, 0.6, 1.1] {
                let off = table
                    .edges()
                    .iter()
                    .fold(1.0_f64, |m, z| m.min((z - exact).abs()));
                assert!(off < 1e-10, "{exact}: {off}");
            }
        }
    }

    /// A jump in the outermost hundredths of an interval that was going to be one piece.
    #[test]
    fn no_jump_hides_at_the_end_of_a_piece() {
        let all = (f64::NEG_INFINITY, f64::INFINITY);
        for k in 1..400 {
            let edge = 0.5 * (1.0 - 1e-4 * f64::from(k));
            let mut slab = |z: &[f64]| {
                let inside = |z: &f64| f64::from((0.0..edge).contains(z)) / edge;
                Ok(z.iter().map(inside).collect())
            };
            let table = DensityTable::new(&mut slab, 1.0, all, &Cancel::new()).unwrap();
            assert!((table.mean() / (0.5 * edge) - 1.0).abs() < 1e-10, "{edge}");
        }
    }

    #[test]
    fn what_is_no_density_is_refused() {
        let all = (f64::NEG_INFINITY, f64::INFINITY);
        let mut negative = |z: &[f64]| Ok(vec![-1.0; z.len()]);
        assert!(DensityTable::new(&mut negative, 1.0, all, &Cancel::new()).is_err());
        let mut short = |_: &[f64]| Ok(vec![1.0]);
        assert!(DensityTable::new(&mut short, 1.0, all, &Cancel::new()).is_err());
        let mut twice = |z: &[f64]| Ok(z.iter().map(|z| 2.0 * (-z.abs()).exp()).collect());
        assert!(DensityTable::new(&mut twice, 1.0, all, &Cancel::new()).is_err());
    }
}
