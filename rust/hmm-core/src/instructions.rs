//! The instruction set that the vector kernels run on: the best of this machine, unless another is asked for.
//!
//! The same seed gives the same bits on each set; across sets results agree to about 1e-12. Choosing serves
//! tests of every path on one machine, and comparisons with results of another machine. The matrix products of `faer`
//! choose for themselves.
//!
//! ```standalone_crate
//! use hmm_core::instructions::{InstructionSet, choose};
//! choose(Some(InstructionSet::Baseline))?;
//! assert_eq!(hmm_core::special::instruction_set(), "scalar");
//! choose(None)?;
//! # Ok::<(), hmm_core::Error>(())
//! ```

use crate::{Error, Named, Result};
use pulp::Arch;
use std::sync::atomic::{AtomicU8, Ordering};

crate::named! {
    /// Instruction sets that kernels are compiled for.
    pub enum InstructionSet: "instruction_set" {
        /// What every processor of the architecture has.
        Baseline = "baseline",
        /// AVX2 and FMA: x86-64-v3.
        Avx2 = "avx2",
        /// AVX-512: x86-64-v4.
        Avx512 = "avx512",
        /// The vectors of 64-bit ARM.
        Neon = "neon",
    }
}

/// The value of [`CHOSEN`] where nothing was: the best.
const BEST: u8 = u8::MAX;

/// Place of the chosen set in the list of names.
static CHOSEN: AtomicU8 = AtomicU8::new(BEST);

/// The instruction set that kernels run on, for `pulp`'s dispatch.
#[inline(always)]
pub fn arch() -> Arch {
    match CHOSEN.load(Ordering::Relaxed) {
        BEST => Arch::new(),
        chosen => forced(chosen),
    }
}

/// Out of the way of the loop that asks: it is rare.
#[cold]
fn forced(chosen: u8) -> Arch {
    InstructionSet::NAMES
        .get(usize::from(chosen))
        .and_then(|(set, _)| set.found())
        .unwrap_or_default()
}

impl InstructionSet {
    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        self.found().is_some()
    }

    /// The sets that this machine has, the baseline first.
    pub fn available() -> Vec<Self> {
        let all = Self::NAMES.iter().map(|(set, _)| *set);
        all.filter(|set| set.is_available()).collect()
    }

    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    fn found(self) -> Option<Arch> {
        match self {
            Self::Baseline => Some(Arch::Scalar),
            Self::Avx2 => pulp::x86::V3::try_new().map(Arch::V3),
            Self::Avx512 => pulp::x86::V4::try_new().map(Arch::V4),
            Self::Neon => None,
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn found(self) -> Option<Arch> {
        match self {
            Self::Baseline => Some(Arch::Scalar),
            Self::Neon => pulp::aarch64::Neon::try_new().map(Arch::Neon),
            Self::Avx2 | Self::Avx512 => None,
        }
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
    fn found(self) -> Option<Arch> {
        (self == Self::Baseline).then(Arch::new)
    }
}

/// Run the kernels on `set` from now on, in the whole process; on the best there is for `None`.
///
/// # Errors
/// A set that this machine does not have.
pub fn choose(set: Option<InstructionSet>) -> Result<()> {
    let place = match set {
        None => BEST,
        Some(set) if set.is_available() => InstructionSet::NAMES
            .iter()
            .position(|(known, _)| *known == set)
            .map_or(BEST, |place| place as u8),
        Some(set) => {
            let names: Vec<&str> = InstructionSet::available()
                .into_iter()
                .map(Named::name)
                .collect();
            return Err(Error::invalid(
                "instruction_set",
                format!("'{set}'"),
                "must be one that this machine has",
                format!("choose one of {}", names.join(", ")),
            ));
        }
    };
    CHOSEN.store(place, Ordering::Relaxed);
    Ok(())
}
