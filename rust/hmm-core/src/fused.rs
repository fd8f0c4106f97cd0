//! Vector kernels that pass over memory once: scalar product, and update with scalar product.
//!
//! Written with explicit vectors because the compiler does not find them: left to itself it
//! compiles the same loops to scalar code (five times slower at 1000 entries).

/// Independent accumulators: enough to hide the latency of a fused multiply-add.
const CHAINS: usize = 4;

macro_rules! fused_kernels {
    ($module:ident, $type:ident, $as_simd:ident, $as_mut_simd:ident, $splat:ident, $mul:ident, $add:ident,
     $mul_add:ident, $reduce_sum:ident) => {
        /// The kernels of one precision.
        pub mod $module {
            use super::CHAINS;
            use pulp::{Simd, WithSimd};

            struct Dot<'a> {
                a: &'a [$type],
                b: &'a [$type],
            }

            impl WithSimd for Dot<'_> {
                type Output = $type;

                #[inline(always)]
                fn with_simd<S: Simd>(self, simd: S) -> $type {
                    let (a, a_rest) = S::$as_simd(self.a);
                    let (b, b_rest) = S::$as_simd(self.b);
                    let mut sums = [simd.$splat(0.0); CHAINS];
                    let (a_chunks, a_tail) = a.as_chunks::<CHAINS>();
                    let (b_chunks, b_tail) = b.as_chunks::<CHAINS>();
                    for (a, b) in a_chunks.iter().zip(b_chunks) {
                        sums[0] = simd.$mul_add(a[0], b[0], sums[0]);
                        sums[1] = simd.$mul_add(a[1], b[1], sums[1]);
                        sums[2] = simd.$mul_add(a[2], b[2], sums[2]);
                        sums[3] = simd.$mul_add(a[3], b[3], sums[3]);
                    }
                    for (&a, &b) in a_tail.iter().zip(b_tail) {
                        sums[0] = simd.$mul_add(a, b, sums[0]);
                    }
                    let total = simd.$add(simd.$add(sums[0], sums[1]), simd.$add(sums[2], sums[3]));
                    let mut total = simd.$reduce_sum(total);
                    for (&a, &b) in a_rest.iter().zip(b_rest) {
                        total = a.mul_add(b, total);
                    }
                    total
                }
            }

            struct UpdateDot<'a> {
                w: &'a mut [$type],
                keep: $type,
                change: $type,
                before: &'a [$type],
                x: &'a [$type],
            }

            impl WithSimd for UpdateDot<'_> {
                type Output = $type;

                #[inline(always)]
                fn with_simd<S: Simd>(self, simd: S) -> $type {
                    let (w, w_rest) = S::$as_mut_simd(self.w);
                    let (b, b_rest) = S::$as_simd(self.before);
                    let (x, x_rest) = S::$as_simd(self.x);
                    let (keep, change) = (simd.$splat(self.keep), simd.$splat(self.change));
                    let mut sums = [simd.$splat(0.0); CHAINS];
                    let (w_chunks, w_tail) = w.as_chunks_mut::<CHAINS>();
                    let (b_chunks, b_tail) = b.as_chunks::<CHAINS>();
                    let (x_chunks, x_tail) = x.as_chunks::<CHAINS>();
                    for ((w, b), x) in w_chunks.iter_mut().zip(b_chunks).zip(x_chunks) {
                        w[0] = simd.$mul_add(change, b[0], simd.$mul(keep, w[0]));
                        sums[0] = simd.$mul_add(w[0], x[0], sums[0]);
                        w[1] = simd.$mul_add(change, b[1], simd.$mul(keep, w[1]));
                        sums[1] = simd.$mul_add(w[1], x[1], sums[1]);
                        w[2] = simd.$mul_add(change, b[2], simd.$mul(keep, w[2]));
                        sums[2] = simd.$mul_add(w[2], x[2], sums[2]);
                        w[3] = simd.$mul_add(change, b[3], simd.$mul(keep, w[3]));
                        sums[3] = simd.$mul_add(w[3], x[3], sums[3]);
                    }
                    for ((w, &b), &x) in w_tail.iter_mut().zip(b_tail).zip(x_tail) {
                        *w = simd.$mul_add(change, b, simd.$mul(keep, *w));
                        sums[0] = simd.$mul_add(*w, x, sums[0]);
                    }
                    let total = simd.$add(simd.$add(sums[0], sums[1]), simd.$add(sums[2], sums[3]));
                    let mut total = simd.$reduce_sum(total);
                    for ((w, &b), &x) in w_rest.iter_mut().zip(b_rest).zip(x_rest) {
                        *w = self.change.mul_add(b, self.keep * *w);
                        total = w.mul_add(x, total);
                    }
                    total
                }
            }

            struct Update<'a> {
                w: &'a mut [$type],
                keep: $type,
                change: $type,
                x: &'a [$type],
            }

            impl WithSimd for Update<'_> {
                type Output = ();

                #[inline(always)]
                fn with_simd<S: Simd>(self, simd: S) {
                    let (w, w_rest) = S::$as_mut_simd(self.w);
                    let (x, x_rest) = S::$as_simd(self.x);
                    let (keep, change) = (simd.$splat(self.keep), simd.$splat(self.change));
                    for (w, &x) in w.iter_mut().zip(x) {
                        *w = simd.$mul_add(change, x, simd.$mul(keep, *w));
                    }
                    for (w, &x) in w_rest.iter_mut().zip(x_rest) {
                        *w = self.change.mul_add(x, self.keep * *w);
                    }
                }
            }

            /// a . b
            #[inline]
            pub fn dot(a: &[$type], b: &[$type]) -> $type {
                crate::instructions::arch().dispatch(Dot { a, b })
            }

            /// w <- keep w + change x
            #[inline]
            pub fn update(w: &mut [$type], keep: $type, change: $type, x: &[$type]) {
                crate::instructions::arch().dispatch(Update { w, keep, change, x });
            }

            /// w <- keep w + change before, then w . x: the bits of [`update`] and [`dot`] in one pass.
            #[inline]
            pub fn update_dot(
                w: &mut [$type],
                keep: $type,
                change: $type,
                before: &[$type],
                x: &[$type],
            ) -> $type {
                crate::instructions::arch().dispatch(UpdateDot {
                    w,
                    keep,
                    change,
                    before,
                    x,
                })
            }
        }
    };
}

