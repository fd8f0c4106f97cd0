//! Hinge-loss mean-field theory.

use crate::border;
use hmm_core::Error;
use hmm_theory::hinge::density::DensityTable;
use hmm_theory::hinge::fluctuations::{
    InitialScales, node_variance, satisfaction_band, test_errors,
};
use hmm_theory::hinge::memorisation::{FiniteSample, end_of_training, memorise};
use hmm_theory::hinge::projections::{
    HingeLoss, ProjectedData, ProjectedMeanField, ProjectedNodes,
};
use hmm_theory::hinge::{BaseLaw, DataLaw, HingeMeanField, asymptotics, gd};
use numpy::{IntoPyArray, PyArray1, PyArrayLike1, PyReadonlyArray1};
use pyo3::prelude::*;
use std::sync::Arc;

type Vector<'py> = Bound<'py, PyArray1<f64>>;

/// Register the classes and functions of this file.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<HingeTheory>()?;
    module.add_class::<ProjectedHinge>()?;
    module.add_function(wrap_pyfunction!(hinge_lazy_master, module)?)?;
    module.add_function(wrap_pyfunction!(hinge_rich_front, module)?)?;
    module.add_function(wrap_pyfunction!(hinge_late_constant, module)?)
}

/// Contents of a one-dimensional array.
fn values(array: &PyReadonlyArray1<'_, f64>) -> Vec<f64> {
    array.as_array().to_vec()
}

/// A Python callable as a density.
fn tabulate(
    py: Python<'_>,
    density: &Bound<'_, PyAny>,
    scale: f64,
    support: (f64, f64),
) -> PyResult<DensityTable> {
    let mut evaluate = |z: &[f64]| {
        let argument = z.to_vec().into_pyarray(py);
        density
            .call1((argument,))
            .and_then(|result| {
                Ok(result
                    .extract::<PyArrayLike1<'_, f64>>()?
                    .as_array()
                    .to_vec())
            })
            .map_err(|error| Error::Callback(Box::new(error)))
    };
    border::attached(py, || DensityTable::new(&mut evaluate, scale, support))
}

/// The reduction to one rotation.
#[pyclass(frozen, module = "hmm_rs._lib")]
struct HingeTheory(HingeMeanField);

#[pymethods]
impl HingeTheory {
    /// `law` is "gaussian", "sphere", "mixture" or a density; `scale` is sigma_x, radius, sigma_x, or
    /// the scale of the density.
    #[new]
    #[pyo3(signature = (law, d, scale, mu, flip, support, loss, kappa, moments, subtract_init))]
    fn new(
        py: Python<'_>,
        law: &Bound<'_, PyAny>,
        d: f64,
        scale: f64,
        mu: f64,
        flip: f64,
        support: (f64, f64),
        loss: (f64, f64, f64, f64),
        kappa: f64,
        moments: (f64, f64),
        subtract_init: bool,
    ) -> PyResult<Self> {
        let base = match law.extract::<String>().as_deref() {
            Ok("sphere") => BaseLaw::Sphere { radius: scale, d },
            Ok("mixture") => BaseLaw::Mixture { mu, sigma: scale },
            Ok(_) => BaseLaw::Gaussian { sigma: scale },
            Err(_) => BaseLaw::Density(Arc::new(tabulate(py, law, scale, support)?)),
        };
        border::attached(py, || {
            let law = DataLaw::new(base, flip)?;
            Ok(Self(HingeMeanField::new(
                law,
                loss,
                kappa,
                moments,
                subtract_init,
            )?))
        })
    }

    fn gamma<'py>(&self, py: Python<'py>, t: PyReadonlyArray1<'py, f64>) -> PyResult<Vector<'py>> {
        let t = values(&t);
        Ok(border::run(py, None, |_| self.0.gamma(&t))?.into_pyarray(py))
    }

