//! Options by name: enums with their lists of names, one for all crates.
//!
//! Every option that a caller gives as text is an enum made by [`named!`](crate::named): its list of names, its
//! aliases and the refusal of anything else follow from the declaration. [`Activation`] and [`Loss`]
//! are the one list of units and of losses; simulation and theory have formulas of their own for them.

use crate::{Error, Result};
use std::fmt::Display;

/// An option with a closed list of names.
pub trait Named: Copy + PartialEq + Display + 'static {
    /// Name of the argument that usually carries it.
    const ARGUMENT: &'static str;
    /// Every value with its name, in the order of declaration.
    const NAMES: &'static [(Self, &'static str)];
    /// Other spellings.
    const ALIASES: &'static [(Self, &'static str)];

    /// The name of this value.
    fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(value, _)| *value == self)
            .map_or("", |(_, name)| name)
    }

    /// The value called `name`, for the argument `argument`.
    ///
    /// # Errors
    /// An unknown name, with the list of those there are.
    fn named(argument: &'static str, name: &str) -> Result<Self> {
        Self::NAMES
            .iter()
            .chain(Self::ALIASES)
            .find(|(_, known)| *known == name)
            .map(|(value, _)| *value)
            .ok_or_else(|| unknown(argument, name, Self::NAMES.iter().map(|(_, name)| *name)))
    }

    /// The value called `name` if it is one of `allowed`.
    ///
    /// # Errors
    /// A name that is unknown or not allowed here, with the list of those that are.
    fn one_of(argument: &'static str, name: &str, allowed: &[Self]) -> Result<Self> {
        Self::named(argument, name)
            .ok()
            .filter(|value| allowed.contains(value))
            .ok_or_else(|| refused(argument, name, allowed))
    }
}

/// The refusal of a name where only `allowed` may stand.
pub fn refused<T: Named>(argument: &'static str, name: &str, allowed: &[T]) -> Error {
    unknown(argument, name, allowed.iter().map(|value| value.name()))
}

/// The refusal of `name`, with the list of what is known.
fn unknown<'a>(argument: &'static str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let listed: Vec<String> = known.map(|name| format!("'{name}'")).collect();
    Error::invalid(
        argument,
        format!("'{name}'"),
        "unknown choice",
        format!("pass one of {}", listed.join(", ")),
    )
}

/// Declare an option with its names: `Variant = "name" | "alias"`.
///
/// ```
/// hmm_core::named! {
///     /// What a bias does.
///     pub enum Bias: "bias" {
///         /// Drawn and trained.
///         Normal = "normal",
///         /// Absent.
///         None = "none" | "absent",
///     }
/// }
/// assert_eq!("absent".parse::<Bias>()?, Bias::None);
/// assert!("typo".parse::<Bias>().unwrap_err().to_string().contains("'normal', 'none'"));
/// # Ok::<(), hmm_core::Error>(())
/// ```
#[macro_export]
macro_rules! named {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident : $argument:literal {
            $($(#[$inner:meta])* $variant:ident = $first:literal $(| $alias:literal)*),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $vis enum $name {
            $($(#[$inner])* $variant),+
        }

        impl $crate::names::Named for $name {
            const ARGUMENT: &'static str = $argument;
            const NAMES: &'static [(Self, &'static str)] = &[$((Self::$variant, $first)),+];
            const ALIASES: &'static [(Self, &'static str)] = &[$($((Self::$variant, $alias),)*)+];
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($crate::names::Named::name(*self))
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Error;

            fn from_str(name: &str) -> $crate::Result<Self> {
                <Self as $crate::names::Named>::named(<Self as $crate::names::Named>::ARGUMENT, name)
            }
        }
    };
}

named! {
    /// A nonlinearity: of data, of a hidden unit, of a generator's layer.
    ///
    /// Which of them serve where is said by the room that uses them.
    pub enum Activation: "activation" {
        /// sign(x), with sign(0) = 0.
        Sign = "sign",
        /// erf(x/√2).
        Erf = "erf",
        /// max(x, 0), with slope 0 at 0.
        Relu = "relu",
        /// √2 max(x, 0): second moment one on a standard normal.
        Sqrt2Relu = "sqrt2_relu",
        /// Hyperbolic tangent.
        Tanh = "tanh",
        /// x.
        Linear = "linear" | "identity",
        /// 1/(1 + exp(-x)).
        Sigmoid = "sigmoid",
        /// max(x, slope x).
        LeakyRelu = "leaky_relu",
    }
}

named! {
    /// A loss of one example, as a function of target and output.
    pub enum Loss: "loss" {
        /// ½ (y - z)² on real targets.
        Ridge = "ridge",
        /// ½ (y - z)² on labels ±1.
        Squared = "squared" | "square",
        /// ln(1 + exp(-s)) of a margin s.
        Logistic = "logistic",
        /// max(0, h - s).
        Hinge = "hinge",
        /// ln(1 + exp(β (h - s)))/β.
        SoftHinge = "softhinge",
        /// ½ max(0, h - s)².
        QuadraticHinge = "qhinge",
        /// h - s.
        LinearHinge = "linear",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_a_bijection<T: Named + std::fmt::Debug>() {
        for (i, (value, name)) in T::NAMES.iter().enumerate() {
            assert_eq!(value.name(), *name);
            assert_eq!(T::named("x", name).unwrap(), *value);
            assert!(
                T::NAMES[..i]
                    .iter()
                    .all(|(other, text)| other != value && text != name)
            );
        }
        for (value, alias) in T::ALIASES {
            assert_eq!(T::named("x", alias).unwrap(), *value);
            assert!(T::NAMES.iter().all(|(_, name)| name != alias));
        }
    }

    #[test]
    fn names_and_values_belong_together() {
        is_a_bijection::<Activation>();
        is_a_bijection::<Loss>();
    }

    #[test]
    fn what_is_unknown_or_not_allowed_is_refused_with_the_list() {
        let text = "rleu".parse::<Activation>().unwrap_err().to_string();
        assert!(text.starts_with("activation = 'rleu': unknown choice; pass one of 'sign', 'erf'"));
        let allowed = [Activation::Erf, Activation::Linear];
        assert_eq!(
            Activation::one_of("f", "identity", &allowed).unwrap(),
            Activation::Linear
        );
        let text = Activation::one_of("f", "tanh", &allowed)
            .unwrap_err()
            .to_string();
        assert_eq!(
            text,
            "f = 'tanh': unknown choice; pass one of 'erf', 'linear'"
        );
    }
}
