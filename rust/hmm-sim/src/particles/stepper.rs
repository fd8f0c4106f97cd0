//! The stepper: owns weights and data, takes steps, measures.

use super::backward::Descent;
use super::forward::{Forward, GROUP, Weights, forward};
use super::initial::zeros;
use super::plan::Plan;
use super::rule::{Rule, Unit};
use crate::labelled::LabelledLaw;
use hmm_core::random::{Purpose, Seed, Stream};
use hmm_core::{Cancel, Error, Real, Result};

/// What the network learns from.
#[derive(Debug, Clone)]
pub enum Examples<T> {
    /// The same examples at every step.
    Fixed {
        /// Inputs, shape (P, d), row by row.
        x: Vec<T>,
        /// Labels, shape (P,).
        y: Vec<T>,
    },
    /// New examples at every step.
    Fresh {
        /// Their law.
        law: LabelledLaw,
        /// Their number.
        batch: usize,
        /// Their seed.
        seed: Seed,
    },
}

/// Examples to test on.
#[derive(Debug, Clone)]
pub struct Test<T> {
    /// Inputs, shape (P, d), row by row.
    pub x: Vec<T>,
    /// Clean labels, shape (P,).
    pub y: Vec<T>,
}

/// What is measured at one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// `log(<(a0 + w0), (a + w_par)> / <(a0 + w0), (a0 + w0)>)`; not a number where undefined.
    pub gamma: f64,
    /// Fraction of training examples with `alpha y f < h`.
    pub unsatisfied: f64,
    /// Training loss.
    pub loss: f64,
    /// Fraction of training examples with `y f <= 0`.
    pub train_error: f64,
    /// The same of the test set (not a number without one).
    pub test_error: f64,
    /// Unsatisfied fraction of the test set.
    pub test_unsatisfied: f64,
}

/// Sums over examples.
struct Score {
    unsatisfied: usize,
    wrong: usize,
    loss: f64,
}

/// A network in training.
#[derive(Debug, Clone)]
pub struct Particles<T> {
    a: Vec<T>,
    w: Vec<T>,
    d: usize,
    unit: Unit,
    rule: Rule,
    examples: Examples<T>,
    test: Option<Test<T>>,
    /// `a0 + w0_par`.
    start: Vec<T>,
    /// Initial weights, where the initial output of new examples is needed.
    initial: Option<(Vec<T>, Vec<T>)>,
    /// Initial output on fixed examples and on the test set.
    initial_output: Option<Vec<f64>>,
    initial_test_output: Option<Vec<f64>>,
    tile: Option<(usize, usize)>,
    step: u64,
    /// Step at which each fixed example was first satisfied; -1 for not yet.
    first_satisfied: Vec<i64>,
    /// No example pulls any more.
    finished: bool,
    /// The batch and outputs of the present step, once they are known.
    current: Option<Current<T>>,
}

/// What belongs to the present step.
#[derive(Debug, Clone)]
struct Current<T> {
    /// The fresh batch, if the data are not fixed.
    batch: Option<Test<T>>,
    forward: Forward,
}

impl<T: Real> Particles<T> {
    /// A network `(a, w)` with `w` of shape (M, d), before its first step. Shapes are the caller's to
    /// check.
    ///
    /// # Errors
    /// [`Error::Shape`] for shapes that disagree, [`Error::Interrupted`].
    pub fn new(
        (a, w, d): (Vec<T>, Vec<T>, usize),
        unit: Unit,
        rule: Rule,
        examples: Examples<T>,
        test: Option<Test<T>>,
        tile: Option<(usize, usize)>,
        cancel: &Cancel,
    ) -> Result<Self> {
        check_length("w", w.len(), a.len() * d)?;
        let fixed = match &examples {
            Examples::Fixed { x, y } => {
                check_length("X", x.len(), y.len() * d)?;
                y.len()
            }
            Examples::Fresh { law, .. } => {
                check_length("data", law.d, d)?;
                0
            }
        };
        if let Some(test) = &test {
            check_length("X_test", test.x.len(), test.y.len() * d)?;
        }
        let start = a
            .iter()
            .zip(w.chunks_exact(d))
            .map(|(a, w)| *a + w[0])
            .collect();
        let mut network = Self {
            a,
            w,
            d,
            unit,
            rule,
            examples,
            test,
            start,
            initial: None,
            initial_output: None,
            initial_test_output: None,
            tile,
            step: 0,
            first_satisfied: vec![-1; fixed],
            finished: false,
            current: None,
        };
        if rule.subtract_init {
            network.remember_initial_output(cancel)?;
        }
        Ok(network)
    }

