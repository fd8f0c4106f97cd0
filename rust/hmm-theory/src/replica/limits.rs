//! The limits of a vanishing penalty: ridgeless regression, the maximum margin, and the number of
//! examples up to which labels can be separated at all.

use super::channel::{Channel, Margin};
use super::quadrature::Panels;
use super::scale::Scale;
use super::solve::{
    Settings, check_flip, check_noise, errors, initial_overlaps, iterate, noisy_variance,
};
use super::spectrum::{Overlaps, Spectrum, positive};
use hmm_core::{Cancel, Error, Loss, Result};
use std::f64::consts::{FRAC_1_SQRT_2, PI, TAU};

/// Prediction of least squares of minimal norm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ridgeless {
    /// Mean squared test error.
    pub test_mse: f64,
    /// Mean squared training error (no factor 1/2).
    pub train_mse: f64,
}

/// Prediction for the hard-margin classifier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxMargin {
    /// Geometric margin `min_mu y w.v/sqrt(p) / (|w|/sqrt(p)) = 1/sqrt(r)`.
    pub margin: f64,
    /// 0/1 error against labels like the training ones.
    pub test_error: f64,
    /// 0/1 error against clean labels.
    pub test_error_clean: f64,
    /// Overlaps of the vector with functional margin 1; `v` is `lim lam V`.
    pub overlaps: Overlaps,
    /// The separability threshold.
    pub threshold: f64,
    /// Whether the tolerance was met.
    pub converged: bool,
    /// Evaluations of the fixed-point map.
    pub iterations: usize,
    /// Largest change in the last one.
    pub residual: f64,
}

/// Ridge regression at `lam -> 0+`, off the interpolation threshold.
///
/// Above the threshold `f` (the rank over p) `mse = (rho - rho_lin) alpha/(alpha - f)`; below it
/// `sum c V omega/(1 + V omega) = alpha` fixes `V`.
///
/// # Errors
/// `alpha <= 0`, `alpha` at the threshold (where the error diverges), `noise < 0`.
pub fn ridgeless(spectrum: &Spectrum, alpha: f64, noise: f64) -> Result<Ridgeless> {
    positive("alpha", alpha, "pass alpha = n/p > 0")?;
    check_noise(noise)?;
    let (scale, spectrum) = Scale::of(spectrum);
    let rho = noisy_variance(&spectrum, scale.noise(noise)?);
    let rank = spectrum.rank_fraction();
    let unexplained = (rho - spectrum.teacher_linear_part()).max(0.0);
    if (alpha - rank).abs() <= 1e-12 * rank {
        return Err(Error::invalid(
            "alpha",
            alpha,
            format!(
                "must differ from the interpolation threshold {rank}, where the error diverges"
            ),
            "pass another alpha, or use solve with lam > 0",
        ));
    }
    if alpha > rank {
        return Ok(Ridgeless {
            test_mse: scale.square() * (unexplained * alpha / (alpha - rank)),
            train_mse: scale.square() * (unexplained * (alpha - rank) / alpha),
        });
    }
    let v = interpolating_variance(&spectrum, alpha);
    let sums = spectrum.sums(1.0, v);
    Ok(Ridgeless {
        test_mse: scale.square()
            * ((rho - 2.0 * v * sums.teacher1 + v * v * sums.teacher2)
                / (1.0 - v * v * sums.weight2 / alpha)),
        train_mse: 0.0,
    })
}

/// The root of `sum c V omega/(1 + V omega) = alpha < f`, in `log V`, where the sum grows from 0 to f.
fn interpolating_variance(spectrum: &Spectrum, alpha: f64) -> f64 {
    let excess = |log_v: f64| {
        let v = log_v.exp();
        v * spectrum.sums(1.0, v).weight1 - alpha
    };
    let (mut lower, mut upper) = (-1.0, 1.0);
    while excess(lower) > 0.0 {
        lower *= 2.0;
    }
    while excess(upper) < 0.0 && upper < 600.0 {
        upper *= 2.0;
    }
    bisect(lower, upper, |log_v| excess(log_v) < 0.0).exp()
}

/// The point where `below` turns from true to false, by bisection to rounding.
fn bisect(mut lower: f64, mut upper: f64, below: impl Fn(f64) -> bool) -> f64 {
    loop {
        let middle = f64::midpoint(lower, upper);
        if middle <= lower || middle >= upper {
            return middle;
        }
        if below(middle) {
            lower = middle;
        } else {
            upper = middle;
        }
    }
}

