//! Exact reduction of gradient descent with finite steps (spec: discrete rotation).
//!
//! One step multiplies `a + w_par` by `1 + eta` and `a - w_par` by `1 - eta`, where
//! `eta = dt gamma_dot(S)`. A run of gradient descent follows this, not the flow.
//!
//! ```
//! use hmm_core::Cancel;
//! use hmm_theory::hinge::{BaseLaw, DataLaw, HingeLoss, HingeMeanField, InitialMoments};
//! use hmm_theory::hinge::gd::descend;
//! use ndarray::{Ix1, aview1};
//! let law = DataLaw::new(BaseLaw::Gaussian { sigma: 1.0 }, 0.0)?;
//! let loss = HingeLoss { alpha: 1.0, h: 1.0, beta: 1.0, exponent: 1.0 };
//! let moments = InitialMoments { correlation: 0.0, power: 1.0 };
//! let field = HingeMeanField::new(law, loss, 0.1, moments, false)?;
//! // (a + w)(a - w) is conserved by the flow, P Q = 1; steps of size dt miss that, and the flow's rotation, by some dt.
//! let far = |dt: f64| {
//!     let run = descend(&field, (10.0 / dt) as usize, dt, &Cancel::new())?;
//!     let (p, q) = (run.array::<f64, Ix1>("P")?, run.array::<f64, Ix1>("Q")?);
//!     let flow = field.gamma(aview1(&[10.0]), &Cancel::new())?[0];
//!     let last = p.len() - 1;
//!     Ok::<_, hmm_core::Error>(((p[last] * q[last] - 1.0).abs(), (p[last].ln() - flow).abs()))
//! };
//! let (coarse, fine) = (far(0.1)?, far(0.05)?);
//! assert!((coarse.0 / fine.0 - 2.0).abs() < 0.1 && (coarse.1 / fine.1 - 2.0).abs() < 0.1);
//! # Ok::<(), hmm_core::Error>(())
//! ```

use super::reduction::{HingeMeanField, InitialMoments};
use hmm_core::{Cancel, Error, Result, Table, memory};

/// Steps between two looks at the interruption flag.
const LOOK: usize = 4096;
/// What is recorded of every step.
const COLUMNS: [&str; 7] = ["P", "Q", "S", "gamma", "chi", "unsatisfied", "loss"];

/// States after 0, 1, ..., `steps` steps of size `dt`: columns `P` and `Q` (the products of all `1 + eta` and
/// `1 - eta`), `S = E[a w_par]`, `gamma = ln P`, `chi`, `unsatisfied`, `loss`, each of shape (steps + 1,).
///
/// # Errors
/// [`Error::InvalidParameter`] for a step that turns `a - w_par` around (`dt gamma_dot >= 1`), [`Error::Resource`] for
/// more steps than memory holds, [`Error::Interrupted`].
pub fn descend(problem: &HingeMeanField, steps: usize, dt: f64, cancel: &Cancel) -> Result<Table> {
    super::loss::positive("dt", dt)?;
    let largest = dt * problem.gamma_dot(0.0).abs();
    if largest >= 1.0 {
        return Err(Error::invalid(
            "dt",
            dt,
            format!("dt gamma_dot = {largest} must stay below 1, or a - w_par changes sign"),
            "take a smaller dt or beta",
        ));
    }
    let count = steps.saturating_add(1);
    memory::require(
        memory::bytes_of::<f64>(count.saturating_mul(COLUMNS.len())),
        "the record of all steps",
        "take fewer steps",
    )?;
    // Reserved, not filled: touching gigabytes takes seconds in which nobody could interrupt.
    let reserved = |_| {
        let mut column = Vec::<f64>::new();
        column.try_reserve_exact(count).map_err(|_| {
            Error::Resource(format!(
                "the record of all steps needs {count} numbers {} times: the system refuses them; take fewer steps",
                COLUMNS.len()
            ))
        })?;
        Ok(column)
    };
    let mut record: Vec<Vec<f64>> = (0..COLUMNS.len()).map(reserved).collect::<Result<_>>()?;
    let InitialMoments { correlation, power } = problem.initial_moments();
    let (mut growing, mut decaying) = (1.0_f64, 1.0_f64);
    for step in 0..count {
        if step % LOOK == 0 {
            cancel.check()?;
        }
        let alignment = 0.5
            * ((power + correlation) * growing * growing
                - (power - correlation) * decaying * decaying);
        let seen = problem.observables_at(alignment);
        let values = [
            growing,
            decaying,
            alignment,
            growing.ln(),
            seen.chi,
            seen.unsatisfied,
            seen.loss,
        ];
        for (column, value) in record.iter_mut().zip(values) {
            column.push(value);
        }
        let eta = dt * problem.speed_at(alignment);
        growing *= 1.0 + eta;
        decaying *= 1.0 - eta;
    }
    let names = COLUMNS.iter().map(|name| (*name).to_owned());
    Ok(names.zip(record.into_iter().map(Into::into)).collect())
}

#[cfg(test)]
mod tests {
    use super::super::reduction::tests::gaussian;
    use super::*;
    use ndarray::Ix1;

    #[test]
    fn steps_that_are_small_follow_the_flow() {
        let problem = gaussian(100.0, 1.0, 0.0, 0.0);
        let cancel = Cancel::new();
        let course = descend(&problem, 20_000, 0.01, &cancel).unwrap();
        let gamma = course.array::<f64, Ix1>("gamma").unwrap();
        let flow = problem
            .gamma(ndarray::aview1(&[100.0, 200.0]), &cancel)
            .unwrap();
        for (step, exact) in [10_000, 20_000].into_iter().zip(flow) {
            assert!((gamma[step] / exact - 1.0).abs() < 1e-3);
        }
    }

    #[test]
    fn too_many_steps_are_refused_and_many_can_be_stopped() {
        let problem = gaussian(100.0, 1.0, 0.0, 0.0);
        let cancel = Cancel::new();
        for steps in [1 << 50, usize::MAX] {
            let refused = descend(&problem, steps, 1.0, &cancel);
            assert!(matches!(refused, Err(Error::Resource(_))));
        }
        cancel.raise();
        let stopped = descend(&problem, 10, 1.0, &cancel);
        assert!(matches!(stopped, Err(Error::Interrupted)));
    }
}
