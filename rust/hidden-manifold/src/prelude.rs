//! What the three jobs of the examples need, in one `use`.
//!
//! Simulation and theory are independent of each other and share some names; here the second word says whose they are
//! (`OnlineRule` of the simulation, `OnlineSetting` of its equations).
//!
//! ```
//! use hidden_manifold::prelude::*;
//! let field = HingeMeanField::new(
//!     DataLaw::new(BaseLaw::Gaussian { sigma: 1.0 }, 0.0)?,
//!     HingeLoss { alpha: 1.0, h: 1.0, beta: 1.0, exponent: 1.0 },
//!     0.1,
//!     InitialMoments { correlation: 0.0, power: 1.0 },
//!     false,
//! )?;
//! assert!(field.gamma_dot(0.0) > 0.0);
//! # Ok::<(), Error>(())
//! ```

// Ground: options by name, random streams, results, interruption.
pub use hmm_core::random::{Purpose, Seed, Stream};
pub use hmm_core::{Activation, Cancel, Column, Error, Loss, Named, Result, Schedule, Table};

// Data, and networks to start from.
pub use hmm_sim::features::{FeatureKind, Features};
pub use hmm_sim::hidden_manifold::{HiddenManifold, Mean};
pub use hmm_sim::labelled::{LabelledLaw, Linear, Manifold as LabelManifold, Shape};
pub use hmm_sim::nonlinearity::Nonlinearity;
pub use hmm_sim::particles::initial::{Nodes, random_nodes};
pub use hmm_sim::source::Source;

// Engines: one contract, one-pass SGD, particles.
pub use hmm_sim::fields::{FieldMoments, Labels, Teacher};
pub use hmm_sim::loss::ExampleLoss;
pub use hmm_sim::online::{Measurement, OnlineSgd, Rule as OnlineRule, Student};
pub use hmm_sim::particles::{
    Examples, Labelled, LawBatches, Particles, Rule as ParticleRule, Setting as ParticleSetting,
};
pub use hmm_sim::stepper::{Clock, Stepper, Stretch};

// Full-batch fits of Gaussian features.
pub use hmm_sim::full_batch::Stop;
pub use hmm_sim::full_batch::experiment::{
    GaussianFeatures, Observation, Task, run as fit_gaussian_features,
};

// The equations of one-pass SGD.
pub use hmm_theory::activation::{Formula, Moments};
pub use hmm_theory::integrate::{Method, Tolerance};
pub use hmm_theory::online::committee::Unit as OnlineUnit;
pub use hmm_theory::online::finite_size::manifold_modes;
pub use hmm_theory::online::hidden_manifold::{
    Manifold as ManifoldModes, TeacherModes, hidden_manifold as hidden_manifold_equations,
};
pub use hmm_theory::online::modes::OnlineSystem;
pub use hmm_theory::online::solution::Solution;
pub use hmm_theory::online::{ModeArrays, Setting as OnlineSetting};

// The mean field of the hinge loss.
pub use hmm_theory::hinge::gd::descend;
pub use hmm_theory::hinge::{BaseLaw, DataLaw, HingeLoss, HingeMeanField, InitialMoments};

// The replica theory of full-batch learning.
pub use hmm_theory::replica::{
    Settings as ReplicaSettings, Solution as ReplicaSolution, Spectrum, learning_curve,
};

// Arrays as they go in and come out.
pub use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Ix1, Ix2, Ix3, array, aview1};
