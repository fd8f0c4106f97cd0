//! Hinge-loss mean-field theory: one rotation here, labels of a few projections in [`projections`].

mod projections;

use crate::border::{call, run};
use crate::convert::columns::to_dict;
use crate::convert::name::Name;
use hmm_core::{Error, Table};
use hmm_theory::hinge::density::DensityTable;
use hmm_theory::hinge::fluctuations::{
    Fluctuations, InitialScales, Point, node_variance, satisfaction_band, test_errors,
};
use hmm_theory::hinge::memorisation::{FiniteSample, end_of_training, memorise};
use hmm_theory::hinge::{
    BaseLaw, DataLaw, HingeLoss, HingeMeanField, InitialMoments, LawName, asymptotics, gd,
};
use numpy::{IntoPyArray, PyArray, PyArray1, PyArrayLike1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;

type Vector<'py> = Bound<'py, PyArray1<f64>>;

/// Register the classes and functions of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<HingeTheory>()?;
    projections::register(module)?;
    module.add_function(wrap_pyfunction!(hinge_lazy_master, module)?)?;
    module.add_function(wrap_pyfunction!(hinge_rich_front, module)?)
}

/// A Python callable as a density.
fn tabulate(
    py: Python<'_>,
    density: &Py<PyAny>,
    scale: f64,
    support: (f64, f64),
) -> PyResult<DensityTable> {
    run(py, None, |cancel| {
        let mut evaluate = |z: &[f64]| {
            Python::attach(|py| {
                let argument = z.to_vec().into_pyarray(py);
                let result = density.bind(py).call1((argument,))?;
                let values = result.extract::<PyArrayLike1<'_, f64>>()?;
                Ok(values.as_array().to_vec())
            })
            .map_err(|error: PyErr| Error::Callback(Box::new(error)))
        };
        DensityTable::new(&mut evaluate, scale, support, cancel)
    })
}

/// What a law is: one of those with a name, or a density.
enum Law {
    Named(LawName),
    Density(Py<PyAny>),
}

impl<'py> FromPyObject<'_, 'py> for Law {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if object.is_callable() {
            return Ok(Self::Density(object.to_owned().unbind()));
        }
        let Name(name) = object.extract()?;
        Ok(Self::Named(name))
    }
}

/// A problem as `hmm_rs.theory.HingeMeanField` describes it: its attributes.
#[derive(FromPyObject)]
struct Problem {
    law: Law,
    d: usize,
    sigma_x: f64,
    sigma_a: f64,
    sigma_w: f64,
    radius: Option<f64>,
    mu: Option<f64>,
    flip: f64,
    support: (f64, f64),
    alpha: f64,
    h: f64,
    beta: f64,
    p: f64,
    kappa: f64,
    #[pyo3(attribute("C0"))]
    correlation: f64,
    #[pyo3(attribute("C1"))]
    power: f64,
    subtract_init: bool,
}

/// An error unless the law's own parameter is there.
fn needed(argument: &'static str, value: Option<f64>) -> hmm_core::Result<f64> {
    value.ok_or_else(|| Error::invalid(argument, "None", "this law needs it", "pass a number"))
}

/// The reduction to one rotation.
#[pyclass(frozen, module = "hmm_rs._lib")]
struct HingeTheory {
    field: HingeMeanField,
    scales: InitialScales,
    sigma_x: f64,
    d: usize,
}

impl HingeTheory {
    fn sample(&self, samples: f64) -> FiniteSample {
        FiniteSample {
            d: self.d as f64,
            samples,
            sigma_x: self.sigma_x,
            sigma_a: self.scales.sigma_a,
            sigma_w: self.scales.sigma_w,
        }
    }
}

