//! What one step adds at random, and how its parts vary together.
//!
//! With F_k = v_k g'(lambda^k)(Delta - sigma xi) and fields Y = root z of standard normals z, a step is linear in the
//! parts phi = (F_k z_c, (Delta - sigma xi) g(lambda^k), F_k F_l). Their second moments are averages over z of powers of
//! Delta up to the fourth, which have no closed form: a rule of given points and weights takes them.
//!
//! Of B samples a step adds the mean of their parts, and of F F^T the sum over pairs over B^2. Two different samples are
//! orthogonal up to 1/sqrt(N), so that their pairs add nothing to leading order: what is left is Cov(phi') / B with
//! phi' = (F_k z_c, ..., F_k F_l / B).

#![expect(
    clippy::indexing_slicing,
    reason = "`moments` makes all buffers in blocks of BLOCK points, one for each of n fields or of the parts; the rule holds whole blocks of n variables (`layout` refuses others); signs and root are of the same n fields"
)]

use super::super::committee::{Committee, Unit};
use super::super::modes::triangle;
use crate::activation::Closed;
use hmm_core::memory::filled;
use hmm_core::special::{self, vectorised};
use hmm_core::{Cancel, Error, Result};
use ndarray::{ArrayView1, ArrayView2};
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI};

/// Points of a rule that are treated together.
const BLOCK: usize = 256;

/// Points and weights for averages over standard normal variables.
#[derive(Clone, Debug)]
pub struct NormalRule {
    fields: usize,
    /// Block after block, each holding its points variable by variable.
    nodes: Vec<f64>,
    weights: Vec<f64>,
}

impl NormalRule {
    /// The rule of `nodes` (P, fields) and `weights` (P,), which sum to 1.
    ///
    /// # Errors
    /// Shapes that disagree, numbers that are not finite, weights that are no probability.
    pub fn new(nodes: ArrayView2<'_, f64>, weights: ArrayView1<'_, f64>) -> Result<Self> {
        let (points, fields) = nodes.dim();
        crate::checks::shape("weights", weights.shape(), &[points])?;
        let total: f64 = weights.iter().sum();
        let normalised = total.is_finite() && (total - 1.0).abs() < 1e-6;
        if !nodes.iter().all(|x| x.is_finite()) || !normalised {
            return Err(Error::invalid(
                "weights",
                format!("sum {total}"),
                "a rule has finite nodes and weights that sum to 1",
                "normalise them",
            ));
        }
        let blocks = points.div_ceil(BLOCK);
        let mut rule = Self {
            fields,
            nodes: filled(0.0, blocks * fields * BLOCK, "so many nodes", "pass fewer")?,
            weights: filled(0.0, blocks * BLOCK, "so many nodes", "pass fewer")?,
        };
        for (point, weight) in weights.iter().enumerate() {
            rule.weights[point] = *weight;
            for field in 0..fields {
                let at = (point / BLOCK * fields + field) * BLOCK + point % BLOCK;
                rule.nodes[at] = nodes[(point, field)];
            }
        }
        Ok(rule)
    }

    /// Variables it averages over.
    pub fn fields(&self) -> usize {
        self.fields
    }
}

/// Mean and covariance of the parts phi of one step, and E\[F_k F_l\].
#[derive(Clone, Debug, Default)]
pub(super) struct Moments {
    /// Parts that are linear in the error: F_k z_c, and (Delta - sigma xi) g(lambda^k) where v learns.
    pub(super) linear: usize,
    /// E phi.
    pub(super) mean: Vec<f64>,
    /// B times the covariance of what B samples add, row-major.
    pub(super) covariance: Vec<f64>,
}

impl Moments {
    /// Number of parts.
    pub(super) fn parts(&self) -> usize {
        self.mean.len()
    }

    /// E\[F_k F_l\] of one sample.
    pub(super) fn squared(&self, units: usize, k: usize, l: usize) -> f64 {
        self.mean[self.linear + triangle(units, k, l)]
    }
}

/// Numbers in a vector register, and parts that are summed together: enough chains to hide their latency.
const LANES: usize = 8;
const TOGETHER: usize = 4;

/// sums_j += sum_i x_i y_j,i over a block, for `TOGETHER` rows y_j or fewer.
#[inline(always)]
fn add_products<const ROWS: usize>(x: &[f64], y: &[f64], sums: &mut [f64]) {
    let mut lanes = [[0.0_f64; LANES]; ROWS];
    for start in (0..BLOCK).step_by(LANES) {
        let left: &[f64] = &x[start..start + LANES];
        for (row, chain) in lanes.iter_mut().enumerate() {
            let right = &y[row * BLOCK + start..][..LANES];
            for lane in 0..LANES {
                chain[lane] = left[lane].mul_add(right[lane], chain[lane]);
            }
        }
    }
    for (sum, chain) in sums.iter_mut().zip(&lanes) {
        *sum += chain.iter().sum::<f64>();
    }
}

