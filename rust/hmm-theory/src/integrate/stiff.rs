//! Rodas5P: an L-stable Rosenbrock method of order 5(4) with a fourth-order interpolant.
//!
//! One Jacobian and eight solutions with it per step, no Newton iteration: right for a system that
//! solves linear equations with its exact Jacobian cheaply. Source: Steinebach, Construction of
//! Rosenbrock-Wanner method Rodas5P, BIT Numer. Math. 63, 27 (2023).

use super::{Interpolant, Outcome, Progress, StiffSystem, Tolerance, combine, record_within};
use hmm_core::special::vectorised;
use hmm_core::{Cancel, Error, Result};

const STAGES: usize = 8;
const GAMMA: f64 = 0.21193756319429014;
/// Stage `i` starts from y + sum_j A_ij k_j; the step is the last stage plus its own k.
const A: [&[f64]; STAGES] = [
    &[],
    &[3.0],
    &[2.849394379747939, 0.45842242204463923],
    &[-6.954028509809101, 2.489845061869568, -10.358996098473584],
    &[
        2.8029986275628964,
        0.5072464736228206,
        -0.3988312541770524,
        -0.04721187230404641,
    ],
    &[
        -7.502846399306121,
        2.561846144803919,
        -11.627539656261098,
        -0.18268767659942256,
        0.030198172008377946,
    ],
    &[
        -7.502846399306121,
        2.561846144803919,
        -11.627539656261098,
        -0.18268767659942256,
        0.030198172008377946,
        1.0,
    ],
    &[
        -7.502846399306121,
        2.561846144803919,
        -11.627539656261098,
        -0.18268767659942256,
        0.030198172008377946,
        1.0,
        1.0,
    ],
];
/// Stage `i` adds sum_j C_ij k_j / h to its right-hand side.
const C: [&[f64]; STAGES] = [
    &[],
    &[-14.155112264123755],
    &[-17.97296035885952, -2.859693295451294],
    &[147.12150275711716, -1.41221402718213, 71.68940251302358],
    &[
        165.43517024871676,
        -0.4592823456491126,
        42.90938336958603,
        -5.961986721573306,
    ],
    &[
        24.854864614690072,
        -3.0009227002832186,
        47.4931110020768,
        5.5814197821558125,
        -0.6610691825249471,
    ],
    &[
        30.91273214028599,
        -3.1208243349937974,
        77.79954646070892,
        34.28646028294783,
        -19.097331116725623,
        -28.087943162872662,
    ],
    &[
        37.80277123390563,
        -3.2571969029072276,
        112.26918849496327,
        66.9347231244047,
        -40.06618937091002,
        -54.66780262877968,
        -9.48861652309627,
    ],
];
/// Interpolant: three combinations of the k.
const H: [[f64; STAGES]; 3] = [
    [
        25.948786856663858,
        -2.5579724845846235,
        10.433815404888879,
        -2.3679251022685204,
        0.524948541321073,
        1.1241088310450404,
        0.4272876194431874,
        -0.17202221070155493,
    ],
    [
        -9.91568850695171,
        -0.9689944594115154,
        3.0438037242978453,
        -24.495224566215796,
        20.176138334709044,
        15.98066361424651,
        -6.789040303419874,
        -6.710236069923372,
    ],
    [
        11.419903575922262,
        2.8879645146136994,
        72.92137995996029,
        80.12511834622643,
        -52.072871366152654,
        -59.78993625266729,
        -0.15582684282751913,
        4.883087185713722,
    ],
];

struct Dense<'a> {
    y_old: &'a [f64],
    y_new: &'a [f64],
    combinations: [Vec<f64>; 3],
}

impl Interpolant for Dense<'_> {
    fn at(&self, x: f64, out: &mut [f64]) {
        let rest = 1.0 - x;
        let [k1, k2, k3] = &self.combinations;
        let ends = self.y_old.iter().zip(self.y_new);
        let terms = k1.iter().zip(k2).zip(k3).zip(ends);
        for (o, (((k1, k2), k3), (y_old, y_new))) in out.iter_mut().zip(terms) {
            let inner = k1 + x * (k2 + x * k3);
            *o = rest * y_old + x * (y_new + rest * inner);
        }
    }
}

