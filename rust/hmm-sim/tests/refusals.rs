//! Sizes that do not fit together are errors that name them, wherever a caller's slices come in: never a panic.

use hmm_core::random::{Purpose, Stream};
use hmm_core::{Activation, Cancel, Error, Loss, Real, Result};
use hmm_sim::classifier::Classifier;
use hmm_sim::features::{FeatureKind, Features};
use hmm_sim::fields::{FieldMoments, Labels, Outputs, Teacher, squared_error};
use hmm_sim::full_batch::experiment::{GaussianFeatures, Task, run};
use hmm_sim::full_batch::{Problem, Stop, fit};
use hmm_sim::gaussian::{CorrelatedGaussian, GaussianInputs};
use hmm_sim::generator::{DeepGenerator, Layer, Network};
use hmm_sim::gradient_flow::{FrozenKernel, Fused, Inputs, Model, ReluLayer, ReluWeights};
use hmm_sim::hidden_manifold::{ConjugateManifold, HiddenManifold, Mean};
use hmm_sim::labelled::{LabelledLaw, Linear, Manifold, Shape};
use hmm_sim::loss::ExampleLoss;
use hmm_sim::nonlinearity::Nonlinearity;
use hmm_sim::particles::initial::random_nodes;
use hmm_sim::particles::{Examples, Labelled, Particles, Rule, Setting, Sizes};
use hmm_sim::source::Source;
use hmm_sim::stepper::{Stepper, Stretch};
use hmm_sim::stored::StoredSamples;
use ndarray::{Array1, Array2, ShapeBuilder, array, aview1};
use std::sync::Arc;

/// The message of a shape that is refused.
fn shape<A>(result: Result<A>) -> String {
    let error = result.err();
    assert!(matches!(error, Some(Error::Shape { .. })), "{error:?}");
    error.map_or_else(String::new, |error| error.to_string())
}

fn disorder() -> Stream {
    Stream::new(&[3; 8], Purpose::Disorder)
}

#[test]
fn every_source_refuses_slices_that_hold_other_numbers_of_rows() -> Result<()> {
    let (n, d, cancel) = (8, 3, Cancel::new());
    let drawn = |kind| Features::<f64>::draw(kind, n, d, false, &disorder(), &cancel).map(Arc::new);
    let (dense, fast) = (drawn(FeatureKind::Gaussian)?, drawn(FeatureKind::Hadamard)?);
    let ones = Array1::ones(n);
    let manifold = |features: &Arc<Features<f64>>| {
        let features = Arc::clone(features);
        HiddenManifold::new(
            features,
            Nonlinearity::named(Activation::Erf)?,
            &Mean::Common(0.0),
        )
    };
    let layer = Layer::Dense {
        weight: Array2::ones((n, d)),
        bias: Array1::zeros(n),
    };
    let sources: Vec<(&str, Box<dyn Source<f64>>)> = vec![
        ("dense manifold", Box::new(manifold(&dense)?)),
        ("fast manifold", Box::new(manifold(&fast)?)),
        (
            "conjugate",
            Box::new(ConjugateManifold::new(
                fast,
                ones.view(),
                ones.view(),
                ones.view(),
            )?),
        ),
        ("vanilla", Box::new(GaussianInputs { inputs: n })),
        (
            "correlated",
            Box::new(CorrelatedGaussian::new(
                Array2::ones((n, d)).view(),
                Array2::ones((n, 2)).view(),
            )?),
        ),
        (
            "generator",
            Box::new(DeepGenerator::new(Network::new(d, vec![layer])?, None)?),
        ),
        (
            "stored",
            Box::new(StoredSamples::new(
                Array2::ones((5, n)).view(),
                ones.slice(ndarray::s![..5]),
            )?),
        ),
    ];
    for (name, source) in &sources {
        let (n, d) = (source.inputs(), source.latents());
        let fill = |latents: usize, inputs: usize| {
            let (mut c, mut x) = (vec![0.0; latents], vec![0.0; inputs]);
            source.fill(&disorder(), 0, &mut c, &mut x)
        };
        fill(4 * d, 4 * n)?;
        fill(0, 0)?;
        for (latents, inputs) in [(4 * d, 3 * n), (3 * d, 4 * n), (0, n), (d, 0), (d, n - 1)] {
            let words = shape(fill(latents, inputs));
            let rule = format!("as many rows of D = {d} numbers as of N = {n}");
            assert!(words.contains(&rule), "{name}: {words}");
        }
    }
    // Weights are those of so many units, or there is no projection.
    for source in [&sources[0].1, &sources[1].1, &sources[3].1] {
        assert!(source.project(&vec![1.0; 2 * n], 2)?.is_some());
        assert!(shape(source.project(&vec![1.0; 2 * n], 3)).contains("those of 3 units on N = 8"));
        assert!(source.project(&[1.0], usize::MAX).is_err());
    }
    Ok(())
}

