//! The self-consistent mean field for labels that depend on a few projections of the input: no closed
//! form, but still deterministic.
//!
//! Let `y` depend on `x_par` (k projections) and let the rest of the input be isotropic in many
//! dimensions. Then a node is a point `(a, w_par, r = |w_perp|)`: by isotropy `w_perp` keeps its
//! direction. With `sigma = |x_perp| / sqrt(d - k)`, `m = w_par.x_par`, `s = r sigma`, `q = m/s`,
//!
//! ```text
//! f(x_par)    = kappa E_nodes[ a (m Phi(q) + s phi(q)) ]
//! d w_par/dt  = c kappa a <u y Phi(q) x_par>
//! d r/dt      = c kappa a <u y phi(q)> sigma
//! d a/dt      = w_par.(d w_par/dt)/a + r (d r/dt)/a
//! ```
//!
//! the "single node in a time-dependent data set" of the paper: nodes meet only through `u`. The one
//! approximation is that `w_perp.x_perp` is Gaussian at given lengths, relative O(1/d).

use super::data_laws::positive;
use hmm_core::parallel::sum_chunks;
use hmm_core::{Cancel, Error, Result};
use libm::erfc;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Nodes of one task: fixes the order of sums.
const CHUNK: usize = 16;

/// Loss parameters of the hinge.
#[derive(Debug, Clone, Copy)]
pub struct HingeLoss {
    /// Output scale.
    pub alpha: f64,
    /// Margin threshold.
    pub h: f64,
    /// Mean-field learning rate.
    pub beta: f64,
    /// Exponent p.
    pub exponent: f64,
}

/// Nodes with quadrature weights.
#[derive(Debug, Clone)]
pub struct ProjectedNodes {
    /// Output weights, shape (n,).
    pub a: Vec<f64>,
    /// Projections of the input weights, shape (n, k), row by row.
    pub w_par: Vec<f64>,
    /// Lengths of the orthogonal input weights, shape (n,).
    pub r: Vec<f64>,
    /// Quadrature weights that sum to one, shape (n,).
    pub weight: Vec<f64>,
}

/// Labelled points in the space of the projections, with quadrature weights.
#[derive(Debug, Clone)]
pub struct ProjectedData {
    /// Projections, shape (P, k), row by row.
    pub x: Vec<f64>,
    /// Labels +-1, shape (P,).
    pub y: Vec<f64>,
    /// Quadrature weights that sum to one, shape (P,).
    pub weight: Vec<f64>,
    /// Number of projections k.
    pub k: usize,
    /// Root mean square of the orthogonal inputs of each point, `|x_perp| / sqrt(d - k)`, shape (P,).
    pub sigma: Vec<f64>,
}

/// Averages over the data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProjectedState {
    /// Unsatisfied fraction.
    pub unsatisfied: f64,
    /// Loss.
    pub loss: f64,
    /// Probability of a wrong sign (an output of exactly zero is wrong).
    pub test_error: f64,
}

/// The mean-field problem and its present state.
#[derive(Debug, Clone)]
pub struct ProjectedMeanField {
    nodes: ProjectedNodes,
    data: ProjectedData,
    loss: HingeLoss,
    kappa: f64,
    output: Vec<f64>,
}

/// `(Phi, phi)`: standard normal distribution function and density.
fn normal(q: f64) -> (f64, f64) {
    let density = (-0.5 * q * q).exp() / (2.0 * PI).sqrt();
    (0.5 * erfc(-q * FRAC_1_SQRT_2), density)
}

/// Scalar product.
fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(l, r)| l * r).sum()
}

