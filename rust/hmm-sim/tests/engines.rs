//! Engines on small problems whose answer is known, or computed here in the plainest way; their bits on 1 and 3 threads.

use hmm_core::parallel::pool;
use hmm_core::random::{Purpose, Stream};
use hmm_core::{Activation, Cancel, Loss, Result};
use hmm_sim::covariance::CovarianceStream;
use hmm_sim::fields::{Labels, Teacher};
use hmm_sim::full_batch::{Fit, Problem, Stop, fit};
use hmm_sim::gaussian::GaussianInputs;
use hmm_sim::generator::{Layer, Network, Window};
use hmm_sim::loss::ExampleLoss;
use hmm_sim::online::{Measurement, OnlineSgd, Rule as OnlineRule, Student};
use hmm_sim::particles::{Examples, Labelled, Particles, Rule, Setting};
use hmm_sim::source::sample;
use hmm_sim::stepper::{Stepper, Stretch};
use ndarray::{Array1, Array2, Array4, Ix1, Ix2, array};
use std::f64::consts::PI;
use std::sync::Arc;

fn numbers(rows: usize, columns: usize, phase: f64) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |(i, j)| {
        (phase + 1.7 * (columns * i + j) as f64 + 0.3 * (i * i) as f64).sin()
    })
}

fn signs(count: usize, phase: f64) -> Array1<f64> {
    Array1::from_shape_fn(count, |i| (phase + 2.3 * i as f64).sin().signum())
}

/// What `work` gives, the same on 1 and 3 threads.
fn on_threads<A: PartialEq + Send>(work: impl Fn() -> Result<A> + Sync) -> Result<A> {
    let one = pool(Some(1))?.install(&work)?;
    assert!(
        pool(Some(3))?.install(&work)? == one,
        "the bits depend on threads"
    );
    Ok(one)
}

fn minimum(loss: Loss, x: &Array2<f64>, y: &Array1<f64>, lam: f64) -> Result<Fit> {
    let stop = Stop {
        tol: 1e-12,
        max_iterations: 2000,
    };
    on_threads(|| {
        let problem = Problem {
            x: x.view(),
            y: y.view(),
            lam,
        };
        fit(loss, &problem, &stop, &Cancel::new())
    })
}

#[test]
fn smooth_fits_have_no_gradient_left() -> Result<()> {
    // More and fewer examples than features, enough for several chunks of rows and for quasi-Newton steps.
    for (n, p, lam) in [
        (300, 40, 0.1),
        (300, 40, 1e-5),
        (12, 50, 0.3),
        (400, 300, 0.01),
    ] {
        let (x, labels) = (numbers(n, p, 0.1), signs(n, 0.4));
        let real = numbers(n, 1, 0.9).column(0).to_owned();
        for loss in [Loss::Ridge, Loss::Squared, Loss::Logistic] {
            let y = if loss == Loss::Ridge { &real } else { &labels };
            let found = minimum(loss, &x, y, lam)?;
            assert!(found.converged, "{loss} {n} {p}");
            let z = x.dot(&found.w);
            let pull: Array1<f64> = z
                .iter()
                .zip(y)
                .map(|(z, y)| match loss {
                    Loss::Logistic => -y / (1.0 + (y * z).exp()),
                    _ => z - y,
                })
                .collect();
            let gradient = x.t().dot(&pull) + &found.w * lam;
            // Strong convexity: a gradient g is worth |g|^2/(2 lam) at most, and so much of the objective is allowed.
            let worth = gradient.dot(&gradient) / (2.0 * lam);
            let rounding = 1e-20 * (n * p) as f64 / lam;
            assert!(
                worth <= 4e-12 * found.objective + rounding,
                "{loss} {n} {p} {lam}: {worth:e} of {}",
                found.objective
            );
        }
    }
    Ok(())
}

