//! One-pass stochastic gradient descent of a two-layer student on a stream of samples.
//!
//! HMM paper, section II: loss ½Δ², Δ = φ(x) - y, φ(x) = Σ_k v_k g(λ_k), λ = w x/√N;
//! ```text
//! w_k <- w_k - (η/√N) v_k Δ g'(λ_k) x - (κ/N) w_k
//! v_k <- v_k - (η_v/N) Δ g(λ_k)       - (κ/N) v_k   (second layer trained)
//! ```
//! both from the old weights; time t = steps / N. Mini-batches average the gradient.
//!
//! The stepper makes the next blocks of data while it learns from the present ones. What a step
//! does depends on its number only, never on how steps are grouped into calls or threads.

mod step;

use crate::fields::{FieldMoments, Teacher, gram, squared_error, weighted_values};
use crate::source::{LABEL_NOISE_UNIT, Source};
use crate::unit::Unit;
use hmm_core::random::{Purpose, Seed, Stream, fill_normal};
use hmm_core::{Aligned, Cancel, Error, Real, Result};
use rayon::prelude::*;
use std::sync::Arc;

/// Test inputs are kept in memory up to this many bytes and made again at each test beyond it.
const TEST_CACHE_BYTES: usize = 96 << 20;

/// Bytes one of the two training buffers aims at, and never exceeds by more than a block.
const GROUP_BYTES: usize = 32 << 20;

/// Learning rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// η, rate of the first layer.
    pub lr: f64,
    /// η_v, rate of the second layer; ignored unless it is trained.
    pub lr_v: f64,
    /// Whether the second layer is trained.
    pub train_second_layer: bool,
    /// σ, standard deviation of the noise on training labels.
    pub noise: f64,
    /// κ, weight decay.
    pub weight_decay: f64,
    /// Samples a step.
    pub batch: usize,
}

/// A two-layer student φ(x) = Σ_k v_k g(w_k.x/√N).
#[derive(Debug, Clone)]
pub struct Student<T: Real> {
    /// w, row-major K x N.
    pub w: Aligned<T>,
    /// v, K entries.
    pub v: Vec<T>,
    /// g
    pub unit: Unit,
}

/// What is measured at one time. Matrices are row-major.
#[derive(Debug, Clone)]
pub struct Observation {
    /// Steps done.
    pub step: u64,
    /// ε_g on the test set.
    pub error: f64,
    /// ε_g from the order parameters; not-a-number for ±1 labels.
    pub error_analytic: f64,
    /// Q (K x K)
    pub q: Vec<f64>,
    /// R (K x M)
    pub r: Vec<f64>,
    /// T (M x M)
    pub t: Vec<f64>,
    /// W = w wᵀ/N (K x K)
    pub w: Vec<f64>,
    /// Σ = S Sᵀ/D (K x K); not-a-number where inputs have no linear features.
    pub sigma: Vec<f64>,
    /// v (K)
    pub v: Vec<f64>,
}

/// Consecutive training blocks with their labels.
struct Group<T> {
    first_block: u64,
    blocks: usize,
    inputs: Aligned<T>,
    latents: Vec<T>,
    labels: Vec<T>,
}

impl<T: Real> Group<T> {
    const fn empty() -> Self {
        Self {
            first_block: 0,
            blocks: 0,
            inputs: Aligned::empty(),
            latents: Vec::new(),
            labels: Vec::new(),
        }
    }

    fn holds(&self, block: u64) -> bool {
        block >= self.first_block && block < self.first_block + self.blocks as u64
    }
}

/// Test samples kept in memory: inputs (block after block) and noiseless labels.
struct TestCache<T> {
    inputs: Vec<T>,
    labels: Vec<f64>,
    teacher_fields: Vec<f64>,
}

/// State of a run of one-pass SGD.
pub struct OnlineSgd<T: Real> {
    source: Arc<dyn Source<T>>,
    /// b and ζ of the inputs, for order parameters from weights.
    moments: Option<FieldMoments>,
    teacher: Teacher<T>,
    student: Student<T>,
    rule: Rule,
    test_size: usize,
    samples: Stream,
    tests: Stream,
    step: u64,
    front: Group<T>,
    back: Group<T>,
    gradient: Vec<T>,
    cache: Option<TestCache<T>>,
}