/// x <- g(x), slope <- g'(x).
#[inline(always)]
fn evaluate(unit: &Unit, x: &mut [f64], slope: &mut [f64]) {
    match unit {
        Unit::Closed(Closed::Erf) => {
            let height = FRAC_2_PI.sqrt();
            for (x, slope) in x.iter_mut().zip(slope) {
                *slope = height * special::f64::exp(-0.5 * *x * *x);
                *x = special::f64::erf(*x * FRAC_1_SQRT_2);
            }
        }
        Unit::Closed(Closed::Relu) => {
            for (x, slope) in x.iter_mut().zip(slope) {
                *slope = if *x > 0.0 { 1.0 } else { 0.0 };
                *x = x.max(0.0);
            }
        }
        Unit::Closed(Closed::Linear) => slope.fill(1.0),
        Unit::Sampled(table) => {
            for (x, slope) in x.iter_mut().zip(slope) {
                let jet = table.at(*x);
                *x = jet.value;
                *slope = jet.slope;
            }
        }
    }
}

/// Sizes of one average.
#[derive(Clone, Copy)]
struct Sizes {
    k: usize,
    n: usize,
    /// Parts that are linear in the error, and all parts.
    linear: usize,
    parts: usize,
    learns: bool,
    noise: f64,
}

/// Buffers of one block of points.
struct Buffers {
    x: Vec<f64>,
    slope: Vec<f64>,
    phi: Vec<f64>,
    powers: Vec<f64>,
    weighted: Vec<f64>,
}

/// Fields of a block, and the units on them.
#[inline(always)]
fn pass(
    committee: &Committee,
    sizes: Sizes,
    root: &[f64],
    z: &[f64],
    x: &mut [f64],
    slope: &mut [f64],
) {
    let Sizes { k, n, .. } = sizes;
    for (field, out) in x.chunks_exact_mut(BLOCK).enumerate() {
        out.fill(0.0);
        for (c, z) in z.chunks_exact(BLOCK).enumerate().take(field + 1) {
            let factor = root[field * n + c];
            for (o, z) in out.iter_mut().zip(z) {
                *o = factor.mul_add(*z, *o);
            }
        }
    }
    let (students, teachers) = x.split_at_mut(k * BLOCK);
    let (gates, rest) = slope.split_at_mut(k * BLOCK);
    evaluate(&committee.student, students, gates);
    evaluate(&committee.teacher, teachers, rest);
}

/// Weight times Delta, and times the averages over xi of (Delta - sigma xi)^2, ^3 and ^4.
#[inline(always)]
fn powers_of_error(sizes: Sizes, signs: &[f64], x: &[f64], w: &[f64], powers: &mut [f64]) {
    let noise = sizes.noise;
    let (delta, others) = powers.split_at_mut(BLOCK);
    let (second, others) = others.split_at_mut(BLOCK);
    let (third, fourth) = others.split_at_mut(BLOCK);
    delta.fill(0.0);
    for (values, sign) in x.chunks_exact(BLOCK).zip(signs) {
        for (d, g) in delta.iter_mut().zip(values) {
            *d = sign.mul_add(*g, *d);
        }
    }
    let targets = second.iter_mut().zip(third).zip(fourth);
    for ((d, ((second, third), fourth)), w) in delta.iter_mut().zip(targets).zip(w) {
        let (error, square) = (*d, *d * *d);
        *second = w * (square + noise);
        *third = w * error * (square + 3.0 * noise);
        *fourth = w * (square * (square + 6.0 * noise) + 3.0 * noise * noise);
        *d = w * error;
    }
}

