//! The way back: every node's average over the examples that still pull.

use super::forward::{Forward, GROUP, Weights};
use super::plan::{Plan, tiles};
use crate::activation::Formula;
use crate::monomorphic;
use hmm_core::linalg::{matmul, matmul_add, rows, rows_mut};
use hmm_core::special::vectorised;
use hmm_core::{Activation, Cancel, Error, Real, Result};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Examples between two looks at the interruption flag.
const LOOK: usize = 1024;

/// The examples of an example chunk that pull.
#[derive(Debug, Clone)]
struct Pulling<T> {
    /// Their positions within the chunk.
    positions: Vec<usize>,
    /// `c_n x_n`, row by row.
    pulls: Vec<T>,
    /// `c_n`, kept for units that need a second pass.
    strength: Vec<T>,
    /// `x_n`, row by row, where fields must be made again.
    inputs: Vec<T>,
}

/// `G_i = sum_n c_n g'(z_ni) x_n` and `H_i = sum_n c_n g(z_ni)` of the nodes of a task.
struct Fields<T> {
    slope: Vec<T>,
    value: Vec<f64>,
}

/// What every node needs for its update.
pub struct Descent<'a, T> {
    /// Inputs, rows of length d.
    pub x: &'a [T],
    /// `c_n = -d loss / d f` (up to the rate) of every example; zero for those that do not pull.
    pub pull: &'a [T],
    /// `dt beta alpha^(1-p) / N`.
    pub rate: f64,
    /// Activation.
    pub unit: Activation,
    /// Tiles and chunks.
    pub plan: Plan,
}

