//! One point and a whole curve of the theory.

use super::anderson::{self, Point};
use super::channel::{Channel, Margin};
use super::proximal::{check_loss, unknown_loss};
use super::ridge;
use super::scale::Scale;
use super::spectrum::{Conjugates, Overlaps, Spectrum, positive};
use hmm_core::memory::{bytes_of, require};
use hmm_core::{Cancel, Error, Loss, Result};
use ndarray::ArrayView1;
use rayon::prelude::*;

/// Points of a curve that are solved one after the other, each from the one before. Fixed, so that
/// the numbers do not depend on the thread count.
const WARM_CHUNK: usize = 20;
/// A larger accelerated step is refused.
const LARGEST_STEP: f64 = 3.0;

/// What is asked of the solver.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The loss.
    pub loss: Loss,
    /// L2 penalty.
    pub lam: f64,
    /// Probability that a label is flipped.
    pub flip: f64,
    /// Standard deviation of the noise on the teacher field.
    pub noise: f64,
    /// Stop when the fixed point moves by less (relative in V and q).
    pub tol: f64,
    /// Evaluations of the fixed-point map before the solver gives up.
    pub max_iterations: usize,
}

/// The fixed point and what it predicts. A number that a loss does not define is not-a-number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Solution {
    /// `V, q, m` and `|w|^2/p`.
    pub overlaps: Overlaps,
    /// `V_hat, q_hat, m_hat`.
    pub conjugates: Conjugates,
    /// Mean training loss, without the penalty.
    pub train_loss: f64,
    /// 0/1 training error.
    pub train_error: f64,
    /// 0/1 test error against labels made like the training ones.
    pub test_error: f64,
    /// 0/1 test error against labels without noise and without flips.
    pub test_error_clean: f64,
    /// Mean squared test error of the square losses.
    pub test_mse: f64,
    /// Mean squared training error of the square losses.
    pub train_mse: f64,
    /// `alpha train_loss + lam/2 norm2`: the minimised sum over p.
    pub objective: f64,
    /// Whether the tolerance was met.
    pub converged: bool,
    /// Evaluations of the fixed-point map.
    pub iterations: usize,
    /// Largest change in the last one.
    pub residual: f64,
}

impl Settings {
    /// Refuse what has no meaning.
    ///
    /// # Errors
    /// A loss that is not among [`super::LOSSES`], `lam <= 0`, `flip` outside [0, 1/2], `noise < 0`, `tol <= 0`,
    /// flips of real targets.
    pub fn check(&self) -> Result<()> {
        check_loss(self.loss)?;
        positive(
            "lam",
            self.lam,
            "use ridgeless or max_margin for the limit lam -> 0",
        )?;
        positive("tol", self.tol, "pass tol=1e-10")?;
        check_flip(self.flip)?;
        check_noise(self.noise)?;
        if self.loss == Loss::Ridge && self.flip != 0.0 {
            return Err(Error::invalid(
                "flip",
                self.flip,
                "must be 0 for ridge regression, whose targets are real numbers",
                "pass loss=\"square\" for flipped labels",
            ));
        }
        Ok(())
    }
}

/// `flip` lies in [0, 1/2].
pub(crate) fn check_flip(flip: f64) -> Result<()> {
    if (0.0..=0.5).contains(&flip) {
        return Ok(());
    }
    Err(Error::invalid(
        "flip",
        flip,
        "must be a probability in [0, 0.5]",
        "exchange the labels if more than half of them are flipped",
    ))
}

/// Variance of the teacher field with its noise.
pub(crate) fn noisy_variance(spectrum: &Spectrum, noise: f64) -> f64 {
    spectrum.rho() + noise * noise
}

/// `noise` is a standard deviation.
pub(crate) fn check_noise(noise: f64) -> Result<()> {
    if (noise * noise).is_finite() && noise >= 0.0 {
        return Ok(());
    }
    Err(Error::invalid(
        "noise",
        noise,
        "must be >= 0 and its square finite",
        "pass the standard deviation of the noise",
    ))
}

