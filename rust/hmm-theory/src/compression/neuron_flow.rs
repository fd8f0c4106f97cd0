//! The flow of neurons under the linear loss with the noise of a finite training set.

use super::AxisLabels;
use super::population::field;
use hmm_core::memory::filled;
use hmm_core::{Cancel, Error, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use rayon::prelude::*;
use std::f64::consts::SQRT_2;

/// Neurons that evolve independently before any example is fitted:
///
/// `d omega_i = (sqrt2/h)(beta/sqrt d)(E[y x_i 1] + eps_i sqrt(P_act/p)) dt`,
/// `d b = (sqrt2/h) beta (E[y 1] + eps_b sqrt(P_act/p)) dt`,
/// `d beta = (sqrt2/h)(omega.(...)/sqrt d + b (...)) dt`,
///
/// which keeps `beta^2 - |omega|^2 - b^2`. The noise `eps` is one draw for a training set of `p`
/// points (shared by all neurons); on the informative axis it is left out, where it is small against
/// the field.
#[derive(Debug, Clone)]
pub struct NeuronFlow {
    /// The labels.
    pub labels: AxisLabels,
    /// Width of the network, which sets the clock.
    pub width: f64,
    /// `eps_2 .. eps_d` and `eps_b`, each times `1/sqrt p`; shape (d,).
    pub noise: Array1<f64>,
}

/// Time derivatives of a set of neurons.
#[derive(Debug, Clone, PartialEq)]
pub struct NeuronRates {
    /// `d omega/dt`, shape (n, d).
    pub omega: Array2<f64>,
    /// `d b/dt`, shape (n,).
    pub b: Array1<f64>,
    /// `d beta/dt`, shape (n,).
    pub beta: Array1<f64>,
}

impl NeuronFlow {
    /// Rates of `n` neurons: `omega` (n, d), `b` (n,), `beta` (n,).
    ///
    /// # Errors
    /// If lengths do not agree or a number is not finite; [`Error::Resource`]; [`Error::Interrupted`].
    pub fn rates(
        &self,
        omega: ArrayView2<'_, f64>,
        b: ArrayView1<'_, f64>,
        beta: ArrayView1<'_, f64>,
        cancel: &Cancel,
    ) -> Result<NeuronRates> {
        let (n, d) = (b.len(), self.noise.len());
        if d == 0 || omega.dim() != (n, d) || beta.len() != n {
            return Err(Error::shape(
                "omega",
                &[omega.nrows(), omega.ncols(), n, beta.len(), d],
                "must be (n, d) with b and beta of length n and d noise terms",
                "pass matching arrays",
            ));
        }
        if !(self.width >= 1.0 && self.width.is_finite()) {
            return Err(Error::invalid(
                "h",
                self.width,
                "must be >= 1",
                "pass the width",
            ));
        }
        let clock = SQRT_2 / self.width;
        let room = |count: usize| filled(0.0, count, "the rates of neurons", "pass fewer neurons");
        let (mut by_omega, mut by_b, mut by_beta) = (room(n * d)?, room(n)?, room(n)?);
        let neurons: Vec<_> = omega.rows().into_iter().zip(b.iter().zip(&beta)).collect();
        by_omega
            .par_chunks_exact_mut(d)
            .zip(by_b.par_iter_mut().zip(&mut by_beta))
            .zip(neurons)
            .try_for_each(|((row, (by_b, by_beta)), (omega, (b, beta)))| {
                cancel.check()?;
                (*by_b, *by_beta) = self.neuron_rate(clock, &omega.to_vec(), *b, *beta, row)?;
                Ok(())
            })?;
        Ok(NeuronRates {
            omega: Array2::from_shape_vec((n, d), by_omega).unwrap_or_default(),
            b: by_b.into(),
            beta: by_beta.into(),
        })
    }

    /// Rates of one neuron: of its weights into `row`, of b and beta as the result.
    fn neuron_rate(
        &self,
        clock: f64,
        omega: &[f64],
        b: f64,
        beta: f64,
        row: &mut [f64],
    ) -> Result<(f64, f64)> {
        let mut field = field(omega, b, &self.labels)?;
        let spread = field.active.sqrt();
        for (force, noise) in field.inputs.iter_mut().skip(1).zip(&self.noise) {
            *force += noise * spread;
        }
        if let Some(noise) = self.noise.last() {
            field.bias += noise * spread;
        }
        let root_d = (omega.len() as f64).sqrt();
        let along: f64 = omega.iter().zip(&field.inputs).map(|(w, f)| w * f).sum();
        let growth = clock * (along / root_d + b * field.bias);
        for (rate, force) in row.iter_mut().zip(&field.inputs) {
            *rate = clock * beta / root_d * force;
        }
        Ok((clock * beta * field.bias, growth))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_invariant_is_conserved_with_noise() {
        let flow = NeuronFlow {
            labels: AxisLabels::stripe(-0.3, 1.18549, 1.0).unwrap(),
            width: 10.0,
            noise: array![0.03, -0.01, 0.02],
        };
        let omega = array![[0.3, -1.2, 0.4], [1.0, 0.2, -0.1]];
        let (b, beta) = (array![0.5, -0.4], array![0.7, -1.1]);
        let cancel = Cancel::new();
        let rates = flow
            .rates(omega.view(), b.view(), beta.view(), &cancel)
            .unwrap();
        for n in 0..2 {
            let weights = omega.row(n).dot(&rates.omega.row(n));
            let change = beta[n] * rates.beta[n] - weights - b[n] * rates.b[n];
            assert!(change.abs() < 1e-16);
        }
        let one = array![1.0];
        assert!(
            flow.rates(omega.view(), b.view(), one.view(), &cancel)
                .is_err()
        );
    }
}
