//! A network in training: its weights, its examples, and one step.

use super::backward::Descent;
use super::examples::{Examples, Labelled, row_major};
use super::forward::{Forward, Weights, forward, keeps_signs};
use super::measure::{Score, overlaps};
use super::plan::Plan;
use super::positive;
use super::rule::{self, Rule};
use super::sizes::Sizes;
use super::stepper::Anchor;
use hmm_core::{Activation, Cancel, Error, Real, Result, memory};
use ndarray::{Array1, Array2};

/// What a run is made with beside its weights and examples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// Activation of the nodes, one of [`rule::UNITS`].
    pub unit: Activation,
    /// How they learn.
    pub rule: Rule,
    /// Nodes that are recorded, from the first on.
    pub recorded: usize,
    /// (nodes, examples) of a tile of the products; None: what suits a common cache.
    pub tile: Option<(usize, usize)>,
}

/// A network in training.
pub struct Particles<T> {
    pub(super) a: Vec<T>,
    pub(super) w: Vec<T>,
    pub(super) d: usize,
    /// Nodes of the whole network, of which these may be a part.
    whole: usize,
    pub(super) recorded: usize,
    unit: Activation,
    rule: Rule,
    examples: Examples<T>,
    test: Option<Labelled<T>>,
    /// `a0 + w0_par`.
    pub(super) start: Vec<T>,
    /// Initial weights, where the initial output of new examples is needed.
    initial: Option<(Vec<T>, Vec<T>)>,
    /// Initial output on fixed examples and on the test set.
    initial_output: Option<Vec<f64>>,
    initial_test_output: Option<Vec<f64>>,
    tile: Option<(usize, usize)>,
    pub(super) step: u64,
    pub(super) anchor: Anchor,
    /// Step at which each fixed example was first satisfied; -1 for not yet.
    pub(super) first_satisfied: Vec<i64>,
    /// No example pulls any more.
    pub(super) finished: bool,
    /// The batch and outputs of the present step, once they are known.
    pub(super) current: Option<Current<T>>,
    /// A step that an interruption left half done.
    pub(super) pending: Option<Pending<T>>,
}

/// What belongs to the present step.
pub(super) struct Current<T> {
    /// The fresh batch, if the data are not fixed.
    batch: Option<Labelled<T>>,
    /// What the nodes at hand give to the outputs.
    forward: Forward,
    /// The same before the first step, where that is subtracted from a fresh batch's outputs.
    before: Option<Vec<f64>>,
    /// Outputs of the whole network, minus its initial ones where they are subtracted; None until they are known.
    output: Option<Vec<f64>>,
}

/// What is summed over all nodes for a measurement.
pub(super) struct Reading {
    /// [`overlaps`].
    pub(super) overlaps: [f64; 2],
    /// Outputs on the test set.
    pub(super) test: Option<Vec<f64>>,
}

/// A step under way: what pulls, how fast, and which node chunks have moved.
pub(super) struct Pending<T> {
    pull: Vec<T>,
    rate: f64,
    done: Vec<bool>,
}

impl<T: Real> Particles<T> {
    /// A network with output weights `a`, shape (M,), and input weights `w`, shape (M, d), before its first step.
    ///
    /// # Errors
    /// [`Error::Shape`] for shapes that disagree, [`Error::InvalidParameter`] for weights or scales that are not finite
    /// and for another unit, [`Error::Resource`] for a run that does not fit, [`Error::Interrupted`].
    pub fn new(
        a: Array1<T>,
        w: Array2<T>,
        examples: Examples<T>,
        test: Option<Labelled<T>>,
        setting: Setting,
        cancel: &Cancel,
    ) -> Result<Self> {
        let whole = a.len();
        let mut network = Self::part(a, w, whole, examples, test, setting)?;
        if setting.rule.subtract_init {
            let [train, test] = network.initial_outputs(cancel)?;
            network.remember(train, test);
        }
        Ok(network)
    }

