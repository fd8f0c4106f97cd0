//! What a neuron feels under the linear loss when the training set is the whole population.

use super::AxisLabels;
use super::normal::{above, below, density};
use hmm_core::{Error, Result};
use ndarray::{Array1, ArrayView1};

/// Population averages over the half space `omega.x/sqrt d + b > 0`.
#[derive(Debug, Clone, PartialEq)]
pub struct PopulationField {
    /// `E[y x_i 1]`, shape (d,).
    pub inputs: Array1<f64>,
    /// `E[y 1]`.
    pub bias: f64,
    /// `P_act = E[1]`.
    pub active: f64,
}

/// Nodes of the Gauss-Legendre rule on one panel.
const NODES: usize = 20;
/// Widths, in units of the smoothed step's own, at which panels end around the step.
const STEP_PANELS: [f64; 9] = [-9.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 9.0];
/// Beyond this many standard deviations the density is below 1e-16 of its maximum.
const REACH: f64 = 8.6;

/// Nodes and weights of Gauss-Legendre quadrature on [-1, 1] by Newton's iteration.
fn gauss_legendre() -> [(f64, f64); NODES] {
    let n = NODES as f64;
    let mut rule = [(0.0, 0.0); NODES];
    for (i, entry) in rule.iter_mut().enumerate() {
        let mut x = libm::cos(std::f64::consts::PI * (i as f64 + 0.75) / (n + 0.5));
        let mut slope = 1.0;
        for _ in 0..20 {
            let (mut previous, mut value) = (1.0, x);
            for k in 2..=NODES {
                let k = k as f64;
                (previous, value) = (
                    value,
                    ((2.0 * k - 1.0) * x * value - (k - 1.0) * previous) / k,
                );
            }
            slope = n * (previous - x * value) / (1.0 - x * x);
            let step = value / slope;
            x -= step;
            if step.abs() < 1e-16 {
                break;
            }
        }
        *entry = (x, 2.0 / ((1.0 - x * x) * slope * slope));
    }
    rule
}

/// `int y(x) phi(x) Phi(offset + slope x) dx`: panels end at the interfaces and around the smoothed
/// step of `Phi`, so each panel holds an analytic function.
fn labelled_probability(labels: &AxisLabels, offset: f64, slope: f64) -> f64 {
    let rule = gauss_legendre();
    let mut cuts: Vec<f64> = (-4..=4).map(|k| 0.25 * f64::from(k) * REACH).collect();
    if slope != 0.0 {
        cuts.extend(STEP_PANELS.iter().map(|u| (u - offset) / slope));
    }
    cuts.retain(|cut| cut.abs() <= REACH);
    cuts.sort_by(f64::total_cmp);
    let mut total = 0.0;
    for (from, to) in cuts.iter().zip(cuts.iter().skip(1)) {
        for (low, high, label) in labels.pieces(*from, *to) {
            let (middle, half) = (0.5 * (low + high), 0.5 * (high - low));
            total += label
                * half
                * rule
                    .iter()
                    .map(|(node, weight)| {
                        let x = middle + half * node;
                        weight * density(x) * below(offset + slope * x)
                    })
                    .sum::<f64>();
        }
    }
    total
}

/// Population averages felt by a neuron with weights `omega` (d,) and bias `b`.
///
/// With `u(x) = (sqrt d b + omega_1 x)/|omega_perp|`: `E[y x_1 1] = int phi y x Phi(u)`,
/// `E[y 1] = int phi y Phi(u)`, `E[y x_i 1] = (omega_i/|omega_perp|) int phi y varphi(u)` for `i >= 2`
/// for the stripe and any other labels on the axis. The first and third are closed forms, the second a quadrature with
/// error below 1e-13. A neuron with `omega = 0` is active everywhere (`b > 0`) or nowhere.
///
/// # Errors
/// Unless `omega` is non-empty and all numbers are finite.
pub fn population_field(
    omega: ArrayView1<'_, f64>,
    b: f64,
    labels: &AxisLabels,
) -> Result<PopulationField> {
    field(&omega.to_vec(), b, labels)
}