impl<T: Real> Descent<'_, T> {
    /// Move all nodes: `a += rate H`, `w += rate kappa a G`, both with the old weights.
    ///
    /// `done` tells the node chunks that have moved already. After an interruption the rest can be moved by another
    /// call with the same arguments: chunks do not look at each other.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; [`Error::Divergence`], once all have moved, if weights are not finite any more.
    #[expect(
        clippy::indexing_slicing,
        reason = "parts of the `Plan` of these very nodes and examples, and one gathering for each of its \
                  example chunks"
    )]
    pub fn descend(
        &self,
        a: &mut [T],
        w: &mut [T],
        d: usize,
        forward: &Forward,
        done: &mut [bool],
        cancel: &Cancel,
    ) -> Result<()> {
        let plan = &self.plan;
        let columns = plan.example_chunks();
        // Bits suffice for a ReLU; other fields are made again.
        let remake = self.unit != Activation::Relu || forward.signs.is_empty();
        let pulling: Vec<Pulling<T>> = (0..columns)
            .into_par_iter()
            .map(|column| self.pulling(plan.example_range(column), d, remake, cancel))
            .collect::<Result<_>>()?;
        let signs = |task: usize| forward.signs.get(task).map_or(&[][..], Vec::as_slice);
        let finite = AtomicBool::new(true);
        if columns == 1 {
            a.par_chunks_mut(plan.node_chunk)
                .zip(w.par_chunks_mut(plan.node_chunk * d))
                .zip(done.par_iter_mut())
                .enumerate()
                .filter(|(_, (_, done))| !**done)
                .try_for_each_init(Scratch::default, |scratch, (chunk, ((a, w), done))| {
                    let weights = Weights { a, w, d };
                    let examples = plan.example_range(0);
                    let signs = signs(chunk);
                    let fields =
                        self.chunk_fields(weights, &examples, &pulling[0], signs, scratch, cancel)?;
                    if !self.update(a, w, d, &[fields]) {
                        finite.store(false, Ordering::Relaxed);
                    }
                    *done = true;
                    Ok(())
                })?;
            return all_finite(&finite);
        }
        let weights = Weights { a, w, d };
        let parts: Vec<Fields<T>> = (0..plan.node_chunks() * columns)
            .into_par_iter()
            .map_init(Scratch::default, |scratch, task| {
                let nodes = plan.node_range(task / columns);
                let part = Weights {
                    a: &weights.a[nodes.clone()],
                    w: &weights.w[nodes.start * d..nodes.end * d],
                    d,
                };
                let examples = plan.example_range(task % columns);
                let pulling = &pulling[task % columns];
                self.chunk_fields(part, &examples, pulling, signs(task), scratch, cancel)
            })
            .collect::<Result<_>>()?;
        a.par_chunks_mut(plan.node_chunk)
            .zip(w.par_chunks_mut(plan.node_chunk * d))
            .zip(parts.par_chunks(columns))
            .for_each(|((a, w), parts)| {
                if !self.update(a, w, d, parts) {
                    finite.store(false, Ordering::Relaxed);
                }
            });
        done.fill(true);
        all_finite(&finite)
    }

    /// Gather the examples of a chunk that pull.
    #[expect(
        clippy::indexing_slicing,
        reason = "rows of an example chunk of the `Plan`, n below its length; x and pull hold all examples"
    )]
    fn pulling(
        &self,
        examples: Range<usize>,
        d: usize,
        remake: bool,
        cancel: &Cancel,
    ) -> Result<Pulling<T>> {
        let pull = &self.pull[examples.clone()];
        let positions: Vec<usize> = (0..pull.len()).filter(|n| pull[*n] != T::ZERO).collect();
        let mut gathered = Pulling {
            pulls: Vec::with_capacity(positions.len() * d),
            strength: Vec::new(),
            inputs: Vec::new(),
            positions,
        };
        for (count, &n) in gathered.positions.iter().enumerate() {
            if count % LOOK == 0 {
                cancel.check()?;
            }
            let row = examples.start + n;
            let x = &self.x[row * d..(row + 1) * d];
            gathered.pulls.extend(x.iter().map(|x| pull[n] * *x));
            if remake {
                gathered.strength.push(pull[n]);
                gathered.inputs.extend_from_slice(x);
            }
        }
        Ok(gathered)
    }

    /// `G` and `H` of the nodes in `weights` over the examples of one chunk.
    #[expect(
        clippy::indexing_slicing,
        reason = "tiles of the nodes at hand and of what `pulling` gathered; of signs `forward` kept a byte \
                  for each group and example"
    )]
    fn chunk_fields(
        &self,
        weights: Weights<'_, T>,
        examples: &Range<usize>,
        pulling: &Pulling<T>,
        signs: &[u8],
        scratch: &mut Scratch<T>,
        cancel: &Cancel,
    ) -> Result<Fields<T>> {
        let (d, nodes) = (weights.d, weights.a.len());
        let mut fields = Fields {
            slope: vec![T::ZERO; nodes * d],
            value: vec![0.0; nodes],
        };
        let count = pulling.positions.len();
        // Everybody pulls: no need to pick bytes.
        let dense = count == examples.len();
        for tile in tiles(0..nodes, self.plan.node_tile) {
            let m = tile.len();
            let w = &weights.w[tile.start * d..tile.end * d];
            for batch in tiles(0..count, self.plan.example_tile) {
                cancel.check()?;
                let k = batch.len();
                scratch.slopes.resize(m * k, T::ZERO);
                let slopes = &mut scratch.slopes[..m * k];
                if signs.is_empty() {
                    let inputs = rows(&pulling.inputs[batch.start * d..batch.end * d], k, d);
                    let kappa = T::from_f64((d as f64).sqrt().recip());
                    matmul(
                        rows_mut(slopes, m, k),
                        rows(w, m, d),
                        inputs.transpose(),
                        kappa,
                    );
                    let strength = &pulling.strength[batch.clone()];
                    let value = &mut fields.value[tile.clone()];
                    for (z, value) in slopes.chunks_exact_mut(k).zip(value) {
                        *value += slopes_in_place(self.unit, z, strength);
                    }
                } else {
                    for (group, slopes) in slopes.chunks_mut(GROUP * k).enumerate() {
                        let row = (tile.start / GROUP + group) * examples.len();
                        let row = &signs[row..row + examples.len()];
                        let bits = if dense {
                            &row[batch.clone()]
                        } else {
                            scratch.bits.clear();
                            let picked = pulling.positions[batch.clone()].iter().map(|n| row[*n]);
                            scratch.bits.extend(picked);
                            &scratch.bits
                        };
                        spread_bits(bits, slopes);
                    }
                }
                let pulls = rows(&pulling.pulls[batch.start * d..batch.end * d], k, d);
                let sum = &mut fields.slope[tile.start * d..tile.end * d];
                matmul_add(rows_mut(sum, m, d), rows(slopes, m, k), pulls, T::ONE);
            }
        }
        Ok(fields)
    }

    /// Move the nodes of a chunk by the fields of all example chunks, added in order; returns whether all weights are
    /// finite then.
    #[expect(
        clippy::indexing_slicing,
        reason = "`chunk_fields` made d slopes and a value for each node of this chunk"
    )]
    fn update(&self, a: &mut [T], w: &mut [T], d: usize, parts: &[Fields<T>]) -> bool {
        let kappa = (d as f64).sqrt().recip();
        let relu = self.unit == Activation::Relu;
        let mut slope = vec![0.0; d];
        let mut finite = true;
        for (i, (a, w)) in a.iter_mut().zip(w.chunks_exact_mut(d)).enumerate() {
            slope.fill(0.0);
            let mut value = 0.0;
            for part in parts {
                for (sum, g) in slope.iter_mut().zip(&part.slope[i * d..(i + 1) * d]) {
                    *sum += g.to_f64();
                }
                value += part.value[i];
            }
            if relu {
                // g(z) = g'(z) z: the output weight needs no sum of its own.
                value = kappa
                    * w.iter()
                        .zip(&slope)
                        .map(|(w, g)| w.to_f64() * g)
                        .sum::<f64>();
            }
            let speed = self.rate * kappa * a.to_f64();
            for (w, g) in w.iter_mut().zip(&slope) {
                *w = T::from_f64(w.to_f64() + speed * g);
                // A weight that is not a number is silent behind a ReLU: here it is seen.
                finite &= w.finite();
            }
            *a = T::from_f64(a.to_f64() + self.rate * value);
            finite &= a.finite();
        }
        finite
    }
}

