//! A one-hidden-layer ReLU network as a model for the flow.

use super::fused::{self, Fused, NEURONS};
use super::inputs::{EXAMPLES, Inputs};
use super::{Model, check_length};
use hmm_core::linalg::{matmul, matmul_add, rows, rows_mut};
use hmm_core::memory::filled;
use hmm_core::names::refused;
use hmm_core::special::vectorised;
use hmm_core::{Activation, Cancel, Entry, Error, Named, Real, Result};
use ndarray::{ArrayView1, ArrayView2};
use rayon::prelude::*;

/// Neurons and examples per side of a tile where a matrix product forms the pre-activations.
const TILE: usize = 256;
/// Pairs (example, neuron) that are worth a task of their own: about 50 microseconds.
const PAIRS_PER_TASK: usize = 1 << 17;

/// Slope s of a rectified unit `s max(0, u)`.
///
/// # Errors
/// Another unit.
pub fn slope(unit: Activation) -> Result<f64> {
    match unit {
        Activation::Relu => Ok(1.0),
        Activation::Sqrt2Relu => Ok(2_f64.sqrt()),
        Activation::Sign
        | Activation::Erf
        | Activation::Tanh
        | Activation::Linear
        | Activation::Sigmoid
        | Activation::LeakyRelu => {
            let allowed = [Activation::Relu, Activation::Sqrt2Relu];
            Err(refused("activation", unit.name(), &allowed))
        }
    }
}

/// Weights of `f(x) = (1/h) sum_n a_n g(w_n.x/sqrt d + b_n)` with rectified units g.
#[derive(Debug, Clone, Copy)]
pub struct ReluWeights<'a> {
    /// Input weights, shape (h, d).
    pub w: ArrayView2<'a, f64>,
    /// Biases, shape (h,).
    pub b: ArrayView1<'a, f64>,
    /// Output weights, shape (h,).
    pub a: ArrayView1<'a, f64>,
    /// The unit g.
    pub unit: Activation,
}

impl ReluWeights<'_> {
    /// All of them as the flow's parameters: h rows `(w_n, b_n)`, then `a`.
    pub fn parameters<T: Real>(&self) -> Vec<T> {
        let rows = self.w.outer_iter().zip(self.b);
        let hidden = rows.flat_map(|(w, b)| w.into_iter().chain([b]));
        hidden.chain(self.a).map(|x| T::from_f64(*x)).collect()
    }
}

/// `f(x) = (1/h) sum_n beta_n slope max(0, omega_n.x/sqrt d + b_n)` on fixed inputs.
///
/// Parameters: h rows `(omega_n, b_n)` of length d + 1, then `beta` (h,).
#[derive(Debug, Clone)]
pub struct ReluLayer<T> {
    inputs: Inputs<T>,
    width: usize,
    slope: f64,
}

impl<T: Fused> ReluLayer<T> {
    /// A layer of the width and with the units of `weights` on `inputs`.
    ///
    /// # Errors
    /// [`Error::Shape`] if weights and inputs do not fit; units that are not rectified.
    pub fn new(inputs: Inputs<T>, weights: &ReluWeights<'_>) -> Result<Self> {
        let (width, d) = weights.w.dim();
        if width == 0
            || d != inputs.dimension()
            || weights.a.len() != width
            || weights.b.len() != width
        {
            return Err(Error::shape(
                "network",
                &[width, d, weights.b.len(), weights.a.len()],
                format!("must have w (h, {}), b (h,) and a (h,)", inputs.dimension()),
                "pass weights of the inputs' dimension",
            ));
        }
        Ok(Self {
            inputs,
            width,
            slope: slope(weights.unit)?,
        })
    }

    /// Dimension of the inputs.
    pub fn dimension(&self) -> usize {
        self.inputs.dimension()
    }

    /// Number of parameters.
    fn size(&self) -> usize {
        self.width * (self.dimension() + 2)
    }

