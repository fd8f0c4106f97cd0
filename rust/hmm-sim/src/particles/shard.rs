//! A part of a network's nodes, which may live on another machine than the rest.
//!
//! Nodes talk to each other through the outputs alone: one number per example. A step is a sum of what all shards give
//! to the outputs, and the nodes' moves once every shard knows it.
//!
//! ```
//! use hmm_core::{Activation, Cancel};
//! use hmm_sim::labelled::{LabelledLaw, Linear, Shape};
//! use hmm_sim::loss::ExampleLoss;
//! use hmm_sim::particles::initial::random_nodes;
//! use hmm_sim::particles::{Examples, LawBatches, Member, Particles, Rule, Setting, Shard};
//! use hmm_sim::stepper::{Stepper, Stretch};
//! let (d, cancel) = (5, Cancel::new());
//! let law = LabelledLaw::new(Shape::Linear(Linear::Separable { sigma: 1.0 }), d, 0.0)?;
//! let rule = Rule {
//!     loss: ExampleLoss::Squared,
//!     alpha: 1.0,
//!     h: 1.0,
//!     beta: 1.0,
//!     exponent: 1.0,
//!     subtract_init: false,
//! };
//! let setting = Setting { unit: Activation::Relu, rule, recorded: 0, tile: None };
//! let nodes = random_nodes::<f64>(&[1; 8], 20, d, (1.0, 1.0, 0.0), &cancel)?;
//! let examples = || Examples::Fresh { stream: Box::new(LawBatches { law, seed: [2; 8] }), batch: 30 };
//! // One shard of all nodes moves as the network does, to the bit.
//! let mut whole = Particles::new(nodes.a.clone(), nodes.w.clone(), examples(), None, setting, &cancel)?;
//! whole.advance(&Stretch::steps(3), &cancel)?;
//! let mut shard = Shard::new(nodes.a, nodes.w, 20, examples(), None, setting)?;
//! for step in 0..3 {
//!     let outputs = shard.contribution(&cancel)?;
//!     shard.advance(step, &outputs, 1.0, &cancel)?;
//! }
//! assert_eq!(shard.stepper().snapshot(), whole.snapshot());
//! # Ok::<(), hmm_core::Error>(())
//! ```

use super::Particles;
use super::examples::{Examples, Labelled};
use super::network::{Reading, Setting};
use crate::stepper::Stepper;
use hmm_core::{Cancel, Entry, Error, Real, Result, Table};
use ndarray::{Array1, Array2};

/// Some nodes of a network in training.
pub struct Shard<T> {
    nodes: Particles<T>,
}

impl<T: Real> Shard<T> {
    /// Nodes with output weights `a`, shape (m,), and input weights `w`, shape (m, d), of a network of `whole` nodes.
    ///
    /// # Errors
    /// As of [`Particles::new`].
    pub fn new(
        a: Array1<T>,
        w: Array2<T>,
        whole: usize,
        examples: Examples<T>,
        test: Option<Labelled<T>>,
        setting: Setting,
    ) -> Result<Self> {
        if whole < a.len() {
            return Err(Error::invalid(
                "whole",
                whole,
                format!("must be at least the number of nodes at hand, {}", a.len()),
                "pass the number of all nodes",
            ));
        }
        let nodes = Particles::part(a, w, whole, examples, test, setting)?;
        Ok(Self { nodes })
    }
}

/// What shards of any precision do. Sums are over all shards of a network.
pub trait Member: Send {
    /// What the nodes give to the initial outputs on fixed examples and, behind them, on the test set; nothing where
    /// no initial output is subtracted. To be asked before the first step.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    fn initial(&self, cancel: &Cancel) -> Result<Vec<f64>>;

    /// The sum of all [`Self::initial`].
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of numbers.
    fn begin(&mut self, sum: &[f64]) -> Result<()>;

    /// What the nodes give to the outputs of the present step and, behind them, to the initial outputs on a fresh batch
    /// where those are subtracted.
    ///
    /// # Errors
    /// [`Error::Interrupted`], and what the maker of the examples raises.
    fn contribution(&mut self, cancel: &Cancel) -> Result<Vec<f64>>;

