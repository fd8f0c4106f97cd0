//! The channel side of the fixed point: averages of a loss's proximal operator over the joint law
//! of label and preactivation.
//!
//! For a loss of the margin `s = y w` the law of `s` is
//! `D(s) = 2 N(s; 0, q) [(1 - flip) Phi(a s) + flip Phi(-a s)] = N(s; 0, q) [1 + (1 - 2 flip) erf(a s/sqrt 2)]`
//! with `a = m/(q sqrt(V*))`, `V* = rho - m^2/q`. It is integrated by composite Gauss-Legendre on panels
//! that shrink where it is narrow: Gauss-Hermite fails because `Phi(a s)` is almost a step when `V*` is
//! small. The logistic average is taken over the proximal point `x` instead of `s = x - V/(1 + e^x)`:
//! every factor is then explicit and no equation is solved at a node.

use super::proximal::{logistic_point, softplus};
use super::quadrature::Panels;
use super::spectrum::{Conjugates, Overlaps};
use hmm_core::special::f64::{erf, exp};
use hmm_core::special::vectorised;
use std::f64::consts::{FRAC_1_SQRT_2, PI, TAU};

/// Standard deviations covered: the Gaussian beyond is below 1e-18.
const REACH: f64 = 9.0;
/// Smallest `V*` over `rho`: keeps the noiseless realisable limit finite.
const FLOOR: f64 = 1e-14;
/// Lanes of the sums over nodes.
const LANES: usize = 8;

/// A margin loss at the fixed point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Margin {
    /// `log(1 + exp(-z))`.
    Logistic,
    /// `max(0, 1 - z)`.
    Hinge,
    /// The hinge in the limit `lam -> 0` below the separability threshold: no example on the plateau.
    Hard,
}

/// Training loss and 0/1 training error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Training {
    /// Mean of the loss over the training set, without the penalty.
    pub loss: f64,
    /// Fraction of the training set with `y w.v < 0`.
    pub error: f64,
}

/// The channel of one problem, with the buffers of its quadrature.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Examples over student dimension.
    pub alpha: f64,
    /// Variance of the (noisy) teacher field.
    pub rho: f64,
    /// `1 - 2 flip`.
    pub keep: f64,
    panels: Panels,
    density: Vec<f64>,
    narrow: Vec<f64>,
    f: Vec<f64>,
}

/// The Gaussian widths of `D(s)`.
#[derive(Debug, Clone, Copy)]
struct Law {
    /// `sqrt q`.
    width: f64,
    /// `a = m/(q sqrt(V*))`.
    steepness: f64,
    /// Standard deviation `sqrt(q V*/rho)` of the teacher's tilt.
    narrow: f64,
}

impl Law {
    fn new(overlaps: &Overlaps, rho: f64) -> Self {
        let Overlaps { q, m, .. } = *overlaps;
        let unexplained = (rho - m * m / q).max(FLOOR * rho);
        Self {
            width: q.sqrt(),
            steepness: m / (q * unexplained.sqrt()),
            narrow: (q * unexplained / rho).sqrt(),
        }
    }

    /// `D(s)`.
    #[inline(always)]
    fn density(&self, s: f64, keep: f64) -> f64 {
        let x = s / self.width;
        exp(-0.5 * x * x) * (1.0 + keep * erf(self.steepness * s * FRAC_1_SQRT_2))
            / (self.width * TAU.sqrt())
    }

    /// `N(s; 0, q V*/rho)`.
    #[inline(always)]
    fn tilt(&self, s: f64) -> f64 {
        let x = s / self.narrow;
        exp(-0.5 * x * x) / (self.narrow * TAU.sqrt())
    }

    /// Edges that resolve `D(s)` and the tilt around `s = 0`.
    fn resolve(&self, panels: &mut Panels) {
        panels.clear();
        panels.graded(0.0, 1.5 * self.narrow, 2.0 * self.width);
    }
}

