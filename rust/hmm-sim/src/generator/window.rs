//! Two-dimensional convolutions and their transposes: one matrix product for a whole block of images.
//!
//! Images are stored channel by channel (channels x height x width).

use hmm_core::Real;
use hmm_core::linalg::{matmul, rows, rows_mut};

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

/// A product of sizes, unless it is beyond what can be counted.
pub(super) fn product(sizes: &[usize]) -> Option<usize> {
    sizes
        .iter()
        .try_fold(1_usize, |product, &size| product.checked_mul(size))
}

impl Window {
    /// Height and width after a convolution; `None` if the kernel does not fit.
    pub(super) fn convolved(&self) -> Option<[usize; 2]> {
        let size = |n: usize, k: usize| {
            let room = n
                .checked_add(self.padding.checked_mul(2)?)?
                .checked_sub(k)?;
            room.checked_div(self.stride)?.checked_add(1)
        };
        Some([
            size(self.input[1], self.kernel[0])?,
            size(self.input[2], self.kernel[1])?,
        ])
    }

    /// Height and width after a transposed convolution; `None` if nothing is left.
    pub(super) fn spread(&self) -> Option<[usize; 2]> {
        let size = |n: usize, k: usize| {
            (n.checked_sub(1)?.checked_mul(self.stride)?)
                .checked_add(k)?
                .checked_sub(self.padding.checked_mul(2)?)
                .filter(|n| *n > 0)
        };
        Some([
            size(self.input[1], self.kernel[0])?,
            size(self.input[2], self.kernel[1])?,
        ])
    }

    /// Numbers that go in; `None` if there are none, or of any other size.
    pub(super) fn inputs(&self) -> Option<usize> {
        let sizes = [self.stride, self.channels, self.kernel[0], self.kernel[1]];
        product(&self.input).filter(|inputs| *inputs > 0 && !sizes.contains(&0))
    }

    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Numbers of an image while it is unfolded for the product: `places` times the taps of `channels`.
    pub(super) fn unfolded(&self, places: usize, channels: usize) -> Option<usize> {
        product(&[places, channels, self.kernel[0], self.kernel[1]])
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
#[expect(
    clippy::indexing_slicing,
    reason = "`Layer::sizes` found window, weight, bias and image to fit each other, and `tap_position` keeps \
              to the image"
)]
pub(super) fn convolve<T: Real>(
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
        .chunks_exact(window.input.iter().product())
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
#[expect(
    clippy::indexing_slicing,
    reason = "`Layer::sizes` found window, weight, bias and image to fit each other, and `tap_position` keeps \
              to the image"
)]
pub(super) fn convolve_transposed<T: Real>(
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
