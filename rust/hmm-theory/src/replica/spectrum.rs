//! The numbers of a learning problem that enter the theory, and the sums over its eigenvalues.

use hmm_core::decompositions::symmetric_eigen;
use hmm_core::memory::{bytes_of, filled, require};
use hmm_core::special::vectorised;
use hmm_core::{Cancel, Error, Result};
use ndarray::{Array1, ArrayView1, ArrayView2};

/// Eigenvalues below this fraction of the largest are zero: rounding of an eigendecomposition and the
/// bias of a Monte Carlo covariance do not reach lower.
const CLIP: f64 = 1e-12;
/// Relative violation of `rho_lin <= rho`, or of positivity, that rounding explains.
const TOLERANCE: f64 = 1e-8;
/// Nodes between two looks at the cancel flag.
const LOOK: usize = 1 << 16;
/// Lanes of the sums over eigenvalues: the width of the widest vector registers in doubles.
const LANES: usize = 8;
/// Atoms whose terms are written before they are added up: a multiple of the lanes that stays in the nearest cache.
const BLOCK: usize = 64;

/// Eigenvalues of the feature covariance with the teacher seen through them.
///
/// An atom `j` stands for a block of equal eigenvalues `omega_j` (dimensionless), of multiplicity
/// `p weight_j`; `t_j` is the sum over the block of `(u_i.b)^2`, `b = E[nu v]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    omega: Vec<f64>,
    weight: Vec<f64>,
    t: Vec<f64>,
    rho: f64,
    /// What every point of a curve asks for.
    totals: Totals,
}

/// Numbers of the whole spectrum.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Totals {
    largest: f64,
    mean: f64,
    rank: f64,
    linear: f64,
}

/// The conjugate parameters `(V_hat, q_hat, m_hat)`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Conjugates {
    /// `V_hat`.
    pub v_hat: f64,
    /// `q_hat`.
    pub q_hat: f64,
    /// `m_hat`.
    pub m_hat: f64,
}

/// The order parameters `(V, q, m)` and the norm of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Overlaps {
    /// Variance `V` of a preactivation over the Gibbs measure.
    pub v: f64,
    /// Variance `q = w.Omega w / p` of the preactivation.
    pub q: f64,
    /// Covariance `m` of preactivation and teacher field.
    pub m: f64,
    /// `r = |w|^2 / p`.
    pub norm2: f64,
}

/// Sums over the atoms with `den_j = lam + V_hat omega_j`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sums {
    /// `sum c omega / den`.
    pub weight1: f64,
    /// `sum c omega / den^2`.
    pub norm: f64,
    /// `sum c omega^2 / den^2`.
    pub weight2: f64,
    /// `sum t / den`.
    pub teacher1: f64,
    /// `sum t / den^2`.
    pub teacher_norm: f64,
    /// `sum t omega / den^2`.
    pub teacher2: f64,
}

impl Spectrum {
    /// Atoms `(omega, weight, t)`, all of one length, and the variance `rho` of the teacher field.
    ///
    /// # Errors
    /// Lengths that differ, numbers that are not finite, negative entries, weights that do not add
    /// up to 1 within 1e-9, `rho <= 0`, a teacher component where the features have no variance, and
    /// `rho_lin = sum t/omega > rho`, which no joint covariance allows.
    pub fn new(omega: Array1<f64>, weight: Array1<f64>, t: Array1<f64>, rho: f64) -> Result<Self> {
        Self::of_atoms(omega.to_vec(), weight.to_vec(), t.to_vec(), rho)
    }

