//! Neural tangent kernel of a finite one-hidden-layer ReLU network, without its Jacobian.
//!
//! `h Theta(x, x') = (s^2/h) [R R'^T + (A A'^T) o ((M B)(M' B)^T)]` with `A = (x/sqrt d, 1)`,
//! pre-activations `A V^T`, `R = max(0, A V^T)`, `M = 1(A V^T > 0)`, `B = diag(beta)` and activation
//! `s max(0, u)`. Tiles of points against tiles of points, neurons in stretches; a panel of tiles shares the features of
//! its points. What is held at a time does not grow with the number of points or neurons.
//!
//! ```
//! use hmm_core::{Activation, Cancel};
//! use hmm_sim::network_kernel::{DEFAULT_BLOCK, Part, ReluNetwork, network_ntk};
//! use ndarray::{Array2, array};
//! // f(x) = beta max(0, omega x) with omega = 3, beta = 5: df/dbeta = 3 x, df/domega = 5 x where it is active.
//! let (omega, beta) = (array![[3.0]], array![5.0]);
//! let unit = Activation::Relu;
//! let network = ReluNetwork { omega: omega.view(), b: None, beta: beta.view(), unit };
//! let (points, mut kernel) = (array![[1.0], [2.0], [-1.0]], Array2::<f64>::zeros((3, 3)));
//! let (x, out, cancel) = (points.view(), kernel.view_mut(), Cancel::new());
//! network_ntk(&network, x, None, Part::Full, DEFAULT_BLOCK, out, &cancel)?;
//! assert_eq!(kernel, array![[34.0, 68.0, 0.0], [68.0, 136.0, 0.0], [0.0, 0.0, 0.0]]);
//! # Ok::<(), hmm_core::Error>(())
//! ```

mod panel;

use crate::gradient_flow::slope;
use hmm_core::memory::require;
use hmm_core::{Activation, Cancel, Error, Real, Result};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2};
use panel::panel;

/// Points per side of a tile unless the caller says otherwise.
pub const DEFAULT_BLOCK: usize = 256;
/// Neurons taken at a time.
const NEURONS: usize = 512;

/// Tiles per side of a panel: the features of a point are computed once for each panel it is in, and a panel's tiles
/// are what the threads share.
fn panel_side(threads: usize) -> usize {
    if threads <= 4 { 4 } else { 8 }
}

/// A one-hidden-layer network `f(x) = (1/h) sum_n beta_n g(omega_n.x/sqrt d + b_n)` with rectified units g.
#[derive(Debug, Clone, Copy)]
pub struct ReluNetwork<'a, T> {
    /// Input weights, shape (h, d).
    pub omega: ArrayView2<'a, T>,
    /// Biases, shape (h,), or `None` for a network without.
    pub b: Option<ArrayView1<'a, T>>,
    /// Output weights, shape (h,).
    pub beta: ArrayView1<'a, T>,
    /// The unit g.
    pub unit: Activation,
}

/// The same, checked, as contiguous slices.
#[derive(Clone, Copy)]
struct Weights<'a, T> {
    omega: &'a [T],
    b: Option<&'a [T]>,
    beta: &'a [T],
    d: usize,
    slope: f64,
}

impl<'a, T: Real> ReluNetwork<'a, T> {
    /// Refuse arrays whose lengths do not agree or which are not contiguous.
    fn weights(&self) -> Result<Weights<'a, T>> {
        let ((h, d), slope) = (self.omega.dim(), slope(self.unit)?);
        let refused = || {
            Error::shape(
                "network",
                &[h, d, self.b.map_or(0, |b| b.len()), self.beta.len()],
                "must have w (h, d), b (h,), a (h,), contiguous",
                "pass matching weights",
            )
        };
        if h == 0 || d == 0 || self.beta.len() != h || self.b.is_some_and(|b| b.len() != h) {
            return Err(refused());
        }
        let b = self
            .b
            .map(|b| b.to_slice().ok_or_else(refused))
            .transpose()?;
        Ok(Weights {
            omega: self.omega.to_slice().ok_or_else(refused)?,
            b,
            beta: self.beta.to_slice().ok_or_else(refused)?,
            d,
            slope,
        })
    }
}

hmm_core::named! {
    /// Which parameters' gradients enter.
    pub enum Part: "part" {
        /// All of them.
        Full = "full",
        /// The output weights alone: the kernel of the features.
        LastLayer = "last",
    }
}

