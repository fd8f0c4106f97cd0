//! Box–Muller without branches: two uniform 64-bit words to two independent standard normals.
//!
//! Every step is an exactly rounded operation, so the numbers are the same on every machine. The
//! polynomials are minimax (Remez exchange in 60-digit arithmetic, then rounded to `f64`).

use crate::special::f64::polynomial;
use std::f64::consts::{FRAC_PI_4, LN_2};

/// `(artanh(s) - s) / s^3` in `s^2`, `|s| <= 3 - 2 sqrt 2`; relative error in artanh below 1.3e-18.
const ARTANH: [f64; 7] = [
    0.3333333333333367,
    0.19999999999707163,
    0.14285714371237102,
    0.11111099281774338,
    0.09091782431726436,
    0.07657017959327408,
    0.0739805229302808,
];
/// `(sin y - y) / y^3` in `y^2`, `|y| <= pi / 4`; relative error in the sine below 3.5e-18.
const SINE: [f64; 6] = [
    -0.16666666666666632,
    0.008333333333322425,
    -0.00019841269829816926,
    2.7557313695221597e-06,
    -2.5050758652858475e-08,
    1.589682792032108e-10,
];
/// `(cos y - 1) / y^2` in `y^2`, `|y| <= pi / 4`; error in the cosine below 3.3e-20.
const COSINE: [f64; 7] = [
    -0.5,
    0.04166666666666649,
    -0.0013888888888863914,
    2.4801587285011036e-05,
    -2.755731333953603e-07,
    2.0875608665573613e-09,
    -1.1354521244648557e-11,
];

/// Bits of `sqrt(1/2)`, the lower end of the mantissas whose logarithm the series takes.
const SQRT_HALF_BITS: u64 = 0x3fe6_a09e_667f_3bcd;
/// Lower bits of a double: the fraction.
const FRACTION: u64 = (1 << 52) - 1;
/// `2^52`: its bits with an integer below `2^52` in the fraction are the double `2^52 +` that integer.
const TWO_52: f64 = 4503599627370496.0;
const TWO_32: f64 = 4294967296.0;
/// `2^-53`, the resolution of the uniform numbers.
const RESOLUTION: f64 = 1.0 / 9007199254740992.0;
const SIGN: u64 = 1 << 63;
/// An eighth of a turn over `2^63`.
const ANGLE_UNIT: f64 = FRAC_PI_4 / 9223372036854775808.0;

/// The normals `(R cos phi, R sin phi)` with `R = sqrt(-2 ln u)`; `u` is uniform on the multiples of
/// `2^-53` in (0, 1] (the upper bits of `radius_word`), so `R <= 8.57`, and `phi = 2 pi angle_word / 2^64`.
#[inline(always)]
pub(super) fn normal_pair(radius_word: Halves, angle_word: Halves) -> (f64, f64) {
    let radius = (-2.0 * logarithm(uniform_open_left(radius_word))).sqrt();
    let (cosine, sine) = unit_vector(angle_word);
    (radius * cosine, radius * sine)
}

/// A 64-bit word as its lower and its upper half: instruction sets without 64-bit conversions make doubles of 32-bit
/// integers in a few steps and of 64-bit ones in many.
pub(super) type Halves = [u32; 2];

/// `2^52 + n`
#[inline(always)]
fn behind_two_52(n: u32) -> f64 {
    f64::from_bits(TWO_52.to_bits() | u64::from(n))
}

/// Uniform on (0, 1] from the upper 53 bits: one more than their integer, times [`RESOLUTION`]. No step rounds.
#[inline(always)]
fn uniform_open_left([low, high]: Halves) -> f64 {
    let low = behind_two_52(low >> 11).mul_add(RESOLUTION, (1.0 - TWO_52) * RESOLUTION);
    (behind_two_52(high) - TWO_52).mul_add(1.0 / TWO_32, low)
}

/// Natural logarithm of `u` in [2^-53, 1]: `u = 2^e m`, `ln m = 2 artanh((m - 1) / (m + 1))`.
#[inline(always)]
fn logarithm(u: f64) -> f64 {
    // 64 is added to the exponent to keep it positive, for a logical shift.
    let offset = u.to_bits().wrapping_sub(SQRT_HALF_BITS - (64 << 52));
    let exponent = f64::from_bits(TWO_52.to_bits() | offset >> 52) - (TWO_52 + 64.0);
    let m = f64::from_bits((offset & FRACTION) + SQRT_HALF_BITS);
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let artanh = (s * square).mul_add(polynomial(square, &ARTANH), s);
    exponent.mul_add(LN_2, 2.0 * artanh)
}

/// Cosine and sine of `2 pi word / 2^64`: the quadrant comes off the integer without rounding.
#[inline(always)]
fn unit_vector([low, high]: Halves) -> (f64, f64) {
    // Nearest multiple of a quarter turn in the top bits, the signed rest, up to an eighth of a turn,
    // in units of 2^-66 turns: the 64-bit integer `word << 2` in one rounding.
    let quadrant = u64::from(high.wrapping_add(1 << 29)) << 32;
    let rest = f64::from((high << 2 | low >> 30) as i32);
    let rest = rest.mul_add(TWO_32, behind_two_52(low << 2) - TWO_52);
    let y = rest * ANGLE_UNIT;
    let square = y * y;
    let cosine = square.mul_add(polynomial(square, &COSINE), 1.0);
    let sine = (y * square).mul_add(polynomial(square, &SINE), y);
    let odd = (quadrant & 1 << 62) != 0;
    let (cosine, sine) = if odd { (sine, cosine) } else { (cosine, sine) };
    // The cosine is negative in quadrants 1 and 2, the sine in 2 and 3.
    (
        f64::from_bits(cosine.to_bits() ^ ((quadrant ^ quadrant << 1) & SIGN)),
        f64::from_bits(sine.to_bits() ^ (quadrant & SIGN)),
    )
}