    fn of_atoms(
        mut omega: Vec<f64>,
        mut weight: Vec<f64>,
        mut t: Vec<f64>,
        rho: f64,
    ) -> Result<Self> {
        if omega.is_empty() {
            return Err(Error::shape(
                "omega",
                &[0],
                "at least one eigenvalue is needed",
                "pass the eigenvalues of the feature covariance",
            ));
        }
        for (name, values) in [("weight", &weight), ("t", &t)] {
            if values.len() != omega.len() {
                return Err(Error::shape(
                    name,
                    &[values.len()],
                    format!("must have one entry per eigenvalue, {}", omega.len()),
                    "pass arrays of equal length",
                ));
            }
        }
        let largest = omega.iter().fold(0.0, |a: f64, &b| a.max(b));
        for (name, values, size) in [
            ("omega", &mut omega, largest),
            ("weight", &mut weight, 1.0),
            ("t", &mut t, rho * largest),
        ] {
            // What rounding has put below zero is zero.
            for value in values.iter_mut() {
                if *value < 0.0 && *value >= -TOLERANCE * size {
                    *value = 0.0;
                }
            }
            if let Some(value) = values.iter().find(|x| !(x.is_finite() && **x >= 0.0)) {
                return Err(Error::invalid(
                    name,
                    value,
                    "all entries must be finite and >= 0",
                    "pass the spectrum of a positive semi-definite covariance",
                ));
            }
        }
        positive("rho", rho, "pass the variance of the teacher field")?;
        let total: f64 = weight.iter().sum();
        if (total - 1.0).abs() > 1e-9 {
            return Err(Error::invalid(
                "weight",
                format!("sum {total}"),
                "the weights (multiplicities over p) must add up to 1 within 1e-9",
                "divide them by their sum",
            ));
        }
        let mut spectrum = Self {
            omega,
            weight,
            t,
            rho,
            totals: Totals::default(),
        };
        spectrum.clip()?;
        spectrum.add_up();
        let rho_lin = spectrum.teacher_linear_part();
        if rho_lin > rho * (1.0 + TOLERANCE) {
            return Err(Error::invalid(
                "rho",
                rho,
                format!(
                    "must be at least rho_lin = sum t/omega = {rho_lin}, the part of the teacher \
                     field that is linear in the features"
                ),
                "check that Omega, b and rho belong to one joint covariance",
            ));
        }
        Ok(spectrum)
    }

    /// Set eigenvalues below the clip to zero and drop the teacher's rounding there.
    fn clip(&mut self) -> Result<()> {
        let largest = self.omega.iter().fold(0.0, |a: f64, &b| a.max(b));
        if largest == 0.0 {
            return Err(Error::invalid(
                "omega",
                0.0,
                "at least one eigenvalue must be positive",
                "pass features that vary",
            ));
        }
        for (omega, t) in self.omega.iter_mut().zip(&mut self.t) {
            if *omega <= CLIP * largest {
                // A joint covariance has t <= rho omega; what is beyond rounding is an error.
                if *t > TOLERANCE * self.rho * largest {
                    return Err(Error::invalid(
                        "t",
                        *t,
                        format!("must be 0 where omega = {omega} is 0"),
                        "check that b = E[nu v] lies in the range of Omega",
                    ));
                }
                *omega = 0.0;
                *t = 0.0;
            }
        }
        Ok(())
    }

