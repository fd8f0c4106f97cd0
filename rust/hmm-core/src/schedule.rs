//! Rates that change along a run, as functions of the time t = steps / N.
//!
//! A schedule is part of what a user asks for, as a seed is: simulation and theory are handed the same one.
//!
//! ```
//! use hmm_core::Schedule;
//! let annealed = Schedule::Power { a: 0.5, b: 10.0, c: 1.0 };
//! annealed.check("lr")?;
//! assert_eq!(annealed.at(0.0)?, 0.5);
//! assert!((annealed.at(30.0)? - 0.125).abs() < 1e-15);
//! let dropped = Schedule::Step { values: vec![0.5, 0.1], at: vec![20.0] };
//! assert_eq!((dropped.at(19.9)?, dropped.at(20.0)?), (0.5, 0.1));
//! # Ok::<(), hmm_core::Error>(())
//! ```

use crate::{Error, Result};
use std::f64::consts::PI;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A time this much of itself below a jump counts as the jump: t = steps / N must not be rounded to before it.
const ROUNDING: f64 = 1e-12;

/// Steps that a user's function is asked for at a time. Blocks begin at multiples of it, however a run is cut into
/// calls: a function whose last bits depend on the length of its argument gives the same ones every time.
const BLOCK: u64 = 1024;

/// A user's function of times, as many rates as times.
type Law = dyn Fn(&[f64]) -> Result<Vec<f64>> + Send + Sync;

/// The rates of one block of steps.
struct Block {
    first: u64,
    inputs: usize,
    times: Vec<f64>,
    rates: Vec<f64>,
}

/// A rate that a user's function gives.
#[derive(Clone)]
pub struct UserRate {
    argument: &'static str,
    law: Arc<Law>,
    /// The last block: short calls one after the other need it again.
    last: Arc<Mutex<Option<Arc<Block>>>>,
}

impl UserRate {
    /// The rate `argument` by a function of times that gives as many rates.
    pub fn new(
        argument: &'static str,
        law: impl Fn(&[f64]) -> Result<Vec<f64>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            argument,
            law: Arc::new(law),
            last: Arc::default(),
        }
    }

    /// The rates of the block of steps from `first` on, at times step / `inputs`.
    fn block(&self, first: u64, inputs: usize) -> Result<Arc<Block>> {
        let kept = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = kept.as_ref()
            && (block.first, block.inputs) == (first, inputs)
        {
            return Ok(Arc::clone(block));
        }
        // The function may do anything, call us again for one: nothing is held while it works.
        drop(kept);
        let steps = first..first.saturating_add(BLOCK);
        let times: Vec<f64> = steps.map(|step| step as f64 / inputs as f64).collect();
        let rates = self.call(&times)?;
        let block = Arc::new(Block {
            first,
            inputs,
            times,
            rates,
        });
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&block));
        Ok(block)
    }

    /// The rates at times `t`, not looked at yet.
    fn call(&self, t: &[f64]) -> Result<Vec<f64>> {
        let rates = (self.law)(t)?;
        if rates.len() == t.len() {
            return Ok(rates);
        }
        Err(Error::shape(
            self.argument,
            &[rates.len()],
            format!(
                "its function must give one rate for each of {} times",
                t.len()
            ),
            "write it with elementwise operations over the whole array of times",
        ))
    }

    /// `rate` at time `t`, if it can be one.
    fn sound(&self, rate: f64, t: f64) -> Result<f64> {
        if rate.is_finite() && rate >= 0.0 {
            return Ok(rate);
        }
        Err(Error::invalid(
            self.argument,
            format!("{rate} at t = {t}"),
            "its function must give finite numbers >= 0",
            "check it on the times of the run",
        ))
    }
}

impl fmt::Debug for UserRate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "UserRate({})", self.argument)
    }
}

