//! Deep generators: a stack of layers that turns latents into inputs, evaluated block by block.
//!
//! A sample is one row; images are stored channel by channel (channels x height x width). Dense and
//! convolutional layers are one matrix product for the whole block.

use crate::nonlinearity::Nonlinearity;
use crate::source::Source;
use hmm_core::linalg::{matmul, rows, rows_mut};
use hmm_core::random::Stream;
use hmm_core::special::map_in_place;
use hmm_core::{Error, Real, Result};

/// Shape and stride of a two-dimensional (transposed) convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Channels, height and width of what goes in.
    pub input: [usize; 3],
    /// Channels that come out.
    pub channels: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Step of the window, the same in both directions.
    pub stride: usize,
    /// Zeros around the image (taken away from the output of a transposed convolution).
    pub padding: usize,
}

/// One layer.
pub enum Layer<T> {
    /// `x -> W x + b`, W (outputs x inputs) row-major.
    Dense {
        /// W.
        weight: Vec<T>,
        /// b, as long as there are outputs.
        bias: Vec<T>,
    },
    /// Convolution, kernel (channels out x channels in x height x width).
    Convolution {
        /// Geometry.
        window: Window,
        /// Kernel.
        weight: Vec<T>,
        /// One number per channel that comes out.
        bias: Vec<T>,
    },
    /// Transposed convolution, kernel (channels in x channels out x height x width).
    Transposed {
        /// Geometry.
        window: Window,
        /// Kernel.
        weight: Vec<T>,
        /// One number per channel that comes out.
        bias: Vec<T>,
    },
    /// Elementwise function.
    Elementwise(Nonlinearity<T>),
    /// `max(x, slope x)`.
    LeakyRelu(T),
    /// `1/(1 + exp(-x))`.
    Sigmoid,
    /// `x -> scale x + shift`; each entry serves a run of equal length (a channel, or one input).
    Affine {
        /// Factors.
        scale: Vec<T>,
        /// Offsets.
        shift: Vec<T>,
    },
    /// Affine coupling of a normalising flow: the entries `keep` stay, the entries `change` become
    /// `x exp(scale(kept)) + shift(kept)` (Dinh et al. 2017).
    Coupling {
        /// Positions that stay.
        keep: Vec<usize>,
        /// Positions that change.
        change: Vec<usize>,
        /// Logarithms of the factors.
        scale: Network<T>,
        /// Offsets.
        shift: Network<T>,
    },
}

/// A stack of layers with its widths checked.
pub struct Network<T> {
    layers: Vec<Layer<T>>,
    /// Width before every layer, and after the last.
    widths: Vec<usize>,
}

impl Window {
    /// Height and width after a convolution.
    fn convolved(&self) -> Option<[usize; 2]> {
        let size = |n: usize, k: usize| {
            (n + 2 * self.padding)
                .checked_sub(k)
                .map(|room| room / self.stride + 1)
        };
        Some([
            size(self.input[1], self.kernel[0])?,
            size(self.input[2], self.kernel[1])?,
        ])
    }

    /// Height and width after a transposed convolution.
    fn spread(&self) -> Option<[usize; 2]> {
        let size = |n: usize, k: usize| {
            (n.checked_sub(1)? * self.stride + k)
                .checked_sub(2 * self.padding)
                .filter(|n| *n > 0)
        };
        Some([
            size(self.input[1], self.kernel[0])?,
            size(self.input[2], self.kernel[1])?,
        ])
    }

    fn inputs(&self) -> usize {
        self.input.iter().product()
    }

    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    fn sound(&self) -> bool {
        self.stride > 0 && self.channels > 0 && self.taps() > 0 && self.inputs() > 0
    }
}

/// `layer` number `index` does not fit.
fn misfit(index: usize, rule: impl Into<String>) -> Error {
    Error::invalid(
        "layers",
        format!("layer {index}"),
        rule,
        "check the description against the shapes of the weights",
    )
}

