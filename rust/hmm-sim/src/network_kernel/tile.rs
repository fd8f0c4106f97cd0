//! The kernel of a tile of points against another.

use super::{NEURONS, Part, Weights};
use hmm_core::linalg::{MatMut, MatRef, rows, rows_mut};
use hmm_core::products::add_serial;
use hmm_core::special::vectorised;
use hmm_core::{Cancel, Real, Result};

/// Rectified pre-activations and masked output weights of a tile of points and a block of neurons.
struct Features<T> {
    rectified: Vec<T>,
    masked: Vec<T>,
}

impl<T: Real> Features<T> {
    fn new(points: usize) -> Self {
        Self {
            rectified: vec![T::ZERO; points * NEURONS],
            masked: vec![T::ZERO; points * NEURONS],
        }
    }

    /// Fill for `x` (points, d) and neurons `first..first + count`; both arrays become (points, count).
    fn fill(
        &mut self,
        network: &Weights<'_, T>,
        x: &[T],
        first: usize,
        count: usize,
        cancel: &Cancel,
    ) -> Result<()> {
        let d = network.d;
        let points = x.len() / d;
        let rectified = &mut self.rectified[..points * count];
        let masked = &mut self.masked[..points * count];
        replace_product(
            rows_mut(rectified, points, count),
            rows(x, points, d),
            rows(&network.omega[first * d..(first + count) * d], count, d).transpose(),
            T::from_f64(1.0 / (d as f64).sqrt()),
            cancel,
        )?;
        let beta = &network.beta[first..first + count];
        let bias = network.b.map(|b| &b[first..first + count]);
        vectorised(
            #[inline(always)]
            || {
                for (pre, mask) in rectified
                    .chunks_exact_mut(count)
                    .zip(masked.chunks_exact_mut(count))
                {
                    if let Some(bias) = bias {
                        for (pre, b) in pre.iter_mut().zip(bias) {
                            *pre += *b;
                        }
                    }
                    for ((pre, mask), beta) in pre.iter_mut().zip(mask).zip(beta) {
                        let active = *pre > T::ZERO;
                        *mask = if active { *beta } else { T::ZERO };
                        *pre = if active { *pre } else { T::ZERO };
                    }
                }
            },
        );
        Ok(())
    }
}

/// `dst = alpha lhs rhs`, looking at the flag between parts.
fn replace_product<T: Real>(
    mut dst: MatMut<'_, T>,
    lhs: MatRef<'_, T>,
    rhs: MatRef<'_, T>,
    alpha: T,
    cancel: &Cancel,
) -> Result<()> {
    dst.as_mut().fill(T::ZERO);
    add_serial(dst, lhs, rhs, alpha, cancel)
}

/// `sum += rows_x rows_y^T` in double precision, the product itself in `T`.
fn add_gram<T: Real>(
    sum: &mut [f64],
    scratch: &mut [T],
    x: &[T],
    y: &[T],
    count: usize,
    cancel: &Cancel,
) -> Result<()> {
    let (p, q) = (x.len() / count, y.len() / count);
    let product = &mut scratch[..p * q];
    replace_product(
        rows_mut(product, p, q),
        rows(x, p, count),
        rows(y, q, count).transpose(),
        T::ONE,
        cancel,
    )?;
    for (sum, product) in sum.iter_mut().zip(product) {
        *sum += product.to_f64();
    }
    Ok(())
}

/// `h Theta` of the points `x` (p, d) against `y` (q, d), row-major.
pub fn tile<T: Real>(
    network: &Weights<'_, T>,
    x: &[T],
    y: &[T],
    same: bool,
    part: Part,
    cancel: &Cancel,
) -> Result<Vec<f64>> {
    let (d, h) = (network.d, network.beta.len());
    let (p, q) = (x.len() / d, y.len() / d);
    let mut readout = vec![0.0; p * q];
    let mut hidden = vec![0.0; if part == Part::Full { p * q } else { 0 }];
    let mut scratch = vec![T::ZERO; p * q];
    let mut left = Features::new(p);
    let mut right = Features::new(if same { 0 } else { q });
    for first in (0..h).step_by(NEURONS) {
        let count = NEURONS.min(h - first);
        left.fill(network, x, first, count, cancel)?;
        if !same {
            right.fill(network, y, first, count, cancel)?;
        }
        let other = if same { &left } else { &right };
        add_gram(
            &mut readout,
            &mut scratch,
            &left.rectified[..p * count],
            &other.rectified[..q * count],
            count,
            cancel,
        )?;
        if part == Part::Full {
            add_gram(
                &mut hidden,
                &mut scratch,
                &left.masked[..p * count],
                &other.masked[..q * count],
                count,
                cancel,
            )?;
        }
    }
    if part == Part::Full {
        replace_product(
            rows_mut(&mut scratch, p, q),
            rows(x, p, d),
            rows(y, q, d).transpose(),
            T::from_f64(1.0 / d as f64),
            cancel,
        )?;
        let bias = f64::from(u8::from(network.b.is_some()));
        for ((readout, hidden), inner) in readout.iter_mut().zip(hidden).zip(scratch) {
            *readout += (inner.to_f64() + bias) * hidden;
        }
    }
    let scale = network.slope * network.slope / h as f64;
    for entry in &mut readout {
        *entry *= scale;
    }
    Ok(readout)
}
