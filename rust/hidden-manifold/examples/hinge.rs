//! A wide network under the hinge loss against its mean field: the rotation gamma of its nodes.
//!
//! `cargo run --release -p hidden-manifold --example hinge`

use hidden_manifold::prelude::*;

const D: usize = 20;
const WIDTH: usize = 1000;
const BATCH: usize = 1000;
const DT: f64 = 0.5;
/// Steps at which both are looked at.
const STEPS: [u16; 5] = [0, 10, 30, 60, 120];

/// Time, fitted and predicted rotation.
pub fn rows() -> Result<Vec<[f64; 3]>> {
    let cancel = Cancel::new();
    // x ~ N(0, 1), y = sign(x_1); a fresh batch at every step.
    let shape = Shape::Linear(Linear::Separable { sigma: 1.0 });
    let examples = Examples::Fresh {
        stream: Box::new(LawBatches {
            law: LabelledLaw::new(shape, D, 0.0)?,
            seed: [2; 8],
        }),
        batch: BATCH,
    };
    let rule = ParticleRule {
        loss: ExampleLoss::Hinge,
        alpha: 1.0,
        h: 1.0,
        beta: 1.0,
        exponent: 1.0,
        subtract_init: false,
    };
    let setting = ParticleSetting {
        unit: Activation::Relu,
        rule,
        recorded: 0,
        tile: None,
    };
    let nodes = random_nodes::<f64>(&[1; 8], WIDTH, D, (1.0, 1.0, 0.0), &cancel)?;
    let mut run = Particles::new(nodes.a, nodes.w, examples, None, setting, &cancel)?;

    // All the theory knows of the data is the law of y x_1, and of the nodes two moments.
    let field = HingeMeanField::new(
        DataLaw::new(BaseLaw::Gaussian { sigma: 1.0 }, 0.0)?,
        HingeLoss {
            alpha: rule.alpha,
            h: rule.h,
            beta: rule.beta,
            exponent: rule.exponent,
        },
        1.0 / (D as f64).sqrt(),
        InitialMoments {
            correlation: 0.0,
            power: 1.0,
        },
        rule.subtract_init,
    )?;
    let last = STEPS.iter().max().copied().unwrap_or(0);
    let course = descend(&field, usize::from(last), DT, &cancel)?;
    let gamma = course.array::<f64, Ix1>("gamma")?;

    let mut rows = Vec::new();
    for step in STEPS {
        let stretch = Stretch {
            until_step: u64::from(step),
            dt: DT,
            ..Stretch::steps(u64::MAX)
        };
        run.advance(&stretch, &cancel)?;
        let fitted = run.observe(&cancel)?.number::<f64>("gamma")?;
        rows.push([run.clock().t, fitted, gamma[usize::from(step)]]);
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