impl<T: Real> Layer<T> {
    /// Width after this layer for `width` before it.
    fn output(&self, index: usize, width: usize) -> Result<usize> {
        let need = |have: usize, want: usize, what: &str| {
            if have == want {
                Ok(())
            } else {
                Err(misfit(
                    index,
                    format!("{what} must have {want} entries and has {have}"),
                ))
            }
        };
        match self {
            Self::Dense { weight, bias } => {
                need(
                    weight.len(),
                    bias.len() * width,
                    "weight (outputs x inputs)",
                )?;
                if bias.is_empty() {
                    Err(misfit(index, "has no outputs"))
                } else {
                    Ok(bias.len())
                }
            }
            Self::Convolution {
                window,
                weight,
                bias,
            }
            | Self::Transposed {
                window,
                weight,
                bias,
            } => {
                if !window.sound() {
                    return Err(misfit(
                        index,
                        "stride, kernel, channels and image must be positive",
                    ));
                }
                need(
                    width,
                    window.inputs(),
                    "the input (channels x height x width)",
                )?;
                need(
                    weight.len(),
                    window.input[0] * window.channels * window.taps(),
                    "weight",
                )?;
                need(bias.len(), window.channels, "bias")?;
                let size = match self {
                    Self::Convolution { .. } => window.convolved(),
                    _ => window.spread(),
                };
                let [height, width] =
                    size.ok_or_else(|| misfit(index, "the kernel does not fit the image"))?;
                Ok(window.channels * height * width)
            }
            Self::Affine { scale, shift } => {
                need(shift.len(), scale.len(), "shift")?;
                if scale.is_empty() || !width.is_multiple_of(scale.len()) {
                    return Err(misfit(
                        index,
                        format!("scale must divide the width {width}"),
                    ));
                }
                Ok(width)
            }
            Self::Coupling {
                keep,
                change,
                scale,
                shift,
            } => {
                let mut seen = vec![false; width];
                for &position in keep.iter().chain(change) {
                    match seen.get_mut(position) {
                        Some(seen) if !*seen => *seen = true,
                        _ => {
                            return Err(misfit(
                                index,
                                "keep and change must be distinct positions",
                            ));
                        }
                    }
                }
                need(keep.len() + change.len(), width, "keep and change together")?;
                for network in [scale, shift] {
                    need(network.inputs(), keep.len(), "the input of scale and shift")?;
                    need(
                        network.outputs(),
                        change.len(),
                        "the output of scale and shift",
                    )?;
                }
                Ok(width)
            }
            Self::Elementwise(_) | Self::LeakyRelu(_) | Self::Sigmoid => Ok(width),
        }
    }

    /// Apply to a block of `count` rows.
    fn apply(&self, mut block: Vec<T>, count: usize, output: usize) -> Result<Vec<T>> {
        let width = block.len() / count;
        match self {
            Self::Dense { weight, bias } => {
                let mut out = vec![T::ZERO; count * output];
                matmul(
                    rows_mut(&mut out, count, output),
                    rows(&block, count, width),
                    rows(weight, output, width).transpose(),
                    T::ONE,
                );
                for row in out.chunks_exact_mut(output) {
                    for (x, bias) in row.iter_mut().zip(bias) {
                        *x += *bias;
                    }
                }
                return Ok(out);
            }
            Self::Convolution {
                window,
                weight,
                bias,
            } => {
                return Ok(convolve(window, weight, bias, &block, count));
            }
            Self::Transposed {
                window,
                weight,
                bias,
            } => {
                return Ok(convolve_transposed(window, weight, bias, &block, count));
            }
            Self::Elementwise(function) => function.apply(&mut block, width, 0.0)?,
            Self::LeakyRelu(slope) => {
                let slope = *slope;
                map_in_place(
                    &mut block,
                    #[inline(always)]
                    move |x: T| if x > T::ZERO { x } else { slope * x },
                );
            }
            Self::Sigmoid => map_in_place(
                &mut block,
                #[inline(always)]
                |x: T| T::ONE / (T::ONE + (-x).exponential()),
            ),
            Self::Affine { scale, shift } => {
                let run = width / scale.len();
                for row in block.chunks_exact_mut(width) {
                    for ((part, scale), shift) in row.chunks_exact_mut(run).zip(scale).zip(shift) {
                        for x in part {
                            *x = *scale * *x + *shift;
                        }
                    }
                }
            }
            Self::Coupling {
                keep,
                change,
                scale,
                shift,
            } => {
                let mut kept = Vec::with_capacity(count * keep.len());
                for row in block.chunks_exact(width) {
                    kept.extend(keep.iter().map(|&position| row[position]));
                }
                let mut factors = scale.forward(kept.clone(), count)?;
                map_in_place(
                    &mut factors,
                    #[inline(always)]
                    |x: T| x.exponential(),
                );
                let offsets = shift.forward(kept, count)?;
                let moved = factors
                    .chunks_exact(change.len())
                    .zip(offsets.chunks_exact(change.len()));
                for (row, (factors, offsets)) in block.chunks_exact_mut(width).zip(moved) {
                    for ((&position, factor), offset) in change.iter().zip(factors).zip(offsets) {
                        row[position] = row[position] * *factor + *offset;
                    }
                }
            }
        }
        Ok(block)
    }
}

