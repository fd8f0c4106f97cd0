//! Time as a quadrature: `t(g) = t_0 + integral dg / v(g)` for an autonomous `dg/dt = v(g)`, and its
//! inverse (eq. 9).
//!
//! The integrand is cut into leaves on which the Kronrod rule has converged. A kink of `v` is
//! bisected once; nothing can stall on it, as the step control of an integrator can.

use crate::quadrature;
use hmm_core::{Cancel, Error, Result};

/// A leaf is accepted when its two rules agree to this; the Kronrod value is far better than that.
const AGREEMENT: f64 = 1e-11;
/// No leaf is accepted whose rules differ by more, whatever is known about rounding.
const COARSEST: f64 = 1e-6;
/// The approach to a plateau is exponential from where the pace is constant to this.
const STEADY: f64 = 1e-8;
/// Rounding may hide the last changes of the pace: at this much of it the approach is called exponential too.
const BLURRED: f64 = 1e-7;
/// Minus the log of the distance to a plateau (in units of the whole way) from where on that is looked for.
const NEAR: f64 = 6.0;
/// Minus the log of the smallest distance to a plateau that double precision resolves.
const NEAREST: f64 = 36.0;
/// Quadratures spent on one stretch from where on its pace counts as noise: a kink takes a few dozen of them.
const PATIENCE: usize = 5000;
/// Pieces that a noisy stretch is cut into at most.
const PIECES: f64 = 256.0;
/// Rounding errors of a position, and of a speed that is a difference of two pulls.
const ROUNDING: f64 = 8.0 * f64::EPSILON;

/// Where a velocity vanishes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plateau {
    /// Its position.
    pub position: f64,
    /// Size of the opposing terms that cancel there: the speed beside it is known to a rounding error of this.
    pub pull: f64,
}

/// Course of the coordinate `x` along which time is integrated.
struct Course<'a> {
    velocity: &'a dyn Fn(f64) -> f64,
    start: f64,
    /// +1 or -1.
    direction: f64,
    /// Where the velocity vanishes, if it does.
    plateau: Option<Plateau>,
}

/// A piece of the course with its times.
#[derive(Debug, Clone, Copy)]
struct Leaf {
    x: (f64, f64),
    t: (f64, f64),
}

impl Course<'_> {
    /// `g(x)`: `x` is the distance from the start, or minus the log of the distance to the plateau.
    fn position(&self, x: f64) -> f64 {
        match self.plateau.map(|plateau| plateau.position) {
            None => self.start + self.direction * x,
            Some(end) if x > 0.7 => end - (end - self.start) * (-x).exp(),
            Some(end) => self.start - (end - self.start) * (-x).exp_m1(),
        }
    }

    /// `x(g)`.
    fn coordinate(&self, g: f64) -> f64 {
        match self.plateau.map(|plateau| plateau.position) {
            None => (g - self.start) * self.direction,
            Some(end) => -((g - self.start) / (self.start - end)).ln_1p(),
        }
    }

    /// `dt/dx`.
    fn pace(&self, x: f64) -> f64 {
        let speed = (self.velocity)(self.position(x)).abs();
        self.plateau.map_or(1.0, |plateau| {
            (plateau.position - self.start).abs() * (-x).exp()
        }) / speed
    }

    /// Part of the pace at `x` that rounding makes up.
    fn blur(&self, x: f64) -> f64 {
        let Some(plateau) = self.plateau else {
            return 0.0;
        };
        let speed = (self.velocity)(self.position(x)).abs();
        let distance = (plateau.position - self.start).abs() * (-x).exp();
        ROUNDING * (plateau.pull / speed + plateau.position.abs() / distance)
    }
}

/// The solution of `dg/dt = v(g)` from `g(start_time) = start`, for `v` that keeps its sign up to
/// `plateau` (where it vanishes) or for ever.
pub struct Clock<'a> {
    course: Course<'a>,
    initial_speed: f64,
    leaves: Vec<Leaf>,
    end: (f64, f64),
    /// Where the pace has a kink, the farthest first.
    kinks: Vec<f64>,
    /// Rate of the exponential approach to the plateau, once in that regime.
    rate: Option<f64>,
    exhausted: bool,
    cancel: &'a Cancel,
}

