//! Covariances of a source, streamed: Omega of the inputs x and Phi of inputs and latents c, with nothing larger in
//! memory than the accumulators and one slab of samples.
//!
//! ```
//! use hmm_core::Cancel;
//! use hmm_core::random::{Purpose, Stream};
//! use hmm_sim::covariance::CovarianceStream;
//! use hmm_sim::gaussian::GaussianInputs;
//! use std::sync::Arc;
//! // Vanilla inputs are their own latents, x = c, and white: Omega = Phi = 1.
//! let (source, stream) = (GaussianInputs { inputs: 3 }, Stream::new(&[1; 8], Purpose::Sample));
//! let mut seen = CovarianceStream::new(Arc::new(source), stream)?;
//! seen.advance(10_000, &Cancel::new())?;
//! let found = seen.estimate()?;
//! for ((i, j), omega) in found.omega.indexed_iter() {
//!     assert!((omega - found.phi[[i, j]]).abs() < 1e-12);
//!     // Five standard errors of a variance.
//!     assert!((omega - f64::from(i == j)).abs() < 5.0 * (2.0 / 10_000_f64).sqrt());
//! }
//! # Ok::<(), hmm_core::Error>(())
//! ```

use crate::source::{Source, sample, stream_length};
use faer::Mat;
use hmm_core::linalg::{matmul_add, rows};
use hmm_core::memory::{bytes_of, require, zero_matrix};
use hmm_core::random::Stream;
use hmm_core::{Cancel, Error, Result};
use ndarray::{Array1, Array2, s};
use rayon::prelude::*;
use std::sync::Arc;

/// Samples of a slab: fixed, so that sums have one order. Long enough to make the products efficient.
const SLAB: usize = 1024;
/// Side of a tile of the accumulators; tiles are what threads work on.
const TILE: usize = 128;

/// One tile of the scatter of inputs with inputs or latents.
struct Tile {
    row: usize,
    column: usize,
    sum: Mat<f64>,
}

/// Running mean and scatter of inputs x and latents c (Chan, Golub and LeVeque 1979).
pub struct CovarianceStream {
    source: Arc<dyn Source<f64>>,
    stream: Stream,
    start: u64,
    count: u64,
    mean: Vec<f64>,
    latent_mean: Vec<f64>,
    /// Tiles of `sum (x - mean)(x - mean)^T` on and below the diagonal.
    inputs: Vec<Tile>,
    /// Tiles of `sum (x - mean)(c - mean)^T`.
    cross: Vec<Tile>,
}

/// Estimates so far.
pub struct Covariances {
    /// Mean of the inputs, shape (N,).
    pub mean: Array1<f64>,
    /// Mean of the latents, shape (D,).
    pub latent_mean: Array1<f64>,
    /// `E (x - mean)(x - mean)^T`, shape (N, N).
    pub omega: Array2<f64>,
    /// `E (x - mean)(c - mean)^T`, shape (N, D).
    pub phi: Array2<f64>,
}

fn tiles(rows: usize, columns: usize, lower: bool) -> Vec<Tile> {
    let mut out = Vec::new();
    for row in (0..rows).step_by(TILE) {
        let end = if lower { row + 1 } else { columns };
        for column in (0..end).step_by(TILE) {
            out.push(Tile {
                row,
                column,
                sum: Mat::zeros(TILE.min(rows - row), TILE.min(columns - column)),
            });
        }
    }
    out
}

impl Tile {
    /// `sum += factor left^T right` over the tile's columns of two row-major slabs.
    fn add(&mut self, left: &[f64], right: &[f64], count: usize, factor: f64) {
        let (height, width) = (self.sum.nrows(), self.sum.ncols());
        let left = rows(left, count, left.len() / count);
        let right = rows(right, count, right.len() / count);
        matmul_add(
            self.sum.as_mut(),
            left.subcols(self.row, height).transpose(),
            right.subcols(self.column, width),
            factor,
        );
    }
}

impl CovarianceStream {
    /// Nothing seen yet of `stream` of `source`.
    ///
    /// # Errors
    /// [`Error::Resource`] if sums, estimates and a slab of samples do not fit into memory.
    pub fn new(source: Arc<dyn Source<f64>>, stream: Stream) -> Result<Self> {
        Self::starting_at(0, source, stream)
    }

    /// The same, from sample number `start` of the stream on.
    ///
    /// # Errors
    /// As of [`Self::new`].
    pub fn starting_at(start: u64, source: Arc<dyn Source<f64>>, stream: Stream) -> Result<Self> {
        let (n, d) = (source.inputs(), source.latents());
        let width = n.saturating_add(d);
        require(
            bytes_of::<f64>(
                n.saturating_add(SLAB)
                    .saturating_mul(width)
                    .saturating_mul(2),
            ),
            &format!("a covariance of N={n} inputs and D={d} latents"),
            "lower N",
        )?;
        Ok(Self {
            mean: vec![0.0; n],
            latent_mean: vec![0.0; d],
            inputs: tiles(n, n, true),
            cross: tiles(n, d, false),
            start,
            count: 0,
            source,
            stream,
        })
    }

