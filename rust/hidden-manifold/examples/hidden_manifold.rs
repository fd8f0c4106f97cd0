//! One-pass SGD on the hidden manifold against its equations, from the same initial weights.
//!
//! `cargo run --release -p hidden-manifold --example hidden_manifold`

use hidden_manifold::prelude::*;
use std::sync::Arc;

/// Inputs, latents, units of student and teacher, learning rate.
const N: usize = 2000;
const D: usize = 100;
const UNITS: usize = 2;
const LR: f64 = 0.2;
const TIMES: [f64; 6] = [0.0, 1.0, 2.0, 5.0, 10.0, 20.0];

/// Time, simulated and predicted generalisation error.
pub fn rows() -> Result<Vec<[f64; 3]>> {
    let cancel = Cancel::new();
    // x = sign(C Fᵀ/√D); the sign has mean zero.
    let f = Activation::Sign;
    let disorder = Stream::new(&[1; 8], Purpose::Disorder);
    let features = Features::<f64>::draw(FeatureKind::Gaussian, N, D, false, &disorder, &cancel)?;
    let features = Arc::new(features);
    let model = HiddenManifold::new(
        Arc::clone(&features),
        Nonlinearity::named(f)?,
        &Mean::Common(0.0),
    )?;

    // Two erf networks: the teacher sees the latents, the student the inputs.
    let first_layer = |seed: u32, inputs: usize| {
        random_nodes::<f64>(&[seed; 8], UNITS, inputs, (1.0, 1.0, 0.0), &cancel)
            .map(|nodes| nodes.w)
    };
    let (w_teacher, w) = (first_layer(2, D)?, first_layer(3, N)?);
    let v = Array1::<f64>::ones(UNITS);
    let unit = Activation::Erf;
    let teacher = Teacher::new(w_teacher.view(), v.view(), unit, Labels::Latent, false)?;
    let student = Student::new(w.view(), v.view(), unit)?;
    let rule = OnlineRule {
        lr: LR.into(),
        lr_v: 0.0.into(),
        train_second_layer: false,
        noise: 0.0.into(),
        weight_decay: 0.0.into(),
        batch: 1,
    };
    let measurement = Measurement {
        moments: None,
        centred: true,
        test_size: 10_000,
    };
    let mut run = OnlineSgd::new(
        Arc::new(model),
        teacher,
        student,
        rule,
        measurement,
        &[4; 8],
    )?;

    // The equations, on the modes of this very F and these very weights.
    let setting = OnlineSetting {
        student: OnlineUnit::of("activation", unit)?,
        teacher: OnlineUnit::of("teacher_activation", unit)?,
        v0: v.to_vec(),
        v_teacher: v.to_vec(),
        lr: LR.into(),
        lr_v: 0.0.into(),
        noise: 0.0.into(),
        weight_decay: 0.0.into(),
        batch: 1,
    };
    let dense = features.dense(&cancel)?;
    let modes = manifold_modes(dense.view(), w.view(), w_teacher.view(), &cancel)?;
    let manifold = ManifoldModes {
        delta: D as f64 / N as f64,
        moments: f.moments(),
        center: true,
        rho: modes.array("rho")?,
        weights: modes.array("weights")?,
        w0: modes.array("W0")?,
        teacher_modes: TeacherModes::Exact,
    };
    let start = ModeArrays {
        covariance: modes.array("sigma0")?,
        overlap: modes.array("r0")?,
        teacher: modes.array("t_modes")?,
    };
    let equations = hidden_manifold_equations(&setting, &manifold, start)?;
    let tolerance = Tolerance::new(1e-8, 1e-10)?;
    let solution = equations.solve(aview1(&TIMES), Method::Auto, tolerance, &cancel)?;

    let mut rows = Vec::new();
    for (t, theory) in TIMES.iter().zip(solution.values.array::<f64, Ix1>("eg")?) {
        let stretch = Stretch {
            until: *t,
            ..Stretch::steps(u64::MAX)
        };
        Stepper::advance(&mut run, &stretch, &cancel)?;
        let simulated = run.observe(&cancel)?.number::<f64>("eg")?;
        rows.push([*t, simulated, *theory]);
    }
    Ok(rows)
}

fn main() -> Result<()> {
    println!("     t | simulation |    theory");
    for [t, simulation, theory] in rows()? {
        println!("{t:6.1} | {simulation:10.5} | {theory:9.5}");
    }
    Ok(())
}
