//! What is measured of a run at one time.

use super::OnlineSgd;
use crate::fields::{Outputs, large_gram, squared_error};
use hmm_core::{Cancel, Error, Real, Result, Table};
use ndarray::Array2;

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
    /// features.
    ///
    /// # Errors
    /// [`Error::Divergence`] where a number is not finite, [`Error::Interrupted`] if cancelled.
    pub fn measure(&mut self, cancel: &Cancel) -> Result<Table> {
        let units = self.student.units();
        let teachers = self.teacher.v.len();
        let (n, d) = (self.source.inputs(), self.source.latents());
        let w = self.student.wide_first_layer();
        let v = self.student.wide_second_layer();
        let moments = self.measurement.moments;
        let projected = self.source.project(&w, units);
        let from_weights = moments.is_some() && projected.is_some();
        let test = self.tests.averages(
            &*self.source,
            &self.teacher,
            &self.student,
            !from_weights,
            cancel,
        )?;
        if !test.error.is_finite() {
            return Err(not_finite("eg"));
        }
        let overlap = large_gram(&w, &w, n, 1.0 / n as f64, cancel)?;
        let sigma = match &projected {
            Some(s) => Some(large_gram(s, s, d, 1.0 / d as f64, cancel)?),
            None => None,
        };
        let (q, r, t) = match (&moments, &projected, &sigma) {
            (Some(moments), Some(s), Some(sigma)) => {
                let q = moments.student_overlap(&overlap, sigma);
                let (r, t) = self.teacher.overlaps(&*self.source, moments, &w, s);
                (q, r, t)
            }
            _ => (test.q, test.r, test.t),
        };
        let analytic = if self.teacher.classify || !self.measurement.centred {
            None
        } else {
            let student = Outputs {
                v: &v,
                unit: self.student.unit,
            };
            let teacher = Outputs {
                v: &self.teacher.v,
                unit: self.teacher.unit,
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
