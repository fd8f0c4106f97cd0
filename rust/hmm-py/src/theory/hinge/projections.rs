//! The self-consistent mean field for labels of a few projections.

use crate::border::run;
use crate::convert::columns::to_dict;
use hmm_core::Table;
use hmm_theory::hinge::HingeLoss;
use hmm_theory::hinge::projections::{
    ProjectedData, ProjectedMeanField, ProjectedNodes, ProjectedState, Scales,
};
use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::{Mutex, PoisonError};

/// Register the class of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ProjectedHinge>()
}

/// The self-consistent mean field on a few projections.
#[pyclass(frozen, module = "hmm_rs._lib")]
struct ProjectedHinge(Mutex<ProjectedMeanField>);

impl ProjectedHinge {
    /// Let `work` have the field, with the GIL released.
    fn with<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut ProjectedMeanField, &hmm_core::Cancel) -> hmm_core::Result<R> + Send,
    ) -> PyResult<R> {
        run(py, None, |cancel| {
            work(
                &mut self.0.lock().unwrap_or_else(PoisonError::into_inner),
                cancel,
            )
        })
    }
}

#[pymethods]
impl ProjectedHinge {
    /// Independent Gaussian nodes on a product rule; points `x`, shape (P, k), their labels and probabilities, each on
    /// a rule for the length of the rest of the input.
    #[new]
    #[pyo3(signature = (
        d, *, x, y, probability, nodes, lengths, sigma_x, sigma_a, sigma_w, alpha, h, beta, p, kappa
    ))]
    fn new(
        py: Python<'_>,
        d: usize,
        x: PyReadonlyArray2<'_, f64>,
        y: PyReadonlyArray1<'_, f64>,
        probability: PyReadonlyArray1<'_, f64>,
        nodes: usize,
        lengths: usize,
        sigma_x: f64,
        sigma_a: f64,
        sigma_w: f64,
        alpha: f64,
        h: f64,
        beta: f64,
        p: f64,
        kappa: f64,
    ) -> PyResult<Self> {
        let (x, y, probability) = (x.as_array(), y.as_array(), probability.as_array());
        let loss = HingeLoss {
            alpha,
            h,
            beta,
            exponent: p,
        };
        let scales = Scales {
            sigma_a,
            sigma_w,
            sigma_x,
        };
        let field = run(py, None, |cancel| {
            let nodes = ProjectedNodes::gaussian(nodes, x.ncols(), d, scales, cancel)?;
            let data = ProjectedData::with_lengths(x, y, probability, lengths, d, sigma_x, cancel)?;
            ProjectedMeanField::new(nodes, data, loss, kappa, cancel)
        })?;
        Ok(Self(Mutex::new(field)))
    }

    fn advance(&self, py: Python<'_>, steps: usize, dt: f64) -> PyResult<()> {
        self.with(py, |field, cancel| field.advance(steps, dt, cancel))
    }

    /// `unsatisfied`, `loss`, `test_error`.
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let ProjectedState {
            unsatisfied,
            loss,
            test_error,
        } = self.with(py, |field, _| Ok(field.state()))?;
        let table = Table::new()
            .with("unsatisfied", unsatisfied)
            .with("loss", loss)
            .with("test_error", test_error);
        to_dict(py, table)
    }

    /// Present nodes: `a`, `w_par`, `r` and their `weight`.
    fn nodes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let nodes = self.with(py, |field, _| Ok(field.nodes().clone()))?;
        let table = Table::new()
            .with("a", nodes.a)
            .with("w_par", nodes.w_par)
            .with("r", nodes.r)
            .with("weight", nodes.weight);
        to_dict(py, table)
    }

    /// Points in use: `x`, `y`, `weight`, and the `output` there.
    fn points<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let table = self.with(py, |field, _| {
            let data = field.data();
            Ok(Table::new()
                .with("x", data.x.clone())
                .with("y", data.y.clone())
                .with("weight", data.weight.clone())
                .with("output", field.output().to_owned()))
        })?;
        to_dict(py, table)
    }
}
