//! Seeds.

use crate::border::to_python;
use hmm_core::Error;
use hmm_core::random::Seed;
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;

/// A seed: the eight 32-bit words that `seed_words` makes of whatever a user passed.
#[derive(Debug, Clone, Copy)]
pub struct SeedWords(pub Seed);

impl<'py> FromPyObject<'_, 'py> for SeedWords {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let words: PyReadonlyArray1<'py, u32> = object.extract()?;
        let words: Vec<u32> = words.as_array().to_vec();
        let count = words.len();
        words.try_into().map(Self).map_err(|_| {
            let error = Error::shape(
                "seed",
                &[count],
                "must be eight 32-bit words",
                "pass seed_words(seed)",
            );
            to_python(object.py(), error)
        })
    }
}
