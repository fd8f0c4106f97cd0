//! What learns, and by which rule.

use crate::activation::CLOSED;
use crate::fields::{check_layers, narrowed};
use hmm_core::{Activation, Aligned, Named, Real, Result, Schedule};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use std::borrow::Cow;
use std::ops::Range;

/// Learning rule. The rates are those of a step by its time t = step / N.
#[derive(Debug, Clone)]
pub struct Rule {
    /// η, rate of the first layer.
    pub lr: Schedule,
    /// η_v, rate of the second layer; ignored unless it is trained.
    pub lr_v: Schedule,
    /// Whether the second layer is trained.
    pub train_second_layer: bool,
    /// σ, standard deviation of the noise on training labels.
    pub noise: Schedule,
    /// κ, weight decay.
    pub weight_decay: Schedule,
    /// Samples a step.
    pub batch: usize,
}

impl Rule {
    /// Refuse schedules that cannot be.
    pub(super) fn check(&self) -> Result<()> {
        self.lr.check("lr")?;
        self.lr_v.check("lr_v")?;
        self.noise.check("noise")?;
        self.weight_decay.check("weight_decay")
    }

    /// The rates of one step.
    pub(super) fn rates_of(&self, step: u64, inputs: usize) -> Result<Rates> {
        let of = |schedule: &Schedule| {
            let mut rate = 0.0;
            schedule.of_steps(step, inputs, std::slice::from_mut(&mut rate))?;
            Ok(rate)
        };
        Ok(Rates {
            lr: of(&self.lr)?,
            lr_v: of(&self.lr_v)?,
            weight_decay: of(&self.weight_decay)?,
        })
    }

    /// The rates of `count` steps from `first` on.
    pub(super) fn rates(
        &self,
        first: u64,
        count: usize,
        inputs: usize,
    ) -> Result<StepRates<'static>> {
        let constant = [&self.lr, &self.lr_v, &self.weight_decay].map(Schedule::constant);
        if let [Some(lr), Some(lr_v), Some(weight_decay)] = constant {
            return Ok(StepRates::Same(Rates {
                lr,
                lr_v,
                weight_decay,
            }));
        }
        let of = |schedule: &Schedule| {
            let mut rates = vec![0.0; count];
            schedule.of_steps(first, inputs, &mut rates)?;
            Ok(rates)
        };
        let (lr, lr_v, weight_decay) = (of(&self.lr)?, of(&self.lr_v)?, of(&self.weight_decay)?);
        let rates = lr.into_iter().zip(lr_v).zip(weight_decay);
        let rates = rates.map(|((lr, lr_v), weight_decay)| Rates {
            lr,
            lr_v,
            weight_decay,
        });
        Ok(StepRates::Each(rates.collect()))
    }
}

/// The rates of one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    pub(super) lr: f64,
    pub(super) lr_v: f64,
    pub(super) weight_decay: f64,
}

/// The rates of steps that follow each other.
pub(super) enum StepRates<'a> {
    /// The same for all.
    Same(Rates),
    /// One for each.
    Each(Cow<'a, [Rates]>),
}

impl StepRates<'_> {
    /// Those of a part of the steps.
    #[expect(
        clippy::indexing_slicing,
        reason = "the steps of a part are some of those that the rates were made for"
    )]
    pub(super) fn part(&self, steps: Range<usize>) -> StepRates<'_> {
        match self {
            Self::Same(rates) => StepRates::Same(*rates),
            Self::Each(rates) => StepRates::Each(Cow::Borrowed(&rates[steps])),
        }
    }
}

/// A two-layer student φ(x) = Σ_k v_k g(w_k.x/√N).
///
/// Its weights are `scale` times w and `output_scale` times v; both are 1 unless a `Decay` keeps them apart.
#[derive(Debug, Clone)]
pub struct Student<T: Real> {
    /// w, row-major K x N.
    pub(super) w: Aligned<T>,
    /// v, K entries.
    pub(super) v: Vec<T>,
    /// g
    pub(super) unit: Activation,
    pub(super) scale: f64,
    pub(super) output_scale: f64,
}

