//! What is seen of a flow: measurements, the moments worth remembering, the end.

use super::{Flow, Model};

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
    /// Smallest `y F`.
    pub smallest_margin: f64,
    /// Norm of the gradient in code time.
    pub gradient_norm: f64,
    /// Size of the next trial step.
    pub dt: f64,
    /// Fraction with `y F` at or above the margin.
    pub satisfied: f64,
}

impl<M: Model> Flow<M> {
    /// Keep the parameters at the first times that [`EVENTS`] names.
    pub(super) fn remember_moments(&mut self) {
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
    pub(super) fn look_for_the_end(&mut self) {
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
            .map(|(output, y)| y * self.rule.alpha * output)
    }

    fn smallest_margin(&self) -> f64 {
        self.margins().fold(f64::INFINITY, f64::min)
    }

    fn unsatisfied(&self) -> usize {
        let margin = self.rules.margin.unwrap_or(self.rule.loss.margin);
        self.margins().filter(|z| *z < margin).count()
    }

    fn satisfied(&self) -> f64 {
        1.0 - self.unsatisfied() as f64 / self.labels.len() as f64
    }

    /// Measure now.
    pub fn observation(&self) -> Observation {
        let p = self.labels.len() as f64;
        Observation {
            step: self.state.step,
            loss: self.margins().map(|z| self.rule.loss.value(z)).sum::<f64>() / p,
            train_error: self.margins().filter(|z| *z <= 0.0).count() as f64 / p,
            smallest_margin: self.smallest_margin(),
            gradient_norm: self.gradient_norm,
            dt: self.state.dt,
            satisfied: self.satisfied(),
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
}
