//! Labelled inputs: `(x, y)` with `y = +-1`, the teacher along the first axis.
//!
//! Row `j` of a stream is a function of the seed, the stream, the law and `j` alone.

use hmm_core::random::{Stream, fill_normal};
use hmm_core::{Cancel, Real, Result};
use rayon::prelude::*;

/// Rows between two looks at the interruption flag.
const CHUNK: usize = 1024;

/// Shape of a data law.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// `x ~ N(0, sigma^2)`, `y = sign(x_1)`.
    Separable {
        /// Standard deviation of an input.
        sigma: f64,
    },
    /// `x` uniform on a sphere, `y = sign(x_1)`.
    Sphere {
        /// Radius of the sphere.
        radius: f64,
    },
    /// `x = y mu e_1 + sigma xi`, both labels equally likely.
    Mixture {
        /// Distance of the cluster centres from the origin.
        mu: f64,
        /// Standard deviation of an input.
        sigma: f64,
    },
}

/// A law of labelled inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelledLaw {
    /// Shape of the law.
    pub shape: Shape,
    /// Number of inputs.
    pub d: usize,
    /// Probability of a flipped label.
    pub flip: f64,
}

/// Numbers of a row beyond its inputs: the coin of the mixture's label, the coin of the flip.
const COINS: usize = 2;

impl LabelledLaw {
    /// Fill one input row and return its label. `normals` is scratch of length d + 2.
    fn row<T: Real>(
        &self,
        stream: &Stream,
        index: u64,
        normals: &mut [f64],
        x: &mut [T],
        clean: bool,
    ) -> T {
        // Unit and block together count 2^56 rows.
        fill_normal(&mut stream.generator((index >> 32) as u32, index), normals);
        let (coins, inputs) = normals.split_at_mut(COINS);
        let label = match self.shape {
            Shape::Separable { sigma } => {
                for x in inputs.iter_mut() {
                    *x *= sigma;
                }
                sign(inputs[0])
            }
            Shape::Sphere { radius } => {
                let norm = inputs.iter().map(|x| x * x).sum::<f64>().sqrt();
                for x in inputs.iter_mut() {
                    *x *= radius / norm;
                }
                sign(inputs[0])
            }
            Shape::Mixture { mu, sigma } => {
                let y = sign(coins[0]);
                for x in inputs.iter_mut() {
                    *x *= sigma;
                }
                inputs[0] += y * mu;
                y
            }
        };
        for (narrow, wide) in x.iter_mut().zip(inputs.iter()) {
            *narrow = T::from_f64(*wide);
        }
        // The distribution function of a normal is uniform.
        let uniform = 0.5 * libm::erfc(-coins[1] * std::f64::consts::FRAC_1_SQRT_2);
        let flipped = !clean && uniform < self.flip;
        T::from_f64(if flipped { -label } else { label })
    }

    /// Fill `x` (rows of length d) and `y` with the rows `start..` of `stream`; `clean` leaves out the
    /// label flips.
    ///
    /// # Errors
    /// [`hmm_core::Error::Interrupted`].
    pub fn fill<T: Real>(
        &self,
        stream: &Stream,
        start: u64,
        x: &mut [T],
        y: &mut [T],
        clean: bool,
        cancel: &Cancel,
    ) -> Result<()> {
        x.par_chunks_mut(CHUNK * self.d)
            .zip(y.par_chunks_mut(CHUNK))
            .enumerate()
            .try_for_each_init(
                || vec![0.0; self.d + COINS],
                |normals, (chunk, (x, y))| {
                    cancel.check()?;
                    for (k, (x, y)) in x.chunks_exact_mut(self.d).zip(y).enumerate() {
                        let index = start + (chunk * CHUNK + k) as u64;
                        *y = self.row(stream, index, normals, x, clean);
                    }
                    Ok(())
                },
            )
    }
}

/// The sign as a label: +1 at zero.
fn sign(x: f64) -> f64 {
    if x < 0.0 { -1.0 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmm_core::random::Purpose;

    fn sample(law: LabelledLaw, start: u64, count: usize, clean: bool) -> (Vec<f64>, Vec<f64>) {
        let (mut x, mut y) = (vec![0.0; count * law.d], vec![0.0; count]);
        let stream = Stream::new(&[3; 8], Purpose::Sample);
        law.fill(&stream, start, &mut x, &mut y, clean, &Cancel::new())
            .unwrap();
        (x, y)
    }

    #[test]
    fn a_row_does_not_depend_on_its_neighbours() {
        let law = LabelledLaw {
            shape: Shape::Sphere { radius: 2.0 },
            d: 5,
            flip: 0.3,
        };
        let (x, y) = sample(law, 0, 3000, false);
        let (tail, labels) = sample(law, 2990, 10, false);
        assert_eq!(x[2990 * 5..], tail);
        assert_eq!(y[2990..], labels);
        assert!(
            x.chunks(5)
                .all(|x| (x.iter().map(|x| x * x).sum::<f64>() - 4.0).abs() < 1e-12)
        );
    }

    #[test]
    fn flips_have_their_probability_and_leave_inputs_alone() {
        let law = LabelledLaw {
            shape: Shape::Mixture {
                mu: 1.0,
                sigma: 0.5,
            },
            d: 2,
            flip: 0.2,
        };
        let (x, y) = sample(law, 0, 20_000, false);
        let (same, clean) = sample(law, 0, 20_000, true);
        assert_eq!(x, same);
        let flipped = y.iter().zip(&clean).filter(|(a, b)| a != b).count() as f64 / 20_000.0;
        // Five standard deviations of a binomial.
        assert!((flipped - 0.2).abs() < 5.0 * (0.16_f64 / 20_000.0).sqrt());
        let mean = x.chunks(2).zip(&clean).map(|(x, y)| x[0] * y).sum::<f64>() / 20_000.0;
        assert!((mean - 1.0).abs() < 5.0 * 0.5 / 20_000.0_f64.sqrt());
    }
}
