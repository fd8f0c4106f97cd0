//! Full-batch logistic regression on Gaussian features against the replica theory: test error over alpha = n/p.
//!
//! `cargo run --release -p hidden-manifold --example replica`

use hidden_manifold::prelude::*;

/// Features, and draws that are averaged.
const P: usize = 100;
const REPEATS: usize = 40;
const ALPHAS: [f64; 5] = [0.5, 1.0, 2.0, 4.0, 8.0];
/// Two eigenvalues of the feature covariance, half of the features each, and E[nu v]^2 summed over either half.
const OMEGA: [f64; 2] = [1.5, 0.5];
const TEACHER: [f64; 2] = [0.9, 0.1];
/// Variance of the teacher field; the features see 0.9/1.5 + 0.1/0.5 = 0.8 of it.
const RHO: f64 = 1.0;
const LAM: f64 = 0.1;

/// alpha, mean and standard error of the simulated test error, predicted test error.
pub fn rows() -> Result<Vec<[f64; 4]>> {
    let cancel = Cancel::new();
    let half = P as f64 / 2.0;
    let features = GaussianFeatures {
        omega: (0..P).map(|i| OMEGA[i % 2]).collect(),
        b: (0..P).map(|i| (TEACHER[i % 2] / half).sqrt()).collect(),
        rho: RHO,
    };
    let task = Task {
        loss: Loss::Logistic,
        lam: LAM,
        flip: 0.0,
        noise: 0.0,
        stop: Stop {
            tol: 1e-8,
            max_iterations: 200,
        },
    };
    let sizes = ALPHAS.map(|alpha| (alpha * P as f64).round() as usize);
    let stream = Stream::new(&[1; 8], Purpose::Sample);
    let observed = fit_gaussian_features(&features, &sizes, REPEATS, &task, &stream, &cancel)?;

    let spectrum = Spectrum::new(
        Array1::from_iter(OMEGA),
        array![0.5, 0.5],
        Array1::from_iter(TEACHER),
        RHO,
    )?;
    let settings = ReplicaSettings {
        loss: task.loss,
        lam: task.lam,
        flip: task.flip,
        noise: task.noise,
        tol: 1e-10,
        max_iterations: 1000,
    };
    let curve = learning_curve(&spectrum, aview1(&ALPHAS), &settings, &cancel)?;

    let draws = REPEATS as f64;
    let measured = ALPHAS.iter().zip(observed.rows()).zip(&curve);
    Ok(measured
        .map(|((alpha, draw), theory)| {
            let errors = draw.mapv(|one| one.test_error);
            let mean = errors.sum() / draws;
            let error_of_mean = errors.std(1.0) / draws.sqrt();
            [*alpha, mean, error_of_mean, theory.test_error]
        })
        .collect())
}

fn main() -> Result<()> {
    println!(" alpha |       simulation |   theory");
    for [alpha, mean, error_of_mean, theory] in rows()? {
        println!("{alpha:6.1} | {mean:.4} +- {error_of_mean:.4} | {theory:8.4}");
    }
    Ok(())
}
