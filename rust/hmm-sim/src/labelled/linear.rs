//! Laws with a linear teacher along the first axis: the data of the hinge study.

use super::{finite, sign};
use hmm_core::random::{BLOCKS_OF_UNIT, Stream, UNITS_OF_STREAM, fill_normal};
use hmm_core::{Cancel, Error, Real, Result};
use rayon::prelude::*;

/// Numbers between two looks at the interruption flag.
const CHUNK: usize = 1 << 16;
/// Rows of a stream: unit and block together count 2^56.
const LENGTH: u64 = UNITS_OF_STREAM * BLOCKS_OF_UNIT;
/// Numbers of a row beyond its inputs: the coin of the mixture's label, the coin of the flip.
const COINS: usize = 2;

/// Where the inputs lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Linear {
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

impl Linear {
    pub(super) fn check(&self) -> Result<()> {
        match *self {
            Self::Separable { sigma } => finite(&[("sigma", sigma)]),
            Self::Sphere { radius } => finite(&[("radius", radius)]),
            Self::Mixture { mu, sigma } => finite(&[("mu", mu), ("sigma", sigma)]),
        }
    }

    /// Fill one input row and return its label. `normals` is scratch of length d + 2.
    fn row<T: Real>(
        &self,
        stream: &Stream,
        index: u64,
        normals: &mut [f64],
        x: &mut [T],
        flip: f64,
    ) -> T {
        fill_normal(&mut stream.generator((index >> 32) as u32, index), normals);
        let (coins, inputs) = normals.split_at_mut(COINS);
        let [label_coin, flip_coin] = *coins else {
            return T::ONE;
        };
        let first = |inputs: &[f64]| inputs.first().copied().unwrap_or_default();
        let label = match self {
            Self::Separable { sigma } => {
                for x in inputs.iter_mut() {
                    *x *= sigma;
                }
                sign(first(inputs))
            }
            Self::Sphere { radius } => {
                let norm = inputs.iter().map(|x| x * x).sum::<f64>().sqrt();
                for x in inputs.iter_mut() {
                    *x *= radius / norm;
                }
                sign(first(inputs))
            }
            Self::Mixture { mu, sigma } => {
                let y = sign(label_coin);
                for x in inputs.iter_mut() {
                    *x *= sigma;
                }
                if let Some(first) = inputs.first_mut() {
                    *first += y * mu;
                }
                y
            }
        };
        for (narrow, wide) in x.iter_mut().zip(inputs.iter()) {
            *narrow = T::from_f64(*wide);
        }
        // The distribution function of a normal is uniform.
        let uniform = 0.5 * libm::erfc(-flip_coin * std::f64::consts::FRAC_1_SQRT_2);
        T::from_f64(if uniform < flip { -label } else { label })
    }

    /// Rows `start..` of `stream`, each label flipped with probability `flip`.
    pub(super) fn fill<T: Real>(
        &self,
        stream: &Stream,
        start: u64,
        (x, y): (&mut [T], &mut [T]),
        d: usize,
        flip: f64,
        cancel: &Cancel,
    ) -> Result<()> {
        let count = y.len();
        if start
            .checked_add(count as u64)
            .is_none_or(|end| end > LENGTH)
        {
            return Err(Error::invalid(
                "start",
                start,
                format!("a stream has {LENGTH} examples, and {count} are asked for"),
                "start earlier, or name another stream with seed",
            ));
        }
        let chunk = (CHUNK / d).clamp(1, 1024);
        x.par_chunks_mut(chunk * d)
            .zip(y.par_chunks_mut(chunk))
            .enumerate()
            .try_for_each_init(
                || vec![0.0; d + COINS],
                |normals, (number, (x, y))| {
                    cancel.check()?;
                    for (k, (x, y)) in x.chunks_exact_mut(d).zip(y).enumerate() {
                        let index = start + (number * chunk + k) as u64;
                        *y = self.row(stream, index, normals, x, flip);
                    }
                    Ok(())
                },
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labelled::{LabelledLaw, Shape};
    use hmm_core::random::Purpose;
    use ndarray::{Array1, Array2, s};

    fn sample(
        law: LabelledLaw,
        start: u64,
        count: usize,
        clean: bool,
    ) -> (Array2<f64>, Array1<f64>) {
        let stream = Stream::new(&[3; 8], Purpose::Sample);
        law.sample(&stream, start, count, clean, &Cancel::new())
            .unwrap()
    }

    #[test]
    fn a_row_does_not_depend_on_its_neighbours() {
        let law = LabelledLaw::new(Shape::Linear(Linear::Sphere { radius: 2.0 }), 5, 0.3).unwrap();
        let (x, y) = sample(law, 0, 3000, false);
        let (tail, labels) = sample(law, 2990, 10, false);
        assert_eq!(x.slice(s![2990.., ..]), tail);
        assert_eq!(y.slice(s![2990..]), labels);
        assert!(
            x.rows()
                .into_iter()
                .all(|x| (x.dot(&x) - 4.0).abs() < 1e-12)
        );
    }

    #[test]
    fn flips_have_their_probability_and_leave_inputs_alone() {
        let shape = Linear::Mixture {
            mu: 1.0,
            sigma: 0.5,
        };
        let law = LabelledLaw::new(Shape::Linear(shape), 2, 0.2).unwrap();
        let (x, y) = sample(law, 0, 20_000, false);
        let (same, clean) = sample(law, 0, 20_000, true);
        assert_eq!(x, same);
        let flipped = y.iter().zip(&clean).filter(|(a, b)| a != b).count() as f64 / 20_000.0;
        // Five standard deviations of a binomial.
        assert!((flipped - 0.2).abs() < 5.0 * (0.16_f64 / 20_000.0).sqrt());
        let mean = x.column(0).dot(&clean) / 20_000.0;
        assert!((mean - 1.0).abs() < 5.0 * 0.5 / 20_000.0_f64.sqrt());
    }

    #[test]
    fn rows_beyond_the_stream_and_laws_of_nothing_are_refused() {
        let shape = Shape::Linear(Linear::Separable { sigma: 1.0 });
        let law = LabelledLaw::new(shape, 3, 0.0).unwrap();
        let stream = Stream::new(&[3; 8], Purpose::Sample);
        let last = law
            .sample(&stream, LENGTH - 2, 2, false, &Cancel::new())
            .unwrap();
        assert!(last.0.iter().all(|x| x.is_finite()));
        for start in [LENGTH - 1, LENGTH, u64::MAX] {
            let refused = law.sample(&stream, start, 2, false, &Cancel::new());
            assert!(refused.unwrap_err().to_string().contains("a stream has"));
        }
        for (d, flip) in [(0, 0.0), (1, -0.1), (1, 1.5), (1, f64::NAN)] {
            assert!(LabelledLaw::new(shape, d, flip).is_err());
        }
        let infinite = Shape::Linear(Linear::Sphere {
            radius: f64::INFINITY,
        });
        assert!(LabelledLaw::new(infinite, 3, 0.0).is_err());
    }
}
