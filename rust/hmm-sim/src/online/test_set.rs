//! Averages over the test set.

use super::Student;
use super::step::local_fields;
use crate::fields::{Teacher, weighted_values};
use crate::source::Source;
use hmm_core::random::Stream;
use hmm_core::{Cancel, Error, Real, Result};
use rayon::prelude::*;

/// Test inputs are kept in memory up to this many bytes and made again at each test beyond it.
pub(super) const TEST_CACHE_BYTES: usize = 96 << 20;

/// Test samples kept in memory: inputs (block after block) and noiseless labels.
struct TestCache<T> {
    inputs: Vec<T>,
    labels: Vec<f64>,
    teacher_fields: Vec<f64>,
}

/// The test set of a run: made at first use, block by block.
pub(super) struct TestSet<T> {
    stream: Stream,
    size: usize,
    cache: Option<TestCache<T>>,
}

impl<T: Real> TestSet<T> {
    /// `size` samples of `stream`.
    pub(super) const fn new(stream: Stream, size: usize) -> Self {
        Self {
            stream,
            size,
            cache: None,
        }
    }

    /// Averages of every student block by block in block order: ½Δ², and with `overlaps` those of the fields' products.
    #[expect(
        clippy::indexing_slicing,
        reason = "blocks end with the test set; buffers have room for a whole block, the cache for all of them"
    )]
    pub(super) fn averages(
        &mut self,
        source: &dyn Source<T>,
        teacher: &Teacher<T>,
        students: &[&Student<T>],
        overlaps: bool,
        cancel: &Cancel,
    ) -> Result<Vec<TestAverages>> {
        let (n, d, size) = (source.inputs(), source.latents(), source.block_rows());
        let teachers = teacher.v.len();
        let blocks = self.size.div_ceil(size);
        let bytes = (blocks * size)
            .saturating_mul(n)
            .saturating_mul(size_of::<T>());
        if bytes <= TEST_CACHE_BYTES && self.cache.is_none() {
            self.cache = Some(self.cached(source, teacher, cancel)?);
        }
        let this = &*self;
        let zero = || -> Vec<TestAverages> {
            students
                .iter()
                .map(|student| TestAverages::zero(student.units(), teachers, overlaps))
                .collect()
        };
        let mut averages = hmm_core::parallel::sum_chunks(
            blocks,
            zero(),
            |block| {
                cancel.check()?;
                let count = size.min(this.size - block * size);
                let mut sums = zero();
                let mut add = |x: &[T], y: &[f64], nu: &[f64]| {
                    let mut each = sums.iter_mut().zip(students);
                    each.try_for_each(|(sums, student)| sums.add_block(student, x, y, nu, cancel))
                };
                if let Some(cache) = &this.cache {
                    let from = block * size;
                    add(
                        &cache.inputs[from * n..(from + count) * n],
                        &cache.labels[from..from + count],
                        &cache.teacher_fields[from * teachers..(from + count) * teachers],
                    )?;
                    return Ok(sums);
                }
                let mut x = vec![T::ZERO; size * n];
                let mut c = vec![T::ZERO; size * d];
                let mut nu = vec![0.0; size * teachers];
                let mut y = vec![0.0; size];
                source.fill(&this.stream, block as u64, &mut c, &mut x)?;
                teacher.fields(&x, &c, &mut nu)?;
                teacher.labels(&nu, &mut y)?;
                add(&x[..count * n], &y[..count], &nu[..count * teachers])?;
                Ok(sums)
            },
            |sums, parts| {
                for (sum, part) in sums.iter_mut().zip(parts) {
                    sum.add(part);
                }
            },
        )?;
        for average in &mut averages {
            average.scale(1.0 / self.size as f64);
        }
        Ok(averages)
    }

    /// All blocks, made side by side.
    fn cached(
        &self,
        source: &dyn Source<T>,
        teacher: &Teacher<T>,
        cancel: &Cancel,
    ) -> Result<TestCache<T>> {
        let (n, d, size) = (source.inputs(), source.latents(), source.block_rows());
        let (teachers, rows) = (teacher.v.len(), self.size.div_ceil(size) * size);
        let mut inputs = vec![T::ZERO; rows * n];
        let mut labels = vec![0.0; rows];
        let mut teacher_fields = vec![0.0; rows * teachers];
        inputs
            .par_chunks_mut(size * n)
            .zip(labels.par_chunks_mut(size))
            .zip(teacher_fields.par_chunks_mut(size * teachers))
            .enumerate()
            .try_for_each(|(block, ((x, y), nu))| {
                cancel.check()?;
                let mut c = vec![T::ZERO; size * d];
                source.fill(&self.stream, block as u64, &mut c, x)?;
                teacher.fields(x, &c, nu)?;
                teacher.labels(nu, y)?;
                Ok::<(), Error>(())
            })?;
        Ok(TestCache {
            inputs,
            labels,
            teacher_fields,
        })
    }
}

/// Averages over test samples; the overlaps are empty where nobody asks for them.
pub(super) struct TestAverages {
    pub(super) error: f64,
    pub(super) q: Vec<f64>,
    pub(super) r: Vec<f64>,
    pub(super) t: Vec<f64>,
}

impl TestAverages {
    fn zero(students: usize, teachers: usize, overlaps: bool) -> Self {
        let sums = |count: usize| vec![0.0; if overlaps { count } else { 0 }];
        Self {
            error: 0.0,
            q: sums(students * students),
            r: sums(students * teachers),
            t: sums(teachers * teachers),
        }
    }

    /// Add one block: ½Δ², λλᵀ, λνᵀ, ννᵀ.
    fn add_block<T: Real>(
        &mut self,
        student: &Student<T>,
        x: &[T],
        y: &[f64],
        nu: &[f64],
        cancel: &Cancel,
    ) -> Result<()> {
        let students = student.units();
        let teachers = nu.len() / y.len();
        let lambda: Vec<f64> = local_fields(student, x)
            .into_iter()
            .map(Real::to_f64)
            .collect();
        let mut outputs = vec![0.0; y.len()];
        weighted_values(
            student.unit,
            &student.wide_second_layer(),
            &lambda,
            &mut outputs,
        );
        for (((lambda, nu), output), y) in lambda
            .chunks_exact(students)
            .zip(nu.chunks_exact(teachers))
            .zip(&outputs)
            .zip(y)
        {
            self.error += 0.5 * (output - y).powi(2);
            if !self.q.is_empty() {
                cancel.check()?;
                outer_add(&mut self.q, lambda, lambda);
                outer_add(&mut self.r, lambda, nu);
                outer_add(&mut self.t, nu, nu);
            }
        }
        Ok(())
    }

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