#[test]
fn a_teacher_refuses_rows_it_cannot_see() -> Result<()> {
    let (n, d) = (4, 2);
    let w = Array2::ones((3, d));
    let v = Array1::ones(3);
    let teacher = Teacher::<f64>::new(w.view(), v.view(), Activation::Erf, Labels::Latent, false)?;
    let (x, c) = (vec![1.0; 2 * n], vec![1.0; 2 * d]);
    teacher.fields(&x, &c, &mut [0.0; 6])?;
    for fields in [3, 5, 9] {
        let words = shape(teacher.fields(&x, &c, &mut vec![0.0; fields]));
        assert!(words.contains("3 numbers for each row of 2"), "{words}");
    }
    assert!(shape(teacher.labels(&[0.0; 5], &mut [0.0; 2])).contains("3 for each of 2 labels"));
    // On data of another number of latents, and for a student of other sizes.
    let moments = FieldMoments { b: 1.0, zeta: 0.0 };
    let wide = GaussianInputs { inputs: n };
    shape(teacher.overlaps(&wide, &moments, &[1.0; 4], &[1.0; 4]));
    let own = GaussianInputs { inputs: d };
    let (r, t) = teacher.overlaps(&own, &moments, &[1.0, 3.0], &[1.0, 3.0])?;
    // Fields of rows of ones and of (1, 3): (b/D) S.w = 4/2, w.w/D = 1.
    assert_eq!((r, t), (vec![2.0; 3], vec![1.0; 9]));
    shape(teacher.overlaps(&own, &moments, &[1.0, 3.0], &[1.0; 3]));
    Ok(())
}

#[test]
fn order_parameters_have_the_sizes_of_their_networks() -> Result<()> {
    let unit = Activation::Erf;
    let (student, teacher) = (
        Outputs { v: &[1.0; 2], unit },
        Outputs { v: &[1.0; 3], unit },
    );
    let error = |q: &[f64], r: &[f64], t: &[f64]| {
        squared_error([q, r, t], student, teacher, &Cancel::new())
    };
    assert!(error(&[0.5; 4], &[0.1; 6], &[0.5; 9])?.is_some());
    assert!(
        shape(error(&[0.5; 3], &[0.1; 6], &[0.5; 9]))
            .starts_with("Q has shape [3]: must have 2 x 2")
    );
    assert!(
        shape(error(&[0.5; 4], &[], &[0.5; 9])).starts_with("R has shape [0]: must have 2 x 3")
    );
    assert!(shape(error(&[0.5; 4], &[0.1; 6], &[0.5; 8])).starts_with("T has shape [8]"));
    Ok(())
}

#[test]
fn a_generator_evaluates_the_rows_it_is_given() -> Result<()> {
    let network = Network::new(
        2,
        vec![
            Layer::Dense {
                weight: array![[1.0, 2.0]],
                bias: array![0.5],
            },
            Layer::Sigmoid,
        ],
    )?;
    assert_eq!(network.forward(vec![0.0, -0.25], 1)?, [0.5]);
    // No row is no output, not a division by nothing.
    assert_eq!(network.forward(Vec::new(), 0)?, []);
    for (numbers, count) in [(2, 0), (0, 1), (3, 1), (2, 2), (4, usize::MAX)] {
        let words = shape(network.forward(vec![1.0; numbers], count));
        assert!(words.contains("rows of 2 inputs"), "{words}");
    }
    Ok(())
}

