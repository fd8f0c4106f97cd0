//! Arrays: numpy's on one side, `ndarray`'s views and arrays on the other.

use hmm_core::Real;
use ndarray::{Array, ArrayBase, Data, Dimension};

/// The same numbers in another precision.
pub fn rounded<T: Real, S: Data<Elem = f64>, D: Dimension>(
    values: &ArrayBase<S, D>,
) -> Array<T, D> {
    values.mapv(T::from_f64)
}
