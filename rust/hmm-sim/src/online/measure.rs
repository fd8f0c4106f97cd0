//! What is measured of a run at one time.

use super::test_set::TestAverages;
use super::{OnlineSgd, Student};
use crate::fields::{Outputs, large_gram, squared_error};
use hmm_core::{Cancel, Error, Real, Result, Table};
use ndarray::{Array2, ArrayD, Dimension, IxDyn};
use rayon::prelude::*;

/// A column `name` of `values` with rows of length `columns`; refused unless they are finite.
fn push(table: &mut Table, name: &str, values: Vec<f64>, columns: usize) -> Result<()> {
    let rows = values.len() / columns;
    let finite = values.iter().all(|x| x.is_finite());
    let matrix = Array2::from_shape_vec((rows, columns), values);
    match matrix {
        Ok(matrix) if finite => {
            table.push(name, matrix);
            Ok(())
        }
        _ => Err(not_finite(name)),
    }
}

fn not_finite(name: &str) -> Error {
    Error::Divergence(format!(
        "{name} is beyond the finite numbers: weights this large cannot be measured; lower the learning rate or the \
         initial weights (the partial result is in .result)"
    ))
}

impl<T: Real> OnlineSgd<T> {
    /// Measure the student as it is now: eg on the test set, eg_analytic from the order parameters, Q (K x K),
    /// R (K x M), T (M x M), W = w wᵀ/N, Σ = S Sᵀ/D (both K x K), v (K).
    ///
    /// eg_analytic is left out where it is not defined (labels ±1, fields with a mean), Σ where inputs have no linear
    /// features. Of an ensemble every column but T has the students as its first axis; what a student has not (units
    /// beyond its K, everything after it has diverged, and a number that is not finite) is NaN.
    ///
    /// # Errors
    /// [`Error::Divergence`] where a number is not finite (of an ensemble: for every student), [`Error::Interrupted`]
    /// if cancelled.
    pub fn measure(&mut self, cancel: &Cancel) -> Result<Table> {
        self.check_somebody_learns()?;
        let source = &*self.data.source;
        let members = self.members.iter().enumerate();
        let (learning, students): (Vec<usize>, Vec<&Student<T>>) = members
            .filter(|(_, member)| member.learns())
            .map(|(i, member)| (i, &member.student))
            .unzip();
        let seen: Vec<(Vec<f64>, Option<Vec<f64>>)> = students
            .par_iter()
            .map(|student| {
                cancel.check()?;
                let w = student.wide_first_layer();
                let projected = source.project(&w, student.units())?;
                Ok((w, projected))
            })
            .collect::<Result<_>>()?;
        let projected = seen.iter().all(|(_, projected)| projected.is_some());
        let from_weights = self.measurement.moments.is_some() && projected;
        let test =
            self.tests
                .averages(source, &self.data.teacher, &students, !from_weights, cancel)?;
        let mut tables: Vec<Result<Table>> = students
            .into_par_iter()
            .zip(seen)
            .zip(test)
            .map(|((student, (w, projected)), test)| {
                self.measured(student, &w, projected, test, cancel)
            })
            .collect();
        if self.lone
            && let Some(table) = tables.pop()
        {
            return table;
        }
        let mut found = Vec::new();
        let mut refused = None;
        for (i, table) in learning.into_iter().zip(tables) {
            match table {
                Ok(table) => found.push((i, table)),
                Err(error @ Error::Divergence(_)) => refused = refused.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        if let (true, Some(error)) = (found.is_empty(), refused) {
            return Err(error);
        }
        let widest = self.students().map(Student::units).max().unwrap_or(1);
        side_by_side(&found, self.members.len(), widest)
    }

    /// One student's columns from its weights, their projection and its averages over the test set.
    fn measured(
        &self,
        student: &Student<T>,
        w: &[f64],
        projected: Option<Vec<f64>>,
        test: TestAverages,
        cancel: &Cancel,
    ) -> Result<Table> {
        let (units, teacher) = (student.units(), &self.data.teacher);
        let teachers = teacher.v.len();
        let (n, d) = (self.data.source.inputs(), self.data.source.latents());
        let v = student.wide_second_layer();
        if !test.error.is_finite() {
            return Err(not_finite("eg"));
        }
        let overlap = large_gram(w, w, n, 1.0 / n as f64, cancel)?;
        let sigma = match &projected {
            Some(s) => Some(large_gram(s, s, d, 1.0 / d as f64, cancel)?),
            None => None,
        };
        let (q, r, t) = match (&self.measurement.moments, &projected, &sigma) {
            (Some(moments), Some(s), Some(sigma)) => {
                let q = moments.student_overlap(&overlap, sigma);
                let (r, t) = teacher.overlaps(&*self.data.source, moments, w, s)?;
                (q, r, t)
            }
            _ => (test.q, test.r, test.t),
        };
        let analytic = if teacher.classify || !self.measurement.centred {
            None
        } else {
            let student = Outputs {
                v: &v,
                unit: student.unit,
            };
            let teacher = Outputs {
                v: &teacher.v,
                unit: teacher.unit,
            };
            squared_error([&q, &r, &t], student, teacher, cancel)?
        };
        let mut table = Table::new().with("eg", test.error);
        if let Some(error) = analytic {
            if !error.is_finite() {
                return Err(not_finite("eg_analytic"));
            }
            table.push("eg_analytic", error);
        }
        push(&mut table, "Q", q, units)?;
        push(&mut table, "R", r, teachers)?;
        push(&mut table, "T", t, teachers)?;
        push(&mut table, "W", overlap, units)?;
        if let Some(sigma) = sigma {
            push(&mut table, "Sigma", sigma, units)?;
        }
        table.push("v", v);
        Ok(table)
    }
}

/// Tables of the students with these numbers out of `count`, the widest with `widest` units, as one.
fn side_by_side(tables: &[(usize, Table)], count: usize, widest: usize) -> Result<Table> {
    let mut joined = Table::new();
    let Some((_, first)) = tables.first() else {
        return Ok(joined);
    };
    for (name, column) in first.iter() {
        if name == "T" {
            joined.push(name, column.clone());
            continue;
        }
        // Units of the student are padded, those of the teacher are as many for all.
        let own = column.shape();
        let mut shape = vec![count];
        if name == "R" {
            shape.extend([widest].iter().chain(own.last()));
        } else {
            shape.extend(own.iter().map(|_| widest));
        }
        let mut values = ArrayD::from_elem(shape, f64::NAN);
        for (i, table) in tables {
            let own = table.array::<f64, IxDyn>(name)?;
            for (place, &value) in own.indexed_iter() {
                let place: Vec<usize> = std::iter::once(*i)
                    .chain(place.slice().iter().copied())
                    .collect();
                if let Some(entry) = values.get_mut(IxDyn(&place)) {
                    *entry = value;
                }
            }
        }
        joined.push(name, values);
    }
    Ok(joined)
}
