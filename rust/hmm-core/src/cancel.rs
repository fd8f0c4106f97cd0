//! Cooperative interruption: long loops look at a flag between chunks of work, and a call of a library that cannot look
//! runs on a thread of its own ([`apart`]), so that the wait for it ends.
//!
//! ```
//! use hmm_core::cancel::apart;
//! use hmm_core::{Cancel, Error, Result};
//! use std::time::{Duration, Instant};
//! // The Leibniz series for pi/4, a chunk at a time, until it is told to stop.
//! fn leibniz(chunks: u32, cancel: &Cancel) -> Result<f64> {
//!     let mut sum = 0.0;
//!     for chunk in 0..chunks {
//!         cancel.check()?;
//!         let terms = (1000 * chunk..1000 * (chunk + 1)).map(f64::from);
//!         sum += terms.map(|k| (0.5 - k % 2.0) * 2.0 / (2.0 * k + 1.0)).sum::<f64>();
//!     }
//!     Ok(4.0 * sum)
//! }
//! let cancel = Cancel::new();
//! assert!((leibniz(100, &cancel)? - std::f64::consts::PI).abs() < 1.01e-5); // 1/terms
//! std::thread::scope(|scope| {
//!     scope.spawn(|| cancel.raise());
//!     let start = Instant::now();
//!     let waited = apart(&cancel, || std::thread::sleep(Duration::from_secs(60)));
//!     assert!(matches!(waited, Err(Error::Interrupted)) && start.elapsed().as_secs() < 30);
//! });
//! assert!(matches!(leibniz(100, &cancel), Err(Error::Interrupted)));
//! # Ok::<(), Error>(())
//! ```

use crate::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How often the flag is looked at while a library call runs on a thread of its own.
const LOOK: Duration = Duration::from_millis(20);

/// A flag that one thread raises and the workers look at between chunks of work.
#[derive(Debug, Default)]
pub struct Cancel(AtomicBool);

impl Cancel {
    /// A flag that is not raised.
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Raise the flag: the computation stops at the next check.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the flag is raised.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Nothing while the flag is down.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once the flag is raised.
    pub fn check(&self) -> Result<()> {
        if self.is_raised() {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }
}

/// Run `work` that cannot be stopped (a decomposition of a library) on a thread of its own, and wait for it.
///
/// Once the flag is raised the wait ends; the thread finishes alone and what it made is dropped.
///
/// # Errors
/// [`Error::Interrupted`] once the flag is raised, [`Error::Resource`] where no thread can be had.
pub fn apart<R: Send + 'static>(
    cancel: &Cancel,
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R> {
    let (sender, receiver) = channel();
    let thread = std::thread::Builder::new()
        .spawn(move || {
            // Nobody listens any more if the wait was ended.
            let _ = sender.send(work());
        })
        .map_err(|error| Error::Resource(format!("no thread can be started: {error}")))?;
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Timeout) => cancel.check()?,
            Err(RecvTimeoutError::Disconnected) => match thread.join() {
                Err(fault) => std::panic::resume_unwind(fault),
                Ok(()) => return Err(Error::Interrupted),
            },
        }
    }
}

/// [`apart`] where the work is `large`, so that a thread of its own is worth its price; otherwise right here.
///
/// # Errors
/// As [`apart`]; [`Error::Interrupted`] before any work if the flag is raised.
pub fn apart_if<R: Send + 'static>(
    large: bool,
    cancel: &Cancel,
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R> {
    cancel.check()?;
    if large {
        apart(cancel, work)
    } else {
        Ok(work())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_apart_is_waited_for_until_the_flag_is_raised() {
        let cancel = Cancel::new();
        assert_eq!(apart(&cancel, || 6 * 7).unwrap(), 42);
        let own = std::thread::current().id();
        let place = |large| apart_if(large, &cancel, || std::thread::current().id()).unwrap();
        assert!(place(false) == own && place(true) != own);
        cancel.raise();
        assert!(apart_if(false, &cancel, || panic!("not begun")).is_err());
        let start = std::time::Instant::now();
        let stopped = apart(&cancel, || std::thread::sleep(Duration::from_secs(2)));
        assert!(matches!(stopped, Err(Error::Interrupted)));
        assert!(start.elapsed() < Duration::from_secs(1));
    }

    #[test]
    fn a_flag_stays_raised_and_is_seen_by_other_threads() {
        let cancel = Cancel::new();
        assert!(!cancel.is_raised() && cancel.check().is_ok());
        assert!(!Cancel::default().is_raised());
        std::thread::scope(|scope| {
            scope.spawn(|| cancel.raise());
        });
        assert!(cancel.is_raised());
        for _ in 0..2 {
            assert!(matches!(cancel.check(), Err(Error::Interrupted)));
        }
    }
}
