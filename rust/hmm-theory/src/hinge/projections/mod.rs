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

mod points;

pub use points::{ProjectedData, ProjectedNodes, Scales};

use super::loss::{HingeLoss, positive};
use hmm_core::parallel::sum_chunks;
use hmm_core::{Cancel, Error, Result};
use libm::erfc;
use ndarray::{Array1, ArrayView1};
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Nodes of one task: fixes the order of sums.
const CHUNK: usize = 16;
/// Points between two looks at the interruption flag.
const LOOK: usize = 1 << 14;

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
    output: Array1<f64>,
}

/// `(Phi, phi)`: standard normal distribution function and density.
fn normal(q: f64) -> (f64, f64) {
    let density = (-0.5 * q * q).exp() / (2.0 * PI).sqrt();
    (0.5 * erfc(-q * FRAC_1_SQRT_2), density)
}

/// Scalar product.
fn dot(left: ArrayView1<'_, f64>, right: ArrayView1<'_, f64>) -> f64 {
    left.iter().zip(right).map(|(l, r)| l * r).sum()
}

/// One node.
struct Node<'a> {
    a: f64,
    w_par: ArrayView1<'a, f64>,
    r: f64,
    weight: f64,
}

/// The nodes of one task.
fn chunk_of(nodes: &ProjectedNodes, chunk: usize) -> impl Iterator<Item = Node<'_>> {
    let weights = nodes.a.iter().zip(nodes.w_par.rows());
    let columns = weights.zip(nodes.r.iter().zip(&nodes.weight));
    columns
        .skip(chunk * CHUNK)
        .take(CHUNK)
        .map(|((a, w_par), (r, weight))| Node {
            a: *a,
            w_par,
            r: *r,
            weight: *weight,
        })
}

impl ProjectedMeanField {
    /// A problem at its initial state.
    ///
    /// # Errors
    /// [`Error::Shape`] for shapes that disagree, [`Error::InvalidParameter`] for values outside their
    /// domain, [`Error::Interrupted`].
    pub fn new(
        nodes: ProjectedNodes,
        data: ProjectedData,
        loss: HingeLoss,
        kappa: f64,
        cancel: &Cancel,
    ) -> Result<Self> {
        let loss = loss.checked()?;
        positive("kappa", kappa)?;
        data.check()?;
        nodes.check(data.x.ncols())?;
        let mut field = Self {
            nodes,
            data,
            loss,
            kappa,
            output: Array1::default(0),
        };
        field.output = field.outputs(&field.nodes, cancel)?;
        Ok(field)
    }

    /// Present nodes.
    pub fn nodes(&self) -> &ProjectedNodes {
        &self.nodes
    }