#[test]
fn hinge_fits_are_where_kuhn_and_tucker_want_them() -> Result<()> {
    // Two mirrored examples: 2 (1 - w)_+ + lam w^2/2 is least at min(1, 2/lam).
    let (x, y) = (array![[1.0], [-1.0]], array![1.0, -1.0]);
    for (lam, known) in [(0.5, 1.0), (2.0, 1.0), (4.0, 0.5), (100.0, 0.02)] {
        let found = minimum(Loss::Hinge, &x, &y, lam)?;
        assert!((found.w[0] - known).abs() < 1e-5, "{lam}: {}", found.w[0]);
    }
    // No point near the minimum lies lower than its certificate says: overlapping classes, and separated ones.
    for (n, p, lam) in [(200, 10, 0.5), (200, 10, 1e-3), (15, 40, 0.2)] {
        let (x, y) = (numbers(n, p, 0.2), signs(n, 0.7));
        let found = minimum(Loss::Hinge, &x, &y, lam)?;
        assert!(found.converged, "{n} {p} {lam}");
        let objective = |w: &Array1<f64>| {
            let z = x.dot(w) * &y;
            z.iter().map(|z| (1.0 - z).max(0.0)).sum::<f64>() + 0.5 * lam * w.dot(w)
        };
        let least = objective(&found.w);
        assert!((least - found.objective).abs() <= 1e-10 * least);
        for step in [1e-1, 1e-3, 1e-5] {
            for i in 0..p {
                for sign in [-1.0, 1.0] {
                    let mut w = found.w.clone();
                    w[i] += sign * step;
                    let room = 0.5 * lam * step * step - found.gap - 1e-12 * least;
                    // Strong convexity, but for what the gap leaves open: sqrt(2 lam gap) step.
                    let open = step * (2.0 * lam * found.gap.max(0.0)).sqrt();
                    assert!(
                        objective(&w) >= least + room - open,
                        "{n} {p} {lam} {i} {step}"
                    );
                }
            }
        }
    }
    Ok(())
}

#[test]
fn covariances_are_those_of_the_samples_however_they_are_cut() -> Result<()> {
    let (n, count, cancel) = (150, 2500, Cancel::new());
    let stream = Stream::new(&[4; 8], Purpose::Sample);
    let source = GaussianInputs { inputs: n };
    let estimate = |cuts: &[u64]| {
        on_threads(|| {
            let mut seen = CovarianceStream::new(Arc::new(source), stream)?;
            for cut in cuts {
                seen.advance(*cut, &Cancel::new())?;
            }
            let found = seen.estimate()?;
            Ok((found.mean, found.omega, found.phi))
        })
    };
    let (mean, omega, phi) = estimate(&[count])?;
    let (mut x, mut c) = (
        Array2::zeros((count as usize, n)),
        Array2::zeros((count as usize, n)),
    );
    sample::<f64>(&source, &stream, 0, x.view_mut(), c.view_mut(), &cancel)?;
    let naive_mean = x.sum_axis(ndarray::Axis(0)) / count as f64;
    let centred = &x - &naive_mean;
    let naive = centred.t().dot(&centred) / count as f64;
    // Roundings of 2500 terms of order one.
    let bound = 1e-12;
    assert!((&mean - &naive_mean).iter().all(|gap| gap.abs() < bound));
    assert!((&omega - &naive).iter().all(|gap| gap.abs() < bound));
    assert!((&phi - &naive).iter().all(|gap| gap.abs() < bound));
    assert_eq!(omega, omega.t());
    // Slabs of 1024 lie on a grid: cuts at it change no bit, others roundings alone.
    assert!(estimate(&[1024, 1024, 452])? == (mean, omega.clone(), phi));
    let (_, cut, _) = estimate(&[1, 700, 1799])?;
    assert!((&omega - &cut).iter().all(|gap| gap.abs() < bound));
    Ok(())
}

