//! erf, tanh and exp in `f32` and `f64`: one implementation for scalar and vector calls.
//!
//! Each function is a branch-free `#[inline(always)]` body without tables, so a loop over a slice
//! inside [`vectorised`] compiles to the widest instructions of the machine. Every operation in it is
//! exactly rounded (IEEE 754, with explicit fused multiply-add), so scalar and vector calls, and all
//! machines, give the same bits. All are within 2 units in the last place of the exact value, over
//! the whole range (measured worst cases in [`mod@f32`] and [`mod@f64`]).
//!
//! Outside [`vectorised`] a fused multiply-add is a call into the C library (the portable x86-64
//! baseline does not have the instruction): the same bits, some twenty times slower. Put the whole loop
//! inside, even where it cannot vectorise:
//!
//! ```
//! use hmm_core::special::{self, vectorised};
//! // Midpoint rule for int_0^1 erf(x) dx = erf(1) - (1 - 1/e) / sqrt(pi).
//! let integral: f64 = vectorised(|| {
//!     (0..1000).map(|i| 1e-3 * special::f64::erf(1e-3 * (f64::from(i) + 0.5))).sum()
//! });
//! assert!((integral - 0.486_064_958_112_256).abs() < 1e-6);
//! ```

use crate::Real;

/// Run `body` compiled for the instruction set chosen ([`crate::instructions`]): the best of this machine.
///
/// Only what is inlined into `body` profits: functions in between want `#[inline(always)]`, and so
/// does a closure with a large body.
#[inline(always)]
pub fn vectorised<R>(body: impl FnOnce() -> R) -> R {
    crate::instructions::arch().dispatch(body)
}

/// Name of the instruction set that [`vectorised`] picks here.
pub fn instruction_set() -> String {
    format!("{:?}", crate::instructions::arch())
        .split('(')
        .next()
        .unwrap_or("scalar")
        .to_lowercase()
}

/// `x <- function(x)` over a slice, vectorised.
#[inline]
pub fn map_in_place<T: Real>(values: &mut [T], function: impl Fn(T) -> T) {
    vectorised(
        // By value: what a closure holds by reference is read again at every entry, and the loop
        // stays scalar.
        #[inline(always)]
        move || {
            for value in values {
                *value = function(*value);
            }
        },
    );
}