    /// Some nodes of a network of `whole` nodes, whose initial outputs are not known yet.
    pub(super) fn part(
        a: Array1<T>,
        w: Array2<T>,
        whole: usize,
        examples: Examples<T>,
        test: Option<Labelled<T>>,
        setting: Setting,
    ) -> Result<Self> {
        let Setting {
            unit,
            rule,
            recorded,
            tile,
        } = setting;
        rule::unit(unit)?;
        let (width, d) = w.dim();
        if a.len() != width || w.is_empty() {
            return Err(Error::shape(
                "w",
                w.shape(),
                format!("must have one row for each of {} output weights", a.len()),
                "pass arrays of matching shapes",
            ));
        }
        for (argument, finite) in [
            ("a", a.iter().all(|a| a.finite())),
            ("w", w.iter().all(|w| w.finite())),
        ] {
            if !finite {
                return Err(Error::invalid(
                    argument,
                    "an array",
                    format!("holds numbers that {} does not", T::NAME),
                    "scale the weights down, or use float64",
                ));
            }
        }
        positive("beta alpha^(1-p)", rule.clock_rate())?;
        positive("alpha^-p", rule.alpha.powf(-rule.exponent))?;
        let fixed = match &examples {
            Examples::Fixed(fixed) => {
                check_inputs("X", fixed.x.len() / fixed.len(), d)?;
                fixed.len()
            }
            Examples::Fresh { stream, batch } => {
                check_inputs("data", stream.inputs(), d)?;
                if *batch == 0 {
                    return Err(Error::invalid(
                        "batch",
                        0,
                        "must be at least 1",
                        "pass more",
                    ));
                }
                0
            }
        };
        if let Some(test) = &test {
            check_inputs("X_test", test.x.len() / test.len(), d)?;
        }
        let (a, w) = (row_major(a), row_major(w));
        let start = a.iter().zip(w.iter().step_by(d)).map(|(a, w)| *a + *w);
        let fresh = matches!(examples, Examples::Fresh { .. });
        Ok(Self {
            start: start.collect(),
            initial: (rule.subtract_init && fresh).then(|| (a.clone(), w.clone())),
            a,
            w,
            d,
            whole,
            recorded,
            unit,
            rule,
            examples,
            test,
            initial_output: None,
            initial_test_output: None,
            tile,
            step: 0,
            anchor: Anchor::default(),
            first_satisfied: memory::filled(-1, fixed, "the record of examples", "use fewer")?,
            finished: false,
            current: None,
            pending: None,
        })
    }

    /// What these nodes give now to the outputs on fixed examples and on the test set.
    pub(super) fn initial_outputs(&self, cancel: &Cancel) -> Result<[Option<Vec<f64>>; 2]> {
        let of = |examples: Option<&Labelled<T>>| {
            let outputs = examples.map(|examples| self.outputs(examples, cancel));
            outputs.transpose()
        };
        Ok([
            of(training_set(&self.examples, None))?,
            of(self.test.as_ref())?,
        ])
    }

    /// The initial outputs of the whole network are these.
    pub(super) fn remember(&mut self, train: Option<Vec<f64>>, test: Option<Vec<f64>>) {
        self.initial_output = train;
        self.initial_test_output = test;
    }

    /// Numbers of fixed examples and of test examples.
    pub(super) fn counts(&self) -> [usize; 2] {
        [
            training_set(&self.examples, None).map_or(0, Labelled::len),
            self.test.as_ref().map_or(0, Labelled::len),
        ]
    }

    /// Whether the initial output is subtracted.
    pub(super) fn subtracts(&self) -> bool {
        self.rule.subtract_init
    }

    /// Sizes that decide what the run takes.
    pub(super) fn sizes(&self) -> Sizes {
        Sizes {
            width: self.a.len(),
            d: self.d,
            unit: self.unit,
            examples: self.examples.count(),
            tests: self.test.as_ref().map_or(0, Labelled::len),
            fresh: matches!(self.examples, Examples::Fresh { .. }),
            subtract_init: self.rule.subtract_init,
            tile: self.tile,
        }
    }

    fn plan(&self, examples: usize) -> Plan {
        Plan::new(self.a.len(), examples, self.tile)
    }

