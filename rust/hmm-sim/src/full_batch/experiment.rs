//! The experiment that matches the replica theory: Gaussian features, many draws, many sample sizes.
//!
//! ```
//! use hmm_core::random::{Purpose, Stream};
//! use hmm_core::{Cancel, Loss};
//! use hmm_sim::full_batch::Stop;
//! use hmm_sim::full_batch::experiment::{GaussianFeatures, Task, run};
//! use ndarray::Array1;
//! // A teacher of variance rho = 1 that 60 white features see entirely: more examples than features, and ridge
//! // regression finds it; fewer, and it cannot.
//! let p = 60;
//! let (omega, b) = (Array1::ones(p), Array1::from_elem(p, (p as f64).sqrt().recip()));
//! let stop = Stop { tol: 1e-10, max_iterations: 100 };
//! let task = Task { loss: Loss::Ridge, lam: 1e-9, flip: 0.0, noise: 0.0, stop };
//! let features = GaussianFeatures { omega, b, rho: 1.0 };
//! let stream = Stream::new(&[1; 8], Purpose::Sample);
//! let found = run(&features, &[30, 120], 8, &task, &stream, &Cancel::new())?;
//! let error = |row: usize| found.row(row).iter().map(|seen| seen.test_mse).sum::<f64>() / 8.0;
//! // Half the features leave 1 - alpha = 1/2 of the variance (8 draws of 30 know it to a few per cent).
//! assert!((error(0) - 0.5).abs() < 0.15 && error(1) < 1e-8);
//! # Ok::<(), hmm_core::Error>(())
//! ```

use super::examples::{Examples, dot};
use super::{Fit, Problem, Stop, fit, loss_of};
use hmm_core::memory::{bytes_of, filled, require};
use hmm_core::random::Rng;
use hmm_core::random::{Purpose, Stream, fill_normal};
use hmm_core::{Cancel, Error, Loss, Result, Table};
use ndarray::{Array1, Array2};
use rayon::prelude::*;

/// Units of the sample stream: features, teacher's own part and noise, flips.
const FEATURES: u32 = 0;
const TEACHER: u32 = 1;
const FLIPS: u32 = 2;

/// Numbers drawn between two looks at the cancel flag: a multiple of the groups that normals are made in.
const PIECE: usize = 1 << 20;
/// What memory is asked for, and what to do without it.
const EXAMPLES: &str = "a draw of that many examples";
const REMEDY: &str = "pass smaller alphas or fewer repeats";

/// Jointly Gaussian teacher field and features, in the eigenbasis of the features.
///
/// `v_i = sqrt(omega_i) z_i` and `nu = sum_i b_i/omega_i v_i + sqrt(rho - rho_lin) xi`.
#[derive(Debug, Clone)]
pub struct GaussianFeatures {
    /// Variances of the features, (p), >= 0.
    pub omega: Array1<f64>,
    /// `E[nu v]`, (p).
    pub b: Array1<f64>,
    /// Variance of the teacher field.
    pub rho: f64,
}

/// What is learnt from them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Task {
    /// The loss.
    pub loss: Loss,
    /// Penalty.
    pub lam: f64,
    /// Probability that a label is flipped.
    pub flip: f64,
    /// Standard deviation of the noise on the teacher field.
    pub noise: f64,
    /// When a fit stops.
    pub stop: Stop,
}

/// Observables of one fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// `w.Omega w/p`.
    pub q: f64,
    /// `b.w/sqrt p`.
    pub m: f64,
    /// `|w|^2/p`.
    pub norm2: f64,
    /// Mean training loss, without the penalty.
    pub train_loss: f64,
    /// Fraction of training labels that are missed (not-a-number for ridge).
    pub train_error: f64,
    /// Mean squared training error (not-a-number for logistic and hinge).
    pub train_mse: f64,
    /// Exact 0/1 error on labels made like the training ones (not-a-number for ridge).
    pub test_error: f64,
    /// Exact mean squared test error (not-a-number for logistic and hinge).
    pub test_mse: f64,
    /// `(sum l + lam/2 |w|^2)/p`.
    pub objective: f64,
    /// Duality gap over the objective.
    pub gap: f64,
    /// Geometric margin `min_mu y w.v/|w|` of the training set (negative if it is not separated).
    pub margin: f64,
    /// Whether the fit reached its tolerance.
    pub converged: bool,
}

