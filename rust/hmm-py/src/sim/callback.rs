//! Python functions as parts of a source: called block by block, from any worker.

use hmm_core::random::Stream;
use hmm_core::{Error, Real};
use hmm_sim::nonlinearity::Elementwise;
use hmm_sim::source::Source;
use ndarray::Array1;
use numpy::{Element, PyArray1, PyArrayMethods, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;

/// A block handed to a Python function and taken back.
///
/// `rows` x `columns` go in; the function must give `rows` x `out.len() / rows` finite reals.
fn call_on_block<T: Element + Real>(
    function: &Py<PyAny>,
    argument: &'static str,
    block: &[T],
    rows: usize,
    out: &mut [T],
) -> hmm_core::Result<()> {
    let raised = |error: PyErr| Error::Callback(Box::new(error));
    Python::attach(|py| {
        let array = PyArray1::from_slice(py, block)
            .reshape([rows, block.len() / rows])
            .map_err(raised)?;
        let result = function.call1(py, (array,)).map_err(raised)?;
        let converted = py
            .import("numpy")
            .and_then(|numpy| numpy.call_method1("ascontiguousarray", (result, T::NAME)))
            .map_err(raised)?;
        let columns = out.len() / rows;
        let array: PyReadonlyArray2<'_, T> = converted
            .extract()
            .map_err(|_| wrong_shape(argument, &converted, rows, columns))?;
        let values = array
            .as_slice()
            .ok()
            .filter(|_| array.shape() == [rows, columns])
            .ok_or_else(|| wrong_shape(argument, &converted, rows, columns))?;
        if let Some(bad) = values.iter().find(|x| !x.finite()) {
            return Err(Error::invalid(
                argument,
                bad,
                "the function must return finite numbers",
                "check it on a standard normal array",
            ));
        }
        out.copy_from_slice(values);
        Ok(())
    })
}

fn wrong_shape(
    argument: &'static str,
    result: &Bound<'_, PyAny>,
    rows: usize,
    columns: usize,
) -> Error {
    let shape = result
        .getattr("shape")
        .and_then(|shape| shape.extract::<Vec<usize>>())
        .unwrap_or_default();
    Error::shape(
        argument,
        &shape,
        format!("the function must return shape [{rows}, {columns}] for {rows} samples"),
        "write it with elementwise numpy operations over whole arrays",
    )
}

/// An elementwise Python function.
pub struct PythonElementwise(pub Py<PyAny>);

impl<T: Element + Real> Elementwise<T> for PythonElementwise {
    fn apply(&self, block: &mut [T], columns: usize) -> hmm_core::Result<()> {
        let argument = block.to_vec();
        call_on_block(&self.0, "f", &argument, block.len() / columns, block)
    }
}

/// Inputs made by a Python function of the latents, minus a mean.
pub struct PythonGenerator {
    /// Maps (rows, D) to (rows, N).
    pub function: Py<PyAny>,
    /// N
    pub inputs: usize,
    /// D
    pub latents: usize,
    /// What is subtracted, shape (N,).
    pub mean: Array1<f64>,
}

impl PythonGenerator {
    /// Refuse a generator of nothing, and means that do not fit.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn check(&self) -> hmm_core::Result<()> {
        if self.inputs > 0 && self.latents > 0 && self.mean.len() == self.inputs {
            return Ok(());
        }
        Err(Error::shape(
            "fn",
            &[self.inputs, self.latents],
            "must map D >= 1 latents to N >= 1 inputs, with N means",
            "return an array of shape (rows, N)",
        ))
    }
}

impl<T: Element + Real> Source<T> for PythonGenerator {
    fn inputs(&self) -> usize {
        self.inputs
    }

    fn latents(&self) -> usize {
        self.latents
    }

    fn inputs_from_latents(
        &self,
        _: &Stream,
        _: u64,
        latents: &[T],
        inputs: &mut [T],
    ) -> hmm_core::Result<()> {
        call_on_block(
            &self.function,
            "fn",
            latents,
            latents.len() / self.latents,
            inputs,
        )?;
        for row in inputs.chunks_exact_mut(self.inputs) {
            for (x, mean) in row.iter_mut().zip(&self.mean) {
                *x -= T::from_f64(*mean);
            }
        }
        Ok(())
    }

    fn project(&self, _: &[f64], _: usize) -> hmm_core::Result<Option<Vec<f64>>> {
        Ok(None)
    }
}
