//! Two-layer networks with several outputs: their outputs on many inputs, and plain stochastic
//! gradient descent on the cross-entropy of a relu network.
//!
//! A run is serial, so its bits cannot depend on threads; ensembles run side by side.
//!
//! ```
//! use hmm_core::{Activation, Cancel};
//! use hmm_sim::classifier::{Classifier, outputs};
//! use hmm_sim::weights::layer_weights;
//! use ndarray::{Array2, array, aview1};
//! let (x, mut w) = (array![[1.0, -2.0], [0.5, 3.0]], Array2::zeros((4, 2)));
//! layer_weights(&[1; 8], 0, w.as_slice_mut().unwrap(), &Cancel::new())?;
//! // Without an opinion the cross-entropy of C classes is ln C.
//! let mut network = Classifier::new(w.view(), Array2::zeros((3, 4)).view())?;
//! let loss = network.learn(x.view(), aview1(&[0, 2]), aview1(&[0, 1]), 0.1, 2, &Cancel::new())?;
//! assert!((loss - 3_f64.ln()).abs() < 1e-15);
//! // Rectified units are homogeneous: weights twice as large, outputs twice as large.
//! let (w, v) = network.into_layers();
//! let of = |w: &Array2<f64>| {
//!     let mut out = Array2::zeros((2, 3));
//!     let views = (x.view(), w.view(), v.view());
//!     outputs(views, Activation::Relu, 1.0, out.view_mut(), &Cancel::new()).map(|()| out)
//! };
//! assert_eq!(of(&(&w * 2.0))?, of(&w)? * 2.0);
//! # Ok::<(), hmm_core::Error>(())
//! ```

use crate::activation::values_in_place;
use hmm_core::linalg::{matmul, matmul_add, rows, rows_mut};
use hmm_core::{Activation, Cancel, Error, Real, Result};
use ndarray::{Array2, ArrayView, ArrayView1, ArrayView2, ArrayViewMut2, Dimension};
use rayon::prelude::*;
use std::borrow::Cow;

/// Inputs whose outputs are made at once.
const CHUNK: usize = 128;

/// Hidden activations g(`scale` x wᵀ), rows x hidden, of `count` inputs.
fn hidden_values<T: Real>(x: &[T], count: usize, w: &[T], unit: Activation, scale: T) -> Vec<T> {
    let inputs = x.len() / count;
    let hidden = w.len() / inputs;
    let mut values = vec![T::ZERO; count * hidden];
    matmul(
        rows_mut(&mut values, count, hidden),
        rows(x, count, inputs),
        rows(w, hidden, inputs).transpose(),
        scale,
    );
    values_in_place(unit, &mut values);
    values
}

/// The numbers of `view` in row-major order, copied only if they lie otherwise.
fn numbers<'a, T: Copy, D: Dimension>(view: &'a ArrayView<'_, T, D>) -> Cow<'a, [T]> {
    match view.as_slice() {
        Some(slice) => Cow::Borrowed(slice),
        None => Cow::Owned(view.iter().copied().collect()),
    }
}

