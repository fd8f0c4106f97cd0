//! Gaussian inputs whose labels are constant along most directions: the data of the compression study.
//!
//! Paccolat, Petrini, Geiger, Tyloo and Wyart, J. Stat. Mech. 2021, 044001.

use super::finite;
use crate::gaussian::GaussianInputs;
use crate::source::{Source, cut_by_block};
use hmm_core::random::Stream;
use hmm_core::{Cancel, Error, Real, Result};
use rayon::prelude::*;

/// Which `x ~ N(0, 1)` have which label, and the stretch of the directions that do not matter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Manifold {
    /// `inside` where `low < x_1 < high`, its opposite elsewhere.
    Stripe {
        /// Lower interface.
        low: f64,
        /// Upper interface.
        high: f64,
        /// Label in between, +1 or -1.
        inside: f64,
        /// Factor on the other directions, after labelling.
        stretch: f64,
    },
    /// +1 where `x_1 > x0`, -1 elsewhere.
    Interface {
        /// The interface.
        x0: f64,
    },
    /// +1 where the squared radius in the first directions exceeds the threshold, -1 elsewhere.
    Radial {
        /// Number of these directions.
        informative: usize,
        /// Squared radius of the interface.
        threshold: f64,
        /// Factor on the other directions, after labelling.
        stretch: f64,
    },
}

impl Manifold {
    pub(super) fn check(&self, d: usize) -> Result<()> {
        match *self {
            Self::Stripe {
                low,
                high,
                inside,
                stretch,
            } => {
                if inside.abs() != 1.0 {
                    return Err(Error::invalid(
                        "inside",
                        inside,
                        "must be +1 or -1",
                        "pass one of them",
                    ));
                }
                finite(&[("low", low), ("high", high), ("stretch", stretch)])
            }
            Self::Interface { x0 } => finite(&[("x0", x0)]),
            Self::Radial {
                informative,
                threshold,
                stretch,
            } => {
                if informative == 0 || informative > d {
                    return Err(Error::invalid(
                        "informative",
                        informative,
                        format!("must be between 1 and d = {d}"),
                        "pass such a number",
                    ));
                }
                finite(&[("threshold", threshold), ("stretch", stretch)])
            }
        }
    }

    /// The label of an input before its stretch.
    pub fn label(&self, x: &[f64]) -> f64 {
        let first = x.first().copied().unwrap_or(0.0);
        let either = |up: bool| if up { 1.0 } else { -1.0 };
        match *self {
            Self::Stripe {
                low, high, inside, ..
            } => inside * either(first > low && first < high),
            Self::Interface { x0 } => either(first > x0),
            Self::Radial {
                informative,
                threshold,
                ..
            } => {
                let radius2: f64 = x.iter().take(informative).map(|x| x * x).sum();
                either(radius2 > threshold)
            }
        }
    }

    /// Where the uninformative directions begin, and their stretch.
    fn stretch(&self) -> (usize, f64) {
        match *self {
            Self::Stripe { stretch, .. } => (1, stretch),
            Self::Interface { .. } => (1, 1.0),
            Self::Radial {
                informative,
                stretch,
                ..
            } => (informative, stretch),
        }
    }

    /// Rows `start..` of `stream`, those of [`GaussianInputs`], and their labels.
    pub(super) fn fill<T: Real>(
        &self,
        stream: &Stream,
        start: u64,
        outputs: (&mut [T], &mut [T]),
        d: usize,
        cancel: &Cancel,
    ) -> Result<()> {
        let source = GaussianInputs { inputs: d };
        let size = Source::<f64>::block_rows(&source);
        let (first, stretch) = self.stretch();
        cut_by_block(start, size, outputs, (d, 1))?
            .into_par_iter()
            .try_for_each_init(
                || (vec![0.0; size * d], vec![0.0; size * d]),
                |(latents, inputs), piece| {
                    cancel.check()?;
                    let (block, offset, (x, y)) = (piece.block, piece.offset, piece.outputs);
                    Source::<f64>::fill(&source, stream, block, latents, inputs)?;
                    let wanted = inputs.chunks_exact_mut(d).skip(offset);
                    for ((row, x), y) in wanted.zip(x.chunks_exact_mut(d)).zip(y) {
                        *y = T::from_f64(self.label(row));
                        for value in row.iter_mut().skip(first) {
                            *value *= stretch;
                        }
                        for (narrow, wide) in x.iter_mut().zip(row.iter()) {
                            *narrow = T::from_f64(*wide);
                        }
                    }
                    Ok(())
                },
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labelled::{LabelledLaw, Shape};
    use crate::source::sample;
    use hmm_core::random::Purpose;
    use ndarray::Array2;

    #[test]
    fn inputs_are_those_of_the_gaussian_source_stretched_after_labelling() {
        let stream = Stream::new(&[5; 8], Purpose::Sample);
        let (d, count, start) = (6, 700, 90);
        let mut shape = (Array2::zeros((count, d)), Array2::zeros((count, d)));
        let views = (shape.0.view_mut(), shape.1.view_mut());
        let source = GaussianInputs { inputs: d };
        sample::<f64>(&source, &stream, start, views.0, views.1, &Cancel::new()).unwrap();
        let plain = shape.0;
        for law in [
            Manifold::Stripe {
                low: -0.3,
                high: 1.2,
                inside: -1.0,
                stretch: 0.5,
            },
            Manifold::Interface { x0: 0.2 },
            Manifold::Radial {
                informative: 3,
                threshold: 2.4,
                stretch: 3.0,
            },
        ] {
            let whole = LabelledLaw::new(Shape::Manifold(law), d, 0.0).unwrap();
            let (x, y) = whole
                .sample(&stream, start, count, false, &Cancel::new())
                .unwrap();
            let (first, stretch) = law.stretch();
            for ((plain, x), y) in plain.rows().into_iter().zip(x.rows()).zip(&y) {
                assert_eq!(law.label(plain.as_slice().unwrap()), *y);
                for (j, (plain, x)) in plain.iter().zip(x).enumerate() {
                    assert_eq!(*x, if j < first { *plain } else { plain * stretch });
                }
            }
            let half = y.iter().filter(|y| **y > 0.0).count();
            assert!(half > 200 && half < 500, "{half}");
        }
    }

    #[test]
    fn what_has_no_label_is_refused() {
        let radial = |informative| Manifold::Radial {
            informative,
            threshold: 1.0,
            stretch: 1.0,
        };
        for law in [
            radial(0),
            radial(4),
            Manifold::Interface { x0: f64::NAN },
            Manifold::Stripe {
                low: 0.0,
                high: 1.0,
                inside: 0.0,
                stretch: 1.0,
            },
        ] {
            assert!(LabelledLaw::new(Shape::Manifold(law), 3, 0.0).is_err());
        }
        assert!(LabelledLaw::new(Shape::Manifold(radial(3)), 3, 0.5).is_err());
    }
}