    fn outputs(&self, examples: &Labelled<T>, cancel: &Cancel) -> Result<Vec<f64>> {
        let (x, plan) = (&examples.x, self.plan(examples.len()));
        let weights = Weights {
            a: &self.a,
            w: &self.w,
            d: self.d,
        };
        Ok(forward(weights, self.unit, self.whole, x, &plan, false, cancel)?.output)
    }

    /// Batch, outputs and signs of the present step, where these nodes are the whole network.
    pub(super) fn prepare(&mut self, cancel: &Cancel) -> Result<()> {
        self.contribute(cancel)?;
        match &self.current {
            Some(Current {
                forward,
                before,
                output: None,
                ..
            }) => {
                let (output, before) = (forward.output.clone(), before.clone());
                self.complete(output, before.as_deref())
            }
            _ => Ok(()),
        }
    }

    /// Batch and signs of the present step, and what these nodes give to its outputs.
    pub(super) fn contribute(&mut self, cancel: &Cancel) -> Result<()> {
        if self.current.is_some() {
            return Ok(());
        }
        let batch = self.examples.draw(self.step, self.d, cancel)?;
        let Some(examples) = training_set(&self.examples, batch.as_ref()) else {
            return Ok(());
        };
        let plan = self.plan(examples.len());
        let signs = keeps_signs::<T>(self.unit, self.a.len(), self.d, examples.len());
        let network = |a, w, signs| {
            let (weights, x) = (Weights { a, w, d: self.d }, &examples.x);
            forward(weights, self.unit, self.whole, x, &plan, signs, cancel)
        };
        let now = network(&self.a, &self.w, signs)?;
        let before = match &self.initial {
            Some((a, w)) => Some(network(a, w, false)?.output),
            None => None,
        };
        self.current = Some(Current {
            batch,
            forward: now,
            before,
            output: None,
        });
        Ok(())
    }

    /// What these nodes give to the outputs of the present step, and gave before the first one where that counts.
    pub(super) fn contribution(&self) -> (&[f64], &[f64]) {
        match &self.current {
            Some(now) => (&now.forward.output, now.before.as_deref().unwrap_or(&[])),
            None => (&[], &[]),
        }
    }

    /// Whether the outputs of the present step are known.
    pub(super) fn is_complete(&self) -> bool {
        self.current
            .as_ref()
            .is_some_and(|now| now.output.is_some())
    }