    /// Take step number `step` of size `dt`, given the sum of all [`Self::contribution`]; a step that was taken
    /// already is not taken again, one that was interrupted is finished. With fixed examples of which none pulls, note
    /// that the run is over.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of numbers, [`Error::InvalidParameter`] for another step than the next one,
    /// [`Error::Divergence`], [`Error::Interrupted`].
    fn advance(&mut self, step: u64, sum: &[f64], dt: f64, cancel: &Cancel) -> Result<()>;

    /// What the nodes give to a measurement: two overlaps, and outputs on the test set behind them.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    fn reading(&mut self, cancel: &Cancel) -> Result<Vec<f64>>;

    /// What is measured now, given the sums of all [`Self::contribution`] and of all [`Self::reading`].
    ///
    /// # Errors
    /// [`Error::Shape`] for other numbers of numbers, [`Error::Divergence`].
    fn seen(&mut self, sum: &[f64], reading: &[f64], cancel: &Cancel) -> Result<Table>;

    /// The shard's clock, questions, state and memory. It takes no steps by itself.
    fn stepper(&mut self) -> &mut dyn Stepper;
}

impl<T: Real + Entry> Shard<T> {
    /// Take in the outputs of the whole network.
    fn learn(&mut self, sum: &[f64], cancel: &Cancel) -> Result<()> {
        self.nodes.contribute(cancel)?;
        if self.nodes.is_complete() {
            return Ok(());
        }
        let (outputs, before) = self.nodes.contribution();
        expect("sum", sum.len(), outputs.len() + before.len())?;
        let (output, earlier) = sum.split_at(outputs.len());
        let earlier = (!earlier.is_empty()).then_some(earlier);
        self.nodes.complete(output.to_vec(), earlier)
    }
}

impl<T: Real + Entry> Member for Shard<T> {
    fn initial(&self, cancel: &Cancel) -> Result<Vec<f64>> {
        if !self.nodes.subtracts() {
            return Ok(Vec::new());
        }
        let outputs = self.nodes.initial_outputs(cancel)?;
        Ok(outputs.into_iter().flatten().flatten().collect())
    }

    fn begin(&mut self, sum: &[f64]) -> Result<()> {
        if !self.nodes.subtracts() {
            return expect("sum", sum.len(), 0);
        }
        let [fixed, tests] = self.nodes.counts();
        expect("sum", sum.len(), fixed + tests)?;
        let (train, test) = sum.split_at(fixed);
        let some = |outputs: &[f64]| (!outputs.is_empty()).then(|| outputs.to_vec());
        self.nodes.remember(some(train), some(test));
        Ok(())
    }

    fn contribution(&mut self, cancel: &Cancel) -> Result<Vec<f64>> {
        self.nodes.finish_step(cancel)?;
        self.nodes.contribute(cancel)?;
        let (outputs, before) = self.nodes.contribution();
        Ok([outputs, before].concat())
    }

    fn advance(&mut self, step: u64, sum: &[f64], dt: f64, cancel: &Cancel) -> Result<()> {
        super::positive("dt", dt)?;
        if self.nodes.finished || self.nodes.step == step + 1 {
            return Ok(());
        }
        if self.nodes.step != step {
            return Err(Error::invalid(
                "step",
                step,
                format!("this shard is at step {}", self.nodes.step),
                "take steps one after the other",
            ));
        }
        if self.nodes.pending.is_none() {
            self.learn(sum, cancel)?;
            self.nodes.anchor(dt);
        }
        self.nodes.take_step(dt, cancel)
    }

    fn reading(&mut self, cancel: &Cancel) -> Result<Vec<f64>> {
        self.nodes.finish_step(cancel)?;
        let Reading { overlaps, test } = self.nodes.reading(cancel)?;
        Ok([&overlaps[..], test.as_deref().unwrap_or_default()].concat())
    }

    fn seen(&mut self, sum: &[f64], reading: &[f64], cancel: &Cancel) -> Result<Table> {
        self.nodes.finish_step(cancel)?;
        self.learn(sum, cancel)?;
        let [_, tests] = self.nodes.counts();
        match reading {
            [cross, norm, outputs @ ..] if outputs.len() == tests => self.nodes.seen(Reading {
                overlaps: [*cross, *norm],
                test: (tests > 0).then(|| outputs.to_vec()),
            }),
            _ => expect("reading", reading.len(), tests + 2).map(|()| Table::new()),
        }
    }

    fn stepper(&mut self) -> &mut dyn Stepper {
        &mut self.nodes
    }
}

