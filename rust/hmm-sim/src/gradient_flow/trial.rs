//! Trial steps: where a step would lead, and whether it may be taken.

use super::stepping::{self, Method, Verdict};
use super::{Flow, Model};
use hmm_core::dormand_prince::{ERROR, STAGES};
use hmm_core::memory::{bytes_of, filled};
use hmm_core::special::vectorised;
use hmm_core::{Cancel, Real, Result};

/// Buffers of a trial step.
#[derive(Debug)]
pub struct Trial<T> {
    pub theta: Vec<T>,
    pub outputs: Vec<f64>,
    pub gradient: Vec<T>,
    pub slopes: Vec<f64>,
    /// Rates at the stages of an embedded pair.
    pub stages: Vec<Vec<T>>,
    /// Outputs of its solution of lower order.
    pub lower: Vec<f64>,
}

impl<T: Real> Trial<T> {
    /// Buffers for `p` examples and `n` parameters.
    pub fn new(p: usize, n: usize, method: Method) -> Result<Self> {
        let parameters = || {
            filled(
                T::ZERO,
                n,
                "the buffers of a flow",
                "pass a smaller network",
            )
        };
        let examples = |count| filled(0.0, count, "the buffers of a flow", "pass fewer examples");
        let (stages, lower) = match method {
            Method::RungeKutta { .. } => (ERROR.len(), p),
            Method::Chatter | Method::Published { .. } => (0, 0),
        };
        Ok(Self {
            theta: parameters()?,
            outputs: examples(p)?,
            gradient: parameters()?,
            slopes: examples(p)?,
            stages: (0..stages).map(|_| parameters()).collect::<Result<_>>()?,
            lower: examples(lower)?,
        })
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        bytes_of::<f64>(2 * self.outputs.len() + self.lower.len())
            + bytes_of::<T>((2 + self.stages.len()) * self.theta.len())
    }
}

impl<M: Model> Flow<M> {
    /// `f - f_0` at the trial parameters.
    pub(super) fn trial_outputs(&mut self, cancel: &Cancel) -> Result<()> {
        self.model
            .outputs(&self.trial.theta, &mut self.trial.outputs, cancel)?;
        for (output, initial) in self.trial.outputs.iter_mut().zip(&self.initial) {
            *output -= initial;
        }
        Ok(())
    }

    /// Gradient in code time, `(1/p) sum l'(z) y grad f`, at the trial parameters.
    pub(super) fn trial_gradient(&mut self, cancel: &Cancel) -> Result<()> {
        let p = self.labels.len() as f64;
        for ((slope, output), y) in self
            .trial
            .slopes
            .iter_mut()
            .zip(&self.trial.outputs)
            .zip(&self.labels)
        {
            *slope = self.rule.loss.slope(y * self.rule.alpha * output) * y / p;
        }
        self.model.gradient(
            &self.trial.theta,
            &self.trial.slopes,
            &mut self.trial.gradient,
            cancel,
        )
    }

    /// Euler step of length `dt` into the trial buffers; evaluates the gradient there if it is needed.
    pub(super) fn euler_trial(&mut self, dt: f64, cancel: &Cancel) -> Result<Verdict> {
        let step = M::Scalar::from_f64(-dt);
        let (trial, theta, gradient) = (&mut self.trial.theta, &self.state.theta, &self.gradient);
        vectorised(
            #[inline(always)]
            || {
                for ((trial, theta), gradient) in trial.iter_mut().zip(theta).zip(gradient) {
                    *trial = step.fused_mul_add(*gradient, *theta);
                }
            },
        );
        self.trial_outputs(cancel)?;
        let dout = self
            .trial
            .outputs
            .iter()
            .zip(&self.outputs)
            .map(|(new, old)| (new - old).abs())
            // `f64::max` would hide what is not a number.
            .fold(0.0_f64, |most, dout| if dout <= most { most } else { dout });
        let relative_dout = dout * self.rule.alpha / self.rule.limits.max_dout;
        let verdict = if let Method::Published { max_dgrad } = self.rule.method {
            self.trial_gradient(cancel)?;
            let scale = self.gradient_norm * norm(&self.trial.gradient);
            let change: f64 = self
                .gradient
                .iter()
                .zip(&self.trial.gradient)
                .map(|(old, new)| (new.to_f64() - old.to_f64()).powi(2))
                .sum();
            let dgrad = if scale == 0.0 { 0.0 } else { change / scale };
            return Ok(stepping::published(relative_dout, dgrad / max_dgrad));
        } else {
            stepping::chatter(relative_dout)
        };
        if verdict.accepted {
            self.trial_gradient(cancel)?;
        }
        Ok(verdict)
    }

