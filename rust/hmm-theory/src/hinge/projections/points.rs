//! Nodes and data of the self-consistent field: points with quadrature weights.

use super::super::loss::positive;
use crate::quadrature::{Rule, gauss_gamma, gauss_normal};
use hmm_core::{Cancel, Error, Result, memory};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

/// Nodes with quadrature weights.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectedNodes {
    /// Output weights, shape (n,).
    pub a: Array1<f64>,
    /// Projections of the input weights, shape (n, k).
    pub w_par: Array2<f64>,
    /// Lengths of the orthogonal input weights, shape (n,).
    pub r: Array1<f64>,
    /// Quadrature weights that sum to one, shape (n,).
    pub weight: Array1<f64>,
}

/// Labelled points in the space of the projections, with quadrature weights.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectedData {
    /// Projections, shape (P, k).
    pub x: Array2<f64>,
    /// Labels +-1, shape (P,).
    pub y: Array1<f64>,
    /// Quadrature weights that sum to one, shape (P,).
    pub weight: Array1<f64>,
    /// Root mean square of the orthogonal inputs of each point, `|x_perp| / sqrt(d - k)`, shape (P,).
    pub sigma: Array1<f64>,
}

/// Standard deviations of the initial weights and of the orthogonal inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scales {
    /// Of the output weights.
    pub sigma_a: f64,
    /// Of the input weights.
    pub sigma_w: f64,
    /// Of the orthogonal inputs.
    pub sigma_x: f64,
}

/// Memory of `count` things of `numbers` numbers each, asked for.
fn require(count: Option<usize>, numbers: usize, what: &str, remedy: &str) -> Result<usize> {
    let count = count.unwrap_or(usize::MAX);
    let bytes = memory::bytes_of::<f64>(count.saturating_mul(numbers));
    memory::require(bytes, what, remedy)?;
    Ok(count)
}

/// d - k, the dimensions that no projection sees.
fn unseen(d: usize, k: usize) -> Result<f64> {
    match d.checked_sub(k) {
        None | Some(0) => Err(Error::invalid(
            "d",
            d,
            format!("must be above the number k = {k} of projections"),
            "pass the dimension of the inputs",
        )),
        Some(rest) => Ok(rest as f64),
    }
}

impl ProjectedNodes {
    /// Independent Gaussian nodes: a product rule of `points` Gauss nodes for `a` and each of the `k` projections,
    /// `|w_perp|` at its mean square of `d - k` dimensions.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for scales that are not positive or `d <= k`, [`Error::Resource`] for more nodes than memory
    /// holds, [`Error::Interrupted`].
    #[expect(
        clippy::indexing_slicing,
        reason = "`place` is a remainder by the number of points of the rule"
    )]
    pub fn gaussian(
        points: usize,
        k: usize,
        d: usize,
        scales: Scales,
        cancel: &Cancel,
    ) -> Result<Self> {
        positive("sigma_a", scales.sigma_a)?;
        positive("sigma_w", scales.sigma_w)?;
        let rest = unseen(d, k)?;
        let dimensions = k + 1;
        let power = u32::try_from(dimensions).ok();
        let count = power.and_then(|power| points.checked_pow(power));
        let count = require(count, dimensions + 2, "the nodes", "pass fewer nodes")?;
        let rule = gauss_normal(points, cancel)?;
        // The first coordinate, a, varies slowest.
        let place = |node: usize, coordinate: usize| {
            node / points.pow((dimensions - 1 - coordinate) as u32) % points
        };
        Ok(Self {
            a: (0..count)
                .map(|node| scales.sigma_a * rule.nodes[place(node, 0)])
                .collect(),
            w_par: Array2::from_shape_fn((count, k), |(node, j)| {
                scales.sigma_w * rule.nodes[place(node, j + 1)]
            }),
            r: Array1::from_elem(count, scales.sigma_w * rest.sqrt()),
            weight: (0..count)
                .map(|node| {
                    (0..dimensions)
                        .map(|j| rule.weights[place(node, j)])
                        .product()
                })
                .collect(),
        })
    }

    /// An error unless all lengths agree and no length is negative.
    pub(super) fn check(&self, k: usize) -> Result<()> {
        let n = self.a.len();
        check_length("r", self.r.len(), n)?;
        check_length("node_weight", self.weight.len(), n)?;
        check_length("w_par", self.w_par.nrows(), n)?;
        check_length("w_par", self.w_par.ncols(), k)?;
        self.r.iter().try_for_each(|r| positive("r", *r).map(drop))
    }
}

impl ProjectedData {
    /// Points `x`, shape (P, k), with labels and probabilities; every point stands for `lengths` of them, one for each
    /// Gauss node of the law of `|x_perp|` in `d - k` dimensions.
    ///
    /// # Errors
    /// [`Error::Shape`] for lengths that disagree, [`Error::InvalidParameter`] for `d <= k`, [`Error::Resource`] for more
    /// points than memory holds, [`Error::Interrupted`].
    #[expect(
        clippy::indexing_slicing,
        reason = "n runs below P times the number of lengths; the lengths of y and the probabilities are checked"
    )]
    pub fn with_lengths(
        x: ArrayView2<'_, f64>,
        y: ArrayView1<'_, f64>,
        probability: ArrayView1<'_, f64>,
        lengths: usize,
        d: usize,
        sigma_x: f64,
        cancel: &Cancel,
    ) -> Result<Self> {
        positive("sigma_x", sigma_x)?;
        let (points, k) = x.dim();
        check_length("y", y.len(), points)?;
        check_length("weights", probability.len(), points)?;
        let count = require(
            points.checked_mul(lengths),
            k + 4,
            "the points",
            "pass fewer points or lengths",
        )?;
        let shape = 0.5 * unseen(d, k)?;
        let Rule { nodes, weights } = gauss_gamma(lengths, shape, cancel)?;
        let sigma: Array1<f64> = nodes.mapv(|square| sigma_x * (square / shape).sqrt());
        Ok(Self {
            x: Array2::from_shape_fn((count, k), |(n, j)| x[[n / lengths, j]]),
            y: (0..count).map(|n| y[n / lengths]).collect(),
            weight: (0..count)
                .map(|n| probability[n / lengths] * weights[n % lengths])
                .collect(),
            sigma: (0..count).map(|n| sigma[n % lengths]).collect(),
        })
    }

    /// An error unless all lengths agree, labels are signs and lengths positive.
    pub(super) fn check(&self) -> Result<()> {
        let points = self.y.len();
        check_length("x_par", self.x.nrows(), points)?;
        check_length("weight", self.weight.len(), points)?;
        check_length("sigma", self.sigma.len(), points)?;
        if self.y.iter().any(|y| y.abs() != 1.0) {
            return Err(Error::invalid(
                "y",
                "an array",
                "labels must be +1 or -1",
                "pass signs",
            ));
        }
        self.sigma
            .iter()
            .try_for_each(|sigma| positive("sigma", *sigma).map(drop))
    }
}

/// An error unless an array has the length it must have, and any.
fn check_length(argument: &'static str, length: usize, expected: usize) -> Result<()> {
    if length == expected && length > 0 {
        return Ok(());
    }
    Err(Error::shape(
        argument,
        &[length],
        format!("must hold {expected} numbers (and at least one)"),
        "pass arrays of one length",
    ))
}
