//! Dense feature matrices: independent normals, and Haar distributed columns.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::householder;
use faer::{Conj, Mat, Par};
use hmm_core::cancel::apart_if;
use hmm_core::memory::{bytes_of, require, zero_matrix};
use hmm_core::random::{Stream, fill_normal};
use hmm_core::{Cancel, Result};
use ndarray::{Array2, Axis};
use rayon::prelude::*;

/// Rows of F drawn from one random block.
pub(super) const DISORDER_ROWS: usize = 64;
/// Unit of the disorder stream that holds the entries of a dense F.
const ENTRY_UNIT: u32 = 0;

/// Columns reduced at a time.
const PANEL: usize = 64;
/// Largest N D² of a factorisation by one library call on the calling thread: a fifth of a second.
const ONE_CALL: usize = 1 << 30;

/// Independent normals, shape (N, D).
pub(super) fn gaussian(
    inputs: usize,
    latents: usize,
    disorder: &Stream,
    cancel: &Cancel,
) -> Result<Array2<f64>> {
    let mut matrix = zero_matrix((inputs, latents), "the feature matrix", "lower N or D")?;
    let values = matrix.as_slice_mut().unwrap_or_default();
    values
        .par_chunks_mut(DISORDER_ROWS * latents)
        .enumerate()
        .try_for_each(|(block, chunk)| {
            let mut generator = disorder.generator(ENTRY_UNIT, block as u64);
            // Pieces of whole groups of normals: the bits are those of one piece.
            for piece in chunk.chunks_mut(1 << 20) {
                cancel.check()?;
                fill_normal(&mut generator, piece);
            }
            Ok::<(), hmm_core::Error>(())
        })?;
    Ok(matrix)
}

/// Haar distributed, shape (N, D), with FᵀF = N 1: QR of a Gaussian matrix, signs fixed by R.
pub(super) fn orthogonal(
    inputs: usize,
    latents: usize,
    disorder: &Stream,
    cancel: &Cancel,
) -> Result<Array2<f64>> {
    let matrix = gaussian(inputs, latents, disorder, cancel)?;
    let small = inputs.saturating_mul(latents.saturating_mul(latents)) <= ONE_CALL;
    orthonormal(matrix, if small { latents } else { PANEL }, cancel)
}

/// √N Q of the QR factorisation with a positive diagonal of R, `panel` columns at a time.
///
/// The columns are cut into panels; reflectors of a panel go through those to its right side by side, and back
/// through the identity for Q. No piece depends on the number of threads.
#[expect(
    clippy::indexing_slicing,
    reason = "there is a factor for each panel, as many as `axis_chunks_iter` gives parts, and the parts have \
              the shape of the matrix"
)]
fn orthonormal(mut matrix: Array2<f64>, panel: usize, cancel: &Cancel) -> Result<Array2<f64>> {
    let (inputs, latents) = matrix.dim();
    // The panels, their reflectors and Q.
    require(
        3 * bytes_of::<f64>(matrix.len()),
        "an orthogonal feature matrix",
        "lower N or D, or use F=\"dct\"",
    )?;
    let mut panels: Vec<(usize, Mat<f64>)> = matrix
        .axis_chunks_iter(Axis(1), panel)
        .enumerate()
        .map(|(k, part)| {
            let copied = Mat::from_fn(inputs, part.ncols(), |i, j| part[(i, j)]);
            (k * panel, copied)
        })
        .collect();
    let mut factors = Vec::with_capacity(panels.len());
    for k in 0..panels.len() {
        cancel.check()?;
        let (done, rest) = panels.split_at_mut(k + 1);
        let Some((first, current)) = done.last_mut() else {
            break;
        };
        let first = *first;
        // The reflectors are kept in the factor.
        let panel = std::mem::replace(current, Mat::new());
        let large = inputs.saturating_mul(panel.ncols().pow(2)) > ONE_CALL;
        let factor = apart_if(large, cancel, move || {
            panel.subrows(first, inputs - first).qr()
        })?;
        rest.par_iter_mut().try_for_each(|(_, part)| {
            cancel.check()?;
            let width = part.ncols();
            householder::apply_block_householder_sequence_transpose_on_the_left_in_place_with_conj(
                factor.Q_basis(),
                factor.Q_coeff(),
                Conj::No,
                part.subrows_mut(first, inputs - first),
                Par::Seq,
                MemStack::new(&mut MemBuffer::new(
                    householder::apply_block_householder_sequence_transpose_on_the_left_in_place_scratch::<f64>(
                        inputs - first,
                        factor.Q_coeff().nrows(),
                        width,
                    ),
                )),
            );
            Ok::<(), hmm_core::Error>(())
        })?;
        factors.push((first, factor));
    }
    let norm = (inputs as f64).sqrt();
    matrix
        .axis_chunks_iter_mut(Axis(1), panel)
        .enumerate()
        .collect::<Vec<_>>()
        .into_par_iter()
        .try_for_each(|(k, mut part)| {
            let width = part.ncols();
            let mut q = Mat::<f64>::zeros(inputs, width);
            for j in 0..width {
                q[(k * panel + j, j)] = 1.0;
            }
            // Reflectors of later panels leave these columns alone.
            for (first, factor) in factors[..=k].iter().rev() {
                cancel.check()?;
                householder::apply_block_householder_sequence_on_the_left_in_place_with_conj(
                    factor.Q_basis(),
                    factor.Q_coeff(),
                    Conj::No,
                    q.subrows_mut(*first, inputs - first),
                    Par::Seq,
                    MemStack::new(&mut MemBuffer::new(
                        householder::apply_block_householder_sequence_on_the_left_in_place_scratch::<f64>(
                            inputs - first,
                            factor.Q_coeff().nrows(),
                            width,
                        ),
                    )),
                );
            }
            let r = factors[k].1.thin_R();
            for ((i, j), x) in part.indexed_iter_mut() {
                *x = norm * q[(i, j)] * r[(j, j)].signum();
            }
            Ok::<(), hmm_core::Error>(())
        })?;
    debug_assert_eq!(latents, matrix.ncols());
    Ok(matrix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmm_core::random::Purpose;

    #[test]
    fn panels_give_the_matrix_of_one_call() {
        let disorder = Stream::new(&[3; 8], Purpose::Disorder);
        for (n, d) in [(40, 40), (70, 33), (9, 1), (130, 129)] {
            let drawn = gaussian(n, d, &disorder, &Cancel::new()).unwrap();
            let whole = orthonormal(drawn.clone(), d, &Cancel::new()).unwrap();
            for panel in [1, 7, 32] {
                let pieces = orthonormal(drawn.clone(), panel, &Cancel::new()).unwrap();
                let gap = (&pieces - &whole)
                    .iter()
                    .fold(0.0, |most: f64, x| most.max(x.abs()));
                // A few hundred roundings of entries of order one.
                assert!(gap < 1e-12 * (n as f64), "{n} {d} {panel}: {gap}");
            }
            let gram = whole.t().dot(&whole) / n as f64;
            assert!(
                (&gram - &Array2::<f64>::eye(d))
                    .iter()
                    .all(|x| x.abs() < 1e-13 * n as f64)
            );
        }
    }

    #[test]
    fn a_raised_flag_stops_every_kind() {
        let cancel = Cancel::new();
        cancel.raise();
        let disorder = Stream::new(&[3; 8], Purpose::Disorder);
        assert!(gaussian(100, 10, &disorder, &cancel).is_err());
        assert!(orthonormal(Array2::ones((100, 10)), 4, &cancel).is_err());
    }
}