/// `alpha_c`: random examples are linearly separable (through the origin) up to `n = alpha_c p`.
///
/// `alpha_c = f / min_{c >= 0} E[(g - c s)_+^2]` with `g` standard normal and `s` distributed as
/// `2 N(s; 0, 1) [(1 - flip) Phi(k s) + flip Phi(-k s)]`, `k = sqrt(x/(1 - x))`, `x = rho_lin/rho`;
/// infinite if the labels are a linear function's signs.
///
/// # Errors
/// `flip` outside [0, 1/2], `noise < 0`.
pub fn separability_threshold(spectrum: &Spectrum, flip: f64, noise: f64) -> Result<f64> {
    check_flip(flip)?;
    check_noise(noise)?;
    let rho = noisy_variance(spectrum, noise);
    let unexplained = 1.0 - spectrum.teacher_linear_part() / rho;
    // Rounding of a sum of t/omega cannot be told from a noiseless linear teacher.
    let steepness = if unexplained > 1e-14 {
        ((1.0 - unexplained) / unexplained).sqrt()
    } else {
        f64::INFINITY
    };
    let keep = 1.0 - 2.0 * flip;
    if steepness.is_infinite() && keep == 1.0 {
        return Ok(f64::INFINITY);
    }
    let law = |s: f64| {
        let tilt = if steepness.is_infinite() {
            s.signum()
        } else {
            libm::erf(steepness * s * FRAC_1_SQRT_2)
        };
        (-0.5 * s * s).exp() / TAU.sqrt() * (1.0 + keep * tilt)
    };
    let mut panels = Panels::default();
    let mut average = |c: f64, term: &dyn Fn(f64, f64) -> f64| {
        panels.clear();
        panels.graded(
            0.0,
            1.5 / (1.0
                + c
                + if steepness.is_finite() {
                    steepness
                } else {
                    0.0
                }),
            9.0,
        );
        panels.lay(-9.0, 9.0, 1.0);
        let nodes = panels.nodes.iter().zip(&panels.weights);
        nodes
            .map(|(s, weight)| weight * law(*s) * term(*s, -c * s))
            .sum::<f64>()
    };
    // The derivative in c: -2 E[s (g - c s)_+] with E_g (g + u)_+ = u Phi(u) + phi(u).
    let mut rises =
        |log_c: f64| average(log_c.exp(), &|s, u| s * (u * normal_cdf(u) + normal_pdf(u))) <= 0.0;
    let best = if keep == 0.0 || steepness == 0.0 {
        0.0
    } else {
        let (mut lower, mut upper) = (-1.0_f64, 1.0_f64);
        while rises(lower) && lower > -40.0 {
            lower *= 2.0;
        }
        while !rises(upper) && upper < 40.0 {
            upper *= 2.0;
        }
        // The minimum is flat: 60 halvings place c to rounding.
        for _ in 0..60 {
            let middle = f64::midpoint(lower, upper);
            if rises(middle) {
                upper = middle;
            } else {
                lower = middle;
            }
        }
        f64::midpoint(lower, upper).exp()
    };
    let smallest = average(best, &|_, u| {
        (1.0 + u * u) * normal_cdf(u) + u * normal_pdf(u)
    });
    Ok(spectrum.rank_fraction() / smallest)
}

fn normal_pdf(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
}

fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
}

/// The hard-margin classifier below the separability threshold: the limit `lam -> 0+` of the hinge
/// loss, and in direction of the logistic loss.
///
/// # Errors
/// `alpha <= 0` or at or above the threshold, `flip` outside [0, 1/2], `noise < 0`, `tol <= 0`, an interruption.
pub fn max_margin(
    spectrum: &Spectrum,
    alpha: f64,
    flip: f64,
    noise: f64,
    tol: f64,
    max_iterations: usize,
    cancel: &Cancel,
) -> Result<MaxMargin> {
    positive("alpha", alpha, "pass alpha = n/p > 0")?;
    let settings = Settings {
        loss: Loss::Hinge,
        lam: 1.0,
        flip,
        noise,
        tol,
        max_iterations,
    };
    settings.check()?;
    let threshold = separability_threshold(spectrum, flip, noise)?;
    if alpha >= threshold {
        return Err(Error::invalid(
            "alpha",
            alpha,
            format!("must be below the separability threshold {threshold}"),
            "pass a smaller alpha, or use solve with lam > 0",
        ));
    }
    let (scale, spectrum) = Scale::of(spectrum);
    let settings = Settings {
        noise: scale.noise(noise)?,
        ..settings
    };
    let rho = noisy_variance(&spectrum, settings.noise);
    let mut channel = Channel::new(alpha, rho, flip);
    let start = initial_overlaps(&spectrum, 1.0, rho, flip);
    let fixed = iterate(
        &spectrum,
        &mut channel,
        Margin::Hard,
        1.0,
        &start,
        tol,
        max_iterations,
        cancel,
    )?;
    let (test_error, test_error_clean) = errors(&fixed.overlaps, spectrum.rho(), &settings);
    let mut overlaps = scale.undo_overlaps(&fixed.overlaps, Loss::Hinge);
    overlaps.v *= scale.penalty();
    let margin = scale.margin() / fixed.overlaps.norm2.sqrt();
    let sound = [margin, test_error, overlaps.v, overlaps.norm2]
        .iter()
        .all(|number| number.is_finite());
    Ok(MaxMargin {
        margin,
        test_error,
        test_error_clean,
        overlaps,
        threshold,
        converged: fixed.converged && sound,
        iterations: fixed.iterations,
        residual: fixed.residual,
    })
}
