//! The random half: data generation, training runs, kernels of finite networks.

pub mod network_kernel;
