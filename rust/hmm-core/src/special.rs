//! erf, tanh and exp in `f32` and `f64`: one implementation for scalar and vector calls.
//!
//! Each function is a branch-free `#[inline(always)]` body, so a loop over a slice inside
//! [`vectorised`] compiles to the widest instructions of the machine and gives the very bits of the
//! scalar call.

use crate::Real;

/// Run `body` compiled for the best instruction set of this machine.
#[inline(always)]
pub fn vectorised<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}

/// Name of the instruction set that [`vectorised`] picks here.
pub fn instruction_set() -> String {
    format!("{:?}", pulp::Arch::new())
        .split('(')
        .next()
        .unwrap_or("scalar")
        .to_lowercase()
}

/// `x <- function(x)` over a slice, vectorised.
#[inline]
pub fn map_in_place<T: Real>(values: &mut [T], function: impl Fn(T) -> T) {
    vectorised(
        #[inline(always)]
        || {
            for value in values {
                *value = function(*value);
            }
        },
    );
}

/// Double precision.
pub mod f64 {
    /// Error function.
    #[inline(always)]
    pub fn erf(x: f64) -> f64 {
        libm::erf(x)
    }
    /// Hyperbolic tangent.
    #[inline(always)]
    pub fn tanh(x: f64) -> f64 {
        libm::tanh(x)
    }
    /// Exponential.
    #[inline(always)]
    pub fn exp(x: f64) -> f64 {
        libm::exp(x)
    }
}

/// Single precision.
pub mod f32 {
    /// Error function.
    #[inline(always)]
    pub fn erf(x: f32) -> f32 {
        libm::erff(x)
    }
    /// Hyperbolic tangent.
    #[inline(always)]
    pub fn tanh(x: f32) -> f32 {
        libm::tanhf(x)
    }
    /// Exponential.
    #[inline(always)]
    pub fn exp(x: f32) -> f32 {
        libm::expf(x)
    }
}
