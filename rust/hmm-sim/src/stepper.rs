//! The contract of every engine: what a driver asks of something that takes steps.

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
