//! Independent Gaussian initial nodes.
//!
//! ```
//! use hmm_core::Cancel;
//! use hmm_sim::particles::initial::random_nodes;
//! let draw = |width| random_nodes::<f64>(&[1; 8], width, 3, (1.0, 2.0, 0.0), &Cancel::new());
//! let (few, many) = (draw(100)?, draw(40_000)?);
//! // A larger network holds the smaller one, node for node.
//! assert_eq!(few.w.row(99), many.w.row(99));
//! // C1 = E[a^2 + w_par^2]/2 = (1 + 4)/2, within five standard errors.
//! let power = many.a.iter().zip(many.w.column(0)).map(|(a, w)| 0.5 * (a * a + w * w));
//! let error = (0.25 * (2.0 + 32.0) / 40_000_f64).sqrt();
//! assert!((power.sum::<f64>() / 40_000.0 - 2.5).abs() < 5.0 * error);
//! # Ok::<(), hmm_core::Error>(())
//! ```

use crate::weights::{NODE_UNIT, PIECE};
use hmm_core::memory::{bytes_of, require, zero_matrix, zeros};
use hmm_core::random::{BLOCKS_OF_UNIT, Purpose, Seed, Stream, fill_normal};
use hmm_core::{Cancel, Error, Real, Result};
use ndarray::{Array1, Array2, ArrayViewMut1, ArrayViewMut2};
use rayon::prelude::*;
use std::ops::Range;

/// What asks for memory.
pub const NODES: &str = "a random network";
/// What to do where there is too little.
pub const FEWER: &str = "use fewer nodes or float32";

/// Initial weights of `M` nodes on `d` inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Nodes<T> {
    /// Output weights, shape (M,).
    pub a: Array1<T>,
    /// Input weights, shape (M, d).
    pub w: Array2<T>,
    /// Biases, shape (M,).
    pub b: Array1<T>,
}

hmm_core::named! {
    /// How the second half of a network's nodes follows from the first.
    pub enum Pairing: "paired" {
        /// (a, w, b) and (-a, w, b): the output is zero exactly.
        Even = "even",
        /// (a, w, b) and (-a, -w, b): the output is odd in x.
        Odd = "odd",
    }
}

/// Standard normal nodes times `std_a`, `std_w`, `std_b`.
///
/// Node `i` is a function of the seed, `d` and `i` alone: neither the number of nodes nor the number
/// of threads changes it, and neither does the presence of a bias.
///
/// # Errors
/// No nodes or inputs, more nodes than their stream has; [`Error::Resource`] if the memory cannot be had;
/// [`Error::Interrupted`].
pub fn random_nodes<T: Real>(
    seed: &Seed,
    width: usize,
    d: usize,
    scales: (f64, f64, f64),
    cancel: &Cancel,
) -> Result<Nodes<T>> {
    let drawing = Drawing {
        seed: *seed,
        width,
        d,
        scales,
        pairing: None,
    };
    drawing.nodes(0..width, cancel)
}

/// The law of a random network's nodes: any range of them can be drawn without the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawing {
    /// Seed of the nodes.
    pub seed: Seed,
    /// Nodes of the whole network.
    pub width: usize,
    /// Inputs of a node.
    pub d: usize,
    /// Standard deviations of a, w and b.
    pub scales: (f64, f64, f64),
    /// Whether, and how, the second half repeats the first; needs an even width.
    pub pairing: Option<Pairing>,
}

impl Drawing {
    /// The nodes of a range, shape (range, d).
    ///
    /// # Errors
    /// As of [`random_nodes`]; a range outside of the network, an odd number of nodes in pairs.
    pub fn nodes<T: Real>(&self, range: Range<usize>, cancel: &Cancel) -> Result<Nodes<T>> {
        let count = range.len();
        let mut nodes = Nodes {
            a: Array1::from(zeros(count, NODES, FEWER)?),
            w: zero_matrix((count, self.d), NODES, FEWER)?,
            b: Array1::from(zeros(count, NODES, FEWER)?),
        };
        let Nodes { a, w, b } = &mut nodes;
        let arrays = (a.view_mut(), w.view_mut(), b.view_mut());
        self.fill(range, arrays, cancel)?;
        Ok(nodes)
    }

