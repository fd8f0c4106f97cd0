//! Data generation: features against their dense form, blocks against slices.

use hmm_core::Cancel;
use hmm_core::random::{Purpose, Stream};
use hmm_sim::activation::{CLOSED, Formula};
use hmm_sim::features::{FeatureKind, Features};
use hmm_sim::gaussian::GaussianInputs;
use hmm_sim::hidden_manifold::{HiddenManifold, Mean};
use hmm_sim::nonlinearity::Nonlinearity;
use hmm_sim::source::{Source, sample};
use ndarray::{Array2, s};
use proptest::prelude::*;
use std::sync::Arc;

fn stream(seed: u32, purpose: Purpose) -> Stream {
    Stream::new(&[seed, 1, 2, 3, 4, 5, 6, 7], purpose)
}

fn kinds() -> impl Strategy<Value = FeatureKind> {
    prop_oneof![
        Just(FeatureKind::Gaussian),
        Just(FeatureKind::Orthogonal),
        Just(FeatureKind::Hadamard),
        Just(FeatureKind::Dct),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// u = C Fᵀ/√D by whatever route, and S = w F/√N is its adjoint.
    #[test]
    fn fields_and_projection_agree_with_the_dense_matrix(
        kind in kinds(), log_n in 0_u32..7, fraction in 0.01_f64..1.0, normalise: bool, seed: u32,
    ) {
        let n = 1_usize << log_n;
        let d = ((n as f64 * fraction) as usize).max(1);
        let disorder = stream(seed, Purpose::Disorder);
        let features = Features::<f64>::draw(kind, n, d, normalise, &disorder, &Cancel::new()).unwrap();
        let dense: Vec<f64> = features.dense(&Cancel::new()).unwrap().into_iter().collect();
        if normalise {
            for row in dense.chunks(d) {
                let norm2: f64 = row.iter().map(|x| x * x).sum();
                prop_assert!((norm2 - d as f64).abs() < 1e-12 * n as f64);
            }
        }
        let latents: Vec<f64> = (0..3 * d).map(|i| ((i * 37 + 11) % 17) as f64 / 8.0 - 1.0).collect();
        let mut fields = vec![0.0; 3 * n];
        features.fields(&latents, &mut fields)?;
        for (c, u) in latents.chunks(d).zip(fields.chunks(n)) {
            for (row, u) in dense.chunks(d).zip(u) {
                let expected: f64 = row.iter().zip(c).map(|(f, c)| f * c).sum::<f64>() / (d as f64).sqrt();
                prop_assert!((expected - u).abs() < 1e-11, "{expected} {u}");
            }
        }
        let weights: Vec<f64> = (0..2 * n).map(|i| ((i * 29 + 5) % 13) as f64 / 6.0 - 1.0).collect();
        let projected = features.project(&weights, 2)?;
        for (w, s) in weights.chunks(n).zip(projected.chunks(d)) {
            for (r, s) in s.iter().enumerate() {
                let expected: f64 =
                    (0..n).map(|i| w[i] * dense[i * d + r]).sum::<f64>() / (n as f64).sqrt();
                prop_assert!((expected - s).abs() < 1e-11, "{expected} {s}");
            }
        }
    }

    /// Any slice of a stream has the bits of the whole.
    #[test]
    fn slices_of_a_stream_are_the_stream(start in 0_u64..400, count in 1_usize..400) {
        let (cancel, disorder) = (Cancel::new(), stream(3, Purpose::Disorder));
        let drawn = Features::<f32>::draw(FeatureKind::Gaussian, 9, 4, false, &disorder, &cancel);
        let features = Arc::new(drawn.unwrap());
        let source = HiddenManifold::new(features, Nonlinearity::Tanh, &Mean::Common(0.0)).unwrap();
        let take = |start, count| {
            let (mut x, mut c) = (Array2::zeros((count, 9)), Array2::zeros((count, 4)));
            let samples = stream(5, Purpose::Sample);
            sample(&source, &samples, start, x.view_mut(), c.view_mut(), &cancel).unwrap();
            (x, c)
        };
        let (x, c) = take(0, 800);
        let (x_part, c_part) = take(start, count);
        let first = start as usize;
        prop_assert_eq!(x_part, x.slice(s![first..first + count, ..]));
        prop_assert_eq!(c_part, c.slice(s![first..first + count, ..]));
    }

    /// g' is the derivative of g.
    #[test]
    fn slope_is_the_derivative(x in -4.0_f64..4.0) {
        prop_assume!(x.abs() > 1e-3); // the kink of relu
        for unit in CLOSED {
            let h = 1e-5;
            let difference = (unit.value(x + h) - unit.value(x - h)) / (2.0 * h);
            prop_assert!((difference - unit.slope(x)).abs() < 1e-9);
        }
    }
}

#[test]
fn a_raised_flag_stops_sampling() {
    let cancel = Cancel::new();
    cancel.raise();
    let (mut x, mut c) = (Array2::<f64>::zeros((10, 3)), Array2::zeros((10, 3)));
    let outcome = sample(
        &GaussianInputs { inputs: 3 },
        &stream(1, Purpose::Sample),
        0,
        x.view_mut(),
        c.view_mut(),
        &cancel,
    );
    assert!(matches!(outcome, Err(hmm_core::Error::Interrupted)));
}

/// Block numbers have 32 bits: what comes after them would be the beginning again.
#[test]
fn samples_beyond_the_stream_are_refused() {
    let source = GaussianInputs { inputs: 3 };
    let last = 128 << 32;
    let take = |start| {
        let (mut x, mut c) = (Array2::<f64>::zeros((2, 3)), Array2::zeros((2, 3)));
        let samples = stream(1, Purpose::Sample);
        sample(
            &source,
            &samples,
            start,
            x.view_mut(),
            c.view_mut(),
            &Cancel::new(),
        )
        .map(|()| x)
    };
    assert_ne!(take(last - 2).unwrap(), take(0).unwrap());
    for start in [last - 1, last, u64::MAX] {
        assert!(take(start).unwrap_err().to_string().starts_with("start = "));
    }
}

#[test]
fn impossible_features_are_refused() {
    let disorder = stream(1, Purpose::Disorder);
    for (kind, n, d) in [
        (FeatureKind::Orthogonal, 4, 5),
        (FeatureKind::Dct, 4, 5),
        (FeatureKind::Hadamard, 6, 2),
    ] {
        assert!(Features::<f64>::draw(kind, n, d, false, &disorder, &Cancel::new()).is_err());
    }
    assert!(Features::<f64>::from_matrix(Array2::zeros((2, 0)).view(), false).is_err());
}

#[test]
fn blocks_shrink_with_the_number_of_inputs_but_not_with_threads() {
    let rows = |inputs| Source::<f64>::block_rows(&GaussianInputs { inputs });
    assert_eq!(rows(1), 128);
    assert_eq!(rows(1000), 128);
    assert_eq!(rows(10_000), 64);
    assert_eq!(rows(10_000_000), 16);
}

/// Averages of pairs of units against Monte Carlo over a correlated pair.
#[test]
fn pair_averages_match_sampling() {
    use hmm_core::random::fill_normal;
    let count = 400_000;
    let mut z = vec![0.0_f64; 2 * count];
    fill_normal(&mut stream(9, Purpose::Sample).generator(0, 0), &mut z);
    let (cxx, cxy, cyy) = (1.4_f64, -0.6, 0.8);
    let a = cxx.sqrt();
    let b = cxy / a;
    let c = (cyy - b * b).sqrt();
    for first in CLOSED {
        for second in CLOSED {
            let mean = z
                .chunks_exact(2)
                .map(|z| first.value(a * z[0]) * second.value(b * z[0] + c * z[1]))
                .sum::<f64>()
                / count as f64;
            // Products of order one: standard error 1/√400000 = 0.0016; 5 sigma.
            let exact = first.pair_average(second, cxx, cxy, cyy).unwrap();
            assert!(
                (mean - exact).abs() < 0.008,
                "{first:?} {second:?}: {mean} {exact}"
            );
        }
    }
}
