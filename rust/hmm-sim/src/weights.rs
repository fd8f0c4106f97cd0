//! Independent normals as weights, one random stream a purpose: what is drawn with equal seeds never coincides.
//!
//! ```
//! use hmm_core::Cancel;
//! use hmm_sim::weights::{layer_weights, network_weights};
//! use ndarray::Array1;
//! let (seed, count, cancel) = ([7; 8], 100_000, Cancel::new());
//! let mut w = vec![0.0; count];
//! network_weights(&seed, 0, &mut w, &cancel)?;
//! let w = Array1::from(w);
//! // Moments 1 and 3 of a normal, within five standard errors √(2/count) and √(96/count).
//! let moment = |power| w.mapv(|w: f64| w.powi(power)).sum() / count as f64;
//! assert!((moment(2) - 1.0).abs() < 5.0 * (2.0 / count as f64).sqrt());
//! assert!((moment(4) - 3.0).abs() < 5.0 * (96.0 / count as f64).sqrt());
//! // A layer drawn with the same seed is independent of them.
//! let mut layer = vec![0.0; count];
//! layer_weights(&seed, 0, &mut layer, &cancel)?;
//! assert!((w.dot(&Array1::from(layer)) / count as f64).abs() < 5.0 / (count as f64).sqrt());
//! # Ok::<(), hmm_core::Error>(())
//! ```

use hmm_core::random::{Purpose, Seed, Stream, fill_normal};
use hmm_core::{Cancel, Result};

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

/// Standard normals for the weights of a network, from unit `unit` of its stream.
///
/// # Errors
/// An interruption.
pub fn network_weights(seed: &Seed, unit: u32, values: &mut [f64], cancel: &Cancel) -> Result<()> {
    fill(seed, Purpose::Weights, unit, values, cancel)
}

/// Standard normals for layer number `layer` of a random generator, (width x fan-in).
///
/// # Errors
/// An interruption.
pub fn layer_weights(seed: &Seed, layer: u32, values: &mut [f64], cancel: &Cancel) -> Result<()> {
    fill(seed, Purpose::Layers, layer, values, cancel)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmm_core::Error;

    #[test]
    fn pieces_have_the_bits_of_one_stretch() {
        let seed = [9; 8];
        let count = PIECE + 333;
        let mut weights = vec![0.0; count];
        network_weights(&seed, 0, &mut weights, &Cancel::new()).unwrap();
        let mut whole = vec![0.0; count];
        fill_normal(
            &mut Stream::new(&seed, Purpose::Weights).generator(0, 0),
            &mut whole,
        );
        assert_eq!(weights, whole);
    }

    #[test]
    fn a_generator_does_not_share_numbers_with_a_network() {
        let seed = [9; 8];
        let (mut network, mut layer) = ([0.0; 12], [0.0; 12]);
        network_weights(&seed, 0, &mut network, &Cancel::new()).unwrap();
        layer_weights(&seed, 0, &mut layer, &Cancel::new()).unwrap();
        assert!(network.iter().zip(&layer).all(|(a, b)| a != b));
    }

    #[test]
    fn a_raised_flag_is_an_error() {
        let cancel = Cancel::new();
        cancel.raise();
        assert!(matches!(
            network_weights(&[9; 8], 0, &mut [0.0; 3], &cancel),
            Err(Error::Interrupted)
        ));
    }
}