fn expect(argument: &'static str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::shape(
        argument,
        &[found],
        format!("must be the sum of what shards of this run give, {expected} numbers"),
        "pass that",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::ExampleLoss;
    use crate::particles::Rule;
    use crate::particles::initial::Drawing;
    use crate::stepper::Stretch;
    use hmm_core::Activation;

    const WIDTH: usize = 37;
    const D: usize = 5;

    fn examples() -> Labelled<f64> {
        let number = |n: usize, j: usize| (1.0 + 12.9898 * (n * D + j) as f64).sin();
        let x = Array2::from_shape_fn((40, D), |(n, j)| number(n, j));
        let y = x.column(0).mapv(f64::signum);
        Labelled::new(x, y).unwrap()
    }

    fn setting(subtract_init: bool) -> Setting {
        Setting {
            unit: Activation::Relu,
            rule: Rule {
                loss: ExampleLoss::Hinge,
                alpha: 1.0,
                h: 1.0,
                beta: 1.0,
                exponent: 1.0,
                subtract_init,
            },
            recorded: 0,
            tile: None,
        }
    }

    fn shards(cuts: &[usize], setting: Setting) -> Vec<Shard<f64>> {
        let drawing = Drawing {
            seed: [4; 8],
            width: WIDTH,
            d: D,
            scales: (1.0, 1.0, 0.0),
            pairing: None,
        };
        let make = |range| {
            let nodes = drawing.nodes(range, &Cancel::new()).unwrap();
            let fixed = Examples::Fixed(examples());
            Shard::new(nodes.a, nodes.w, WIDTH, fixed, Some(examples()), setting).unwrap()
        };
        cuts.windows(2).map(|cut| make(cut[0]..cut[1])).collect()
    }

    fn summed(parts: impl Iterator<Item = Vec<f64>>) -> Vec<f64> {
        parts
            .reduce(|sum, part| sum.iter().zip(&part).map(|(s, p)| s + p).collect())
            .unwrap()
    }

    #[test]
    fn shards_move_as_the_whole() {
        let cancel = Cancel::new();
        for subtract_init in [false, true] {
            let setting = setting(subtract_init);
            let whole = shards(&[0, WIDTH], setting).remove(0).nodes;
            let (a, w) = (
                whole.a,
                Array2::from_shape_vec((WIDTH, D), whole.w).unwrap(),
            );
            let fixed = Examples::Fixed(examples());
            let mut whole = Particles::new(
                Array1::from(a),
                w,
                fixed,
                Some(examples()),
                setting,
                &cancel,
            )
            .unwrap();
            let mut parts = shards(&[0, 9, 20, WIDTH], setting);
            let begin = summed(parts.iter().map(|part| part.initial(&cancel).unwrap()));
            for part in &mut parts {
                part.begin(&begin).unwrap();
            }
            whole.advance(&Stretch::steps(6), &cancel).unwrap();
            for step in 0..6 {
                let sum = summed(
                    parts
                        .iter_mut()
                        .map(|part| part.contribution(&cancel).unwrap()),
                );
                for part in &mut parts {
                    part.advance(step, &sum, 1.0, &cancel).unwrap();
                    // A step is taken once, however often it is asked for; none is skipped.
                    part.advance(step, &sum, 1.0, &cancel).unwrap();
                    assert!(part.advance(step + 2, &sum, 1.0, &cancel).is_err());
                }
            }
            let sum = summed(
                parts
                    .iter_mut()
                    .map(|part| part.contribution(&cancel).unwrap()),
            );
            let reading = summed(parts.iter_mut().map(|part| part.reading(&cancel).unwrap()));
            let seen = whole.observe(&cancel).unwrap();
            for part in &mut parts {
                let mine = part.seen(&sum, &reading, &cancel).unwrap();
                for name in ["gamma", "loss", "unsatisfied", "test_error"] {
                    let (one, other) = (
                        mine.number::<f64>(name).unwrap(),
                        seen.number::<f64>(name).unwrap(),
                    );
                    // The same sums in another order.
                    assert!((one - other).abs() < 1e-12, "{name}");
                }
                assert!(part.seen(&sum, &reading[1..], &cancel).is_err());
                assert!(part.begin(&[0.0]).is_err());
            }
            let moved = parts.iter().flat_map(|part| &part.nodes.w);
            assert!(moved.zip(&whole.w).all(|(x, y)| (x - y).abs() < 1e-12));
        }
    }
}
