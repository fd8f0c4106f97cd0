//! The two matrices of the linear equations at one state: how deviations answer (J), and how fast chance feeds them (D).
//!
//! The deviations are those of r_s, of the upper triangle of q_s, and of v where it learns, of the modes s that have
//! weight p_s. What a step adds to them is made of the fields of one mode, X_s = (lambda^s, beta^s):
//!
//! ```text
//! N dr_s^{lm} = -eta F_l beta^s_m          N dq_s^{kl} = -eta (F_k lambda^s_l + F_l lambda^s_k) + eta^2 rho_s F_k F_l
//! N dv_k = -eta_v (Delta - sigma xi) g(lambda^k)
//! cov(X_s, Y) = [[rho q, r], [rho r^T, t]]_s          cov(X_s, X_s') = delta_ss' (rho/p)_s [[q, r], [r^T, t]]_s
//! ```
//!
//! The first covariance makes E h the drift of the equations; the second is that of n = p_s N independent directions.

use super::super::committee::Drive;
use super::super::fields::Scratch;
use super::super::modes::{OnlineSystem, triangle};
use super::super::response::{Change, Responses, triangle_entry};
use super::moments::{Moments, NormalRule, moments};
use faer::Mat;
use hmm_core::{Cancel, Result};

/// Share of its variance that a field must have beside those before it; below, the rest is round-off.
const SINGULAR: f64 = 1e-13;

/// What the matrices at one state are made of.
pub(super) struct Instant {
    state: Vec<f64>,
    drive: Drive,
    responses: Responses,
    moments: Moments,
    root: Vec<f64>,
}

/// The deviations: which modes have weight, and where each lies.
pub(super) struct Layout {
    /// Modes with weight.
    pub(super) live: Vec<usize>,
    rows: usize,
    learns: bool,
    units: usize,
}

impl Layout {
    #[expect(clippy::indexing_slicing, reason = "counted to the number of weights")]
    pub(super) fn of(system: &OnlineSystem) -> Self {
        let weights = &system.coefficients.in_r;
        Self {
            live: (0..weights.len()).filter(|&s| weights[s] > 0.0).collect(),
            rows: system.row_count(),
            learns: system.second_layer_learns(),
            units: system.committee.k,
        }
    }

    /// Number of deviations.
    pub(super) fn size(&self) -> usize {
        self.rows * self.live.len() + if self.learns { self.units } else { 0 }
    }

    /// Number of order parameters: R, the triangle of Q, and v where it learns.
    pub(super) fn overlaps(&self) -> usize {
        self.rows + if self.learns { self.units } else { 0 }
    }

    /// Place of row `row` of the `which`-th mode with weight.
    fn at(&self, row: usize, which: usize) -> usize {
        row * self.live.len() + which
    }

    fn output(&self, unit: usize) -> usize {
        self.rows * self.live.len() + unit
    }
}

/// Lower triangular root of a covariance that may be singular, row-major (n, n).
#[expect(
    clippy::indexing_slicing,
    reason = "c is the covariance of n fields, made by `field_covariance`, and the root as large"
)]
fn root(c: &[f64], n: usize) -> Vec<f64> {
    let mut root = vec![0.0; n * n];
    for j in 0..n {
        let known: f64 = root[j * n..j * n + j].iter().map(|x| x * x).sum();
        let rest = c[j * n + j] - known;
        if rest <= SINGULAR * c[j * n + j] {
            continue;
        }
        root[j * n + j] = rest.sqrt();
        for i in j + 1..n {
            let known: f64 = (0..j).map(|l| root[i * n + l] * root[j * n + l]).sum();
            root[i * n + j] = (c[i * n + j] - known) / root[j * n + j];
        }
    }
    root
}

/// cov(., z) from cov(., Y), where Y = root z.
#[expect(
    clippy::indexing_slicing,
    reason = "asked for rows of n fields with their root (n, n)"
)]
fn whiten(root: &[f64], n: usize, values: &mut [f64]) {
    for a in 0..n {
        let known: f64 = (0..a).map(|b| root[a * n + b] * values[b]).sum();
        let pivot = root[a * n + a];
        values[a] = if pivot > 0.0 {
            (values[a] - known) / pivot
        } else {
            0.0
        };
    }
}

