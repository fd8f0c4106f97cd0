//! Neural tangent kernel of a finite one-hidden-layer ReLU network, without its Jacobian.
//!
//! `h Theta(x, x') = (s^2/h) [R R'^T + (A A'^T) o ((M B)(M' B)^T)]` with `A = (x/sqrt d, 1)`,
//! pre-activations `A V^T`, `R = max(0, A V^T)`, `M = 1(A V^T > 0)`, `B = diag(beta)` and activation
//! `s max(0, u)`. Tiles of points against tiles of points, neurons in
//! blocks: what is held at a time does not grow with the number of points or neurons.

use hmm_core::linalg::{matmul, rows, rows_mut};
use hmm_core::special::vectorised;
use hmm_core::{Cancel, Error, Real, Result};
use rayon::prelude::*;

/// Points per side of a tile unless the caller says otherwise.
pub const DEFAULT_BLOCK: usize = 256;
/// Neurons taken at a time.
const NEURONS: usize = 1024;
/// Tiles computed between two looks at the cancel flag; their results are held until all are done.
const BATCH: usize = 32;

/// A one-hidden-layer network `f(x) = (1/h) sum_n beta_n slope max(0, omega_n.x/sqrt d + b_n)`.
#[derive(Debug, Clone, Copy)]
pub struct ReluNetwork<'a, T> {
    /// Input weights, (h, d) row-major.
    pub omega: &'a [T],
    /// Biases (h,), or `None` for a network without.
    pub b: Option<&'a [T]>,
    /// Output weights (h,).
    pub beta: &'a [T],
    /// Dimension of the inputs.
    pub d: usize,
    /// `sqrt 2` in the compression study.
    pub slope: f64,
}

impl<T: Real> ReluNetwork<'_, T> {
    /// Refuse arrays whose lengths do not agree.
    pub fn check(&self) -> Result<()> {
        let h = self.beta.len();
        if h == 0
            || self.d == 0
            || self.omega.len() != h * self.d
            || self.b.is_some_and(|b| b.len() != h)
        {
            return Err(Error::shape(
                "network",
                &[self.omega.len(), self.b.map_or(0, <[T]>::len), h],
                "must have w (h, d), b (h,), a (h,)",
                "pass matching weights",
            ));
        }
        Ok(())
    }
}

/// Which parameters' gradients enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of them.
    Full,
    /// The output weights alone: the kernel of the features.
    LastLayer,
}

/// Bytes that [`network_ntk`] holds at a time beside its output, on any number of threads up to
/// the 32 tiles of a batch.
pub fn scratch_bytes<T: Real>(block: usize, threads: usize) -> usize {
    let features = 4 * block * NEURONS * size_of::<T>();
    let tile = block * block;
    let augmented = 2 * block * size_of::<T>();
    threads.min(BATCH) * (features + augmented + tile * (size_of::<T>() + 8)) + BATCH * tile * 8
}

/// Rectified pre-activations and masked output weights of a tile of points and a block of neurons.
struct Features<T> {
    rectified: Vec<T>,
    masked: Vec<T>,
}

impl<T: Real> Features<T> {
    fn new(points: usize) -> Self {
        Self {
            rectified: vec![T::ZERO; points * NEURONS],
            masked: vec![T::ZERO; points * NEURONS],
        }
    }

    /// Fill for `x` (points, d) and neurons `first..first + count`; both arrays become (points, count).
    fn fill(&mut self, network: &ReluNetwork<'_, T>, x: &[T], first: usize, count: usize) {
        let d = network.d;
        let points = x.len() / d;
        let rectified = &mut self.rectified[..points * count];
        let masked = &mut self.masked[..points * count];
        matmul(
            rows_mut(rectified, points, count),
            rows(x, points, d),
            rows(&network.omega[first * d..(first + count) * d], count, d).transpose(),
            T::from_f64(1.0 / (d as f64).sqrt()),
        );
        let beta = &network.beta[first..first + count];
        let bias = network.b.map(|b| &b[first..first + count]);
        vectorised(
            #[inline(always)]
            || {
                for (pre, mask) in rectified
                    .chunks_exact_mut(count)
                    .zip(masked.chunks_exact_mut(count))
                {
                    if let Some(bias) = bias {
                        for (pre, b) in pre.iter_mut().zip(bias) {
                            *pre += *b;
                        }
                    }
                    for ((pre, mask), beta) in pre.iter_mut().zip(mask).zip(beta) {
                        let active = *pre > T::ZERO;
                        *mask = if active { *beta } else { T::ZERO };
                        *pre = if active { *pre } else { T::ZERO };
                    }
                }
            },
        );
    }
}

