//! Nodes and weights: the one maker of Gauss rules, and the 21-point Kronrod rule with its 10-point Gauss rule
//! (QUADPACK `qk21`) for adaptive integration.
//!
//! ```
//! use hmm_core::Cancel;
//! use hmm_theory::quadrature::{Rule, adaptive, gauss_gamma, gauss_legendre, gauss_normal};
//! let average = |rule: &Rule, power| {
//!     rule.nodes.iter().zip(&rule.weights).map(|(x, w)| w * x.powi(power)).sum::<f64>()
//! };
//! // n nodes are exact to degree 2 n - 1: the integral of x^4 over [-1, 1], E u^4 = 3, E x^2 = s (s + 1).
//! assert!((average(&gauss_legendre(3), 4) - 0.4).abs() < 1e-14);
//! assert!((average(&gauss_normal(3, &Cancel::new())?, 4) - 3.0).abs() < 1e-14);
//! assert!((average(&gauss_gamma(2, 2.5, &Cancel::new())?, 2) - 8.75).abs() < 1e-13);
//! // A kink is found by bisection.
//! assert!((adaptive(|x| (x - 0.3).abs(), 0.0, 1.0, 1e-12) - 0.29).abs() < 1e-14);
//! # Ok::<(), hmm_core::Error>(())
//! ```

use hmm_core::{Cancel, Error, Result};
use ndarray::Array1;
use std::f64::consts::PI;

/// Nodes, ascending, and weights of a quadrature rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Nodes, shape (n,).
    pub nodes: Array1<f64>,
    /// Weights, shape (n,).
    pub weights: Array1<f64>,
}

/// The `n`-point Gauss-Legendre rule on [-1, 1]; the weights sum to 2.
///
/// Newton's method on `P_n` from Tricomi's guess: to rounding at any `n`.
pub fn gauss_legendre(n: usize) -> Rule {
    let (nodes, weights): (Vec<f64>, Vec<f64>) = (0..n)
        .map(|i| {
            let mut x = -(PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
            let mut slope = 1.0;
            for _ in 0..100 {
                let (mut previous, mut current) = (1.0, x);
                for k in 2..=n {
                    let k = k as f64;
                    let next = ((2.0 * k - 1.0) * x * current - (k - 1.0) * previous) / k;
                    (previous, current) = (current, next);
                }
                slope = n as f64 * (x * current - previous) / (x * x - 1.0);
                let step = current / slope;
                x -= step;
                if step.abs() < 1e-15 {
                    break;
                }
            }
            (x, 2.0 / ((1.0 - x * x) * slope * slope))
        })
        .unzip();
    Rule {
        nodes: nodes.into(),
        weights: weights.into(),
    }
}

/// The `n`-point Gauss rule of the standard normal law; the weights sum to 1.
///
/// # Errors
/// [`Error::Convergence`] if the eigenvalue iteration stalls; [`Error::Interrupted`].
#[expect(
    clippy::indexing_slicing,
    reason = "i and n - 1 - i lie below n, the number of nodes and of weights"
)]
pub fn gauss_normal(n: usize, cancel: &Cancel) -> Result<Rule> {
    let squares = (1..n).map(|k| k as f64);
    let mut rule = golub_welsch(vec![0.0; n], squares.map(f64::sqrt).collect(), cancel)?;
    // The law is symmetric; so is the rule, to the last bit.
    for i in 0..n / 2 {
        let j = n - 1 - i;
        let node = 0.5 * (rule.nodes[j] - rule.nodes[i]);
        let weight = 0.5 * (rule.weights[i] + rule.weights[j]);
        (rule.nodes[i], rule.nodes[j]) = (-node, node);
        (rule.weights[i], rule.weights[j]) = (weight, weight);
    }
    if n % 2 == 1 {
        rule.nodes[n / 2] = 0.0;
    }
    Ok(rule)
}

/// The `n`-point Gauss rule of the Gamma law with density `x^(shape-1) e^-x / Gamma(shape)`; the weights sum to 1.
///
/// # Errors
/// [`Error::Convergence`] if the eigenvalue iteration stalls; [`Error::Interrupted`].
pub fn gauss_gamma(n: usize, shape: f64, cancel: &Cancel) -> Result<Rule> {
    let diagonal = (0..n).map(|k| 2.0 * k as f64 + shape).collect();
    let squares = (1..n).map(|k| k as f64 * (k as f64 + shape - 1.0));
    golub_welsch(diagonal, squares.map(f64::sqrt).collect(), cancel)
}

