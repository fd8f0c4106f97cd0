//! One kernel of the simulations, many times on one thread: `sim_kernels KERNEL COUNT` prints seconds of an item.
//!
//! The benchmarks time these, and a test counts their instructions. Without arguments: the list.
//! `HMM_RS_INSTRUCTION_SET` chooses the instruction set, as in Python.

use hmm_core::instructions::{InstructionSet, choose};
use hmm_core::random::{Purpose, Stream};
use hmm_core::{Activation, Cancel, Entry, Named, Real, Result, parallel, special};
use hmm_sim::features::{FeatureKind, Features};
use hmm_sim::gradient_flow::{Fused, Inputs, Model, ReluLayer, ReluWeights};
use hmm_sim::hidden_manifold::{HiddenManifold, Mean};
use hmm_sim::network_kernel::{Part, ReluNetwork, network_ntk};
use hmm_sim::nonlinearity::Nonlinearity;
use hmm_sim::source::Source;
use ndarray::{Array1, Array2};
use std::sync::Arc;
use std::time::Instant;

/// What is called many times.
type Call = Box<dyn FnMut() -> Result<()> + Send>;
/// A kernel: its name, the items of a call, and what sets it up and returns the call.
type Kernel = (&'static str, usize, fn() -> Result<Call>);

/// Samples of a block of data.
const BLOCK: usize = 128;
/// Pairs of example and neuron in an evaluation of the gradient.
const EXAMPLES: usize = 512;
const NEURONS: usize = 512;
/// Points of a kernel matrix.
const POINTS: usize = 128;

const KERNELS: [Kernel; 8] = [
    ("hadamard_float64", BLOCK, || {
        data::<f64>(FeatureKind::Hadamard)
    }),
    ("hadamard_float32", BLOCK, || {
        data::<f32>(FeatureKind::Hadamard)
    }),
    ("gaussian_float64", BLOCK, || {
        data::<f64>(FeatureKind::Gaussian)
    }),
    ("gaussian_float32", BLOCK, || {
        data::<f32>(FeatureKind::Gaussian)
    }),
    ("gradient_float64", EXAMPLES * NEURONS, gradient::<f64>),
    ("gradient_float32", EXAMPLES * NEURONS, gradient::<f32>),
    ("ntk_float64", POINTS * POINTS, || Ok(ntk::<f64>())),
    ("ntk_float32", POINTS * POINTS, || Ok(ntk::<f32>())),
];

fn main() -> Result<()> {
    if let Ok(name) = std::env::var("HMM_RS_INSTRUCTION_SET") {
        choose(Some(InstructionSet::named("instruction_set", &name)?))?;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = arguments
        .first()
        .and_then(|name| KERNELS.iter().find(|kernel| kernel.0 == name));
    let count = arguments.get(1).and_then(|count| count.parse().ok());
    let (Some((name, items, set_up)), Some(count)) = (wanted, count) else {
        let names: Vec<&str> = KERNELS.iter().map(|kernel| kernel.0).collect();
        eprintln!("usage: sim_kernels KERNEL COUNT, KERNEL one of {names:?}");
        std::process::exit(2);
    };
    let seconds = parallel::pool(Some(1))?.install(|| time(*set_up, count))?;
    let seconds = seconds / (count * items).max(1) as f64;
    let set = special::instruction_set();
    println!(r#"{{"kernel": "{name}", "instruction_set": "{set}", "seconds": {seconds:e}}}"#);
    Ok(())
}

/// Seconds of `count` calls, after one that does not count.
fn time(set_up: fn() -> Result<Call>, count: usize) -> Result<f64> {
    let mut call = set_up()?;
    call()?;
    let started = Instant::now();
    for _ in 0..count {
        call()?;
    }
    Ok(started.elapsed().as_secs_f64())
}

fn numbers<T: Real>(rows: usize, columns: usize) -> Array2<T> {
    Array2::from_shape_fn((rows, columns), |(i, j)| {
        T::from_f64((1.0 + 1.7 * (columns * i + j) as f64).sin())
    })
}

/// Blocks of data x = sign(u) at N = 1024, D = 256.
fn data<T: Real>(kind: FeatureKind) -> Result<Call> {
    let (n, d, cancel) = (1024, 256, Cancel::new());
    let disorder = Stream::new(&[7; 8], Purpose::Disorder);
    let features = Features::<T>::draw(kind, n, d, false, &disorder, &cancel)?;
    let sign = Nonlinearity::named(Activation::Sign)?;
    let source = HiddenManifold::new(Arc::new(features), sign, &Mean::Common(0.0))?;
    let stream = disorder.with_purpose(Purpose::Sample);
    let mut latents = vec![T::ZERO; BLOCK * d];
    let mut inputs = vec![T::ZERO; BLOCK * n];
    let mut block = 0;
    Ok(Box::new(move || {
        block += 1;
        source.fill(&stream, block, &mut latents, &mut inputs)
    }))
}

/// Outputs and gradient of a rectified layer on inputs of ten dimensions.
fn gradient<T: Real + Entry + Fused>() -> Result<Call> {
    let d = 10;
    let x = numbers::<f64>(EXAMPLES, d);
    let w = numbers::<f64>(NEURONS, d);
    let (b, a) = (
        Array1::from_elem(NEURONS, 0.1),
        Array1::from_elem(NEURONS, 1.0),
    );
    let weights = ReluWeights {
        w: w.view(),
        b: b.view(),
        a: a.view(),
        unit: Activation::Sqrt2Relu,
    };
    let theta = weights.parameters::<T>();
    let layer = ReluLayer::<T>::new(Inputs::new(x.view())?, &weights)?;
    let slopes = vec![-1.0; EXAMPLES];
    let mut outputs = vec![0.0; EXAMPLES];
    let mut gradient = vec![T::ZERO; theta.len()];
    Ok(Box::new(move || {
        layer.outputs(&theta, &mut outputs, &Cancel::new())?;
        layer.gradient(&theta, &slopes, &mut gradient, &Cancel::new())
    }))
}

/// The tangent kernel of a network of 1024 neurons.
fn ntk<T: Real>() -> Call {
    let (d, h) = (10, 1024);
    let (x, omega) = (numbers::<T>(POINTS, d), numbers::<T>(h, d));
    let beta = Array1::from_elem(h, T::ONE);
    let mut out = Array2::zeros((POINTS, POINTS));
    Box::new(move || {
        let network = ReluNetwork {
            omega: omega.view(),
            b: None,
            beta: beta.view(),
            unit: Activation::Relu,
        };
        network_ntk(
            &network,
            x.view(),
            None,
            Part::Full,
            256,
            out.view_mut(),
            &Cancel::new(),
        )
    })
}