    /// Dormand-Prince step of length `dt` into the trial buffers; parameters and predictions are held to the tolerance.
    #[expect(
        clippy::indexing_slicing,
        reason = "`Trial::new` made ERROR.len() = STAGES.len() + 1 stages for this method, each as long as \
                  theta"
    )]
    pub(super) fn runge_kutta_trial(
        &mut self,
        dt: f64,
        rtol: f64,
        atol: f64,
        cancel: &Cancel,
    ) -> Result<Verdict> {
        self.trial.stages[0].copy_from_slice(&self.gradient);
        for (stage, weights) in STAGES.iter().enumerate() {
            self.trial.theta.copy_from_slice(&self.state.theta);
            for (weight, rate) in weights.iter().zip(&self.trial.stages) {
                let step = M::Scalar::from_f64(-dt * weight);
                for (theta, rate) in self.trial.theta.iter_mut().zip(rate) {
                    *theta = step.fused_mul_add(*rate, *theta);
                }
            }
            self.trial_outputs(cancel)?;
            self.trial_gradient(cancel)?;
            self.trial.stages[stage + 1].copy_from_slice(&self.trial.gradient);
        }
        let mut worst = 0.0_f64;
        for i in 0..self.state.theta.len() {
            let difference: f64 = ERROR
                .iter()
                .zip(&self.trial.stages)
                .map(|(weight, rate)| weight * rate[i].to_f64())
                .sum::<f64>()
                * dt;
            let new = self.trial.theta[i].to_f64();
            let size = self.state.theta[i].to_f64().abs().max(new.abs());
            let error = difference.abs() / (atol + rtol * size);
            worst = if error <= worst { worst } else { error };
            // The second stage does not enter the error: its place holds the fourth-order solution.
            self.trial.stages[1][i] = M::Scalar::from_f64(new + difference);
        }
        if worst <= 1.0 {
            let error = self.prediction_error(rtol, atol, cancel)?;
            worst = if error <= worst { worst } else { error };
        }
        Ok(stepping::embedded_pair(worst))
    }

    /// Largest difference between the predictions of both solutions of a trial, in units of the tolerance.
    ///
    /// Parameters that are right to `rtol` say little of F where they are large.
    #[expect(
        clippy::indexing_slicing,
        reason = "`Trial::new` made seven stages for the method that asks"
    )]
    fn prediction_error(&mut self, rtol: f64, atol: f64, cancel: &Cancel) -> Result<f64> {
        let trial = &mut self.trial;
        self.model
            .outputs(&trial.stages[1], &mut trial.lower, cancel)?;
        let alpha = self.rule.alpha;
        // Rounding of f itself, which no step can undo.
        let rounding = 8.0 * <M::Scalar as Real>::EPSILON * alpha;
        Ok(trial
            .outputs
            .iter()
            .zip(&trial.lower)
            .zip(&self.initial)
            .map(|((output, lower), initial)| {
                let gap = alpha * (output - (lower - initial)).abs();
                let size = (alpha * output).abs().max(1.0);
                gap / (atol + rtol * size + rounding * (lower.abs() + initial.abs()))
            })
            // `f64::max` would hide what is not a number.
            .fold(
                0.0_f64,
                |most, error| if error <= most { most } else { error },
            ))
    }
}

/// Euclidean norm, summed in double precision.
pub fn norm<T: Real>(values: &[T]) -> f64 {
    let mut partial = [0.0; 8];
    for chunk in values.chunks(8) {
        for (sum, value) in partial.iter_mut().zip(chunk) {
            *sum += value.to_f64() * value.to_f64();
        }
    }
    partial.iter().sum::<f64>().sqrt()
}
