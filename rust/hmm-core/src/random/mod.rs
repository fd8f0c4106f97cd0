//! Random streams: every number is a function of `(seed, purpose, unit, block)`.
//!
//! The seed (256 bits, from numpy's `SeedSequence`) is the key of a `ChaCha8` generator; purpose, unit
//! and block make its 64-bit stream number. No two of them share a stream, and no thread or slice
//! of work can change what a stream gives.
//!
//! ```
//! use hmm_core::random::{Purpose, Stream, fill_normal};
//! let stream = Stream::new(&[7; 8], Purpose::Sample);
//! let draw = |unit, block| {
//!     let mut numbers = [0.0_f64; 3];
//!     fill_normal(&mut stream.generator(unit, block), &mut numbers);
//!     numbers
//! };
//! assert_eq!(draw(0, 5), draw(0, 5));
//! assert_ne!(draw(0, 5), draw(1, 5));
//! ```

mod chacha;
mod normal;

use crate::Real;
use crate::special::vectorised;
use chacha::{BLOCKS, Position};
use rand::SeedableRng;

pub use rand::Rng;
pub use rand::rngs::ChaCha8Rng;

/// 256 bits of seed: eight words of numpy's `SeedSequence.generate_state`.
pub type Seed = [u32; 8];

/// What a random number is for. The numbers are part of the stream's definition: never renumber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Purpose {
    /// The quenched disorder of a data model (feature matrices, generator weights).
    Disorder = 0,
    /// Samples a user asks for, and the inputs of training.
    Sample = 1,
    /// The test set.
    Test = 2,
    /// Output noise on training labels.
    LabelNoise = 3,
    /// Initial weights of networks.
    Weights = 4,
    /// Noise inside the inputs (the conjugate Gaussian data).
    InputNoise = 5,
    /// Shuffles, bootstrap resamples, random directions.
    Resample = 6,
    /// Weights of random generators: data, so never those of a network of the same seed.
    Layers = 7,
}

/// Blocks of a unit of a stream: numbers beyond it would repeat the first ones.
pub const BLOCKS_OF_UNIT: u64 = 1 << 32;
/// Units of a stream.
pub const UNITS_OF_STREAM: u64 = 1 << 24;

/// One source of random streams: a seed and a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    key: [u8; 32],
    purpose: Purpose,
}

impl Stream {
    /// The streams of `seed` for `purpose`.
    pub fn new(seed: &Seed, purpose: Purpose) -> Self {
        let mut key = [0_u8; 32];
        for (bytes, word) in key.chunks_exact_mut(4).zip(seed) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Self { key, purpose }
    }

    /// The same seed for another purpose.
    pub fn with_purpose(self, purpose: Purpose) -> Self {
        Self { purpose, ..self }
    }

    /// Generator for `unit` (24 bits) and `block` (32 bits); higher bits wrap.
    pub fn generator(&self, unit: u32, block: u64) -> ChaCha8Rng {
        let mut generator = ChaCha8Rng::from_seed(self.key);
        generator.set_stream(
            (self.purpose as u64) << 56 | u64::from(unit & 0x00ff_ffff) << 32 | block & 0xffff_ffff,
        );
        generator
    }
}

/// Normals made at once, from the 64-bit words of `BLOCKS` blocks.
pub const GROUP: usize = 8 * BLOCKS;

/// Fill `out` with independent standard normals (Box-Muller, tails to 8.57).
///
/// The numbers start at the generator's next whole block of 64 bytes and are made in groups of 128;
/// of the last group what is not needed is dropped. So a longer slice begins with the numbers of a
/// shorter one, and the slice may be filled in pieces whose lengths are multiples of 128.
///
/// Single precision gets the double-precision numbers rounded, so that a run in either precision
/// sees the same samples.
pub fn fill_normal<T: Real>(generator: &mut ChaCha8Rng, out: &mut [T]) {
    let mut position = next_block(generator);
    vectorised(
        #[inline(always)]
        || {
            let (groups, rest) = out.as_chunks_mut::<GROUP>();
            let mut words = [[0; BLOCKS]; 16];
            for group in groups {
                position.next_blocks(&mut words);
                normals_of(&words, group);
            }
            if !rest.is_empty() {
                let mut group = [T::ZERO; GROUP];
                position.next_blocks(&mut words);
                normals_of(&words, &mut group);
                for (place, &normal) in rest.iter_mut().zip(&group) {
                    *place = normal;
                }
            }
        },
    );
    generator.set_word_pos(u128::from(position.block) * 16);
}

/// The first block that the generator has not touched.
fn next_block(generator: &ChaCha8Rng) -> Position {
    let mut key = [0; 8];
    for (word, bytes) in key.iter_mut().zip(generator.get_seed().as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    Position {
        key,
        stream: generator.get_stream(),
        block: generator.get_word_pos().div_ceil(16) as u64,
    }
}

/// [`GROUP`] normals. Rows `4 p .. 4 p + 4` of the blocks' words make the radius and the angle of the pairs whose members
/// are rows `2 p` and `2 p + 1`.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // lanes of six rows, which the compiler finds to be vectors
#[expect(
    clippy::indexing_slicing,
    reason = "the arrays have BLOCKS lanes, both halves of a pair too, and `low` is 0 or 2 of four rows"
)]
fn normals_of<T: Real>(words: &[[u32; BLOCKS]; 16], group: &mut [T; GROUP]) {
    let pairs = group.as_chunks_mut::<{ 2 * BLOCKS }>().0;
    for (rows, pair) in words.as_chunks::<4>().0.iter().zip(pairs) {
        let (first, second) = pair.split_at_mut(BLOCKS);
        for lane in 0..BLOCKS {
            let word = |low: usize| [rows[low][lane], rows[low + 1][lane]];
            let (x, y) = normal::normal_pair(word(0), word(2));
            (first[lane], second[lane]) = (T::from_f64(x), T::from_f64(y));
        }
    }
}

#[cfg(test)]
mod tests;