    /// The outputs of the whole network in the present step are these, and were `before` the first one.
    pub(super) fn complete(&mut self, mut output: Vec<f64>, before: Option<&[f64]>) -> Result<()> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        subtract(&mut output, before.or(self.initial_output.as_deref()));
        if output.iter().any(|f| !f.is_finite()) {
            return Err(Error::Divergence(format!(
                "the network's output is not finite at step {}; take a smaller dt or beta",
                self.step
            )));
        }
        if let (None, Examples::Fixed(examples)) = (&current.batch, &self.examples) {
            // Remember which examples are satisfied for the first time now.
            let outputs = output.iter().zip(&examples.y);
            for (first, (f, y)) in self.first_satisfied.iter_mut().zip(outputs) {
                if *first < 0 && self.rule.deficit(y.to_f64(), *f) <= 0.0 {
                    *first = self.step as i64;
                }
            }
        }
        current.output = Some(output);
        Ok(())
    }

    /// Take one step of size `dt`, or finish the one that is under way; with fixed examples of which none pulls, note
    /// that the run is over.
    ///
    /// An interruption on the way forward leaves the state of the last whole step, one on the way back a step that any
    /// later call finishes first.
    pub(super) fn take_step(&mut self, dt: f64, cancel: &Cancel) -> Result<()> {
        if self.pending.is_none() {
            self.prepare(cancel)?;
            let Some(current) = &self.current else {
                return Ok(());
            };
            let Some(output) = &current.output else {
                return Ok(());
            };
            let Some(examples) = training_set(&self.examples, current.batch.as_ref()) else {
                return Ok(());
            };
            let outputs = output.iter().zip(&examples.y);
            let pull = |(f, y): (&f64, &T)| {
                let label = y.to_f64();
                T::from_f64(label * self.rule.loss.pull(self.rule.deficit(label, *f)))
            };
            let pull: Vec<T> = outputs.map(pull).collect();
            if current.batch.is_none() && pull.iter().all(|c| *c == T::ZERO) {
                self.finished = true;
                return Ok(());
            }
            let count = examples.len();
            self.pending = Some(Pending {
                pull,
                rate: dt * self.rule.clock_rate() / count as f64,
                done: vec![false; self.plan(count).node_chunks()],
            });
        }
        self.finish_step(cancel)
    }

    /// Move the nodes that the step under way has not moved yet.
    pub(super) fn finish_step(&mut self, cancel: &Cancel) -> Result<()> {
        let (Some(pending), Some(current)) = (&mut self.pending, &self.current) else {
            return Ok(());
        };
        let Some(examples) = training_set(&self.examples, current.batch.as_ref()) else {
            return Ok(());
        };
        let descent = Descent {
            x: &examples.x,
            pull: &pending.pull,
            rate: pending.rate,
            unit: self.unit,
            plan: Plan::new(self.a.len(), examples.len(), self.tile),
        };
        let (a, w) = (&mut self.a, &mut self.w);
        descent.descend(a, w, self.d, &current.forward, &mut pending.done, cancel)?;
        self.pending = None;
        self.current = None;
        self.step += 1;
        Ok(())
    }

    /// Averages over the examples of the present step.
    pub(super) fn training_score(&self) -> Score {
        let Some(current) = &self.current else {
            return Score::default();
        };
        let (examples, output) = (
            training_set(&self.examples, current.batch.as_ref()),
            current.output.as_deref(),
        );
        match (examples, output) {
            (Some(examples), Some(output)) => self.rule.score(output, &examples.y),
            _ => Score::default(),
        }
    }

    /// What these nodes give to a measurement.
    pub(super) fn reading(&self, cancel: &Cancel) -> Result<Reading> {
        let test = self.test.as_ref().map(|test| self.outputs(test, cancel));
        Ok(Reading {
            overlaps: overlaps(&self.start, &self.a, &self.w, cancel)?,
            test: test.transpose()?,
        })
    }

    /// Averages over the test set, on which the whole network has these outputs.
    pub(super) fn test_score(&self, mut output: Vec<f64>) -> Option<Score> {
        let test = self.test.as_ref()?;
        subtract(&mut output, self.initial_test_output.as_deref());
        Some(self.rule.score(&output, &test.y))
    }
}

/// The examples of a step: the fixed ones or its batch.
fn training_set<'a, T>(
    examples: &'a Examples<T>,
    batch: Option<&'a Labelled<T>>,
) -> Option<&'a Labelled<T>> {
    match examples {
        Examples::Fixed(fixed) => Some(fixed),
        Examples::Fresh { .. } => batch,
    }
}

/// `output -= initial`, where there is an initial output to subtract.
fn subtract(output: &mut [f64], initial: Option<&[f64]>) {
    for (f, f0) in output.iter_mut().zip(initial.unwrap_or_default()) {
        *f -= f0;
    }
}

