//! Units: features and teacher fields so large or small that their squares leave the range of numbers.
//!
//! With `v = c v'` and `nu = s nu'` the covariance is `c^2 omega'`, its projections `c^2 s^2 t'`, and
//! `lam = c^2 lam'`: every preactivation is as before. Real targets carry their scale into the predictions;
//! labels do not see it.

use super::solve::{Settings, Solution};
use super::spectrum::{Overlaps, Spectrum};
use hmm_core::{Error, Loss, Result};
use std::borrow::Cow;

/// Binary orders of magnitude around 1 that need no change: products of four such numbers are finite.
const SAFE: f64 = 200.0;

/// The units `c` and `s`, powers of two, so that a change of units rounds nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    features: f64,
    teacher: f64,
}

/// The power of two whose square is near `variance`, 1 if that is of ordinary size.
fn unit(variance: f64) -> f64 {
    let exponent = variance.log2();
    if exponent.abs() <= SAFE {
        1.0
    } else {
        2.0_f64.powi((0.5 * exponent).round() as i32)
    }
}

impl Scale {
    /// The units of a spectrum, and the spectrum in them.
    pub(crate) fn of(spectrum: &Spectrum) -> (Self, Cow<'_, Spectrum>) {
        let scale = Self {
            features: unit(spectrum.largest_eigenvalue()),
            teacher: unit(spectrum.rho()),
        };
        if scale.features == 1.0 && scale.teacher == 1.0 {
            return (scale, Cow::Borrowed(spectrum));
        }
        let scaled = spectrum.in_units(scale.features, scale.teacher);
        (scale, Cow::Owned(scaled))
    }

    /// The settings in these units.
    ///
    /// # Errors
    /// A penalty or noise that has no number there.
    pub(crate) fn settings(&self, settings: &Settings) -> Result<Settings> {
        let lam = settings.lam / self.features / self.features;
        if !(lam.is_finite() && lam > 0.0) {
            return Err(Error::invalid(
                "lam",
                settings.lam,
                "is too far from the variances of the features",
                "divide the features by their standard deviation",
            ));
        }
        Ok(Settings {
            lam,
            noise: self.noise(settings.noise)?,
            ..*settings
        })
    }

    /// The standard deviation of the noise in these units.
    ///
    /// # Errors
    /// One whose square is no number there.
    pub(crate) fn noise(&self, noise: f64) -> Result<f64> {
        let scaled = noise / self.teacher;
        if (scaled * scaled).is_finite() {
            return Ok(scaled);
        }
        Err(Error::invalid(
            "noise",
            noise,
            "is too far from the standard deviation of the teacher field",
            "pass less noise",
        ))
    }

    /// A solution in the user's units.
    pub(crate) fn undo(&self, solution: Solution, loss: Loss) -> Solution {
        let Self { features, teacher } = *self;
        if features == 1.0 && teacher == 1.0 {
            return solution;
        }
        let mut out = solution;
        out.overlaps = self.undo_overlaps(&solution.overlaps, loss);
        if loss == Loss::Ridge {
            for value in [
                &mut out.conjugates.q_hat,
                &mut out.train_loss,
                &mut out.test_mse,
                &mut out.train_mse,
                &mut out.objective,
            ] {
                *value *= teacher * teacher;
            }
        } else {
            out.conjugates.m_hat /= teacher;
        }
        out.converged &= out.is_sound();
        out
    }

    /// Overlaps in the user's units.
    pub(crate) fn undo_overlaps(&self, overlaps: &Overlaps, loss: Loss) -> Overlaps {
        let Self { features, teacher } = *self;
        let norm2 = overlaps.norm2 / features / features;
        if loss == Loss::Ridge {
            Overlaps {
                v: overlaps.v,
                q: overlaps.q * teacher * teacher,
                m: overlaps.m * teacher * teacher,
                norm2: norm2 * teacher * teacher,
            }
        } else {
            Overlaps {
                m: overlaps.m * teacher,
                norm2,
                ..*overlaps
            }
        }
    }

    /// What a margin is multiplied by.
    pub(crate) fn margin(&self) -> f64 {
        self.features
    }

    /// `c^2`: what a penalty is multiplied by.
    pub(crate) fn penalty(&self) -> f64 {
        self.features * self.features
    }

    /// `s^2`: what a mean squared error of real targets is multiplied by.
    pub(crate) fn square(&self) -> f64 {
        self.teacher * self.teacher
    }
}