    fn gamma_by_flow<'py>(
        &self,
        py: Python<'py>,
        t: PyReadonlyArray1<'py, f64>,
    ) -> PyResult<Vector<'py>> {
        let t = values(&t);
        Ok(border::run(py, None, |_| self.0.gamma_by_flow(&t))?.into_pyarray(py))
    }

    fn gamma_dot<'py>(&self, py: Python<'py>, gamma: PyReadonlyArray1<'py, f64>) -> Vector<'py> {
        let speeds: Vec<f64> = gamma
            .as_array()
            .iter()
            .map(|g| self.0.gamma_dot(*g))
            .collect();
        speeds.into_pyarray(py)
    }

    fn alignment<'py>(&self, py: Python<'py>, gamma: PyReadonlyArray1<'py, f64>) -> Vector<'py> {
        let alignments: Vec<f64> = gamma
            .as_array()
            .iter()
            .map(|g| self.0.alignment(*g))
            .collect();
        alignments.into_pyarray(py)
    }

    fn time_of_gamma<'py>(
        &self,
        py: Python<'py>,
        gamma: PyReadonlyArray1<'py, f64>,
    ) -> PyResult<Vector<'py>> {
        let gamma = values(&gamma);
        Ok(border::run(py, None, |_| Ok(self.0.time_of_gamma(&gamma)))?.into_pyarray(py))
    }

    fn satisfaction_gamma<'py>(
        &self,
        py: Python<'py>,
        z: PyReadonlyArray1<'py, f64>,
    ) -> Vector<'py> {
        let gammas: Vec<f64> = z
            .as_array()
            .iter()
            .map(|z| self.0.satisfaction_gamma(*z))
            .collect();
        gammas.into_pyarray(py)
    }

    /// Rotation at which learning stops (None: never).
    fn plateau(&self) -> Option<f64> {
        self.0.plateau()
    }

    /// `(chi, unsatisfied, loss)` at the given rotations.
    fn observables<'py>(
        &self,
        py: Python<'py>,
        gamma: PyReadonlyArray1<'py, f64>,
    ) -> [Vector<'py>; 3] {
        let states: Vec<_> = gamma
            .as_array()
            .iter()
            .map(|g| self.0.observables_at(self.0.alignment(*g)))
            .collect();
        [
            states
                .iter()
                .map(|s| s.chi)
                .collect::<Vec<_>>()
                .into_pyarray(py),
            states
                .iter()
                .map(|s| s.unsatisfied)
                .collect::<Vec<_>>()
                .into_pyarray(py),
            states
                .iter()
                .map(|s| s.loss)
                .collect::<Vec<_>>()
                .into_pyarray(py),
        ]
    }

    /// `(P, Q, S, chi, unsatisfied, loss)` after 0..=steps steps.
    fn gd<'py>(&self, py: Python<'py>, steps: usize, dt: f64) -> PyResult<[Vector<'py>; 6]> {
        let states = border::run(py, None, |_| gd::descend(&self.0, steps, dt))?;
        let column = |value: fn(&gd::GdState) -> f64| -> Vector<'py> {
            states
                .iter()
                .map(value)
                .collect::<Vec<_>>()
                .into_pyarray(py)
        };
        Ok([
            column(|s| s.growing),
            column(|s| s.decaying),
            column(|s| s.alignment),
            column(|s| s.observables.chi),
            column(|s| s.observables.unsatisfied),
            column(|s| s.observables.loss),
        ])
    }

    /// Node variances at one point.
    fn node_variance<'py>(
        &self,
        py: Python<'py>,
        gamma: PyReadonlyArray1<'py, f64>,
        sigma_a: f64,
        sigma_w: f64,
        point: (f64, f64),
    ) -> Vector<'py> {
        let scales = InitialScales { sigma_a, sigma_w };
        let variances: Vec<f64> = gamma
            .as_array()
            .iter()
            .map(|g| node_variance(&self.0, scales, *g, point))
            .collect();
        variances.into_pyarray(py)
    }

    /// `(frozen, residual)` test errors.
    fn test_errors<'py>(
        &self,
        py: Python<'py>,
        gamma: PyReadonlyArray1<'py, f64>,
        sigma_a: f64,
        sigma_w: f64,
        width: f64,
        d: f64,
    ) -> [Vector<'py>; 2] {
        let scales = InitialScales { sigma_a, sigma_w };
        let (frozen, residual): (Vec<f64>, Vec<f64>) = gamma
            .as_array()
            .iter()
            .map(|g| test_errors(&self.0, scales, *g, width, d))
            .unzip();
        [frozen.into_pyarray(py), residual.into_pyarray(py)]
    }

    /// `(low, high)` projections satisfied one standard deviation early and late.
    fn satisfaction_band<'py>(
        &self,
        py: Python<'py>,
        gamma: PyReadonlyArray1<'py, f64>,
        sigma_a: f64,
        sigma_w: f64,
        width: f64,
        xperp2: f64,
        residual: bool,
    ) -> [Vector<'py>; 2] {
        let scales = InitialScales { sigma_a, sigma_w };
        let (low, high): (Vec<f64>, Vec<f64>) = gamma
            .as_array()
            .iter()
            .map(|g| satisfaction_band(&self.0, scales, *g, width, xperp2, residual))
            .unzip();
        [low.into_pyarray(py), high.into_pyarray(py)]
    }

    /// `(gamma, extra margin, train unsatisfied, test unsatisfied)` and the rough end of training.
    fn memorisation<'py>(
        &self,
        py: Python<'py>,
        t: PyReadonlyArray1<'py, f64>,
        d: f64,
        samples: f64,
        sigmas: (f64, f64, f64),
    ) -> PyResult<([Vector<'py>; 4], f64)> {
        let (sigma_x, sigma_a, sigma_w) = sigmas;
        let sample = FiniteSample {
            d,
            samples,
            sigma_x,
            sigma_a,
            sigma_w,
        };
        let t = values(&t);
        let (states, end) = border::run(py, None, |_| {
            Ok((
                memorise(&self.0, sample, &t)?,
                end_of_training(&self.0, sample)?,
            ))
        })?;
        let columns = [
            states
                .iter()
                .map(|s| s.gamma)
                .collect::<Vec<_>>()
                .into_pyarray(py),
            states
                .iter()
                .map(|s| s.extra_margin)
                .collect::<Vec<_>>()
                .into_pyarray(py),
            states
                .iter()
                .map(|s| s.train_unsatisfied)
                .collect::<Vec<_>>()
                .into_pyarray(py),
            states
                .iter()
                .map(|s| s.test_unsatisfied)
                .collect::<Vec<_>>()
                .into_pyarray(py),
        ];
        Ok((columns, end))
    }

    /// Late-time law: rotations at the scaled times `R t`, for `A` (with C1 in it) and a shift of gamma.
    #[staticmethod]
    fn late_gamma<'py>(
        py: Python<'py>,
        a: f64,
        shift: f64,
        scaled_times: PyReadonlyArray1<'py, f64>,
    ) -> PyResult<Vector<'py>> {
        let start = asymptotics::standard_time(a, shift);
        let times: Vec<f64> = scaled_times
            .as_array()
            .iter()
            .map(|rt| rt + start)
            .collect();
        let gamma = border::run(py, None, |_| asymptotics::late_gamma(a, &times))?;
        Ok(gamma
            .into_iter()
            .map(|g| g - shift)
            .collect::<Vec<_>>()
            .into_pyarray(py))
    }
}

