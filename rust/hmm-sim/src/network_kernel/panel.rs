//! The kernel of a panel of points against another: the tiles of a panel share the features of its points.

use super::{NEURONS, Part, Weights};
use hmm_core::linalg::{rows, rows_mut};
use hmm_core::products::add_serial;
use hmm_core::special::vectorised;
use hmm_core::{Cancel, Real, Result};
use rayon::prelude::*;

/// Rows of a diagonal tile taken at a time: what lies left of their own columns is the mirror image of what is computed.
const STRIP: usize = 64;

/// Rectified pre-activations and masked output weights of a panel of points and a stretch of neurons, each (points,
/// neurons).
struct Features<T> {
    rectified: Vec<T>,
    /// Empty where only the last layer is asked for.
    masked: Vec<T>,
}

/// A stretch of neurons, from `first` on.
#[derive(Clone, Copy)]
struct Stretch {
    first: usize,
    count: usize,
}

impl<T: Real> Features<T> {
    fn new(points: usize, part: Part) -> Self {
        let size = points * NEURONS;
        let masked = if part == Part::Full { size } else { 0 };
        Self {
            rectified: vec![T::ZERO; size],
            masked: vec![T::ZERO; masked],
        }
    }

    /// Fill for the points `x` (points, d), `block` points a task.
    fn fill(
        &mut self,
        network: &Weights<'_, T>,
        x: &[T],
        block: usize,
        stretch: Stretch,
        cancel: &Cancel,
    ) -> Result<()> {
        let size = block * stretch.count;
        let tasks = x
            .par_chunks(block * network.d)
            .zip(self.rectified.par_chunks_mut(size));
        if self.masked.is_empty() {
            return tasks.try_for_each(|(x, rectified)| {
                fill_block(network, x, stretch, rectified, &mut [], cancel)
            });
        }
        tasks
            .zip(self.masked.par_chunks_mut(size))
            .try_for_each(|((x, rectified), masked)| {
                fill_block(network, x, stretch, rectified, masked, cancel)
            })
    }

    /// Rows of the points of a tile: features, and masks if there are any.
    #[expect(
        clippy::indexing_slicing,
        reason = "`new` has room for NEURONS >= count features of each point, and a tile is of these points"
    )]
    fn rows(&self, points: (usize, usize), count: usize) -> (&[T], &[T]) {
        let range = points.0 * count..points.1 * count;
        let masked = if self.masked.is_empty() {
            &[]
        } else {
            &self.masked[range.clone()]
        };
        (&self.rectified[range], masked)
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "a stretch ends with the h neurons of `Weights`, whose arrays `ReluNetwork::weights` has checked; \
              a block has room for its points"
)]
fn fill_block<T: Real>(
    network: &Weights<'_, T>,
    x: &[T],
    Stretch { first, count }: Stretch,
    rectified: &mut [T],
    masked: &mut [T],
    cancel: &Cancel,
) -> Result<()> {
    let d = network.d;
    let points = x.len() / d;
    let rectified = &mut rectified[..points * count];
    let omega = &network.omega[first * d..(first + count) * d];
    match network.b {
        Some(b) => {
            for row in rectified.chunks_exact_mut(count) {
                row.copy_from_slice(&b[first..first + count]);
            }
        }
        None => rectified.fill(T::ZERO),
    }
    add_serial(
        rows_mut(rectified, points, count),
        rows(x, points, d),
        rows(omega, count, d).transpose(),
        T::from_f64(1.0 / (d as f64).sqrt()),
        cancel,
    )?;
    let beta = &network.beta[first..first + count];
    vectorised(
        #[inline(always)]
        || {
            for (pre, mask) in rectified
                .chunks_exact(count)
                .zip(masked.chunks_exact_mut(count))
            {
                for ((pre, mask), beta) in pre.iter().zip(mask).zip(beta) {
                    *mask = if *pre > T::ZERO { *beta } else { T::ZERO };
                }
            }
            for pre in rectified {
                *pre = if *pre > T::ZERO { *pre } else { T::ZERO };
            }
        },
    );
    Ok(())
}

/// Points `rows` of one panel against points `columns` of another, and `h Theta` of them, row by row.
pub(super) struct Tile {
    pub(super) rows: (usize, usize),
    pub(super) columns: (usize, usize),
    pub(super) values: Vec<f64>,
    /// Sum over neurons of both gradients' masked output weights.
    hidden: Vec<f64>,
}

impl Tile {
    fn new(rows: (usize, usize), columns: (usize, usize), part: Part) -> Self {
        let size = (rows.1 - rows.0) * (columns.1 - columns.0);
        Self {
            rows,
            columns,
            values: vec![0.0; size],
            hidden: vec![0.0; if part == Part::Full { size } else { 0 }],
        }
    }

