//! One-pass SGD as an engine.

use super::{OnlineSgd, Student};
use crate::stepper::{Clock, Stepper, Stretch};
use hmm_core::{Aligned, Cancel, Entry, Error, Real, Result, Table};
use ndarray::{Array2, Ix1, Ix2};

/// A target time this much of itself below a whole step counts as that step: t = steps / N must not be rounded up to
/// the step after.
const SLACK: f64 = 1e-12;

/// The step at which a student diverges who does not.
const NEVER: u64 = u64::MAX;

/// The refusal of a state that no engine gives.
fn unsound(what: &str) -> Error {
    Error::invalid(
        "state",
        what,
        "must be finite, scales in [1/4, 1], one entry for each student, nobody diverged in the future",
        "restore a state that this engine gave",
    )
}

impl<T: Real> OnlineSgd<T> {
    /// What an array of student `i` is called.
    fn named(&self, name: &str, i: usize) -> String {
        if self.lone {
            name.to_owned()
        } else {
            format!("{name}{i}")
        }
    }

    /// The step at which each student has diverged.
    fn diverged_at(&self) -> Vec<u64> {
        let members = self.members.iter();
        members
            .map(|member| member.diverged.unwrap_or(NEVER))
            .collect()
    }
}

impl<T: Real + Entry> Stepper for OnlineSgd<T> {
    fn clock(&self) -> Clock {
        Clock {
            step: self.step,
            t: self.time_of(self.step),
        }
    }

    fn advance(&mut self, stretch: &Stretch, cancel: &Cancel) -> Result<bool> {
        // Beyond the whole numbers of a u64 the cast stays at its largest.
        let inputs = self.data.source.inputs() as f64;
        let by_time = (stretch.until * inputs * (1.0 - SLACK)).ceil() as u64;
        let target = stretch.until_step.min(by_time);
        let left = target.saturating_sub(self.step);
        let steps = left.min(stretch.steps);
        // Without a target nobody knows what follows.
        let aimless = stretch.until.is_infinite() && stretch.until_step == u64::MAX;
        let to_come = if aimless { steps } else { left };
        self.advance_on_the_way(steps, to_come, cancel)?;
        Ok(left <= stretch.steps)
    }

    fn observe(&mut self, cancel: &Cancel) -> Result<Table> {
        self.measure(cancel)
    }

    /// "weights": w (K x N) and v (K) in the run's own precision, of an ensemble w0, v0, w1, v1, ... (zero where a
    /// student has diverged); "diverged": for each student of an ensemble the step at which it did, `u64::MAX` for none.
    fn query(&mut self, what: &str, _: &Cancel) -> Result<Table> {
        let mut answer = Table::new();
        match what {
            "weights" => {
                for (i, student) in self.students().enumerate() {
                    answer.push(self.named("w", i), student.first_layer());
                    answer.push(self.named("v", i), student.second_layer());
                }
            }
            "diverged" => answer.push("step", self.diverged_at()),
            other => {
                return Err(Error::invalid(
                    "what",
                    format!("'{other}'"),
                    "unknown question",
                    "ask for 'weights' or 'diverged'",
                ));
            }
        }
        Ok(answer)
    }

    /// Weights and number of steps are all there is; where the weights are kept with a scale (slow decay in single
    /// precision), it too, and of an ensemble who has diverged and when.
    fn snapshot(&self) -> Table {
        let mut state = Table::new();
        for (i, student) in self.students().enumerate() {
            let (units, inputs) = (student.units(), student.inputs());
            #[expect(clippy::indexing_slicing, reason = "w has K N entries, row by row")]
            let w = Array2::from_shape_fn((units, inputs), |(k, i)| student.w[k * inputs + i]);
            state.push(self.named("w", i), w);
            state.push(self.named("v", i), student.v.clone());
        }
        state.push("step", self.step);
        let scales = |of: fn(&Student<T>) -> f64| self.students().map(of).collect::<Vec<f64>>();
        let (scale, output_scale) = (scales(|s| s.scale), scales(|s| s.output_scale));
        if !self.lone {
            return state
                .with("scale", scale)
                .with("output_scale", output_scale)
                .with("diverged", self.diverged_at());
        }
        match (scale.as_slice(), output_scale.as_slice()) {
            ([scale], [output_scale]) if *scale != 1.0 => state
                .with("scale", *scale)
                .with("output_scale", *output_scale),
            _ => state,
        }
    }

    fn restore(&mut self, state: &Table, _: &Cancel) -> Result<()> {
        let step = state.number::<u64>("step")?;
        let mut restored = Vec::with_capacity(self.members.len());
        for (i, student) in self.students().enumerate() {
            let scale = |name: &str| match (self.lone, state.has(name)) {
                (true, false) => Ok(1.0),
                (true, true) => state.number::<f64>(name),
                (false, _) => {
                    let scales = state.array::<f64, Ix1>(name)?;
                    scales.get(i).copied().ok_or_else(|| unsound(name))
                }
            };
            let (w, v) = (self.named("w", i), self.named("v", i));
            let (w, v) = (state.array::<T, Ix2>(&w)?, state.array::<T, Ix1>(&v)?);
            let diverged = if self.lone {
                None
            } else {
                let steps = state.array::<u64, Ix1>("diverged")?;
                let at = *steps.get(i).ok_or_else(|| unsound("diverged"))?;
                if at > step && at != NEVER {
                    return Err(unsound("diverged"));
                }
                (at != NEVER).then_some(at)
            };
            let (first, second) = (scale("scale")?, scale("output_scale")?);
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
                return Err(unsound("weights or scales"));
            }
            let values: Vec<T> = w.iter().copied().collect();
            let mut student = student.clone();
            student.w = Aligned::copied_from(&values);
            student.v = v.to_vec();
            student.scale = first;
            student.output_scale = second;
            restored.push((student, diverged));
        }
        for (member, (student, diverged)) in self.members.iter_mut().zip(restored) {
            member.student = student;
            member.diverged = diverged;
        }
        self.step = step;
        Ok(())
    }

    fn memory(&self, threads: usize) -> u64 {
        self.memory_estimate(threads) as u64
    }
}