impl Channel {
    /// The channel at `alpha` with teacher variance `rho` (noise included) and flipped labels.
    pub fn new(alpha: f64, rho: f64, flip: f64) -> Self {
        Self {
            alpha,
            rho,
            keep: 1.0 - 2.0 * flip,
            panels: Panels::default(),
            density: Vec::new(),
            narrow: Vec::new(),
            f: Vec::new(),
        }
    }

    /// `V_hat = alpha int D (-f')`, `q_hat = alpha int D f^2`,
    /// `m_hat = alpha (1 - 2 flip) sqrt(2/(pi rho)) int N(s; 0, q V*/rho) f`.
    pub fn conjugates(&mut self, margin: Margin, overlaps: &Overlaps) -> Conjugates {
        let law = Law::new(overlaps, self.rho);
        let [slope, square, first] = match margin {
            Margin::Logistic => self.logistic_averages(&law, overlaps.v),
            Margin::Hinge => self.hinge_averages(&law, overlaps.v, 1.0 - overlaps.v),
            Margin::Hard => self.hinge_averages(&law, overlaps.v, f64::NEG_INFINITY),
        };
        Conjugates {
            v_hat: self.alpha * slope,
            q_hat: self.alpha * square,
            m_hat: self.alpha * self.keep * (2.0 / (PI * self.rho)).sqrt() * first,
        }
    }

    /// Averages of `-f'`, `f^2` (over `D`) and `f` (over the tilt) for the logistic loss.
    fn logistic_averages(&mut self, law: &Law, v: f64) -> [f64; 3] {
        self.lay_logistic(law, v);
        self.evaluate(law, |x| {
            let f = 1.0 / (1.0 + exp(x));
            (x - v * f, f)
        });
        // ds = (1 + V e) dx with e = f (1 - f), and -f' ds = e dx.
        self.sums(|_, f| {
            let e = f * (1.0 - f);
            let jacobian = 1.0 + v * e;
            [e, f * f * jacobian, f * jacobian]
        })
    }

    /// The same for `f = min((1 - s)/V, 1)`, 0 above 1, with the plateau below `plateau`.
    fn hinge_averages(&mut self, law: &Law, v: f64, plateau: f64) -> [f64; 3] {
        self.lay_hinge(law, plateau, plateau);
        let inverse = 1.0 / v;
        self.evaluate(law, |s| {
            (
                s,
                if s < plateau {
                    1.0
                } else {
                    (1.0 - s) * inverse
                },
            )
        });
        self.sums(|s, f| [if s < plateau { 0.0 } else { inverse }, f * f, f])
    }

    /// Panels in the proximal point: edges in `s` carried over, and the scale of the sigmoid.
    fn lay_logistic(&mut self, law: &Law, v: f64) {
        let reach = REACH * law.width;
        law.resolve(&mut self.panels);
        let mut edge = -reach;
        while edge < reach {
            self.panels.edge(edge);
            edge += 2.0 * law.width;
        }
        let (lower, upper) = (logistic_point(-reach, v), logistic_point(reach, v));
        self.panels.map(|s| logistic_point(s, v));
        // The sigmoid has its poles at +- i pi: panels of length 2 there, doubling away from it. The
        // edge at 0 is where the 0/1 error jumps.
        self.panels.graded(0.0, 2.0, upper.max(-lower));
        self.panels.lay(lower, upper, f64::INFINITY);
    }

    /// Panels in `s` up to the hinge, with an edge at the plateau and one where the error jumps.
    fn lay_hinge(&mut self, law: &Law, plateau: f64, jump: f64) {
        let reach = REACH * law.width;
        law.resolve(&mut self.panels);
        self.panels.edge(plateau);
        self.panels.edge(jump);
        self.panels.lay(-reach, reach.min(1.0), 2.0 * law.width);
    }