#[test]
fn convolutions_are_sums_over_windows_and_their_transposes_adjoint() -> Result<()> {
    // Two channels of 7 x 5 to three of 4 x 3, by windows of 3 x 3 in steps of two with a border of zeros.
    let (input, channels, [high, wide]) = ([2, 7, 5], 3, [4, 3]);
    let window = Window {
        input,
        channels,
        kernel: [3, 3],
        stride: 2,
        padding: 1,
    };
    let weight = Array4::from_shape_fn((3, 2, 3, 3), |(o, c, y, x)| {
        (1.0 + 1.7 * (((o * 2 + c) * 3 + y) * 3 + x) as f64).sin()
    });
    let convolution = |bias: [f64; 3]| Layer::Convolution {
        window,
        weight: weight.clone(),
        bias: Array1::from(bias.to_vec()),
    };
    let images = numbers(2, 70, 0.3);
    let forward = Network::new(70, vec![convolution([0.5, -1.0, 2.0])])?;
    assert_eq!(forward.outputs(), 36);
    let found = forward.forward(images.iter().copied().collect(), 2)?;
    for (s, image) in images.rows().into_iter().enumerate() {
        for o in 0..channels {
            for y in 0..high {
                for x in 0..wide {
                    let mut sum = [0.5, -1.0, 2.0][o];
                    for (c, ky, kx) in ndarray::indices((2, 3, 3)) {
                        let (py, px) = ((2 * y + ky).wrapping_sub(1), (2 * x + kx).wrapping_sub(1));
                        if py < 7 && px < 5 {
                            sum += weight[[o, c, ky, kx]] * image[(c * 7 + py) * 5 + px];
                        }
                    }
                    let made = found[((s * 3 + o) * high + y) * wide + x];
                    assert!((made - sum).abs() < 1e-13, "{s} {o} {y} {x}");
                }
            }
        }
    }
    // <conv a, b> = <a, transposed b>, without biases.
    let back = Network::new(
        36,
        vec![Layer::Transposed {
            window: Window {
                input: [3, high, wide],
                channels: 2,
                ..window
            },
            weight: weight.clone(),
            bias: Array1::zeros(2),
        }],
    )?;
    let (a, b) = (numbers(1, 70, 0.3), numbers(1, 36, 0.8));
    let there =
        Network::new(70, vec![convolution([0.0; 3])])?.forward(a.iter().copied().collect(), 1)?;
    let back = back.forward(b.iter().copied().collect(), 1)?;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (one, other) = (
        dot(&there, b.as_slice().unwrap()),
        dot(a.as_slice().unwrap(), &back),
    );
    assert!((one - other).abs() < 1e-12, "{one} {other}");
    Ok(())
}

#[test]
fn one_pass_learning_is_the_rule_that_is_written_down() -> Result<()> {
    let (n, units, steps) = (40, 3, 4);
    let (w, v) = (numbers(units, n, 0.1), array![1.0, -0.5, 0.7]);
    let (target, u) = (numbers(2, n, 0.6), array![1.0, 1.0]);
    let source = GaussianInputs { inputs: n };
    let g = |x: f64| hmm_core::special::f64::erf(x / 2_f64.sqrt());
    let slope = |x: f64| (2.0 / PI).sqrt() * (-0.5 * x * x).exp();
    for batch in [1, 5, 300] {
        let rule = OnlineRule {
            lr: 0.4.into(),
            lr_v: 0.2.into(),
            train_second_layer: true,
            noise: 0.0.into(),
            weight_decay: 0.05.into(),
            batch,
        };
        let measurement = Measurement {
            moments: None,
            centred: true,
            test_size: 10,
        };
        let (found_w, found_v) = on_threads(|| {
            let student = Student::<f64>::new(w.view(), v.view(), Activation::Erf)?;
            let teacher = Teacher::new(
                target.view(),
                u.view(),
                Activation::Erf,
                Labels::Input,
                false,
            )?;
            // Alone, and beside another that learns at another rate.
            let mut alone = OnlineSgd::new(
                Arc::new(source),
                teacher.clone(),
                student.clone(),
                rule.clone(),
                measurement,
                &[7; 8],
            )?;
            alone.advance(steps, &Cancel::new())?;
            let other = OnlineRule {
                lr: 0.1.into(),
                ..rule.clone()
            };
            let members = vec![(student.clone(), other), (student, rule.clone())];
            let mut both =
                OnlineSgd::ensemble(Arc::new(source), teacher, members, measurement, &[7; 8])?;
            both.advance(steps, &Cancel::new())?;
            let layers = |student: &Student<f64>| (student.first_layer(), student.second_layer());
            let own = layers(alone.student());
            assert!(both.students().nth(1).map(layers).as_ref() == Some(&own));
            Ok(own)
        })?;
        let count = steps as usize * batch;
        let (mut x, mut c) = (Array2::zeros((count, n)), Array2::zeros((count, n)));
        let stream = Stream::new(&[7; 8], Purpose::Sample);
        sample(
            &source,
            &stream,
            0,
            x.view_mut(),
            c.view_mut(),
            &Cancel::new(),
        )?;
        let (mut naive_w, mut naive_v) = (w.clone(), v.clone());
        let (root, keep) = ((n as f64).sqrt(), 1.0 - 0.05 / n as f64);
        for step in 0..steps as usize {
            let (mut along_w, mut along_v) = (
                Array2::<f64>::zeros((units, n)),
                Array1::<f64>::zeros(units),
            );
            for row in x.rows().into_iter().skip(step * batch).take(batch) {
                let fields = naive_w.dot(&row) / root;
                let label: f64 = (target.dot(&row) / root).iter().map(|&nu| g(nu)).sum();
                let delta = naive_v
                    .iter()
                    .zip(&fields)
                    .map(|(v, &l)| v * g(l))
                    .sum::<f64>()
                    - label;
                for k in 0..units {
                    along_w
                        .row_mut(k)
                        .scaled_add(delta * naive_v[k] * slope(fields[k]), &row);
                    along_v[k] += delta * g(fields[k]);
                }
            }
            let b = batch as f64;
            naive_w = naive_w * keep - along_w * (0.4 / (root * b));
            naive_v = naive_v * keep - along_v * (0.2 / (n as f64 * b));
        }
        // Four steps of sums of 40 and 300 numbers of order one.
        assert!(
            (&found_w - &naive_w).iter().all(|gap| gap.abs() < 1e-12),
            "{batch}"
        );
        assert!(
            (&found_v - &naive_v).iter().all(|gap| gap.abs() < 1e-12),
            "{batch}"
        );
    }
    Ok(())
}