fn laws() -> Result<Vec<LabelledLaw>> {
    let radial = Manifold::Radial {
        informative: 2,
        threshold: 1.0,
        stretch: 2.0,
    };
    Ok(vec![
        LabelledLaw::new(Shape::Linear(Linear::Separable { sigma: 1.0 }), 3, 0.1)?,
        LabelledLaw::new(Shape::Manifold(radial), 3, 0.0)?,
    ])
}

#[test]
fn a_law_fills_one_row_for_each_label() -> Result<()> {
    for law in laws()? {
        let fill = |inputs: usize, labels: usize, start: u64| {
            let (mut x, mut y) = (vec![0.0_f64; inputs], vec![0.0; labels]);
            law.fill(&disorder(), start, &mut x, &mut y, false, &Cancel::new())
        };
        assert_eq!(law.inputs(), 3);
        fill(30, 10, 5)?;
        fill(0, 0, 0)?;
        for (inputs, labels) in [(30, 4), (30, 11), (31, 10), (0, 1), (3, 0)] {
            let words = shape(fill(inputs, labels, 5));
            assert!(
                words.contains("rows of 3 inputs, as many as labels"),
                "{words}"
            );
        }
        assert!(fill(3, 1, u64::MAX).is_err());
    }
    Ok(())
}

/// Two examples, three neurons, in `d` dimensions.
fn layer(d: usize) -> Result<(ReluLayer<f64>, Vec<f64>)> {
    let (w, one) = (Array2::ones((3, d)), Array1::ones(3));
    let weights = ReluWeights {
        w: w.view(),
        b: one.view(),
        a: one.view(),
        unit: Activation::Relu,
    };
    let inputs = Inputs::new(Array2::ones((2, d)).view())?;
    Ok((ReluLayer::new(inputs, &weights)?, weights.parameters()))
}

fn refuses_other_lengths<M: Model<Scalar = f64>>(model: &M, theta: &[f64]) -> Result<()> {
    let (p, n, cancel) = (model.examples(), model.parameters(), Cancel::new());
    assert_eq!(theta.len(), n);
    model.outputs(theta, &mut vec![0.0; p], &cancel)?;
    model.gradient(theta, &vec![1.0; p], &mut vec![0.0; n], &cancel)?;
    for wrong in [0, 1, n - 1, n + 1] {
        let theta = vec![1.0; wrong];
        shape(model.outputs(&theta, &mut vec![0.0; p], &cancel));
    }
    for wrong in [0, p - 1, p + 1] {
        shape(model.outputs(theta, &mut vec![0.0; wrong], &cancel));
        shape(model.gradient(theta, &vec![1.0; wrong], &mut vec![0.0; n], &cancel));
    }
    for wrong in [0, n - 1, n + 1] {
        shape(model.gradient(theta, &vec![1.0; p], &mut vec![0.0; wrong], &cancel));
    }
    Ok(())
}

#[test]
fn models_of_a_flow_refuse_slices_of_other_lengths() -> Result<()> {
    let cancel = Cancel::new();
    // With a kernel of its own, and by products.
    for d in [2, 18] {
        let (layer, theta) = layer(d)?;
        refuses_other_lengths(&layer, &theta)?;
        for wrong in [0, 1, theta.len() + 1] {
            shape(layer.gradient(
                &vec![1.0; wrong],
                &[1.0; 2],
                &mut vec![0.0; theta.len()],
                &cancel,
            ));
        }
        let points = Inputs::new(Array2::ones((4, d)).view())?;
        shape(layer.outputs_at(&points, &theta[1..], &cancel));
        shape(layer.outputs_at(
            &Inputs::new(Array2::ones((4, d + 1)).view())?,
            &theta,
            &cancel,
        ));
    }
    let kernel = FrozenKernel::new(array![[2.0, 1.0], [1.0, 3.0]].view())?;
    refuses_other_lengths(&kernel, &[1.0, -1.0])?;
    let points = array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
    assert_eq!(
        kernel.outputs_at(&points, &[1.0, 10.0], &cancel)?,
        [21.0, 43.0, 65.0]
    );
    shape(kernel.outputs_at(&points, &[], &cancel));
    shape(kernel.outputs_at(&array![[1.0]], &[1.0, 10.0], &cancel));
    // Columns one after the other would be read as rows.
    let turned = Array2::from_shape_fn((3, 2).f(), |at| points[at]);
    shape(kernel.outputs_at(&turned, &[1.0, 10.0], &cancel));
    assert_eq!(kernel.points(turned.view())?, points);
    Ok(())
}

