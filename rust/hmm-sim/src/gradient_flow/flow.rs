//! The flow itself: its state, and how it goes from step to step.

use super::Model;
use super::measure::{Event, StopRules};
use super::stepping::{Limits, Method};
use super::trial::{Trial, norm};
use crate::loss::MarginLoss;
use hmm_core::memory::{bytes_of, filled};
use hmm_core::{Cancel, Error, Real, Result};
use ndarray::ArrayView1;

/// Step size at the start, in code time.
const FIRST_STEP: f64 = 1.0;

/// What is descended, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Loss of the margin y F.
    pub loss: MarginLoss,
    /// Scale of the predictor.
    pub alpha: f64,
    /// How the flow is integrated.
    pub method: Method,
    /// Limits of an Euler step.
    pub limits: Limits,
    /// Whether the predictor is `alpha (f - f_0)` rather than `alpha f`.
    pub subtract_initial: bool,
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
    /// Moments so far, in the order of [`super::EVENTS`].
    pub events: [Option<Event<T>>; 4],
}

/// Gradient flow of a model on labelled examples.
#[derive(Debug)]
pub struct Flow<M: Model> {
    pub(super) model: M,
    pub(super) labels: Vec<f64>,
    pub(super) rule: Rule,
    pub(super) rules: StopRules,
    /// f_0 of the examples, zero where it is not subtracted.
    pub(super) initial: Vec<f64>,
    pub(super) state: Snapshot<M::Scalar>,
    pub(super) outputs: Vec<f64>,
    pub(super) gradient: Vec<M::Scalar>,
    pub(super) gradient_norm: f64,
    pub(super) trial: Trial<M::Scalar>,
    pub(super) stopped: Option<&'static str>,
    test: Option<Test<M::Points>>,
}

/// Points to test on, and f_0 there if it is subtracted.
#[derive(Debug)]
struct Test<P> {
    points: P,
    initial: Option<Vec<f64>>,
}

impl<M: Model> Flow<M> {
    /// A run from `theta` (parameters,) at time 0, on examples with `labels` (p,).
    ///
    /// # Errors
    /// [`Error::Shape`] if lengths do not agree; [`Error::Resource`]; [`Error::Divergence`] if a number is infinite;
    /// [`Error::Interrupted`].
    pub fn new(
        model: M,
        theta: Vec<M::Scalar>,
        labels: ArrayView1<'_, f64>,
        rule: Rule,
        cancel: &Cancel,
    ) -> Result<Self> {
        let (p, n) = (model.examples(), model.parameters());
        if labels.len() != p {
            return Err(Error::shape(
                "y",
                labels.shape(),
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
        let examples = || filled(0.0, p, "the outputs of a flow", "pass fewer examples");
        let mut flow = Self {
            labels: labels.to_vec(),
            rule,
            rules: StopRules::default(),
            initial: examples()?,
            outputs: examples()?,
            gradient: filled(
                M::Scalar::ZERO,
                n,
                "the gradient of a flow",
                "pass a smaller network",
            )?,
            gradient_norm: 0.0,
            trial: Trial::new(p, n, rule.method)?,
            state: Snapshot {
                theta,
                t: 0.0,
                dt: FIRST_STEP,
                step: 0,
                trials: 0,
                window: (0, 0.0),
                events: [None, None, None, None],
            },
            stopped: None,
            test: None,
            model,
        };
        if rule.subtract_initial {
            flow.model
                .outputs(&flow.state.theta, &mut flow.initial, cancel)?;
        }
        flow.evaluate(cancel)?;
        flow.look_for_the_end();
        Ok(flow)
    }

    /// The same with points to test on, described before the first step.
    ///
    /// # Errors
    /// As [`Model::outputs_at`].
    pub fn with_test(mut self, points: M::Points, cancel: &Cancel) -> Result<Self> {
        let initial = self
            .rule
            .subtract_initial
            .then(|| self.model.outputs_at(&points, &self.state.theta, cancel))
            .transpose()?;
        self.test = Some(Test { points, initial });
        Ok(self)
    }

    /// `F = alpha (f - f_0)` of the test points, if there are any.
    ///
    /// # Errors
    /// As [`Model::outputs_at`].
    pub fn test_predictions(&self, cancel: &Cancel) -> Result<Option<Vec<f64>>> {
        let Some(test) = &self.test else {
            return Ok(None);
        };
        let mut predictions = self
            .model
            .outputs_at(&test.points, &self.state.theta, cancel)?;
        for (output, initial) in predictions.iter_mut().zip(test.initial.iter().flatten()) {
            *output -= initial;
        }
        for output in &mut predictions {
            *output *= self.rule.alpha;
        }
        Ok(Some(predictions))
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

    /// Make the trial's outputs and gradient the present ones.
    pub(super) fn adopt_evaluation(&mut self) -> Result<()> {
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
    pub fn go_on(
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

    pub(super) fn take_trial(&mut self, t_target: f64, cancel: &Cancel) -> Result<()> {
        if self.model.limits_relative_change()
            && !matches!(self.rule.method, Method::RungeKutta { .. })
        {
            let cap = 0.99 * self.rule.limits.max_dw * norm(&self.state.theta) / self.gradient_norm;
            self.state.dt = self.state.dt.min(cap);
        }
        let left = t_target - self.state.t;
        let lands = self.state.dt >= left;
        let dt = if lands { left } else { self.state.dt };
        let verdict = match self.rule.method {
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

    /// Gradient in code time at the present parameters.
    pub fn gradient(&self) -> &[M::Scalar] {
        &self.gradient
    }

    /// The whole state.
    pub fn state(&self) -> &Snapshot<M::Scalar> {
        &self.state
    }

    /// Continue from a state that [`Flow::state`] gave.
    ///
    /// # Errors
    /// If its parameters have another length; [`Error::Interrupted`].
    pub fn set_state(&mut self, state: Snapshot<M::Scalar>, cancel: &Cancel) -> Result<()> {
        let lengths = state.events.iter().flatten().map(|event| &event.theta);
        for theta in lengths.chain([&state.theta]) {
            if theta.len() != self.model.parameters() {
                return Err(Error::shape(
                    "state",
                    &[theta.len()],
                    format!("must have {} parameters", self.model.parameters()),
                    "pass the state of this very run",
                ));
            }
        }
        self.state = state;
        self.evaluate(cancel)?;
        self.look_for_the_end();
        Ok(())
    }

    /// Bytes held: predictor, test points, buffers, and the moments once they are reached.
    pub(super) fn bytes(&self) -> u64 {
        let (p, n) = (self.labels.len(), self.state.theta.len());
        let test = self.test.as_ref().map_or(0, |test| {
            let initial = test.initial.as_ref().map_or(0, Vec::len);
            M::bytes_of_points(&test.points) + bytes_of::<f64>(2 * initial)
        });
        let kept = 2 + self.state.events.len();
        self.model.bytes()
            + test
            + bytes_of::<f64>(3 * p)
            + bytes_of::<M::Scalar>(kept * n)
            + self.trial.bytes()
    }
}
