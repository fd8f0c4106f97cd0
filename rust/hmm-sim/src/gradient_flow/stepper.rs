//! A flow as an engine.

use super::measure::{EVENTS, Event, StopRules};
use super::{Flow, Model, Snapshot};
use crate::stepper::{Clock, Stepper, Stretch};
use hmm_core::{Cancel, Entry, Error, Real, Result, Table};
use ndarray::Ix1;

hmm_core::named! {
    /// What a flow answers beside its measurements.
    pub enum Question: "what" {
        /// `margins` (p,): y F of the training examples.
        Margins = "margins",
        /// `predictions` (q,): F of the test points; nothing without any.
        TestPredictions = "test_predictions",
        /// `theta` (parameters,).
        Parameters = "theta",
        /// `gradient` (parameters,), in code time.
        Gradient = "gradient",
        /// `<name>_t`, `<name>_step` and `<name>_theta` of the moments that were reached, see [`EVENTS`].
        Events = "events",
        /// `trials`: trial steps made, taken or not.
        Trials = "trials",
        /// Nothing, after outputs and gradient were computed afresh: what a step costs.
        Evaluate = "evaluate",
    }
}

impl<M: Model> Stepper for Flow<M> {
    fn clock(&self) -> Clock {
        Clock {
            step: self.state.step,
            t: self.state.t,
        }
    }

    fn advance(&mut self, stretch: &Stretch, cancel: &Cancel) -> Result<bool> {
        self.go_on(stretch.steps, stretch.until, stretch.until_step, cancel)
    }

    fn observe(&mut self, _: &Cancel) -> Result<Table> {
        let seen = self.observation();
        Ok(Table::new()
            .with("step", seen.step)
            .with("loss", seen.loss)
            .with("train_error", seen.train_error)
            .with("smallest_margin", seen.smallest_margin)
            .with("gradient_norm", seen.gradient_norm)
            .with("dt", seen.dt)
            .with("satisfied", seen.satisfied))
    }

    fn query(&mut self, what: &str, cancel: &Cancel) -> Result<Table> {
        let mut answer = Table::new();
        match what.parse::<Question>()? {
            Question::Margins => answer.push("margins", self.margins().collect::<Vec<_>>()),
            Question::TestPredictions => {
                if let Some(predictions) = self.test_predictions(cancel)? {
                    answer.push("predictions", predictions);
                }
            }
            Question::Parameters => answer.push("theta", self.state.theta.clone()),
            Question::Gradient => answer.push("gradient", self.gradient.clone()),
            Question::Events => push_events(&mut answer, &self.state.events),
            Question::Trials => answer.push("trials", self.state.trials),
            Question::Evaluate => self.evaluate(cancel)?,
        }
        Ok(answer)
    }

    fn stop_when(&mut self, rules: &Table) -> Result<()> {
        let mut wanted = StopRules::default();
        for (name, _) in rules.iter() {
            match name {
                "margin" => wanted.margin = Some(rules.number(name)?),
                "fraction" => wanted.fraction = Some(rules.number(name)?),
                "steps" => {
                    let steps: i64 = rules.number(name)?;
                    wanted.steps = Some(u64::try_from(steps).unwrap_or(0));
                }
                other => {
                    return Err(Error::invalid(
                        "rules",
                        format!("'{other}'"),
                        "unknown choice",
                        "pass 'margin', 'fraction' or 'steps'",
                    ));
                }
            }
        }
        self.set_rules(wanted);
        Ok(())
    }

    fn finished(&self) -> Option<&'static str> {
        self.stopped()
    }

    fn snapshot(&self) -> Table {
        let state = &self.state;
        let mut table = Table::new()
            .with("theta", state.theta.clone())
            .with("t", state.t)
            .with("dt", state.dt)
            .with("step", state.step)
            .with("trials", state.trials)
            .with("window_trials", state.window.0)
            .with("window_t", state.window.1);
        push_events(&mut table, &state.events);
        table
    }

    fn restore(&mut self, state: &Table, cancel: &Cancel) -> Result<()> {
        let mut events = [None, None, None, None];
        for (event, name) in events.iter_mut().zip(EVENTS) {
            *event = pull_event(state, name)?;
        }
        self.set_state(
            Snapshot {
                theta: state.array::<M::Scalar, Ix1>("theta")?.to_vec(),
                t: state.number("t")?,
                dt: state.number("dt")?,
                step: state.number("step")?,
                trials: state.number("trials")?,
                window: (state.number("window_trials")?, state.number("window_t")?),
                events,
            },
            cancel,
        )
    }

    fn memory(&self, _threads: usize) -> u64 {
        self.bytes()
    }
}

fn push_events<T: Real + Entry>(table: &mut Table, events: &[Option<Event<T>>; 4]) {
    for (name, event) in EVENTS.iter().zip(events) {
        if let Some(event) = event {
            table.push(format!("{name}_t"), event.t);
            table.push(format!("{name}_step"), event.step);
            table.push(format!("{name}_theta"), event.theta.clone());
        }
    }
}

fn pull_event<T: Real + Entry>(table: &Table, name: &str) -> Result<Option<Event<T>>> {
    if !table.has(&format!("{name}_t")) {
        return Ok(None);
    }
    Ok(Some(Event {
        step: table.number(&format!("{name}_step"))?,
        t: table.number(&format!("{name}_t"))?,
        theta: table.array::<T, Ix1>(&format!("{name}_theta"))?.to_vec(),
    }))
}
