//! What the modes answer to a change of the averages, at frozen L, G, N in the eigenbasis of L.

#![expect(
    clippy::indexing_slicing,
    reason = "`ModeJacobian::check` has seen sizes, or they are made in `linearise`: rows of S modes for each entry of r and sigma, rows of one number for each direction; runs of B end at S"
)]

use super::jacobian::ModeJacobian;
use super::modes::{Blocks, OnlineSystem, add_scaled, in_blocks, triangle, weighted_sum};
use super::response::Change;
use hmm_core::{Cancel, Result};

/// Row `row` of a matrix with rows of `width` numbers.
#[inline(always)]
fn row_at(values: &[f64], width: usize, row: usize) -> &[f64] {
    &values[row * width..(row + 1) * width]
}

/// [`OnlineSystem::mode_answer`] of a run of modes.
struct ModeAnswer<'a> {
    system: &'a OnlineSystem,
    jacobian: &'a ModeJacobian,
    source: &'a [f64],
    change: Option<&'a Change>,
    out: &'a mut [f64],
}

impl Blocks for ModeAnswer<'_> {
    #[inline(always)]
    fn block<const B: usize>(&mut self, start: usize) -> Result<()> {
        let Self {
            system,
            jacobian,
            source,
            change,
            ref mut out,
        } = *self;
        let (k, m, s) = (system.committee.k, system.committee.m, system.modes());
        let lr = system.rates.lr;
        let run = |values: &[f64], row: usize| -> [f64; B] {
            let values = &values[row * s + start..][..B];
            std::array::from_fn(|lane| values[lane])
        };
        let state = |row: usize| run(&jacobian.state, row);
        let decay = run(&system.coefficients.decay, 0);
        let pull = run(&system.coefficients.pull, 0);
        let diffusion = run(&system.coefficients.diffusion, 0);
        for i in 0..k {
            for a in 0..m {
                let here = i * m + a;
                let mut sum = run(source, here);
                if let Some(change) = change {
                    let mut forgotten = [0.0; B];
                    for j in 0..k {
                        add_scaled(&mut forgotten, change.l[i * k + j], &state(j * m + a));
                    }
                    let mut taught = [0.0; B];
                    for b in 0..m {
                        let pulled = run(&system.pulled_teacher, b * m + a);
                        add_scaled(&mut taught, change.g[i * m + b], &pulled);
                    }
                    for lane in 0..B {
                        sum[lane] += lr * (taught[lane] - decay[lane] * forgotten[lane]);
                    }
                }
                let inverse = run(&jacobian.inverse, here);
                let target = &mut out[here * s + start..][..B];
                for lane in 0..B {
                    target[lane] = sum[lane] * inverse[lane];
                }
            }
        }
        for i in 0..k {
            for j in i..k {
                let here = k * m + triangle(k, i, j);
                let mut sum = run(source, here);
                let mut taught = [0.0; B];
                for b in 0..m {
                    add_scaled(&mut taught, jacobian.g[i * m + b], &run(out, j * m + b));
                    add_scaled(&mut taught, jacobian.g[j * m + b], &run(out, i * m + b));
                }
                if let Some(change) = change {
                    for b in 0..m {
                        add_scaled(&mut taught, change.g[i * m + b], &state(j * m + b));
                        add_scaled(&mut taught, change.g[j * m + b], &state(i * m + b));
                    }
                    let mut forgotten = [0.0; B];
                    for l in 0..k {
                        let (left, right) = (triangle(k, l, j), triangle(k, i, l));
                        add_scaled(&mut forgotten, change.l[i * k + l], &state(k * m + left));
                        add_scaled(&mut forgotten, change.l[j * k + l], &state(k * m + right));
                    }
                    let noise = lr * lr * change.n[i * k + j];
                    for lane in 0..B {
                        sum[lane] += noise * diffusion[lane] - lr * decay[lane] * forgotten[lane];
                    }
                }
                let inverse = run(&jacobian.inverse, here);
                let target = &mut out[here * s + start..][..B];
                for lane in 0..B {
                    target[lane] = (sum[lane] + lr * pull[lane] * taught[lane]) * inverse[lane];
                }
            }
        }
        Ok(())
    }
}

impl OnlineSystem {
    /// out <- blocks^-1 (source + change of the modes with `change`), in the eigenbasis.
    #[inline(always)]
    pub(super) fn mode_answer(
        &self,
        jacobian: &ModeJacobian,
        source: &[f64],
        change: Option<&Change>,
        out: &mut [f64],
    ) -> Result<()> {
        in_blocks(
            self.modes(),
            &mut ModeAnswer {
                system: self,
                jacobian,
                source,
                change,
                out,
            },
        )
    }