/// Outputs Σ_k v_ck g(`scale` w_k.x) of inputs x (P x N) of a network w (hidden x N), v (classes x hidden), into `out`
/// (P x classes, contiguous).
///
/// # Errors
/// Shapes that do not fit, [`Error::Interrupted`] if cancelled.
pub fn outputs<T: Real>(
    (x, w, v): (ArrayView2<'_, T>, ArrayView2<'_, T>, ArrayView2<'_, T>),
    unit: Activation,
    scale: f64,
    mut out: ArrayViewMut2<'_, T>,
    cancel: &Cancel,
) -> Result<()> {
    check_layers(w, v)?;
    let (count, inputs, hidden, classes) = (x.nrows(), w.ncols(), w.nrows(), v.nrows());
    if x.ncols() != inputs || count == 0 {
        return Err(Error::shape(
            "X",
            x.shape(),
            format!("must be (P, N) with N = {inputs} columns as w has"),
            "pass inputs of that length",
        ));
    }
    let (x, w, v) = (numbers(&x), numbers(&w), numbers(&v));
    let (x, w, v): (&[T], &[T], &[T]) = (&x, &w, &v);
    let shape = out.dim();
    let Some(result) = out.as_slice_mut().filter(|_| shape == (count, classes)) else {
        return Err(Error::shape(
            "out",
            &[shape.0, shape.1],
            format!("must be contiguous, ({count}, {classes})"),
            "pass such an array",
        ));
    };
    result
        .par_chunks_mut(CHUNK * classes)
        .zip(x.par_chunks(CHUNK * inputs))
        .try_for_each(|(out, x)| {
            cancel.check()?;
            let count = x.len() / inputs;
            let values = hidden_values(x, count, w, unit, T::from_f64(scale));
            matmul(
                rows_mut(out, count, classes),
                rows(&values, count, hidden),
                rows(v, classes, hidden).transpose(),
                T::ONE,
            );
            Ok(())
        })
}

/// An error unless w (hidden x inputs) and v (classes x hidden) make a network.
fn check_layers<T>(w: ArrayView2<'_, T>, v: ArrayView2<'_, T>) -> Result<()> {
    if w.nrows() == v.ncols() && !w.is_empty() && !v.is_empty() {
        return Ok(());
    }
    Err(Error::shape(
        "w",
        w.shape(),
        format!("must be (K, N) with v {:?} = (C, K)", v.shape()),
        "pass weights of that shape",
    ))
}

/// A relu network with logits v relu(w x): w is hidden x inputs, v is classes x hidden.
pub struct Classifier<T> {
    w: Vec<T>,
    v: Vec<T>,
    inputs: usize,
    classes: usize,
}

impl<T: Real> Classifier<T> {
    /// The network of weights w (hidden x inputs) and v (classes x hidden).
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn new(w: ArrayView2<'_, T>, v: ArrayView2<'_, T>) -> Result<Self> {
        check_layers(w, v)?;
        Ok(Self {
            inputs: w.ncols(),
            classes: v.nrows(),
            w: w.iter().copied().collect(),
            v: v.iter().copied().collect(),
        })
    }

    /// w (hidden x inputs) and v (classes x hidden).
    #[expect(
        clippy::indexing_slicing,
        reason = "`new` read the values of a layer row by row from an array of this shape"
    )]
    pub fn into_layers(self) -> (Array2<T>, Array2<T>) {
        let (inputs, hidden) = (self.inputs, self.v.len() / self.classes);
        let layer = |values: &[T], rows: usize, columns: usize| {
            Array2::from_shape_fn((rows, columns), |(i, j)| values[i * columns + j])
        };
        (
            layer(&self.w, hidden, inputs),
            layer(&self.v, self.classes, hidden),
        )
    }

    /// One pass over `order`, rows of x (P x inputs) with their `labels`, `batch` of them a step:
    /// θ <- θ - η ∇ of the batch's mean cross-entropy. Returns the mean loss on the way.
    ///
    /// # Errors
    /// [`Error::Divergence`] if the loss leaves the range of finite numbers, [`Error::Interrupted`]
    /// if cancelled, an invalid parameter for a row or label that does not exist.
    #[expect(
        clippy::indexing_slicing,
        reason = "`check` found the numbers in `order` to be of rows of x, and a batch to be no longer than \
                  its buffer"
    )]
    pub fn learn(
        &mut self,
        x: ArrayView2<'_, T>,
        labels: ArrayView1<'_, u32>,
        order: ArrayView1<'_, u32>,
        lr: f64,
        batch: usize,
        cancel: &Cancel,
    ) -> Result<f64> {
        self.check(x, labels, order)?;
        let (x, labels, order) = (numbers(&x), numbers(&labels), numbers(&order));
        let batch = batch.clamp(1, order.len().max(1));
        let mut rows_of_batch = vec![T::ZERO; batch * self.inputs];
        let mut loss = 0.0;
        for (step, drawn) in order.chunks(batch).enumerate() {
            cancel.check()?;
            let taken = &mut rows_of_batch[..drawn.len() * self.inputs];
            for (row, &j) in taken.chunks_exact_mut(self.inputs).zip(drawn) {
                let start = j as usize * self.inputs;
                row.copy_from_slice(&x[start..start + self.inputs]);
            }
            let batch_loss = self.step(taken, &labels, drawn, lr);
            if !batch_loss.is_finite() {
                return Err(Error::Divergence(format!(
                    "the cross-entropy left the finite numbers at step {step}: lr = {lr} is too \
                     large; lower the learning rate"
                )));
            }
            loss += batch_loss;
        }
        Ok(loss / order.len() as f64)
    }

    fn check(
        &self,
        x: ArrayView2<'_, T>,
        labels: ArrayView1<'_, u32>,
        order: ArrayView1<'_, u32>,
    ) -> Result<()> {
        if x.dim() != (labels.len(), self.inputs) {
            return Err(Error::shape(
                "X",
                x.shape(),
                format!("must have one row for each of the {} labels", labels.len()),
                "pass X of shape (P, N) and labels of shape (P,)",
            ));
        }
        if let Some(label) = labels.iter().find(|&&label| label as usize >= self.classes) {
            return Err(Error::invalid(
                "labels",
                label,
                format!("must be below the number of classes, {}", self.classes),
                "number the classes from 0",
            ));
        }
        if let Some(row) = order.iter().find(|&&row| row as usize >= labels.len()) {
            return Err(Error::invalid(
                "order",
                row,
                format!("must be the number of one of {} samples", labels.len()),
                "number the samples from 0",
            ));
        }
        Ok(())
    }

    /// One step; returns the sum of the losses of the batch before it.
    #[expect(
        clippy::indexing_slicing,
        reason = "`drawn` are numbers of labels, by `check`"
    )]
    fn step(&mut self, x: &[T], labels: &[u32], drawn: &[u32], lr: f64) -> f64 {
        let (count, classes) = (drawn.len(), self.classes);
        let hidden = self.v.len() / classes;
        let values = hidden_values(x, count, &self.w, Activation::Relu, T::ONE);
        let mut logits = vec![T::ZERO; count * classes];
        matmul(
            rows_mut(&mut logits, count, classes),
            rows(&values, count, hidden),
            rows(&self.v, classes, hidden).transpose(),
            T::ONE,
        );
        let mut loss = 0.0;
        for (logits, &j) in logits.chunks_exact_mut(classes).zip(drawn) {
            loss += cross_entropy_slope(logits, labels[j as usize] as usize);
        }
        // Slope of the loss in the hidden values, from the old second layer; zero where inactive.
        let mut slopes = vec![T::ZERO; count * hidden];
        matmul(
            rows_mut(&mut slopes, count, hidden),
            rows(&logits, count, classes),
            rows(&self.v, classes, hidden),
            T::ONE,
        );
        for (slope, value) in slopes.iter_mut().zip(&values) {
            if *value <= T::ZERO {
                *slope = T::ZERO;
            }
        }
        let rate = T::from_f64(-lr / count as f64);
        matmul_add(
            rows_mut(&mut self.v, classes, hidden),
            rows(&logits, count, classes).transpose(),
            rows(&values, count, hidden),
            rate,
        );
        matmul_add(
            rows_mut(&mut self.w, hidden, self.inputs),
            rows(&slopes, count, hidden).transpose(),
            rows(x, count, self.inputs),
            rate,
        );
        loss
    }
}