#[test]
fn fused_kernels_leave_alone_what_they_have_no_room_for() {
    let mut out = [1.0; 64];
    f64::add_outputs(2, &[1.0; 127], &[1.0; 3], &[1.0], &mut out);
    assert_eq!(out, [1.0; 64]);
    f64::add_outputs(2, &[1.0; 128], &[1.0; 3], &[1.0], &mut out);
    assert_eq!(out, [4.0; 64]);
    for (neurons, room) in [(65, 192), (64, 191), (1, 0)] {
        let mut out = vec![1.0; room];
        f64::add_forces(2, &vec![1.0; 3 * neurons], &[1.0; 2], &[1.0], &mut out);
        assert!(out.iter().all(|x| *x == 1.0));
    }
    let mut out = [1.0; 192];
    f64::add_forces(2, &[1.0; 192], &[1.0; 2], &[1.0], &mut out);
    assert_eq!(out, [2.0; 192]);
}

#[test]
fn tiles_of_any_size_leave_the_particles_their_bits() -> Result<()> {
    let (d, width, cancel) = (3, 20, Cancel::new());
    let law = &laws()?[0];
    let (x, y) = law.sample(&disorder(), 0, 50, false, &cancel)?;
    let rule = Rule {
        loss: ExampleLoss::Hinge,
        alpha: 1.0,
        h: 1.0,
        beta: 1.0,
        exponent: 1.0,
        subtract_init: false,
    };
    let state = |tile| {
        let nodes = random_nodes::<f64>(&[1; 8], width, d, (1.0, 1.0, 0.0), &cancel)?;
        let setting = Setting {
            unit: Activation::Relu,
            rule,
            recorded: 0,
            tile,
        };
        let examples = Examples::Fixed(Labelled::new(x.clone(), y.clone())?);
        let mut run = Particles::new(nodes.a, nodes.w, examples, None, setting, &cancel)?;
        run.advance(
            &Stretch {
                dt: 0.1,
                ..Stretch::steps(3)
            },
            &cancel,
        )?;
        Ok::<_, Error>(run.snapshot())
    };
    let whole = state(Some((24, 50)))?;
    for tile in [
        (25, 51),
        (usize::MAX, 50),
        (24, usize::MAX),
        (usize::MAX - 7, usize::MAX),
    ] {
        assert_eq!(state(Some(tile))?, whole, "{tile:?}");
    }
    // Nothing to multiply by nothing.
    assert!(state(Some((0, 0))).is_ok());
    // An estimate may be asked for sizes that no machine holds.
    let sizes = |width, d, examples, tile| Sizes {
        width,
        d,
        unit: Activation::Erf,
        examples,
        tests: 0,
        fresh: true,
        subtract_init: true,
        tile,
    };
    let most = usize::MAX;
    for sizes in [
        sizes(most, most, most, None),
        sizes(most, 1, 1, Some((most, most))),
        sizes(1, most, 1, None),
        sizes(1, 1, most, Some((1, 1))),
    ] {
        assert!(sizes.bytes::<f32>(1) > 1 << 60);
    }
    Ok(())
}