impl<'a> Clock<'a> {
    /// A clock at its start.
    pub fn new(
        velocity: &'a dyn Fn(f64) -> f64,
        start: f64,
        start_time: f64,
        plateau: Option<Plateau>,
        cancel: &'a Cancel,
    ) -> Self {
        let initial = velocity(start);
        Self {
            course: Course {
                velocity,
                start,
                direction: initial.signum(),
                plateau,
            },
            initial_speed: initial.abs(),
            leaves: Vec::new(),
            end: (0.0, start_time),
            kinks: Vec::new(),
            rate: None,
            exhausted: initial == 0.0 || plateau.is_some_and(|end| end.position == start),
            cancel,
        }
    }

    /// The same with leaves that end where the velocity has kinks: one between the last node of a rule and the end of
    /// its leaf is seen by no rule.
    pub fn with_kinks(mut self, positions: &[f64]) -> Self {
        let coordinates = positions.iter().map(|g| self.course.coordinate(*g));
        self.kinks = coordinates.filter(|x| x.is_finite() && *x > 0.0).collect();
        self.kinks.sort_by(|a, b| b.total_cmp(a));
        self
    }

    /// Integrate the next stretch; false when there is nothing further to integrate.
    fn extend(&mut self) -> Result<bool> {
        if self.course.plateau.is_some() && self.end.0 >= NEAREST {
            self.exhausted = true;
        }
        if self.exhausted || self.rate.is_some() {
            return Ok(false);
        }
        // Widths grow with x: powers of x (lazy growth) need few stretches, exponentials are left
        // to the bisection.
        let stretch = 0.25 * (1.0 + self.end.0);
        let mut reach = self.end.0 + stretch;
        while let Some(kink) = self.kinks.pop_if(|kink| *kink < reach) {
            if kink > self.end.0 {
                reach = kink;
                break;
            }
        }
        let mut open = vec![(self.end.0, reach)];
        let mut spent = 0;
        while let Some((from, to)) = open.pop() {
            self.cancel.check()?;
            spent += 1;
            let pace = |x| self.course.pace(x);
            let (value, mut difference) = quadrature::integral(pace, from, to);
            let blur = self.course.blur(to);
            // Noise at the far end excuses nothing at the near one, whose times are read off this leaf too.
            let allowed = (AGREEMENT + blur.min(self.course.blur(from))).min(COARSEST);
            let narrow = to - from <= 1e-13 * to;
            let middle = 0.5 * (from + to);
            if value.is_finite() && !narrow && difference <= allowed * value {
                // At a kink the two rules can agree by chance, but not with both halves too.
                let halves = quadrature::integral(pace, from, middle).0
                    + quadrature::integral(pace, middle, to).0;
                difference = (halves - value).abs();
            }
            if !value.is_finite() && (narrow || to - from < 1e-3) {
                self.exhausted = true;
                return Ok(false);
            }
            // Where opposing pulls cancel almost, rounding alone tells the rules apart, on every piece however small.
            let noise = spent > PATIENCE && to - from <= stretch / PIECES;
            // Times inside a leaf are to be as good, relatively, as the one at its end. Later leaves begin with the time
            // that is over; on the first one that holds only if its pace stays what it is.
            let even = from > 0.0 || {
                let change = self.course.pace(to) / self.course.pace(from);
                (0.5..=2.0).contains(&change)
            };
            if value.is_finite() && (narrow || noise || (even && difference <= allowed * value)) {
                let t = (self.end.1, self.end.1 + value);
                self.leaves.push(Leaf { x: (from, to), t });
                self.end = (to, t.1);
                if self.course.plateau.is_some() && to >= NEAR {
                    // What differs by `change` over a leaf and decays as exp(-x) is this much at its end.
                    let pace = self.course.pace(to);
                    let change = (pace / self.course.pace(from) - 1.0).abs();
                    if change / (to - from).exp_m1() <= STEADY || blur >= BLURRED {
                        self.rate = Some(1.0 / pace);
                        return Ok(true);
                    }
                }
            } else {
                open.push((middle, to));
                open.push((from, middle));
            }
        }
        Ok(true)
    }