/// `sum += rows_x rows_y^T` in double precision, the product itself in `T`.
fn add_gram<T: Real>(sum: &mut [f64], scratch: &mut [T], x: &[T], y: &[T], count: usize) {
    let (p, q) = (x.len() / count, y.len() / count);
    let product = &mut scratch[..p * q];
    matmul(
        rows_mut(product, p, q),
        rows(x, p, count),
        rows(y, q, count).transpose(),
        T::ONE,
    );
    for (sum, product) in sum.iter_mut().zip(product) {
        *sum += product.to_f64();
    }
}

/// `h Theta` of the points `x` (p, d) against `y` (q, d), row-major.
fn tile<T: Real>(
    network: &ReluNetwork<'_, T>,
    x: &[T],
    y: &[T],
    same: bool,
    part: Part,
) -> Vec<f64> {
    let (d, h) = (network.d, network.beta.len());
    let (p, q) = (x.len() / d, y.len() / d);
    let mut readout = vec![0.0; p * q];
    let mut hidden = vec![0.0; if part == Part::Full { p * q } else { 0 }];
    let mut scratch = vec![T::ZERO; p * q];
    let mut left = Features::new(p);
    let mut right = Features::new(if same { 0 } else { q });
    for first in (0..h).step_by(NEURONS) {
        let count = NEURONS.min(h - first);
        left.fill(network, x, first, count);
        if !same {
            right.fill(network, y, first, count);
        }
        let other = if same { &left } else { &right };
        add_gram(
            &mut readout,
            &mut scratch,
            &left.rectified[..p * count],
            &other.rectified[..q * count],
            count,
        );
        if part == Part::Full {
            add_gram(
                &mut hidden,
                &mut scratch,
                &left.masked[..p * count],
                &other.masked[..q * count],
                count,
            );
        }
    }
    if part == Part::Full {
        matmul(
            rows_mut(&mut scratch, p, q),
            rows(x, p, d),
            rows(y, q, d).transpose(),
            T::from_f64(1.0 / d as f64),
        );
        let bias = f64::from(u8::from(network.b.is_some()));
        for ((readout, hidden), inner) in readout.iter_mut().zip(hidden).zip(scratch) {
            *readout += (inner.to_f64() + bias) * hidden;
        }
    }
    let scale = network.slope * network.slope / h as f64;
    for entry in &mut readout {
        *entry *= scale;
    }
    readout
}