impl<T: Real> OnlineSgd<T> {
    /// A run that has not taken a step yet.
    ///
    /// `moments` are those of a hidden manifold; without them order parameters are averages over
    /// the test set.
    pub fn new(
        source: Arc<dyn Source<T>>,
        moments: Option<FieldMoments>,
        teacher: Teacher<T>,
        student: Student<T>,
        rule: Rule,
        test_size: usize,
        seed: &Seed,
    ) -> Self {
        Self {
            source,
            moments,
            teacher,
            student,
            rule,
            test_size,
            samples: Stream::new(seed, Purpose::Sample),
            tests: Stream::new(seed, Purpose::Test),
            step: 0,
            front: Group::empty(),
            back: Group::empty(),
            gradient: Vec::new(),
            cache: None,
        }
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The student as it is now.
    pub fn student(&self) -> &Student<T> {
        &self.student
    }

    /// Put the run into a state it was in before: weights and number of steps are all there is.
    pub fn restore(&mut self, w: &[T], v: &[T], step: u64) -> Result<()> {
        if w.len() != self.student.w.len() || v.len() != self.student.v.len() {
            return Err(Error::shape(
                "student",
                &[v.len(), w.len() / v.len().max(1)],
                format!(
                    "the run has K = {}, N = {}",
                    self.student.v.len(),
                    self.source.inputs()
                ),
                "restore the state of the same run",
            ));
        }
        self.student.w = Aligned::copied_from(w);
        self.student.v = v.to_vec();
        self.step = step;
        Ok(())
    }

    /// Bytes a run needs beside F: training buffers, test set or its working memory.
    pub fn memory_estimate(source: &dyn Source<T>, test_size: usize, threads: usize) -> usize {
        let size = size_of::<T>();
        let row = (source.inputs() + source.latents() + 1) * size;
        let block = source.block_rows() * row;
        let test = test_size * source.inputs() * size;
        let test = if test <= TEST_CACHE_BYTES {
            test
        } else {
            threads * block
        };
        2 * group_blocks(source, threads) * block + test
    }

    /// Take `steps` steps. On an error the state is that after the last whole step.
    pub fn advance(&mut self, steps: u64, cancel: &Cancel) -> Result<()> {
        let batch = self.rule.batch as u64;
        let size = self.source.block_rows() as u64;
        let end = self.step + steps;
        while self.step < end {
            cancel.check()?;
            let first_sample = self.step * batch;
            self.bring_forward(first_sample / size, cancel)?;
            if batch > 1 {
                self.batch_step(cancel)?;
                continue;
            }
            // Learn from the front group and make the next one at the same time.
            let group_end = (self.front.first_block + self.front.blocks as u64) * size;
            let stop = group_end.min(end);
            let offset = (first_sample - self.front.first_block * size) as usize;
            let count = (stop - first_sample) as usize;
            let n = self.source.inputs();
            let inputs = &self.front.inputs[offset * n..(offset + count) * n];
            let labels = &self.front.labels[offset..offset + count];
            let next_block = self.front.first_block + self.front.blocks as u64;
            let wanted = stop == group_end && end > stop && !self.back.holds(next_block);
            let (student, rule) = (&mut self.student, &self.rule);
            let maker = Maker {
                source: &*self.source,
                teacher: &self.teacher,
                stream: &self.samples,
                noise: self.rule.noise,
            };
            let back = &mut self.back;
            let (learnt, made) = rayon::join(
                || step::learn(student, rule, n, inputs, labels),
                || {
                    if wanted {
                        maker.make(back, next_block, cancel)
                    } else {
                        Ok(())
                    }
                },
            );
            let (done, outcome) = learnt;
            self.step += done;
            outcome.map_err(|delta| self.divergence(delta))?;
            if made.is_err() {
                self.back.blocks = 0;
            }
            made?;
        }
        Ok(())
    }

    /// Make the group with `block` the front group.
    fn bring_forward(&mut self, block: u64, cancel: &Cancel) -> Result<()> {
        if self.front.holds(block) {
            return Ok(());
        }
        if self.back.holds(block) {
            std::mem::swap(&mut self.front, &mut self.back);
            return Ok(());
        }
        let maker = Maker {
            source: &*self.source,
            teacher: &self.teacher,
            stream: &self.samples,
            noise: self.rule.noise,
        };
        let made = maker.make(&mut self.front, block, cancel);
        if made.is_err() {
            self.front.blocks = 0;
        }
        made
    }

    /// One step on a mini-batch: its gradient is summed block by block in sample order.
    fn batch_step(&mut self, cancel: &Cancel) -> Result<()> {
        let (n, size) = (self.source.inputs(), self.source.block_rows() as u64);
        let mut sums =
            step::BatchGradient::start(&self.student, std::mem::take(&mut self.gradient));
        let mut sample = self.step * self.rule.batch as u64;
        let end = sample + self.rule.batch as u64;
        while sample < end {
            let block = sample / size;
            self.bring_forward(block, cancel)?;
            let stop = end.min((block + 1) * size);
            let offset = (sample - self.front.first_block * size) as usize;
            let count = (stop - sample) as usize;
            sums.add(
                &self.student,
                n,
                &self.front.inputs[offset * n..(offset + count) * n],
                &self.front.labels[offset..offset + count],
            )
            .map_err(|delta| self.divergence(delta))?;
            sample = stop;
        }
        self.gradient = sums.apply(&mut self.student, &self.rule, n);
        self.step += 1;
        Ok(())
    }

    fn divergence(&self, delta: f64) -> Error {
        Error::Divergence(format!(
            "the student's error grew to {delta:e} at step {} (t = {:.6}): lr = {} is too large; \
             lower the learning rate (the partial result is in .result)",
            self.step,
            self.step as f64 / self.source.inputs() as f64,
            self.rule.lr,
        ))
    }

    /// Measure the student as it is now.
    pub fn observe(&mut self, cancel: &Cancel) -> Result<Observation> {
        let units = self.student.v.len();
        let (n, d) = (self.source.inputs(), self.source.latents());
        let w: Vec<f64> = self.student.w.iter().map(|x| x.to_f64()).collect();
        let v: Vec<f64> = self.student.v.iter().map(|x| x.to_f64()).collect();
        let test = self.test(cancel)?;
        let overlap = gram(&w, &w, n, 1.0 / n as f64);
        let projected = self.source.project(&w, units);
        let sigma = projected.as_ref().map_or_else(
            || vec![f64::NAN; units * units],
            |s| gram(s, s, d, 1.0 / d as f64),
        );
        let (q, r, t) = match (&self.moments, &projected) {
            (Some(moments), Some(s)) => {
                let q = moments.student_overlap(&overlap, &sigma);
                let (r, t) = self.teacher.overlaps(&*self.source, moments, &w, s);
                (q, r, t)
            }
            _ => (test.q, test.r, test.t),
        };
        let error_analytic = if self.teacher.classify {
            f64::NAN // ±1 labels are no sum of units of Gaussian fields.
        } else {
            squared_error(
                &q,
                &r,
                &t,
                &v,
                &self.teacher.v,
                self.student.unit,
                self.teacher.unit,
            )
        };
        Ok(Observation {
            step: self.step,
            error: test.error,
            error_analytic,
            q,
            r,
            t,
            w: overlap,
            sigma,
            v,
        })
    }

    /// Averages over the test set, block by block in block order.
    fn test(&mut self, cancel: &Cancel) -> Result<TestAverages> {
        let (n, d, size) = (
            self.source.inputs(),
            self.source.latents(),
            self.source.block_rows(),
        );
        let teachers = self.teacher.v.len();
        let blocks = self.test_size.div_ceil(size);
        let cached = blocks * size * n * size_of::<T>() <= TEST_CACHE_BYTES;
        if cached && self.cache.is_none() {
            let mut inputs = vec![T::ZERO; blocks * size * n];
            let mut labels = vec![0.0; blocks * size];
            let mut teacher_fields = vec![0.0; blocks * size * teachers];
            inputs
                .par_chunks_mut(size * n)
                .zip(labels.par_chunks_mut(size))
                .zip(teacher_fields.par_chunks_mut(size * teachers))
                .enumerate()
                .try_for_each(|(block, ((x, y), nu))| {
                    cancel.check()?;
                    let mut c = vec![T::ZERO; size * d];
                    self.source.fill(&self.tests, block as u64, &mut c, x)?;
                    self.teacher.fields(x, &c, nu);
                    self.teacher.labels(nu, y);
                    Ok::<(), Error>(())
                })?;
            self.cache = Some(TestCache {
                inputs,
                labels,
                teacher_fields,
            });
        }
        let this = &*self;
        let mut averages = hmm_core::parallel::sum_chunks(
            blocks,
            TestAverages::zero(this.student.v.len(), teachers),
            |block| {
                cancel.check()?;
                let count = size.min(this.test_size - block * size);
                if let Some(cache) = &this.cache {
                    return Ok(TestAverages::of_block(
                        &this.student,
                        n,
                        &cache.inputs[block * size * n..(block * size + count) * n],
                        &cache.labels[block * size..block * size + count],
                        &cache.teacher_fields
                            [block * size * teachers..(block * size + count) * teachers],
                    ));
                }
                let mut x = vec![T::ZERO; size * n];
                let mut c = vec![T::ZERO; size * d];
                let mut nu = vec![0.0; size * teachers];
                let mut y = vec![0.0; size];
                this.source
                    .fill(&this.tests, block as u64, &mut c, &mut x)?;
                this.teacher.fields(&x, &c, &mut nu);
                this.teacher.labels(&nu, &mut y);
                Ok(TestAverages::of_block(
                    &this.student,
                    n,
                    &x[..count * n],
                    &y[..count],
                    &nu[..count * teachers],
                ))
            },
            TestAverages::add,
        )?;
        averages.scale(1.0 / self.test_size as f64);
        Ok(averages)
    }
}

/// What it takes to make training blocks.
struct Maker<'a, T> {
    source: &'a dyn Source<T>,
    teacher: &'a Teacher<T>,
    stream: &'a Stream,
    noise: f64,
}