#[test]
fn particles_keep_the_balance_of_their_layers() -> Result<()> {
    // Rectified units: a^2 - |w|^2 of every node is conserved by the flow, a step of size dt changes it by dt^2.
    let (nodes, d, count) = (300, 4, 600);
    let (a, w) = (
        numbers(1, nodes, 0.2).row(0).to_owned(),
        numbers(nodes, d, 0.5),
    );
    let (x, y) = (numbers(count, d, 0.9), signs(count, 0.3));
    let rule = Rule {
        loss: ExampleLoss::Squared,
        alpha: 1.0,
        h: 1.0,
        beta: 1.0,
        exponent: 1.0,
        subtract_init: false,
    };
    let balance = |a: &Array1<f64>, w: &Array2<f64>| -> Array1<f64> {
        let rows = w.rows().into_iter().zip(a);
        rows.map(|(w, a)| a * a - w.dot(&w)).collect()
    };
    let drift = |steps: u64| {
        let (a, w) = on_threads(|| {
            let setting = Setting {
                unit: Activation::Relu,
                rule,
                recorded: 0,
                tile: Some((32, 64)),
            };
            let examples = Examples::Fixed(Labelled::new(x.clone(), y.clone())?);
            let mut run = Particles::new(
                a.clone(),
                w.clone(),
                examples,
                None,
                setting,
                &Cancel::new(),
            )?;
            let dt = 1.0 / steps as f64;
            run.advance(
                &Stretch {
                    dt,
                    ..Stretch::steps(steps)
                },
                &Cancel::new(),
            )?;
            let state = run.snapshot();
            Ok((
                state.array::<f64, Ix1>("a")?.to_owned(),
                state.array::<f64, Ix2>("w")?.to_owned(),
            ))
        })?;
        Ok::<_, hmm_core::Error>(balance(&a, &w))
    };
    let start = balance(&a, &w);
    let (coarse, fine) = (drift(20)? - &start, drift(40)? - &start);
    let size = |x: &Array1<f64>| x.dot(x).sqrt();
    assert!(size(&coarse) > 0.0 && size(&fine) < 0.05 * size(&start));
    // Half the step, half the drift, but for the next order.
    let ratio = size(&coarse) / size(&fine);
    assert!((ratio - 2.0).abs() < 0.2, "{ratio}");
    Ok(())
}
