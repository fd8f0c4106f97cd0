//! A unit known by its values on a grid, for activations without closed averages.
//!
//! The caller tabulates g, g' and g'' once; between grid points the quintic polynomial through all
//! three interpolates (error about h^6 g''''''/46080), beyond the grid g goes on as a straight line.
//!
//! ```
//! use hmm_core::Activation;
//! use hmm_theory::integrals::sampled::SampledUnit;
//! let tanh = SampledUnit::of(Activation::Tanh)?;
//! for x in [-2.01, 0.0, 0.37] {
//!     // g = tanh, g' = 1 - g^2, g'' = -2 g g'; the table errs by some h^6, h^5 and h^4, h = 1/32.
//!     let (seen, g) = (tanh.at(x), x.tanh());
//!     assert!((seen.value - g).abs() < 1e-11 && (seen.slope - (1.0 - g * g)).abs() < 1e-9);
//!     assert!((seen.curvature + 2.0 * g * (1.0 - g * g)).abs() < 1e-6);
//! }
//! # Ok::<(), hmm_core::Error>(())
//! ```

use crate::activation::{Formula, Jet};
use hmm_core::{Activation, Error, Result};

/// An activation tabulated on an even grid.
#[derive(Clone, Debug)]
pub struct SampledUnit {
    start: f64,
    step: f64,
    points: Vec<Jet>,
}

impl SampledUnit {
    /// The unit with `points[i]` at `start + i step`.
    pub fn new(start: f64, step: f64, points: Vec<Jet>) -> Result<Self> {
        let finite = points
            .iter()
            .all(|p| p.value.is_finite() && p.slope.is_finite() && p.curvature.is_finite());
        if points.len() < 2 || !finite || !(step.is_finite() && step > 0.0 && start.is_finite()) {
            return Err(Error::invalid(
                "activation",
                format!("a table of {} points", points.len()),
                "an activation is finite and has two derivatives",
                "check its domain",
            ));
        }
        Ok(Self {
            start,
            step,
            points,
        })
    }

    /// A smooth unit of the list: |x| <= 40 in steps of 1/32, as fields have unit variance or so.
    ///
    /// # Errors
    /// None for the units there are.
    pub fn of(unit: Activation) -> Result<Self> {
        let points = (0..=2560).map(|i| unit.jet(f64::from(i) / 32.0 - 40.0));
        Self::new(-40.0, 1.0 / 32.0, points.collect())
    }

    /// g, g' and g'' at `x`.
    pub fn at(&self, x: f64) -> Jet {
        let [first, .., last] = self.points.as_slice() else {
            return Jet::default(); // `new` has refused a table this short
        };
        let place = (x - self.start) / self.step;
        let cells = (self.points.len() - 1) as f64;
        if place <= 0.0 {
            return straight(*first, x - self.start);
        }
        if place >= cells {
            return straight(*last, x - self.start - cells * self.step);
        }
        let cell = place.floor();
        match self.points.get(cell as usize..) {
            Some([left, right, ..]) => quintic(*left, *right, place - cell, self.step),
            _ => straight(*last, x - self.start - cells * self.step),
        }
    }
}

fn straight(edge: Jet, distance: f64) -> Jet {
    Jet {
        value: edge.value + edge.slope * distance,
        slope: edge.slope,
        curvature: 0.0,
    }
}

/// The polynomial of degree 5 with both jets, at fraction `u` of a cell of width `h`.
fn quintic(left: Jet, right: Jet, u: f64, h: f64) -> Jet {
    let (s0, s1) = (left.slope * h, right.slope * h);
    let (c0, c1) = (left.curvature * h * h, right.curvature * h * h);
    let rise = right.value - left.value;
    // value + s0 u + c0/2 u^2 + a u^3 + b u^4 + c u^5
    let a = 10.0 * rise - 6.0 * s0 - 4.0 * s1 - 1.5 * c0 + 0.5 * c1;
    let b = -15.0 * rise + 8.0 * s0 + 7.0 * s1 + 1.5 * c0 - c1;
    let c = 6.0 * rise - 3.0 * (s0 + s1) - 0.5 * (c0 - c1);
    Jet {
        value: left.value + u * (s0 + u * (0.5 * c0 + u * (a + u * (b + u * c)))),
        slope: (s0 + u * (c0 + u * (3.0 * a + u * (4.0 * b + u * 5.0 * c)))) / h,
        curvature: (c0 + u * (6.0 * a + u * (12.0 * b + u * 20.0 * c))) / (h * h),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reproduces_tanh_and_its_derivatives() -> Result<()> {
        let unit = SampledUnit::of(Activation::Tanh)?;
        for i in 0..1000 {
            let x = -9.9 + 0.0197 * f64::from(i);
            let (found, exact) = (unit.at(x), Activation::Tanh.jet(x));
            assert!((found.value - exact.value).abs() < 1e-11);
            assert!((found.slope - exact.slope).abs() < 1e-9);
            assert!((found.curvature - exact.curvature).abs() < 2e-7);
        }
        Ok(())
    }
}
