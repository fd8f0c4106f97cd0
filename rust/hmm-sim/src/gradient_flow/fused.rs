//! The two passes over a ReLU layer for inputs of few dimensions, with nothing between them stored.
//!
//! For small d a product `A V^T` is bound by writing and reading its p x h entries. Here each
//! pre-activation lives in a register: the forward pass holds the inputs of a few examples there and
//! walks over the neurons, the backward pass holds a few neurons with their gradient and walks over
//! the examples. Each example's (neuron's) sum is taken in one order whatever the vector width.

use super::inputs::EXAMPLES;
use hmm_core::Real;
use hmm_core::instructions::arch;
use pulp::{Simd, WithSimd};

/// Neurons of a chunk of the backward pass.
pub const NEURONS: usize = 64;
/// Terms summed in working precision before they are added to a double-precision sum.
const BLOCK: usize = 256;

/// Floating-point types with fused kernels.
pub trait Fused: Real {
    /// Add `sum_n beta_n max(0, v_n.x + b_n)` to `out` for the examples of one chunk.
    ///
    /// `columns` (d, EXAMPLES), `weights` (h, d + 1) rows `(v_n, b_n)`, `beta` (h,). Nothing is added where `columns`
    /// are fewer.
    fn add_outputs(
        d: usize,
        columns: &[Self],
        weights: &[Self],
        beta: &[Self],
        out: &mut [f64; EXAMPLES],
    );

    /// Add `sum_mu slope_mu 1(v_n.x_mu + b_n > 0) (x_mu, 1)` to `out` for up to `NEURONS` neurons.
    ///
    /// `weights` (neurons, d + 1), `rows` (p, d), `slopes` (p,), `out` (d + 1, NEURONS). Nothing is added where `out` has
    /// less room or there are more neurons.
    fn add_forces(d: usize, weights: &[Self], rows: &[Self], slopes: &[Self], out: &mut [f64]);
}

macro_rules! for_dimension {
    ($d:expr, $dispatch:ident) => {
        match $d {
            1 => $dispatch!(1),
            2 => $dispatch!(2),
            3 => $dispatch!(3),
            4 => $dispatch!(4),
            5 => $dispatch!(5),
            6 => $dispatch!(6),
            7 => $dispatch!(7),
            8 => $dispatch!(8),
            9 => $dispatch!(9),
            10 => $dispatch!(10),
            11 => $dispatch!(11),
            12 => $dispatch!(12),
            13 => $dispatch!(13),
            14 => $dispatch!(14),
            15 => $dispatch!(15),
            16 => $dispatch!(16),
            20 => $dispatch!(20),
            // No such kernel: the caller asks `has_kernel` first.
            _ => {}
        }
    };
}

