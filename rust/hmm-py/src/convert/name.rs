//! Options by name.

use crate::border::to_python;
use hmm_core::Named;
use pyo3::prelude::*;

/// An option: text on the other side, a value of its enum on this one.
///
/// An unknown name is refused with the list of those there are.
#[derive(Debug, Clone, Copy)]
pub struct Name<T>(pub T);

impl<'py, T: Named> FromPyObject<'_, 'py> for Name<T> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let name: String = object.extract()?;
        T::named(T::ARGUMENT, &name)
            .map(Self)
            .map_err(|error| to_python(object.py(), error))
    }
}
