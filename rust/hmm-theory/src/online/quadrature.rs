//! The averages of the equations for any units, by quadrature over the fields.
//!
//! The last field, a teacher's, enters the output error linearly: its average given the others is a
//! smooth function of one number, tabulated once per evaluation. That leaves K + M - 1 dimensions.

#![expect(
    clippy::indexing_slicing,
    reason = "`check_quadrature` allows K + M <= MOST_FIELDS fields, the side of every array, and `Committee::check` at least one of each layer; s and c are of these fields"
)]

use super::committee::{Committee, Drive, Unit};
use crate::activation::Jet;
use crate::integrals::sampled::SampledUnit;
use hmm_core::{Cancel, Error, Result};
use std::sync::LazyLock;

/// Most fields K + M of a quadrature.
pub const MOST_FIELDS: usize = 4;

/// Spacing of the nodes over 1, 2 and 3 outer fields, and over the last one, in standard normals.
///
/// The error of the trapezoidal rule on a normal weight is about exp(-2 pi a / spacing) for a
/// function with poles at distance a (tanh at unit variance: a = pi/2).
const OUTER_SPACING: [f64; MOST_FIELDS - 1] = [0.2, 0.25, 0.42];
const INNER_SPACING: f64 = 0.2;

/// Range of the nodes: the weight beyond is below 1e-11.
const RANGE: f64 = 6.8;

/// Grid of the last field's conditional averages, in units of its standard deviation.
const GRID_CELLS: usize = 256;

/// Nodes and weights for averages over a standard normal variable.
struct NormalRule {
    nodes: Vec<f64>,
    weights: Vec<f64>,
}

static OUTER: LazyLock<[NormalRule; MOST_FIELDS - 1]> =
    LazyLock::new(|| OUTER_SPACING.map(trapezoidal_rule));
static INNER: LazyLock<NormalRule> = LazyLock::new(|| trapezoidal_rule(INNER_SPACING));

/// The trapezoidal rule, weights normalised. Gauss-Hermite nodes need far more of them for
/// functions with poles: 4e-5 with 24 for tanh at unit variance, where this has 1e-9 with 33.
fn trapezoidal_rule(spacing: f64) -> NormalRule {
    let half = (RANGE / spacing).ceil() as i32;
    let nodes: Vec<f64> = (-half..=half).map(|i| f64::from(i) * spacing).collect();
    let density: Vec<f64> = nodes.iter().map(|z| (-0.5 * z * z).exp()).collect();
    let total: f64 = density.iter().sum();
    NormalRule {
        nodes,
        weights: density.iter().map(|w| w / total).collect(),
    }
}

/// An error unless these units and this many fields can be averaged by quadrature.
pub fn check_quadrature(student: &Unit, teacher: &Unit, fields: usize) -> Result<()> {
    let sampled = |unit: &Unit| matches!(unit, Unit::Sampled(_));
    if !sampled(student) && !sampled(teacher) {
        return Ok(());
    }
    if fields > MOST_FIELDS {
        return Err(Error::invalid(
            "activation",
            format!("no closed form, K + M = {fields}"),
            format!("quadrature over the fields is for K + M <= {MOST_FIELDS}"),
            "use fewer units, or 'erf', 'relu' or 'linear'",
        ));
    }
    if student.has_kink() || teacher.has_kink() {
        return Err(Error::invalid(
            "activation",
            "'relu' with a unit without closed form",
            "quadrature needs smooth units",
            "use 'erf' or 'linear' beside it",
        ));
    }
    Ok(())
}

/// Averages over all fields, filled point by point.
struct Sums {
    /// E\[g''(lambda^k) Delta\].
    curvature: [f64; MOST_FIELDS],
    /// E\[g'(lambda^k) g'(x_a)\].
    gates: [[f64; MOST_FIELDS]; MOST_FIELDS],
    /// E\[g'(lambda^k) g'(lambda^l) Delta^2\].
    squared: [[f64; MOST_FIELDS]; MOST_FIELDS],
    /// E\[g(lambda^k) Delta\].
    output: [f64; MOST_FIELDS],
    /// E\[Delta^2\].
    error: f64,
}

struct Average<'a> {
    committee: &'a Committee,
    signs: &'a [f64],
    /// Lower triangle with C = factor factor^T.
    factor: [[f64; MOST_FIELDS]; MOST_FIELDS],
    /// E\[g(mu + tau xi)\] and E\[g^2(mu + tau xi)\] of the last field.
    last: SampledUnit,
    last_squared: SampledUnit,
    normals: [f64; MOST_FIELDS],
    jets: [Jet; MOST_FIELDS],
    sums: Sums,
    cancel: &'a Cancel,
}