    /// `g(t)`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a time that is not finite, lies before the start, or is too
    /// large for double precision; [`Error::Interrupted`].
    pub fn position(&mut self, t: f64) -> Result<f64> {
        self.cancel.check()?;
        let start_time = self.leaves.first().map_or(self.end.1, |leaf| leaf.t.0);
        if !t.is_finite() || t < start_time {
            return Err(Error::invalid(
                "t",
                t,
                format!("must be finite and >= {start_time}"),
                "pass such a time",
            ));
        }
        if self.initial_speed == 0.0 {
            return Ok(self.course.start);
        }
        while self.end.1 < t && self.extend()? {}
        if t > self.end.1 {
            return match (self.rate, self.course.plateau) {
                (Some(rate), Some(_)) => {
                    Ok(self.course.position(self.end.0 + rate * (t - self.end.1)))
                }
                (None, Some(end)) => Ok(end.position),
                _ => Err(Error::invalid(
                    "t",
                    t,
                    format!("times beyond {:e} leave double precision", self.end.1),
                    "pass an earlier time",
                )),
            };
        }
        let index = self.leaves.partition_point(|leaf| leaf.t.1 < t);
        Ok(self.leaves.get(index).map_or(self.course.start, |leaf| {
            self.course.position(self.solve(*leaf, t))
        }))
    }

    /// The `x` of time `t` within a leaf, by Newton's method kept inside a shrinking bracket.
    fn solve(&self, leaf: Leaf, t: f64) -> f64 {
        let (mut low, mut high) = leaf.x;
        let mut x = low + (high - low) * (t - leaf.t.0) / (leaf.t.1 - leaf.t.0);
        for _ in 0..60 {
            let (elapsed, _) = quadrature::integral(|x| self.course.pace(x), leaf.x.0, x);
            let excess = elapsed - (t - leaf.t.0);
            if excess > 0.0 {
                high = x;
            } else {
                low = x;
            }
            let step = excess / self.course.pace(x);
            let newton = x - step;
            let next = if newton > low && newton < high {
                newton
            } else {
                0.5 * (low + high)
            };
            if step.abs() <= 2e-16 * x || high - low <= 2e-16 * high {
                return newton.clamp(leaf.x.0, leaf.x.1);
            }
            x = next;
        }
        x
    }

