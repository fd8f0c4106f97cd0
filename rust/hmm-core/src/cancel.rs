//! Cooperative interruption: long loops look at a flag between chunks.

use crate::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};

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

#[cfg(test)]
mod tests {
    use super::*;

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
