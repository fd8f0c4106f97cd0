//! The simulations' kernels on every instruction set of this machine. The choice holds for the whole process: one test.

use hmm_core::instructions::{InstructionSet, choose};
use hmm_core::random::{Purpose, Stream};
use hmm_core::{Activation, Cancel, Entry, Real, Result};
use hmm_sim::features::{FeatureKind, Features};
use hmm_sim::gradient_flow::{Fused, Inputs, Model, ReluLayer, ReluWeights};
use hmm_sim::hidden_manifold::{HiddenManifold, Mean};
use hmm_sim::network_kernel::{Part, ReluNetwork, network_ntk};
use hmm_sim::nonlinearity::Nonlinearity;
use hmm_sim::source::Source;
use ndarray::{Array1, Array2};
use std::sync::Arc;

fn numbers(rows: usize, columns: usize) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |(i, j)| {
        (1.0 + 1.7 * (columns * i + j) as f64).sin()
    })
}

/// A block of data of smooth nonlinearity: N = 128, D = 40.
fn data<T: Real>(kind: FeatureKind) -> Result<Vec<f64>> {
    let (n, d, cancel) = (128, 40, Cancel::new());
    let disorder = Stream::new(&[7; 8], Purpose::Disorder);
    let features = Features::<T>::draw(kind, n, d, false, &disorder, &cancel)?;
    let erf = Nonlinearity::named(Activation::Erf)?;
    let source = HiddenManifold::new(Arc::new(features), erf, &Mean::Common(0.0))?;
    let stream = disorder.with_purpose(Purpose::Sample);
    let rows = Source::<T>::block_rows(&source);
    let (mut c, mut x) = (vec![T::ZERO; rows * d], vec![T::ZERO; rows * n]);
    source.fill(&stream, 3, &mut c, &mut x)?;
    Ok(x.iter().chain(&c).map(|x| x.to_f64()).collect())
}

/// Outputs and gradient of a layer: odd numbers of examples and neurons, so that vectors do not come out even.
fn gradient<T: Real + Entry + Fused>(d: usize) -> Result<Vec<f64>> {
    let (x, w) = (numbers(301, d), numbers(149, d));
    let (b, a) = (Array1::from_elem(149, 0.1), Array1::from_elem(149, 1.0));
    let weights = ReluWeights {
        w: w.view(),
        b: b.view(),
        a: a.view(),
        unit: Activation::Relu,
    };
    let theta = weights.parameters::<T>();
    let layer = ReluLayer::<T>::new(Inputs::new(x.view())?, &weights)?;
    let slopes: Vec<f64> = (0..301).map(|i| (0.3 * f64::from(i)).sin()).collect();
    let (mut outputs, mut gradient) = (vec![0.0; 301], vec![T::ZERO; theta.len()]);
    let cancel = Cancel::new();
    layer.outputs(&theta, &mut outputs, &cancel)?;
    layer.gradient(&theta, &slopes, &mut gradient, &cancel)?;
    outputs.extend(gradient.iter().map(|g| g.to_f64()));
    Ok(outputs)
}

fn kernel<T: Real>() -> Result<Vec<f64>> {
    let (x, omega) = (
        numbers(70, 5).mapv(T::from_f64),
        numbers(300, 5).mapv(T::from_f64),
    );
    let beta = Array1::from_elem(300, T::ONE);
    let network = ReluNetwork {
        omega: omega.view(),
        b: None,
        beta: beta.view(),
        unit: Activation::Relu,
    };
    let mut out = Array2::zeros((70, 70));
    network_ntk(
        &network,
        x.view(),
        None,
        Part::Full,
        32,
        out.view_mut(),
        &Cancel::new(),
    )?;
    Ok(out.iter().map(|x| x.to_f64()).collect())
}

fn everything<T: Real + Entry + Fused>() -> Result<Vec<(&'static str, Vec<f64>)>> {
    Ok(vec![
        ("gaussian data", data::<T>(FeatureKind::Gaussian)?),
        ("Hadamard data", data::<T>(FeatureKind::Hadamard)?),
        ("cosine data", data::<T>(FeatureKind::Dct)?),
        ("gradient, d = 10", gradient::<T>(10)?),
        ("gradient, d = 3", gradient::<T>(3)?),
        // No kernel of its own: by products.
        ("gradient, d = 18", gradient::<T>(18)?),
        ("kernel", kernel::<T>()?),
    ])
}

/// `allowed` is relative to the largest entry: sums of both signs may be small.
fn sets_agree<T: Real + Entry + Fused>(allowed: f64) -> Result<()> {
    choose(Some(InstructionSet::Baseline))?;
    let scalar = everything::<T>()?;
    for set in InstructionSet::available() {
        choose(Some(set))?;
        for ((name, found), (_, expected)) in everything::<T>()?.iter().zip(&scalar) {
            let largest = expected.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
            for (x, y) in found.iter().zip(expected) {
                assert!((x - y).abs() <= allowed * largest, "{set}, {name}: {x} {y}");
            }
        }
        // The same set, the same bits.
        let bits = |made: Vec<(_, Vec<f64>)>| -> Vec<u64> {
            made.iter()
                .flat_map(|(_, x)| x)
                .map(|x| x.to_bits())
                .collect()
        };
        assert_eq!(bits(everything::<T>()?), bits(everything::<T>()?), "{set}");
    }
    choose(None)
}

#[test]
fn every_set_gives_what_the_scalar_one_gives() -> Result<()> {
    // What is promised across sets, and the same number of roundings in single precision.
    sets_agree::<f64>(1e-12)?;
    sets_agree::<f32>(1e-12 / f64::EPSILON * <f32 as Real>::EPSILON)
}
