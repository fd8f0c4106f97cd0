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
    /// Overlaps that are not finite, [`hmm_core::Error::Interrupted`] if cancelled.
    pub fn generalisation_error(
        &self,
        q: &[f64],
        r: &[f64],
        v: &[f64],
        cancel: &Cancel,
    ) -> Result<f64> {
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
    /// Overlaps that are not finite, [`hmm_core::Error::Interrupted`] if cancelled.
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