/// The universal lazy curve.
#[pyfunction]
fn hinge_lazy_master<'py>(py: Python<'py>, s: PyReadonlyArray1<'py, f64>) -> PyResult<Vector<'py>> {
    let s = values(&s);
    Ok(border::run(py, None, |_| asymptotics::lazy_master(&s))?.into_pyarray(py))
}

/// The universal rich front.
#[pyfunction]
fn hinge_rich_front<'py>(
    py: Python<'py>,
    tau: PyReadonlyArray1<'py, f64>,
) -> PyResult<Vector<'py>> {
    let tau = values(&tau);
    Ok(border::run(py, None, |_| asymptotics::rich_front(&tau))?.into_pyarray(py))
}

/// The constant `K(A)` of the late-time law.
#[pyfunction]
fn hinge_late_constant(py: Python<'_>, a: f64) -> PyResult<f64> {
    border::attached(py, || asymptotics::late_constant(a))
}

/// The self-consistent mean field on a few projections.
#[pyclass(module = "hmm_rs._lib")]
struct ProjectedHinge(ProjectedMeanField);

#[pymethods]
impl ProjectedHinge {
    /// Nodes `(a, w_par, r, weight)` and data `(x, y, weight, sigma)` as flat arrays; loss `(alpha, h, beta, p)`.
    #[new]
    fn new(
        py: Python<'_>,
        nodes: [PyReadonlyArray1<'_, f64>; 4],
        data: [PyReadonlyArray1<'_, f64>; 4],
        k: usize,
        loss: (f64, f64, f64, f64),
        kappa: f64,
    ) -> PyResult<Self> {
        let [a, w_par, r, node_weight] = nodes.map(|array| values(&array));
        let [x, y, weight, sigma] = data.map(|array| values(&array));
        let nodes = ProjectedNodes {
            a,
            w_par,
            r,
            weight: node_weight,
        };
        let data = ProjectedData {
            x,
            y,
            weight,
            k,
            sigma,
        };
        let (alpha, h, beta, exponent) = loss;
        let loss = HingeLoss {
            alpha,
            h,
            beta,
            exponent,
        };
        Ok(Self(border::run(py, None, |_| {
            ProjectedMeanField::new(nodes, data, loss, kappa)
        })?))
    }

    fn advance(&mut self, py: Python<'_>, steps: usize, dt: f64) -> PyResult<()> {
        border::run(py, None, |cancel| self.0.advance(steps, dt, cancel))
    }

    /// `(unsatisfied, loss, test_error)`.
    fn state(&self) -> (f64, f64, f64) {
        let state = self.0.state();
        (state.unsatisfied, state.loss, state.test_error)
    }

    /// `(a, w_par flat, r)`.
    fn nodes<'py>(&self, py: Python<'py>) -> [Vector<'py>; 3] {
        let nodes = self.0.nodes();
        [&nodes.a, &nodes.w_par, &nodes.r].map(|values| values.clone().into_pyarray(py))
    }

    fn output<'py>(&self, py: Python<'py>) -> Vector<'py> {
        self.0.output().to_vec().into_pyarray(py)
    }
}
