//! The averages over the local fields of student and teacher that drive every equation.
//!
//! Closed forms where both units have them (`closed`), quadrature otherwise (`quadrature`).

use super::closed::TiltedFields;
use super::committee::{Committee, Drive};
use super::quadrature;
use hmm_core::{Cancel, Result};

/// Buffers of one evaluation of the averages.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    signs: Vec<f64>,
    covariance: Vec<f64>,
    tilted: TiltedFields,
}

impl Committee {
    /// Generalisation error eps = (1/2) E\[Delta^2\] = (1/2) sum_ab s_a s_b I2(a, b) at overlaps `q` (K, K), `r` (K, M)
    /// and output weights `v`.
    ///
    /// # Errors
    /// Overlaps of other sizes or not finite, [`hmm_core::Error::Interrupted`] if cancelled.
    pub fn generalisation_error(
        &self,
        q: &[f64],
        r: &[f64],
        v: &[f64],
        cancel: &Cancel,
    ) -> Result<f64> {
        self.check(q, r, v)?;
        let (mut s, mut c) = (Vec::new(), Vec::new());
        self.signed_weights(v, &mut s);
        self.field_covariance(q, r, &mut c);
        match self.closed_units() {
            Some(units) => self.closed_error(units, &s, &c, cancel),
            None => quadrature::generalisation_error(self, &s, &c, cancel),
        }
    }

    /// All averages of the equations at overlaps `q` (K, K), `r` (K, M) and output weights `v`.
    ///
    /// From Stein's lemma E\[Delta v_k g'(lambda^k) z\] = sum_j L_kj cov(lambda^j, z)
    /// minus sum_m G_km cov(nu^m, z) for every z jointly Gaussian with the fields. This compact form
    /// has no division by Q_jj Q_kk - Q_kj^2, unlike the published one, and equals it.
    ///
    /// # Errors
    /// Overlaps of other sizes or not finite, [`hmm_core::Error::Interrupted`] if cancelled.
    pub fn drive(
        &self,
        q: &[f64],
        r: &[f64],
        v: &[f64],
        second_layer: bool,
        out: &mut Drive,
        scratch: &mut Scratch,
        cancel: &Cancel,
    ) -> Result<()> {
        self.check(q, r, v)?;
        self.averages(q, r, v, second_layer, out, scratch, cancel)
    }

    /// [`Self::drive`] of overlaps read off a state, whose sizes are the system's.
    pub(super) fn averages(
        &self,
        q: &[f64],
        r: &[f64],
        v: &[f64],
        second_layer: bool,
        out: &mut Drive,
        scratch: &mut Scratch,
        cancel: &Cancel,
    ) -> Result<()> {
        let Scratch {
            signs,
            covariance,
            tilted,
        } = scratch;
        self.signed_weights(v, signs);
        self.field_covariance(q, r, covariance);
        match self.closed_units() {
            Some(units) => {
                self.closed_drive(units, signs, covariance, second_layer, out, tilted, cancel)
            }
            None => quadrature::drive(self, signs, covariance, out, cancel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::online::committee::Unit;
    use hmm_core::{Activation, Error};

    fn committee(k: usize, m: usize, unit: Activation) -> Committee {
        let unit = Unit::of("activation", unit).unwrap();
        Committee {
            k,
            m,
            student: unit.clone(),
            teacher: unit,
            t: vec![1.0; m * m],
            v_teacher: vec![1.0; m],
            noise_variance: 0.0,
        }
    }

    fn refused(committee: &Committee, q: usize, r: usize, v: usize) -> bool {
        let (q, r, v) = (vec![0.1; q], vec![0.1; r], vec![1.0; v]);
        let (mut out, mut scratch, cancel) = (Drive::default(), Scratch::default(), Cancel::new());
        let error = committee.generalisation_error(&q, &r, &v, &cancel);
        let drive = committee.drive(&q, &r, &v, true, &mut out, &mut scratch, &cancel);
        assert_eq!(error.is_err(), drive.is_err());
        match error {
            Ok(_) => false,
            Err(Error::Shape { .. } | Error::InvalidParameter { .. }) => true,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn overlaps_of_other_sizes_are_refused() {
        for unit in [Activation::Erf, Activation::Relu, Activation::Tanh] {
            let right = committee(2, 1, unit);
            assert!(!refused(&right, 4, 2, 2));
            for (q, r, v) in [
                (1, 2, 2),
                (4, 4, 2),
                (4, 2, 1),
                (0, 2, 2),
                (4, 0, 2),
                (4, 2, 0),
            ] {
                assert!(refused(&right, q, r, v), "{q} {r} {v}");
            }
            let mut wrong = right.clone();
            wrong.t.clear();
            assert!(refused(&wrong, 4, 2, 2));
            let mut wrong = right;
            wrong.v_teacher.push(1.0);
            assert!(refused(&wrong, 4, 2, 2));
            assert!(refused(&committee(0, 1, unit), 0, 0, 0));
            assert!(refused(&committee(1, 0, unit), 1, 0, 1));
            // Sizes whose squares leave the range of numbers.
            let mut huge = committee(1, 1, unit);
            huge.k = 1 << 32;
            assert!(refused(&huge, 0, 1 << 4, 1));
        }
        // Quadrature has room for four fields.
        assert!(refused(&committee(3, 2, Activation::Tanh), 9, 6, 3));
    }
}