/// Position in an image of size `limit` of kernel tap `tap` at output position `at`.
fn tap_position(at: usize, tap: usize, window: &Window, limit: usize) -> Option<usize> {
    (at * window.stride + tap)
        .checked_sub(window.padding)
        .filter(|position| *position < limit)
}

/// Visit `(position in the small image, row of taps, position in the large image)` of one sample.
///
/// A convolution reads the large image, a transposed one writes it; `small` is the side that the window
/// steps over.
fn for_taps(
    window: &Window,
    channels: usize,
    small: [usize; 2],
    large: [usize; 2],
    mut visit: impl FnMut(usize, usize, usize),
) {
    for y in 0..small[0] {
        for x in 0..small[1] {
            for channel in 0..channels {
                for ky in 0..window.kernel[0] {
                    let Some(ly) = tap_position(y, ky, window, large[0]) else {
                        continue;
                    };
                    for kx in 0..window.kernel[1] {
                        let Some(lx) = tap_position(x, kx, window, large[1]) else {
                            continue;
                        };
                        visit(
                            y * small[1] + x,
                            (channel * window.kernel[0] + ky) * window.kernel[1] + kx,
                            (channel * large[0] + ly) * large[1] + lx,
                        );
                    }
                }
            }
        }
    }
}

/// Convolution as one product of unfolded windows with the kernels.
fn convolve<T: Real>(
    window: &Window,
    weight: &[T],
    bias: &[T],
    block: &[T],
    count: usize,
) -> Vec<T> {
    let [channels, height, width] = window.input;
    let small = window.convolved().unwrap_or([0, 0]);
    let places = small[0] * small[1];
    let taps = channels * window.taps();
    let mut unfolded = vec![T::ZERO; count * places * taps];
    for (image, windows) in block
        .chunks_exact(window.inputs())
        .zip(unfolded.chunks_exact_mut(places * taps))
    {
        for_taps(
            window,
            channels,
            small,
            [height, width],
            |place, tap, position| {
                windows[place * taps + tap] = image[position];
            },
        );
    }
    let mut product = vec![T::ZERO; count * places * window.channels];
    matmul(
        rows_mut(&mut product, count * places, window.channels),
        rows(&unfolded, count * places, taps),
        rows(weight, window.channels, taps).transpose(),
        T::ONE,
    );
    // (sample, place, channel) -> (sample, channel, place).
    let mut out = vec![T::ZERO; product.len()];
    let size = places * window.channels;
    for (image, product) in out.chunks_exact_mut(size).zip(product.chunks_exact(size)) {
        for (place, values) in product.chunks_exact(window.channels).enumerate() {
            for (channel, (value, bias)) in values.iter().zip(bias).enumerate() {
                image[channel * places + place] = *value + *bias;
            }
        }
    }
    out
}

