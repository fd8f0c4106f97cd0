//! The flow itself: trial steps, stopping rules, and the moments worth remembering.

use super::stepping::{self, ERROR, Limits, Method, STAGES, Verdict};
use super::{Loss, Model};
use hmm_core::special::vectorised;
use hmm_core::{Cancel, Error, Real, Result};

/// Moments whose parameters are kept: the first time the fitted fraction exceeds a tenth (t*), and
/// the first times the smallest margin exceeds 0, 1/2 and 1.
pub const EVENTS: [&str; 4] = ["t_star", "margin_0", "margin_half", "margin_1"];
/// Fraction of satisfied examples that defines t*.
const FITTED_AT_T_STAR: f64 = 0.1;
/// Trial steps within which a run must get on, or it counts as frozen: the published controller
/// freezes while it accepts 96 % of its steps.
const PATIENCE: u64 = 2000;
/// Relative progress of time that counts as getting on.
const PROGRESS: f64 = 1e-6;
/// Step size at the start, in code time.
const FIRST_STEP: f64 = 1.0;

/// When a run is over.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StopRules {
    /// The smallest `y F` exceeds this.
    pub margin: Option<f64>,
    /// The satisfied fraction exceeds this.
    pub fraction: Option<f64>,
    /// So many steps were taken.
    pub steps: Option<u64>,
}

/// A remembered moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<T> {
    /// Steps taken.
    pub step: u64,
    /// Code time.
    pub t: f64,
    /// Parameters.
    pub theta: Vec<T>,
}

/// What is measured on the training set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// Steps taken.
    pub step: u64,
    /// Mean loss.
    pub loss: f64,
    /// Fraction with `y F <= 0`.
    pub train_error: f64,
    /// Examples with `y F` below the margin.
    pub unsatisfied: usize,
    /// Smallest `y F`.
    pub smallest_margin: f64,
    /// Norm of the gradient in code time.
    pub gradient_norm: f64,
    /// Size of the next trial step.
    pub dt: f64,
}

/// The whole state of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot<T> {
    /// Parameters.
    pub theta: Vec<T>,
    /// Code time.
    pub t: f64,
    /// Size of the next trial step.
    pub dt: f64,
    /// Steps taken.
    pub step: u64,
    /// Trials made.
    pub trials: u64,
    /// Trials and time at the last look for a freeze.
    pub window: (u64, f64),
    /// Moments so far, in the order of [`EVENTS`].
    pub events: [Option<Event<T>>; 4],
}

/// Gradient flow of a model on labelled examples.
#[derive(Debug, Clone)]
pub struct Flow<M: Model> {
    model: M,
    labels: Vec<f64>,
    loss: Loss,
    alpha: f64,
    method: Method,
    limits: Limits,
    rules: StopRules,
    initial: Vec<f64>,
    state: Snapshot<M::Scalar>,
    outputs: Vec<f64>,
    gradient: Vec<M::Scalar>,
    gradient_norm: f64,
    trial: Trial<M::Scalar>,
    stages: Vec<Vec<M::Scalar>>,
    stopped: Option<&'static str>,
}

/// Buffers of a trial step.
#[derive(Debug, Clone)]
struct Trial<T> {
    theta: Vec<T>,
    outputs: Vec<f64>,
    gradient: Vec<T>,
    slopes: Vec<f64>,
}