    /// Split parameters into rows `(omega_n, b_n)` and `beta`.
    fn split<'a>(&self, theta: &'a [T]) -> (&'a [T], &'a [T]) {
        theta.split_at(self.width * (self.dimension() + 1))
    }

    /// The outputs of one tile of examples by matrix products.
    #[expect(
        clippy::indexing_slicing,
        reason = "`pre` has TILE places for each example of the tile, and beta comes in blocks of at most TILE"
    )]
    fn tile_outputs(&self, x: &[T], weights: &[T], beta: &[T], out: &mut [f64]) {
        let d = self.dimension();
        let count = x.len() / d;
        let mut pre = vec![T::ZERO; count * TILE];
        let blocks = weights.chunks(TILE * (d + 1)).zip(beta.chunks(TILE));
        for (weights, beta) in blocks {
            let pre = &mut pre[..count * beta.len()];
            pre_activations(pre, x, weights, d);
            vectorised(
                #[inline(always)]
                || {
                    for (out, pre) in out.iter_mut().zip(pre.chunks_exact(beta.len())) {
                        // Eight partial sums: the order is fixed and the loop vectorises.
                        let mut partial = [T::ZERO; 8];
                        for (pre, beta) in pre.chunks(8).zip(beta.chunks(8)) {
                            for ((sum, pre), beta) in partial.iter_mut().zip(pre).zip(beta) {
                                let active = if *pre > T::ZERO { *pre } else { T::ZERO };
                                *sum = active.fused_mul_add(*beta, *sum);
                            }
                        }
                        *out += partial.iter().map(|sum| sum.to_f64()).sum::<f64>();
                    }
                },
            );
        }
    }

    /// The forces on one chunk of neurons by matrix products, into `out` (neurons, d + 1).
    #[expect(
        clippy::indexing_slicing,
        reason = "`pre` has places for TILE examples, and slopes come in blocks of at most TILE; a row of \
                  `out` has d + 1 entries"
    )]
    fn tile_forces(&self, weights: &[T], x: &[T], slopes: &[T], out: &mut [f64]) {
        let d = self.dimension();
        let count = weights.len() / (d + 1);
        let mut pre = vec![T::ZERO; TILE * count];
        let mut force = vec![T::ZERO; count * d];
        for (x, slopes) in x.chunks(TILE * d).zip(slopes.chunks(TILE)) {
            let pre = &mut pre[..slopes.len() * count];
            pre_activations(pre, x, weights, d);
            vectorised(
                #[inline(always)]
                || {
                    for (pre, slope) in pre.chunks_exact_mut(count).zip(slopes) {
                        for pre in pre {
                            *pre = if *pre > T::ZERO { *slope } else { T::ZERO };
                        }
                    }
                },
            );
            for active in pre.chunks_exact(count) {
                for (out, active) in out.chunks_exact_mut(d + 1).zip(active) {
                    out[d] += active.to_f64();
                }
            }
            matmul(
                rows_mut(&mut force, count, d),
                rows(pre, slopes.len(), count).transpose(),
                rows(x, slopes.len(), d),
                T::ONE,
            );
            for (out, force) in out.chunks_exact_mut(d + 1).zip(force.chunks_exact(d)) {
                for (out, force) in out.iter_mut().zip(force) {
                    *out += force.to_f64();
                }
            }
        }
    }

    /// `f` of any inputs of the same dimension.
    fn outputs_of(
        &self,
        inputs: &Inputs<T>,
        theta: &[T],
        outputs: &mut [f64],
        cancel: &Cancel,
    ) -> Result<()> {
        check_length("theta", theta.len(), self.size())?;
        check_length("outputs", outputs.len(), inputs.count())?;
        let (weights, beta) = self.split(theta);
        let d = self.dimension();
        let scale = self.slope / self.width as f64;
        let at_once = (PAIRS_PER_TASK / (EXAMPLES * self.width)).max(1);
        if fused::has_kernel(d) {
            outputs
                .par_chunks_mut(EXAMPLES)
                .zip(inputs.chunks())
                .with_min_len(at_once)
                .try_for_each(|(out, columns)| {
                    cancel.check()?;
                    let mut sums = [0.0; EXAMPLES];
                    T::add_outputs(d, columns, weights, beta, &mut sums);
                    for (out, sum) in out.iter_mut().zip(sums) {
                        *out = scale * sum;
                    }
                    Ok(())
                })
        } else {
            outputs
                .par_chunks_mut(TILE)
                .zip(inputs.rows().par_chunks(TILE * d))
                .try_for_each(|(out, x)| {
                    cancel.check()?;
                    out.fill(0.0);
                    self.tile_outputs(x, weights, beta, out);
                    for out in out {
                        *out *= scale;
                    }
                    Ok(())
                })
        }
    }
}

