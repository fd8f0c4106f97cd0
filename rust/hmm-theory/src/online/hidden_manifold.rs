//! The hidden manifold: one mode per eigenvalue rho of F^T F / N, and one for the rest of W.
//!
//! With d = zeta + b^2 rho/delta, p = b rho/delta, gamma = zeta rho + b^2 rho^2/delta:
//!
//! ```text
//! dr/dt     = -eta d L r + eta p G t
//! dsigma/dt = -eta d (L sigma + sigma L^T) + eta p (G r^T + r G^T) + eta^2 gamma N
//! dW/dt     = -eta (L Q + Q L^T) + eta (G R^T + R G^T) + eta^2 c N
//! Q = zeta W + b^2 <sigma>,  R = b <r>
//! ```
//!
//! W is not a mode, but `W' = W - delta <sigma/rho>` (modes with rho > 0) is: the teacher cancels,
//! `dW'/dt = -eta zeta (L W' + W' L^T) + eta^2 (c - <delta zeta + b^2 rho>) N`. It is the part of the
//! weights that F does not see (N - D directions with input variance zeta).
//! Source: Goldt, Mezard, Krzakala, Zdeborova, Phys. Rev. X 10, 041044 (2020), section IV.

use super::initial::{ModeArrays, ModeNumbers, Setting, numbers};
use super::modes::{Coefficients, Observable, OnlineSystem};
use crate::activation::Moments;
use crate::checks::{check_covariance, finite, shape};
use hmm_core::{Error, Result};
use ndarray::{ArrayView1, ArrayView2};

/// Eigenvalues below this fraction of the largest are zero: F does not see that latent direction.
const ZERO_EIGENVALUE: f64 = 1e-12;

hmm_core::named! {
    /// How the teacher enters the modes.
    pub enum TeacherModes: "teacher_modes" {
        /// t_s as given: the finite-N theory.
        Exact = "exact",
        /// Every t_s replaced by `T = <t>`.
        Averaged = "averaged",
        /// Every t_s replaced by `<rho t>`, as in the code published with the paper (its eq. B29). Equal
        /// for N to infinity only; the covariance of the fields may lose positivity. For comparison.
        Published = "published",
    }
}

/// Data model and spectrum.
#[derive(Clone, Copy, Debug)]
pub struct Manifold<'a> {
    /// delta = D/N.
    pub delta: f64,
    /// Moments of f.
    pub moments: Moments,
    /// Whether the mean a is subtracted from the inputs.
    pub center: bool,
    /// Eigenvalues of F^T F / N, (S,).
    pub rho: ArrayView1<'a, f64>,
    /// Their weights, summing to 1, (S,).
    pub weights: ArrayView1<'a, f64>,
    /// W(0) (K, K).
    pub w0: ArrayView2<'a, f64>,
    /// How the teacher enters.
    pub teacher_modes: TeacherModes,
}

impl Manifold<'_> {
    /// (b, c', zeta): slope, variance of the centred input, and what is left as noise.
    fn centred_moments(&self) -> Result<[f64; 3]> {
        let Moments { a, b, c } = self.moments;
        finite("f", &[a, b, c])?;
        if !self.center && a.abs() > 1e-12 {
            return Err(Error::invalid(
                "f",
                format!("E f(u) = {a}"),
                "the equations hold for centred inputs only",
                "use center=True, which subtracts E f(u) from the inputs",
            ));
        }
        let variance = c - a * a;
        let zeta = variance - b * b;
        if zeta < -1e-9 * c.abs() {
            return Err(Error::invalid(
                "f",
                format!("c - a^2 - b^2 = {zeta}"),
                "Bessel's inequality gives c >= a^2 + b^2 for every f",
                "pass (a, b, c) = (E f(u), E u f(u), E f(u)^2)",
            ));
        }
        Ok([b, variance, zeta.max(0.0)])
    }
}

/// Eigenvalues with their weights.
struct Spectrum<'a> {
    rho: &'a [f64],
    weights: &'a [f64],
}

impl Spectrum<'_> {
    /// Average of `size` numbers per mode, the weight of mode s times `factor(rho_s)`.
    fn average(&self, values: &[f64], size: usize, factor: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut sum = vec![0.0; size];
        let modes = self.rho.iter().zip(self.weights);
        for ((rho, weight), value) in modes.zip(values.chunks_exact(size)) {
            for (s, x) in sum.iter_mut().zip(value) {
                *s += weight * factor(*rho) * x;
            }
        }
        sum
    }
}