#[pymethods]
impl HingeTheory {
    #[new]
    fn new(py: Python<'_>, problem: Problem) -> PyResult<Self> {
        let table = match &problem.law {
            Law::Named(_) => None,
            Law::Density(density) => {
                let table = tabulate(py, density, problem.sigma_x, problem.support)?;
                Some(BaseLaw::Density(Arc::new(table)))
            }
        };
        call(py, || {
            let base = match (table, &problem.law) {
                (Some(table), _) => table,
                (None, Law::Named(LawName::Sphere)) => BaseLaw::Sphere {
                    radius: needed("radius", problem.radius)?,
                    d: problem.d as f64,
                },
                (None, Law::Named(LawName::Mixture)) => BaseLaw::Mixture {
                    mu: needed("mu", problem.mu)?,
                    sigma: problem.sigma_x,
                },
                (None, _) => BaseLaw::Gaussian {
                    sigma: problem.sigma_x,
                },
            };
            let loss = HingeLoss {
                alpha: problem.alpha,
                h: problem.h,
                beta: problem.beta,
                exponent: problem.p,
            };
            let moments = InitialMoments {
                correlation: problem.correlation,
                power: problem.power,
            };
            let law = DataLaw::new(base, problem.flip)?;
            let subtract_init = problem.subtract_init;
            Ok(Self {
                field: HingeMeanField::new(law, loss, problem.kappa, moments, subtract_init)?,
                scales: InitialScales {
                    sigma_a: problem.sigma_a,
                    sigma_w: problem.sigma_w,
                },
                sigma_x: problem.sigma_x,
                d: problem.d,
            })
        })
    }

    fn gamma<'py>(&self, py: Python<'py>, t: PyReadonlyArray1<'py, f64>) -> PyResult<Vector<'py>> {
        let t = t.as_array();
        let gamma = run(py, None, |cancel| self.field.gamma(t, cancel))?;
        Ok(PyArray::from_owned_array(py, gamma))
    }

