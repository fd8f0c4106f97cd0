//! Single precision. Worst errors over all numbers, in units in the last place: erf 1.5, tanh 1.7,
//! exp 0.9.
//!
//! The coefficients come from a Remez exchange in 60-digit arithmetic, weighted for the relative
//! error of the final function, and then rounded to `f32`.
//!
//! ```
//! use hmm_core::special::f32::{erf, exp, tanh};
//! for x in [-1.7, -0.2, 0.4, 2.5] {
//!     let double = exp(x) * exp(x);
//!     assert!((tanh(x) - (double - 1.0) / (double + 1.0)).abs() < 1e-6);
//!     assert_eq!(erf(-x), -erf(x));
//! }
//! assert!((erf(1.0) - 0.842_700_8).abs() < 1e-6);
//! ```

/// `1.5 * 2^23`: adding it rounds to an integer and leaves that integer in the low bits.
const ROUND: f32 = 12582912.0;
/// Upper bits of `ln 2`, few enough for an exact product with the exponents that occur.
const LN_2_HIGH: f32 = 0.693_359_4;
/// `ln 2 - LN_2_HIGH`.
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// `2 / sqrt(pi)` minus its `f32` value.
const ERF_SLOPE_LOW: f32 = -5.863_538_3e-8;

/// From here on `1 - erf(x)` is less than half the spacing of numbers below one.
const ERF_IS_ONE: f32 = 4.0;
/// The same for tanh.
const TANH_IS_ONE: f32 = 10.0;
/// Above `ln(f32::MAX)`.
const EXP_OVERFLOWS: f32 = 89.0;
/// Minus this is below the logarithm of half the smallest subnormal number.
const EXP_UNDERFLOWS: f32 = 104.0;

/// `(e^r - 1 - r) / r^2` for `|r| <= ln 2 / 2`; relative error in `e^r - 1` below 2.5e-10.
const EXPONENTIAL: [f32; 6] = [
    0.5,
    0.16666666,
    0.04166636,
    0.008333391,
    0.0013940698,
    0.00019845444,
];

/// `(-ln erfc(x) - 2 x / sqrt(pi)) / x^2` for `0 <= x <= 4`; relative error in `erf` below 4.2e-9.
const ERF: [f32; 8] = [
    0.6366195,
    0.1027768,
    -0.019149596,
    -0.00016635796,
    0.0016726519,
    -0.00063576776,
    0.00011842882,
    -9.341078e-06,
];

special_functions!(f32, u32, 23, 127);