impl ProjectedMeanField {
    /// A problem at its initial state.
    ///
    /// # Errors
    /// [`Error::Shape`] for shapes that disagree, [`Error::InvalidParameter`] for values outside their
    /// domain.
    pub fn new(
        nodes: ProjectedNodes,
        data: ProjectedData,
        loss: HingeLoss,
        kappa: f64,
    ) -> Result<Self> {
        positive("alpha", loss.alpha)?;
        positive("h", loss.h)?;
        positive("beta", loss.beta)?;
        positive("kappa", kappa)?;
        let (n, points, k) = (nodes.a.len(), data.y.len(), data.k);
        let shapes = [
            ("w_par", nodes.w_par.len(), n * k),
            ("r", nodes.r.len(), n),
            ("node_weight", nodes.weight.len(), n),
            ("x_par", data.x.len(), points * k),
            ("weight", data.weight.len(), points),
            ("sigma", data.sigma.len(), points),
        ];
        for (argument, length, expected) in shapes {
            if length != expected || length == 0 {
                return Err(Error::shape(
                    argument,
                    &[length],
                    format!("must hold {expected} numbers (and at least one)"),
                    "pass arrays of one length",
                ));
            }
        }
        if data.y.iter().any(|y| y.abs() != 1.0) {
            return Err(Error::invalid(
                "y",
                "an array",
                "labels must be +1 or -1",
                "pass signs",
            ));
        }
        for (argument, lengths) in [("r", &nodes.r), ("sigma", &data.sigma)] {
            for length in lengths {
                positive(argument, *length)?;
            }
        }
        let mut field = Self {
            nodes,
            data,
            loss,
            kappa,
            output: Vec::new(),
        };
        field.output = field.outputs()?;
        Ok(field)
    }

    /// Present nodes.
    pub fn nodes(&self) -> &ProjectedNodes {
        &self.nodes
    }

    /// Present output at the data points, shape (P,).
    pub fn output(&self) -> &[f64] {
        &self.output
    }

    /// Projections of node `i`.
    fn w_par(&self, i: usize) -> &[f64] {
        &self.nodes.w_par[i * self.data.k..(i + 1) * self.data.k]
    }

    /// Projections of point `j`.
    fn x(&self, j: usize) -> &[f64] {
        &self.data.x[j * self.data.k..(j + 1) * self.data.k]
    }

    /// Node numbers of one chunk.
    fn chunk(&self, chunk: usize) -> std::ops::Range<usize> {
        chunk * CHUNK..((chunk + 1) * CHUNK).min(self.nodes.a.len())
    }

    fn outputs(&self) -> Result<Vec<f64>> {
        let points = self.data.y.len();
        let map = |chunk: usize| {
            let mut sum = vec![0.0; points];
            for i in self.chunk(chunk) {
                let amplitude = self.kappa * self.nodes.weight[i] * self.nodes.a[i];
                for (j, f) in sum.iter_mut().enumerate() {
                    let s = self.nodes.r[i] * self.data.sigma[j];
                    let m = dot(self.w_par(i), self.x(j));
                    let (cdf, pdf) = normal(m / s);
                    *f += amplitude * (m * cdf + s * pdf);
                }
            }
            Ok(sum)
        };
        let chunks = self.nodes.a.len().div_ceil(CHUNK);
        sum_chunks(chunks, vec![0.0; points], map, |total, part| {
            for (t, p) in total.iter_mut().zip(part) {
                *t += p;
            }
        })
    }

    /// Take `steps` steps of gradient descent of size `dt` (one unit of time = one unit of dt).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for `dt <= 0`, [`Error::Divergence`] when weights stop being finite,
    /// [`Error::Interrupted`].
    pub fn advance(&mut self, steps: usize, dt: f64, cancel: &Cancel) -> Result<()> {
        positive("dt", dt)?;
        for _ in 0..steps {
            cancel.check()?;
            self.step(dt)?;
        }
        Ok(())
    }