/// The functions of one floating-point type: the algorithm is the same in both precisions, the
/// module that calls this provides the constants.
///
/// * argument reduction `z = n ln 2 + r`, `|r| <= ln 2 / 2`, with `n` rounded by adding
///   `ROUND = 1.5 * 2^(digits - 1)`, which leaves `n` in the low bits, and `ln 2 = LN_2_HIGH + LN_2_LOW`
///   such that `n LN_2_HIGH` is exact;
/// * `e^r = 1 + r + r^2 EXPONENTIAL(r)`;
/// * `tanh x = E / (E + 2)` with `E = e^(2x) - 1`;
/// * `erf x = 1 - e^(-h)`, where `h(x) = -ln erfc(x) = (2/sqrt pi) x + x^2 ERF(x)` is smooth on the whole
///   half axis: one polynomial serves small and large `x`, and its error is damped by `erfc(x)` where
///   `h` is large.
macro_rules! special_functions {
    ($type:ident, $bits:ident, $mantissa:literal, $bias:literal) => {
        /// `sum_k coefficients[k] x^k` in four interleaved Horner chains, so that the latencies overlap.
        #[inline(always)]
        #[expect(
            clippy::indexing_slicing,
            reason = "k falls in fours from the last of the N coefficients to j < 4 <= N; the compiler sees both"
        )]
        pub(crate) fn polynomial<const N: usize>(x: $type, coefficients: &[$type; N]) -> $type {
            const { assert!(N >= 4) };
            let square = x * x;
            let fourth = square * square;
            let mut chains = [0.0; 4];
            for (j, chain) in chains.iter_mut().enumerate() {
                let mut k = (N - 1 - j) / 4 * 4 + j;
                *chain = coefficients[k];
                while k > j {
                    k -= 4;
                    *chain = chain.mul_add(fourth, coefficients[k]);
                }
            }
            let [c0, c1, c2, c3] = chains;
            c3.mul_add(x, c2).mul_add(square, c1.mul_add(x, c0))
        }

        /// `2^n` for `rounded = ROUND + n`, where `2^n` is a normal number.
        #[inline(always)]
        fn power_of_two(rounded: $type) -> $type {
            $type::from_bits(rounded.to_bits().wrapping_add($bias) << $mantissa)
        }

        /// `(ROUND + n, r, d)` with `z = n ln 2 + r + d`; `d` is the rounding error of `r`.
        #[inline(always)]
        fn reduce(z: $type) -> ($type, $type, $type) {
            let rounded = z.mul_add(std::$type::consts::LOG2_E, ROUND);
            let n = rounded - ROUND;
            let high = n.mul_add(-LN_2_HIGH, z);
            let r = n.mul_add(-LN_2_LOW, high);
            (rounded, r, n.mul_add(-LN_2_LOW, high - r))
        }

        /// `e^(z + d) - 1` for `|d|` below the spacing of numbers at `z`, where `e^z` is neither
        /// subnormal nor infinite.
        #[inline(always)]
        fn exp_minus_one(z: $type, d: $type) -> $type {
            let (rounded, r, rounding) = reduce(z);
            let curved = (r * r).mul_add(polynomial(r, &EXPONENTIAL), rounding + d);
            let scale = power_of_two(rounded);
            // (scale - 1) + scale r without rounding error, then the small rest.
            let shift = scale - 1.0;
            let linear = scale.mul_add(r, shift);
            let error = scale.mul_add(r, shift - linear);
            linear + scale.mul_add(curved, error)
        }

        /// The smaller of two numbers; not-a-number stays what it is.
        #[inline(always)]
        fn at_most(x: $type, bound: $type) -> $type {
            if x > bound { bound } else { x }
        }

        /// Error function `erf(x) = (2/sqrt pi) int_0^x e^(-t^2) dt`.
        #[inline(always)]
        pub fn erf(x: $type) -> $type {
            let y = at_most(x.abs(), ERF_IS_ONE);
            let curved = y * y.mul_add(polynomial(y, &ERF), ERF_SLOPE_LOW);
            let h = y.mul_add(std::$type::consts::FRAC_2_SQRT_PI, curved);
            let rounding = y.mul_add(std::$type::consts::FRAC_2_SQRT_PI, -h) + curved;
            (-exp_minus_one(-h, -rounding)).copysign(x)
        }

        /// Hyperbolic tangent.
        #[inline(always)]
        pub fn tanh(x: $type) -> $type {
            let y = at_most(x.abs(), TANH_IS_ONE);
            let e = exp_minus_one(2.0 * y, 0.0);
            // e / (e + 2), corrected for the roundings of the sum and of the quotient.
            let sum = e + 2.0;
            let rounding = e - (sum - 2.0);
            let inverse = 1.0 / sum;
            let quotient = e * inverse;
            let remainder = quotient.mul_add(-rounding, quotient.mul_add(-sum, e));
            remainder.mul_add(inverse, quotient).copysign(x)
        }

        /// Exponential; 0 and infinity beyond the range of the type, subnormal where it is.
        #[inline(always)]
        pub fn exp(x: $type) -> $type {
            let z = -at_most(-at_most(x, EXP_OVERFLOWS), EXP_UNDERFLOWS);
            let (rounded, r, rounding) = reduce(z);
            let curved = (r * r).mul_add(polynomial(r, &EXPONENTIAL), rounding);
            // 2^n alone may leave the range where e^z does not: two factors.
            let half = (rounded - ROUND).mul_add(0.5, ROUND);
            let rest = (rounded - half) + ROUND;
            (1.0 + (r + curved)) * power_of_two(half) * power_of_two(rest)
        }
    };
}

pub mod f32;
pub mod f64;

#[cfg(test)]
mod tests;
