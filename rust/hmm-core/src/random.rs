//! Random streams: every number is a function of `(seed, purpose, unit, block)`.
//!
//! The seed (256 bits, from numpy's `SeedSequence`) is the key of a `ChaCha8` generator; purpose, unit
//! and block make its 64-bit stream number. No two of them share a stream, and no thread or slice
//! of work can change what a stream gives.

use crate::Real;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

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
}

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

/// Fill `out` with independent standard normals.
///
/// Single precision gets the double-precision numbers rounded, so that a run in either precision
/// sees the same samples.
pub fn fill_normal<T: Real>(generator: &mut ChaCha8Rng, out: &mut [T]) {
    // Box-Muller: both numbers of a pair, radius from a uniform on (0, 1].
    for pair in out.chunks_mut(2) {
        let radius = (-2.0 * unit_open_left(generator.next_u64()).ln()).sqrt();
        let angle = std::f64::consts::TAU * unit_open_left(generator.next_u64());
        pair[0] = T::from_f64(radius * angle.cos());
        if let Some(second) = pair.get_mut(1) {
            *second = T::from_f64(radius * angle.sin());
        }
    }
}

/// Uniform on (0, 1] from the upper 53 bits.
fn unit_open_left(bits: u64) -> f64 {
    ((bits >> 11) + 1) as f64 * (1.0 / (1_u64 << 53) as f64)
}
