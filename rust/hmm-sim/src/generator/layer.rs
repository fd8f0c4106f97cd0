//! Layers: as they are described, and as they are evaluated once their sizes are known to fit.

use super::Network;
use super::window::{Window, convolve, convolve_transposed};
use crate::nonlinearity::Nonlinearity;
use hmm_core::linalg::{matmul, rows, rows_mut};
use hmm_core::special::map_in_place;
use hmm_core::{Error, Real, Result};
use ndarray::{Array, Array1, Array2, Array4, Dimension};

/// One layer.
pub enum Layer<T> {
    /// `x -> W x + b`.
    Dense {
        /// W, shape (outputs, inputs).
        weight: Array2<T>,
        /// b, shape (outputs,).
        bias: Array1<T>,
    },
    /// Convolution.
    Convolution {
        /// Geometry.
        window: Window,
        /// Kernel, shape (channels out, channels in, height, width).
        weight: Array4<T>,
        /// One number per channel that comes out.
        bias: Array1<T>,
    },
    /// Transposed convolution.
    Transposed {
        /// Geometry.
        window: Window,
        /// Kernel, shape (channels in, channels out, height, width).
        weight: Array4<T>,
        /// One number per channel that comes out.
        bias: Array1<T>,
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
        scale: Array1<T>,
        /// Offsets.
        shift: Array1<T>,
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

/// `layer` number `index` does not fit.
pub(super) fn misfit(index: usize, rule: impl Into<String>) -> Error {
    Error::invalid(
        "layers",
        format!("layer {index}"),
        rule,
        "check the description against the shapes of the weights",
    )
}

/// What a layer makes of a row.
pub(super) struct Sizes {
    /// Numbers that come out.
    pub outputs: usize,
    /// Numbers held on the way, those that go in and come out included.
    pub held: usize,
}

fn need(index: usize, have: &[usize], want: &[usize], what: &str) -> Result<()> {
    if have == want {
        Ok(())
    } else {
        Err(misfit(
            index,
            format!("{what} must have shape {want:?} and has {have:?}"),
        ))
    }
}

impl<T: Real> Layer<T> {
    /// Check that the layer fits on rows of `width` numbers.
    ///
    /// # Errors
    /// Weights whose sizes do not fit, sizes beyond counting.
    pub(super) fn sizes(&self, index: usize, width: usize) -> Result<Sizes> {
        let enormous = || misfit(index, "its sizes are beyond any memory");
        let (outputs, extra) = match self {
            Self::Dense { weight, bias } => {
                if bias.is_empty() {
                    return Err(misfit(index, "has no outputs"));
                }
                need(index, weight.shape(), &[bias.len(), width], "weight")?;
                (bias.len(), 0)
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
                let transposed = matches!(self, Self::Transposed { .. });
                let inputs = window.inputs().ok_or_else(|| {
                    misfit(index, "stride, kernel, channels and image must be positive")
                })?;
                need(
                    index,
                    &[width],
                    &[inputs],
                    "the input (channels x height x width)",
                )?;
                let [channels, height, breadth] = window.input;
                let pair = if transposed {
                    [channels, window.channels]
                } else {
                    [window.channels, channels]
                };
                need(
                    index,
                    weight.shape(),
                    &[pair[0], pair[1], window.kernel[0], window.kernel[1]],
                    "weight",
                )?;
                need(index, bias.shape(), &[window.channels], "bias")?;
                let size = if transposed {
                    window.spread()
                } else {
                    window.convolved()
                };
                let [high, wide] =
                    size.ok_or_else(|| misfit(index, "the kernel does not fit the image"))?;
                let places = super::window::product(&[high, wide]).ok_or_else(enormous)?;
                let outputs = window.channels.checked_mul(places).ok_or_else(enormous)?;
                let unfolded = if transposed {
                    window.unfolded(height * breadth, window.channels)
                } else {
                    window.unfolded(places, channels)
                };
                (outputs, unfolded.ok_or_else(enormous)?)
            }
            Self::Affine { scale, shift } => {
                need(index, shift.shape(), scale.shape(), "shift")?;
                if scale.is_empty() || !width.is_multiple_of(scale.len()) {
                    return Err(misfit(
                        index,
                        format!("scale must divide the width {width}"),
                    ));
                }
                (width, 0)
            }
            Self::Coupling {
                keep,
                change,
                scale,
                shift,
            } => {
                let all = keep.len() + change.len();
                need(index, &[all], &[width], "keep and change together")?;
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
                for network in [scale, shift] {
                    let found = [network.inputs(), network.outputs()];
                    let wanted = [keep.len(), change.len()];
                    need(
                        index,
                        &found,
                        &wanted,
                        "scale and shift (inputs to outputs)",
                    )?;
                }
                (width, scale.held().saturating_add(shift.held()))
            }
            Self::Elementwise(_) | Self::LeakyRelu(_) | Self::Sigmoid => (width, 0),
        };
        let held = [width, outputs, extra]
            .iter()
            .try_fold(0_usize, |sum, &part| sum.checked_add(part));
        Ok(Sizes {
            outputs,
            held: held.ok_or_else(enormous)?,
        })
    }

    /// The same layer with weights in row-major order.
    pub(super) fn contiguous(self) -> Self {
        match self {
            Self::Dense { weight, bias } => Self::Dense {
                weight: standard(weight),
                bias: standard(bias),
            },
            Self::Convolution {
                window,
                weight,
                bias,
            } => Self::Convolution {
                window,
                weight: standard(weight),
                bias: standard(bias),
            },
            Self::Transposed {
                window,
                weight,
                bias,
            } => Self::Transposed {
                window,
                weight: standard(weight),
                bias: standard(bias),
            },
            Self::Affine { scale, shift } => Self::Affine {
                scale: standard(scale),
                shift: standard(shift),
            },
            other @ (Self::Elementwise(_)
            | Self::LeakyRelu(_)
            | Self::Sigmoid
            | Self::Coupling { .. }) => other,
        }
    }

    /// Apply to a block of `count` rows; `output` numbers of each come out.
    pub(super) fn apply(&self, mut block: Vec<T>, count: usize, output: usize) -> Result<Vec<T>> {
        let width = block.len() / count;
        match self {
            Self::Dense { weight, bias } => {
                let mut out = vec![T::ZERO; count * output];
                matmul(
                    rows_mut(&mut out, count, output),
                    rows(&block, count, width),
                    rows(numbers(weight), output, width).transpose(),
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
                return Ok(convolve(
                    window,
                    numbers(weight),
                    numbers(bias),
                    &block,
                    count,
                ));
            }
            Self::Transposed {
                window,
                weight,
                bias,
            } => {
                let (weight, bias) = (numbers(weight), numbers(bias));
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
            } => couple(&mut block, count, (keep, change), (scale, shift))?,
        }
        Ok(block)
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "`Layer::sizes` found the positions to be those of a row, each of them once"
)]
fn couple<T: Real>(
    block: &mut [T],
    count: usize,
    (keep, change): (&[usize], &[usize]),
    (scale, shift): (&Network<T>, &Network<T>),
) -> Result<()> {
    let width = block.len() / count;
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
    Ok(())
}

/// The same array in row-major order.
fn standard<T: Copy, D: Dimension>(array: Array<T, D>) -> Array<T, D> {
    if array.is_standard_layout() {
        array
    } else {
        array.as_standard_layout().into_owned()
    }
}

/// The numbers of an array in row-major order, as [`Layer::contiguous`] made it.
fn numbers<T, D: Dimension>(array: &Array<T, D>) -> &[T] {
    array.as_slice().unwrap_or_default()
}