/// Step until the last time.
#[expect(clippy::indexing_slicing, reason = "k holds STAGES vectors")]
pub(crate) fn advance<S: StiffSystem>(
    system: &S,
    progress: &mut Progress,
    times: &[f64],
    tolerance: Tolerance,
    cancel: &Cancel,
    work: &mut S::Workspace,
    record: &mut impl FnMut(usize, &[f64]) -> Result<()>,
) -> Result<Outcome> {
    let n = progress.y.len();
    let end = times.last().copied().unwrap_or(0.0);
    let mut k = vec![vec![0.0; n]; STAGES];
    let (mut stage, mut buffer) = (vec![0.0; n], vec![0.0; n]);
    let mut jacobian = S::Jacobian::default();
    let blocks = system.blocks();
    let mut fresh = false;
    while let Some(&next_time) = times.get(progress.reached) {
        cancel.check()?;
        if let Some(outcome) = progress.stalled() {
            return Ok(outcome);
        }
        let h = progress.h.min(end - progress.t);
        if !fresh {
            system.linearise(&progress.y, &mut jacobian, cancel)?;
            progress.statistics.jacobians += 1;
            fresh = true;
        }
        let attempt = step(
            system,
            &progress.y,
            h,
            &mut jacobian,
            &mut k,
            &mut stage,
            work,
            cancel,
        );
        progress.statistics.evaluations += STAGES;
        let error = match attempt {
            Ok(()) => vectorised(
                #[inline(always)]
                || tolerance.norm_by_block(&blocks, &k[STAGES - 1], &progress.y, &stage),
            ),
            Err(Error::Divergence(_)) => f64::INFINITY,
            Err(other) => return Err(other),
        };
        if error > 1.0 || error.is_nan() {
            progress.reject(h, error, 5.0);
            continue;
        }
        if next_time <= progress.t + h || progress.t + h >= end {
            let y_old = std::mem::take(&mut progress.y);
            let dense = Dense {
                y_old: &y_old,
                y_new: &stage,
                combinations: H.map(|coefficients| {
                    let mut sum = vec![0.0; n];
                    combine(&mut sum, None, 1.0, &coefficients, &k);
                    sum
                }),
            };
            // Rounding must not leave the last time out.
            let reach = if progress.t + h >= end {
                h.max(end - progress.t)
            } else {
                h
            };
            record_within(
                progress,
                &dense,
                (progress.t, reach),
                times,
                &mut buffer,
                record,
            )?;
            progress.y = y_old;
        }
        progress.t += h;
        std::mem::swap(&mut progress.y, &mut stage);
        fresh = false;
        progress.accept(h, error, 5.0, (0.2, 5.0));
    }
    Ok(Outcome::Complete)
}

/// All stages; `y_new` holds the new state, the last `k` its error.
#[expect(
    clippy::indexing_slicing,
    reason = "stages are counted to STAGES, the rows of the tableau and, made by `advance`, the vectors of k"
)]
fn step<S: StiffSystem>(
    system: &S,
    y: &[f64],
    h: f64,
    jacobian: &mut S::Jacobian,
    k: &mut [Vec<f64>],
    y_new: &mut [f64],
    work: &mut S::Workspace,
    cancel: &Cancel,
) -> Result<()> {
    system.factorise(jacobian, 1.0 / (GAMMA * h), cancel)?;
    for i in 0..STAGES {
        let (done, next) = k.split_at_mut(i);
        combine(y_new, Some(y), 1.0, A[i], done);
        let b = &mut next[0];
        system.velocity(y_new, b, work, cancel)?;
        vectorised(
            #[inline(always)]
            || {
                for (c, term) in C[i].iter().zip(done.iter()) {
                    let c = c / h;
                    for (o, x) in b.iter_mut().zip(term) {
                        *o += c * x;
                    }
                }
            },
        );
        system.solve(jacobian, b, cancel)?;
    }
    for (y, k) in y_new.iter_mut().zip(&k[STAGES - 1]) {
        *y += k;
    }
    Ok(())
}
