//! The averages of many covariances at once, in parallel.
//!
//! ```
//! use hmm_core::{Activation::Erf, Activation::Linear, Cancel};
//! use hmm_theory::integrals::batch::averages;
//! use ndarray::array;
//! // I3 = E g'(a) b h(c) by Stein's lemma: for linear h it is E g'(a) C_bc + E g''(a) C_ab C_ac, and of two equal
//! // fields E g'(a) a a = sqrt(2/pi) (1 + C)^(-3/2) C for erf.
//! let c = 2.0;
//! let covariance = array![[[c, c, c], [c, c, c], [c, c, c]]];
//! let found = averages(covariance.view(), &[Erf, Linear, Linear], &Cancel::new())?;
//! let known = (2.0 / std::f64::consts::PI).sqrt() * (1.0 + c).powf(-1.5) * c;
//! assert!((found[0] - known).abs() < 1e-15);
//! # Ok::<(), hmm_core::Error>(())
//! ```

use super::{i2, i3, i4};
use crate::activation::Closed;
use crate::checks::check_covariance;
use hmm_core::memory::filled;
use hmm_core::{Activation, Cancel, Error, Result};
use ndarray::{Array1, ArrayView3};
use rayon::prelude::*;

/// Covariances between two looks at the cancel flag.
const CHUNK: usize = 256;

/// I2, I3 or I4 of covariances c (P, n, n), n = 2, 3, 4, of fields with the units `units`, one per field: (P,).
///
/// # Errors
/// Another n, a matrix that is no covariance, a unit without closed form, gates of I4 of different units, averages
/// beyond the finite numbers, [`Error::Interrupted`] if cancelled.
pub fn averages(
    c: ArrayView3<'_, f64>,
    units: &[Activation],
    cancel: &Cancel,
) -> Result<Array1<f64>> {
    let (count, n, columns) = c.dim();
    if n != columns || n != units.len() || !(2..=4).contains(&n) {
        return Err(Error::shape(
            "C",
            c.shape(),
            format!(
                "must be (P, {0}, {0}), the covariance of {0} fields",
                units.len()
            ),
            "pass such an array, with 2, 3 or 4 fields",
        ));
    }
    // The second field of I3 enters as it is, whatever its unit.
    let units: Vec<Closed> = units
        .iter()
        .enumerate()
        .map(|(field, &unit)| {
            if n == 3 && field == 1 {
                Ok(Closed::Linear)
            } else {
                Closed::required("activation", unit)
            }
        })
        .collect::<Result<_>>()?;
    if let [first, second, _, _] = units.as_slice()
        && first != second
    {
        return Err(Error::invalid(
            "activation",
            format!("'{}' and '{}'", first.activation(), second.activation()),
            "the two gates x1, x2 must be of one unit",
            "name it twice",
        ));
    }
    let mut values = filled(0.0, count, "so many averages", "pass fewer covariances")?;
    values
        .par_chunks_mut(CHUNK)
        .enumerate()
        .try_for_each(|(chunk, values)| {
            cancel.check()?;
            let mut matrix = Vec::with_capacity(n * n);
            for (i, value) in values.iter_mut().enumerate() {
                matrix.clear();
                matrix.extend(c.index_axis(ndarray::Axis(0), chunk * CHUNK + i));
                check_covariance("C", &matrix, n)?;
                // Every n but 2, 3 and 4 is refused above.
                *value = average(&units, &matrix).unwrap_or(f64::NAN);
                if !value.is_finite() {
                    return Err(Error::invalid(
                        "C",
                        format!("{:e}", matrix.iter().fold(0.0_f64, |m, x| m.max(x.abs()))),
                        "products of its entries leave the finite numbers",
                        "pass fields of a smaller variance",
                    ));
                }
            }
            Ok(())
        })?;
    Ok(values.into())
}

fn average(units: &[Closed], c: &[f64]) -> Option<f64> {
    fn square<const N: usize>(c: &[f64]) -> Option<&[[f64; N]; N]> {
        c.as_chunks::<N>().0.first_chunk::<N>()
    }
    match *units {
        [g, h] => {
            let [[c_aa, c_ab], [_, c_bb]] = *square(c)?;
            Some(i2(g, h, c_aa, c_ab, c_bb))
        }
        [g, _, h] => Some(i3(g, h, square(c)?)),
        [g, _, h_c, h_d] => Some(i4(g, [h_c, h_d], square(c)?)),
        _ => None,
    }
}