/// An error unless all weights are finite.
fn all_finite(finite: &AtomicBool) -> Result<()> {
    if finite.load(Ordering::Relaxed) {
        return Ok(());
    }
    Err(Error::Divergence(
        "the network's weights are not finite any more; take a smaller dt or beta".to_owned(),
    ))
}

/// Buffers of one thread.
#[derive(Default)]
struct Scratch<T> {
    /// `g'(z)` of a tile.
    slopes: Vec<T>,
    /// Signs of a group on the pulling examples of a tile.
    bits: Vec<u8>,
}

/// `z <- g'(z)`; returns `sum_n c_n g(z_n)`.
fn slopes_in_place<T: Real>(unit: Activation, z: &mut [T], strength: &[T]) -> f64 {
    /// Partial sums, so that the loop vectorises in a fixed order.
    const LANES: usize = 16;
    monomorphic!(unit, UNIT => vectorised(
        #[inline(always)]
        || {
            let mut lanes = [T::ZERO; LANES];
            let mut total = 0.0;
            for (z, c) in z.chunks_mut(LANES).zip(strength.chunks(LANES)) {
                for ((z, c), lane) in z.iter_mut().zip(c).zip(&mut lanes) {
                    let (value, slope) = UNIT.value_and_slope(*z);
                    *z = slope;
                    *lane = c.fused_mul_add(value, *lane);
                }
            }
            for lane in lanes {
                total += lane.to_f64();
            }
            total
        },
    ))
}

/// Row `j` of `slopes` becomes bit `j` of every byte, as 0 and 1.
fn spread_bits<T: Real>(bits: &[u8], slopes: &mut [T]) {
    vectorised(
        #[inline(always)]
        || {
            for (j, row) in slopes.chunks_exact_mut(bits.len()).enumerate() {
                let mask = 1_u8 << j;
                for (slope, byte) in row.iter_mut().zip(bits) {
                    *slope = if byte & mask == 0 { T::ZERO } else { T::ONE };
                }
            }
        },
    );
}