/// Solve the theory at `alpha = n/p`.
///
/// The result says whether it converged; it is never silently wrong.
///
/// # Errors
/// `alpha <= 0` and everything [`Settings::check`] refuses; a penalty or noise beyond the range of numbers
/// against features and teacher; an interruption.
///
/// ```
/// use hmm_core::{Cancel, Loss};
/// use hmm_theory::replica::{Settings, Spectrum, solve};
/// use ndarray::array;
/// let spectrum = Spectrum::new(
///     array![2.0, 1.0, 0.25],
///     array![0.25, 0.5, 0.25],
///     array![0.6, 0.3, 0.05],
///     1.3,
/// )?;
/// let settings = Settings {
///     loss: Loss::Ridge,
///     lam: 0.1,
///     flip: 0.0,
///     noise: 0.0,
///     tol: 1e-10,
///     max_iterations: 1000,
/// };
/// let solution = solve(&spectrum, 1.5, &settings, &Cancel::new())?;
/// assert!((solution.test_mse - 0.994659).abs() < 1e-6);
/// # Ok::<(), hmm_core::Error>(())
/// ```
pub fn solve(
    spectrum: &Spectrum,
    alpha: f64,
    settings: &Settings,
    cancel: &Cancel,
) -> Result<Solution> {
    settings.check()?;
    positive("alpha", alpha, "pass alpha = n/p > 0")?;
    let (scale, spectrum) = Scale::of(spectrum);
    let scaled = scale.settings(settings)?;
    let found = solve_from(&spectrum, alpha, &scaled, None, cancel)?;
    Ok(scale.undo(found, settings.loss))
}

/// Solve the theory at every entry of `alphas`, each point starting from its predecessor.
///
/// # Errors
/// As [`solve`], for the first alpha that fails.
pub fn learning_curve(
    spectrum: &Spectrum,
    alphas: ArrayView1<'_, f64>,
    settings: &Settings,
    cancel: &Cancel,
) -> Result<Vec<Solution>> {
    settings.check()?;
    require(
        bytes_of::<Solution>(alphas.len()).saturating_mul(3),
        "a curve of so many points",
        "pass fewer alphas",
    )?;
    for alpha in alphas {
        positive("alpha", *alpha, "pass alpha = n/p > 0")?;
    }
    let (scale, spectrum) = Scale::of(spectrum);
    let scaled = scale.settings(settings)?;
    let mut order: Vec<(usize, f64)> = alphas.iter().copied().enumerate().collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let chunks: Result<Vec<Vec<(usize, Solution)>>> = order
        .par_chunks(WARM_CHUNK)
        .map(|chunk| {
            let mut previous = None;
            let mut solved = Vec::with_capacity(chunk.len());
            for (index, alpha) in chunk {
                let solution = solve_from(&spectrum, *alpha, &scaled, previous.as_ref(), cancel)?;
                previous = solution.converged.then_some(solution.overlaps);
                solved.push((*index, scale.undo(solution, settings.loss)));
            }
            Ok(solved)
        })
        .collect();
    let mut solved: Vec<(usize, Solution)> = chunks?.into_iter().flatten().collect();
    solved.sort_by_key(|(index, _)| *index);
    Ok(solved.into_iter().map(|(_, solution)| solution).collect())
}

/// Solve at `alpha` from the overlaps of a neighbouring point.
pub(crate) fn solve_from(
    spectrum: &Spectrum,
    alpha: f64,
    settings: &Settings,
    start: Option<&Overlaps>,
    cancel: &Cancel,
) -> Result<Solution> {
    cancel.check()?;
    let margin = |margin| solve_margin(spectrum, alpha, settings, start, margin, cancel);
    let mut solution = match settings.loss {
        Loss::Ridge => solve_ridge(spectrum, alpha, settings, start),
        Loss::Squared => solve_square(spectrum, alpha, settings, start),
        Loss::Logistic => margin(Margin::Logistic)?,
        Loss::Hinge => margin(Margin::Hinge)?,
        loss @ (Loss::SoftHinge | Loss::QuadraticHinge | Loss::LinearHinge) => {
            return Err(unknown_loss(loss));
        }
    };
    solution.converged &= solution.is_sound();
    Ok(solution)
}

