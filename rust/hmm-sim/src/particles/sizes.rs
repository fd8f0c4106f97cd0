//! What a run takes: one formula for the estimate before it and for the run itself.

use super::forward::{GROUP, keeps_signs};
use super::plan::Plan;
use hmm_core::memory::bytes_of;
use hmm_core::{Activation, Real};

/// Sizes of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Nodes M.
    pub width: usize,
    /// Inputs d.
    pub d: usize,
    /// Activation.
    pub unit: Activation,
    /// Examples of a step.
    pub examples: usize,
    /// Examples of the test set.
    pub tests: usize,
    /// Whether every step has new examples.
    pub fresh: bool,
    /// Whether the initial output is subtracted.
    pub subtract_init: bool,
    /// Tiles of the products, if not the usual ones.
    pub tile: Option<(usize, usize)>,
}

impl Sizes {
    /// Bytes that a run in the precision `T` takes on `threads` threads, beside what its caller holds.
    pub fn bytes<T: Real>(&self, threads: usize) -> u64 {
        let Self {
            width,
            d,
            unit,
            examples,
            tests,
            ..
        } = *self;
        let numbers = |rows: usize, columns: usize| {
            bytes_of::<T>(rows.saturating_mul(columns.saturating_add(1)))
        };
        let plan = Plan::new(width, examples, self.tile);
        let network = numbers(width, d);
        let remembered = if !self.subtract_init {
            0
        } else if self.fresh {
            network
        } else {
            bytes_of::<f64>(examples)
        };
        let signs = keeps_signs::<T>(unit, width, d, examples);
        let bits = if signs {
            bytes_of::<u8>(width.div_ceil(GROUP).saturating_mul(examples))
        } else {
            0
        };
        // Partial outputs of every node chunk, their sum, and that of the whole network.
        let outputs = bytes_of::<f64>((plan.node_chunks() + 2).saturating_mul(examples));
        // c x of every example, and x itself where fields are made again.
        let gathered = numbers(examples, if signs { d } else { d.saturating_mul(2) });
        let fields =
            numbers(plan.node_chunk.min(width), d).saturating_mul(if plan.example_chunks() == 1 {
                threads as u64
            } else {
                plan.example_chunks() as u64 * plan.node_chunks() as u64
            });
        let tiles = numbers(plan.node_tile, plan.example_tile).saturating_mul(2 * threads as u64);
        let start = bytes_of::<T>(width);
        [
            network,
            start,
            remembered,
            numbers(examples, d),
            numbers(tests, d),
            bits,
            outputs,
            gathered,
            fields,
            tiles,
            bytes_of::<i64>(examples),
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}
