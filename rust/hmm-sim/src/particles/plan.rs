//! How a step is cut into tasks and tiles: a function of the problem's size alone.

use std::ops::Range;

/// Most nodes of a tile. A tile of 208 x 512 activations in single precision is 416 KiB: it stays in
/// the second-level cache between the product that makes it and the pass that uses it.
const NODE_TILE: usize = 208;
/// Examples of a tile.
const EXAMPLE_TILE: usize = 512;
/// Most node chunks: each keeps its own sum of outputs, one number per example.
const NODE_CHUNKS: usize = 64;
/// From this many node chunks on, nodes alone keep all threads busy.
const ENOUGH_TASKS: usize = 32;

/// Sizes of tiles and chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Nodes of a tile, a multiple of 8.
    pub node_tile: usize,
    /// Examples of a tile.
    pub example_tile: usize,
    /// Nodes of a task, a multiple of the tile.
    pub node_chunk: usize,
    /// Examples of a task, a multiple of the tile.
    pub example_chunk: usize,
    /// Nodes.
    pub nodes: usize,
    /// Examples.
    pub examples: usize,
}

impl Plan {
    /// Cut `nodes` x `examples`; `tile` overrides the tile sizes, none of which is larger than the whole.
    pub fn new(nodes: usize, examples: usize, tile: Option<(usize, usize)>) -> Self {
        // Tiles of equal size: a small last one would run at a fraction of the product's speed.
        let even = nodes.div_ceil(nodes.div_ceil(NODE_TILE).max(1));
        let (node_tile, example_tile) = tile.unwrap_or((even, EXAMPLE_TILE));
        let node_tile = node_tile.clamp(1, nodes.max(1));
        let node_tile = node_tile
            .checked_next_multiple_of(8)
            .unwrap_or(usize::MAX - 7);
        let example_tile = example_tile.clamp(1, examples.max(1));
        // Sizes without a run, as an estimate of its memory has them, may be of any order.
        let node_chunk = nodes
            .div_ceil(node_tile)
            .div_ceil(NODE_CHUNKS)
            .max(1)
            .saturating_mul(node_tile);
        let node_chunks = nodes.div_ceil(node_chunk).max(1);
        let wanted = if node_chunks >= ENOUGH_TASKS {
            1
        } else {
            ENOUGH_TASKS.div_ceil(node_chunks)
        };
        let example_chunk = examples
            .div_ceil(example_tile)
            .div_ceil(wanted)
            .max(1)
            .saturating_mul(example_tile);
        Self {
            node_tile,
            example_tile,
            node_chunk,
            example_chunk,
            nodes,
            examples,
        }
    }

    /// Number of example chunks.
    pub fn example_chunks(&self) -> usize {
        self.examples.div_ceil(self.example_chunk).max(1)
    }

    /// Number of node chunks.
    pub fn node_chunks(&self) -> usize {
        self.nodes.div_ceil(self.node_chunk).max(1)
    }

    /// Examples of an example chunk.
    pub fn example_range(&self, chunk: usize) -> Range<usize> {
        chunk * self.example_chunk..((chunk + 1) * self.example_chunk).min(self.examples)
    }

    /// Nodes of a node chunk.
    pub fn node_range(&self, chunk: usize) -> Range<usize> {
        chunk * self.node_chunk..((chunk + 1) * self.node_chunk).min(self.nodes)
    }
}

/// The pieces of at most `tile` of a range.
pub fn tiles(range: Range<usize>, tile: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range
        .step_by(tile)
        .map(move |start| start..(start + tile).min(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_node_and_example_is_in_one_chunk(
            nodes in 1_usize..100_000,
            examples in 1_usize..100_000,
            tile in proptest::option::of((1_usize..300, 1_usize..900)),
        ) {
            let plan = Plan::new(nodes, examples, tile);
            prop_assert_eq!((0..plan.node_chunks()).map(|c| plan.node_range(c).len()).sum::<usize>(), nodes);
            prop_assert_eq!(
                (0..plan.example_chunks()).map(|c| plan.example_range(c).len()).sum::<usize>(),
                examples
            );
            prop_assert!(plan.node_chunks() <= NODE_CHUNKS);
            prop_assert_eq!(plan.node_chunk % 8, 0);
        }
    }
}
