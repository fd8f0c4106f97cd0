//! The contract of an engine: clock, steps, measurements, state.

use super::Particles;
use super::measure::fitted_gamma;
use super::network::Reading;
use crate::stepper::{Clock, Stepper, Stretch};
use hmm_core::{Cancel, Column, Entry, Error, Real, Result, Table};
use ndarray::{Array2, Ix1, Ix2};

/// Questions that particles answer.
const QUESTIONS: [&str; 2] = ["nodes", "first_satisfied"];

/// Where time stood when the present size of a step came into force.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Anchor {
    t: f64,
    step: u64,
    dt: f64,
}

impl Default for Anchor {
    fn default() -> Self {
        Self {
            t: 0.0,
            step: 0,
            dt: 1.0,
        }
    }
}

impl Anchor {
    /// Time at `step`.
    pub(super) fn time(&self, step: u64) -> f64 {
        self.t + (step - self.step) as f64 * self.dt
    }

    /// The same, or a new one if steps have another size from `step` on.
    fn with(self, step: u64, dt: f64) -> Self {
        if dt == self.dt {
            return self;
        }
        Self {
            t: self.time(step),
            step,
            dt,
        }
    }
}

impl<T: Real> Particles<T> {
    /// What is measured, once the present outputs are complete and the sums over all nodes are known.
    pub(super) fn seen(&self, reading: Reading) -> Result<Table> {
        let train = self.training_score();
        let mut seen = Table::new()
            .with("gamma", fitted_gamma(reading.overlaps))
            .with("unsatisfied", train.unsatisfied)
            .with("loss", train.loss)
            .with("train_error", train.error);
        if let Some(test) = reading.test.and_then(|output| self.test_score(output)) {
            seen.push("test_error", test.error);
            seen.push("test_unsatisfied", test.unsatisfied);
        }
        if train.loss.is_finite() {
            Ok(seen)
        } else {
            Err(Error::Divergence(format!(
                "the loss is not finite at step {}; take a smaller dt or beta",
                self.step
            )))
        }
    }

    /// Steps have the size `dt` from here on.
    pub(super) fn anchor(&mut self, dt: f64) {
        self.anchor = self.anchor.with(self.step, dt);
    }

    /// Size of the present step.
    pub(super) fn dt(&self) -> f64 {
        self.anchor.dt
    }
}

impl<T: Real + Entry> Stepper for Particles<T> {
    fn clock(&self) -> Clock {
        Clock {
            step: self.step,
            t: self.anchor.time(self.step),
        }
    }

    fn advance(&mut self, stretch: &Stretch, cancel: &Cancel) -> Result<bool> {
        crate::particles::positive("dt", stretch.dt)?;
        let mut left = stretch.steps;
        loop {
            let over = self.finished
                || self.step >= stretch.until_step
                || self.anchor.time(self.step) >= stretch.until;
            if over && self.pending.is_none() {
                return Ok(true);
            }
            if left == 0 {
                return Ok(false);
            }
            cancel.check()?;
            if self.pending.is_none() {
                self.anchor(stretch.dt);
            }
            self.take_step(self.dt(), cancel)?;
            left -= 1;
        }
    }

    /// `gamma`, `unsatisfied`, `loss`, `train_error`, and where there is a test set `test_error`, `test_unsatisfied`.
    fn observe(&mut self, cancel: &Cancel) -> Result<Table> {
        self.settle(cancel)?;
        self.prepare(cancel)?;
        let reading = self.reading(cancel)?;
        self.seen(reading)
    }

    /// "nodes": `a` and `w_par` of the first nodes, as many as are recorded; "first_satisfied": the step at which each
    /// fixed example was first satisfied, -1 for not yet.
    fn query(&mut self, what: &str, cancel: &Cancel) -> Result<Table> {
        self.settle(cancel)?;
        match what {
            "nodes" => {
                let recorded = self.recorded;
                let a = self.a.iter().take(recorded);
                let along = self.w.iter().step_by(self.d).take(recorded);
                Ok(Table::new()
                    .with("a", a.map(|a| a.to_f64()).collect::<Vec<_>>())
                    .with("w_par", along.map(|w| w.to_f64()).collect::<Vec<_>>()))
            }
            "first_satisfied" => {
                Ok(Table::new().with("first_satisfied", self.first_satisfied.clone()))
            }
            other => Err(Error::invalid(
                "what",
                format!("'{other}'"),
                "unknown question",
                format!("pass one of '{}'", QUESTIONS.join("', '")),
            )),
        }
    }

    fn finished(&self) -> Option<&'static str> {
        self.finished.then_some("satisfied")
    }

    fn settle(&mut self, cancel: &Cancel) -> Result<()> {
        self.finish_step(cancel)
    }

    /// Weights in the run's precision, step, first satisfactions, where time is counted from, whether nothing pulls.
    fn snapshot(&self) -> Table {
        let w = Array2::from_shape_vec((self.a.len(), self.d), self.w.clone())
            .map_or_else(|_| Column::from(self.w.clone()), Column::from);
        Table::new()
            .with("a", self.a.clone())
            .with("w", w)
            .with("step", self.step)
            .with("first", self.first_satisfied.clone())
            .with("anchor_t", self.anchor.t)
            .with("anchor_step", self.anchor.step)
            .with("dt", self.anchor.dt)
            .with("finished", self.finished)
    }

    fn restore(&mut self, state: &Table, _: &Cancel) -> Result<()> {
        let a = state.array::<T, Ix1>("a")?;
        let w = state.array::<T, Ix2>("w")?;
        let first = state.array::<i64, Ix1>("first")?;
        let shapes = [
            ("a", a.shape(), vec![self.a.len()]),
            ("w", w.shape(), vec![self.a.len(), self.d]),
            ("first", first.shape(), vec![self.first_satisfied.len()]),
        ];
        for (name, shape, expected) in shapes {
            if shape != expected {
                return Err(Error::shape(
                    name,
                    shape,
                    format!("must be {expected:?}"),
                    "restore a state of the same run",
                ));
            }
        }
        let anchor = Anchor {
            t: state.number("anchor_t")?,
            step: state.number("anchor_step")?,
            dt: crate::particles::positive("dt", state.number("dt")?)?,
        };
        let step = state.number("step")?;
        if anchor.step > step || !anchor.t.is_finite() {
            return Err(Error::invalid(
                "state",
                format!("anchor_step = {}, step = {step}", anchor.step),
                "time cannot be counted from a later step",
                "restore a state that this engine gave",
            ));
        }
        if !(a.iter().all(|a| a.finite()) && w.iter().all(|w| w.finite())) {
            return Err(Error::invalid(
                "state",
                "weights that are not finite",
                "must be numbers",
                "restore a state that this engine gave",
            ));
        }
        self.a = a.iter().copied().collect();
        self.w = w.iter().copied().collect();
        self.first_satisfied = first.to_vec();
        (self.step, self.anchor) = (step, anchor);
        (self.current, self.pending) = (None, None);
        self.finished = state.number("finished")?;
        Ok(())
    }

    fn memory(&self, threads: usize) -> u64 {
        self.sizes().bytes::<T>(threads)
    }
}