impl<T: Real> Student<T> {
    /// A student of weights w (K x N) and v (K), rounded to `T`.
    ///
    /// # Errors
    /// Shapes that disagree, a unit without closed averages, weights beyond the range of `T`.
    pub fn new(w: ArrayView2<'_, f64>, v: ArrayView1<'_, f64>, unit: Activation) -> Result<Self> {
        check_layers("student.w", w, v)?;
        Ok(Self {
            w: Aligned::copied_from(&narrowed("student.w", w.iter())?),
            v: narrowed("student.v", v.iter())?,
            unit: Activation::one_of("student.activation", unit.name(), &CLOSED)?,
            scale: 1.0,
            output_scale: 1.0,
        })
    }

    /// K
    pub fn units(&self) -> usize {
        self.v.len()
    }

    /// N
    pub fn inputs(&self) -> usize {
        self.w.len() / self.v.len()
    }

    /// K N
    pub(super) fn size(&self) -> usize {
        self.w.len()
    }

    /// Forget the weights: all are zero.
    pub(super) fn clear(&mut self) {
        self.w.fill(T::ZERO);
        self.v.fill(T::ZERO);
        (self.scale, self.output_scale) = (1.0, 1.0);
    }

    /// w, K x N, in the run's own precision.
    #[expect(
        clippy::indexing_slicing,
        reason = "w has K N entries, and rows are of K, columns of N"
    )]
    pub fn first_layer(&self) -> Array2<T> {
        let scaled = |at: (usize, usize)| {
            let stored = self.w[at.0 * self.inputs() + at.1];
            T::from_f64(self.scale * stored.to_f64())
        };
        Array2::from_shape_fn((self.units(), self.inputs()), scaled)
    }

    /// v, K entries, in the run's own precision.
    pub fn second_layer(&self) -> Array1<T> {
        let scaled = |stored: &T| T::from_f64(self.output_scale * stored.to_f64());
        self.v.iter().map(scaled).collect()
    }

    /// w in double precision, row-major.
    pub(super) fn wide_first_layer(&self) -> Vec<f64> {
        let scaled = |stored: &T| self.scale * stored.to_f64();
        self.w.iter().map(scaled).collect()
    }

    /// v in double precision.
    pub(super) fn wide_second_layer(&self) -> Vec<f64> {
        let scaled = |stored: &T| self.output_scale * stored.to_f64();
        self.v.iter().map(scaled).collect()
    }
}

/// Below this κ/N the factor 1 - κ/N of a step, rounded to single precision, is wrong by more than 4e-6 of κ/N; from
/// half a rounding unit (6e-8) on it is exactly 1 and nothing decays.
const SLOW: f64 = 1.0 / 64.0;

/// How a step shrinks the weights by the factor 1 - κ/N.
#[derive(Debug, Clone, Copy)]
pub(super) enum Decay<T> {
    /// The stored weights times this.
    Plain(T),
    /// The scale of the weights times this, in double precision; the stored ones stay as they are.
    Scaled(f64),
}

impl<T: Real> Decay<T> {
    pub(super) fn new(weight_decay: f64, inputs: usize) -> Self {
        let rate = weight_decay / inputs as f64;
        let keep = 1.0 - rate;
        if size_of::<T>() < size_of::<f64>() && rate > 0.0 && rate < SLOW {
            Self::Scaled(keep)
        } else {
            Self::Plain(T::from_f64(keep))
        }
    }

    /// The factor that a step applies to the stored weights, of w and (if `second_layer` is trained) of v alike; the
    /// student's scales become those after it.
    ///
    /// The factor of a scaled decay is 1, or 1/2 where the scale is doubled in exchange: neither rounds, and the
    /// stored weights stay within a factor 2 of the true ones. It depends on the state only, never on how steps are
    /// grouped.
    pub(super) fn shrink(self, student: &mut Student<T>, second_layer: bool) -> T {
        match self {
            Self::Plain(keep) => keep,
            Self::Scaled(keep) => {
                student.scale *= keep;
                let halve = student.scale < 0.5;
                if halve {
                    student.scale *= 2.0;
                }
                if second_layer {
                    student.output_scale = student.scale;
                }
                if halve { T::from_f64(0.5) } else { T::ONE }
            }
        }
    }
}