impl<T: Real> Maker<'_, T> {
    /// Fill `group` with blocks from `first_block` on, in parallel.
    fn make(&self, group: &mut Group<T>, first_block: u64, cancel: &Cancel) -> Result<()> {
        let (n, d, size) = (
            self.source.inputs(),
            self.source.latents(),
            self.source.block_rows(),
        );
        let blocks = group_blocks(self.source, rayon::current_num_threads());
        group.inputs.reset_len(blocks * size * n);
        group.latents.resize(blocks * size * d, T::ZERO);
        group.labels.resize(blocks * size, T::ZERO);
        group.first_block = first_block;
        group.blocks = blocks;
        group
            .inputs
            .par_chunks_mut(size * n)
            .zip(group.latents.par_chunks_mut(size * d))
            .zip(group.labels.par_chunks_mut(size))
            .enumerate()
            .try_for_each(|(i, ((x, c), y))| {
                cancel.check()?;
                self.block(first_block + i as u64, x, c, y)
            })
    }

    /// Inputs, latents and (noisy) labels of one block.
    fn block(&self, block: u64, x: &mut [T], c: &mut [T], y: &mut [T]) -> Result<()> {
        self.source.fill(self.stream, block, c, x)?;
        let mut nu = vec![0.0; y.len() * self.teacher.v.len()];
        let mut clean = vec![0.0; y.len()];
        self.teacher.fields(x, c, &mut nu);
        self.teacher.labels(&nu, &mut clean);
        if self.noise > 0.0 {
            let mut xi = vec![0.0; y.len()];
            fill_normal(&mut self.stream.generator(LABEL_NOISE_UNIT, block), &mut xi);
            for (label, xi) in clean.iter_mut().zip(xi) {
                *label += self.noise * xi;
            }
        }
        for (label, clean) in y.iter_mut().zip(clean) {
            *label = T::from_f64(clean);
        }
        Ok(())
    }
}