impl<M: Model> Flow<M> {
    /// A run from `theta` at time 0. `subtract_initial` makes the predictor `alpha (f - f_0)`.
    ///
    /// # Errors
    /// If lengths do not agree; [`Error::Interrupted`].
    pub fn new(
        model: M,
        theta: Vec<M::Scalar>,
        labels: Vec<f64>,
        loss: Loss,
        alpha: f64,
        (method, limits): (Method, Limits),
        subtract_initial: bool,
        cancel: &Cancel,
    ) -> Result<Self> {
        let (p, n) = (model.examples(), model.parameters());
        if labels.len() != p {
            return Err(Error::shape(
                "y",
                &[labels.len()],
                format!("must have one label per example, {p}"),
                "pass matching labels",
            ));
        }
        if theta.len() != n {
            return Err(Error::shape(
                "network",
                &[theta.len()],
                format!("must have {n} parameters"),
                "pass weights of the inputs' dimension",
            ));
        }
        let zeros = vec![M::Scalar::ZERO; n];
        let mut flow = Self {
            labels,
            loss,
            alpha,
            method,
            limits,
            rules: StopRules::default(),
            initial: vec![0.0; p],
            state: Snapshot {
                theta,
                t: 0.0,
                dt: FIRST_STEP,
                step: 0,
                trials: 0,
                window: (0, 0.0),
                events: [None, None, None, None],
            },
            outputs: vec![0.0; p],
            gradient: zeros.clone(),
            gradient_norm: 0.0,
            trial: Trial {
                theta: zeros.clone(),
                outputs: vec![0.0; p],
                gradient: zeros.clone(),
                slopes: vec![0.0; p],
            },
            stages: match method {
                Method::RungeKutta { .. } => vec![zeros; ERROR.len()],
                _ => Vec::new(),
            },
            stopped: None,
            model,
        };
        if subtract_initial {
            let mut initial = vec![0.0; p];
            flow.model
                .outputs(&flow.state.theta, &mut initial, cancel)?;
            flow.initial = initial;
        }
        flow.evaluate(cancel)?;
        flow.look_for_the_end();
        Ok(flow)
    }

    /// Outputs and gradient at the present parameters, afresh: the cost of a step.
    ///
    /// # Errors
    /// [`Error::Divergence`] if a number is infinite; [`Error::Interrupted`].
    pub fn evaluate(&mut self, cancel: &Cancel) -> Result<()> {
        self.trial.theta.copy_from_slice(&self.state.theta);
        self.trial_outputs(cancel)?;
        self.trial_gradient(cancel)?;
        self.adopt_evaluation()
    }

    /// `f - f_0` at the trial parameters.
    fn trial_outputs(&mut self, cancel: &Cancel) -> Result<()> {
        self.model
            .outputs(&self.trial.theta, &mut self.trial.outputs, cancel)?;
        for (output, initial) in self.trial.outputs.iter_mut().zip(&self.initial) {
            *output -= initial;
        }
        Ok(())
    }

    /// Gradient in code time, `(1/p) sum l'(z) y grad f`, at the trial parameters.
    fn trial_gradient(&mut self, cancel: &Cancel) -> Result<()> {
        let p = self.labels.len() as f64;
        for ((slope, output), y) in self
            .trial
            .slopes
            .iter_mut()
            .zip(&self.trial.outputs)
            .zip(&self.labels)
        {
            *slope = self.loss.slope(y * self.alpha * output) * y / p;
        }
        self.model.gradient(
            &self.trial.theta,
            &self.trial.slopes,
            &mut self.trial.gradient,
            cancel,
        )
    }

    /// Make the trial's outputs and gradient the present ones.
    fn adopt_evaluation(&mut self) -> Result<()> {
        std::mem::swap(&mut self.outputs, &mut self.trial.outputs);
        std::mem::swap(&mut self.gradient, &mut self.trial.gradient);
        self.gradient_norm = norm(&self.gradient);
        if self.gradient_norm.is_finite() && self.outputs.iter().all(|o| o.is_finite()) {
            Ok(())
        } else {
            Err(Error::Divergence(format!(
                "the network left the range of finite numbers at t = {:.6e}, step {}; \
                 use double precision or a smaller max_dout",
                self.state.t, self.state.step
            )))
        }
    }

