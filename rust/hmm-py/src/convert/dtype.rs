//! Precision: chosen by name once, carried by type from there on.

use pyo3::prelude::*;

hmm_core::named! {
    /// Precision of a run.
    pub enum Dtype: "dtype" {
        /// Single precision.
        F32 = "float32",
        /// Double precision.
        F64 = "float64",
    }
}

/// A thing of one of the two precisions.
pub enum ByDtype<A, B> {
    /// float32
    F32(A),
    /// float64
    F64(B),
}

/// Either of two arrays, by the precision of what is passed.
impl<'a, 'py, A, B> FromPyObject<'a, 'py> for ByDtype<A, B>
where
    A: FromPyObject<'a, 'py>,
    B: FromPyObject<'a, 'py>,
{
    type Error = B::Error;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> Result<Self, Self::Error> {
        match A::extract(object) {
            Ok(single) => Ok(Self::F32(single)),
            Err(_) => B::extract(object).map(Self::F64),
        }
    }
}

/// Do the same with either precision: `either!(thing, inner => expression)`.
macro_rules! either {
    ($by:expr, $inner:ident => $body:expr) => {
        match $by {
            $crate::convert::dtype::ByDtype::F32($inner) => $body,
            $crate::convert::dtype::ByDtype::F64($inner) => $body,
        }
    };
}

/// Make a thing in the precision that is asked for: `in_dtype!(dtype, T => expression)`, with the type `T` bound in
/// the expression, which gives a `Result`.
macro_rules! in_dtype {
    ($dtype:expr, $real:ident => $body:expr) => {
        match $dtype {
            $crate::convert::dtype::Dtype::F32 => {
                type $real = f32;
                $body.map($crate::convert::dtype::ByDtype::F32)
            }
            $crate::convert::dtype::Dtype::F64 => {
                type $real = f64;
                $body.map($crate::convert::dtype::ByDtype::F64)
            }
        }
    };
}

pub(crate) use either;
pub(crate) use in_dtype;
