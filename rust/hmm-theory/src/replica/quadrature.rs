//! Composite Gauss-Legendre quadrature on panels that shrink towards where the integrand is narrow.

use crate::quadrature::{Rule, gauss_legendre};
use std::sync::LazyLock;

/// Nodes per panel. On a panel no wider than the features it covers 16 nodes are exact to rounding.
pub const NODES: usize = 16;

/// Pieces of one panel at most, whatever the numbers that were asked for.
const MOST_PIECES: f64 = 4096.0;

/// Nodes and weights on [-1, 1].
pub static RULE: LazyLock<([f64; NODES], [f64; NODES])> = LazyLock::new(|| {
    let Rule { nodes, weights } = gauss_legendre(NODES);
    let fixed = |numbers: ndarray::Array1<f64>| {
        let mut array = [0.0; NODES];
        array
            .iter_mut()
            .zip(numbers)
            .for_each(|(x, number)| *x = number);
        array
    };
    (fixed(nodes), fixed(weights))
});

/// Nodes and weights of the panels between consecutive edges, reused from call to call.
#[derive(Debug, Default, Clone)]
pub struct Panels {
    edges: Vec<f64>,
    /// Nodes, ascending when the edges are.
    pub nodes: Vec<f64>,
    /// Weights.
    pub weights: Vec<f64>,
}

impl Panels {
    /// Forget all edges.
    pub fn clear(&mut self) {
        self.edges.clear();
    }

    /// Add an edge.
    pub fn edge(&mut self, position: f64) {
        self.edges.push(position);
    }

    /// Add the edges `centre +- width 2^k` up to a distance `reach`, and the centre.
    ///
    /// A width below the resolution of `reach` counts as that: the panels between could not be told apart.
    pub fn graded(&mut self, centre: f64, width: f64, reach: f64) {
        self.edges.push(centre);
        if !reach.is_finite() {
            return;
        }
        let mut distance = width.max(f64::EPSILON * f64::EPSILON * reach);
        while distance < reach {
            self.edges.push(centre - distance);
            self.edges.push(centre + distance);
            distance *= 2.0;
        }
    }

    /// Map every edge (a monotone change of the variable of integration).
    pub fn map(&mut self, change: impl Fn(f64) -> f64) {
        for edge in &mut self.edges {
            *edge = change(*edge);
        }
    }

    /// Lay the nodes between `lower` and `upper`; edges outside are ignored, panels longer than
    /// `longest` are cut.
    pub fn lay(&mut self, lower: f64, upper: f64, longest: f64) {
        self.nodes.clear();
        self.weights.clear();
        if upper <= lower {
            return;
        }
        self.edges.retain(|edge| *edge > lower && *edge < upper);
        self.edges.push(lower);
        self.edges.push(upper);
        self.edges.sort_unstable_by(f64::total_cmp);
        let shortest = 1e-7 * (upper - lower);
        let mut left = lower;
        for &right in self.edges.iter().skip(1) {
            // Two features at one place make one edge; the last one stays.
            if right - left < shortest && right < upper {
                continue;
            }
            let pieces = ((right - left) / longest).ceil().clamp(1.0, MOST_PIECES);
            let length = (right - left) / pieces;
            for piece in 0..pieces as usize {
                panel(
                    left + length * piece as f64,
                    length,
                    &mut self.nodes,
                    &mut self.weights,
                );
            }
            left = right;
        }
    }
}

/// Append the nodes of one panel.
fn panel(left: f64, length: f64, nodes: &mut Vec<f64>, weights: &mut Vec<f64>) {
    let (x, w) = &*RULE;
    let half = 0.5 * length;
    nodes.extend(x.iter().map(|x| left + half * (1.0 + x)));
    weights.extend(w.iter().map(|w| half * w));
}