    /// From the covariance `Omega` (p, p) of the features, `b = E[nu v]` (p) and the variance `rho`
    /// of the teacher field.
    ///
    /// The decomposition is one call of a library that cannot be stopped (1.5 s at p = 2000); an interruption
    /// leaves it to finish alone.
    ///
    /// # Errors
    /// As [`Spectrum::new`]; an `Omega` that is not square, not symmetric or not positive
    /// semi-definite within 1e-8; one that memory does not hold; an interruption.
    pub fn from_covariance(
        omega: ArrayView2<'_, f64>,
        b: ArrayView1<'_, f64>,
        rho: f64,
        cancel: &Cancel,
    ) -> Result<Self> {
        let p = omega.nrows();
        if omega.ncols() != p || b.len() != p {
            return Err(Error::shape(
                "Omega",
                &[p, omega.ncols()],
                format!(
                    "must be square with as many rows as b has entries, {}",
                    b.len()
                ),
                "pass Omega (p, p) and b (p,)",
            ));
        }
        // A copy, its eigenvectors and the workspace of the decomposition.
        require(
            bytes_of::<f64>(omega.len()).saturating_mul(4),
            "the eigenvectors of Omega",
            "use fewer features",
        )?;
        let scale = omega.diag().iter().fold(0.0, |a: f64, x| a.max(x.abs()));
        for (i, (row, column)) in omega.rows().into_iter().zip(omega.columns()).enumerate() {
            cancel.check()?;
            for (j, (x, mirrored)) in row.iter().zip(column).enumerate().take(i) {
                let gap = (x - mirrored).abs();
                if gap.is_nan() || gap > TOLERANCE * scale {
                    return Err(Error::invalid(
                        "Omega",
                        format!("Omega[{i}, {j}] - Omega[{j}, {i}] = {gap}"),
                        "must be finite and symmetric",
                        "pass (Omega + Omega.T)/2 if the difference is rounding",
                    ));
                }
            }
        }
        if let Some(value) = b.iter().find(|x| !x.is_finite()) {
            return Err(Error::invalid(
                "b",
                value,
                "must be finite",
                "remove NaN and infinity",
            ));
        }
        let (values, vectors) = symmetric_eigen(omega, cancel)?;
        let mut omega = Vec::with_capacity(p);
        let mut t = Vec::with_capacity(p);
        for (value, vector) in values.iter().zip(vectors.columns()) {
            if *value < -TOLERANCE * scale {
                return Err(Error::invalid(
                    "Omega",
                    format!("eigenvalue {value}"),
                    "must be positive semi-definite within 1e-8",
                    "pass a covariance",
                ));
            }
            let projection: f64 = vector.iter().zip(&b).map(|(u, b)| u * b).sum();
            omega.push(value.max(0.0));
            t.push(projection * projection);
        }
        Self::of_atoms(omega, vec![1.0 / p as f64; p], t, rho)
    }

    /// Random features of infinite size: `v = kappa1 F z + kappa_star noise`, `F` (p, D) i.i.d. of
    /// variance 1/D, aspect ratio `y = p/D`, teacher `theta.z / sqrt(D)` with variance `rho`.
    ///
    /// Midpoint rule in the angle of the Marchenko-Pastur law, `nodes` atoms, exact to 1e-13 even at
    /// `y = 1`.
    ///
    /// # Errors
    /// `y`, `kappa1`, `rho` that are not positive, `kappa_star < 0`, `nodes = 0`, more nodes than memory holds, an
    /// interruption.
    pub fn random_features(
        y: f64,
        kappa1: f64,
        kappa_star: f64,
        rho: f64,
        nodes: usize,
        cancel: &Cancel,
    ) -> Result<Self> {
        positive("y", y, "pass the aspect ratio p/D")?;
        positive("rho", rho, "pass the variance of the teacher field")?;
        if !(kappa1.is_finite() && kappa_star.is_finite() && kappa_star >= 0.0) || kappa1 == 0.0 {
            return Err(Error::invalid(
                "kappa",
                format!("({kappa1}, {kappa_star})"),
                "must be (kappa1, kappa_star), kappa1 != 0 and kappa_star >= 0",
                "pass the linear and the non-linear part of the activation",
            ));
        }
        if nodes == 0 {
            return Err(Error::invalid(
                "nodes",
                nodes,
                "must be at least 1",
                "pass nodes=400",
            ));
        }
        let lower = (1.0 - y.sqrt()).powi(2);
        let upper = (1.0 + y.sqrt()).powi(2);
        let centre = f64::midpoint(lower, upper);
        let half = 0.5 * (upper - lower);
        let step = std::f64::consts::PI / nodes as f64;
        // Four columns, and what Python keeps of three.
        require(
            bytes_of::<f64>(nodes).saturating_mul(7),
            "a spectrum of so many nodes",
            "pass nodes=400",
        )?;
        let column = || {
            let mut empty = filled(
                0.0,
                nodes + 1,
                "a spectrum of so many nodes",
                "pass nodes=400",
            )?;
            empty.clear();
            Ok::<Vec<f64>, Error>(empty)
        };
        let (mut omega, mut weight, mut s) = (column()?, column()?, column()?);
        for j in 0..nodes {
            if j % LOOK == 0 {
                cancel.check()?;
            }
            let angle = step * (j as f64 + 0.5);
            let value = centre + half * angle.cos();
            let sine = angle.sin() * half;
            s.push(value);
            weight.push(step * sine * sine / (std::f64::consts::TAU * y * value));
        }
        if y > 1.0 {
            s.push(0.0);
            weight.push(1.0 - 1.0 / y);
        }
        let total: f64 = weight.iter().sum();
        let mut t = column()?;
        for (s, c) in s.iter().zip(&mut weight) {
            *c /= total;
            omega.push(kappa1 * kappa1 * s + kappa_star * kappa_star);
            t.push(kappa1 * kappa1 * rho * y * s * *c);
        }
        Self::of_atoms(omega, weight, t, rho)
    }

