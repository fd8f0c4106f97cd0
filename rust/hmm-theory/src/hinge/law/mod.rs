//! Data laws: all the theory needs of them is the law of `z = y x_par`.

mod base;

pub use base::{BaseLaw, LawName};

use super::loss::positive;
use hmm_core::{Error, Result};

/// The examples with `alpha y f < h`, as a set of `z` (eq. 7).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unsatisfied {
    /// `z < chi`, for a network aligned with the teacher.
    Below(f64),
    /// Everything: the network is zero.
    All,
    /// `z > chi` (chi < 0), for a network that points the wrong way.
    Above(f64),
}

/// A base law whose labels are flipped with a probability.
#[derive(Debug, Clone)]
pub struct DataLaw {
    base: BaseLaw,
    flip: f64,
}

impl DataLaw {
    /// `base` with labels flipped with probability `flip`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a scale that is not positive and finite, a sphere in fewer than
    /// two dimensions, or a flip probability outside [0, 1].
    pub fn new(base: BaseLaw, flip: f64) -> Result<Self> {
        match &base {
            BaseLaw::Gaussian { sigma } | BaseLaw::Mixture { sigma, .. } => {
                positive("sigma_x", *sigma)?;
            }
            BaseLaw::Sphere { radius, d } => {
                positive("radius", *radius)?;
                if *d < 2.0 {
                    return Err(Error::invalid(
                        "d",
                        d,
                        "a sphere law needs at least two dimensions",
                        "pass d >= 2",
                    ));
                }
            }
            BaseLaw::Density(_) => {}
        }
        if let BaseLaw::Mixture { mu, .. } = &base
            && !mu.is_finite()
        {
            return Err(Error::invalid("mu", mu, "must be finite", "pass a number"));
        }
        if !(0.0..=1.0).contains(&flip) {
            return Err(Error::invalid(
                "flip",
                flip,
                "must be a probability",
                "pass 0 <= flip <= 1",
            ));
        }
        Ok(Self { base, flip })
    }

    /// Law before label flips.
    pub fn base(&self) -> &BaseLaw {
        &self.base
    }

    /// Probability of a flipped label.
    pub fn flip(&self) -> f64 {
        self.flip
    }

    /// `<u z>`: the drive of the rotation.
    pub fn drive(&self, unsatisfied: Unsatisfied) -> f64 {
        let mean = self.base.mean();
        let below = |c| self.base.first_moment_below(c);
        // A flipped example has -z: it lies below c where z lies above -c.
        match unsatisfied {
            Unsatisfied::All => (1.0 - self.flip) * mean - self.flip * mean,
            Unsatisfied::Below(chi) if self.flip == 0.0 => below(chi),
            Unsatisfied::Below(chi) => {
                (1.0 - self.flip) * below(chi) - self.flip * (mean - below(-chi))
            }
            Unsatisfied::Above(chi) => {
                (1.0 - self.flip) * (mean - below(chi)) - self.flip * below(-chi)
            }
        }
    }

    /// Size of the opposing pulls whose difference is [`Self::drive`].
    pub fn pull(&self, unsatisfied: Unsatisfied) -> f64 {
        let everything = self.base.pull_below(f64::INFINITY);
        let below = |c| self.base.pull_below(c);
        match unsatisfied {
            Unsatisfied::Below(chi) if self.flip == 0.0 => below(chi),
            Unsatisfied::Below(chi) => {
                (1.0 - self.flip) * below(chi) + self.flip * (everything + below(-chi))
            }
            Unsatisfied::Above(chi) => {
                (1.0 - self.flip) * (everything + below(chi)) + self.flip * below(-chi)
            }
            Unsatisfied::All => everything,
        }
    }

    /// `U`: probability of an unsatisfied example.
    pub fn unsatisfied_fraction(&self, unsatisfied: Unsatisfied) -> f64 {
        let below = |c| self.base.probability_below(c);
        match unsatisfied {
            Unsatisfied::All => 1.0,
            Unsatisfied::Below(chi) if self.flip == 0.0 => below(chi),
            Unsatisfied::Below(chi) => {
                (1.0 - self.flip) * below(chi) + self.flip * (1.0 - below(-chi))
            }
            Unsatisfied::Above(chi) => {
                (1.0 - self.flip) * (1.0 - below(chi)) + self.flip * below(-chi)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_mirror_the_law() {
        // Flipping everything turns z into -z.
        let law = |flip| {
            DataLaw::new(
                BaseLaw::Mixture {
                    mu: 0.8,
                    sigma: 1.5,
                },
                flip,
            )
            .unwrap()
        };
        for chi in [0.1, 1.0, 5.0] {
            let flipped = law(1.0).drive(Unsatisfied::Below(chi));
            assert!((flipped + law(0.0).drive(Unsatisfied::Above(-chi))).abs() < 1e-15);
        }
    }
}