    /// Take up to `trials` trial steps until time `t_target`, step `step_target` or the end of the
    /// run; returns whether one of the targets is reached.
    ///
    /// How a run is cut into calls does not change it; the times it must land on do, because the
    /// step before each is shortened.
    ///
    /// # Errors
    /// [`Error::Divergence`] if numbers become infinite; [`Error::Interrupted`], after which the
    /// state is that of the last whole step.
    pub fn advance(
        &mut self,
        trials: u64,
        t_target: f64,
        step_target: u64,
        cancel: &Cancel,
    ) -> Result<bool> {
        for _ in 0..trials {
            if self.state.t >= t_target || self.state.step >= step_target {
                return Ok(true);
            }
            if self.stopped.is_some() {
                return Ok(false);
            }
            cancel.check()?;
            self.take_trial(t_target, cancel)?;
            self.look_for_the_end();
        }
        Ok(self.state.t >= t_target || self.state.step >= step_target)
    }

    fn take_trial(&mut self, t_target: f64, cancel: &Cancel) -> Result<()> {
        if self.model.limits_relative_change() && !matches!(self.method, Method::RungeKutta { .. })
        {
            let cap = 0.99 * self.limits.max_dw * norm(&self.state.theta) / self.gradient_norm;
            self.state.dt = self.state.dt.min(cap);
        }
        let left = t_target - self.state.t;
        let lands = self.state.dt >= left;
        let dt = if lands { left } else { self.state.dt };
        let verdict = match self.method {
            Method::RungeKutta { rtol, atol } => self.runge_kutta_trial(dt, rtol, atol, cancel)?,
            _ => self.euler_trial(dt, cancel)?,
        };
        self.state.trials += 1;
        if verdict.accepted {
            std::mem::swap(&mut self.state.theta, &mut self.trial.theta);
            self.state.t = if lands { t_target } else { self.state.t + dt };
            self.state.step += 1;
            if !lands {
                self.state.dt = dt * verdict.factor;
            }
            self.adopt_evaluation()?;
            self.remember_moments();
        } else {
            self.state.dt = dt * verdict.factor;
        }
        Ok(())
    }

