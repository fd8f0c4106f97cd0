//! One door for each kind of argument and result.

pub mod array;
pub mod columns;
pub mod dtype;
pub mod name;
pub mod schedule;
pub mod seed;
