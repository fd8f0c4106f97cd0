//! Independent normals as weights, one random stream a purpose: what is drawn with equal seeds never coincides.
//!
//! ```
//! use hmm_core::Cancel;
//! use hmm_sim::weights::{layer_weights, network_weights};
//! let (seed, count, cancel) = ([7; 8], 100_000, Cancel::new());
//! let w = network_weights(&seed, 0, count, &cancel)?;
//! // Moments 1 and 3 of a normal, within five standard errors √(2/count) and √(96/count).
//! let moment = |power| w.mapv(|w: f64| w.powi(power)).sum() / count as f64;
//! assert!((moment(2) - 1.0).abs() < 5.0 * (2.0 / count as f64).sqrt());
//! assert!((moment(4) - 3.0).abs() < 5.0 * (96.0 / count as f64).sqrt());
//! // A layer drawn with the same seed is independent of them.
//! let layer = layer_weights(&seed, 0, (1, count), &cancel)?;
//! assert!((w.dot(&layer.row(0)) / count as f64).abs() < 5.0 / (count as f64).sqrt());
//! # Ok::<(), hmm_core::Error>(())
//! ```

use hmm_core::memory::{zero_matrix, zeros};
use hmm_core::random::{Purpose, Seed, Stream, fill_normal};
use hmm_core::{Cancel, Result};
use ndarray::{Array1, Array2};

/// Unit of the weights stream that holds the nodes of a mean-field network, a block each.
pub const NODE_UNIT: u32 = 1;

/// Normals between two looks at the flag: whole groups of the generator, so that pieces have the bits of one stretch.
pub(crate) const PIECE: usize = 1 << 20;

fn fill(
    seed: &Seed,
    purpose: Purpose,
    unit: u32,
    values: &mut [f64],
    cancel: &Cancel,
) -> Result<()> {
    let mut generator = Stream::new(seed, purpose).generator(unit, 0);
    for piece in values.chunks_mut(PIECE) {
        cancel.check()?;
        fill_normal(&mut generator, piece);
    }
    Ok(())
}

/// `count` standard normals for the weights of a network, from unit `unit` of its stream.
///
/// # Errors
/// [`hmm_core::Error::Resource`], an interruption.
pub fn network_weights(
    seed: &Seed,
    unit: u32,
    count: usize,
    cancel: &Cancel,
) -> Result<Array1<f64>> {
    let mut values = zeros(count, "random weights", "draw fewer")?;
    fill(seed, Purpose::Weights, unit, &mut values, cancel)?;
    Ok(Array1::from(values))
}

/// Standard normals for layer number `layer` of a random generator, shape (width, fan-in).
///
/// # Errors
/// [`hmm_core::Error::Resource`], an interruption.
pub fn layer_weights(
    seed: &Seed,
    layer: u32,
    shape: (usize, usize),
    cancel: &Cancel,
) -> Result<Array2<f64>> {
    let mut weights = zero_matrix(shape, "the weights of a layer", "pass smaller widths")?;
    let values = weights.as_slice_mut().unwrap_or_default();
    fill(seed, Purpose::Layers, layer, values, cancel)?;
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmm_core::Error;

    #[test]
    fn pieces_have_the_bits_of_one_stretch() {
        let seed = [9; 8];
        let count = PIECE + 333;
        let weights = network_weights(&seed, 0, count, &Cancel::new()).unwrap();
        let mut whole = vec![0.0; count];
        fill_normal(
            &mut Stream::new(&seed, Purpose::Weights).generator(0, 0),
            &mut whole,
        );
        assert_eq!(weights.as_slice().unwrap(), whole);
    }

    #[test]
    fn a_generator_does_not_share_numbers_with_a_network() {
        let seed = [9; 8];
        let network = network_weights(&seed, 0, 12, &Cancel::new()).unwrap();
        let layer = layer_weights(&seed, 0, (3, 4), &Cancel::new()).unwrap();
        assert!(network.iter().zip(&layer).all(|(a, b)| a != b));
    }

    #[test]
    fn what_does_not_fit_and_a_raised_flag_are_errors() {
        let cancel = Cancel::new();
        let enormous = layer_weights(&[9; 8], 0, (1 << 40, 1 << 40), &cancel);
        assert!(matches!(enormous, Err(Error::Resource(_))));
        cancel.raise();
        assert!(matches!(
            network_weights(&[9; 8], 0, 3, &cancel),
            Err(Error::Interrupted)
        ));
    }
}