    /// Euler step of length `dt` into the trial buffers; evaluates the gradient there if it is needed.
    fn euler_trial(&mut self, dt: f64, cancel: &Cancel) -> Result<Verdict> {
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
        let relative_dout = dout * self.alpha / self.limits.max_dout;
        let verdict = if let Method::Published { max_dgrad } = self.method {
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

    /// Dormand-Prince step of length `dt` into the trial buffers.
    fn runge_kutta_trial(
        &mut self,
        dt: f64,
        rtol: f64,
        atol: f64,
        cancel: &Cancel,
    ) -> Result<Verdict> {
        self.stages[0].copy_from_slice(&self.gradient);
        for (stage, weights) in STAGES.iter().enumerate() {
            self.trial.theta.copy_from_slice(&self.state.theta);
            for (weight, rate) in weights.iter().zip(&self.stages) {
                let step = M::Scalar::from_f64(-dt * weight);
                for (theta, rate) in self.trial.theta.iter_mut().zip(rate) {
                    *theta = step.fused_mul_add(*rate, *theta);
                }
            }
            self.trial_outputs(cancel)?;
            self.trial_gradient(cancel)?;
            self.stages[stage + 1].copy_from_slice(&self.trial.gradient);
        }
        let mut worst = 0.0_f64;
        for i in 0..self.state.theta.len() {
            let difference: f64 = ERROR
                .iter()
                .zip(&self.stages)
                .map(|(weight, rate)| weight * rate[i].to_f64())
                .sum::<f64>()
                * dt;
            let size = self.state.theta[i]
                .to_f64()
                .abs()
                .max(self.trial.theta[i].to_f64().abs());
            let error = difference.abs() / (atol + rtol * size);
            worst = if error <= worst { worst } else { error };
        }
        Ok(stepping::embedded_pair(worst))
    }

    /// Keep the parameters at the first times that [`EVENTS`] names.
    fn remember_moments(&mut self) {
        if self.state.events.iter().all(Option::is_some) {
            return;
        }
        let smallest = self.smallest_margin();
        let reached = [
            self.satisfied() > FITTED_AT_T_STAR,
            smallest > 0.0,
            smallest > 0.5,
            smallest > 1.0,
        ];
        for (event, reached) in self.state.events.iter_mut().zip(reached) {
            if reached && event.is_none() {
                *event = Some(Event {
                    step: self.state.step,
                    t: self.state.t,
                    theta: self.state.theta.clone(),
                });
            }
        }
    }

    /// Find out whether the run is over, and why.
    fn look_for_the_end(&mut self) {
        let rules = self.rules;
        let reason = if rules.margin.is_some_and(|m| self.smallest_margin() > m) {
            Some("margin")
        } else if rules.fraction.is_some_and(|f| self.satisfied() > f) {
            Some("fraction")
        } else if self.gradient_norm == 0.0 {
            Some("gradient")
        } else if rules.steps.is_some_and(|steps| self.state.step >= steps) {
            Some("max_steps")
        } else if self.is_frozen() {
            Some("frozen")
        } else {
            None
        };
        self.stopped = reason;
    }

    /// Whether time has stood still for [`PATIENCE`] trials.
    fn is_frozen(&mut self) -> bool {
        let (trials, t) = self.state.window;
        if self.state.trials < trials + PATIENCE {
            return false;
        }
        let frozen = self.state.t - t <= PROGRESS * self.state.t;
        if !frozen {
            self.state.window = (self.state.trials, self.state.t);
        }
        frozen
    }

    /// `y F` of every training example.
    pub fn margins(&self) -> impl Iterator<Item = f64> + '_ {
        self.outputs
            .iter()
            .zip(&self.labels)
            .map(|(output, y)| y * self.alpha * output)
    }

    fn smallest_margin(&self) -> f64 {
        self.margins().fold(f64::INFINITY, f64::min)
    }

    fn unsatisfied(&self) -> usize {
        let margin = self.rules.margin.unwrap_or(self.loss.margin());
        self.margins().filter(|z| *z < margin).count()
    }

    fn satisfied(&self) -> f64 {
        1.0 - self.unsatisfied() as f64 / self.labels.len() as f64
    }

    /// Measure now.
    pub fn observe(&self) -> Observation {
        let p = self.labels.len() as f64;
        Observation {
            step: self.state.step,
            loss: self.margins().map(|z| self.loss.value(z)).sum::<f64>() / p,
            train_error: self.margins().filter(|z| *z <= 0.0).count() as f64 / p,
            unsatisfied: self.unsatisfied(),
            smallest_margin: self.smallest_margin(),
            gradient_norm: self.gradient_norm,
            dt: self.state.dt,
        }
    }

    /// Set when the run is over.
    pub fn set_rules(&mut self, rules: StopRules) {
        self.rules = rules;
        self.look_for_the_end();
    }

    /// Why the run is over: "margin", "fraction", "gradient", "max_steps" or "frozen".
    pub fn stopped(&self) -> Option<&'static str> {
        self.stopped
    }

    /// Gradient in code time at the present parameters.
    pub fn gradient(&self) -> &[M::Scalar] {
        &self.gradient
    }

    /// The model.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The whole state.
    pub fn snapshot(&self) -> &Snapshot<M::Scalar> {
        &self.state
    }

    /// Continue from a state that [`Flow::snapshot`] gave.
    ///
    /// # Errors
    /// If its parameters have another length; [`Error::Interrupted`].
    pub fn restore(&mut self, state: Snapshot<M::Scalar>, cancel: &Cancel) -> Result<()> {
        if state.theta.len() != self.model.parameters() {
            return Err(Error::shape(
                "state",
                &[state.theta.len()],
                format!("must have {} parameters", self.model.parameters()),
                "pass the state of this very run",
            ));
        }
        self.state = state;
        self.evaluate(cancel)?;
        self.look_for_the_end();
        Ok(())
    }
}