    /// Eigenvalues of the feature covariance, (atoms).
    pub fn omega(&self) -> ArrayView1<'_, f64> {
        ArrayView1::from(self.omega.as_slice())
    }

    /// Multiplicity over p of each eigenvalue, (atoms), adding up to 1.
    pub fn weight(&self) -> ArrayView1<'_, f64> {
        ArrayView1::from(self.weight.as_slice())
    }

    /// Squared projections of `b = E[nu v]`, (atoms), summed over each atom's block.
    pub fn t(&self) -> ArrayView1<'_, f64> {
        ArrayView1::from(self.t.as_slice())
    }

    /// Variance of the teacher field.
    pub fn rho(&self) -> f64 {
        self.rho
    }

    /// The same with features divided by `features` and the teacher field by `teacher`.
    pub(crate) fn in_units(&self, features: f64, teacher: f64) -> Self {
        let divided = |values: &[f64], units: &[f64]| -> Vec<f64> {
            values
                .iter()
                .map(|value| units.iter().fold(*value, |value, unit| value / unit))
                .collect()
        };
        let mut scaled = Self {
            omega: divided(&self.omega, &[features, features]),
            weight: self.weight.clone(),
            t: divided(&self.t, &[features, teacher, features, teacher]),
            rho: self.rho / teacher / teacher,
            totals: Totals::default(),
        };
        scaled.add_up();
        scaled
    }

    /// Add up what is asked for again and again.
    fn add_up(&mut self) {
        let seen = |values: &[f64]| -> Vec<(f64, f64)> {
            let pairs = self.omega.iter().copied().zip(values.iter().copied());
            pairs.filter(|(omega, _)| *omega > 0.0).collect()
        };
        let (weights, teacher) = (seen(&self.weight), seen(&self.t));
        self.totals = Totals {
            largest: self.omega.iter().fold(0.0, |a: f64, &b| a.max(b)),
            mean: weights.iter().map(|(omega, c)| omega * c).sum(),
            // A full rank is exactly 1, whatever the rounding of the weights.
            rank: if weights.len() == self.omega.len() {
                1.0
            } else {
                weights.iter().map(|(_, c)| c).sum()
            },
            linear: teacher.iter().map(|(omega, t)| t / omega).sum(),
        };
    }

    /// The largest eigenvalue.
    pub fn largest_eigenvalue(&self) -> f64 {
        self.totals.largest
    }

    /// `rho_lin = sum t/omega`: variance of the best linear predictor of the teacher field.
    pub fn teacher_linear_part(&self) -> f64 {
        self.totals.linear
    }

    /// Rank of the covariance over p: the weight of the positive eigenvalues.
    pub fn rank_fraction(&self) -> f64 {
        self.totals.rank
    }

    /// `E |v|^2 / p = sum c omega`.
    pub fn mean_eigenvalue(&self) -> f64 {
        self.totals.mean
    }

    /// The sums of the covariate side at `den_j = lam + v_hat omega_j`.
    #[expect(
        clippy::indexing_slicing,
        reason = "a chunk holds BLOCK atoms at most, and so many terms there are"
    )]
    pub fn sums(&self, lam: f64, v_hat: f64) -> Sums {
        vectorised(
            #[inline(always)]
            || {
                let mut total = [[0.0_f64; LANES]; 6];
                let mut terms = [[0.0_f64; BLOCK]; 6];
                let blocks = self.omega.chunks(BLOCK).zip(self.weight.chunks(BLOCK));
                for ((omega, weight), t) in blocks.zip(self.t.chunks(BLOCK)) {
                    write_terms(&mut terms, omega, weight, t, lam, v_hat);
                    for (lanes, terms) in total.iter_mut().zip(&terms) {
                        let (whole, rest) = terms[..omega.len()].as_chunks::<LANES>();
                        for eight in whole {
                            for (sum, term) in lanes.iter_mut().zip(eight) {
                                *sum += term;
                            }
                        }
                        for term in rest {
                            lanes[0] += term;
                        }
                    }
                }
                let [weight1, norm, weight2, teacher1, teacher_norm, teacher2] =
                    total.map(|lanes| lanes.iter().sum());
                Sums {
                    weight1,
                    norm,
                    weight2,
                    teacher1,
                    teacher_norm,
                    teacher2,
                }
            },
        )
    }

    /// Overlaps from their conjugates: the covariate side of the fixed point.
    ///
    /// `V = sum c omega/den`, `q = q_hat sum c omega^2/den^2 + m_hat^2 sum t omega/den^2`,
    /// `m = m_hat sum t/den`, `r = q_hat sum c omega/den^2 + m_hat^2 sum t/den^2`.
    pub fn overlaps(&self, conjugates: &Conjugates, lam: f64) -> Overlaps {
        let Conjugates {
            v_hat,
            q_hat,
            m_hat,
        } = *conjugates;
        let sums = self.sums(lam, v_hat);
        Overlaps {
            v: sums.weight1,
            q: q_hat * sums.weight2 + m_hat * m_hat * sums.teacher2,
            m: m_hat * sums.teacher1,
            norm2: q_hat * sums.norm + m_hat * m_hat * sums.teacher_norm,
        }
    }
}