    /// Present output at the data points, shape (P,).
    pub fn output(&self) -> ArrayView1<'_, f64> {
        self.output.view()
    }

    /// The data.
    pub fn data(&self) -> &ProjectedData {
        &self.data
    }

    fn outputs(&self, nodes: &ProjectedNodes, cancel: &Cancel) -> Result<Array1<f64>> {
        let points = self.data.y.len();
        let map = |chunk: usize| {
            let mut sum = Array1::<f64>::zeros(points);
            for node in chunk_of(nodes, chunk) {
                let amplitude = self.kappa * node.weight * node.a;
                let points = self.data.x.rows().into_iter().zip(&self.data.sigma);
                for (j, (f, (x, sigma))) in sum.iter_mut().zip(points).enumerate() {
                    if j % LOOK == 0 {
                        cancel.check()?;
                    }
                    let s = node.r * sigma;
                    let m = dot(node.w_par, x);
                    let (cdf, pdf) = normal(m / s);
                    *f += amplitude * (m * cdf + s * pdf);
                }
            }
            Ok(sum)
        };
        let chunks = self.nodes.a.len().div_ceil(CHUNK);
        sum_chunks(chunks, Array1::zeros(points), map, |total, part| {
            *total += &part;
        })
    }

    /// Take `steps` steps of gradient descent of size `dt` (one unit of time = one unit of dt).
    ///
    /// An interruption leaves the state of the last whole step.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for `dt <= 0`, [`Error::Divergence`] when weights stop being finite,
    /// [`Error::Interrupted`].
    pub fn advance(&mut self, steps: usize, dt: f64, cancel: &Cancel) -> Result<()> {
        positive("dt", dt)?;
        for _ in 0..steps {
            cancel.check()?;
            self.step(dt, cancel)?;
        }
        Ok(())
    }

    fn step(&mut self, dt: f64, cancel: &Cancel) -> Result<()> {
        let data = &self.data;
        let k = data.x.ncols();
        // x, sigma and the pull of every unsatisfied point.
        let labels = data.y.iter().zip(&data.weight).zip(&self.output);
        let points = data.x.rows().into_iter().zip(&data.sigma).zip(labels);
        let unsatisfied: Vec<(ArrayView1<'_, f64>, f64, f64)> = points
            .filter(|(_, ((y, _), output))| self.loss.alpha * **y * **output < self.loss.h)
            .map(|((x, sigma), ((y, weight), _))| (x, *sigma, weight * y))
            .collect();
        // Per node: k + 1 components of <u y theta(w.x) x>.
        let map = |chunk: usize| {
            let mut fields = Vec::with_capacity(CHUNK * (k + 1));
            for node in chunk_of(&self.nodes, chunk) {
                let start = fields.len();
                fields.extend(std::iter::repeat_n(0.0, k));
                let mut across = 0.0;
                for (count, (x, sigma, pull)) in unsatisfied.iter().enumerate() {
                    if count % LOOK == 0 {
                        cancel.check()?;
                    }
                    let s = node.r * sigma;
                    let (cdf, pdf) = normal(dot(node.w_par, *x) / s);
                    for (g, x) in fields.iter_mut().skip(start).zip(x) {
                        *g += pull * cdf * x;
                    }
                    across += pull * pdf * sigma;
                }
                fields.push(across);
            }
            Ok(fields)
        };
        let chunks = self.nodes.a.len().div_ceil(CHUNK);
        let fields = sum_chunks(chunks, Vec::new(), map, |total: &mut Vec<f64>, part| {
            total.extend(part);
        })?;
        let rate = dt * self.loss.clock_rate() * self.kappa;
        let mut nodes = self.nodes.clone();
        let weights = nodes.a.iter_mut().zip(nodes.w_par.rows_mut());
        let moved = weights.zip(&mut nodes.r).zip(fields.chunks_exact(k + 1));
        for (((a, mut w_par), r), field) in moved {
            let Some((across, along)) = field.split_last() else {
                continue;
            };
            let before = *a;
            *a += rate * (dot(w_par.view(), ArrayView1::from(along)) + *r * across);
            for (w, g) in w_par.iter_mut().zip(along) {
                *w += rate * before * g;
            }
            // A negative length is the opposite direction; the formulas hold for |r|.
            *r = (*r + rate * before * across).abs();
        }
        let output = self.outputs(&nodes, cancel)?;
        if output.iter().any(|f| !f.is_finite()) {
            return Err(Error::Divergence(
                "the mean-field output is not finite any more; take a smaller dt or beta"
                    .to_owned(),
            ));
        }
        (self.nodes, self.output) = (nodes, output);
        Ok(())
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
    use super::super::reduction::tests::{UNIT_LOSS, gaussian};
    use super::*;
    use ndarray::{Array2, Axis, array};

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
            a: array![1.0, -1.0, 1.0, -1.0],
            w_par: array![[1.0], [-1.0], [-1.0], [1.0]],
            r: Array1::from_elem(4, 7.0),
            weight: Array1::from_elem(4, 0.25),
        };
        let points = x.len();
        let data = ProjectedData {
            sigma: Array1::ones(points),
            x: Array1::from_vec(x).insert_axis(Axis(1)),
            y: y.into(),
            weight: weight.into(),
        };
        let cancel = Cancel::new();
        let mut field =
            ProjectedMeanField::new(nodes, data, UNIT_LOSS, d.sqrt().recip(), &cancel).unwrap();
        field.advance(60, 1.0, &cancel).unwrap();
        let exact = gaussian(d, 1.0, 0.0, 0.0);
        let course = super::super::gd::descend(&exact, 60, 1.0, &cancel).unwrap();
        let grown = course.array::<f64, ndarray::Ix1>("P").unwrap()[60];
        // a + w_par of the first node started at 2; one cell of the quadrature is 1/2000 of the law.
        let growing = 0.5 * (field.nodes().a[0] + field.nodes().w_par[[0, 0]]);
        assert!((growing / grown - 1.0).abs() < 2e-3, "{growing} {grown}");
        assert!((field.nodes().r[0] - 7.0).abs() < 1e-12);
    }

    #[test]
    fn inputs_of_no_more_dimensions_than_projections_are_refused() {
        let scales = Scales {
            sigma_a: 1.0,
            sigma_w: 1.0,
            sigma_x: 1.0,
        };
        let (x, ones) = (Array2::ones((2, 3)), Array1::ones(2));
        for (d, k) in [(2, 3), (3, 3), (0, 3), (5, usize::MAX)] {
            let nodes = ProjectedNodes::gaussian(2, k, d, scales, &Cancel::new());
            assert!(
                matches!(nodes, Err(Error::InvalidParameter { .. })),
                "{d} {k}"
            );
        }
        for d in [0, 2, 3] {
            let points = ProjectedData::with_lengths(
                x.view(),
                ones.view(),
                ones.view(),
                2,
                d,
                1.0,
                &Cancel::new(),
            );
            assert!(matches!(points, Err(Error::InvalidParameter { .. })), "{d}");
        }
    }

    #[test]
    fn an_interruption_leaves_a_whole_step() {
        let scales = Scales {
            sigma_a: 1.0,
            sigma_w: 1.0,
            sigma_x: 1.0,
        };
        let nodes = ProjectedNodes::gaussian(4, 1, 20, scales, &Cancel::new()).unwrap();
        let (x, y) = (array![[-1.0], [0.5], [2.0]], array![-1.0, 1.0, 1.0]);
        let weights = array![0.3, 0.3, 0.4];
        let data = ProjectedData::with_lengths(
            x.view(),
            y.view(),
            weights.view(),
            2,
            20,
            1.0,
            &Cancel::new(),
        )
        .unwrap();
        let cancel = Cancel::new();
        let mut field = ProjectedMeanField::new(nodes, data, UNIT_LOSS, 0.2, &cancel).unwrap();
        field.advance(3, 1.0, &cancel).unwrap();
        let before = field.clone();
        cancel.raise();
        assert!(matches!(
            field.advance(1, 1.0, &cancel),
            Err(Error::Interrupted)
        ));
        assert_eq!(field.nodes(), before.nodes());
    }
}