/// Bytes that [`network_ntk`] holds at a time beside its output; as many as fit into the type.
pub fn scratch_bytes<T: Real>(block: usize, threads: usize) -> u64 {
    let (block, number) = (block as u64, size_of::<T>() as u64);
    let side = block.saturating_mul(panel_side(threads) as u64);
    let features = side.saturating_mul(4 * NEURONS as u64 * number);
    let sums = side.saturating_mul(side).saturating_mul(16);
    let products = block
        .saturating_mul(block)
        .saturating_mul(number * threads as u64);
    features.saturating_add(sums).saturating_add(products)
}

/// `h Theta` of the points `x` (P, d) against `y` (Q, d), or against themselves (`None`: half the
/// work, exactly symmetric), written to `out` (P, Q). All arrays are contiguous row by row; `out` may be a memory-mapped
/// file.
///
/// Products are taken in `T`, sums over blocks of neurons in double precision. The result does not
/// depend on the number of threads; it does, in its last bits, on `block`.
///
/// # Errors
/// [`Error::Shape`] if lengths do not agree; [`Error::Resource`]; [`Error::Interrupted`].
#[expect(
    clippy::indexing_slicing,
    reason = "the shapes of x, y and out are checked at the door; panels end with the points"
)]
pub fn network_ntk<T: Real>(
    network: &ReluNetwork<'_, T>,
    x: ArrayView2<'_, T>,
    y: Option<ArrayView2<'_, T>>,
    part: Part,
    block: usize,
    mut out: ArrayViewMut2<'_, T>,
    cancel: &Cancel,
) -> Result<()> {
    let network = network.weights()?;
    let d = network.d;
    let shapes = [x.dim(), y.unwrap_or(x).dim(), out.dim()];
    let (p, q) = (x.nrows(), y.unwrap_or(x).nrows());
    let refused = || {
        Error::shape(
            "X, Y, out",
            &shapes.map(|(rows, columns)| [rows, columns]).concat(),
            format!("must be (P, {d}), (Q, {d}) and (P, Q), contiguous"),
            "pass points of the network's dimension",
        )
    };
    if p == 0 || q == 0 || shapes != [(p, d), (q, d), (p, q)] {
        return Err(refused());
    }
    let x = x.to_slice().ok_or_else(refused)?;
    let symmetric = y.is_none();
    let other = match y {
        Some(y) => y.to_slice().ok_or_else(refused)?,
        None => x,
    };
    let out = out.as_slice_mut().ok_or_else(refused)?;
    if block == 0 {
        return Err(Error::invalid(
            "block",
            block,
            "must be >= 1",
            "pass for example 256",
        ));
    }
    // No tile is larger than the kernel.
    let block = block.min(p.max(q));
    require(
        scratch_bytes::<T>(block, rayon::current_num_threads()),
        "the tiles of a kernel",
        "lower block",
    )?;
    let side = block.saturating_mul(panel_side(rayon::current_num_threads()));
    for top in (0..p).step_by(side) {
        let first = if symmetric { top } else { 0 };
        for left in (first..q).step_by(side) {
            cancel.check()?;
            let rows = &x[top * d..top.saturating_add(side).min(p) * d];
            let columns = &other[left * d..left.saturating_add(side).min(q) * d];
            let columns = (!symmetric || top != left).then_some(columns);
            for tile in panel(&network, rows, columns, block, part, cancel)? {
                write(&tile, (top, left), symmetric, q, out);
            }
        }
    }
    Ok(())
}

