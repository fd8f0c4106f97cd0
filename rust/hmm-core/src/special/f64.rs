//! Double precision. Worst errors seen, in units in the last place: erf 1.1, tanh 1.5, exp 0.9.
//!
//! The coefficients come from a Remez exchange in 60-digit arithmetic, weighted for the relative
//! error of the final function, and then rounded to `f64`.
//!
//! ```
//! use hmm_core::special::f64::{erf, exp, tanh};
//! for x in [-1.7, -0.2, 0.4, 2.5] {
//!     let double = exp(x) * exp(x);
//!     assert!((tanh(x) - (double - 1.0) / (double + 1.0)).abs() < 1e-14);
//!     assert_eq!(erf(-x), -erf(x));
//! }
//! assert!((erf(1.0) - 0.842_700_792_949_714_9).abs() < 1e-14);
//! ```

/// `1.5 * 2^52`: adding it rounds to an integer and leaves that integer in the low bits.
const ROUND: f64 = 6755399441055744.0;
/// Upper bits of `ln 2`, few enough for an exact product with the exponents that occur.
const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
/// `ln 2 - LN_2_HIGH`.
const LN_2_LOW: f64 = 1.9082149292705877e-10;
/// `2 / sqrt(pi)` minus its `f64` value.
const ERF_SLOPE_LOW: f64 = 1.533545961316588e-17;

/// From here on `1 - erf(x)` is less than half the spacing of numbers below one.
const ERF_IS_ONE: f64 = 6.0;
/// The same for tanh.
const TANH_IS_ONE: f64 = 20.0;
/// Above `ln(f64::MAX)`.
const EXP_OVERFLOWS: f64 = 710.0;
/// Minus this is below the logarithm of half the smallest subnormal number.
const EXP_UNDERFLOWS: f64 = 746.0;

/// `(e^r - 1 - r) / r^2` for `|r| <= ln 2 / 2`; relative error in `e^r - 1` below 2.7e-19.
const EXPONENTIAL: [f64; 11] = [
    0.5,
    0.16666666666666677,
    0.041666666666666505,
    0.008333333333321638,
    0.001388888888896326,
    0.0001984126988610173,
    2.4801587170976007e-05,
    2.7557244239704002e-06,
    2.755740385035791e-07,
    2.510902480081777e-08,
    2.087498861322704e-09,
];

/// `(-ln erfc(x) - 2 x / sqrt(pi)) / x^2` for `0 <= x <= 6`; relative error in `erf` below 4.5e-18.
const ERF: [f64; 24] = [
    0.6366197723675826,
    0.10277260330183327,
    -0.019128447006013412,
    -0.0002091946836371339,
    0.0016962063017732472,
    -0.000590125125489379,
    2.587705033867364e-05,
    6.449604435928534e-05,
    -2.973260917375777e-05,
    3.420855697884992e-06,
    2.8181705903694044e-06,
    -1.7246989951883992e-06,
    3.229671126705272e-07,
    1.4575037822854096e-07,
    -1.4617496360944785e-07,
    6.756080318630842e-08,
    -2.156786487818948e-08,
    5.156552847822469e-09,
    -9.407745114961252e-10,
    1.2993049964382662e-10,
    -1.3196545585316347e-11,
    9.312246112964185e-13,
    -4.0804151605267607e-14,
    8.360980346238477e-16,
];

special_functions!(f64, u64, 52, 1023);