    /// `t(g)`; infinite for positions that are never reached.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn time(&mut self, g: f64) -> Result<f64> {
        self.cancel.check()?;
        let start_time = self.leaves.first().map_or(self.end.1, |leaf| leaf.t.0);
        if g == self.course.start {
            return Ok(start_time);
        }
        let x = self.course.coordinate(g);
        // NaN beyond the plateau, negative behind the start.
        if x.is_nan() || x < 0.0 || x == f64::INFINITY || self.initial_speed == 0.0 {
            return Ok(f64::INFINITY);
        }
        while self.end.0 < x && self.extend()? {}
        if x > self.end.0 {
            return Ok(self
                .rate
                .map_or(f64::INFINITY, |rate| self.end.1 + (x - self.end.0) / rate));
        }
        let index = self.leaves.partition_point(|leaf| leaf.x.1 < x);
        Ok(self.leaves.get(index).map_or(start_time, |leaf| {
            leaf.t.0 + quadrature::integral(|x| self.course.pace(x), leaf.x.0, x).0
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_relaxation() {
        let velocity = |g: f64| 2.0 * (1.5 - g);
        let cancel = Cancel::new();
        let plateau = Some(Plateau {
            position: 1.5,
            pull: 3.0,
        });
        let mut clock = Clock::new(&velocity, 0.0, 0.0, plateau, &cancel);
        for t in [1e-8, 0.1, 1.0, 5.0, 12.0, 400.0] {
            let exact = -1.5 * f64::exp_m1(-2.0 * t);
            assert!(
                (clock.position(t).unwrap() / exact - 1.0).abs() < 1e-12,
                "{t}"
            );
        }
        assert!((clock.time(0.75).unwrap() - 0.5 * 2.0_f64.ln()).abs() < 1e-13);
        assert_eq!(clock.time(1.6).unwrap(), f64::INFINITY);
        assert_eq!(clock.time(-0.1).unwrap(), f64::INFINITY);
    }

    /// The speed falls by thirty decades within a tenth of the way and goes on falling: nothing of that is rounding.
    #[test]
    fn a_collapse_on_the_way_to_a_plateau_is_resolved() {
        let velocity = |g: f64| (2.0 - g) * (-700.0 * g).exp();
        let cancel = Cancel::new();
        let plateau = Some(Plateau {
            position: 2.0,
            pull: 0.0,
        });
        let mut clock = Clock::new(&velocity, 0.0, 0.0, plateau, &cancel);
        for g in [1e-3, 0.02, 0.1, 0.35] {
            // t = integral e^(700 s) / (2 - s) ds by Simpson's rule.
            let (cells, mut exact) = (20_000, 0.0);
            for cell in 0..=cells {
                let s = g * f64::from(cell) / f64::from(cells);
                let weight = match cell {
                    0 => 1.0,
                    c if c == cells => 1.0,
                    c => f64::from(2 + 2 * (c % 2)),
                };
                exact += weight * (700.0 * s).exp() / (2.0 - s) * g / (3.0 * f64::from(cells));
            }
            let t = clock.time(g).unwrap();
            assert!((t / exact - 1.0).abs() < 1e-6, "{g} {t}");
            assert!((clock.position(t).unwrap() / g - 1.0).abs() < 1e-12, "{g}");
        }
    }

    #[test]
    fn growth_without_end() {
        let velocity = |g: f64| (-3.0 * g).exp();
        let cancel = Cancel::new();
        let mut clock = Clock::new(&velocity, 0.0, 0.0, None, &cancel);
        for t in [1e-9, 1.0, 1e6, 1e60, 1e200] {
            let exact = f64::ln_1p(3.0 * t) / 3.0;
            assert!(
                (clock.position(t).unwrap() / exact - 1.0).abs() < 1e-12,
                "{t}"
            );
        }
    }

    #[test]
    fn a_kink_does_not_stall() {
        let velocity = |g: f64| {
            if g < 0.3 {
                1.0
            } else {
                1.0 / (1.0 + (g - 0.3))
            }
        };
        let cancel = Cancel::new();
        let mut clock = Clock::new(&velocity, 0.0, 0.0, None, &cancel);
        // t = 0.3 + u + u^2/2
        assert!((clock.position(0.3 + 1.5).unwrap() - 1.3).abs() < 1e-12);
        assert!((clock.time(1.3).unwrap() - 1.8).abs() < 1e-12);
    }

    /// A leaf on which the two rules agree by chance although it holds a kink.
    #[test]
    fn no_kink_hides_behind_an_accident() {
        for k in 1..400 {
            let kink = 0.001 * f64::from(k);
            let velocity = |g: f64| 1.0 / (1.0 + 40.0 * (g - kink).max(0.0));
            let cancel = Cancel::new();
            let mut clock = Clock::new(&velocity, 0.0, 0.0, None, &cancel);
            let exact = 0.5 + 20.0 * (0.5 - kink).powi(2);
            let t = clock.time(0.5).unwrap();
            assert!((t / exact - 1.0).abs() < 1e-10, "{kink}: {t} {exact}");
        }
    }

    #[test]
    fn a_raised_flag_ends_the_work() {
        let velocity = |_: f64| 1.0;
        let cancel = Cancel::new();
        cancel.raise();
        let mut clock = Clock::new(&velocity, 0.0, 0.0, None, &cancel);
        assert!(matches!(clock.position(1.0), Err(Error::Interrupted)));
        assert!(matches!(clock.time(1.0), Err(Error::Interrupted)));
    }
}
