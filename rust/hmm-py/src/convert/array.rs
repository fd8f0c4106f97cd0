//! Arrays: numpy's on one side, `ndarray`'s views and arrays on the other.

use hmm_core::{Error, Real, Result};
use ndarray::{Array, ArrayBase, ArrayView, Data, Dimension};

/// The numbers of a view in row-major order.
///
/// # Errors
/// A view with gaps or another order: the façade passes contiguous arrays.
pub fn slice<'a, T, D: Dimension>(
    argument: &'static str,
    view: &'a ArrayView<'_, T, D>,
) -> Result<&'a [T]> {
    view.as_slice().ok_or_else(|| {
        Error::shape(
            argument,
            view.shape(),
            "must be contiguous in row-major order",
            "pass numpy.ascontiguousarray of it",
        )
    })
}

/// The same numbers in another precision.
pub fn rounded<T: Real, S: Data<Elem = f64>, D: Dimension>(
    values: &ArrayBase<S, D>,
) -> Array<T, D> {
    values.mapv(T::from_f64)
}

/// The same numbers in double precision, exactly.
pub fn widened<T: Real, S: Data<Elem = T>, D: Dimension>(
    values: &ArrayBase<S, D>,
) -> Array<f64, D> {
    values.mapv(Real::to_f64)
}