/// A rate as a function of time.
#[derive(Debug, Clone)]
pub enum Schedule {
    /// The same at all times.
    Constant(f64),
    /// values\[i\] from at\[i - 1\] on and before at\[i\].
    Step {
        /// One more than there are jumps.
        values: Vec<f64>,
        /// Times of the jumps, ascending.
        at: Vec<f64>,
    },
    /// a / (1 + t/b)^c
    Power {
        /// Rate at t = 0.
        a: f64,
        /// Time at which the fall sets in.
        b: f64,
        /// Exponent.
        c: f64,
    },
    /// end + (start - end) (1 + cos(pi t/duration)) / 2, and `end` from t = duration on.
    Cosine {
        /// Rate at t = 0.
        start: f64,
        /// Rate at t = duration and later.
        end: f64,
        /// Time it takes.
        duration: f64,
    },
    /// A user's function.
    User(UserRate),
}

impl From<f64> for Schedule {
    fn from(rate: f64) -> Self {
        Self::Constant(rate)
    }
}

/// The refusal of steps whose values and jumps do not fit.
fn unequal(values: &[f64], at: &[f64], argument: &'static str) -> Error {
    Error::invalid(
        argument,
        format!("{} values, {} jumps", values.len(), at.len()),
        "there is one value more than jumps",
        "pass the value before the first jump too",
    )
}

impl Schedule {
    /// Refuse numbers that no schedule can have; `argument` is the rate's name.
    ///
    /// # Errors
    /// Rates that are negative or not finite, times out of order, numbers of values and jumps that do not fit.
    pub fn check(&self, argument: &'static str) -> Result<()> {
        let rates: &[f64] = match self {
            Self::Constant(rate) => &[*rate],
            Self::Step { values, .. } => values,
            Self::Power { a, .. } => &[*a],
            Self::Cosine { start, end, .. } => &[*start, *end],
            Self::User(_) => &[],
        };
        if let Some(bad) = rates.iter().find(|x| !(x.is_finite() && **x >= 0.0)) {
            return Err(Error::invalid(
                argument,
                bad,
                "must be finite and >= 0",
                format!("pass {argument} >= 0"),
            ));
        }
        let refused = |what: &str, rule: &str, remedy: &str| {
            Err(Error::invalid(argument, what, rule, remedy))
        };
        match self {
            Self::Step { values, at } => {
                let ascending = at.iter().zip(at.iter().skip(1)).all(|(t, next)| t < next);
                let sound = at.iter().all(|t| t.is_finite() && *t > 0.0);
                if values.len() != at.len() + 1 {
                    Err(unequal(values, at, argument))
                } else if !(ascending && sound) {
                    refused(
                        &format!("jumps at {at:?}"),
                        "jumps are at finite times > 0 in ascending order",
                        "sort them",
                    )
                } else {
                    Ok(())
                }
            }
            Self::Power { b, c, .. }
                if !(b.is_finite() && *b > 0.0 && c.is_finite() && *c >= 0.0) =>
            {
                refused(
                    &format!("a power with b = {b}, c = {c}"),
                    "b is a finite time > 0 and c an exponent >= 0",
                    "pass b > 0 and c >= 0",
                )
            }
            Self::Cosine { duration, .. } if !(duration.is_finite() && *duration > 0.0) => refused(
                &format!("a cosine of duration {duration}"),
                "the duration is a finite time > 0",
                "pass duration > 0",
            ),
            _ => Ok(()),
        }
    }

    /// The rate if it is the same at all times.
    pub fn constant(&self) -> Option<f64> {
        match self {
            Self::Constant(rate) => Some(*rate),
            _ => None,
        }
    }