#[test]
fn a_classifier_looks_up_only_samples_and_classes_that_there_are() -> Result<()> {
    let (x, cancel) = (array![[1.0, 0.0], [0.0, 1.0]], Cancel::new());
    let network = || Classifier::new(Array2::ones((3, 2)).view(), Array2::zeros((2, 3)).view());
    let learn = |labels: &[u32], order: &[u32], batch: usize| {
        network()?.learn(x.view(), aview1(labels), aview1(order), 0.1, batch, &cancel)
    };
    assert!((learn(&[0, 1], &[0, 1], usize::MAX)? - 2_f64.ln()).abs() < 1e-15);
    assert!(learn(&[0, 1], &[0, 1], 0).is_ok());
    assert!(
        learn(&[0, 2], &[0], 1)
            .unwrap_err()
            .to_string()
            .contains("below the number of classes, 2")
    );
    assert!(
        learn(&[0, 1], &[2], 1)
            .unwrap_err()
            .to_string()
            .contains("one of 2 samples")
    );
    shape(learn(&[0], &[0], 1));
    shape(Classifier::<f64>::new(
        Array2::ones((3, 0)).view(),
        Array2::zeros((2, 3)).view(),
    ));
    shape(Classifier::<f64>::new(
        Array2::ones((0, 2)).view(),
        Array2::zeros((2, 0)).view(),
    ));
    Ok(())
}

#[test]
fn fits_need_an_example_and_a_feature() -> Result<()> {
    let stop = Stop {
        tol: 1e-8,
        max_iterations: 50,
    };
    let cancel = Cancel::new();
    for loss in [Loss::Ridge, Loss::Squared, Loss::Logistic, Loss::Hinge] {
        for (x, y) in [
            (Array2::ones((0, 2)), Array1::ones(0)),
            (Array2::ones((2, 0)), Array1::ones(2)),
            (Array2::ones((2, 3)), Array1::ones(3)),
        ] {
            let problem = Problem {
                x: x.view(),
                y: y.view(),
                lam: 1.0,
            };
            shape(fit(loss, &problem, &stop, &cancel));
        }
        // One class only, one example only, an example of nothing: all have a minimum.
        let (x, y) = (array![[0.0, 0.0]], array![1.0]);
        let problem = Problem {
            x: x.view(),
            y: y.view(),
            lam: 1.0,
        };
        let fitted = fit(loss, &problem, &stop, &cancel)?;
        assert!(
            fitted.converged && fitted.w.iter().all(|w| w.abs() < 1e-12),
            "{loss}"
        );
    }
    let features = GaussianFeatures {
        omega: Array1::ones(3),
        b: Array1::zeros(3),
        rho: 1.0,
    };
    let task = Task {
        loss: Loss::Ridge,
        lam: 1.0,
        flip: 0.0,
        noise: 0.0,
        stop,
    };
    let of = |sizes: &[usize], repeats| run(&features, sizes, repeats, &task, &disorder(), &cancel);
    assert_eq!(of(&[], 3)?.dim(), (0, 3));
    assert_eq!(of(&[5, 6], 0)?.dim(), (2, 0));
    assert_eq!(of(&[5, 6], 2)?.dim(), (2, 2));
    shape(of(&[5, 0], 2));
    Ok(())
}

#[test]
fn nothing_is_drawn_of_features_of_nothing() {
    let cancel = Cancel::new();
    for (n, d) in [(0, 1), (1, 0), (0, 0)] {
        let drawn = Features::<f32>::draw(FeatureKind::Dct, n, d, true, &disorder(), &cancel);
        assert!(matches!(drawn, Err(Error::Shape { .. })));
        assert!(Features::<f32>::from_matrix(Array2::ones((n, d)).view(), true).is_err());
    }
    // One input and one latent: the transform is the identity, its row a sign.
    for kind in [
        FeatureKind::Hadamard,
        FeatureKind::Dct,
        FeatureKind::Orthogonal,
    ] {
        let one = Features::<f64>::draw(kind, 1, 1, false, &disorder(), &cancel).unwrap();
        assert_eq!(one.dense(&cancel).unwrap()[[0, 0]].abs(), f64::ONE);
    }
}