impl Solution {
    /// Whether the numbers that every loss defines are finite.
    pub(crate) fn is_sound(&self) -> bool {
        let Overlaps { v, q, m, norm2 } = self.overlaps;
        let Conjugates {
            v_hat,
            q_hat,
            m_hat,
        } = self.conjugates;
        [v, q, m, norm2, v_hat, q_hat, m_hat]
            .iter()
            .chain([&self.train_loss, &self.objective])
            .all(|value| value.is_finite())
    }
}

/// Ridge regression on the noisy teacher field.
fn solve_ridge(
    spectrum: &Spectrum,
    alpha: f64,
    settings: &Settings,
    start: Option<&Overlaps>,
) -> Solution {
    let rho = noisy_variance(spectrum, settings.noise);
    let guess = start.map(|overlaps| overlaps.v);
    let found = ridge::solve(spectrum, alpha, settings.lam, rho, 1.0, guess);
    Solution {
        test_error: f64::NAN,
        test_error_clean: f64::NAN,
        train_error: f64::NAN,
        ..square_solution(&found, alpha, settings.lam)
    }
}

/// What both square losses share.
fn square_solution(found: &ridge::Ridge, alpha: f64, lam: f64) -> Solution {
    let train_mse = found.test_mse / ((1.0 + found.overlaps.v) * (1.0 + found.overlaps.v));
    let train_loss = 0.5 * train_mse;
    Solution {
        overlaps: found.overlaps,
        conjugates: found.conjugates,
        train_loss,
        train_error: f64::NAN,
        test_error: f64::NAN,
        test_error_clean: f64::NAN,
        test_mse: found.test_mse,
        train_mse,
        objective: alpha * train_loss + 0.5 * lam * found.overlaps.norm2,
        converged: found.converged,
        iterations: found.iterations,
        residual: found.residual,
    }
}

/// The square loss on labels: ridge regression with `E y^2 = 1` and
/// `E[y v] = (1 - 2 flip) sqrt(2/(pi rho)) b`.
fn solve_square(
    spectrum: &Spectrum,
    alpha: f64,
    settings: &Settings,
    start: Option<&Overlaps>,
) -> Solution {
    let rho = noisy_variance(spectrum, settings.noise);
    let gain = (1.0 - 2.0 * settings.flip) * (2.0 / (std::f64::consts::PI * rho)).sqrt();
    let guess = start.map(|overlaps| overlaps.v);
    let found = ridge::solve(spectrum, alpha, settings.lam, 1.0, gain, guess);
    let mut channel = Channel::new(alpha, rho, settings.flip);
    let (test_error, test_error_clean) = errors(&found.overlaps, spectrum.rho(), settings);
    Solution {
        test_error,
        test_error_clean,
        // An example is misclassified when its proximal point (s + V)/(1 + V) is negative.
        train_error: channel.mass_below(-found.overlaps.v, &found.overlaps),
        ..square_solution(&found, alpha, settings.lam)
    }
}

/// 0/1 test errors against labels like the training ones and against clean ones.
///
/// `acos(m/sqrt(rho q))/pi` is the probability that two Gaussians differ in sign.
pub(crate) fn errors(overlaps: &Overlaps, rho_clean: f64, settings: &Settings) -> (f64, f64) {
    let disagreement = |rho: f64| {
        let cosine = overlaps.m / (rho * overlaps.q).sqrt();
        cosine.clamp(-1.0, 1.0).acos() / std::f64::consts::PI
    };
    let noisy = disagreement(rho_clean + settings.noise * settings.noise);
    let keep = 1.0 - 2.0 * settings.flip;
    (keep * noisy + settings.flip, disagreement(rho_clean))
}