impl Average<'_> {
    /// Sum over the nodes of field `level` and all after it.
    fn visit(&mut self, level: usize, weight: f64) -> Result<()> {
        let dimensions = self.committee.fields() - 1;
        if level == dimensions {
            self.add(weight);
            return Ok(());
        }
        self.cancel.check()?;
        let rule = &OUTER[dimensions - 1];
        for (node, w) in rule.nodes.iter().zip(&rule.weights) {
            self.normals[level] = *node;
            let x = self.field(level, level + 1);
            self.jets[level] = self.unit(level).jet(x);
            self.visit(level + 1, weight * w)?;
        }
        Ok(())
    }

    fn unit(&self, field: usize) -> &Unit {
        if field < self.committee.k {
            &self.committee.student
        } else {
            &self.committee.teacher
        }
    }

    /// The part of field `index` that the first `known` normals make.
    fn field(&self, index: usize, known: usize) -> f64 {
        (0..known)
            .map(|j| self.factor[index][j] * self.normals[j])
            .sum()
    }

    fn add(&mut self, weight: f64) {
        let (k, n) = (self.committee.k, self.committee.fields());
        let last = n - 1;
        let mu = self.field(last, last);
        let (mean, square) = (self.last.at(mu), self.last_squared.at(mu).value);
        let known: f64 = (0..last).map(|a| self.signs[a] * self.jets[a].value).sum();
        let s = self.signs[last];
        let delta = known + s * mean.value;
        let delta_squared = known * known + 2.0 * known * s * mean.value + s * s * square;
        let sums = &mut self.sums;
        for i in 0..k {
            let jet = self.jets[i];
            sums.curvature[i] += weight * jet.curvature * delta;
            sums.output[i] += weight * jet.value * delta;
            for a in 0..last {
                sums.gates[i][a] += weight * jet.slope * self.jets[a].slope;
            }
            // d/dmu E[g(mu + tau xi)] = E[g'].
            sums.gates[i][last] += weight * jet.slope * mean.slope;
            for j in i..k {
                sums.squared[i][j] += weight * jet.slope * self.jets[j].slope * delta_squared;
            }
        }
        sums.error += weight * delta_squared;
    }
}

/// Lower triangular root of a covariance that may be singular.
fn root(c: &[f64], n: usize) -> [[f64; MOST_FIELDS]; MOST_FIELDS] {
    let mut factor = [[0.0; MOST_FIELDS]; MOST_FIELDS];
    for j in 0..n {
        let known: f64 = factor[j][..j].iter().map(|x| x * x).sum();
        let rest = c[j * n + j] - known;
        if rest <= 1e-14 * c[j * n + j] {
            continue;
        }
        factor[j][j] = rest.sqrt();
        for i in j + 1..n {
            let known: f64 = (0..j).map(|l| factor[i][l] * factor[j][l]).sum();
            factor[i][j] = (c[i * n + j] - known) / factor[j][j];
        }
    }
    factor
}

/// Averages of g and g^2 over the last field given its mean, as functions of that mean.
fn conditional_averages(unit: &Unit, spread: f64, tau: f64) -> Result<(SampledUnit, SampledUnit)> {
    let reach = 2.0 * RANGE * spread.max(1e-3);
    let step = 2.0 * reach / GRID_CELLS as f64;
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for i in 0..=GRID_CELLS {
        let mu = -reach + i as f64 * step;
        let (mut mean, mut square) = (Jet::default(), Jet::default());
        for (node, w) in INNER.nodes.iter().zip(&INNER.weights) {
            let g = unit.jet(mu + tau * node);
            mean.value += w * g.value;
            mean.slope += w * g.slope;
            mean.curvature += w * g.curvature;
            square.value += w * g.value * g.value;
            square.slope += w * 2.0 * g.value * g.slope;
            square.curvature += w * 2.0 * (g.slope * g.slope + g.value * g.curvature);
        }
        first.push(mean);
        second.push(square);
    }
    Ok((
        SampledUnit::new(-reach, step, first)?,
        SampledUnit::new(-reach, step, second)?,
    ))
}

fn averages(committee: &Committee, signs: &[f64], c: &[f64], cancel: &Cancel) -> Result<Sums> {
    let n = committee.fields();
    let factor = root(c, n);
    let last = n - 1;
    let spread = c[last * n + last].max(0.0).sqrt();
    let (mean, square) = conditional_averages(&committee.teacher, spread, factor[last][last])?;
    let mut average = Average {
        committee,
        signs,
        factor,
        last: mean,
        last_squared: square,
        normals: [0.0; MOST_FIELDS],
        jets: [Jet::default(); MOST_FIELDS],
        sums: Sums {
            curvature: [0.0; MOST_FIELDS],
            gates: [[0.0; MOST_FIELDS]; MOST_FIELDS],
            squared: [[0.0; MOST_FIELDS]; MOST_FIELDS],
            output: [0.0; MOST_FIELDS],
            error: 0.0,
        },
        cancel,
    };
    average.visit(0, 1.0)?;
    Ok(average.sums)
}

/// (1/2) E\[Delta^2\] at covariance `c` of the fields.
pub fn generalisation_error(
    committee: &Committee,
    signs: &[f64],
    c: &[f64],
    cancel: &Cancel,
) -> Result<f64> {
    Ok(0.5 * averages(committee, signs, c, cancel)?.error)
}

/// L, G, N and the second layer's gradient at covariance `c` of the fields.
pub fn drive(
    committee: &Committee,
    s: &[f64],
    c: &[f64],
    out: &mut Drive,
    cancel: &Cancel,
) -> Result<()> {
    let (k, m) = (committee.k, committee.m);
    let sums = averages(committee, s, c, cancel)?;
    out.resize(k, m);
    for i in 0..k {
        for j in 0..k {
            let (low, high) = (i.min(j), i.max(j));
            out.l[i * k + j] = s[i] * s[j] * sums.gates[i][j];
            let squared =
                sums.squared[low][high] + committee.noise_variance * sums.gates[low][high];
            out.n[i * k + j] = s[i] * s[j] * squared;
        }
        out.l[i * k + i] += s[i] * sums.curvature[i];
        for a in 0..m {
            out.g[i * m + a] = -s[i] * s[k + a] * sums.gates[i][k + a];
        }
        out.second_layer[i] = sums.output[i];
    }
    Ok(())
}