/// Put a tile of the panel at (`top`, `left`) into the kernel of `q` columns; with `mirrored` its image too, and of a
/// tile on the diagonal only the upper half counts.
#[expect(
    clippy::indexing_slicing,
    reason = "a tile lies within the P x Q kernel, and on or above the diagonal where it is mirrored: `panel` \
              made it so"
)]
fn write<T: Real>(
    tile: &panel::Tile,
    (top, left): (usize, usize),
    mirrored: bool,
    q: usize,
    out: &mut [T],
) {
    let (top, left) = (top + tile.rows.0, left + tile.columns.0);
    let width = tile.columns.1 - tile.columns.0;
    for (i, row) in tile.values.chunks_exact(width).enumerate() {
        let from = if mirrored && top == left { i } else { 0 };
        let start = (top + i) * q + left;
        for (entry, value) in out[start + from..start + width]
            .iter_mut()
            .zip(&row[from..])
        {
            *entry = T::from_f64(*value);
        }
    }
    if mirrored {
        for j in 0..width {
            let row = &mut out[(left + j) * q + top..];
            for (i, entry) in row.iter_mut().enumerate().take(tile.rows.1 - tile.rows.0) {
                if top + i < left + j {
                    *entry = T::from_f64(tile.values[i * width + j]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2};

    fn numbers(count: usize, phase: f64) -> Array1<f64> {
        Array1::from_shape_fn(count, |i| (phase + 1.7 * i as f64).sin())
    }

    fn points(rows: usize, d: usize, phase: f64) -> Array2<f64> {
        Array2::from_shape_fn((rows, d), |(i, j)| (phase + 1.7 * (i * d + j) as f64).sin())
    }

    /// The definition: the inner product of two gradients.
    fn by_gradients(
        network: &ReluNetwork<'_, f64>,
        x: ArrayView1<'_, f64>,
        y: ArrayView1<'_, f64>,
        part: Part,
    ) -> f64 {
        let d = x.len() as f64;
        let inner: f64 = x.dot(&y) / d;
        let h = network.beta.len();
        (0..h)
            .map(|n| {
                let omega = network.omega.row(n);
                let pre = |x: ArrayView1<'_, f64>| {
                    omega.dot(&x) / d.sqrt() + network.b.map_or(0.0, |b| b[n])
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
            * slope(network.unit).unwrap().powi(2)
            / h as f64
    }

    #[test]
    fn equals_the_gradients_inner_product() {
        let (p, q, d, h) = (23, 11, 3, 1500);
        let (omega, b, beta) = (points(h, d, 0.1), numbers(h, 2.0), numbers(h, 0.7));
        let (x, y) = (points(p, d, 1.0), points(q, d, 3.0));
        for (bias, part) in [
            (Some(b.view()), Part::Full),
            (None, Part::Full),
            (Some(b.view()), Part::LastLayer),
        ] {
            let network = ReluNetwork {
                omega: omega.view(),
                b: bias,
                beta: beta.view(),
                unit: Activation::Sqrt2Relu,
            };
            let kernel = |y: Option<ArrayView2<'_, f64>>, q| {
                let mut out = Array2::zeros((p, q));
                let cancel = Cancel::new();
                network_ntk(&network, x.view(), y, part, 8, out.view_mut(), &cancel).unwrap();
                out
            };
            let (cross, square) = (kernel(Some(y.view()), q), kernel(None, p));
            for ((i, j), found) in cross.indexed_iter() {
                let want = by_gradients(&network, x.row(i), y.row(j), part);
                assert!((found - want).abs() < 1e-12);
            }
            for ((i, j), found) in square.indexed_iter() {
                let want = by_gradients(&network, x.row(i), x.row(j), part);
                assert!((found - want).abs() < 1e-12);
                assert_eq!(*found, square[[j, i]]);
            }
        }
    }

    #[test]
    fn bad_shapes_are_refused_and_a_raised_flag_stops() {
        let (omega, beta) = (points(1, 2, 1.0), numbers(1, 1.0));
        let network = ReluNetwork {
            omega: omega.view(),
            b: None,
            beta: beta.view(),
            unit: Activation::Relu,
        };
        let cancel = Cancel::new();
        let run = |network: &ReluNetwork<'_, f64>, d, block, cancel: &Cancel| {
            let (x, mut out) = (points(1, d, 0.5), Array2::zeros((1, 1)));
            let part = Part::Full;
            network_ntk(network, x.view(), None, part, block, out.view_mut(), cancel)
        };
        assert!(run(&network, 2, 256, &cancel).is_ok());
        assert!(run(&network, 2, usize::MAX, &cancel).is_ok());
        assert!(run(&network, 3, 256, &cancel).is_err());
        assert!(run(&network, 2, 0, &cancel).is_err());
        let two = numbers(2, 1.0);
        let beta = two.view();
        assert!(run(&ReluNetwork { beta, ..network }, 2, 1, &cancel).is_err());
        let unit = Activation::Erf;
        let refused = run(&ReluNetwork { unit, ..network }, 2, 1, &cancel).unwrap_err();
        assert!(refused.to_string().contains("'relu', 'sqrt2_relu'"));
        assert!(scratch_bytes::<f64>(usize::MAX, 4) == u64::MAX);
        cancel.raise();
        let stopped = run(&network, 2, 256, &cancel);
        assert!(matches!(stopped, Err(Error::Interrupted)));
    }
}
