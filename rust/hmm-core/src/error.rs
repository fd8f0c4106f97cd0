//! The one error type. Its messages name the argument, the value, the rule and the remedy.
//!
//! ```
//! use hmm_core::{Error, Result};
//! // The capacity of a perceptron, alpha_c = 2 (Cover 1965), as a rule on an argument.
//! fn separable(alpha: f64) -> Result<()> {
//!     if alpha < 2.0 {
//!         return Ok(());
//!     }
//!     let rule = "random labels are separable below 2";
//!     Err(Error::invalid("alpha", alpha, rule, "pass fewer examples per input"))
//! }
//! assert!(separable(1.9).is_ok());
//! assert_eq!(
//!     separable(2.5).unwrap_err().to_string(),
//!     "alpha = 2.5: random labels are separable below 2; pass fewer examples per input"
//! );
//! ```

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong, by the kind of reaction it asks for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An argument has a value outside its domain.
    #[error("{argument} = {value}: {rule}; {remedy}")]
    InvalidParameter {
        /// Name of the argument as the user typed it.
        argument: &'static str,
        /// The value that was passed.
        value: String,
        /// The rule it breaks.
        rule: String,
        /// What to do instead.
        remedy: String,
    },
    /// An array has the wrong shape.
    #[error("{argument} has shape {shape}: {rule}; {remedy}")]
    Shape {
        /// Name of the argument as the user typed it.
        argument: &'static str,
        /// The shape that was passed.
        shape: String,
        /// The rule it breaks.
        rule: String,
        /// What to do instead.
        remedy: String,
    },
    /// A run left the range of finite numbers.
    #[error("{0}")]
    Divergence(String),
    /// An iteration did not reach its tolerance.
    #[error("{0}")]
    Convergence(String),
    /// Memory or another resource would not suffice.
    #[error("{0}")]
    Resource(String),
    /// The user interrupted the computation.
    #[error("interrupted")]
    Interrupted,
    /// A function supplied by the caller failed.
    #[error("{0}")]
    Callback(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// An [`Error::InvalidParameter`].
    pub fn invalid(
        argument: &'static str,
        value: impl std::fmt::Display,
        rule: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::InvalidParameter {
            argument,
            value: value.to_string(),
            rule: rule.into(),
            remedy: remedy.into(),
        }
    }

    /// An [`Error::Shape`].
    pub fn shape(
        argument: &'static str,
        shape: &[usize],
        rule: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::Shape {
            argument,
            shape: format!("{shape:?}"),
            rule: rule.into(),
            remedy: remedy.into(),
        }
    }
}