/// Turn logits into the slope softmax - onehot of their cross-entropy with `label`; returns the loss.
#[expect(
    clippy::indexing_slicing,
    reason = "labels are below the number of classes, by `check`"
)]
fn cross_entropy_slope<T: Real>(logits: &mut [T], label: usize) -> f64 {
    let largest = logits
        .iter()
        .fold(f64::NEG_INFINITY, |top, z| top.max(z.to_f64()));
    let weights: Vec<f64> = logits
        .iter()
        .map(|z| (z.to_f64() - largest).exponential())
        .collect();
    let total: f64 = weights.iter().sum();
    let loss = total.ln() + largest - logits[label].to_f64();
    for (class, (slope, weight)) in logits.iter_mut().zip(&weights).enumerate() {
        *slope = T::from_f64(weight / total - f64::from(u8::from(class == label)));
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Classifier<f64> {
        let wave = |n: usize, k: f64| (0..n).map(|i| (k * i as f64 + 0.3).sin()).collect();
        Classifier {
            w: wave(5 * 4, 1.7),
            v: wave(3 * 5, 2.3),
            inputs: 4,
            classes: 3,
        }
    }

    fn loss(network: &Classifier<f64>, x: &[f64], labels: &[u32]) -> f64 {
        let x = ArrayView2::from_shape((labels.len(), 4), x).unwrap();
        let w = ArrayView2::from_shape((5, 4), &network.w).unwrap();
        let v = ArrayView2::from_shape((3, 5), &network.v).unwrap();
        let mut z = Array2::zeros((labels.len(), 3));
        outputs(
            (x, w, v),
            Activation::Relu,
            1.0,
            z.view_mut(),
            &Cancel::new(),
        )
        .unwrap();
        z.rows()
            .into_iter()
            .zip(labels)
            .map(|(z, &y)| cross_entropy_slope(&mut z.to_vec(), y as usize))
            .sum::<f64>()
            / labels.len() as f64
    }

    #[test]
    fn a_step_goes_down_the_gradient() {
        let x: Vec<f64> = (0..12).map(|i| (0.9 * f64::from(i)).cos()).collect();
        let labels = [2, 0, 1];
        let before = network();
        let mut after = network();
        let (lr, h) = (1e-3, 1e-6);
        let seen = after
            .learn(
                ArrayView2::from_shape((3, 4), &x).unwrap(),
                ArrayView1::from(&labels),
                ArrayView1::from(&[0, 1, 2]),
                lr,
                3,
                &Cancel::new(),
            )
            .unwrap();
        assert!((seen - loss(&before, &x, &labels)).abs() < 1e-12);
        for i in 0..before.w.len() {
            let (mut up, mut down) = (network(), network());
            up.w[i] += h;
            down.w[i] -= h;
            let slope = (loss(&up, &x, &labels) - loss(&down, &x, &labels)) / (2.0 * h);
            // Rounding of a central difference: 1e-16/h.
            assert!(((before.w[i] - after.w[i]) / lr - slope).abs() < 1e-8);
        }
        for i in 0..before.v.len() {
            let (mut up, mut down) = (network(), network());
            up.v[i] += h;
            down.v[i] -= h;
            let slope = (loss(&up, &x, &labels) - loss(&down, &x, &labels)) / (2.0 * h);
            assert!(((before.v[i] - after.v[i]) / lr - slope).abs() < 1e-8);
        }
    }

    #[test]
    fn wrong_labels_and_rows_are_refused() {
        let learn = |labels: &[u32], order: &[u32]| {
            let x = ndarray::Array2::from_elem((2, 4), 0.5);
            network().learn(
                x.view(),
                ArrayView1::from(labels),
                ArrayView1::from(order),
                0.1,
                2,
                &Cancel::new(),
            )
        };
        assert!(learn(&[0, 3], &[0]).is_err());
        assert!(learn(&[0, 1], &[2]).is_err());
        assert!(learn(&[0], &[0]).is_err());
        assert!(learn(&[0, 1], &[1, 0, 1]).is_ok());
    }
}
