//! Results as named columns.

use super::{MaxMargin, OptimalRidge, Ridgeless, Solution, Spectrum};
use hmm_core::{Entry, Table};
use ndarray::Array1;

impl Spectrum {
    /// The columns `omega, weight, t` (atoms) and the numbers `rho, rho_lin, rank`.
    pub fn columns(&self) -> Table {
        Table::new()
            .with("omega", self.omega().to_owned())
            .with("weight", self.weight().to_owned())
            .with("t", self.t().to_owned())
            .with("rho", self.rho())
            .with("rho_lin", self.teacher_linear_part())
            .with("rank", self.rank_fraction())
    }
}

/// A number of a [`Solution`] with its name.
type Number = (&'static str, fn(&Solution) -> f64);

const NUMBERS: [Number; 16] = [
    ("V", |s| s.overlaps.v),
    ("q", |s| s.overlaps.q),
    ("m", |s| s.overlaps.m),
    ("V_hat", |s| s.conjugates.v_hat),
    ("q_hat", |s| s.conjugates.q_hat),
    ("m_hat", |s| s.conjugates.m_hat),
    ("norm2", |s| s.overlaps.norm2),
    ("train_loss", |s| s.train_loss),
    ("train_error", |s| s.train_error),
    ("test_error", |s| s.test_error),
    ("test_error_clean", |s| s.test_error_clean),
    ("test_mse", |s| s.test_mse),
    ("train_mse", |s| s.train_mse),
    ("objective", |s| s.objective),
    ("residual", |s| s.residual),
    ("iterations", |s| s.iterations as f64),
];

/// All numbers of solutions, (points) each, and `converged`.
pub fn columns(solutions: &[Solution]) -> Table {
    fn column<T: Entry>(solutions: &[Solution], number: impl Fn(&Solution) -> T) -> Array1<T> {
        solutions.iter().map(number).collect()
    }
    let mut table = Table::new();
    for (name, number) in NUMBERS {
        table.push(name, column(solutions, number));
    }
    table.with("converged", column(solutions, |s| s.converged))
}

impl Ridgeless {
    /// The numbers `test_mse, train_mse`.
    pub fn columns(&self) -> Table {
        Table::new()
            .with("test_mse", self.test_mse)
            .with("train_mse", self.train_mse)
    }
}

impl MaxMargin {
    /// Every number by its name.
    pub fn columns(&self) -> Table {
        Table::new()
            .with("margin", self.margin)
            .with("test_error", self.test_error)
            .with("test_error_clean", self.test_error_clean)
            .with("V", self.overlaps.v)
            .with("q", self.overlaps.q)
            .with("m", self.overlaps.m)
            .with("norm2", self.overlaps.norm2)
            .with("threshold", self.threshold)
            .with("converged", self.converged)
            .with("iterations", self.iterations as u64)
            .with("residual", self.residual)
    }
}

impl OptimalRidge {
    /// The numbers `lam, at_edge`, and those of the solution there, (1) each.
    pub fn columns(&self) -> Table {
        let mut table = Table::new()
            .with("lam", self.lam)
            .with("at_edge", self.at_edge);
        for (name, column) in columns(&[self.solution]) {
            table.push(name, column);
        }
        table
    }
}