/// The parts of a step without the error.
#[inline(always)]
fn parts_of_step(
    sizes: Sizes,
    signs: &[f64],
    z: &[f64],
    x: &[f64],
    slope: &[f64],
    phi: &mut [f64],
) {
    let Sizes { k, n, linear, .. } = sizes;
    for unit in 0..k {
        let gate = &slope[unit * BLOCK..(unit + 1) * BLOCK];
        for (c, z) in z.chunks_exact(BLOCK).enumerate() {
            let out = &mut phi[(unit * n + c) * BLOCK..][..BLOCK];
            for ((o, gate), z) in out.iter_mut().zip(gate).zip(z) {
                *o = signs[unit] * gate * z;
            }
        }
        if sizes.learns {
            phi[(k * n + unit) * BLOCK..][..BLOCK]
                .copy_from_slice(&x[unit * BLOCK..(unit + 1) * BLOCK]);
        }
        for other in unit..k {
            let factor = signs[unit] * signs[other];
            let out = &mut phi[(linear + triangle(k, unit, other)) * BLOCK..][..BLOCK];
            let beside = &slope[other * BLOCK..(other + 1) * BLOCK];
            for ((o, gate), beside) in out.iter_mut().zip(gate).zip(beside) {
                *o = factor * gate * beside;
            }
        }
    }
}

/// Add a block's means and products to the sums.
#[inline(always)]
fn add_up(
    sizes: Sizes,
    phi: &[f64],
    powers: &[f64],
    weighted: &mut [f64],
    mean: &mut [f64],
    sums: &mut [f64],
) {
    let Sizes { linear, parts, .. } = sizes;
    for a in 0..parts {
        let left = &phi[a * BLOCK..(a + 1) * BLOCK];
        let first = usize::from(a >= linear);
        add_products::<1>(
            left,
            &powers[first * BLOCK..(first + 1) * BLOCK],
            &mut mean[a..=a],
        );
        let mut from = a;
        for (power, end) in [(first + 1, linear), (first + 2, parts)] {
            // Two parts that are linear carry the second power, one of them the third, none the fourth.
            let (power, end) = if first == 1 { (3, parts) } else { (power, end) };
            let error = &powers[power * BLOCK..(power + 1) * BLOCK];
            for ((o, x), e) in weighted.iter_mut().zip(left).zip(error) {
                *o = x * e;
            }
            while from < end {
                let row = &phi[from * BLOCK..];
                let out = &mut sums[a * parts + from..];
                if from + TOGETHER <= end {
                    add_products::<TOGETHER>(weighted, row, out);
                    from += TOGETHER;
                } else {
                    add_products::<1>(weighted, row, out);
                    from += 1;
                }
            }
        }
    }
}

/// Moments of the parts of a step with output weights s = (v, -v~) and fields `root` z, `root` lower triangular.
pub(super) fn moments(
    committee: &Committee,
    signs: &[f64],
    root: &[f64],
    learns: bool,
    batch: f64,
    rule: &NormalRule,
    cancel: &Cancel,
) -> Result<Moments> {
    let (k, n) = (committee.k, committee.fields());
    let linear = k * n + if learns { k } else { 0 };
    let parts = linear + k * (k + 1) / 2;
    let sizes = Sizes {
        k,
        n,
        linear,
        parts,
        learns,
        noise: committee.noise_variance,
    };
    let mut sums = vec![0.0; parts * parts];
    let mut mean = vec![0.0; parts];
    let mut buffers = Buffers {
        x: vec![0.0; n * BLOCK],
        slope: vec![0.0; n * BLOCK],
        phi: vec![0.0; parts * BLOCK],
        powers: vec![0.0; 4 * BLOCK],
        weighted: vec![0.0; BLOCK],
    };
    for (z, w) in rule
        .nodes
        .chunks_exact(n * BLOCK)
        .zip(rule.weights.chunks_exact(BLOCK))
    {
        cancel.check()?;
        // By value, as slices: what a closure holds by reference is read again at every entry.
        let Buffers {
            x,
            slope,
            phi,
            powers,
            weighted,
        } = &mut buffers;
        let (x, slope, phi) = (&mut x[..], &mut slope[..], &mut phi[..]);
        let (powers, weighted) = (&mut powers[..], &mut weighted[..]);
        let (mean, sums) = (&mut mean[..], &mut sums[..]);
        vectorised(
            #[inline(always)]
            move || {
                pass(committee, sizes, root, z, x, slope);
                powers_of_error(sizes, signs, x, w, powers);
                parts_of_step(sizes, signs, z, x, slope, phi);
                add_up(sizes, phi, powers, weighted, mean, sums);
            },
        );
    }
    let share = |part: usize| if part < linear { 1.0 } else { 1.0 / batch };
    let mut covariance = vec![0.0; parts * parts];
    for a in 0..parts {
        for b in a..parts {
            let value = share(a) * share(b) * (sums[a * parts + b] - mean[a] * mean[b]);
            covariance[a * parts + b] = value;
            covariance[b * parts + a] = value;
        }
    }
    Ok(Moments {
        linear,
        mean,
        covariance,
    })
}
