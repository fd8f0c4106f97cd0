//! What one sees of a network at a given rotation: who is satisfied, and the loss (4.2).

use super::law::Unsatisfied;
use super::loss::HingeLoss;
use super::reduction::{HingeMeanField, InitialMoments};
use hmm_core::{Cancel, Result, Table};
use ndarray::{Array1, ArrayView1};

/// State of learning at one rotation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observables {
    /// Satisfaction threshold on z (infinite while the network is zero).
    pub chi: f64,
    /// Unsatisfied fraction U.
    pub unsatisfied: f64,
    /// Loss (7b).
    pub loss: f64,
}

impl HingeMeanField {
    /// Rotation at which an example with `z = y x_par` becomes satisfied (infinite: never).
    pub fn satisfaction_gamma(&self, z: f64) -> f64 {
        // Satisfied once kappa (S - offset) z / 2 >= h/alpha; for z < 0 mirror S and gamma.
        let sign = if z < 0.0 { -1.0 } else { 1.0 };
        let needed = self.alignment_at(z);
        if sign * self.initial_moments().correlation >= sign * needed {
            return 0.0;
        }
        if self.gamma_dot(0.0) * sign <= 0.0 {
            return f64::INFINITY;
        }
        match self.rotation(needed) {
            Some(gamma) => sign * (sign * gamma).max(0.0),
            None => sign * f64::INFINITY,
        }
    }

    /// The alignment at which an example with `z = y x_par` has the margin `h`.
    pub(super) fn alignment_at(&self, z: f64) -> f64 {
        2.0 * self.threshold() / (self.kappa() * z) + self.offset()
    }

    /// The rotation at which `S = C0 cosh 2 gamma + C1 sinh 2 gamma` is `alignment`, if one is.
    pub(super) fn rotation(&self, alignment: f64) -> Option<f64> {
        let InitialMoments {
            correlation: c0,
            power: c1,
        } = self.initial_moments();
        let (sum, difference) = (c1 + c0, c1 - c0);
        if difference == 0.0 {
            // S = C1 e^{2 gamma}
            (alignment > 0.0).then(|| 0.5 * (alignment / c1).ln())
        } else if sum == 0.0 {
            // S = -C1 e^{-2 gamma}
            (alignment < 0.0).then(|| -0.5 * (-alignment / c1).ln())
        } else {
            Some(0.5 * ((alignment / (sum * difference).sqrt()).asinh() - (c0 / c1).atanh()))
        }
    }

    /// Columns `chi`, `unsatisfied` and `loss` at the rotations `gammas`, each of shape (n,).
    ///
    /// # Errors
    /// [`hmm_core::Error::Interrupted`].
    pub fn observables(&self, gammas: ArrayView1<'_, f64>, cancel: &Cancel) -> Result<Table> {
        let column = || Array1::<f64>::zeros(gammas.len());
        let (mut chi, mut unsatisfied, mut loss) = (column(), column(), column());
        let columns = chi.iter_mut().zip(&mut unsatisfied).zip(&mut loss);
        for (((chi, unsatisfied), loss), gamma) in columns.zip(&gammas) {
            cancel.check()?;
            let seen = self.observables_at(self.alignment(*gamma));
            (*chi, *unsatisfied, *loss) = (seen.chi, seen.unsatisfied, seen.loss);
        }
        Ok(Table::new()
            .with("chi", chi)
            .with("unsatisfied", unsatisfied)
            .with("loss", loss))
    }

    /// Threshold, unsatisfied fraction and loss at alignment `S`.
    pub fn observables_at(&self, alignment: f64) -> Observables {
        let HingeLoss {
            alpha, h, exponent, ..
        } = self.loss();
        let set = self.unsatisfied(alignment);
        let unsatisfied = self.law().unsatisfied_fraction(set);
        let (chi, gain) = match set {
            // (7b): alpha kappa S / 2 = h / chi
            Unsatisfied::Below(chi) | Unsatisfied::Above(chi) if chi != 0.0 => {
                (chi, self.law().drive(set) / chi)
            }
            Unsatisfied::Below(chi) | Unsatisfied::Above(chi) => (chi, 0.0),
            Unsatisfied::All => (f64::INFINITY, 0.0),
        };
        let loss = alpha.powf(-exponent) * h * (unsatisfied - gain);
        Observables {
            chi,
            unsatisfied,
            loss,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reduction::tests::gaussian;

    #[test]
    fn satisfaction_is_where_the_margin_is_met() {
        for c0 in [-1.0, -0.4, 0.0, 0.7, 1.0] {
            let problem = gaussian(10.0, 3.0, 0.0, c0);
            for z in [0.01, 0.5, 3.0] {
                let g = problem.satisfaction_gamma(z);
                if g.is_finite() && g > 0.0 {
                    let output = 0.5 * problem.kappa() * problem.alignment(g) * z;
                    assert!((output / problem.threshold() - 1.0).abs() < 1e-12);
                }
            }
        }
    }
}
