//! The flow of neurons under the linear loss with the noise of a finite training set.

use super::{AxisLabels, population_field};
use hmm_core::{Error, Result};
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
    pub noise: Vec<f64>,
}

/// Time derivatives of a set of neurons.
#[derive(Debug, Clone, PartialEq)]
pub struct NeuronRates {
    /// `d omega/dt`, shape (n, d) row-major.
    pub omega: Vec<f64>,
    /// `d b/dt`, shape (n,).
    pub b: Vec<f64>,
    /// `d beta/dt`, shape (n,).
    pub beta: Vec<f64>,
}

impl NeuronFlow {
    /// Rates of `n` neurons: `omega` (n, d) row-major, `b` (n,), `beta` (n,).
    ///
    /// # Errors
    /// If lengths do not agree or a number is not finite.
    pub fn rates(&self, omega: &[f64], b: &[f64], beta: &[f64]) -> Result<NeuronRates> {
        let (n, d) = (b.len(), self.noise.len());
        if d == 0 || omega.len() != n * d || beta.len() != n {
            return Err(Error::shape(
                "omega",
                &[omega.len(), n, beta.len(), d],
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
        let rows: Result<Vec<(Vec<f64>, f64, f64)>> = omega
            .par_chunks(d)
            .zip(b.par_iter().zip(beta))
            .map(|(omega, (&b, &beta))| self.neuron_rate(clock, omega, b, beta))
            .collect();
        let mut rates = NeuronRates {
            omega: Vec::with_capacity(n * d),
            b: Vec::with_capacity(n),
            beta: Vec::with_capacity(n),
        };
        for (row, db, dbeta) in rows? {
            rates.omega.extend(row);
            rates.b.push(db);
            rates.beta.push(dbeta);
        }
        Ok(rates)
    }

    fn neuron_rate(
        &self,
        clock: f64,
        omega: &[f64],
        b: f64,
        beta: f64,
    ) -> Result<(Vec<f64>, f64, f64)> {
        let mut field = population_field(omega, b, &self.labels)?;
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
        let row = field
            .inputs
            .iter()
            .map(|force| clock * beta / root_d * force)
            .collect();
        Ok((row, clock * beta * field.bias, growth))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_invariant_is_conserved_with_noise() {
        let flow = NeuronFlow {
            labels: AxisLabels::stripe(-0.3, 1.18549, 1.0).unwrap(),
            width: 10.0,
            noise: vec![0.03, -0.01, 0.02],
        };
        let (omega, b, beta) = ([0.3, -1.2, 0.4, 1.0, 0.2, -0.1], [0.5, -0.4], [0.7, -1.1]);
        let rates = flow.rates(&omega, &b, &beta).unwrap();
        for n in 0..2 {
            let weights: f64 = (0..3)
                .map(|i| omega[3 * n + i] * rates.omega[3 * n + i])
                .sum();
            let change = beta[n] * rates.beta[n] - weights - b[n] * rates.b[n];
            assert!(change.abs() < 1e-16);
        }
        assert!(flow.rates(&omega, &b, &[1.0]).is_err());
    }
}