/// Transposed convolution: the product with the kernels, folded back onto the larger image.
fn convolve_transposed<T: Real>(
    window: &Window,
    weight: &[T],
    bias: &[T],
    block: &[T],
    count: usize,
) -> Vec<T> {
    let [channels, height, width] = window.input;
    let places = height * width;
    let large = window.spread().unwrap_or([0, 0]);
    let taps = window.channels * window.taps();
    // (sample, channel, place) -> (sample, place, channel).
    let mut gathered = vec![T::ZERO; block.len()];
    let size = channels * places;
    for (image, gathered) in block
        .chunks_exact(size)
        .zip(gathered.chunks_exact_mut(size))
    {
        for (channel, values) in image.chunks_exact(places).enumerate() {
            for (place, value) in values.iter().enumerate() {
                gathered[place * channels + channel] = *value;
            }
        }
    }
    let mut product = vec![T::ZERO; count * places * taps];
    matmul(
        rows_mut(&mut product, count * places, taps),
        rows(&gathered, count * places, channels),
        rows(weight, channels, taps),
        T::ONE,
    );
    let area = large[0] * large[1];
    let mut out = Vec::with_capacity(count * window.channels * area);
    for windows in product.chunks_exact(places * taps) {
        let start = out.len();
        for bias in bias {
            out.resize(out.len() + area, *bias);
        }
        let image = &mut out[start..];
        for_taps(
            window,
            window.channels,
            [height, width],
            large,
            |place, tap, position| {
                image[position] += windows[place * taps + tap];
            },
        );
    }
    out
}

impl<T: Real> Network<T> {
    /// Check that `layers` fit on `inputs` numbers.
    ///
    /// # Errors
    /// Weights whose sizes do not fit, no layers, no inputs.
    pub fn new(inputs: usize, layers: Vec<Layer<T>>) -> Result<Self> {
        if inputs == 0 || layers.is_empty() {
            return Err(Error::invalid(
                "layers",
                format!("{} layers on {inputs} numbers", layers.len()),
                "a network needs at least one layer and one input",
                "describe the layers in order",
            ));
        }
        let mut widths = vec![inputs];
        let mut width = inputs;
        for (index, layer) in layers.iter().enumerate() {
            width = layer.output(index, width)?;
            widths.push(width);
        }
        Ok(Self { layers, widths })
    }

    /// Numbers that go in.
    pub fn inputs(&self) -> usize {
        self.widths[0]
    }

    /// Numbers that come out.
    pub fn outputs(&self) -> usize {
        self.widths[self.layers.len()]
    }

    /// Outputs (count x outputs) of `block` (count x inputs).
    ///
    /// # Errors
    /// A user's function that fails.
    pub fn forward(&self, mut block: Vec<T>, count: usize) -> Result<Vec<T>> {
        for (layer, width) in self.layers.iter().zip(&self.widths[1..]) {
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
    /// From a network and the mean of its outputs.
    ///
    /// # Errors
    /// A mean of the wrong length.
    pub fn new(network: Network<T>, mean: &[f64]) -> Result<Self> {
        if mean.len() != network.outputs() {
            return Err(Error::shape(
                "mean",
                &[mean.len()],
                format!("must have one entry per input, {}", network.outputs()),
                "pass zeros to leave inputs as they are",
            ));
        }
        Ok(Self {
            network,
            mean: mean.iter().map(|&x| T::from_f64(x)).collect(),
        })
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
        let count = latents.len() / self.network.inputs();
        let made = self.network.forward(latents.to_vec(), count)?;
        let rows = made.chunks_exact(self.mean.len());
        for (row, made) in inputs.chunks_exact_mut(self.mean.len()).zip(rows) {
            for ((x, made), mean) in row.iter_mut().zip(made).zip(&self.mean) {
                *x = *made - *mean;
            }
        }
        Ok(())
    }

    fn project(&self, _: &[f64], _: usize) -> Option<Vec<f64>> {
        None
    }
}