/// Gauss rule of a probability law from the recurrence of its orthonormal polynomials (Golub & Welsch 1969): nodes are
/// the eigenvalues of the symmetric tridiagonal matrix, weights the squared first components of its eigenvectors.
#[expect(
    clippy::indexing_slicing,
    reason = "l <= m <= n - 1, and i + 1 <= m: the three columns hold n numbers each"
)]
fn golub_welsch(mut diagonal: Vec<f64>, mut off: Vec<f64>, cancel: &Cancel) -> Result<Rule> {
    /// Sweeps that one eigenvalue may take; three are usual.
    const MOST_SWEEPS: usize = 60;
    let n = diagonal.len();
    off.push(0.0);
    let mut first = vec![0.0; n];
    if let Some(component) = first.first_mut() {
        *component = 1.0;
    }
    // The implicit QL algorithm with Wilkinson's shift.
    for l in 0..n {
        let mut sweeps = 0;
        loop {
            cancel.check()?;
            let m = (l..n - 1)
                .find(|&m| {
                    off[m].abs() <= f64::EPSILON * (diagonal[m].abs() + diagonal[m + 1].abs())
                })
                .unwrap_or(n - 1);
            if m == l {
                break;
            }
            sweeps += 1;
            if sweeps > MOST_SWEEPS {
                return Err(Error::Convergence(format!(
                    "the {n}-point Gauss rule does not converge; use fewer nodes"
                )));
            }
            let half = (diagonal[l + 1] - diagonal[l]) / (2.0 * off[l]);
            let root = half.hypot(1.0).copysign(half);
            let mut g = diagonal[m] - diagonal[l] + off[l] / (half + root);
            let (mut sine, mut cosine, mut shift) = (1.0, 1.0, 0.0);
            for i in (l..m).rev() {
                let (f, b) = (sine * off[i], cosine * off[i]);
                let length = f.hypot(g);
                off[i + 1] = length;
                (sine, cosine) = if length == 0.0 {
                    (0.0, 1.0)
                } else {
                    (f / length, g / length)
                };
                g = diagonal[i + 1] - shift;
                let turned = (diagonal[i] - g) * sine + 2.0 * cosine * b;
                shift = sine * turned;
                diagonal[i + 1] = g + shift;
                g = cosine * turned - b;
                let component = first[i + 1];
                first[i + 1] = sine * first[i] + cosine * component;
                first[i] = cosine * first[i] - sine * component;
            }
            diagonal[l] -= shift;
            off[l] = g;
            off[m] = 0.0;
        }
    }
    let mut pairs: Vec<(f64, f64)> = diagonal
        .into_iter()
        .zip(first.into_iter().map(|v| v * v))
        .collect();
    pairs.sort_by(|one, other| one.0.total_cmp(&other.0));
    let total: f64 = pairs.iter().map(|(_, weight)| weight).sum();
    Ok(Rule {
        nodes: pairs.iter().map(|(node, _)| *node).collect(),
        weights: pairs.iter().map(|(_, weight)| weight / total).collect(),
    })
}

/// Kronrod nodes on (0, 1]; every second one, from the second on, is a Gauss node.
const NODES: [f64; 10] = [
    0.995_657_163_025_808_1,
    0.973_906_528_517_171_7,
    0.930_157_491_355_708_2,
    0.865_063_366_688_984_5,
    0.780_817_726_586_416_9,
    0.679_409_568_299_024_4,
    0.562_757_134_668_604_7,
    0.433_395_394_129_247_2,
    0.294_392_862_701_460_2,
    0.148_874_338_981_631_22,
];
/// Weights of [`NODES`] in the Kronrod rule.
const KRONROD: [f64; 10] = [
    0.011_694_638_867_371_874,
    0.032_558_162_307_964_725,
    0.054_755_896_574_351_995,
    0.075_039_674_810_919_96,
    0.093_125_454_583_697_6,
    0.109_387_158_802_297_64,
    0.123_491_976_262_065_84,
    0.134_709_217_311_473_34,
    0.142_775_938_577_060_09,
    0.147_739_104_901_338_49,
];
/// Weight of the midpoint in the Kronrod rule (the Gauss rule does not use it).
const KRONROD_MIDDLE: f64 = 0.149_445_554_002_916_9;
/// Weights of the Gauss nodes.
const GAUSS: [f64; 5] = [
    0.066_671_344_308_688_14,
    0.149_451_349_150_580_6,
    0.219_086_362_515_982_04,
    0.269_266_719_309_996_35,
    0.295_524_224_714_752_87,
];