/// The system of a hidden manifold whose modes are sigma (S, K, K), r (S, K, M), t (S, M, M).
///
/// # Errors
/// Shapes that disagree, weights that are no probability, moments of no function or with a mean, overlaps that are no
/// covariance, rates below 0.
pub fn hidden_manifold(
    setting: &Setting,
    manifold: &Manifold<'_>,
    modes: ModeArrays<'_>,
) -> Result<OnlineSystem> {
    let (k, m) = setting.units()?;
    check_shapes(manifold, modes, k, m)?;
    let (covariance, overlap, teacher) = (
        numbers(&modes.covariance),
        numbers(&modes.overlap),
        numbers(&modes.teacher),
    );
    let (w0, weights) = (numbers(&manifold.w0), numbers(&manifold.weights));
    // Round-off of zero; the modes keep their weight.
    let rho = cleaned_eigenvalues(&numbers(&manifold.rho))?;
    finite("weights", &weights)?;
    let total: f64 = weights.iter().sum();
    if (total - 1.0).abs() > 1e-9 {
        return Err(Error::invalid(
            "weights",
            format!("sum {total}"),
            "weights are a probability and sum to 1 (tolerance 1e-9)",
            "add the missing atom at rho = 0 or normalise them",
        ));
    }
    check_covariance("W0", &w0, k)?;
    let [b, variance, zeta] = manifold.centred_moments()?;
    let delta = manifold.delta;
    let spectrum = Spectrum {
        rho: &rho,
        weights: &weights,
    };
    let t = spectrum.average(&teacher, m * m, |_| 1.0);
    let pulling = pulling_teacher(manifold.teacher_modes, &spectrum, &teacher, &t, m);

    // delta <./rho>: what the seen directions contribute to W.
    let seen = |rho: f64| if rho > 0.0 { delta / rho } else { 0.0 };
    let w_seen = spectrum.average(&covariance, k * k, seen);
    let unseen: Vec<f64> = w0.iter().zip(&w_seen).map(|(w, s)| w - s).collect();

    let mut coefficients = Coefficients::default();
    let mut in_w = Vec::new();
    let mut in_sigma = Vec::new();
    let mut seen_variance = 0.0;
    for (&rho, &weight) in rho.iter().zip(weights.iter()) {
        coefficients.decay.push(zeta + b * b * rho / delta);
        coefficients.pull.push(b * rho / delta);
        coefficients
            .diffusion
            .push(zeta * rho + b * b * rho * rho / delta);
        coefficients.in_q.push(weight * (zeta * seen(rho) + b * b));
        coefficients.in_r.push(weight * b);
        in_w.push(weight * seen(rho));
        in_sigma.push(weight);
        if rho > 0.0 {
            seen_variance += weight * (delta * zeta + b * b * rho);
        }
    }
    // The unseen rest of W.
    coefficients.decay.push(zeta);
    coefficients.pull.push(0.0);
    coefficients.diffusion.push(variance - seen_variance);
    coefficients.in_q.push(zeta);
    coefficients.in_r.push(0.0);
    in_w.push(1.0);
    in_sigma.push(0.0);

    setting.system(
        &t,
        coefficients,
        ModeNumbers {
            covariance: &[&covariance[..], &unseen].concat(),
            overlap: &[&overlap[..], &vec![0.0; k * m]].concat(),
            teacher: &[&pulling[..], &vec![0.0; m * m]].concat(),
        },
        vec![
            Observable {
                name: "W",
                weights: in_w,
            },
            Observable {
                name: "Sigma",
                weights: in_sigma,
            },
        ],
    )
}

/// Eigenvalues with round-off set to zero; an error if one is truly negative.
fn cleaned_eigenvalues(rho: &[f64]) -> Result<Vec<f64>> {
    finite("rho", rho)?;
    let largest = rho.iter().fold(0.0_f64, |a, &b| a.max(b.abs()));
    rho.iter()
        .map(|&x| {
            if x < -1e-8 * largest {
                Err(Error::invalid(
                    "rho",
                    x,
                    "eigenvalues of F^T F / N are not negative",
                    "pass the eigenvalues of F^T F / N",
                ))
            } else if x < ZERO_EIGENVALUE * largest {
                Ok(0.0)
            } else {
                Ok(x)
            }
        })
        .collect()
}

fn check_shapes(manifold: &Manifold<'_>, modes: ModeArrays<'_>, k: usize, m: usize) -> Result<()> {
    let s = manifold.rho.len();
    if !(manifold.delta.is_finite() && manifold.delta > 0.0) {
        return Err(Error::invalid(
            "delta",
            manifold.delta,
            "the ratio D/N must be finite and > 0",
            "pass delta=D/N",
        ));
    }
    if s == 0 {
        return Err(Error::shape(
            "rho",
            &[0],
            "at least one eigenvalue is needed",
            "pass the eigenvalues of F^T F / N",
        ));
    }
    shape("weights", manifold.weights.shape(), &[s])?;
    shape("sigma0", modes.covariance.shape(), &[s, k, k])?;
    shape("r0", modes.overlap.shape(), &[s, k, m])?;
    shape("t_modes", modes.teacher.shape(), &[s, m, m])?;
    shape("W0", manifold.w0.shape(), &[k, k])
}

/// What replaces t_s in the pull of the teacher.
fn pulling_teacher(
    choice: TeacherModes,
    spectrum: &Spectrum<'_>,
    modes: &[f64],
    t: &[f64],
    m: usize,
) -> Vec<f64> {
    match choice {
        TeacherModes::Exact => modes.to_vec(),
        TeacherModes::Averaged => t.repeat(spectrum.rho.len()),
        TeacherModes::Published => spectrum
            .average(modes, m * m, |rho| rho)
            .repeat(spectrum.rho.len()),
    }
}
