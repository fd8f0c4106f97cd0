//! The way forward: outputs, and one bit per ReLU activation.

use super::plan::{Plan, tiles};
use crate::activation::Formula;
use crate::monomorphic;
use hmm_core::linalg::{matmul, rows, rows_mut};
use hmm_core::special::vectorised;
use hmm_core::{Activation, Cancel, Real, Result};
use rayon::prelude::*;
use std::ops::Range;

/// Nodes whose signs share a byte.
pub const GROUP: usize = 8;

/// A network's weights.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a, T> {
    /// Output weights, shape (M,).
    pub a: &'a [T],
    /// Input weights, shape (M, d), row by row.
    pub w: &'a [T],
    /// Inputs of a node.
    pub d: usize,
}

/// What the nodes at hand give to the outputs of all examples, and the signs of all activations if they were asked for.
#[derive(Debug, Clone)]
pub struct Forward {
    /// `f` of every example, shape (P,); of a part of the network's nodes what they give to it.
    pub output: Vec<f64>,
    /// By task (node chunk, example chunk), the latter fastest: bit `i % 8` of byte
    /// `(i / 8, n)` says whether node i is active on example n.
    pub signs: Vec<Vec<u8>>,
}

/// Whether the signs of all activations are kept between the way forward and the way back: never more
/// than the weights themselves.
pub fn keeps_signs<T>(unit: Activation, width: usize, d: usize, examples: usize) -> bool {
    /// Always kept up to here.
    const SMALL: usize = 1 << 28;
    let bytes = width.div_ceil(GROUP).saturating_mul(examples);
    let state = width
        .saturating_mul(d.saturating_add(1))
        .saturating_mul(size_of::<T>());
    unit == Activation::Relu && bytes <= state.max(SMALL)
}

/// Bytes of the signs of a task.
fn sign_bytes(nodes: &Range<usize>, examples: &Range<usize>) -> usize {
    nodes.len().div_ceil(GROUP) * examples.len()
}

/// What nodes give to the outputs of the examples `x` (rows of length d), in a network of `whole` nodes.
///
/// # Errors
/// [`hmm_core::Error::Interrupted`].
#[expect(
    clippy::indexing_slicing,
    reason = "`Plan` cuts the range of the examples, of which `output` has them all"
)]
pub fn forward<T: Real>(
    weights: Weights<'_, T>,
    unit: Activation,
    whole: usize,
    x: &[T],
    plan: &Plan,
    keep_signs: bool,
    cancel: &Cancel,
) -> Result<Forward> {
    let columns = plan.example_chunks();
    let tasks: Vec<(Vec<f64>, Vec<u8>)> = (0..plan.node_chunks() * columns)
        .into_par_iter()
        .map_init(
            || Scratch::new(plan),
            |scratch, task| {
                let (nodes, examples) = (
                    plan.node_range(task / columns),
                    plan.example_range(task % columns),
                );
                let chunk = (nodes, examples);
                chunk_output(weights, unit, x, plan, chunk, keep_signs, scratch, cancel)
            },
        )
        .collect::<Result<_>>()?;
    let mut output = vec![0.0; plan.examples];
    let mut signs = Vec::with_capacity(if keep_signs { tasks.len() } else { 0 });
    let width = whole as f64;
    for (task, (part, bits)) in tasks.into_iter().enumerate() {
        for (f, p) in output[plan.example_range(task % columns)]
            .iter_mut()
            .zip(part)
        {
            *f += p / width;
        }
        if keep_signs {
            signs.push(bits);
        }
    }
    Ok(Forward { output, signs })
}

/// Buffers of one thread.
struct Scratch<T> {
    /// Activations of a tile.
    fields: Vec<T>,
    /// Outputs of a tile of examples summed over a tile of nodes.
    sums: Vec<T>,
    /// What stands in for the missing nodes of an incomplete group.
    silent: Vec<T>,
    /// Signs of a group on a tile of examples, when nobody keeps them.
    discarded: Vec<u8>,
}

impl<T: Real> Scratch<T> {
    fn new(plan: &Plan) -> Self {
        Self {
            fields: vec![T::ZERO; plan.node_tile * plan.example_tile],
            sums: vec![T::ZERO; plan.example_tile],
            silent: vec![T::ZERO; plan.example_tile],
            discarded: vec![0; plan.example_tile],
        }
    }
}