    fn gamma_by_flow<'py>(
        &self,
        py: Python<'py>,
        t: PyReadonlyArray1<'py, f64>,
    ) -> PyResult<Vector<'py>> {
        let t = t.as_array();
        let gamma = run(py, None, |cancel| self.field.gamma_by_flow(t, cancel))?;
        Ok(PyArray::from_owned_array(py, gamma))
    }

    fn gamma_dot<'py>(
        &self,
        py: Python<'py>,
        gamma: PyReadonlyArray1<'py, f64>,
    ) -> PyResult<Vector<'py>> {
        let gamma = gamma.as_array();
        let speed = run(py, None, |cancel| self.field.speeds(gamma, cancel))?;
        Ok(PyArray::from_owned_array(py, speed))
    }

    fn alignment<'py>(
        &self,
        py: Python<'py>,
        gamma: PyReadonlyArray1<'py, f64>,
    ) -> PyResult<Vector<'py>> {
        let gamma = gamma.as_array();
        let alignment = run(py, None, |_| Ok(gamma.mapv(|g| self.field.alignment(g))))?;
        Ok(PyArray::from_owned_array(py, alignment))
    }

    fn time_of_gamma<'py>(
        &self,
        py: Python<'py>,
        gamma: PyReadonlyArray1<'py, f64>,
    ) -> PyResult<Vector<'py>> {
        let gamma = gamma.as_array();
        let t = run(py, None, |cancel| self.field.time_of_gamma(gamma, cancel))?;
        Ok(PyArray::from_owned_array(py, t))
    }

    fn satisfaction_gamma<'py>(
        &self,
        py: Python<'py>,
        z: PyReadonlyArray1<'py, f64>,
    ) -> PyResult<Vector<'py>> {
        let z = z.as_array();
        let gamma = run(py, None, |_| {
            Ok(z.mapv(|z| self.field.satisfaction_gamma(z)))
        })?;
        Ok(PyArray::from_owned_array(py, gamma))
    }

    /// Rotation at which learning stops; infinite, with the sign of the rotation, if it does not.
    fn plateau(&self, py: Python<'_>) -> PyResult<f64> {
        call(py, || Ok(self.field.end()))
    }

    /// `chi`, `unsatisfied`, `loss` at the given rotations.
    fn observables<'py>(
        &self,
        py: Python<'py>,
        gamma: PyReadonlyArray1<'py, f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let gamma = gamma.as_array();
        to_dict(
            py,
            run(py, None, |cancel| self.field.observables(gamma, cancel))?,
        )
    }

    /// `P`, `Q`, `S`, `gamma`, `chi`, `unsatisfied`, `loss` after 0..=steps steps.
    fn gd<'py>(&self, py: Python<'py>, steps: usize, dt: f64) -> PyResult<Bound<'py, PyDict>> {
        let course = run(py, None, |cancel| {
            gd::descend(&self.field, steps, dt, cancel)
        })?;
        to_dict(py, course)
    }

    /// Node variances at one point.
    #[pyo3(signature = (gamma, *, x_par, perpendicular))]
    fn node_variance<'py>(
        &self,
        py: Python<'py>,
        gamma: PyReadonlyArray1<'py, f64>,
        x_par: f64,
        perpendicular: f64,
    ) -> PyResult<Vector<'py>> {
        let gamma = gamma.as_array();
        let point = Point {
            x_par,
            perpendicular,
        };
        let variance = run(py, None, |cancel| {
            node_variance(&self.field, self.scales, gamma, point, cancel)
        })?;
        Ok(PyArray::from_owned_array(py, variance))
    }

    /// `frozen` and `residual` test errors of a network of `width` nodes.
    fn test_errors<'py>(
        &self,
        py: Python<'py>,
        gamma: PyReadonlyArray1<'py, f64>,
        width: f64,
    ) -> PyResult<Bound<'py, PyDict>> {
        let gamma = gamma.as_array();
        let errors = run(py, None, |cancel| {
            test_errors(
                &self.field,
                self.scales,
                gamma,
                width,
                self.d as f64,
                cancel,
            )
        })?;
        let table = Table::new()
            .with("frozen", errors.frozen)
            .with("residual", errors.residual);
        to_dict(py, table)
    }

    /// `low` and `high`: projections satisfied one standard deviation early and late.
    #[pyo3(signature = (gamma, *, width, perpendicular, residual))]
    fn satisfaction_band<'py>(
        &self,
        py: Python<'py>,
        gamma: PyReadonlyArray1<'py, f64>,
        width: f64,
        perpendicular: f64,
        residual: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let gamma = gamma.as_array();
        let kind = if residual {
            Fluctuations::Residual
        } else {
            Fluctuations::Frozen
        };
        let band = run(py, None, |cancel| {
            let scales = self.scales;
            satisfaction_band(
                &self.field,
                scales,
                gamma,
                width,
                perpendicular,
                kind,
                cancel,
            )
        })?;
        let table = Table::new().with("low", band.low).with("high", band.high);
        to_dict(py, table)
    }

    /// `gamma`, `extra_margin`, `train_unsatisfied`, `test_unsatisfied` and the rough end of training `t_end`.
    fn memorisation<'py>(
        &self,
        py: Python<'py>,
        t: PyReadonlyArray1<'py, f64>,
        samples: f64,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (t, sample) = (t.as_array(), self.sample(samples));
        let (course, end) = run(py, None, |cancel| {
            Ok((
                memorise(&self.field, sample, t, cancel)?,
                end_of_training(&self.field, sample)?,
            ))
        })?;
        let table = Table::new()
            .with("gamma", course.gamma)
            .with("extra_margin", course.extra_margin)
            .with("train_unsatisfied", course.train_unsatisfied)
            .with("test_unsatisfied", course.test_unsatisfied)
            .with("t_end", end);
        to_dict(py, table)
    }

    /// The late-time law: `gamma`, `log_law`, `chi_times_sqrt_2Rt` at the times, and `R`, `A`, `K`.
    fn late_time<'py>(
        &self,
        py: Python<'py>,
        t: PyReadonlyArray1<'py, f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let t = t.as_array();
        let late = run(py, None, |cancel| {
            self.field.late_time(self.sigma_x, t, cancel)
        })?;
        let table = Table::new()
            .with("gamma", late.gamma)
            .with("log_law", late.log_law)
            .with("chi_times_sqrt_2Rt", late.scaled_threshold)
            .with("R", late.rate)
            .with("A", late.a)
            .with("K", late.constant);
        to_dict(py, table)
    }
}

/// The universal lazy curve.
#[pyfunction]
fn hinge_lazy_master<'py>(py: Python<'py>, s: PyReadonlyArray1<'py, f64>) -> PyResult<Vector<'py>> {
    let s = s.as_array();
    let curve = run(py, None, |cancel| asymptotics::lazy_master(s, cancel))?;
    Ok(PyArray::from_owned_array(py, curve))
}

/// The universal rich front.
#[pyfunction]
fn hinge_rich_front<'py>(
    py: Python<'py>,
    tau: PyReadonlyArray1<'py, f64>,
) -> PyResult<Vector<'py>> {
    let tau = tau.as_array();
    let front = run(py, None, |cancel| asymptotics::rich_front(tau, cancel))?;
    Ok(PyArray::from_owned_array(py, front))
}