/// Write what a block of atoms adds to the six sums.
///
/// Written first and added up after: in one loop with the additions the compiler takes one atom after the other.
#[inline(always)]
fn write_terms(
    terms: &mut [[f64; BLOCK]; 6],
    omega: &[f64],
    weight: &[f64],
    t: &[f64],
    lam: f64,
    v_hat: f64,
) {
    let [weight1, norm, weight2, teacher1, teacher_norm, teacher2] = terms;
    let atoms = omega.iter().zip(weight).zip(t);
    let of_weights = weight1.iter_mut().zip(norm).zip(weight2);
    let of_teacher = teacher1.iter_mut().zip(teacher_norm).zip(teacher2);
    for ((((omega, weight), t), ((w1, n), w2)), ((t1, tn), t2)) in
        atoms.zip(of_weights).zip(of_teacher)
    {
        let inverse = 1.0 / (lam + v_hat * omega);
        let c = weight * omega * inverse;
        let teacher = t * inverse;
        *w1 = c;
        *n = c * inverse;
        *w2 = c * inverse * omega;
        *t1 = teacher;
        *tn = teacher * inverse;
        *t2 = teacher * inverse * omega;
    }
}

/// `value` is finite and positive, or the documented error.
pub(crate) fn positive(argument: &'static str, value: f64, remedy: &str) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(Error::invalid(
            argument,
            value,
            "must be finite and > 0",
            remedy,
        ))
    }
}
