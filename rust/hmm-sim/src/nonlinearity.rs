//! Nonlinearity f of the data, x = f(u) - a, applied to a block in place.
//!
//! ```
//! use hmm_core::Activation::{Linear, Relu, Sign};
//! use hmm_sim::nonlinearity::Nonlinearity;
//! let u = [-1.5, 0.0, 0.25_f64];
//! let of = |f, mean| {
//!     let mut block = u;
//!     Nonlinearity::named(f)?.apply(&mut block, 3, mean).map(|()| block)
//! };
//! // |u| = u sign(u) = 2 max(u, 0) - u.
//! for i in 0..3 {
//!     let size = u[i] * of(Sign, 0.0)?[i];
//!     assert_eq!((size, size), (u[i].abs(), 2.0 * of(Relu, 0.0)?[i] - u[i]));
//! }
//! assert_eq!(of(Linear, 1.0)?, [-2.5, -1.0, -0.75]);
//! # Ok::<(), hmm_core::Error>(())
//! ```

use hmm_core::special::map_in_place;
use hmm_core::{Activation, Error, Named, Real, Result};
use std::sync::Arc;

/// A function supplied by the caller, applied elementwise to a row-major block in place.
pub trait Elementwise<T>: Send + Sync {
    /// Replace every entry u of the block (`columns` entries a row) by f(u).
    fn apply(&self, block: &mut [T], columns: usize) -> Result<()>;
}

/// Nonlinearity between the features' fields u and the inputs.
#[derive(Clone)]
pub enum Nonlinearity<T> {
    /// sign(u), with sign(0) = 0
    Sign,
    /// erf(u/√2)
    Erf,
    /// max(u, 0)
    Relu,
    /// tanh(u)
    Tanh,
    /// u
    Identity,
    /// Any function of the caller.
    Custom(Arc<dyn Elementwise<T>>),
}

/// Nonlinearities of the data by name.
pub const NAMED: [Activation; 5] = [
    Activation::Sign,
    Activation::Erf,
    Activation::Relu,
    Activation::Tanh,
    Activation::Linear,
];

impl<T: Real> Nonlinearity<T> {
    /// The nonlinearity of this name.
    ///
    /// # Errors
    /// A unit that is none of the data, with the list of those that are ([`NAMED`]).
    pub fn named(activation: Activation) -> Result<Self> {
        Ok(match activation {
            Activation::Sign => Self::Sign,
            Activation::Erf => Self::Erf,
            Activation::Relu => Self::Relu,
            Activation::Tanh => Self::Tanh,
            Activation::Linear => Self::Identity,
            Activation::Sqrt2Relu | Activation::Sigmoid | Activation::LeakyRelu => {
                let listed = NAMED.map(|allowed| format!("'{}'", allowed.name()));
                return Err(Error::invalid(
                    "f",
                    format!("'{activation}'"),
                    "unknown choice",
                    format!("pass one of {}", listed.join(", ")),
                ));
            }
        })
    }

    /// x = f(u) - `mean` on a row-major block with `columns` entries a row.
    pub fn apply(&self, block: &mut [T], columns: usize, mean: f64) -> Result<()> {
        let mean = T::from_f64(mean);
        match self {
            Self::Sign => map_in_place(
                block,
                #[inline(always)]
                move |u| {
                    let up = if u > T::ZERO { T::ONE } else { T::ZERO };
                    let down = if u < T::ZERO { T::ONE } else { T::ZERO };
                    up - down - mean
                },
            ),
            Self::Erf => map_in_place(
                block,
                #[inline(always)]
                move |u| u.erf_sqrt2() - mean,
            ),
            Self::Relu => map_in_place(
                block,
                #[inline(always)]
                move |u| u.larger(T::ZERO) - mean,
            ),
            Self::Tanh => map_in_place(
                block,
                #[inline(always)]
                move |u| u.hyperbolic_tangent() - mean,
            ),
            Self::Identity => {
                if mean != T::ZERO {
                    map_in_place(
                        block,
                        #[inline(always)]
                        move |u| u - mean,
                    );
                }
            }
            Self::Custom(function) => {
                function.apply(block, columns)?;
                if mean != T::ZERO {
                    map_in_place(
                        block,
                        #[inline(always)]
                        move |u| u - mean,
                    );
                }
            }
        }
        Ok(())
    }
}