/// `h Theta` of the points `x` (P, d) against `y` (Q, d), or against themselves (`None`: half the
/// work, exactly symmetric), written to `out` (P, Q) row-major. `out` may be a memory-mapped file.
///
/// Products are taken in `T`, sums over blocks of neurons in double precision. The result does not
/// depend on the number of threads; it does, in its last bits, on `block`.
///
/// # Errors
/// If lengths do not agree; [`Error::Interrupted`].
pub fn network_ntk<T: Real>(
    network: &ReluNetwork<'_, T>,
    x: &[T],
    y: Option<&[T]>,
    part: Part,
    block: usize,
    out: &mut [T],
    cancel: &Cancel,
) -> Result<()> {
    network.check()?;
    let d = network.d;
    let other = y.unwrap_or(x);
    let (p, q) = (x.len() / d, other.len() / d);
    if p == 0 || q == 0 || x.len() != p * d || other.len() != q * d || out.len() != p * q {
        return Err(Error::shape(
            "X, Y, out",
            &[x.len(), other.len(), out.len()],
            format!("must be (P, {d}), (Q, {d}) and (P, Q)"),
            "pass points of the network's dimension",
        ));
    }
    if block == 0 {
        return Err(Error::invalid(
            "block",
            block,
            "must be >= 1",
            "pass for example 256",
        ));
    }
    let tiles: Vec<(usize, usize)> = (0..p)
        .step_by(block)
        .flat_map(|top| {
            let first = if y.is_none() { top } else { 0 };
            (first..q).step_by(block).map(move |left| (top, left))
        })
        .collect();
    for batch in tiles.chunks(BATCH) {
        cancel.check()?;
        let done: Result<Vec<Vec<f64>>> = batch
            .par_iter()
            .map(|&(top, left)| {
                cancel.check()?;
                let rows = &x[top * d..(top + block).min(p) * d];
                let columns = &other[left * d..(left + block).min(q) * d];
                Ok(tile(
                    network,
                    rows,
                    columns,
                    y.is_none() && top == left,
                    part,
                ))
            })
            .collect();
        for (&(top, left), values) in batch.iter().zip(done?) {
            let width = block.min(q - left);
            for (i, row) in values.chunks_exact(width).enumerate() {
                let start = (top + i) * q + left;
                for (entry, value) in out[start..start + width].iter_mut().zip(row) {
                    *entry = T::from_f64(*value);
                }
            }
            if y.is_none() {
                // The lower half (of a diagonal tile: its own) is the upper one's mirror image.
                for j in 0..width {
                    for i in 0..values.len() / width {
                        if top + i < left + j {
                            out[(left + j) * q + top + i] = T::from_f64(values[i * width + j]);
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, phase: f64) -> Vec<f64> {
        (0..count).map(|i| (phase + 1.7 * i as f64).sin()).collect()
    }

    /// The definition: the inner product of two gradients.
    fn by_gradients(network: &ReluNetwork<'_, f64>, x: &[f64], y: &[f64], part: Part) -> f64 {
        let d = network.d as f64;
        let inner: f64 = x.iter().zip(y).map(|(a, b)| a * b).sum::<f64>() / d;
        let h = network.beta.len();
        let bias = network.b.unwrap_or(&[]);
        (0..h)
            .map(|n| {
                let omega = &network.omega[n * network.d..(n + 1) * network.d];
                let pre = |x: &[f64]| {
                    omega.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() / d.sqrt()
                        + bias.get(n).copied().unwrap_or(0.0)
                };
                let (u, v) = (pre(x), pre(y));
                if u <= 0.0 || v <= 0.0 {
                    return 0.0;
                }
                let hidden =
                    network.beta[n].powi(2) * (inner + f64::from(u8::from(network.b.is_some())));
                u * v + if part == Part::Full { hidden } else { 0.0 }
            })
            .sum::<f64>()
            * network.slope.powi(2)
            / h as f64
    }

    #[test]
    fn equals_the_gradients_inner_product() {
        let (p, q, d, h) = (23, 11, 3, 1500);
        let (omega, b, beta) = (numbers(h * d, 0.1), numbers(h, 2.0), numbers(h, 0.7));
        let (x, y) = (numbers(p * d, 1.0), numbers(q * d, 3.0));
        for (bias, part) in [
            (Some(&b[..]), Part::Full),
            (None, Part::Full),
            (Some(&b[..]), Part::LastLayer),
        ] {
            let network = ReluNetwork {
                omega: &omega,
                b: bias,
                beta: &beta,
                d,
                slope: 2_f64.sqrt(),
            };
            let mut cross = vec![0.0; p * q];
            network_ntk(&network, &x, Some(&y), part, 8, &mut cross, &Cancel::new()).unwrap();
            let mut square = vec![0.0; p * p];
            network_ntk(&network, &x, None, part, 8, &mut square, &Cancel::new()).unwrap();
            for i in 0..p {
                for j in 0..q {
                    let want = by_gradients(&network, &x[i * d..][..d], &y[j * d..][..d], part);
                    assert!((cross[i * q + j] - want).abs() < 1e-12);
                }
                for j in 0..p {
                    let want = by_gradients(&network, &x[i * d..][..d], &x[j * d..][..d], part);
                    assert!((square[i * p + j] - want).abs() < 1e-12);
                    assert_eq!(square[i * p + j], square[j * p + i]);
                }
            }
        }
    }

    #[test]
    fn bad_shapes_are_refused_and_a_raised_flag_stops() {
        let network = ReluNetwork {
            omega: &[1.0, 2.0],
            b: None,
            beta: &[1.0],
            d: 2,
            slope: 1.0,
        };
        let mut out = [0.0];
        let cancel = Cancel::new();
        let mut run = |network: &ReluNetwork<'_, f64>, x: &[f64], block, cancel: &Cancel| {
            network_ntk(network, x, None, Part::Full, block, &mut out, cancel)
        };
        assert!(run(&network, &[1.0, 0.0], 256, &cancel).is_ok());
        assert!(run(&network, &[1.0, 0.0, 1.0], 256, &cancel).is_err());
        assert!(run(&network, &[], 256, &cancel).is_err());
        assert!(run(&network, &[1.0, 0.0], 0, &cancel).is_err());
        assert!(
            run(
                &ReluNetwork {
                    beta: &[1.0, 1.0],
                    ..network
                },
                &[1.0, 0.0],
                1,
                &cancel
            )
            .is_err()
        );
        cancel.raise();
        assert!(matches!(
            run(&network, &[1.0, 0.0], 256, &cancel),
            Err(Error::Interrupted)
        ));
    }
}