/// A margin loss by the accelerated fixed point.
fn solve_margin(
    spectrum: &Spectrum,
    alpha: f64,
    settings: &Settings,
    start: Option<&Overlaps>,
    margin: Margin,
    cancel: &Cancel,
) -> Result<Solution> {
    let rho = noisy_variance(spectrum, settings.noise);
    let mut channel = Channel::new(alpha, rho, settings.flip);
    let start = start
        .copied()
        .unwrap_or_else(|| initial_overlaps(spectrum, settings.lam, rho, settings.flip));
    let fixed = iterate(
        spectrum,
        &mut channel,
        margin,
        settings.lam,
        &start,
        settings.tol,
        settings.max_iterations,
        cancel,
    )?;
    let training = channel.training(margin, &fixed.overlaps);
    let (test_error, test_error_clean) = errors(&fixed.overlaps, spectrum.rho(), settings);
    Ok(Solution {
        overlaps: fixed.overlaps,
        conjugates: fixed.conjugates,
        train_loss: training.loss,
        train_error: training.error,
        test_error,
        test_error_clean,
        test_mse: f64::NAN,
        train_mse: f64::NAN,
        objective: alpha * training.loss + 0.5 * settings.lam * fixed.overlaps.norm2,
        converged: fixed.converged,
        iterations: fixed.iterations,
        residual: fixed.residual,
    })
}

/// A fixed point with its status.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fixed {
    pub(crate) overlaps: Overlaps,
    pub(crate) conjugates: Conjugates,
    pub(crate) converged: bool,
    pub(crate) iterations: usize,
    pub(crate) residual: f64,
}

/// Where the iteration starts; convexity makes the fixed point unique.
pub(crate) fn initial_overlaps(spectrum: &Spectrum, lam: f64, rho: f64, flip: f64) -> Overlaps {
    let q = 0.1 * rho;
    let seen = spectrum.teacher_linear_part();
    // Labels without information leave m at 0 exactly.
    let m = if flip == 0.5 {
        0.0
    } else {
        0.3 * (q * seen).sqrt()
    };
    Overlaps {
        v: spectrum.mean_eigenvalue() / (1.0 + lam),
        q,
        m,
        norm2: 0.0,
    }
}

/// Solve `overlaps = covariate(channel(overlaps))` in the unknowns `(log V, log q, m/sqrt q)`.
pub(crate) fn iterate(
    spectrum: &Spectrum,
    channel: &mut Channel,
    margin: Margin,
    lam: f64,
    start: &Overlaps,
    tol: f64,
    max_iterations: usize,
    cancel: &Cancel,
) -> Result<Fixed> {
    let seen = spectrum.teacher_linear_part().sqrt();
    let outcome = anderson::fixed_point(
        unknowns(start),
        tol,
        max_iterations,
        |z| {
            cancel.check()?;
            let conjugates = channel.conjugates(margin, &overlaps_at(z));
            Ok(unknowns(&spectrum.overlaps(&conjugates, lam)))
        },
        |from, to| {
            let moves = to.iter().zip(from).map(|(to, from)| (to - from).abs());
            let step = moves.fold(0.0, f64::max);
            // Cauchy-Schwarz: m^2/q <= rho_lin.
            step <= LARGEST_STEP && (seen == 0.0 || to[2].abs() < 0.999999 * seen)
        },
    )?;
    let conjugates = channel.conjugates(margin, &overlaps_at(&outcome.point));
    Ok(Fixed {
        overlaps: spectrum.overlaps(&conjugates, lam),
        conjugates,
        converged: outcome.converged,
        iterations: outcome.iterations,
        residual: outcome.residual,
    })
}

fn unknowns(overlaps: &Overlaps) -> Point {
    [
        overlaps.v.ln(),
        overlaps.q.ln(),
        overlaps.m / overlaps.q.sqrt(),
    ]
}

fn overlaps_at(z: &Point) -> Overlaps {
    let q = z[1].exp();
    Overlaps {
        v: z[0].exp(),
        q,
        m: z[2] * q.sqrt(),
        norm2: 0.0,
    }
}