macro_rules! fused {
    (
        $real:ident, $splat:ident, $mul_add:ident, $add:ident, $max:ident, $greater:ident,
        $select:ident, $as_simd:ident, $as_mut_simd:ident, $lanes:ident, $vector:ident
    ) => {
        impl Fused for $real {
            #[expect(
                clippy::indexing_slicing,
                reason = "EXAMPLES is a multiple of two vectors of any machine, and d columns of as many entries are \
                          asked for at the door; `chunks_exact` gives rows of D + 1 weights"
            )]
            fn add_outputs(
                d: usize,
                columns: &[Self],
                weights: &[Self],
                beta: &[Self],
                out: &mut [f64; EXAMPLES],
            ) {
                struct Forward<'a, const D: usize> {
                    columns: &'a [$real],
                    weights: &'a [$real],
                    beta: &'a [$real],
                    out: &'a mut [f64; EXAMPLES],
                }

                impl<const D: usize> WithSimd for Forward<'_, D> {
                    type Output = ();

                    #[inline(always)]
                    fn with_simd<S: Simd>(self, simd: S) {
                        let zero = simd.$splat(0.0);
                        let vectors = EXAMPLES / S::$lanes;
                        let mut sums = [0.0 as $real; EXAMPLES];
                        for group in (0..vectors).step_by(2) {
                            let mut first = [zero; D];
                            let mut second = [zero; D];
                            for i in 0..D {
                                let row = &self.columns[i * EXAMPLES..(i + 1) * EXAMPLES];
                                let (row, _) = S::$as_simd(row);
                                first[i] = row[group];
                                second[i] = row[group + 1];
                            }
                            let blocks = self.weights.chunks(BLOCK * (D + 1));
                            for (weights, beta) in blocks.zip(self.beta.chunks(BLOCK)) {
                                let (mut sum_first, mut sum_second) = (zero, zero);
                                for (weights, beta) in weights.chunks_exact(D + 1).zip(beta) {
                                    let (weights, bias) = weights.split_at(D);
                                    let bias = simd.$splat(bias[0]);
                                    let (mut pre_first, mut pre_second) = (bias, bias);
                                    for i in 0..D {
                                        let weight = simd.$splat(weights[i]);
                                        pre_first = simd.$mul_add(first[i], weight, pre_first);
                                        pre_second = simd.$mul_add(second[i], weight, pre_second);
                                    }
                                    let beta = simd.$splat(*beta);
                                    sum_first =
                                        simd.$mul_add(beta, simd.$max(pre_first, zero), sum_first);
                                    sum_second = simd.$mul_add(
                                        beta,
                                        simd.$max(pre_second, zero),
                                        sum_second,
                                    );
                                }
                                let (slots, _) = S::$as_mut_simd(&mut sums);
                                slots[group] = sum_first;
                                slots[group + 1] = sum_second;
                                let lanes = group * S::$lanes..(group + 2) * S::$lanes;
                                for (out, sum) in
                                    self.out[lanes.clone()].iter_mut().zip(&sums[lanes])
                                {
                                    *out += sum.to_f64();
                                }
                            }
                        }
                    }
                }

                macro_rules! dispatch {
                    ($dimension:literal) => {
                        arch().dispatch(Forward::<$dimension> {
                            columns,
                            weights,
                            beta,
                            out,
                        })
                    };
                }
                if columns.len() >= d.saturating_mul(EXAMPLES) {
                    for_dimension!(d, dispatch);
                }
            }

            #[expect(
                clippy::indexing_slicing,
                reason = "NEURONS is a multiple of a vector of any machine, at most so many neurons and room for them \
                          in `out` are asked for at the door; `chunks_exact` gives rows of D inputs and D + 1 weights"
            )]
            fn add_forces(
                d: usize,
                weights: &[Self],
                rows: &[Self],
                slopes: &[Self],
                out: &mut [f64],
            ) {
                struct Backward<'a, const D: usize> {
                    weights: &'a [$real],
                    rows: &'a [$real],
                    slopes: &'a [$real],
                    out: &'a mut [f64],
                }

                impl<const D: usize> Backward<'_, D> {
                    /// The slope of an example where the neurons are active.
                    #[inline(always)]
                    fn gate<S: Simd>(
                        simd: S,
                        weight: &[S::$vector; D],
                        bias: S::$vector,
                        row: &[$real],
                        slope: $real,
                    ) -> S::$vector {
                        let mut pre = bias;
                        for i in 0..D {
                            pre = simd.$mul_add(weight[i], simd.$splat(row[i]), pre);
                        }
                        let zero = simd.$splat(0.0);
                        simd.$select(simd.$greater(pre, zero), simd.$splat(slope), zero)
                    }

                    #[inline(always)]
                    fn add<S: Simd>(
                        simd: S,
                        force: &mut [S::$vector; D],
                        bias_force: &mut S::$vector,
                        row: &[$real],
                        gate: S::$vector,
                    ) {
                        for i in 0..D {
                            force[i] = simd.$mul_add(gate, simd.$splat(row[i]), force[i]);
                        }
                        *bias_force = simd.$add(*bias_force, gate);
                    }
                }

                impl<const D: usize> WithSimd for Backward<'_, D> {
                    type Output = ();

                    #[inline(always)]
                    fn with_simd<S: Simd>(self, simd: S) {
                        let zero = simd.$splat(0.0);
                        // One input per row, one neuron per lane.
                        let mut lanes = [[0.0 as $real; NEURONS]; D];
                        let mut biases = [0.0 as $real; NEURONS];
                        for (n, weights) in self.weights.chunks_exact(D + 1).enumerate() {
                            for i in 0..D {
                                lanes[i][n] = weights[i];
                            }
                            biases[n] = weights[D];
                        }
                        let neurons = self.weights.len() / (D + 1);
                        let (biases, _) = S::$as_simd(&biases);
                        let mut sums = [0.0 as $real; NEURONS];
                        for vector in 0..neurons.div_ceil(S::$lanes) {
                            let mut weight = [zero; D];
                            for i in 0..D {
                                let (row, _) = S::$as_simd(&lanes[i]);
                                weight[i] = row[vector];
                            }
                            let bias = biases[vector];
                            let blocks = self.rows.chunks(BLOCK * D);
                            for (rows, slopes) in blocks.zip(self.slopes.chunks(BLOCK)) {
                                let mut force = [zero; D];
                                let mut bias_force = zero;
                                let rows = rows.chunks_exact(D);
                                // Where weights and force have no room in the registers together, each has its own pass.
                                if 2 * (D + 1) + 2 > S::REGISTER_COUNT {
                                    let mut gates = [zero; BLOCK];
                                    for ((gate, row), slope) in
                                        gates.iter_mut().zip(rows.clone()).zip(slopes)
                                    {
                                        *gate = Self::gate(simd, &weight, bias, row, *slope);
                                    }
                                    for (row, gate) in rows.zip(gates) {
                                        Self::add(simd, &mut force, &mut bias_force, row, gate);
                                    }
                                } else {
                                    for (row, slope) in rows.zip(slopes) {
                                        let gate = Self::gate(simd, &weight, bias, row, *slope);
                                        Self::add(simd, &mut force, &mut bias_force, row, gate);
                                    }
                                }
                                let lane = vector * S::$lanes..(vector + 1) * S::$lanes;
                                for i in 0..=D {
                                    let (slots, _) = S::$as_mut_simd(&mut sums);
                                    slots[vector] = if i < D { force[i] } else { bias_force };
                                    let out = &mut self.out[i * NEURONS..(i + 1) * NEURONS];
                                    for (out, sum) in
                                        out[lane.clone()].iter_mut().zip(&sums[lane.clone()])
                                    {
                                        *out += sum.to_f64();
                                    }
                                }
                            }
                        }
                    }
                }

                macro_rules! dispatch {
                    ($dimension:literal) => {
                        arch().dispatch(Backward::<$dimension> {
                            weights,
                            rows,
                            slopes,
                            out,
                        })
                    };
                }
                let sizes = d.saturating_add(1).saturating_mul(NEURONS);
                if weights.len() <= sizes && out.len() >= sizes {
                    for_dimension!(d, dispatch);
                }
            }
        }
    };
}

/// Whether there is a fused kernel for inputs of dimension `d`.
pub fn has_kernel(d: usize) -> bool {
    matches!(d, 1..=16 | 20)
}

fused!(
    f32,
    splat_f32s,
    mul_add_f32s,
    add_f32s,
    max_f32s,
    greater_than_f32s,
    select_f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    F32_LANES,
    f32s
);
fused!(
    f64,
    splat_f64s,
    mul_add_f64s,
    add_f64s,
    max_f64s,
    greater_than_f64s,
    select_f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    F64_LANES,
    f64s
);