impl OnlineSystem {
    /// Averages, responses and moments at the state `y`.
    pub(super) fn instant(&self, y: &[f64], rule: &NormalRule, cancel: &Cancel) -> Result<Instant> {
        let mut scratch = Scratch::default();
        let (mut q, mut r, mut drive) = (Vec::new(), Vec::new(), Drive::default());
        self.q(y, &mut q);
        self.r(y, &mut r);
        let v = self.output_weights(y);
        self.drive(&q, &r, v, &mut drive, &mut scratch, cancel)?;
        let responses = self.responses(&q, &r, v, &mut scratch, cancel)?;
        let (mut signs, mut c) = (Vec::new(), Vec::new());
        self.committee.signed_weights(v, &mut signs);
        self.committee.field_covariance(&q, &r, &mut c);
        let root = root(&c, self.committee.fields());
        let moments = moments(
            &self.committee,
            &signs,
            &root,
            self.second_layer_learns(),
            self.rates.batch as f64,
            rule,
            cancel,
        )?;
        Ok(Instant {
            state: y.to_vec(),
            drive,
            responses,
            moments,
            root,
        })
    }

    /// J.
    #[expect(
        clippy::indexing_slicing,
        reason = "live modes are places of coefficients and states; L and G are made by `Drive::resize`"
    )]
    pub(super) fn answer(&self, at: &Instant, layout: &Layout) -> Mat<f64> {
        let (k, m, s) = (self.committee.k, self.committee.m, self.modes());
        let (lr, kappa) = (self.rates.lr, self.rates.weight_decay);
        let Drive { l, g, .. } = &at.drive;
        let size = layout.size();
        let mut matrix = Mat::<f64>::zeros(size, size);
        for (which, &mode) in layout.live.iter().enumerate() {
            let decay = lr * self.coefficients.decay[mode];
            let pull = lr * self.coefficients.pull[mode];
            for i in 0..k {
                for a in 0..m {
                    let here = layout.at(i * m + a, which);
                    matrix[(here, here)] -= kappa;
                    for j in 0..k {
                        matrix[(here, layout.at(j * m + a, which))] -= decay * l[i * k + j];
                    }
                }
                for j in i..k {
                    let here = layout.at(k * m + triangle(k, i, j), which);
                    matrix[(here, here)] -= 2.0 * kappa;
                    for x in 0..k {
                        let left = layout.at(k * m + triangle(k, x, j), which);
                        let right = layout.at(k * m + triangle(k, i, x), which);
                        matrix[(here, left)] -= decay * l[i * k + x];
                        matrix[(here, right)] -= decay * l[j * k + x];
                    }
                    for b in 0..m {
                        matrix[(here, layout.at(j * m + b, which))] += pull * g[i * m + b];
                        matrix[(here, layout.at(i * m + b, which))] += pull * g[j * m + b];
                    }
                }
            }
        }
        let mut change = vec![0.0; size];
        for direction in 0..at.responses.directions {
            self.change(at, &at.responses.along(direction), layout, &mut change);
            if direction < layout.rows {
                let weights = if direction < k * m {
                    &self.coefficients.in_r
                } else {
                    &self.coefficients.in_q
                };
                for (which, &mode) in layout.live.iter().enumerate() {
                    let column = layout.at(direction, which);
                    for (row, x) in change.iter().enumerate() {
                        matrix[(row, column)] += x * weights[mode];
                    }
                }
            } else {
                let column = layout.output(direction - layout.rows);
                for (row, x) in change.iter().enumerate() {
                    matrix[(row, column)] += x;
                }
            }
        }
        debug_assert_eq!(at.state.len(), layout.rows * s + k);
        matrix
    }

    /// Change of the velocities with the averages.
    #[expect(
        clippy::indexing_slicing,
        reason = "live modes are places of coefficients and states; a change has the sizes of L, G and N; `out` has a place for each that the layout counts"
    )]
    fn change(&self, at: &Instant, change: &Change, layout: &Layout, out: &mut [f64]) {
        let (k, m, s) = (self.committee.k, self.committee.m, self.modes());
        let lr = self.rates.lr;
        let Change { l, g, n, v } = change;
        for (which, &mode) in layout.live.iter().enumerate() {
            let decay = self.coefficients.decay[mode];
            let pull = self.coefficients.pull[mode];
            let value = |row: usize| at.state[row * s + mode];
            for i in 0..k {
                for a in 0..m {
                    let forgotten: f64 = (0..k).map(|j| l[i * k + j] * value(j * m + a)).sum();
                    let taught: f64 = (0..m)
                        .map(|b| g[i * m + b] * self.pulled_teacher[(b * m + a) * s + mode])
                        .sum();
                    out[layout.at(i * m + a, which)] = lr * (taught - decay * forgotten);
                }
                for j in i..k {
                    let forgotten: f64 = (0..k)
                        .map(|x| {
                            l[i * k + x] * value(k * m + triangle(k, x, j))
                                + l[j * k + x] * value(k * m + triangle(k, i, x))
                        })
                        .sum();
                    let taught: f64 = (0..m)
                        .map(|b| g[i * m + b] * value(j * m + b) + g[j * m + b] * value(i * m + b))
                        .sum();
                    out[layout.at(k * m + triangle(k, i, j), which)] = lr
                        * (pull * taught - decay * forgotten)
                        + lr * lr * self.coefficients.diffusion[mode] * n[i * k + j];
                }
            }
        }
        if layout.learns {
            for (unit, x) in v.iter().enumerate() {
                out[layout.output(unit)] = *x;
            }
        }
    }

    /// cov(X_s, z) of every mode with weight, ((K + M) rows of K + M) each.
    #[expect(
        clippy::indexing_slicing,
        reason = "live modes are places of coefficients and states; a state has K M rows of r and K(K + 1)/2 of sigma"
    )]
    fn fields_of_modes(&self, at: &Instant, layout: &Layout) -> Vec<f64> {
        let (k, m, s) = (self.committee.k, self.committee.m, self.modes());
        let n = k + m;
        let mut all = vec![0.0; layout.live.len() * n * n];
        for (&mode, block) in layout.live.iter().zip(all.chunks_exact_mut(n * n)) {
            let decay = self.coefficients.decay[mode];
            for (x, row) in block.chunks_exact_mut(n).enumerate() {
                for (y, out) in row.iter_mut().enumerate() {
                    *out = match (x < k, y < k) {
                        (true, true) => decay * at.state[(k * m + triangle(k, x, y)) * s + mode],
                        (true, false) => {
                            self.coefficients.pull[mode] * at.state[(x * m + y - k) * s + mode]
                        }
                        (false, true) => decay * at.state[(y * m + x - k) * s + mode],
                        (false, false) => self.pulled_teacher[((x - k) * m + y - k) * s + mode],
                    };
                }
                whiten(&at.root, n, row);
            }
        }
        all
    }

    /// Fields of a mode that a step multiplies for one row of the state: (student k of F_k, field of X), once or twice.
    fn factors(&self, row: usize) -> ([(usize, usize); 2], usize) {
        let (k, m) = (self.committee.k, self.committee.m);
        if row < k * m {
            return ([(row / m, k + row % m), (0, 0)], 1);
        }
        let (i, j) = triangle_entry(k, row - k * m);
        ([(i, j), (j, i)], 2)
    }

    /// Psi with h = Psi phi + (what the fields of the modes have of their own), row-major (size, parts).
    #[expect(
        clippy::indexing_slicing,
        reason = "rows and parts are counted by the layout and the moments; `fields` are those of `fields_of_modes`, (K + M) rows of K + M for each live mode"
    )]
    fn loadings(&self, at: &Instant, layout: &Layout, fields: &[f64]) -> Vec<f64> {
        let (k, m) = (self.committee.k, self.committee.m);
        let n = k + m;
        let parts = at.moments.parts();
        let mut out = vec![0.0; layout.size() * parts];
        for row in 0..layout.rows {
            let (factors, count) = self.factors(row);
            for (which, &mode) in layout.live.iter().enumerate() {
                let target = &mut out[layout.at(row, which) * parts..][..parts];
                for &(unit, field) in &factors[..count] {
                    let source = &fields[(which * n + field) * n..][..n];
                    for (t, x) in target[unit * n..(unit + 1) * n].iter_mut().zip(source) {
                        *t -= self.rates.lr * x;
                    }
                }
                if row >= k * m {
                    target[at.moments.linear + row - k * m] =
                        self.rates.lr * self.rates.lr * self.coefficients.diffusion[mode];
                }
            }
        }
        if layout.learns {
            for unit in 0..k {
                out[layout.output(unit) * parts + k * n + unit] = -self.rates.lr_v;
            }
        }
        out
    }

    /// E h less the weight decay; equal to the velocity of the modes.
    pub(super) fn mean_step(&self, at: &Instant, layout: &Layout) -> Vec<f64> {
        let parts = at.moments.parts();
        let fields = self.fields_of_modes(at, layout);
        let batch = self.rates.batch as f64;
        self.loadings(at, layout, &fields)
            .chunks_exact(parts)
            .map(|row| {
                row.iter()
                    .zip(&at.moments.mean)
                    .enumerate()
                    .map(|(part, (x, mean))| {
                        x * mean / if part < at.moments.linear { 1.0 } else { batch }
                    })
                    .sum()
            })
            .collect()
    }

    /// D.
    #[expect(
        clippy::indexing_slicing,
        reason = "live modes are places of coefficients and states; loadings, covariance and fields have the sizes that they are read with"
    )]
    pub(super) fn diffusion(&self, at: &Instant, layout: &Layout) -> Mat<f64> {
        let (k, m, s) = (self.committee.k, self.committee.m, self.modes());
        let n = k + m;
        let (size, parts) = (layout.size(), at.moments.parts());
        let batch = self.rates.batch as f64;
        let fields = self.fields_of_modes(at, layout);
        let loadings = self.loadings(at, layout, &fields);
        let psi = Mat::from_fn(size, parts, |i, j| loadings[i * parts + j]);
        let covariance = Mat::from_fn(parts, parts, |i, j| at.moments.covariance[i * parts + j]);
        let mut matrix = &psi * &covariance * psi.transpose();
        // What the fields of the modes have of their own: cov(X_s, X_s') less what z tells of them.
        let count = layout.live.len();
        let known = Mat::from_fn(count * n, n, |i, j| fields[i * n + j]);
        let mut own = &known * known.transpose() * -1.0;
        for (which, &mode) in layout.live.iter().enumerate() {
            let scale = self.coefficients.diffusion[mode] / self.coefficients.in_r[mode];
            let pull = self.coefficients.pull[mode];
            for x in 0..n {
                for y in 0..n {
                    let value = match (x < k, y < k) {
                        (true, true) => at.state[(k * m + triangle(k, x, y)) * s + mode],
                        (true, false) => at.state[(x * m + y - k) * s + mode],
                        (false, true) => at.state[(y * m + x - k) * s + mode],
                        (false, false) => {
                            self.pulled_teacher[((x - k) * m + y - k) * s + mode] / pull
                        }
                    };
                    own[(which * n + x, which * n + y)] += scale * value;
                }
            }
        }
        for row in 0..layout.rows {
            let (left, lefts) = self.factors(row);
            for column in 0..layout.rows {
                let (right, rights) = self.factors(column);
                for &(unit, field) in &left[..lefts] {
                    for &(other, beside) in &right[..rights] {
                        let weight =
                            self.rates.lr * self.rates.lr * at.moments.squared(k, unit, other);
                        for a in 0..count {
                            for b in 0..count {
                                matrix[(layout.at(row, a), layout.at(column, b))] +=
                                    weight * own[(a * n + field, b * n + beside)];
                            }
                        }
                    }
                }
            }
        }
        matrix * faer::Scale(1.0 / batch)
    }

    /// (R, triangle of Q, v) as a linear map of the deviations, (overlaps, size).
    #[expect(
        clippy::indexing_slicing,
        reason = "live modes are places of coefficients and states"
    )]
    pub(super) fn overlap_map(&self, layout: &Layout) -> Mat<f64> {
        let km = self.committee.k * self.committee.m;
        let mut map = Mat::<f64>::zeros(layout.overlaps(), layout.size());
        for row in 0..layout.rows {
            let weights = if row < km {
                &self.coefficients.in_r
            } else {
                &self.coefficients.in_q
            };
            for (which, &mode) in layout.live.iter().enumerate() {
                map[(row, layout.at(row, which))] = weights[mode];
            }
        }
        if layout.learns {
            for unit in 0..self.committee.k {
                map[(layout.rows + unit, layout.output(unit))] = 1.0;
            }
        }
        map
    }

    /// The rate at which the overlaps move, if every mode moves as its share of them: largest row sum of |J| so reduced.
    #[expect(
        clippy::indexing_slicing,
        reason = "live modes are places of coefficients and states; a state has K M rows of r and K(K + 1)/2 of sigma, and the teacher M M"
    )]
    pub(super) fn rate(
        &self,
        answer: &Mat<f64>,
        map: &Mat<f64>,
        at: &Instant,
        layout: &Layout,
    ) -> f64 {
        let (k, m, s) = (self.committee.k, self.committee.m, self.modes());
        let share = |mode: usize, overlap: bool| -> f64 {
            if overlap {
                (0..m)
                    .map(|a| self.pulled_teacher[(a * m + a) * s + mode])
                    .sum()
            } else {
                (0..k)
                    .map(|i| at.state[(k * m + triangle(k, i, i)) * s + mode])
                    .sum()
            }
        };
        let mut spread = Mat::<f64>::zeros(layout.size(), layout.overlaps());
        for row in 0..layout.rows {
            let overlap = row < k * m;
            let total: f64 = layout
                .live
                .iter()
                .enumerate()
                .map(|(which, &mode)| map[(row, layout.at(row, which))] * share(mode, overlap))
                .sum();
            for (which, &mode) in layout.live.iter().enumerate() {
                if total > 0.0 {
                    spread[(layout.at(row, which), row)] = share(mode, overlap) / total;
                }
            }
        }
        if layout.learns {
            for unit in 0..k {
                spread[(layout.output(unit), layout.rows + unit)] = 1.0;
            }
        }
        let reduced = map * (answer * spread);
        (0..layout.overlaps())
            .map(|i| {
                (0..layout.overlaps())
                    .map(|j| reduced[(i, j)].abs())
                    .sum::<f64>()
            })
            .fold(0.0, f64::max)
    }
}