/// `pre = x V^T + b` for rows `(omega_n, b_n)` of `weights`; `pre` is (examples, neurons).
#[expect(
    clippy::indexing_slicing,
    reason = "`chunks_exact` gives rows (omega_n, b_n) of d + 1 weights"
)]
fn pre_activations<T: Fused>(pre: &mut [T], x: &[T], weights: &[T], d: usize) {
    let (examples, neurons) = (x.len() / d, weights.len() / (d + 1));
    for pre in pre.chunks_exact_mut(neurons) {
        for (pre, weights) in pre.iter_mut().zip(weights.chunks_exact(d + 1)) {
            *pre = weights[d];
        }
    }
    let all = rows(weights, neurons, d + 1);
    matmul_add(
        rows_mut(pre, examples, neurons),
        rows(x, examples, d),
        all.subcols(0, d).transpose(),
        T::ONE,
    );
}

impl<T: Fused + Entry> Model for ReluLayer<T> {
    type Scalar = T;
    type Points = Inputs<T>;

    fn examples(&self) -> usize {
        self.inputs.count()
    }

    fn parameters(&self) -> usize {
        self.size()
    }

    fn limits_relative_change(&self) -> bool {
        true
    }

    fn outputs(&self, theta: &[T], outputs: &mut [f64], cancel: &Cancel) -> Result<()> {
        self.outputs_of(&self.inputs, theta, outputs, cancel)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the lengths are checked at the door; a chunk has a row of d + 1 weights, and of forces, for \
                  each of its neurons"
    )]
    fn gradient(
        &self,
        theta: &[T],
        slopes: &[f64],
        gradient: &mut [T],
        cancel: &Cancel,
    ) -> Result<()> {
        check_length("theta", theta.len(), self.parameters())?;
        check_length("slopes", slopes.len(), self.examples())?;
        check_length("gradient", gradient.len(), self.parameters())?;
        let d = self.dimension();
        let (weights, beta) = self.split(theta);
        // Examples that a hinge has satisfied exert no force: leave them out of the pass.
        let (mut x, mut forces) = (Vec::new(), Vec::new());
        for (row, slope) in self.inputs.rows().chunks_exact(d).zip(slopes) {
            if *slope != 0.0 {
                x.extend_from_slice(row);
                forces.push(T::from_f64(*slope));
            }
        }
        let scale = self.slope / self.width as f64;
        let fused = fused::has_kernel(d);
        let chunk = if fused { NEURONS } else { TILE };
        let at_once = (PAIRS_PER_TASK / (chunk * forces.len().max(1))).max(1);
        let (by_weights, by_beta) = gradient.split_at_mut(self.width * (d + 1));
        by_weights
            .par_chunks_mut(chunk * (d + 1))
            .zip(by_beta.par_chunks_mut(chunk))
            .zip(
                weights
                    .par_chunks(chunk * (d + 1))
                    .zip(beta.par_chunks(chunk)),
            )
            .with_min_len(at_once)
            .try_for_each(|((by_weights, by_beta), (weights, beta))| {
                cancel.check()?;
                // (d + 1, neurons) from the fused kernel, (neurons, d + 1) from the products.
                let mut force = vec![0.0; chunk * (d + 1)];
                if fused {
                    T::add_forces(d, weights, &x, &forces, &mut force);
                } else {
                    self.tile_forces(weights, &x, &forces, &mut force);
                }
                for (n, beta) in beta.iter().enumerate() {
                    let mut along = 0.0;
                    for i in 0..=d {
                        let component = if fused {
                            force[i * NEURONS + n]
                        } else {
                            force[n * (d + 1) + i]
                        };
                        along += component * weights[n * (d + 1) + i].to_f64();
                        by_weights[n * (d + 1) + i] =
                            T::from_f64(scale * component * beta.to_f64());
                    }
                    by_beta[n] = T::from_f64(scale * along);
                }
                Ok(())
            })
    }

    fn outputs_at(&self, points: &Inputs<T>, theta: &[T], cancel: &Cancel) -> Result<Vec<f64>> {
        if points.dimension() != self.dimension() {
            return Err(Error::shape(
                "X_test",
                &[points.count(), points.dimension()],
                format!("must have {} columns", self.dimension()),
                "pass points of the inputs' dimension",
            ));
        }
        let mut outputs = filled(0.0, points.count(), "predictions", "pass fewer points")?;
        self.outputs_of(points, theta, &mut outputs, cancel)?;
        Ok(outputs)
    }

    fn bytes(&self) -> u64 {
        self.inputs.bytes()
    }

    fn bytes_of_points(points: &Inputs<T>) -> u64 {
        points.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::s;

    fn numbers(count: usize, phase: f64) -> Vec<f64> {
        (0..count)
            .map(|i| (phase + 1.3 * i as f64).sin() * 1.5)
            .collect()
    }

    /// A layer as wide as `theta` says, on the rows of `x`.
    fn layer_of<T: Fused>(x: &[f64], theta: &[f64], d: usize, unit: Activation) -> ReluLayer<T> {
        let width = theta.len() / (d + 2);
        let rows = ArrayView2::from_shape((width, d + 1), &theta[..width * (d + 1)]).unwrap();
        let weights = ReluWeights {
            w: rows.slice(s![.., ..d]),
            b: rows.column(d),
            a: ArrayView1::from(&theta[width * (d + 1)..]),
            unit,
        };
        assert_eq!(weights.parameters::<f64>(), theta);
        let x = ArrayView2::from_shape((x.len() / d, d), x).unwrap();
        ReluLayer::new(Inputs::new(x).unwrap(), &weights).unwrap()
    }

    fn output(x: &[f64], theta: &[f64], width: usize) -> f64 {
        let d = x.len();
        let (weights, beta) = theta.split_at(width * (d + 1));
        weights
            .chunks(d + 1)
            .zip(beta)
            .map(|(w, beta)| {
                let pre: f64 = w[..d].iter().zip(x).map(|(w, x)| w * x).sum();
                beta * (pre / (d as f64).sqrt() + w[d]).max(0.0)
            })
            .sum::<f64>()
            * 2_f64.sqrt()
            / width as f64
    }

    #[test]
    fn outputs_and_gradient_are_those_of_the_definition() {
        // Fused kernels (3, 10, 20) and products (17, 40); more neurons and examples than a chunk.
        for d in [3, 10, 17, 20, 40] {
            let (p, h) = (77, 301);
            let x = numbers(p * d, 0.4);
            let theta = numbers(h * (d + 2), 1.0);
            let layer = layer_of::<f64>(&x, &theta, d, Activation::Sqrt2Relu);
            let cancel = Cancel::new();
            let mut out = vec![0.0; p];
            layer.outputs(&theta, &mut out, &cancel).unwrap();
            for (mu, out) in out.iter().enumerate() {
                let want = output(&x[mu * d..][..d], &theta, h);
                assert!((out - want).abs() < 1e-12, "d = {d}: {out} {want}");
            }
            let mut slopes = numbers(p, 0.2);
            slopes[5] = 0.0;
            let mut gradient = vec![0.0; theta.len()];
            layer
                .gradient(&theta, &slopes, &mut gradient, &cancel)
                .unwrap();
            let objective = |theta: &[f64]| {
                let mut out = vec![0.0; p];
                layer.outputs(theta, &mut out, &cancel).unwrap();
                out.iter().zip(&slopes).map(|(o, s)| o * s).sum::<f64>()
            };
            for k in (0..theta.len()).step_by(97) {
                let step = 1e-6;
                let mut moved = theta.clone();
                moved[k] += step;
                let up = objective(&moved);
                moved[k] -= 2.0 * step;
                let numeric = (up - objective(&moved)) / (2.0 * step);
                // A kink within the step would show as more.
                assert!((gradient[k] - numeric).abs() < 1e-7, "d = {d}, {k}");
            }
        }
    }

    #[test]
    fn single_precision_follows_double() {
        let (p, h, d) = (300, 500, 5);
        let x = numbers(p * d, 0.4);
        let theta = numbers(h * (d + 2), 1.0);
        let single = |values: &[f64]| values.iter().map(|v| *v as f32).collect::<Vec<_>>();
        let double = layer_of::<f64>(&x, &theta, d, Activation::Relu);
        let layer = layer_of::<f32>(&x, &theta, d, Activation::Relu);
        let (mut want, mut got) = (vec![0.0; p], vec![0.0; p]);
        double.outputs(&theta, &mut want, &Cancel::new()).unwrap();
        layer
            .outputs(&single(&theta), &mut got, &Cancel::new())
            .unwrap();
        for (got, want) in got.iter().zip(&want) {
            // 500 terms of order one averaged: rounding of inputs and sums.
            assert!((got - want).abs() < 1e-5);
        }
    }
}
