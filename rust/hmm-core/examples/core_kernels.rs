//! One inner kernel, many times: `core_kernels KERNEL COUNT` prints seconds of an item.
//!
//! The benchmarks time these, and a test counts their instructions. Without arguments: the list.
//! `HMM_RS_INSTRUCTION_SET` chooses the instruction set, as in Python.

use hmm_core::instructions::{InstructionSet, choose};
use hmm_core::linalg::{matmul, rows, rows_mut};
use hmm_core::random::{Purpose, Stream, fill_normal};
use hmm_core::{Named, Real, Result, special};
use rand_distr::{Distribution, StandardNormal};
use std::hint::black_box;
use std::time::Instant;

/// Numbers of a slice that stays in the cache.
const LENGTH: usize = 4096;
/// Inputs of a unit in the step of one-pass learning.
const INPUTS: usize = 1000;
/// Rows, inner length and columns of a product as data generation makes them.
const SHAPE: (usize, usize, usize) = (128, 100, 1000);

/// A kernel: its name, the items of a call, and what sets it up and returns the call.
type Kernel = (&'static str, usize, fn() -> Box<dyn FnMut()>);

const KERNELS: [Kernel; 14] = [
    ("normals_float64", LENGTH, normals::<f64>),
    ("normals_float32", LENGTH, normals::<f32>),
    ("ziggurat_float64", LENGTH, ziggurat::<f64>),
    ("ziggurat_float32", LENGTH, ziggurat::<f32>),
    ("erf_float64", LENGTH, erf::<f64>),
    ("erf_float32", LENGTH, erf::<f32>),
    ("dot_float64", INPUTS, dot::<f64>),
    ("dot_float32", INPUTS, dot::<f32>),
    ("update_float64", INPUTS, update::<f64>),
    ("update_float32", INPUTS, update::<f32>),
    ("update_dot_float64", INPUTS, update_dot::<f64>),
    ("update_dot_float32", INPUTS, update_dot::<f32>),
    ("product_float64", SHAPE.0, product::<f64>),
    ("product_float32", SHAPE.0, product::<f32>),
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
        eprintln!("usage: core_kernels KERNEL COUNT, KERNEL one of {names:?}");
        std::process::exit(2);
    };
    let mut call = set_up();
    call();
    let started = Instant::now();
    for _ in 0..count {
        call();
    }
    let seconds = started.elapsed().as_secs_f64() / (count * items).max(1) as f64;
    let set = special::instruction_set();
    println!(r#"{{"kernel": "{name}", "instruction_set": "{set}", "seconds": {seconds:e}}}"#);
    Ok(())
}

fn numbers<T: Real>(count: usize) -> Vec<T> {
    (0..count)
        .map(|i| T::from_f64((1.0 + 1.7 * i as f64).sin()))
        .collect()
}

fn normals<T: Real>() -> Box<dyn FnMut()> {
    let mut generator = Stream::new(&[7; 8], Purpose::Sample).generator(0, 0);
    let mut out = vec![T::ZERO; LENGTH];
    Box::new(move || fill_normal(&mut generator, black_box(&mut out)))
}

/// What a good user would take instead: the ziggurat on the same generator.
fn ziggurat<T: Real>() -> Box<dyn FnMut()>
where
    StandardNormal: Distribution<T>,
{
    let mut generator = Stream::new(&[7; 8], Purpose::Sample).generator(0, 0);
    let mut out = vec![T::ZERO; LENGTH];
    Box::new(move || {
        for x in black_box(&mut out).iter_mut() {
            *x = StandardNormal.sample(&mut generator);
        }
    })
}

fn erf<T: Real>() -> Box<dyn FnMut()> {
    let start = numbers::<T>(LENGTH);
    let mut out = start.clone();
    Box::new(move || {
        black_box(&mut out).copy_from_slice(&start);
        special::map_in_place(&mut out, T::erf_sqrt2);
    })
}

fn dot<T: Real>() -> Box<dyn FnMut()> {
    let (a, b) = (numbers::<T>(INPUTS), numbers::<T>(INPUTS));
    Box::new(move || {
        black_box(T::dot(black_box(&a), black_box(&b)));
    })
}

fn update<T: Real>() -> Box<dyn FnMut()> {
    let (mut w, x) = (numbers::<T>(INPUTS), numbers::<T>(INPUTS));
    let (keep, change) = (T::from_f64(0.5), T::from_f64(0.1));
    Box::new(move || T::update(black_box(&mut w), keep, change, black_box(&x)))
}

fn update_dot<T: Real>() -> Box<dyn FnMut()> {
    let (mut w, before, x) = (numbers::<T>(INPUTS), numbers::<T>(INPUTS), numbers(INPUTS));
    let (keep, change) = (T::from_f64(0.5), T::from_f64(0.1));
    Box::new(move || {
        black_box(T::update_dot(
            black_box(&mut w),
            keep,
            change,
            black_box(&before),
            black_box(&x),
        ));
    })
}

fn product<T: Real>() -> Box<dyn FnMut()> {
    let (m, k, n) = SHAPE;
    let (a, b) = (numbers::<T>(m * k), numbers::<T>(n * k));
    let mut out = vec![T::ZERO; m * n];
    Box::new(move || {
        let out = rows_mut(black_box(&mut out), m, n);
        let features = rows(black_box(&b), n, k).transpose();
        matmul(out, rows(black_box(&a), m, k), features, T::ONE);
    })
}
