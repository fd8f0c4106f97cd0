//! Independent Gaussian initial nodes.

use hmm_core::random::{Purpose, Seed, Stream, fill_normal};
use hmm_core::{Real, Result};
use rayon::prelude::*;

/// Stream unit of the nodes of a mean-field network.
const NODES: u32 = 1;

/// Initial weights of `M` nodes on `d` inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Nodes<T> {
    /// Output weights, shape (M,).
    pub a: Vec<T>,
    /// Input weights, shape (M, d), row by row.
    pub w: Vec<T>,
    /// Biases, shape (M,).
    pub b: Vec<T>,
}

/// Standard normal nodes times `std_a`, `std_w`, `std_b`.
///
/// Node `i` is a function of the seed, `d` and `i` alone: neither the number of nodes nor the number
/// of threads changes it, and neither does the presence of a bias.
///
/// # Errors
/// [`hmm_core::Error::Resource`] if the memory cannot be had.
pub fn random_nodes<T: Real>(
    seed: &Seed,
    width: usize,
    d: usize,
    (std_a, std_w, std_b): (f64, f64, f64),
) -> Result<Nodes<T>> {
    let stream = Stream::new(seed, Purpose::Weights);
    let mut nodes = Nodes {
        a: zeros(width, "the output weights")?,
        w: zeros(width.saturating_mul(d), "the input weights")?,
        b: zeros(width, "the biases")?,
    };
    nodes
        .w
        .par_chunks_exact_mut(d.max(1))
        .zip(nodes.a.par_iter_mut())
        .zip(nodes.b.par_iter_mut())
        .enumerate()
        .for_each_init(
            || vec![0.0_f64; d + 2],
            |normals, (node, ((w, a), b))| {
                fill_normal(&mut stream.generator(NODES, node as u64), normals);
                *a = T::from_f64(std_a * normals[0]);
                *b = T::from_f64(std_b * normals[1]);
                for (weight, normal) in w.iter_mut().zip(&normals[2..]) {
                    *weight = T::from_f64(std_w * normal);
                }
            },
        );
    Ok(nodes)
}

/// `length` zeros, or an error that says how much memory `what` needs.
pub(crate) fn zeros<T: Real>(length: usize, what: &str) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(length).map_err(|_| {
        hmm_core::Error::Resource(format!(
            "{what} need {:.1} GiB, which this machine does not give; use fewer nodes or float32",
            length as f64 * size_of::<T>() as f64 / (1_u64 << 30) as f64
        ))
    })?;
    values.resize(length, T::ZERO);
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_does_not_depend_on_how_many_there_are() {
        let few = random_nodes::<f64>(&[7; 8], 3, 5, (1.0, 2.0, 0.0)).unwrap();
        let many = random_nodes::<f64>(&[7; 8], 40, 5, (1.0, 2.0, 0.5)).unwrap();
        assert_eq!(few.a, many.a[..3]);
        assert_eq!(few.w, many.w[..15]);
        assert!(few.b.iter().all(|b| *b == 0.0));
    }

    #[test]
    fn weights_have_the_asked_variance() {
        let nodes = random_nodes::<f32>(&[1; 8], 20_000, 4, (0.5, 3.0, 2.0)).unwrap();
        let variance = |values: &[f32]| {
            values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64
        };
        // 20,000 squared normals average to one within 5 sqrt(2/20000) = 5 %.
        assert!((variance(&nodes.a) / 0.25 - 1.0).abs() < 0.05);
        assert!((variance(&nodes.w) / 9.0 - 1.0).abs() < 0.05);
        assert!((variance(&nodes.b) / 4.0 - 1.0).abs() < 0.05);
    }
}