/// Kronrod value of the integral over `[from, to]` and its distance to the Gauss value.
pub fn integral(f: impl Fn(f64) -> f64, from: f64, to: f64) -> (f64, f64) {
    let (middle, half) = (0.5 * (from + to), 0.5 * (to - from));
    let mut kronrod = KRONROD_MIDDLE * f(middle);
    let mut gauss = 0.0;
    let pair = |node: f64| f(middle - half * node) + f(middle + half * node);
    let (nodes, _) = NODES.as_chunks::<2>();
    let (weights, _) = KRONROD.as_chunks::<2>();
    for (([alone, shared], [first, second]), in_gauss) in nodes.iter().zip(weights).zip(GAUSS) {
        kronrod += first * pair(*alone);
        let both = pair(*shared);
        kronrod += second * both;
        gauss += in_gauss * both;
    }
    (half * kronrod, half * (kronrod - gauss).abs())
}

/// Integral over `[from, to]` by bisection until both rules agree to `relative` on every piece.
///
/// The Kronrod value is far closer to the integral than the two rules are to each other.
pub fn adaptive(f: impl Fn(f64) -> f64, from: f64, to: f64, relative: f64) -> f64 {
    let whole = integral(&f, from, to).0.abs();
    let mut open = vec![(from, to)];
    let mut total = 0.0;
    while let Some((from, to)) = open.pop() {
        let (value, difference) = integral(&f, from, to);
        let middle = 0.5 * (from + to);
        let narrow = (to - from).abs() <= 1e-14 * from.abs().max(to.abs());
        // The second term ends the bisection where a piece no longer matters.
        if difference <= relative * value.abs() + 1e-17 * whole || narrow || !value.is_finite() {
            total += value;
        } else {
            open.push((middle, to));
            open.push((from, middle));
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_are_integrated_exactly() {
        // The Kronrod rule is exact to degree 31, the Gauss rule to degree 19.
        for degree in 0..=31 {
            let exact =
                (2.0_f64.powi(degree + 1) - (-1.0_f64).powi(degree + 1)) / f64::from(degree + 1);
            let (value, difference) = integral(|x| x.powi(degree), -1.0, 2.0);
            assert!(
                (value / exact - 1.0).abs() < 1e-14,
                "{degree}: {value} {exact}"
            );
            assert!(degree > 19 || difference < 1e-13 * exact);
        }
    }

    #[test]
    fn kinks_are_bisected() {
        let value = adaptive(|x| (x - 0.3).abs(), 0.0, 1.0, 1e-12);
        assert!((value - 0.29).abs() < 1e-14);
    }

    #[test]
    fn gauss_rules_integrate_the_moments_of_their_laws() {
        for n in [1, 2, 5, 24, 61] {
            let legendre = gauss_legendre(n);
            let normal = gauss_normal(n, &Cancel::new()).unwrap();
            let gamma = gauss_gamma(n, 49.5, &Cancel::new()).unwrap();
            let moment = |rule: &Rule, power: i32| -> f64 {
                let terms = rule.nodes.iter().zip(&rule.weights);
                terms.map(|(x, w)| w * x.powi(power)).sum()
            };
            let (mut odd, mut rising) = (1.0, 1.0);
            for power in 0..=(2 * n as i32 - 1).min(9) {
                let even = power % 2 == 0;
                let exact = if even {
                    2.0 / f64::from(power + 1)
                } else {
                    0.0
                };
                assert!((moment(&legendre, power) - exact).abs() < 2e-15 * n as f64);
                // 1, 0, 1, 0, 3, 0, 15, ...
                let exact = if even { odd } else { 0.0 };
                assert!(
                    (moment(&normal, power) - exact).abs() < 1e-13 * odd,
                    "{n} {power}"
                );
                assert!((moment(&gamma, power) / rising - 1.0).abs() < 1e-12);
                odd *= if even { f64::from(power + 1) } else { 1.0 };
                rising *= 49.5 + f64::from(power);
            }
        }
    }
}