    /// [`Self::nodes`] into contiguous arrays of the caller: a, w and b.
    ///
    /// # Errors
    /// As there; arrays that do not fit the range or are not contiguous.
    pub fn fill<T: Real>(
        &self,
        range: Range<usize>,
        (mut a, mut w, mut b): (
            ArrayViewMut1<'_, T>,
            ArrayViewMut2<'_, T>,
            ArrayViewMut1<'_, T>,
        ),
        cancel: &Cancel,
    ) -> Result<()> {
        let Self { width, d, .. } = *self;
        let count = range.len();
        let fits = (a.len(), w.dim(), b.len()) == (count, (count, d), count);
        let arrays = (a.as_slice_mut(), w.as_slice_mut(), b.as_slice_mut());
        let possible = width > 0 && d > 0 && width as u64 <= BLOCKS_OF_UNIT;
        let (true, (Some(a), Some(w), Some(b))) = (fits && possible, arrays) else {
            return Err(Error::shape(
                "w",
                &[width, d],
                format!("must have between 1 and {BLOCKS_OF_UNIT} nodes, and inputs"),
                "pass such numbers",
            ));
        };
        if range.is_empty() || range.end > width || (self.pairing.is_some() && width % 2 == 1) {
            return Err(Error::shape(
                "w",
                &[range.start, range.end],
                format!("must be nodes of {width}, whose number is even where they are in pairs"),
                "pass a range of the network",
            ));
        }
        let stream = Stream::new(&self.seed, Purpose::Weights);
        let scratch = d.saturating_mul(rayon::current_num_threads().min(count));
        require(bytes_of::<f64>(scratch), NODES, FEWER)?;
        let (std_a, std_w, std_b) = self.scales;
        w.par_chunks_exact_mut(d)
            .zip(a.par_iter_mut())
            .zip(b.par_iter_mut())
            .enumerate()
            .try_for_each_init(
                || vec![0.0_f64; d + 2],
                |normals, (place, ((w, a), b))| {
                    let (node, sign_a, sign_w) = self.origin(range.start + place);
                    let mut generator = stream.generator(NODE_UNIT, node as u64);
                    for piece in normals.chunks_mut(PIECE) {
                        cancel.check()?;
                        fill_normal(&mut generator, piece);
                    }
                    if let [of_a, of_b, of_w @ ..] = normals.as_slice() {
                        *a = T::from_f64(sign_a * std_a * of_a);
                        *b = T::from_f64(std_b * of_b);
                        for (weight, normal) in w.iter_mut().zip(of_w) {
                            *weight = T::from_f64(sign_w * std_w * normal);
                        }
                    }
                    Ok(())
                },
            )
    }

    /// The node that is drawn for node `i`, and the signs that its a and its w get.
    fn origin(&self, i: usize) -> (usize, f64, f64) {
        let half = self.width / 2;
        match self.pairing {
            Some(Pairing::Even) if i >= half => (i - half, -1.0, 1.0),
            Some(Pairing::Odd) if i >= half => (i - half, -1.0, -1.0),
            _ => (i, 1.0, 1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, Dimension, s};

    #[test]
    fn a_node_does_not_depend_on_how_many_there_are() {
        let draw = |width, std_b| {
            let scales = (1.0, 2.0, std_b);
            random_nodes::<f64>(&[7; 8], width, 5, scales, &Cancel::new()).unwrap()
        };
        let (few, many) = (draw(3, 0.0), draw(40, 0.5));
        assert_eq!(few.a, many.a.slice(s![..3]));
        assert_eq!(few.w, many.w.slice(s![..3, ..]));
        assert!(few.b.iter().all(|b| *b == 0.0));
    }

    #[test]
    fn a_range_is_cut_out_of_the_whole() {
        let cancel = Cancel::new();
        for pairing in [None, Some(Pairing::Even), Some(Pairing::Odd)] {
            let drawing = Drawing {
                seed: [3; 8],
                width: 12,
                d: 4,
                scales: (1.0, 2.0, 0.5),
                pairing,
            };
            let whole = drawing.nodes::<f64>(0..12, &cancel).unwrap();
            let part = drawing.nodes::<f64>(4..9, &cancel).unwrap();
            assert_eq!(part.a, whole.a.slice(s![4..9]));
            assert_eq!(part.w, whole.w.slice(s![4..9, ..]));
            assert_eq!(part.b, whole.b.slice(s![4..9]));
            if pairing.is_some() {
                assert_eq!(whole.a.slice(s![6..]), -&whole.a.slice(s![..6]));
            }
            assert!(drawing.nodes::<f64>(4..13, &cancel).is_err());
            assert!(drawing.nodes::<f64>(4..4, &cancel).is_err());
        }
    }

    #[test]
    fn no_nodes_too_many_and_a_raised_flag_are_refused() {
        let cancel = Cancel::new();
        for (width, d) in [(0, 3), (3, 0), (1 << 33, 1), (1 << 31, 1 << 40)] {
            assert!(random_nodes::<f64>(&[7; 8], width, d, (1.0, 1.0, 1.0), &cancel).is_err());
        }
        cancel.raise();
        let outcome = random_nodes::<f64>(&[7; 8], 3, 3, (1.0, 1.0, 1.0), &cancel);
        assert!(matches!(outcome, Err(Error::Interrupted)));
    }

    fn variance<D: Dimension>(values: &Array<f32, D>) -> f64 {
        values.mapv(|v| f64::from(v).powi(2)).mean().unwrap()
    }

    #[test]
    fn weights_have_the_asked_variance() {
        let scales = (0.5, 3.0, 2.0);
        let nodes = random_nodes::<f32>(&[1; 8], 20_000, 4, scales, &Cancel::new()).unwrap();
        // 20,000 squared normals average to one within 5 sqrt(2/20000) = 5 %.
        assert!((variance(&nodes.a) / 0.25 - 1.0).abs() < 0.05);
        assert!((variance(&nodes.w) / 9.0 - 1.0).abs() < 0.05);
        assert!((variance(&nodes.b) / 4.0 - 1.0).abs() < 0.05);
    }
}