    fn step(&mut self, dt: f64) -> Result<()> {
        let k = self.data.k;
        let unsatisfied: Vec<usize> = (0..self.data.y.len())
            .filter(|j| self.loss.alpha * self.data.y[*j] * self.output[*j] < self.loss.h)
            .collect();
        // Per node: k + 1 components of <u y theta(w.x) x>.
        let map = |chunk: usize| {
            let mut fields = Vec::with_capacity(CHUNK * (k + 1));
            for i in self.chunk(chunk) {
                let start = fields.len();
                fields.resize(start + k + 1, 0.0);
                let field = &mut fields[start..];
                for &j in &unsatisfied {
                    let x = self.x(j);
                    let s = self.nodes.r[i] * self.data.sigma[j];
                    let (cdf, pdf) = normal(dot(self.w_par(i), x) / s);
                    let pull = self.data.weight[j] * self.data.y[j];
                    for (g, x) in field.iter_mut().zip(x) {
                        *g += pull * cdf * x;
                    }
                    field[k] += pull * pdf * self.data.sigma[j];
                }
            }
            Ok(fields)
        };
        let chunks = self.nodes.a.len().div_ceil(CHUNK);
        let fields = sum_chunks(chunks, Vec::new(), map, |total: &mut Vec<f64>, part| {
            total.extend(part);
        })?;
        let HingeLoss {
            alpha,
            beta,
            exponent,
            ..
        } = self.loss;
        let rate = dt * beta * alpha.powf(1.0 - exponent) * self.kappa;
        let nodes = &mut self.nodes;
        for (i, field) in fields.chunks_exact(k + 1).enumerate() {
            let a = nodes.a[i];
            let w_par = &mut nodes.w_par[i * k..(i + 1) * k];
            nodes.a[i] += rate * (dot(w_par, &field[..k]) + nodes.r[i] * field[k]);
            for (w, g) in w_par.iter_mut().zip(field) {
                *w += rate * a * g;
            }
            // A negative length is the opposite direction; the formulas hold for |r|.
            nodes.r[i] = (nodes.r[i] + rate * a * field[k]).abs();
        }
        self.output = self.outputs()?;
        if self.output.iter().all(|f| f.is_finite()) {
            Ok(())
        } else {
            Err(Error::Divergence(
                "the mean-field output is not finite any more; take a smaller dt or beta"
                    .to_owned(),
            ))
        }
    }

    /// Unsatisfied fraction, loss and test error now.
    pub fn state(&self) -> ProjectedState {
        let HingeLoss {
            alpha, h, exponent, ..
        } = self.loss;
        let mut state = ProjectedState {
            unsatisfied: 0.0,
            loss: 0.0,
            test_error: 0.0,
        };
        for ((f, y), weight) in self.output.iter().zip(&self.data.y).zip(&self.data.weight) {
            let margin = y * f;
            if alpha * margin < h {
                state.unsatisfied += weight;
                state.loss += weight * (h - alpha * margin) * alpha.powf(-exponent);
            }
            if margin <= 0.0 {
                state.test_error += weight;
            }
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BaseLaw, DataLaw, HingeMeanField};
    use super::*;

    /// For the linear teacher the self-consistent solution is the exact reduction.
    #[test]
    fn linear_teacher_reduces_to_one_rotation() {
        let d = 50.0_f64;
        let points = 2001;
        // Midpoints of |x| cells, both signs: the law is symmetric to the last bit.
        let width = 12.0 / f64::from(points);
        let (mut x, mut y, mut weight) = (vec![], vec![], vec![]);
        for j in 0..points {
            let z = -6.0 + (f64::from(j) + 0.5) * width;
            if z.abs() > 1e-9 {
                x.push(z);
                y.push(z.signum());
                weight.push(width * normal(z).1);
            }
        }
        // Four nodes, closed under (a, w) -> (-a, -w), with C0 = 0 and C1 = 1.
        let nodes = ProjectedNodes {
            a: vec![1.0, -1.0, 1.0, -1.0],
            w_par: vec![1.0, -1.0, -1.0, 1.0],
            r: vec![7.0; 4],
            weight: vec![0.25; 4],
        };
        let data = ProjectedData {
            sigma: vec![1.0; x.len()],
            x,
            y,
            weight,
            k: 1,
        };
        let loss = HingeLoss {
            alpha: 1.0,
            h: 1.0,
            beta: 1.0,
            exponent: 1.0,
        };
        let mut field = ProjectedMeanField::new(nodes, data, loss, d.sqrt().recip()).unwrap();
        field.advance(60, 1.0, &Cancel::new()).unwrap();
        let law = DataLaw::new(BaseLaw::Gaussian { sigma: 1.0 }, 0.0).unwrap();
        let exact = HingeMeanField::new(
            law,
            (1.0, 1.0, 1.0, 1.0),
            d.sqrt().recip(),
            (0.0, 1.0),
            false,
        )
        .unwrap();
        let last = super::super::gd::descend(&exact, 60, 1.0).unwrap()[60];
        // a + w_par of the first node started at 2; one cell of the quadrature is 1/2000 of the law.
        let growing = 0.5 * (field.nodes().a[0] + field.nodes().w_par[0]);
        assert!(
            (growing / last.growing - 1.0).abs() < 2e-3,
            "{growing} {}",
            last.growing
        );
        assert!((field.nodes().r[0] - 7.0).abs() < 1e-12);
    }
}