    /// Samples seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// See `samples` more.
    ///
    /// # Errors
    /// More samples than the stream has, a generator that fails, samples that are not finite, an interruption (between
    /// slabs).
    pub fn advance(&mut self, samples: u64, cancel: &Cancel) -> Result<()> {
        let (n, d) = (self.source.inputs(), self.source.latents());
        let length = stream_length(self.source.block_rows());
        let end = self.count.saturating_add(samples);
        if self.start.saturating_add(end) > length {
            return Err(Error::invalid(
                "n_samples",
                samples,
                format!("a stream of these inputs has {length} samples"),
                "pass fewer: the error falls as the root of their number",
            ));
        }
        let most = samples.min(SLAB as u64) as usize;
        let (mut inputs, mut latents) = (Array2::zeros((most, n)), Array2::zeros((most, d)));
        while self.count < end {
            cancel.check()?;
            // Slabs sit on a grid of the stream, however a call is cut.
            let room = SLAB as u64 - (self.start + self.count) % SLAB as u64;
            let size = room.min(end - self.count) as usize;
            let mut x = inputs.slice_mut(s![..size, ..]);
            let mut c = latents.slice_mut(s![..size, ..]);
            sample(
                &*self.source,
                &self.stream,
                self.start + self.count,
                x.view_mut(),
                c.view_mut(),
                cancel,
            )?;
            let (x, c) = (
                x.as_slice_mut().unwrap_or_default(),
                c.as_slice().unwrap_or_default(),
            );
            self.merge(x, c, size)?;
        }
        Ok(())
    }

    /// Merge a slab: `S += S_b + d d^T count B/(count + B)`, `mean += d B/(count + B)`.
    fn merge(&mut self, x: &mut [f64], c: &[f64], size: usize) -> Result<()> {
        let (n, d) = (self.mean.len(), c.len() / size);
        let mut slab_mean = vec![0.0; n];
        for row in x.chunks_exact(n) {
            for (mean, x) in slab_mean.iter_mut().zip(row) {
                *mean += x;
            }
        }
        let mut latent_sum = vec![0.0; d];
        for row in c.chunks_exact(d) {
            for (sum, c) in latent_sum.iter_mut().zip(row) {
                *sum += c;
            }
        }
        for mean in &mut slab_mean {
            *mean /= size as f64;
        }
        if slab_mean.iter().any(|mean| !mean.is_finite()) {
            return Err(Error::Divergence(
                "the generator gave numbers that are not finite; check its weights and its scale"
                    .to_owned(),
            ));
        }
        for row in x.chunks_exact_mut(n) {
            for (x, mean) in row.iter_mut().zip(&slab_mean) {
                *x -= mean;
            }
        }
        let (seen, fresh) = (self.count as f64, size as f64);
        let shift: Vec<f64> = slab_mean
            .iter()
            .zip(&self.mean)
            .map(|(new, old)| new - old)
            .collect();
        let weight = seen * fresh / (seen + fresh);
        let x = &*x;
        self.inputs.par_iter_mut().for_each(|tile| {
            tile.add(x, x, size, 1.0);
            tile.add(&shift, &shift, 1, weight);
        });
        let latent_shift: Vec<f64> = latent_sum
            .iter()
            .zip(&self.latent_mean)
            .map(|(sum, old)| sum / fresh - old)
            .collect();
        // Inputs are centred in the slab, so latents need not be.
        self.cross.par_iter_mut().for_each(|tile| {
            tile.add(x, c, size, 1.0);
            tile.add(&shift, &latent_shift, 1, weight);
        });
        let moved = self.mean.iter_mut().chain(&mut self.latent_mean);
        for (mean, shift) in moved.zip(shift.iter().chain(&latent_shift)) {
            *mean += shift * fresh / (seen + fresh);
        }
        self.count += size as u64;
        Ok(())
    }

    /// The estimates, divided by the count.
    ///
    /// # Errors
    /// Fewer than two samples, [`Error::Resource`].
    #[expect(
        clippy::indexing_slicing,
        reason = "the tiles cover the N x N and N x D entries: `tiles` cut them"
    )]
    pub fn estimate(&self) -> Result<Covariances> {
        if self.count < 2 {
            return Err(Error::invalid(
                "n_samples",
                self.count,
                "a covariance needs at least 2 samples",
                "pass more",
            ));
        }
        let (n, d) = (self.mean.len(), self.source.latents());
        let scale = 1.0 / self.count as f64;
        let what = "the estimate of the covariances";
        let mut omega = zero_matrix((n, n), what, "lower N")?;
        let mut phi = zero_matrix((n, d), what, "lower N")?;
        for tile in &self.inputs {
            for j in 0..tile.sum.ncols() {
                for i in 0..tile.sum.nrows() {
                    let (row, column) = (tile.row + i, tile.column + j);
                    // A tile on the diagonal holds both halves; the lower one is taken for both.
                    if column <= row {
                        let value = tile.sum[(i, j)] * scale;
                        omega[(row, column)] = value;
                        omega[(column, row)] = value;
                    }
                }
            }
        }
        for tile in &self.cross {
            for j in 0..tile.sum.ncols() {
                for i in 0..tile.sum.nrows() {
                    phi[(tile.row + i, tile.column + j)] = tile.sum[(i, j)] * scale;
                }
            }
        }
        Ok(Covariances {
            mean: Array1::from(self.mean.clone()),
            latent_mean: Array1::from(self.latent_mean.clone()),
            omega,
            phi,
        })
    }
}