/// Euclidean norm, summed in double precision.
fn norm<T: Real>(values: &[T]) -> f64 {
    let mut partial = [0.0; 8];
    for chunk in values.chunks(8) {
        for (sum, value) in partial.iter_mut().zip(chunk) {
            *sum += value.to_f64() * value.to_f64();
        }
    }
    partial.iter().sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::{Inputs, ReluLayer};
    use super::*;

    fn run(method: Method) -> Flow<ReluLayer<f64>> {
        let x: Vec<f64> = (0..60).map(|i| (1.0 + 1.7 * f64::from(i)).sin()).collect();
        let y = x.chunks(2).map(|x| x[0].signum()).collect();
        let theta = (0..80).map(|i| (0.3 + 2.3 * f64::from(i)).sin()).collect();
        let layer = ReluLayer::new(Inputs::new(&x, 2).unwrap(), 20, 2_f64.sqrt());
        Flow::new(
            layer,
            theta,
            y,
            Loss::SoftHinge {
                margin: 1.0,
                sharpness: 5.0,
            },
            1.0,
            (
                method,
                Limits {
                    max_dout: 0.1,
                    max_dw: 0.01,
                },
            ),
            true,
            &Cancel::new(),
        )
        .unwrap()
    }

    #[test]
    fn slices_do_not_change_the_run() {
        let cancel = Cancel::new();
        let (mut whole, mut sliced) = (run(Method::Chatter), run(Method::Chatter));
        assert!(whole.advance(100_000, 50.0, u64::MAX, &cancel).unwrap());
        while !sliced.advance(3, 50.0, u64::MAX, &cancel).unwrap() {}
        assert_eq!(whole.snapshot(), sliced.snapshot());
        assert_eq!(whole.snapshot().t, 50.0);
    }

    #[test]
    fn restored_equals_never_stopped() {
        let cancel = Cancel::new();
        let (mut whole, mut first) = (run(Method::Chatter), run(Method::Chatter));
        first.advance(40, f64::INFINITY, u64::MAX, &cancel).unwrap();
        let mut second = run(Method::Chatter);
        second.restore(first.snapshot().clone(), &cancel).unwrap();
        second
            .advance(60, f64::INFINITY, u64::MAX, &cancel)
            .unwrap();
        whole
            .advance(100, f64::INFINITY, u64::MAX, &cancel)
            .unwrap();
        assert_eq!(whole.snapshot(), second.snapshot());
        assert_eq!(whole.observe(), second.observe());
    }

    #[test]
    fn euler_approaches_the_high_order_method() {
        let cancel = Cancel::new();
        let mut precise = run(Method::RungeKutta {
            rtol: 1e-10,
            atol: 1e-12,
        });
        let mut euler = run(Method::Chatter);
        assert!(precise.advance(100_000, 5.0, u64::MAX, &cancel).unwrap());
        assert!(euler.advance(100_000, 5.0, u64::MAX, &cancel).unwrap());
        for (a, b) in precise.snapshot().theta.iter().zip(&euler.snapshot().theta) {
            // Steps of 1 % of the parameters.
            assert!((a - b).abs() < 0.05);
        }
        assert_ne!(precise.snapshot().theta, euler.snapshot().theta);
    }

    #[test]
    fn rules_end_a_run() {
        let cancel = Cancel::new();
        let mut flow = run(Method::Chatter);
        flow.set_rules(StopRules {
            steps: Some(7),
            ..StopRules::default()
        });
        assert!(!flow.advance(100, f64::INFINITY, u64::MAX, &cancel).unwrap());
        assert_eq!(
            (flow.stopped(), flow.snapshot().step),
            (Some("max_steps"), 7)
        );
        flow.set_rules(StopRules {
            fraction: Some(0.5),
            ..StopRules::default()
        });
        flow.advance(1_000_000, f64::INFINITY, u64::MAX, &cancel)
            .unwrap();
        assert_eq!(flow.stopped(), Some("fraction"));
        assert!(flow.snapshot().events[0].is_some());
    }

    #[test]
    fn a_raised_flag_leaves_a_whole_step() {
        let cancel = Cancel::new();
        let mut flow = run(Method::Chatter);
        flow.advance(5, f64::INFINITY, u64::MAX, &cancel).unwrap();
        let before = flow.snapshot().clone();
        cancel.raise();
        assert!(matches!(
            flow.advance(5, f64::INFINITY, u64::MAX, &cancel),
            Err(Error::Interrupted)
        ));
        assert_eq!(&before, flow.snapshot());
    }
}
