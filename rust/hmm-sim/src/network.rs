//! Outputs of a network in the mean-field scaling, `f(x) = (1/M) sum_i a_i g(w_i.x / sqrt d + b_i)`.

use hmm_core::linalg::{matmul, rows, rows_mut};
use hmm_core::memory::zeros;
use hmm_core::parallel::sum_chunks;
use hmm_core::special::map_in_place;
use hmm_core::{Activation, Cancel, Error, Named, Real, Result};
use ndarray::{Array1, ArrayView1, ArrayView2};
use rayon::prelude::*;

/// Inputs taken at a time.
const ROWS: usize = 128;
/// Nodes taken at a time, fewer where inputs are long.
const NODES: usize = 1024;
/// Multiplications between two looks at the flag.
const WORK: usize = 1 << 27;

/// Units that nodes may have.
pub const UNITS: [Activation; 4] = [
    Activation::Relu,
    Activation::Sqrt2Relu,
    Activation::Erf,
    Activation::Tanh,
];

/// A network of M nodes on d inputs.
#[derive(Debug, Clone, Copy)]
pub struct MeanField<'a, T> {
    /// Output weights, shape (M,).
    pub a: ArrayView1<'a, T>,
    /// Input weights, shape (M, d).
    pub w: ArrayView2<'a, T>,
    /// Biases, shape (M,), or none.
    pub b: Option<ArrayView1<'a, T>>,
    /// g, one of [`UNITS`].
    pub activation: Activation,
}