    /// Change of (R, upper triangle of Q) along every direction of c, (rows, directions) in the eigenbasis: what
    /// [`Self::mode_answer`] of the changes alone sums to, with the sums over the modes done once for all directions.
    #[inline(always)]
    pub(super) fn answers_along(
        &self,
        jacobian: &ModeJacobian,
        cancel: &Cancel,
    ) -> Result<Vec<f64>> {
        let (k, m, s) = (self.committee.k, self.committee.m, self.modes());
        let (lr, c, g) = (self.rates.lr, &self.coefficients, &jacobian.g);
        let responses = &jacobian.responses;
        let width = responses.directions;
        let row_of = |values: &[f64], row: usize| values[row * s..(row + 1) * s].to_vec();
        let state = |row: usize| &jacobian.state[row * s..(row + 1) * s];
        let taught = |row: usize| &self.pulled_teacher[row * s..(row + 1) * s];
        let product =
            |x: &[f64], y: &[f64]| -> Vec<f64> { x.iter().zip(y).map(|(x, y)| x * y).collect() };
        let mut out = vec![0.0; self.row_count() * width];
        // What every mode's r_i answers to L_ij and G_ib, dr_i = forgets_i r_j dL_ij + keeps_i p t_b dG_ib, and the
        // part of it that pulls on sigma_li, sum_b G_lb dr_ib.
        let (mut pulled_state, mut pulled_target) = (Vec::new(), Vec::new());
        for l in 0..k {
            for (rows, from_teacher) in [(k, false), (m, true)] {
                for j in 0..rows {
                    let mut sum = vec![0.0; s];
                    for b in 0..m {
                        let row = if from_teacher {
                            taught(j * m + b)
                        } else {
                            state(j * m + b)
                        };
                        add_scaled(&mut sum, lr * g[l * m + b], row);
                    }
                    if from_teacher {
                        pulled_target.push(sum);
                    } else {
                        pulled_state.push(sum);
                    }
                }
            }
        }
        let mut kept = Vec::with_capacity(k);
        for i in 0..k {
            cancel.check()?;
            let keeps = row_of(&jacobian.inverse, i * m);
            let read = product(&keeps, &c.in_r);
            let forgotten = product(&read, &c.decay);
            for a in 0..m {
                let target = &mut out[(i * m + a) * width..(i * m + a + 1) * width];
                for j in 0..k {
                    let weight = -lr * weighted_sum(&forgotten, state(j * m + a));
                    add_scaled(target, weight, row_at(&responses.l, width, i * k + j));
                }
                for b in 0..m {
                    let weight = lr * weighted_sum(&read, taught(b * m + a));
                    add_scaled(target, weight, row_at(&responses.g, width, i * m + b));
                }
            }
            kept.push(keeps);
        }
        for i in 0..k {
            for j in i..k {
                cancel.check()?;
                let row = k * m + triangle(k, i, j);
                let read = product(&row_of(&jacobian.inverse, row), &c.in_q);
                let forgotten = product(&read, &c.decay);
                let pulled = product(&read, &c.pull);
                let target = &mut out[row * width..(row + 1) * width];
                for (x, y) in [(i, j), (j, i)] {
                    // dL_xl pulls sigma_ly along, and r_x behind the pull of row y; likewise dG_xb.
                    let through_r = product(&pulled, &kept[x]);
                    let through_forgotten = product(&through_r, &c.decay);
                    for l in 0..k {
                        let direct = weighted_sum(&forgotten, state(k * m + triangle(k, l, y)));
                        let behind = weighted_sum(&through_forgotten, &pulled_state[y * k + l]);
                        let weight = -lr * (direct + behind);
                        add_scaled(target, weight, row_at(&responses.l, width, x * k + l));
                    }
                    for b in 0..m {
                        let direct = weighted_sum(&pulled, state(y * m + b));
                        let behind = weighted_sum(&through_r, &pulled_target[y * m + b]);
                        let weight = lr * (direct + behind);
                        add_scaled(target, weight, row_at(&responses.g, width, x * m + b));
                    }
                }
                let weight = lr * lr * weighted_sum(&read, &c.diffusion);
                add_scaled(target, weight, row_at(&responses.n, width, i * k + j));
            }
        }
        Ok(out)
    }
}