    /// Turn the sums over neurons into the kernel; `same` panels.
    #[expect(
        clippy::indexing_slicing,
        reason = "the rows and columns of a tile are points of its panel, of d inputs each"
    )]
    fn finish<T: Real>(
        &mut self,
        network: &Weights<'_, T>,
        x: &[T],
        y: &[T],
        scratch: &mut Vec<T>,
        cancel: &Cancel,
    ) -> Result<()> {
        let (d, h) = (network.d, network.beta.len());
        if !self.hidden.is_empty() {
            let (p, q) = (self.rows.1 - self.rows.0, self.columns.1 - self.columns.0);
            scratch.clear();
            scratch.resize(p * q, T::ZERO);
            add_serial(
                rows_mut(scratch, p, q),
                rows(&x[self.rows.0 * d..self.rows.1 * d], p, d),
                rows(&y[self.columns.0 * d..self.columns.1 * d], q, d).transpose(),
                T::from_f64(1.0 / d as f64),
                cancel,
            )?;
            let bias = f64::from(u8::from(network.b.is_some()));
            let inner = scratch.iter().map(|inner| inner.to_f64() + bias);
            for ((value, hidden), inner) in self.values.iter_mut().zip(&self.hidden).zip(inner) {
                *value += inner * hidden;
            }
            self.hidden = Vec::new();
        }
        let scale = network.slope * network.slope / h as f64;
        for value in &mut self.values {
            *value *= scale;
        }
        Ok(())
    }
}

/// `sum += x y^T` in double precision, the product itself in `T`; on a `diagonal` tile only the upper half is right.
#[expect(
    clippy::indexing_slicing,
    reason = "p and q are the rows that x and y have, and strips end with them; `sum` is the tile of p x q \
              that `Tile::new` made"
)]
fn add_gram<T: Real>(
    sum: &mut [f64],
    scratch: &mut Vec<T>,
    (x, y): (&[T], &[T]),
    count: usize,
    diagonal: bool,
    cancel: &Cancel,
) -> Result<()> {
    let (p, q) = (x.len() / count, y.len() / count);
    let strip = if diagonal { STRIP } else { p };
    for top in (0..p).step_by(strip) {
        let height = strip.min(p - top);
        let left = if diagonal { top } else { 0 };
        let width = q - left;
        scratch.clear();
        scratch.resize(height * width, T::ZERO);
        add_serial(
            rows_mut(scratch, height, width),
            rows(&x[top * count..(top + height) * count], height, count),
            rows(&y[left * count..], width, count).transpose(),
            T::ONE,
            cancel,
        )?;
        for (sum, product) in sum[top * q..]
            .chunks_mut(q)
            .zip(scratch.chunks_exact(width))
        {
            for (sum, product) in sum[left..].iter_mut().zip(product) {
                *sum += product.to_f64();
            }
        }
    }
    Ok(())
}

/// The tiles of the points `x` against `y`, or against themselves (`None`: those on and above the diagonal, of which
/// the former are right in their upper halves).
pub(super) fn panel<T: Real>(
    network: &Weights<'_, T>,
    x: &[T],
    y: Option<&[T]>,
    block: usize,
    part: Part,
    cancel: &Cancel,
) -> Result<Vec<Tile>> {
    let (d, h) = (network.d, network.beta.len());
    let (p, q) = (x.len() / d, y.unwrap_or(x).len() / d);
    let mut tiles: Vec<Tile> = (0..p)
        .step_by(block)
        .flat_map(|top| {
            let first = if y.is_none() { top } else { 0 };
            let rows = (top, (top + block).min(p));
            let columns = (first..q).step_by(block);
            columns.map(move |left| Tile::new(rows, (left, (left + block).min(q)), part))
        })
        .collect();
    let mut left = Features::new(p, part);
    let mut right = y.map(|_| Features::new(q, part));
    for first in (0..h).step_by(NEURONS) {
        let count = NEURONS.min(h - first);
        let stretch = Stretch { first, count };
        left.fill(network, x, block, stretch, cancel)?;
        if let (Some(right), Some(y)) = (&mut right, y) {
            right.fill(network, y, block, stretch, cancel)?;
        }
        let other = right.as_ref().unwrap_or(&left);
        tiles
            .par_iter_mut()
            .try_for_each_init(Vec::new, |scratch, tile| {
                cancel.check()?;
                let (x, x_masked) = left.rows(tile.rows, count);
                let (y, y_masked) = other.rows(tile.columns, count);
                let diagonal = right.is_none() && tile.rows == tile.columns;
                add_gram(&mut tile.values, scratch, (x, y), count, diagonal, cancel)?;
                if tile.hidden.is_empty() {
                    return Ok(());
                }
                let masked = (x_masked, y_masked);
                add_gram(&mut tile.hidden, scratch, masked, count, diagonal, cancel)
            })?;
    }
    tiles
        .par_iter_mut()
        .try_for_each_init(Vec::new, |scratch, tile| {
            tile.finish(network, x, y.unwrap_or(x), scratch, cancel)
        })?;
    Ok(tiles)
}