impl<T: Real> MeanField<'_, T> {
    /// f of every row of `x`, shape (P, d) -> (P,); sums over nodes run in double precision and in a fixed order.
    ///
    /// # Errors
    /// Shapes that do not fit, arrays that are not contiguous, another unit, [`Error::Resource`], an interruption.
    ///
    /// ```
    /// use hmm_core::{Activation, Cancel};
    /// use hmm_sim::network::MeanField;
    /// use ndarray::{arr1, arr2};
    /// let (a, w) = (arr1(&[1.0, -1.0]), arr2(&[[2.0], [-6.0]]));
    /// let network = MeanField { a: a.view(), w: w.view(), b: None, activation: Activation::Relu };
    /// assert_eq!(network.outputs(arr2(&[[1.0], [-1.0]]).view(), &Cancel::new())?, arr1(&[1.0, -3.0]));
    /// # Ok::<(), hmm_core::Error>(())
    /// ```
    pub fn outputs(&self, x: ArrayView2<'_, T>, cancel: &Cancel) -> Result<Array1<T>> {
        let (width, d) = self.w.dim();
        let (count, columns) = x.dim();
        let biased = self.b.is_none_or(|b| b.len() == width);
        if columns != d || self.a.len() != width || !biased || self.w.is_empty() || count == 0 {
            return Err(self.misfit(x));
        }
        // Refused before the work: the unit is applied without a look at its kind.
        Activation::one_of("activation", self.activation.name(), &UNITS)?;
        let (Some(inputs), Some(w)) = (x.as_slice(), self.w.as_slice()) else {
            return Err(self.misfit(x));
        };
        let nodes = (WORK / (ROWS * d)).clamp(1, NODES);
        let mut result = zeros(count, "the outputs", "pass fewer inputs")?;
        result
            .par_chunks_mut(ROWS)
            .zip(inputs.par_chunks(ROWS * d))
            .try_for_each(|(out, x)| {
                let sums = sum_chunks(
                    width.div_ceil(nodes),
                    vec![0.0; out.len()],
                    |chunk| {
                        cancel.check()?;
                        let first = chunk * nodes;
                        let last = width.min(first + nodes);
                        let w = w.chunks(nodes * d).nth(chunk).unwrap_or_default();
                        Ok(self.partial(x, w, first..last))
                    },
                    |sums, part| {
                        for (sum, part) in sums.iter_mut().zip(part) {
                            *sum += part;
                        }
                    },
                )?;
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = T::from_f64(sum / width as f64);
                }
                Ok::<(), Error>(())
            })?;
        Ok(Array1::from(result))
    }

    /// Sum over some nodes, of weights `w`, for the rows of `x`.
    fn partial(&self, x: &[T], w: &[T], nodes: std::ops::Range<usize>) -> Vec<f64> {
        let d = self.w.ncols();
        let (count, width) = (x.len() / d, nodes.len());
        let mut values = vec![T::ZERO; count * width];
        matmul(
            rows_mut(&mut values, count, width),
            rows(x, count, d),
            rows(w, width, d).transpose(),
            T::from_f64(1.0 / (d as f64).sqrt()),
        );
        if let Some(b) = self.b {
            for row in values.chunks_exact_mut(width) {
                for (value, b) in row.iter_mut().zip(b.iter().skip(nodes.start)) {
                    *value += *b;
                }
            }
        }
        self.apply(&mut values);
        let a = self.a.iter().skip(nodes.start).take(width);
        let a: Vec<f64> = a.map(|a| a.to_f64()).collect();
        let mut wide = vec![0.0; width];
        values
            .chunks_exact(width)
            .map(|row| {
                for (wide, value) in wide.iter_mut().zip(row) {
                    *wide = value.to_f64();
                }
                f64::dot(&a, &wide)
            })
            .collect()
    }

    fn apply(&self, values: &mut [T]) {
        match self.activation {
            Activation::Erf => map_in_place(
                values,
                #[inline(always)]
                |z: T| z.erf_sqrt2(),
            ),
            Activation::Tanh => map_in_place(
                values,
                #[inline(always)]
                |z: T| z.hyperbolic_tangent(),
            ),
            _ => {
                let slope = T::from_f64(if self.activation == Activation::Sqrt2Relu {
                    std::f64::consts::SQRT_2
                } else {
                    1.0
                });
                map_in_place(
                    values,
                    #[inline(always)]
                    move |z: T| slope * z.larger(T::ZERO),
                );
            }
        }
    }

    fn misfit(&self, x: ArrayView2<'_, T>) -> Error {
        Error::shape(
            "X",
            x.shape(),
            format!(
                "must be (P, d), contiguous as w {:?} = (M, d) is, with a {:?} and b of M entries",
                self.w.shape(),
                self.a.shape()
            ),
            "pass arrays of these shapes",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmm_core::parallel::pool;
    use ndarray::{Array2, arr1, arr2};

    #[test]
    fn outputs_are_averages_over_nodes_on_any_number_of_threads() {
        let wave = |i: usize, j: usize| (1.3 * i as f64 + 0.7 * j as f64 + 0.1).sin();
        let (width, d, count) = (2500, 7, 300);
        let w = Array2::from_shape_fn((width, d), |(i, j)| wave(i, j));
        let a: Array1<f64> = (0..width).map(|i| wave(i, 11)).collect();
        let b: Array1<f64> = (0..width).map(|i| wave(i, 17)).collect();
        let x = Array2::from_shape_fn((count, d), |(i, j)| wave(j, i));
        for activation in UNITS {
            let network = MeanField {
                a: a.view(),
                w: w.view(),
                b: Some(b.view()),
                activation,
            };
            let run = |threads| {
                let work = || network.outputs(x.view(), &Cancel::new()).unwrap();
                pool(Some(threads)).unwrap().install(work)
            };
            let first = run(1);
            for threads in [2, 3, 7] {
                assert_eq!(run(threads), first);
            }
            for (row, out) in x.rows().into_iter().zip(&first) {
                let mut expected = 0.0;
                for i in 0..width {
                    let z = w.row(i).dot(&row) / (d as f64).sqrt() + b[i];
                    expected += a[i]
                        * match activation {
                            Activation::Erf => libm::erf(z / 2.0_f64.sqrt()),
                            Activation::Tanh => z.tanh(),
                            Activation::Sqrt2Relu => 2.0_f64.sqrt() * z.max(0.0),
                            _ => z.max(0.0),
                        };
                }
                assert!((expected / width as f64 - out).abs() < 1e-13);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (a, w) = (arr1(&[1.0, 2.0]), arr2(&[[1.0], [2.0]]));
        let network = |activation| MeanField {
            a: a.view(),
            w: w.view(),
            b: None,
            activation,
        };
        let one = arr2(&[[1.0]]);
        for x in [arr2(&[[1.0, 2.0]]), Array2::zeros((0, 1))] {
            assert!(
                network(Activation::Relu)
                    .outputs(x.view(), &Cancel::new())
                    .is_err()
            );
        }
        let refused = network(Activation::Sign).outputs(one.view(), &Cancel::new());
        assert!(refused.unwrap_err().to_string().contains("'sqrt2_relu'"));
        let cancel = Cancel::new();
        cancel.raise();
        assert!(
            network(Activation::Relu)
                .outputs(one.view(), &cancel)
                .is_err()
        );
    }
}