/// Blocks in a training group: enough for every thread, within the buffer's size. Grouping never
/// changes a result.
fn group_blocks<T: Real>(source: &dyn Source<T>, threads: usize) -> usize {
    let block = source.block_rows() * source.inputs() * size_of::<T>();
    (4 * threads).min(GROUP_BYTES / block.max(1)).max(1)
}

/// Averages over test samples.
struct TestAverages {
    error: f64,
    q: Vec<f64>,
    r: Vec<f64>,
    t: Vec<f64>,
}

impl TestAverages {
    fn zero(students: usize, teachers: usize) -> Self {
        Self {
            error: 0.0,
            q: vec![0.0; students * students],
            r: vec![0.0; students * teachers],
            t: vec![0.0; teachers * teachers],
        }
    }

    /// Sums over one block: ½Δ², λλᵀ, λνᵀ, ννᵀ.
    fn of_block<T: Real>(student: &Student<T>, n: usize, x: &[T], y: &[f64], nu: &[f64]) -> Self {
        let students = student.v.len();
        let teachers = nu.len() / y.len();
        let lambda: Vec<f64> = step::local_fields(student, n, x)
            .into_iter()
            .map(Real::to_f64)
            .collect();
        let v: Vec<f64> = student.v.iter().map(|v| v.to_f64()).collect();
        let mut outputs = vec![0.0; y.len()];
        weighted_values(student.unit, &v, &lambda, &mut outputs);
        let mut sums = Self::zero(students, teachers);
        for (((lambda, nu), output), y) in lambda
            .chunks_exact(students)
            .zip(nu.chunks_exact(teachers))
            .zip(&outputs)
            .zip(y)
        {
            sums.error += 0.5 * (output - y).powi(2);
            outer_add(&mut sums.q, lambda, lambda);
            outer_add(&mut sums.r, lambda, nu);
            outer_add(&mut sums.t, nu, nu);
        }
        sums
    }

    #[allow(clippy::needless_pass_by_value)] // the shape `sum_chunks` asks for
    fn add(&mut self, other: Self) {
        self.error += other.error;
        for (mine, its) in [
            (&mut self.q, &other.q),
            (&mut self.r, &other.r),
            (&mut self.t, &other.t),
        ] {
            for (a, b) in mine.iter_mut().zip(its) {
                *a += b;
            }
        }
    }

    fn scale(&mut self, factor: f64) {
        self.error *= factor;
        for x in self.q.iter_mut().chain(&mut self.r).chain(&mut self.t) {
            *x *= factor;
        }
    }
}

/// sums += a bᵀ
fn outer_add(sums: &mut [f64], a: &[f64], b: &[f64]) {
    for (row, x) in sums.chunks_exact_mut(b.len()).zip(a) {
        for (sum, y) in row.iter_mut().zip(b) {
            *sum += x * y;
        }
    }
}
