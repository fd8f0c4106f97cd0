//! One-pass SGD as an engine.

use super::OnlineSgd;
use crate::stepper::{Clock, Stepper, Stretch};
use hmm_core::{Aligned, Cancel, Entry, Error, Real, Result, Table};
use ndarray::{Array2, Ix1, Ix2};

/// A target time this much of itself below a whole step counts as that step: t = steps / N must not be rounded up to
/// the step after.
const SLACK: f64 = 1e-12;

impl<T: Real + Entry> Stepper for OnlineSgd<T> {
    fn clock(&self) -> Clock {
        Clock {
            step: self.step,
            t: self.step as f64 / self.source.inputs() as f64,
        }
    }

    fn advance(&mut self, stretch: &Stretch, cancel: &Cancel) -> Result<bool> {
        // Beyond the whole numbers of a u64 the cast stays at its largest.
        let inputs = self.source.inputs() as f64;
        let by_time = (stretch.until * inputs * (1.0 - SLACK)).ceil() as u64;
        let target = stretch.until_step.min(by_time);
        let left = target.saturating_sub(self.step);
        OnlineSgd::advance(self, left.min(stretch.steps), cancel)?;
        Ok(left <= stretch.steps)
    }

    fn observe(&mut self, cancel: &Cancel) -> Result<Table> {
        self.measure(cancel)
    }

    /// "weights": w (K x N) and v (K) in the run's own precision.
    fn query(&mut self, what: &str, _: &Cancel) -> Result<Table> {
        match what {
            "weights" => Ok(Table::new()
                .with("w", self.student.first_layer())
                .with("v", self.student.second_layer())),
            other => Err(Error::invalid(
                "what",
                format!("'{other}'"),
                "unknown question",
                "ask for 'weights'",
            )),
        }
    }

    /// Weights and number of steps are all there is; where the weights are kept with a scale (slow decay in single
    /// precision), it too.
    fn snapshot(&self) -> Table {
        let student = &self.student;
        let (units, inputs) = (student.units(), student.inputs());
        let w = Array2::from_shape_fn((units, inputs), |(k, i)| student.w[k * inputs + i]);
        let state = Table::new()
            .with("w", w)
            .with("v", student.v.clone())
            .with("step", self.step);
        if student.scale == 1.0 {
            state
        } else {
            state
                .with("scale", student.scale)
                .with("output_scale", student.output_scale)
        }
    }

    fn restore(&mut self, state: &Table, _: &Cancel) -> Result<()> {
        let (w, v) = (state.array::<T, Ix2>("w")?, state.array::<T, Ix1>("v")?);
        let step = state.number::<u64>("step")?;
        let scale = |name: &str| {
            if state.has(name) {
                state.number::<f64>(name)
            } else {
                Ok(1.0)
            }
        };
        let (first, second) = (scale("scale")?, scale("output_scale")?);
        let student = &mut self.student;
        let (units, inputs) = (student.units(), student.inputs());
        if w.dim() != (units, inputs) || v.len() != units {
            return Err(Error::shape(
                "student",
                w.shape(),
                format!("the run has K = {units}, N = {inputs}"),
                "restore the state of the same run",
            ));
        }
        let sound = w.iter().chain(&v).all(|x| x.finite())
            && [first, second].iter().all(|s| (0.25..=1.0).contains(s));
        if !sound {
            return Err(Error::invalid(
                "state",
                "weights or scales",
                "must be finite, scales in [1/4, 1]",
                "restore a state that this engine gave",
            ));
        }
        let values: Vec<T> = w.iter().copied().collect();
        student.w = Aligned::copied_from(&values);
        student.v = v.to_vec();
        student.scale = first;
        student.output_scale = second;
        self.step = step;
        Ok(())
    }

    fn memory(&self, threads: usize) -> u64 {
        self.memory_estimate(threads) as u64
    }
}