    fn remember_initial_output(&mut self, cancel: &Cancel) -> Result<()> {
        match &self.examples {
            Examples::Fixed { x, y } => {
                self.initial_output = Some(self.outputs(x, y.len(), cancel)?);
            }
            Examples::Fresh { .. } => self.initial = Some((self.a.clone(), self.w.clone())),
        }
        if let Some(test) = &self.test {
            self.initial_test_output = Some(self.outputs(&test.x, test.y.len(), cancel)?);
        }
        Ok(())
    }

    /// Steps taken.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Whether no example pulls any more (fixed data only).
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// Present weights `(a, w)`.
    pub fn weights(&self) -> (&[T], &[T]) {
        (&self.a, &self.w)
    }

    /// Inputs of a node.
    pub fn inputs(&self) -> usize {
        self.d
    }

    /// Step at which each fixed example was first satisfied; -1 for not yet.
    pub fn first_satisfied(&self) -> &[i64] {
        &self.first_satisfied
    }

    /// Put back weights, step and first satisfactions of an earlier state.
    ///
    /// # Errors
    /// [`Error::Shape`] if they belong to another network.
    pub fn restore(&mut self, a: Vec<T>, w: Vec<T>, step: u64, first: Vec<i64>) -> Result<()> {
        check_length("a", a.len(), self.a.len())?;
        check_length("w", w.len(), self.w.len())?;
        if first.len() != self.first_satisfied.len() {
            return Err(Error::shape(
                "first_satisfied",
                &[first.len()],
                format!("must hold {} numbers", self.first_satisfied.len()),
                "restore a state of the same run",
            ));
        }
        self.a = a;
        self.w = w;
        self.step = step;
        self.first_satisfied = first;
        self.current = None;
        self.finished = false;
        Ok(())
    }

    /// Bytes of a run beside the arrays the caller holds: weights, their start, signs, data.
    pub fn memory_estimate(
        (width, d): (usize, usize),
        unit: Unit,
        examples: usize,
        tests: usize,
        fresh: bool,
        subtract_init: bool,
    ) -> u64 {
        let size = size_of::<T>() as u64;
        let (m, p) = (width as u64, examples as u64);
        let state = m * (d as u64 + 1) * size;
        let copies = if fresh && subtract_init { 2 } else { 1 };
        let signs = if keeps_signs::<T>(unit, width, d, examples) {
            m.div_ceil(GROUP as u64) * p
        } else {
            0
        };
        let plan = Plan::new(width, examples, None);
        let outputs = plan.node_chunks() as u64 * p * 8;
        let gathered = 3 * p * d as u64 * size;
        state * copies
            + m * size
            + signs
            + outputs
            + gathered
            + tests as u64 * (d as u64 + 1) * size
    }