/// The same of a neuron's weights in one piece.
pub(super) fn field(omega: &[f64], b: f64, labels: &AxisLabels) -> Result<PopulationField> {
    let Some((&parallel, others)) = omega.split_first() else {
        return Err(Error::shape(
            "omega",
            &[0],
            "must hold at least one weight",
            "pass the d input weights of a neuron",
        ));
    };
    if let Some(bad) = omega
        .iter()
        .chain(std::iter::once(&b))
        .find(|w| !w.is_finite())
    {
        return Err(Error::invalid(
            "omega, b",
            bad,
            "must be finite",
            "pass finite weights",
        ));
    }
    let d = omega.len() as f64;
    let perpendicular = libm::sqrt(others.iter().map(|w| w * w).sum());
    let norm = libm::hypot(parallel, perpendicular);
    let bias = d.sqrt() * b;
    // The component along the axis, then each of the others, given its weight.
    let along = |first: f64, other: &dyn Fn(f64) -> f64| -> Array1<f64> {
        std::iter::once(first)
            .chain(others.iter().map(|weight| other(*weight)))
            .collect()
    };
    if norm == 0.0 {
        // The pre-activation is b everywhere; at b = 0 the subgradient 0 is the convention.
        if b <= 0.0 {
            return Ok(PopulationField {
                inputs: along(0.0, &|_| 0.0),
                bias: 0.0,
                active: 0.0,
            });
        }
        let (first, zeroth) = labels.half_line_moments(f64::NEG_INFINITY, 1.0);
        return Ok(PopulationField {
            inputs: along(first, &|_| 0.0),
            bias: zeroth,
            active: 1.0,
        });
    }
    let active = below(bias / norm);
    // A step this sharp is a step: |omega_perp|/|omega_1| is below the rounding of x_1 itself.
    if perpendicular <= f64::EPSILON * parallel.abs() {
        let (s, z) = (parallel.signum(), -bias / parallel);
        let (first, zeroth) = labels.half_line_moments(z, s);
        let other = |weight: f64| weight / parallel.abs() * density(z) * labels.label(z);
        return Ok(PopulationField {
            inputs: along(first, &other),
            bias: zeroth,
            active,
        });
    }
    let (offset, slope) = (bias / perpendicular, parallel / perpendicular);
    // int y phi(x) varphi(offset + slope x) dx: the product of two Gaussians is one Gaussian with
    // this centre and width, times the density of the foot's distance.
    let (centre, width) = (-parallel * bias / (norm * norm), perpendicular / norm);
    let density_at_step: f64 = width
        * density(bias / norm)
        * labels
            .pieces(f64::NEG_INFINITY, f64::INFINITY)
            .map(|(low, high, label)| {
                let (low, high) = ((low - centre) / width, (high - centre) / width);
                label
                    * if low > 0.0 {
                        above(low) - above(high)
                    } else {
                        below(high) - below(low)
                    }
            })
            .sum::<f64>();
    // By parts: int x phi Phi(u) = [-phi Phi(u)] + slope int phi varphi(u), piece by piece.
    let step = |x: f64| {
        if x.is_finite() {
            density(x) * below(offset + slope * x)
        } else {
            0.0
        }
    };
    let first = slope * density_at_step
        + labels
            .pieces(f64::NEG_INFINITY, f64::INFINITY)
            .map(|(low, high, label)| label * (step(low) - step(high)))
            .sum::<f64>();
    Ok(PopulationField {
        inputs: along(first, &|weight| weight / perpendicular * density_at_step),
        bias: labelled_probability(labels, offset, slope),
        active,
    })
}

/// Compression per `sqrt p` if every neuron saw every point: `2 |sum of interface jumps' densities|`,
/// for the stripe `sqrt(2/pi) |exp(-xmin^2/2) - exp(-xmax^2/2)|`.
pub fn compression_all_active(labels: &AxisLabels) -> f64 {
    labels.half_line_moments(f64::NEG_INFINITY, 1.0).0.abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripe() -> AxisLabels {
        AxisLabels::stripe(-0.3, 1.18549, 1.0).unwrap()
    }

    #[test]
    fn nodes_integrate_polynomials() {
        let rule = gauss_legendre();
        let moment = |k: i32| rule.iter().map(|(x, w)| w * x.powi(k)).sum::<f64>();
        assert!((moment(0) - 2.0).abs() < 1e-14);
        assert!((moment(38) - 2.0 / 39.0).abs() < 1e-14);
    }

    #[test]
    fn reference_case() {
        let field = field(&[-0.83, -0.271, -0.35], 0.192, &stripe()).unwrap();
        for (got, want) in field
            .inputs
            .iter()
            .zip([0.41709755, -0.08023683, -0.1036269])
        {
            assert!((got - want).abs() < 1e-8);
        }
        assert!((field.bias + 0.11488710230465186).abs() < 1e-9);
    }

    #[test]
    fn the_sharp_step_is_the_limit_of_the_smooth_one() {
        // The two branches on either side of their threshold: the step has width 1e-12 there, and
        // the field is Lipschitz in it.
        for parallel in [0.7, -0.7] {
            let sharp = field(&[parallel, 0.0, 0.0], 0.3, &stripe()).unwrap();
            let smooth = field(&[parallel, 1e-9, 0.0], 0.3, &stripe()).unwrap();
            assert!((sharp.inputs[0] - smooth.inputs[0]).abs() < 1e-8);
            assert!((sharp.bias - smooth.bias).abs() < 1e-8);
            let slope = smooth.inputs[1] / 1e-9;
            let z = -3_f64.sqrt() * 0.3 / parallel;
            let limit = density(z) * stripe().label(z) / parallel.abs();
            assert!((slope - limit).abs() < 1e-7, "{slope} {limit}");
        }
    }

    #[test]
    fn a_dead_direction_sees_everything_or_nothing() {
        let all = field(&[0.0, 0.0], 1.0, &stripe()).unwrap();
        assert_eq!(all.active, 1.0);
        assert!((all.inputs[0].abs() - compression_all_active(&stripe())).abs() < 1e-15);
        let none = field(&[0.0, 0.0], -1.0, &stripe()).unwrap();
        assert_eq!((none.active, none.bias, none.inputs[0]), (0.0, 0.0, 0.0));
    }

    #[test]
    fn bad_weights_are_refused() {
        assert!(field(&[], 0.0, &stripe()).is_err());
        assert!(field(&[1.0, f64::NAN], 0.0, &stripe()).is_err());
        assert!(field(&[1.0], f64::INFINITY, &stripe()).is_err());
    }
}
