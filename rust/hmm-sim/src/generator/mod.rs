//! Deep generators: a stack of layers that turns latents into inputs, evaluated block by block.
//!
//! A sample is one row; images are stored channel by channel (channels x height x width). Dense and
//! convolutional layers are one matrix product for the whole block. A description is data: all sizes are checked, and
//! the memory of a block asked for, before anything is evaluated.

mod layer;
mod window;

use crate::source::{Source, block_size};
use hmm_core::memory::{bytes_of, require};
use hmm_core::random::Stream;
use hmm_core::{Error, Real, Result};
pub use layer::Layer;
use ndarray::ArrayView1;
pub use window::Window;

/// A stack of layers with its widths checked.
pub struct Network<T> {
    inputs: usize,
    /// The layers, and the width after each.
    layers: Vec<(Layer<T>, usize)>,
    outputs: usize,
    held: usize,
}

impl<T: Real> Network<T> {
    /// Check that `layers` fit on `inputs` numbers.
    ///
    /// # Errors
    /// Weights whose sizes do not fit, no layers, no inputs, sizes beyond any memory.
    ///
    /// ```
    /// use hmm_sim::generator::{Layer, Network};
    /// use ndarray::{arr1, arr2};
    /// let dense = Layer::Dense { weight: arr2(&[[1.0, 2.0]]), bias: arr1(&[0.5]) };
    /// let network = Network::new(2, vec![dense])?;
    /// assert_eq!(network.forward(vec![1.0, 1.0], 1)?, [3.5]);
    /// # Ok::<(), hmm_core::Error>(())
    /// ```
    pub fn new(inputs: usize, layers: Vec<Layer<T>>) -> Result<Self> {
        if inputs == 0 || layers.is_empty() {
            return Err(Error::invalid(
                "layers",
                format!("{} layers on {inputs} numbers", layers.len()),
                "a network needs at least one layer and one input",
                "describe the layers in order",
            ));
        }
        let (mut width, mut held) = (inputs, inputs);
        let mut fitted = Vec::with_capacity(layers.len());
        for (index, layer) in layers.into_iter().enumerate() {
            let sizes = layer.sizes(index, width)?;
            width = sizes.outputs;
            held = held.max(sizes.held);
            fitted.push((layer.contiguous(), width));
        }
        Ok(Self {
            inputs,
            layers: fitted,
            outputs: width,
            held,
        })
    }

    /// Numbers that go in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Numbers that come out.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Numbers held at most while one row is evaluated.
    fn held(&self) -> usize {
        self.held
    }

    /// Outputs (count x outputs) of `block` (count x inputs), row-major.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the block is of so many rows; a user's function that fails.
    pub fn forward(&self, mut block: Vec<T>, count: usize) -> Result<Vec<T>> {
        if count.checked_mul(self.inputs) != Some(block.len()) {
            return Err(Error::shape(
                "block",
                &[block.len()],
                format!("must hold {count} rows of {} inputs", self.inputs),
                "pass whole rows and their number",
            ));
        }
        if count == 0 {
            return Ok(block);
        }
        for (layer, width) in &self.layers {
            block = layer.apply(block, count, *width)?;
        }
        Ok(block)
    }
}

/// A deep generator: inputs `x = G(c) - mean`.
pub struct DeepGenerator<T> {
    network: Network<T>,
    mean: Vec<T>,
}

impl<T: Real> DeepGenerator<T> {
    /// From a network and the mean of its outputs, shape (N,); nothing is subtracted without one.
    ///
    /// # Errors
    /// A mean of the wrong length; [`Error::Resource`] if a block of samples does not fit into memory.
    pub fn new(network: Network<T>, mean: Option<ArrayView1<'_, f64>>) -> Result<Self> {
        let outputs = network.outputs();
        if let Some(mean) = &mean
            && mean.len() != outputs
        {
            return Err(Error::shape(
                "mean",
                mean.shape(),
                format!("must have one entry per input, {outputs}"),
                "pass none to leave inputs as they are",
            ));
        }
        // Blocks have 16 rows at least.
        require(
            bytes_of::<T>(network.held().saturating_mul(16)),
            &format!("a block of samples of {outputs} inputs"),
            "describe smaller layers",
        )?;
        let mean = mean.map_or_else(
            || vec![T::ZERO; outputs],
            |mean| mean.iter().map(|&x| T::from_f64(x)).collect(),
        );
        Ok(Self { network, mean })
    }
}

impl<T: Real> Source<T> for DeepGenerator<T> {
    fn inputs(&self) -> usize {
        self.network.outputs()
    }

    fn latents(&self) -> usize {
        self.network.inputs()
    }

    fn inputs_from_latents(
        &self,
        _: &Stream,
        _: u64,
        latents: &[T],
        inputs: &mut [T],
    ) -> Result<()> {
        let (n, d) = (self.network.outputs(), self.network.inputs());
        let count = block_size(latents, d, inputs, n)?;
        let made = self.network.forward(latents.to_vec(), count)?;
        let rows = made.chunks_exact(self.mean.len());
        for (row, made) in inputs.chunks_exact_mut(self.mean.len()).zip(rows) {
            for ((x, made), mean) in row.iter_mut().zip(made).zip(&self.mean) {
                *x = *made - *mean;
            }
        }
        Ok(())
    }

    fn project(&self, _: &[f64], _: usize) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }
}