/// `sum_i a_i g(kappa w_i.x_n)` over the nodes of a task for each of its examples, and its signs.
#[expect(
    clippy::indexing_slicing,
    reason = "tiles of the `Plan` that the buffers are made for; `Particles::part` has checked that a, w and x \
              have the sizes it is of"
)]
fn chunk_output<T: Real>(
    weights: Weights<'_, T>,
    unit: Activation,
    x: &[T],
    plan: &Plan,
    (nodes, examples): (Range<usize>, Range<usize>),
    keep_signs: bool,
    scratch: &mut Scratch<T>,
    cancel: &Cancel,
) -> Result<(Vec<f64>, Vec<u8>)> {
    let d = weights.d;
    let kappa = T::from_f64((d as f64).sqrt().recip());
    let mut output = vec![0.0; examples.len()];
    let mut signs = vec![
        0;
        if keep_signs {
            sign_bytes(&nodes, &examples)
        } else {
            0
        }
    ];
    for batch in tiles(examples.clone(), plan.example_tile) {
        let p = batch.len();
        let inputs = rows(&x[batch.start * d..batch.end * d], p, d).transpose();
        for tile in tiles(nodes.clone(), plan.node_tile) {
            cancel.check()?;
            let m = tile.len();
            let fields = &mut scratch.fields[..m * p];
            let w = rows(&weights.w[tile.start * d..tile.end * d], m, d);
            matmul(rows_mut(fields, m, p), w, inputs, kappa);
            let a = &weights.a[tile.clone()];
            let sums = &mut scratch.sums[..p];
            sums.fill(T::ZERO);
            if unit == Activation::Relu {
                let first = (tile.start - nodes.start) / GROUP;
                for (group, (z, a)) in fields.chunks(GROUP * p).zip(a.chunks(GROUP)).enumerate() {
                    let start = (first + group) * examples.len() + batch.start - examples.start;
                    let bits = if keep_signs {
                        &mut signs[start..start + p]
                    } else {
                        &mut scratch.discarded[..p]
                    };
                    relu_group(z, a, &scratch.silent[..p], sums, bits);
                }
            } else {
                for (z, a) in fields.chunks_exact(p).zip(a) {
                    add_values(unit, z, *a, sums);
                }
            }
            let start = batch.start - examples.start;
            for (f, sum) in output[start..start + p].iter_mut().zip(sums.iter()) {
                *f += sum.to_f64();
            }
        }
    }
    Ok((output, signs))
}

/// Add `a g(z)` of one node to `sums`.
fn add_values<T: Real>(unit: Activation, z: &[T], a: T, sums: &mut [T]) {
    monomorphic!(unit, UNIT => vectorised(
        #[inline(always)]
        || {
            for (sum, z) in sums.iter_mut().zip(z) {
                *sum = UNIT.value(*z).fused_mul_add(a, *sum);
            }
        },
    ));
}

/// Add `sum_j a_j max(z_j, 0)` of up to eight nodes to `sums` and write their signs.
fn relu_group<T: Real>(z: &[T], a: &[T], silent: &[T], sums: &mut [T], bits: &mut [u8]) {
    let p = sums.len();
    let row = |j: usize| z.get(j * p..(j + 1) * p).unwrap_or(silent);
    let a: [T; GROUP] = std::array::from_fn(|j| a.get(j).copied().unwrap_or(T::ZERO));
    let z: [&[T]; GROUP] = std::array::from_fn(row);
    vectorised(
        #[inline(always)]
        || relu_group_body(z, a, sums, bits),
    );
}

/// The loop of [`relu_group`], compiled for the widest instructions at hand.
#[inline(always)]
#[expect(
    clippy::indexing_slicing,
    reason = "p entries of each row are cut beforehand, so that the compiler sees equal lengths; `relu_group` \
              gives rows of p"
)]
fn relu_group_body<T: Real>(z: [&[T]; GROUP], a: [T; GROUP], sums: &mut [T], bits: &mut [u8]) {
    let p = sums.len();
    // Equal lengths that the compiler can see.
    let z = z.map(|row| &row[..p]);
    let bits = &mut bits[..p];
    for n in 0..p {
        let mut sum = sums[n];
        let mut byte = 0_u8;
        for j in 0..GROUP {
            let field = z[j][n];
            sum = field.larger(T::ZERO).fused_mul_add(a[j], sum);
            byte |= u8::from(field > T::ZERO) << j;
        }
        sums[n] = sum;
        bits[n] = byte;
    }
}