impl GaussianFeatures {
    fn check(&self) -> Result<f64> {
        let p = self.omega.len();
        if p == 0 || self.b.len() != p {
            return Err(Error::shape(
                "b",
                &[self.b.len()],
                format!("must have one entry per feature, {p}"),
                "pass omega (p,) and b (p,)",
            ));
        }
        let mut seen = 0.0;
        for (omega, b) in self.omega.iter().zip(&self.b) {
            if !(omega.is_finite() && *omega >= 0.0 && b.is_finite()) {
                return Err(Error::invalid(
                    "omega",
                    omega,
                    "variances must be finite and >= 0, b finite",
                    "pass the eigenvalues of a covariance",
                ));
            }
            if *omega > 0.0 {
                seen += b * b / omega;
            }
        }
        if !self.rho.is_finite() || seen > self.rho * (1.0 + 1e-8) {
            return Err(Error::invalid(
                "rho",
                self.rho,
                format!("must be finite and at least b.Omega^-1 b = {seen}"),
                "check that omega, b and rho belong to one joint covariance",
            ));
        }
        Ok((self.rho - seen).max(0.0))
    }

    /// `n` features `v/sqrt p`, (n, p), and targets of draw `block`.
    fn draw(
        &self,
        n: usize,
        unexplained: f64,
        task: &Task,
        stream: &Stream,
        block: u64,
        cancel: &Cancel,
    ) -> Result<(Array2<f64>, Array1<f64>)> {
        let p = self.omega.len();
        let mut x = filled(0.0, n.saturating_mul(p), EXAMPLES, REMEDY)?;
        let mut generator = stream.generator(FEATURES, block);
        for piece in x.chunks_mut(PIECE) {
            cancel.check()?;
            fill_normal(&mut generator, piece);
        }
        let mut own = filled(0.0, n, EXAMPLES, REMEDY)?;
        fill_normal(&mut stream.generator(TEACHER, block), &mut own);
        let scale: Vec<f64> = self
            .omega
            .iter()
            .map(|omega| (omega / p as f64).sqrt())
            .collect();
        // nu = sum_i b_i/sqrt(omega_i) z_i + ...
        let seen: Vec<f64> = self
            .omega
            .iter()
            .zip(&self.b)
            .map(|(omega, b)| if *omega > 0.0 { b / omega.sqrt() } else { 0.0 })
            .collect();
        let own_scale = (unexplained + task.noise * task.noise).sqrt();
        let mut flips = stream.generator(FLIPS, block);
        let y: Vec<f64> = x
            .chunks_exact_mut(p)
            .zip(own)
            .map(|(row, own)| {
                let nu = dot(row, &seen) + own_scale * own;
                for (x, scale) in row.iter_mut().zip(&scale) {
                    *x *= scale;
                }
                if task.loss == Loss::Ridge {
                    return nu;
                }
                let uniform = (flips.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
                let sign = if nu < 0.0 { -1.0 } else { 1.0 };
                if uniform < task.flip { -sign } else { sign }
            })
            .collect();
        let x = Array2::from_shape_vec((n, p), x).map_err(|error| {
            Error::shape("X", &[n, p], error.to_string(), "pass other sample sizes")
        })?;
        Ok((x, y.into()))
    }

    /// Draw, fit and measure once.
    fn observe(
        &self,
        n: usize,
        unexplained: f64,
        task: &Task,
        stream: &Stream,
        block: u64,
        cancel: &Cancel,
    ) -> Result<Observation> {
        let (x, y) = self.draw(n, unexplained, task, stream, block, cancel)?;
        let problem = Problem {
            x: x.view(),
            y: y.view(),
            lam: task.lam,
        };
        let fitted = fit(task.loss, &problem, &task.stop, cancel)?;
        let examples = Examples::new(&x, &y, task.lam)?;
        Ok(self.measure(&examples, &fitted, task))
    }

    /// Observables of a fit; test errors are exact because fields are Gaussian.
    fn measure(&self, problem: &Examples<'_>, fitted: &Fit, task: &Task) -> Observation {
        let p = self.omega.len() as f64;
        let w: Vec<f64> = fitted.w.to_vec();
        let q = w
            .iter()
            .zip(&self.omega)
            .map(|(w, omega)| omega * w * w)
            .sum::<f64>()
            / p;
        let m = dot(&self.b.to_vec(), &w) / p.sqrt();
        let norm2 = dot(&w, &w) / p;
        let rho = self.rho + task.noise * task.noise;
        let training = Training::new(problem, &w, task.loss);
        let labels = task.loss != Loss::Ridge;
        let square = matches!(task.loss, Loss::Ridge | Loss::Squared);
        let angle = (m / (rho * q).sqrt()).clamp(-1.0, 1.0).acos() / std::f64::consts::PI;
        let gain = if labels {
            (1.0 - 2.0 * task.flip) * (2.0 / (std::f64::consts::PI * rho)).sqrt()
        } else {
            1.0
        };
        let second_moment = if labels { 1.0 } else { rho };
        let only = |condition: bool, value: f64| if condition { value } else { f64::NAN };
        Observation {
            q,
            m,
            norm2,
            train_loss: training.loss,
            train_error: only(labels, training.error),
            train_mse: only(square, 2.0 * training.loss),
            test_error: only(labels, (1.0 - 2.0 * task.flip) * angle + task.flip),
            test_mse: only(square, second_moment + q - 2.0 * gain * m),
            objective: fitted.objective / p,
            gap: fitted.gap / fitted.objective,
            margin: only(labels, training.margin / norm2.sqrt()),
            converged: fitted.converged,
        }
    }
}

/// What the training set says.
struct Training {
    loss: f64,
    error: f64,
    /// `min_mu y x.w`.
    margin: f64,
}

impl Training {
    fn new(problem: &Examples<'_>, w: &[f64], loss: Loss) -> Self {
        let mut training = Self {
            loss: 0.0,
            error: 0.0,
            margin: f64::INFINITY,
        };
        for (z, y) in problem.predictions(w).iter().zip(problem.y) {
            training.loss += loss_of(loss, *y, *z);
            training.error += f64::from(u8::from(y * z < 0.0));
            training.margin = training.margin.min(y * z);
        }
        let n = problem.count() as f64;
        training.loss /= n;
        training.error /= n;
        training
    }
}

/// Fit `repeats` independent draws at each sample size in `sizes`; draws differ between sizes too.
///
/// Returns (sizes, repeats) observations. Every draw is a function of (seed, size index, repeat), and
/// every fit is serial in its sums: the thread count cannot change a bit.
///
/// # Errors
/// Features that are no joint covariance, `n = 0`, invalid options of a fit, draws that memory does not hold, an
/// interruption.
pub fn run(
    features: &GaussianFeatures,
    sizes: &[usize],
    repeats: usize,
    task: &Task,
    stream: &Stream,
    cancel: &Cancel,
) -> Result<Array2<Observation>> {
    let unexplained = features.check()?;
    if !(0.0..=0.5).contains(&task.flip) {
        return Err(Error::invalid(
            "flip",
            task.flip,
            "must be in [0, 0.5]",
            "pass flip=0",
        ));
    }
    if !(task.noise.is_finite() && task.noise >= 0.0) {
        return Err(Error::invalid(
            "noise",
            task.noise,
            "must be finite and >= 0",
            "pass noise=0",
        ));
    }
    let shape = (sizes.len(), repeats);
    let draws = sizes.len().saturating_mul(repeats);
    require(bytes_of::<Observation>(draws), EXAMPLES, REMEDY)?;
    // As many draws as there are threads are held at a time.
    let largest = sizes.iter().max().copied().unwrap_or(0);
    let held = largest
        .saturating_mul(features.omega.len())
        .saturating_mul(draws.min(rayon::current_num_threads()));
    require(bytes_of::<f64>(held), EXAMPLES, REMEDY)?;
    let of_draws: Vec<usize> = sizes
        .iter()
        .flat_map(|&size| std::iter::repeat_n(size, repeats))
        .collect();
    let observed: Result<Vec<Observation>> = of_draws
        .into_par_iter()
        .enumerate()
        .map(|(index, size)| {
            cancel.check()?;
            let stream = stream.with_purpose(Purpose::Sample);
            features.observe(size, unexplained, task, &stream, index as u64, cancel)
        })
        .collect();
    Array2::from_shape_vec(shape, observed?).map_err(|error| {
        Error::shape(
            "alphas",
            &[shape.0, shape.1],
            error.to_string(),
            "pass other sizes",
        )
    })
}

/// A number of an [`Observation`] with its name.
type Number = (&'static str, fn(&Observation) -> f64);

const NUMBERS: [Number; 12] = [
    ("q", |o| o.q),
    ("m", |o| o.m),
    ("norm2", |o| o.norm2),
    ("train_loss", |o| o.train_loss),
    ("train_error", |o| o.train_error),
    ("train_mse", |o| o.train_mse),
    ("test_error", |o| o.test_error),
    ("test_mse", |o| o.test_mse),
    ("objective", |o| o.objective),
    ("gap", |o| o.gap),
    ("margin", |o| o.margin),
    ("converged", |o| f64::from(u8::from(o.converged))),
];

/// Observations as named columns of the same shape.
pub fn columns(observed: &Array2<Observation>) -> Table {
    NUMBERS
        .iter()
        .map(|(name, number)| ((*name).to_owned(), observed.map(number).into()))
        .collect()
}