    fn current_weights(&self) -> Weights<'_, T> {
        Weights {
            a: &self.a,
            w: &self.w,
            d: self.d,
        }
    }

    fn outputs(&self, x: &[T], count: usize, cancel: &Cancel) -> Result<Vec<f64>> {
        let plan = Plan::new(self.a.len(), count, self.tile);
        Ok(forward(self.current_weights(), self.unit, x, &plan, false, cancel)?.output)
    }

    /// Batch, outputs and signs of the present step.
    fn prepare(&mut self, cancel: &Cancel) -> Result<()> {
        if self.current.is_some() {
            return Ok(());
        }
        let batch = match &self.examples {
            Examples::Fixed { .. } => None,
            Examples::Fresh { law, batch, seed } => {
                let mut x = zeros(batch * self.d, "the inputs of a batch")?;
                let mut y = zeros(*batch, "the labels of a batch")?;
                let stream = Stream::new(seed, Purpose::Sample);
                law.fill(
                    &stream,
                    self.step * *batch as u64,
                    &mut x,
                    &mut y,
                    false,
                    cancel,
                )?;
                Some(Test { x, y })
            }
        };
        let (x, y) = self.training_set(batch.as_ref());
        let plan = Plan::new(self.a.len(), y.len(), self.tile);
        let signs = keeps_signs::<T>(self.unit, self.a.len(), self.d, y.len());
        let mut forward = forward(self.current_weights(), self.unit, x, &plan, signs, cancel)?;
        let initial = match (&self.initial, &self.initial_output) {
            (Some((a, w)), _) => {
                let weights = Weights { a, w, d: self.d };
                Some(super::forward::forward(weights, self.unit, x, &plan, false, cancel)?.output)
            }
            (None, output) => output.clone(),
        };
        subtract(&mut forward.output, initial.as_deref());
        if forward.output.iter().any(|f| !f.is_finite()) {
            return Err(Error::Divergence(format!(
                "the network's output is not finite at step {}; take a smaller dt or beta",
                self.step
            )));
        }
        self.current = Some(Current { batch, forward });
        self.note_satisfied();
        Ok(())
    }

    /// Inputs and labels of the present step.
    fn training_set<'a>(&'a self, batch: Option<&'a Test<T>>) -> (&'a [T], &'a [T]) {
        match (&self.examples, batch) {
            (Examples::Fixed { x, y }, _) => (x, y),
            (Examples::Fresh { .. }, Some(batch)) => (&batch.x, &batch.y),
            (Examples::Fresh { .. }, None) => (&[], &[]),
        }
    }

    /// Remember which examples are satisfied for the first time at the present step.
    fn note_satisfied(&mut self) {
        let (Some(current), Examples::Fixed { y, .. }) = (&self.current, &self.examples) else {
            return;
        };
        for ((first, f), y) in self
            .first_satisfied
            .iter_mut()
            .zip(&current.forward.output)
            .zip(y)
        {
            let unsatisfied = self.rule.alpha * y.to_f64() * f < self.rule.h;
            if *first < 0 && !unsatisfied {
                *first = self.step as i64;
            }
        }
    }

    /// Take `steps` steps of size `dt`, fewer if nothing pulls any more.
    ///
    /// An interruption leaves the state of the last whole step.
    ///
    /// # Errors
    /// [`Error::Divergence`] when an output stops being finite, [`Error::Interrupted`].
    pub fn advance(&mut self, steps: u64, dt: f64, cancel: &Cancel) -> Result<()> {
        for _ in 0..steps {
            if self.finished {
                return Ok(());
            }
            self.prepare(cancel)?;
            cancel.check()?;
            self.take_step(dt);
        }
        Ok(())
    }

    fn take_step(&mut self, dt: f64) {
        let Some(current) = self.current.take() else {
            return;
        };
        let (x, y) = match (&self.examples, &current.batch) {
            (Examples::Fixed { x, y }, _) => (x, y),
            (Examples::Fresh { .. }, Some(batch)) => (&batch.x, &batch.y),
            (Examples::Fresh { .. }, None) => return,
        };
        let Rule { loss, alpha, h, .. } = self.rule;
        let pull: Vec<T> = current
            .forward
            .output
            .iter()
            .zip(y)
            .map(|(f, y)| {
                let label = y.to_f64();
                T::from_f64(label * loss.pull(h - alpha * label * f))
            })
            .collect();
        let fixed = matches!(self.examples, Examples::Fixed { .. });
        if fixed && pull.iter().all(|c| *c == T::ZERO) {
            self.finished = true;
            self.current = Some(current);
            return;
        }
        let descent = Descent {
            x,
            pull: &pull,
            rate: dt * self.rule.clock_rate() / y.len() as f64,
            unit: self.unit,
            plan: Plan::new(self.a.len(), y.len(), self.tile),
        };
        descent.descend(&mut self.a, &mut self.w, self.d, &current.forward);
        self.step += 1;
    }

    /// Measure now.
    ///
    /// # Errors
    /// As for [`Self::advance`].
    pub fn observe(&mut self, cancel: &Cancel) -> Result<Observation> {
        self.prepare(cancel)?;
        let train = self.current.as_ref().map(|current| {
            let y = self.training_set(current.batch.as_ref()).1;
            (self.score(&current.forward.output, y), y.len() as f64)
        });
        let (train, count) = train.unwrap_or((
            Score {
                unsatisfied: 0,
                wrong: 0,
                loss: 0.0,
            },
            1.0,
        ));
        let mut seen = Observation {
            gamma: self.fitted_gamma(),
            unsatisfied: train.unsatisfied as f64 / count,
            loss: train.loss / count,
            train_error: train.wrong as f64 / count,
            test_error: f64::NAN,
            test_unsatisfied: f64::NAN,
        };
        if let Some(test) = &self.test {
            let mut output = self.outputs(&test.x, test.y.len(), cancel)?;
            subtract(&mut output, self.initial_test_output.as_deref());
            let score = self.score(&output, &test.y);
            seen.test_error = score.wrong as f64 / test.y.len() as f64;
            seen.test_unsatisfied = score.unsatisfied as f64 / test.y.len() as f64;
        }
        Ok(seen)
    }

    fn score(&self, output: &[f64], y: &[T]) -> Score {
        let Rule {
            loss,
            alpha,
            h,
            exponent,
            ..
        } = self.rule;
        let scale = alpha.powf(-exponent);
        let mut score = Score {
            unsatisfied: 0,
            wrong: 0,
            loss: 0.0,
        };
        for (f, y) in output.iter().zip(y) {
            let agreement = y.to_f64() * f;
            score.unsatisfied += usize::from(alpha * agreement < h);
            score.wrong += usize::from(agreement <= 0.0);
            score.loss += scale * loss.value(h - alpha * agreement);
        }
        score
    }

    fn fitted_gamma(&self) -> f64 {
        let (mut cross, mut norm) = (0.0, 0.0);
        for ((start, a), w) in self
            .start
            .iter()
            .zip(&self.a)
            .zip(self.w.chunks_exact(self.d))
        {
            let start = start.to_f64();
            cross += start * (a.to_f64() + w[0].to_f64());
            norm += start * start;
        }
        (cross / norm).ln()
    }
}

