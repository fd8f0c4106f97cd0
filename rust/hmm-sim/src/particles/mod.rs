//! One-hidden-layer networks of many nodes in the mean-field scaling,
//! `f(x) = (1/M) sum_i a_i phi(kappa w_i.x)`, trained as interacting particles
//! (Pellegrini & Biroli 2020, Chizat & Bach 2018).

pub mod initial;