    /// Fill the buffers: `D`, the tilt and `f` at every node, where `point` gives `(s, f)`.
    fn evaluate(&mut self, law: &Law, point: impl Fn(f64) -> (f64, f64)) {
        let count = self.panels.nodes.len();
        self.density.resize(count, 0.0);
        self.narrow.resize(count, 0.0);
        self.f.resize(count, 0.0);
        let keep = self.keep;
        let nodes = &self.panels.nodes;
        let outputs = self
            .density
            .iter_mut()
            .zip(&mut self.narrow)
            .zip(&mut self.f);
        vectorised(
            #[inline(always)]
            || {
                for (x, ((density, narrow), f)) in nodes.iter().zip(outputs) {
                    let (s, value) = point(*x);
                    *density = law.density(s, keep);
                    *narrow = law.tilt(s);
                    *f = value;
                }
            },
        );
    }

    /// Weighted sums of three functions of `(node, f)`: two over `D`, the last over the tilt.
    #[expect(
        clippy::indexing_slicing,
        reason = "`evaluate` has given all buffers the length of the nodes; lanes are counted to LANES"
    )]
    fn sums(&self, terms: impl Fn(f64, f64) -> [f64; 3]) -> [f64; 3] {
        let (nodes, _) = self.panels.nodes.as_chunks::<LANES>();
        let (weights, _) = self.panels.weights.as_chunks::<LANES>();
        let (density, _) = self.density.as_chunks::<LANES>();
        let (narrow, _) = self.narrow.as_chunks::<LANES>();
        let (f, _) = self.f.as_chunks::<LANES>();
        let mut total = [[0.0; LANES]; 3];
        for (i, nodes) in nodes.iter().enumerate() {
            for lane in 0..LANES {
                let [slope, square, first] = terms(nodes[lane], f[i][lane]);
                let weight = weights[i][lane];
                total[0][lane] += weight * density[i][lane] * slope;
                total[1][lane] += weight * density[i][lane] * square;
                total[2][lane] += weight * narrow[i][lane] * first;
            }
        }
        total.map(|lanes| lanes.iter().sum())
    }

    /// Training loss and error at the fixed point.
    pub fn training(&mut self, margin: Margin, overlaps: &Overlaps) -> Training {
        let law = Law::new(overlaps, self.rho);
        let v = overlaps.v;
        match margin {
            Margin::Logistic => {
                self.lay_logistic(&law, v);
                self.accumulate(|channel, x| {
                    let f = 1.0 / (1.0 + exp(x));
                    let density = law.density(x - v * f, channel.keep) * (1.0 + v * f * (1.0 - f));
                    (density, softplus(-x), x < 0.0)
                })
            }
            Margin::Hinge => {
                self.lay_hinge(&law, 1.0 - v, -v);
                self.accumulate(|channel, s| {
                    (law.density(s, channel.keep), (1.0 - v - s).max(0.0), s < -v)
                })
            }
            Margin::Hard => Training {
                loss: 0.0,
                error: 0.0,
            },
        }
    }

    /// Fraction of examples with `s` below `threshold`.
    pub fn mass_below(&mut self, threshold: f64, overlaps: &Overlaps) -> f64 {
        let law = Law::new(overlaps, self.rho);
        let reach = REACH * law.width;
        law.resolve(&mut self.panels);
        self.panels
            .lay(-reach, threshold.min(reach), 2.0 * law.width);
        self.accumulate(|channel, s| (law.density(s, channel.keep), 0.0, true))
            .error
    }

    /// Sum `(density, loss, whether misclassified)` over the panels laid before.
    fn accumulate(&self, point: impl Fn(&Self, f64) -> (f64, f64, bool)) -> Training {
        let mut training = Training {
            loss: 0.0,
            error: 0.0,
        };
        for (x, weight) in self.panels.nodes.iter().zip(&self.panels.weights) {
            let (density, loss, wrong) = point(self, *x);
            training.loss += weight * density * loss;
            if wrong {
                training.error += weight * density;
            }
        }
        training
    }
}