    /// Whether the rate is zero at all times (of a user's function nobody knows).
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Constant(rate) | Self::Power { a: rate, .. } => *rate == 0.0,
            Self::Step { values, .. } => values.iter().all(|rate| *rate == 0.0),
            Self::Cosine { start, end, .. } => *start == 0.0 && *end == 0.0,
            Self::User(_) => false,
        }
    }

    /// The rate at time `t` >= 0.
    ///
    /// # Errors
    /// What a user's function raises, and rates that it must not give; a value that [`Self::check`] would miss.
    pub fn at(&self, t: f64) -> Result<f64> {
        Ok(match self {
            Self::Constant(rate) => *rate,
            Self::Step { values, at } => {
                let jumps = at.partition_point(|jump| *jump <= t * (1.0 + ROUNDING));
                match values.get(jumps) {
                    Some(rate) => *rate,
                    // The very sentence of `check`: there is a value too few.
                    None => return Err(unequal(values, at, "schedule")),
                }
            }
            Self::Power { a, b, c } => a * (1.0 + t / b).powf(-c),
            Self::Cosine {
                start,
                end,
                duration,
            } => {
                let phase = PI * (t / duration).min(1.0);
                end + (start - end) * (0.5 * (1.0 + phase.cos()))
            }
            Self::User(rate) => {
                // `call` has seen to it that there is one rate for one time.
                let found = rate.call(&[t])?.first().copied();
                rate.sound(found.unwrap_or(f64::NAN), t)?
            }
        })
    }

    /// The rates of the steps from `first` on, at times step / `inputs`.
    ///
    /// # Errors
    /// As [`Self::at`]; steps beyond those that can be counted.
    pub fn of_steps(&self, first: u64, inputs: usize, out: &mut [f64]) -> Result<()> {
        let end = first.checked_add(out.len() as u64).ok_or_else(|| {
            Error::invalid(
                "steps",
                format!("{} from step {first} on", out.len()),
                "steps are counted in 64 bits",
                "take fewer steps",
            )
        })?;
        let Self::User(rate) = self else {
            for (step, out) in (first..).zip(out) {
                *out = self.at(step as f64 / inputs as f64)?;
            }
            return Ok(());
        };
        let mut places = out.iter_mut();
        let mut step = first;
        while step < end {
            let block = rate.block(step - step % BLOCK, inputs)?;
            // What the block has beyond the steps that are taken is not looked at.
            let skipped = (step - block.first) as usize;
            let made = block.rates.iter().zip(&block.times).skip(skipped);
            for ((&rate_of_step, &time), place) in made.zip(&mut places) {
                *place = rate.sound(rate_of_step, time)?;
            }
            step = end.min(block.first.saturating_add(BLOCK));
        }
        Ok(())
    }

    /// Times at which the rate or its slope jumps.
    pub fn breaks(&self) -> &[f64] {
        match self {
            Self::Step { at, .. } => at,
            Self::Cosine { duration, .. } => std::slice::from_ref(duration),
            _ => &[],
        }
    }

    /// The schedule between two breaks, from time `start` on: smooth, also where the next break ends it.
    pub fn piece_from(&self, start: f64) -> Self {
        match self {
            Self::Step { values, at } => values
                .get(at.partition_point(|jump| *jump <= start))
                // Where [`Self::check`] misses a value there is no such piece, and asking for its rate says so.
                .map_or_else(|| self.clone(), |rate| Self::Constant(*rate)),
            Self::Cosine { end, duration, .. } if start >= *duration => Self::Constant(*end),
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_function_gives_the_same_bits_however_a_run_is_cut() -> Result<()> {
        // It looks at the whole of its argument, as no function should.
        let rate = Schedule::User(UserRate::new("lr", |t| {
            let mean = t.iter().sum::<f64>() / t.len() as f64;
            Ok(t.iter().map(|t| 1.0 / (1.0 + t + mean)).collect())
        }));
        let mut whole = vec![0.0; 2500];
        rate.of_steps(0, 10, &mut whole)?;
        for (first, count) in [(0, 1), (1023, 2), (1500, 1000), (2499, 1)] {
            let mut part = vec![0.0; count];
            rate.of_steps(first as u64, 10, &mut part)?;
            assert_eq!(part, whole[first..first + count]);
        }
        Ok(())
    }

    #[test]
    fn steps_are_counted_to_the_last_number_and_no_further() -> Result<()> {
        let user = Schedule::User(UserRate::new("lr", |t| {
            Ok(t.iter().map(|t| t / 1e20).collect())
        }));
        for schedule in [Schedule::Constant(0.5), user] {
            let mut rates = [f64::NAN; 3];
            schedule.of_steps(u64::MAX - 3, 1, &mut rates)?;
            let last = (u64::MAX - 1) as f64;
            assert_eq!(rates[2], schedule.at(last)?);
            let words = schedule
                .of_steps(u64::MAX - 2, 1, &mut rates)
                .unwrap_err()
                .to_string();
            assert!(
                words.starts_with("steps = 3 from step 18446744073709551613"),
                "{words}"
            );
        }
        Ok(())
    }

    #[test]
    fn pieces_agree_with_the_whole_and_go_on_smoothly_to_their_end() -> Result<()> {
        let step = Schedule::Step {
            values: vec![0.5, 0.2, 0.0],
            at: vec![1.0, 3.0],
        };
        let cosine = Schedule::Cosine {
            start: 0.5,
            end: 0.1,
            duration: 2.0,
        };
        for schedule in [&step, &cosine] {
            let mut start = 0.0;
            for end in schedule.breaks().iter().copied().chain([9.0]) {
                let piece = schedule.piece_from(start);
                let middle = 0.5 * (start + end);
                assert_eq!(piece.at(start)?, schedule.at(start)?);
                assert_eq!(piece.at(middle)?, schedule.at(middle)?);
                // The limit from the left.
                let before = schedule.at(end * (1.0 - 1e-9))?;
                assert!((piece.at(end)? - before).abs() < 1e-8);
                start = end;
            }
        }
        Ok(())
    }

    #[test]
    fn the_step_at_a_jump_has_the_new_rate_though_its_time_is_rounded() -> Result<()> {
        // 3/10 is below 0.1 + 0.2 by rounding.
        let at = vec![0.1 + 0.2];
        let jump = Schedule::Step {
            values: vec![1.0, 0.0],
            at,
        };
        let mut rates = [9.0; 5];
        jump.of_steps(0, 10, &mut rates)?;
        assert_eq!(rates, [1.0, 1.0, 1.0, 0.0, 0.0]);
        Ok(())
    }

    #[test]
    fn what_no_rate_can_be_is_refused() {
        let refused = |schedule: Schedule| schedule.check("lr").unwrap_err().to_string();
        assert!(refused((-1.0).into()).starts_with("lr = -1: must be finite"));
        let (values, at) = (vec![1.0, 2.0], vec![2.0, 1.0]);
        assert!(refused(Schedule::Step { values, at }).contains("one value more"));
        let (values, at) = (vec![1.0, 2.0, 3.0], vec![2.0, 1.0]);
        assert!(refused(Schedule::Step { values, at }).contains("ascending"));
        let (a, b, c) = (1.0, 0.0, 1.0);
        assert!(refused(Schedule::Power { a, b, c }).contains("b > 0"));
        for bad in [f64::NAN, f64::INFINITY, -1e-300] {
            let rate = Schedule::User(UserRate::new("noise", move |t| Ok(vec![bad; t.len()])));
            let words = rate.at(1.0).unwrap_err().to_string();
            assert!(
                words.starts_with("noise = ") && words.contains("at t = 1"),
                "{words}"
            );
        }
        // Asked without a look at them first: the same sentence, and no piece of what is not there.
        let (values, at) = (vec![1.0], vec![2.0, 3.0]);
        let short = Schedule::Step { values, at };
        assert_eq!(short.at(1.0).unwrap(), 1.0);
        let words = short.at(2.5).unwrap_err().to_string();
        assert!(words.starts_with("schedule = 1 values, 2 jumps"), "{words}");
        assert!(short.piece_from(9.0).at(9.0).is_err());
        let words = short.of_steps(0, 1, &mut [0.0; 4]).unwrap_err().to_string();
        assert!(words.contains("one value more"), "{words}");
        let short = Schedule::User(UserRate::new("lr", |_| Ok(vec![1.0; 3])));
        let words = short.of_steps(0, 5, &mut [0.0; 2]).unwrap_err().to_string();
        assert!(words.starts_with("lr has shape [3]"), "{words}");
    }
}
