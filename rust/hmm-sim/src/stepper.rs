//! The contract of every engine: what a driver asks of something that takes steps.
//!
//! ```
//! use hmm_core::{Cancel, Result, Table};
//! use hmm_sim::stepper::{Clock, Stepper, Stretch};
//! /// dy/dt = -y by Euler's steps.
//! struct Decay { y: f64, step: u64, t: f64 }
//! impl Stepper for Decay {
//!     fn clock(&self) -> Clock {
//!         Clock { step: self.step, t: self.t }
//!     }
//!     fn advance(&mut self, stretch: &Stretch, cancel: &Cancel) -> Result<bool> {
//!         for _ in 0..stretch.steps {
//!             if self.step >= stretch.until_step || self.t >= stretch.until {
//!                 return Ok(true);
//!             }
//!             cancel.check()?;
//!             (self.y, self.step, self.t) =
//!                 (self.y - stretch.dt * self.y, self.step + 1, self.t + stretch.dt);
//!         }
//!         Ok(false)
//!     }
//!     fn observe(&mut self, _: &Cancel) -> Result<Table> {
//!         Ok(Table::new().with("y", self.y))
//!     }
//!     fn snapshot(&self) -> Table {
//!         Table::new().with("y", self.y).with("step", self.step).with("t", self.t)
//!     }
//!     fn restore(&mut self, state: &Table, _: &Cancel) -> Result<()> {
//!         (self.y, self.step, self.t) =
//!             (state.number("y")?, state.number("step")?, state.number("t")?);
//!         Ok(())
//!     }
//!     fn memory(&self, _: usize) -> u64 {
//!         0
//!     }
//! }
//! let cancel = Cancel::new();
//! let to_one = |steps| Stretch { until: 1.0, dt: 0.125, ..Stretch::steps(steps) };
//! let mut run = Decay { y: 1.0, step: 0, t: 0.0 };
//! assert!(run.advance(&to_one(100), &cancel)?);
//! assert_eq!(run.y, 0.875_f64.powi(8)); // (1 - dt)^n
//! // In pieces, and through a state that went out and in: the same bits.
//! let mut pieces = Decay { y: 1.0, step: 0, t: 0.0 };
//! assert!(!pieces.advance(&to_one(3), &cancel)?);
//! let mut resumed = Decay { y: f64::NAN, step: 0, t: 0.0 };
//! resumed.restore(&pieces.snapshot(), &cancel)?;
//! assert!(resumed.advance(&to_one(100), &cancel)?);
//! assert_eq!(resumed.snapshot(), run.snapshot());
//! # Ok::<(), hmm_core::Error>(())
//! ```

use hmm_core::{Cancel, Error, Result, Table};

/// Where an engine is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Clock {
    /// Steps done.
    pub step: u64,
    /// Time, in the engine's own unit.
    pub t: f64,
}

/// How far to go in one call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    /// Steps at most.
    pub steps: u64,
    /// Stop once the step counter is here.
    pub until_step: u64,
    /// Stop once time is here.
    pub until: f64,
    /// Size of a step, where the engine does not choose it.
    pub dt: f64,
}

impl Stretch {
    /// `steps` steps, wherever they lead.
    pub const fn steps(steps: u64) -> Self {
        Self {
            steps,
            until_step: u64::MAX,
            until: f64::INFINITY,
            dt: 1.0,
        }
    }
}

/// An engine: it owns the state of a run and takes steps on the thread pool it is called in.
///
/// How steps are grouped into calls never changes a bit of the result, and neither does the number of threads.
pub trait Stepper: Send {
    /// Where the run is.
    fn clock(&self) -> Clock;

    /// Go on; returns whether the end of `stretch` is reached (rather than its number of steps used up).
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::Divergence`], and what data sources raise.
    fn advance(&mut self, stretch: &Stretch, cancel: &Cancel) -> Result<bool>;

    /// Measure now.
    ///
    /// # Errors
    /// [`Error::Interrupted`], and what data sources raise.
    fn observe(&mut self, cancel: &Cancel) -> Result<Table>;

    /// Answer a question that is not part of every measurement; `what` is one of the engine's own list.
    ///
    /// # Errors
    /// An unknown question.
    fn query(&mut self, what: &str, _cancel: &Cancel) -> Result<Table> {
        Err(Error::invalid(
            "what",
            format!("'{what}'"),
            "this engine answers no questions",
            "observe it",
        ))
    }

    /// When the run is to be over, by the engine's own rules (none are known to most).
    ///
    /// # Errors
    /// A rule the engine does not know.
    fn stop_when(&mut self, rules: &Table) -> Result<()> {
        match rules.iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(Error::invalid(
                "rules",
                format!("'{name}'"),
                "this engine has no such rule",
                "leave it out",
            )),
        }
    }

    /// Why there is nothing left to do, if so.
    fn finished(&self) -> Option<&'static str> {
        None
    }

    /// Finish what an interruption has left half done, so that the state is that of a whole step; asked for before a
    /// snapshot. Engines that are never left so have nothing to do.
    ///
    /// # Errors
    /// [`Error::Interrupted`], and what a step raises.
    fn settle(&mut self, _cancel: &Cancel) -> Result<()> {
        Ok(())
    }

    /// The whole state, exactly.
    fn snapshot(&self) -> Table;

    /// Go back to a state that [`Self::snapshot`] gave.
    ///
    /// # Errors
    /// A state of another problem.
    fn restore(&mut self, state: &Table, cancel: &Cancel) -> Result<()>;

    /// Bytes the engine holds at most while it runs on `threads` threads.
    fn memory(&self, threads: usize) -> u64;
}