/// Whether the signs of all activations are kept between the way forward and the way back: never more
/// than the weights themselves.
fn keeps_signs<T>(unit: Unit, width: usize, d: usize, examples: usize) -> bool {
    /// Always kept up to here.
    const SMALL: usize = 1 << 28;
    let bytes = width.div_ceil(GROUP).saturating_mul(examples);
    let state = width.saturating_mul(d + 1).saturating_mul(size_of::<T>());
    unit == Unit::Relu && bytes <= state.max(SMALL)
}

/// `output -= initial`, where there is an initial output to subtract.
fn subtract(output: &mut [f64], initial: Option<&[f64]>) {
    for (f, f0) in output.iter_mut().zip(initial.unwrap_or_default()) {
        *f -= f0;
    }
}

fn check_length(argument: &'static str, length: usize, expected: usize) -> Result<()> {
    if length == expected && length > 0 {
        return Ok(());
    }
    Err(Error::shape(
        argument,
        &[length],
        format!("must hold {expected} numbers (and at least one)"),
        "pass arrays of matching shapes",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labelled::{Linear, Shape};
    use crate::particles::initial::random_nodes;
    use crate::particles::rule::Loss;

    fn rule(loss: Loss) -> Rule {
        Rule {
            loss,
            alpha: 1.0,
            h: 0.3,
            beta: 0.5,
            exponent: 1.0,
            subtract_init: false,
        }
    }

    fn network(unit: Unit, loss: Loss, tile: Option<(usize, usize)>) -> Particles<f64> {
        let nodes = random_nodes::<f64>(&[1; 8], 61, 7, (1.0, 1.0, 0.0), &Cancel::new()).unwrap();
        let shape = Shape::Linear(Linear::Separable { sigma: 1.0 });
        let law = LabelledLaw::new(shape, 7, 0.1).unwrap();
        let (mut x, mut y) = (vec![0.0; 7 * 300], vec![0.0; 300]);
        let stream = Stream::new(&[2; 8], Purpose::Sample);
        law.fill(&stream, 0, &mut x, &mut y, false, &Cancel::new())
            .unwrap();
        let examples = Examples::Fixed { x, y };
        Particles::new(
            (nodes.a.to_vec(), nodes.w.into_iter().collect(), 7),
            unit,
            rule(loss),
            examples,
            None,
            tile,
            &Cancel::new(),
        )
        .unwrap()
    }

    /// The step is minus M beta times the gradient of the loss, by finite differences.
    #[test]
    fn a_step_is_the_gradient_of_the_loss() {
        let cancel = Cancel::new();
        for unit in [Unit::Relu, Unit::Erf, Unit::Tanh] {
            for loss in [Loss::Hinge, Loss::Squared, Loss::Logistic] {
                let start = network(unit, loss, None);
                let mut moved = start.clone();
                let dt = 1e-3;
                moved.advance(1, dt, &cancel).unwrap();
                let loss_of = |a: Vec<f64>, w: Vec<f64>| {
                    let mut twin = start.clone();
                    twin.restore(a, w, 0, vec![-1; 300]).unwrap();
                    twin.observe(&cancel).unwrap().loss
                };
                for k in [0, 13, 60] {
                    let gradient = |which: usize| {
                        let at = |sign: f64| {
                            let (mut a, mut w) = (start.a.clone(), start.w.clone());
                            if which == 0 {
                                a[k] += sign * 1e-5;
                            } else {
                                w[7 * k + which - 1] += sign * 1e-5;
                            }
                            loss_of(a, w)
                        };
                        (at(1.0) - at(-1.0)) / 2e-5
                    };
                    let scale = -0.5 * 61.0 * dt;
                    // Central differences of a loss of order one: 1e-16 / 1e-5 per unit of M.
                    let tolerance = 1e-8 * dt;
                    assert!((moved.a[k] - start.a[k] - scale * gradient(0)).abs() < tolerance);
                    for j in 0..7 {
                        let w = 7 * k + j;
                        assert!(
                            (moved.w[w] - start.w[w] - scale * gradient(j + 1)).abs() < tolerance
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn tiles_of_any_size_give_the_same_result() {
        let cancel = Cancel::new();
        for unit in [Unit::Relu, Unit::Tanh] {
            let mut reference = network(unit, Loss::Hinge, None);
            reference.advance(20, 1.0, &cancel).unwrap();
            for tile in [(8, 1), (16, 37), (64, 300), (8, 1000)] {
                let mut other = network(unit, Loss::Hinge, Some(tile));
                other.advance(20, 1.0, &cancel).unwrap();
                // The same sums in another order.
                assert!(
                    other
                        .w
                        .iter()
                        .zip(&reference.w)
                        .all(|(x, y)| (x - y).abs() < 1e-12)
                );
            }
        }
    }
}