fused_kernels!(
    f32,
    f32,
    as_simd_f32s,
    as_mut_simd_f32s,
    splat_f32s,
    mul_f32s,
    add_f32s,
    mul_add_f32s,
    reduce_sum_f32s
);
fused_kernels!(
    f64,
    f64,
    as_simd_f64s,
    as_mut_simd_f64s,
    splat_f64s,
    mul_f64s,
    add_f64s,
    mul_add_f64s,
    reduce_sum_f64s
);

#[cfg(test)]
mod tests {
    use super::{f32 as single, f64 as double};

    fn numbers(n: usize, seed: u64) -> Vec<f64> {
        (0..n as u64)
            .map(|i| ((i * 7919 + seed * 104_729) % 1009) as f64 / 504.5 - 1.0)
            .collect()
    }

    #[test]
    fn one_pass_has_the_bits_of_two() {
        for n in [0, 1, 7, 8, 31, 32, 33, 100, 1000, 1023] {
            let (w, b, x) = (numbers(n, 1), numbers(n, 2), numbers(n, 3));
            let (mut once, mut twice) = (w.clone(), w.clone());
            let fused = double::update_dot(&mut once, 0.9, -0.3, &b, &x);
            double::update(&mut twice, 0.9, -0.3, &b);
            assert_eq!(once, twice);
            assert_eq!(fused.to_bits(), double::dot(&twice, &x).to_bits());
            let narrow = |v: &[f64]| v.iter().map(|&x| x as f32).collect::<Vec<f32>>();
            let (mut once, mut twice) = (narrow(&w), narrow(&w));
            let fused = single::update_dot(&mut once, 0.9, -0.3, &narrow(&b), &narrow(&x));
            single::update(&mut twice, 0.9, -0.3, &narrow(&b));
            assert_eq!(once, twice);
            assert_eq!(fused.to_bits(), single::dot(&twice, &narrow(&x)).to_bits());
        }
    }

    #[test]
    fn values_are_those_of_plain_loops() {
        for n in [1, 9, 65, 513] {
            let (w, b, x) = (numbers(n, 4), numbers(n, 5), numbers(n, 6));
            let mut fused = w.clone();
            let product = double::update_dot(&mut fused, 0.5, 2.0, &b, &x);
            let mut plain = 0.0;
            for i in 0..n {
                let updated = 0.5 * w[i] + 2.0 * b[i];
                assert!((fused[i] - updated).abs() < 1e-15 * 4.0);
                plain += updated * x[i];
            }
            assert!((product - plain).abs() < 1e-14 * n as f64);
        }
    }
}