fn check_inputs(argument: &'static str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::shape(
        argument,
        &[found],
        format!("must have {expected} inputs, as many as the network"),
        "pass data of the network's dimension",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::ExampleLoss;
    use crate::stepper::{Stepper, Stretch};
    use hmm_core::{Column, Table};

    const D: usize = 7;
    const EXAMPLES: usize = 300;

    fn setting(unit: Activation, loss: ExampleLoss, tile: Option<(usize, usize)>) -> Setting {
        Setting {
            unit,
            rule: Rule {
                loss,
                alpha: 1.0,
                h: 0.3,
                beta: 0.5,
                exponent: 1.0,
                subtract_init: false,
            },
            recorded: 5,
            tile,
        }
    }

    /// Numbers without order, between -1.5 and 1.5.
    fn scattered(count: usize, seed: f64) -> Vec<f64> {
        let number = |k: usize| (seed + 12.9898 * k as f64).sin() * 43_758.545;
        (0..count)
            .map(|k| 3.0 * (number(k) - number(k).floor()) - 1.5)
            .collect()
    }

    fn network_of(width: usize, setting: Setting) -> Particles<f64> {
        let matrix = |rows: usize, seed| {
            Array2::from_shape_vec((rows, D), scattered(rows * D, seed)).unwrap()
        };
        let x = matrix(EXAMPLES, 2.0);
        // One label in nine is wrong.
        let y = x.column(0).into_iter().enumerate();
        let y = y.map(|(n, x)| if n % 9 == 0 { -x.signum() } else { x.signum() });
        let examples = Labelled::new(x.clone(), y.collect()).unwrap();
        let a = Array1::from(scattered(width, 1.0));
        let examples = Examples::Fixed(examples);
        Particles::new(
            a,
            matrix(width, 3.0),
            examples,
            None,
            setting,
            &Cancel::new(),
        )
        .unwrap()
    }

    fn network(
        unit: Activation,
        loss: ExampleLoss,
        tile: Option<(usize, usize)>,
    ) -> Particles<f64> {
        network_of(61, setting(unit, loss, tile))
    }

    fn step(network: &mut Particles<f64>, steps: u64, dt: f64) {
        let stretch = Stretch {
            dt,
            ..Stretch::steps(steps)
        };
        network.advance(&stretch, &Cancel::new()).unwrap();
    }

    /// The step is minus M beta times the gradient of the loss, by finite differences.
    #[test]
    fn a_step_is_the_gradient_of_the_loss() {
        let cancel = Cancel::new();
        for unit in rule::UNITS {
            for loss in [
                ExampleLoss::Hinge,
                ExampleLoss::Squared,
                ExampleLoss::Logistic,
            ] {
                let start = network(unit, loss, None);
                let mut moved = network(unit, loss, None);
                let dt = 1e-3;
                step(&mut moved, 1, dt);
                let mut twin = network(unit, loss, None);
                let mut loss_of = |a: &[f64], w: &[f64]| {
                    twin.a.copy_from_slice(a);
                    twin.w.copy_from_slice(w);
                    twin.current = None;
                    let seen = twin.observe(&cancel).unwrap();
                    seen.number::<f64>("loss").unwrap()
                };
                for k in [0, 13, 60] {
                    let mut gradient = |which: usize| {
                        let mut at = |sign: f64| {
                            let (mut a, mut w) = (start.a.clone(), start.w.clone());
                            if which == 0 {
                                a[k] += sign * 1e-5;
                            } else {
                                w[D * k + which - 1] += sign * 1e-5;
                            }
                            loss_of(&a, &w)
                        };
                        (at(1.0) - at(-1.0)) / 2e-5
                    };
                    let scale = -0.5 * 61.0 * dt;
                    // Central differences of a loss of order one: 1e-16 / 1e-5 per unit of M.
                    let tolerance = 1e-8 * dt;
                    assert!((moved.a[k] - start.a[k] - scale * gradient(0)).abs() < tolerance);
                    for j in 0..D {
                        let w = D * k + j;
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
        for unit in [Activation::Relu, Activation::Tanh] {
            let mut reference = network(unit, ExampleLoss::Hinge, None);
            step(&mut reference, 20, 1.0);
            for tile in [(8, 1), (16, 37), (64, 300), (8, 1000)] {
                let mut other = network(unit, ExampleLoss::Hinge, Some(tile));
                step(&mut other, 20, 1.0);
                // The same sums in another order.
                let pairs = other.w.iter().zip(&reference.w);
                assert!(pairs.into_iter().all(|(x, y)| (x - y).abs() < 1e-12));
            }
        }
    }

    /// However often a step is interrupted, and wherever: it ends in the same state.
    #[test]
    fn an_interrupted_step_is_finished_by_the_next_call() {
        let make = || {
            // 40 node chunks of one tile: they move independently of each other.
            network_of(
                320,
                setting(Activation::Relu, ExampleLoss::Hinge, Some((8, 16))),
            )
        };
        let mut whole = make();
        step(&mut whole, 3, 0.7);
        let mut broken = make();
        let mut halves = 0;
        for microseconds in (0..400).cycle().step_by(7) {
            let cancel = Cancel::new();
            let stretch = Stretch {
                dt: 0.7,
                until_step: 3,
                ..Stretch::steps(u64::MAX)
            };
            let outcome = std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(std::time::Duration::from_micros(microseconds));
                    cancel.raise();
                });
                broken.advance(&stretch, &cancel)
            });
            halves += usize::from(broken.pending.is_some());
            if matches!(outcome, Ok(true)) {
                break;
            }
            assert!(matches!(outcome, Err(Error::Interrupted)));
        }
        assert_eq!(broken.step, 3, "{halves} halves");
        assert_eq!(broken.snapshot(), whole.snapshot());

        // Half a step done by hand: the rest is done before anything is seen.
        let (mut half, mut straight) = (make(), make());
        half.prepare(&Cancel::new()).unwrap();
        let raised = Cancel::new();
        raised.raise();
        assert!(half.take_step(0.7, &raised).is_err() && half.pending.is_some());
        assert_eq!(half.step, 0);
        half.settle(&Cancel::new()).unwrap();
        step(&mut straight, 1, 0.7);
        assert_eq!((&half.a, &half.w), (&straight.a, &straight.w));
        assert_eq!(half.step, 1);
    }

    #[test]
    fn a_state_goes_out_and_in_exactly() {
        let mut one = network(Activation::Relu, ExampleLoss::Hinge, None);
        step(&mut one, 5, 0.1);
        step(&mut one, 3, 0.3);
        let state = one.snapshot();
        assert_eq!(one.clock().t, 5.0 * 0.1 + 3.0 * 0.3);
        let mut two = network(Activation::Relu, ExampleLoss::Hinge, None);
        two.restore(&state, &Cancel::new()).unwrap();
        step(&mut one, 4, 0.3);
        step(&mut two, 4, 0.3);
        assert_eq!(one.snapshot(), two.snapshot());
        for (name, column) in [
            ("a", Column::from(vec![0.0_f64; 3])),
            ("w", Column::from(vec![0.0_f32; 3])),
            ("dt", Column::from(f64::NAN)),
            ("anchor_step", Column::from(99_u64)),
            ("first", Column::from(vec![0_i64])),
        ] {
            let damaged: Table = state
                .iter()
                .map(|(known, value)| {
                    let value = if known == name { &column } else { value };
                    (known.to_owned(), value.clone())
                })
                .collect();
            assert!(two.restore(&damaged, &Cancel::new()).is_err(), "{name}");
        }
    }

    #[test]
    fn what_is_not_finite_is_refused_or_seen() {
        let cancel = Cancel::new();
        let setting = setting(Activation::Relu, ExampleLoss::Hinge, None);
        let labelled = || {
            let x = Array2::<f64>::ones((3, 2));
            Examples::Fixed(Labelled::new(x, Array1::ones(3)).unwrap())
        };
        let (a, mut w) = (Array1::<f64>::ones(4), Array2::<f64>::ones((4, 2)));
        w[[1, 1]] = f64::INFINITY;
        assert!(Particles::new(a.clone(), w, labelled(), None, setting, &cancel).is_err());
        let other = Setting {
            unit: Activation::Sigmoid,
            ..setting
        };
        let w = Array2::ones((4, 2));
        let refused = Particles::new(a, w, labelled(), None, other, &cancel).err();
        assert!(refused.unwrap().to_string().contains("'sigmoid'"));
        let mut network = network(Activation::Relu, ExampleLoss::Hinge, None);
        // An overflow that the output does not show: the weight of a node that is silent everywhere afterwards.
        let stretch = Stretch {
            dt: 1e308,
            ..Stretch::steps(3)
        };
        let outcome = network.advance(&stretch, &cancel);
        assert!(matches!(outcome, Err(Error::Divergence(_))));
    }

    #[test]
    fn the_estimate_is_what_the_run_says() {
        let network = network(Activation::Relu, ExampleLoss::Hinge, None);
        let sizes = network.sizes();
        assert_eq!(network.memory(2), sizes.bytes::<f64>(2));
        let held = (network.w.len() + network.a.len() + EXAMPLES * (D + 1)) * size_of::<f64>();
        assert!(network.memory(1) > held as u64);
        let huge = Sizes {
            width: usize::MAX,
            d: usize::MAX,
            ..sizes
        };
        assert_eq!(huge.bytes::<f64>(1), u64::MAX);
    }
}
