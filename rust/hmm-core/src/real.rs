//! The two floating-point types the kernels are generic over, with what they need of a number.
//!
//! ```
//! use hmm_core::Real;
//! // A standard normal u lies within one standard deviation with probability erf(1/sqrt 2).
//! fn within_one<T: Real>() -> f64 {
//!     T::ONE.erf_sqrt2().to_f64()
//! }
//! let known = 0.682_689_492_137_085_9;
//! assert!((within_one::<f64>() - known).abs() < 2.0 * f64::EPSILON);
//! assert!((within_one::<f32>() - known).abs() < 2.0 * <f32 as Real>::EPSILON);
//! // One rounding instead of two shows what a product loses: x^2 = (rounded x^2) + rest.
//! let x = 1.0 + f64::EPSILON;
//! assert_eq!(x.fused_mul_add(x, -(x * x)), f64::EPSILON * f64::EPSILON);
//! ```

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

/// `f32` or `f64`: arithmetic, what the matrix product needs, and the special functions of
/// [`crate::special`] with one result for scalar and vector calls.
pub trait Real:
    Copy
    + Debug
    + Default
    + Display
    + PartialOrd
    + Send
    + Sync
    + Sum
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + faer::traits::RealField
    + 'static
{
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// Distance from one to the next larger number.
    const EPSILON: f64;
    /// Name of the type as numpy writes it.
    const NAME: &'static str;

    /// Round from double precision.
    fn from_f64(value: f64) -> Self;
    /// Widen to double precision (exact).
    fn to_f64(self) -> f64;
    /// `self * factor + addend` in one rounding.
    fn fused_mul_add(self, factor: Self, addend: Self) -> Self;
    /// The larger of two numbers (the other one if one is not a number).
    fn larger(self, other: Self) -> Self;
    /// Whether the number is neither infinite nor not-a-number.
    fn finite(self) -> bool;
    /// `erf(x / sqrt 2)`, the sigmoid of this field.
    fn erf_sqrt2(self) -> Self;
    /// Hyperbolic tangent.
    fn hyperbolic_tangent(self) -> Self;
    /// Exponential.
    fn exponential(self) -> Self;
    /// a . b, vectorised in one order of its own.
    fn dot(a: &[Self], b: &[Self]) -> Self;
    /// w <- keep w + change x, vectorised.
    fn update(w: &mut [Self], keep: Self, change: Self, x: &[Self]);
    /// w <- keep w + change before, then w . x, in one pass.
    fn update_dot(w: &mut [Self], keep: Self, change: Self, before: &[Self], x: &[Self]) -> Self;
    /// Rows of a panel of [`crate::packed::PackedRows`].
    const PANEL: usize;
    /// `out = scale lhs matrixᵀ` for the panels of a packed matrix of shape (rows, width).
    fn packed_product(
        panels: &[Self],
        shape: (usize, usize),
        lhs: &[Self],
        scale: Self,
        out: &mut [Self],
    );
    /// Walsh-Hadamard transform in place (unnormalised, Sylvester order) of a power-of-two length.
    fn walsh_hadamard(values: &mut [Self]);
}

macro_rules! impl_real {
    ($type:ident) => {
        impl Real for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            #[allow(clippy::cast_lossless)]
            const EPSILON: f64 = $type::EPSILON as f64;
            const NAME: &'static str = match size_of::<$type>() {
                4 => "float32",
                _ => "float64",
            };

            #[inline(always)]
            #[allow(clippy::cast_lossless)]
            fn from_f64(value: f64) -> Self {
                value as $type
            }
            #[inline(always)]
            #[allow(clippy::cast_lossless)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn fused_mul_add(self, factor: Self, addend: Self) -> Self {
                self.mul_add(factor, addend)
            }
            #[inline(always)]
            fn larger(self, other: Self) -> Self {
                self.max(other)
            }
            #[inline(always)]
            fn finite(self) -> bool {
                self.is_finite()
            }
            #[inline(always)]
            fn erf_sqrt2(self) -> Self {
                crate::special::$type::erf(self * std::$type::consts::FRAC_1_SQRT_2)
            }
            #[inline(always)]
            fn hyperbolic_tangent(self) -> Self {
                crate::special::$type::tanh(self)
            }
            #[inline(always)]
            fn exponential(self) -> Self {
                crate::special::$type::exp(self)
            }
            #[inline]
            fn dot(a: &[Self], b: &[Self]) -> Self {
                crate::fused::$type::dot(a, b)
            }
            #[inline]
            fn update(w: &mut [Self], keep: Self, change: Self, x: &[Self]) {
                crate::fused::$type::update(w, keep, change, x);
            }
            #[inline]
            fn update_dot(
                w: &mut [Self],
                keep: Self,
                change: Self,
                before: &[Self],
                x: &[Self],
            ) -> Self {
                crate::fused::$type::update_dot(w, keep, change, before, x)
            }
            const PANEL: usize = crate::packed::$type::PANEL;
            #[inline]
            fn packed_product(
                panels: &[Self],
                shape: (usize, usize),
                lhs: &[Self],
                scale: Self,
                out: &mut [Self],
            ) {
                crate::packed::$type::product(panels, shape, lhs, scale, out);
            }
            #[inline]
            fn walsh_hadamard(values: &mut [Self]) {
                crate::walsh::$type::transform(values);
            }
        }
    };
}

impl_real!(f32);
impl_real!(f64);
