//! Labels that depend on one coordinate: piecewise constant on the informative axis.

use super::normal::{above, below, density};
use hmm_core::{Error, Result};

/// `y(x_1) = +1` or `-1`, changing sign at each of a finite list of interfaces.
#[derive(Debug, Clone, PartialEq)]
pub struct AxisLabels {
    interfaces: Vec<f64>,
    leftmost: f64,
}

impl AxisLabels {
    /// The stripe: `inside_label` on `xmin < x_1 < xmax`, the other label outside.
    ///
    /// # Errors
    /// Unless `xmin < xmax` are finite and `inside_label` is +1 or -1.
    pub fn stripe(xmin: f64, xmax: f64, inside_label: f64) -> Result<Self> {
        if !xmin.is_finite() {
            return Err(finite("xmin", xmin));
        }
        if !xmax.is_finite() {
            return Err(finite("xmax", xmax));
        }
        if xmin >= xmax {
            return Err(Error::invalid(
                "xmin",
                xmin,
                format!("must be below xmax = {xmax}"),
                "pass xmin < xmax",
            ));
        }
        if inside_label.abs() != 1.0 {
            return Err(Error::invalid(
                "inside_label",
                inside_label,
                "must be +1 or -1",
                "pass one of them",
            ));
        }
        Ok(Self {
            interfaces: vec![xmin, xmax],
            leftmost: -inside_label,
        })
    }

    /// One interface: `y = sign(x_1 - x0)`.
    ///
    /// # Errors
    /// Unless `x0` is finite.
    pub fn single_interface(x0: f64) -> Result<Self> {
        if !x0.is_finite() {
            return Err(finite("x0", x0));
        }
        Ok(Self {
            interfaces: vec![x0],
            leftmost: -1.0,
        })
    }

    /// Positions where the label changes sign, ascending.
    pub fn interfaces(&self) -> &[f64] {
        &self.interfaces
    }

    /// The label at `x_1`.
    pub fn label(&self, x: f64) -> f64 {
        let crossed = self.interfaces.iter().filter(|t| **t < x).count();
        if crossed % 2 == 0 {
            self.leftmost
        } else {
            -self.leftmost
        }
    }

    /// The intervals of constant label within `(from, to)`: `(low, high, label)`.
    pub(super) fn pieces(&self, from: f64, to: f64) -> impl Iterator<Item = (f64, f64, f64)> + '_ {
        let lows = std::iter::once(f64::NEG_INFINITY).chain(self.interfaces.iter().copied());
        let highs = self
            .interfaces
            .iter()
            .copied()
            .chain(std::iter::once(f64::INFINITY));
        let labels = std::iter::successors(Some(self.leftmost), |label: &f64| Some(-*label));
        lows.zip(highs)
            .zip(labels)
            .map(move |((low, high), label)| (low.max(from), high.min(to), label))
            .filter(|(low, high, _)| low < high)
    }

    /// `(E[y x_1 1], E[y 1])` over the half line that a neuron with `sign omega_1 = s` and hyperplane
    /// at `z` is active on: `C_1` and `C_b`.
    pub(super) fn half_line_moments(&self, z: f64, s: f64) -> (f64, f64) {
        let (from, to) = if s > 0.0 {
            (z, f64::INFINITY)
        } else {
            (f64::NEG_INFINITY, z)
        };
        self.pieces(from, to)
            .fold((0.0, 0.0), |(first, zeroth), (low, high, label)| {
                // Differences of tail probabilities, from the side where they are small.
                let probability = if low > 0.0 {
                    above(low) - above(high)
                } else {
                    below(high) - below(low)
                };
                (
                    first + label * (density(low) - density(high)),
                    zeroth + label * probability,
                )
            })
    }
}

fn finite(argument: &'static str, value: f64) -> Error {
    Error::invalid(argument, value, "must be finite", "pass a finite number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_the_axis_with_the_right_labels() {
        let stripe = AxisLabels::stripe(-0.3, 1.18549, 1.0).unwrap();
        let pieces: Vec<_> = stripe.pieces(-1.0, 5.0).collect();
        assert_eq!(
            pieces,
            [
                (-1.0, -0.3, -1.0),
                (-0.3, 1.18549, 1.0),
                (1.18549, 5.0, -1.0)
            ]
        );
        assert_eq!(stripe.label(0.0), 1.0);
        assert_eq!(stripe.label(2.0), -1.0);
        assert_eq!(AxisLabels::single_interface(0.0).unwrap().label(2.0), 1.0);
    }

    #[test]
    fn both_half_lines_add_up_to_the_axis() {
        let stripe = AxisLabels::stripe(-0.3, 1.18549, -1.0).unwrap();
        let whole = stripe.half_line_moments(f64::NEG_INFINITY, 1.0);
        for z in [-3.0, -0.3, 0.2, 1.18549, 4.0] {
            let right = stripe.half_line_moments(z, 1.0);
            let left = stripe.half_line_moments(z, -1.0);
            assert!((right.0 + left.0 - whole.0).abs() < 1e-15);
            assert!((right.1 + left.1 - whole.1).abs() < 1e-15);
        }
    }

    #[test]
    fn bad_windows_are_refused() {
        assert!(AxisLabels::stripe(1.0, 1.0, 1.0).is_err());
        assert!(AxisLabels::stripe(f64::NAN, 1.0, 1.0).is_err());
        assert!(AxisLabels::stripe(0.0, f64::INFINITY, 1.0).is_err());
        assert!(AxisLabels::stripe(0.0, 1.0, 0.5).is_err());
        assert!(AxisLabels::single_interface(f64::INFINITY).is_err());
    }
}
