//! Where neurons go before the network has fitted anything: fixed points of the linear-loss flow on
//! the informative axis.

use super::AxisLabels;
use super::normal::{above, below, density};
use hmm_core::{Error, Result};

/// A fixed point of the neuron's foot `z = -sqrt d b/omega_1` on the informative axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attractor {
    /// Sign of `omega_1`: the neuron is active on `s (x_1 - z) > 0`.
    pub s: f64,
    /// Position of the ReLU hyperplane on the informative axis.
    pub z: f64,
    /// Sign of the output weight of the neurons that grow there.
    pub beta_sign: f64,
    /// Growth rate `G` (the rate of `|beta|` is `sqrt2 G/h` in code time).
    pub growth: f64,
    /// `C_1 = E[y x_1 1(s (x_1 - z) > 0)]`.
    pub c1: f64,
    /// `s phi(z) y(z)/C_1`: below 1 where perpendicular weights shrink against `omega_1`.
    pub perp_factor: f64,
    /// Whether the fixed point attracts within the plane `(omega_1, b)`:
    /// `perp_factor (z^2 + d) < 1`.
    pub inplane_stable: bool,
    /// Whether it attracts in every direction.
    pub stable: bool,
    /// Compression of its neurons per `sqrt p`:
    /// `|C_1 - s phi(z) y(z)|/sqrt(P_act)`.
    pub lambda_over_sqrtp: f64,
}

/// Outside this interval the density underflows and the field is affine in `z`, or zero.
const SCAN_REACH: f64 = 30.0;
/// Spacing of the scan; two roots closer than this count as none (they are about to merge).
const SCAN_STEP: f64 = 0.005;
/// Fields below this are rounding noise of sums of order one.
const ROUNDING: f64 = 1e-13;

/// `z C_1(z) + d C_b(z)`, proportional to the drift of the foot.
fn drift(labels: &AxisLabels, d: f64, s: f64, z: f64) -> f64 {
    let (c1, cb) = labels.half_line_moments(z, s);
    z * c1 + d * cb
}

/// Root of `drift` between `low` and `high`, where it has opposite signs, by bisection.
fn root(labels: &AxisLabels, d: f64, s: f64, mut low: f64, mut high: f64) -> f64 {
    let sign = drift(labels, d, s, low).signum();
    while high - low > f64::EPSILON * (low.abs() + high.abs()) {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if drift(labels, d, s, middle).signum() == sign {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// Zeros of the drift for one sign of `omega_1`, ascending.
fn fixed_points(labels: &AxisLabels, d: f64, s: f64) -> Vec<f64> {
    let steps = (2.0 * SCAN_REACH / SCAN_STEP) as usize;
    let mut grid: Vec<f64> = (0..=steps)
        .map(|k| -SCAN_REACH + SCAN_STEP * k as f64)
        .chain(labels.interfaces().iter().copied())
        .collect();
    grid.sort_by(f64::total_cmp);
    let mut roots = Vec::new();
    // Where nearly everything is active the moments are constants: one more root, exactly.
    let (c1, cb) = labels.half_line_moments(-s * f64::INFINITY, s);
    let affine = -d * cb / c1;
    if c1.abs() > ROUNDING && -s * affine > SCAN_REACH {
        roots.push(affine);
    }
    let scan: Vec<(f64, f64)> = grid
        .into_iter()
        .map(|z| (z, drift(labels, d, s, z)))
        .collect();
    for (&(before, previous), &(z, here)) in scan.iter().zip(scan.iter().skip(1)) {
        if here == 0.0 {
            roots.push(z);
        } else if previous * here < 0.0 {
            roots.push(root(labels, d, s, before, z));
        }
    }
    roots.sort_by(f64::total_cmp);
    roots
}

/// The properties of the fixed point at `z`; `None` where the field itself is rounding noise.
fn attractor(labels: &AxisLabels, d: f64, s: f64, z: f64) -> Option<Attractor> {
    let (c1, _) = labels.half_line_moments(z, s);
    if c1.abs() < ROUNDING {
        return None;
    }
    let at_step = s * density(z) * labels.label(z);
    let perp_factor = at_step / c1;
    let active = if s > 0.0 { above(z) } else { below(z) };
    let inplane_stable = perp_factor * (z * z + d) < 1.0;
    Some(Attractor {
        s,
        z,
        beta_sign: (s * c1).signum(),
        growth: c1.abs() * libm::sqrt((1.0 + z * z / d) / d),
        c1,
        perp_factor,
        inplane_stable,
        stable: inplane_stable && perp_factor < 1.0,
        lambda_over_sqrtp: (c1 - at_step).abs() / active.sqrt(),
    })
}

/// All fixed points on the informative axis in `d` dimensions, first those with `omega_1 > 0`, each
/// in ascending `z`. No fixed point at all is a legal result.
///
/// # Errors
/// Unless `d >= 1`.
pub fn attractors(d: usize, labels: &AxisLabels) -> Result<Vec<Attractor>> {
    if d == 0 {
        return Err(Error::invalid("d", d, "must be >= 1", "pass a dimension"));
    }
    let d = d as f64;
    Ok([1.0, -1.0]
        .into_iter()
        .flat_map(|s| {
            fixed_points(labels, d, s)
                .into_iter()
                .filter_map(move |z| attractor(labels, d, s, z))
        })
        .collect())
}

/// Characteristic time of the compressing regime in code time,
/// `t* ~ h ln(1/alpha)/(2 sqrt2 G)`, up to a term of order `h`.
///
/// # Errors
/// Unless `h >= 1`, `0 < alpha < 1` and `growth > 0`.
pub fn characteristic_time(h: f64, alpha: f64, growth: f64) -> Result<f64> {
    if !(h >= 1.0 && h.is_finite()) {
        return Err(Error::invalid("h", h, "must be >= 1", "pass the width"));
    }
    if !(alpha > 0.0 && alpha < 1.0) {
        return Err(Error::invalid(
            "alpha",
            alpha,
            "must lie between 0 and 1: the law is that of small alpha",
            "pass for example alpha=1e-6",
        ));
    }
    if !(growth > 0.0 && growth.is_finite()) {
        return Err(Error::invalid(
            "growth",
            growth,
            "must be positive",
            "pass the growth rate of the fastest attractor",
        ));
    }
    Ok(h * libm::log(1.0 / alpha) / (2.0 * std::f64::consts::SQRT_2 * growth))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(s, z*, sign beta, G, Lambda/sqrt p)`, computed independently.
    type Row = (f64, f64, f64, f64, f64);

    fn stable(d: usize, labels: &AxisLabels) -> Vec<Attractor> {
        attractors(d, labels)
            .unwrap()
            .into_iter()
            .filter(|a| a.stable)
            .collect()
    }

    #[test]
    fn table_of_the_stripe() {
        let stripe = AxisLabels::stripe(-0.3, 1.18549, 1.0).unwrap();
        let table: [(usize, [Row; 3]); 3] = [
            (
                2,
                [
                    (1.0, -1.2262, 1.0, 0.16801, 0.3897),
                    (1.0, 0.6466, -1.0, 0.05557, 0.7766),
                    (-1.0, -0.45, -1.0, 0.29849, 0.9293),
                ],
            ),
            (
                10,
                [
                    (1.0, -1.687, 1.0, 0.0973, 0.3763),
                    (1.0, 0.701, -1.0, 0.02692, 0.8038),
                    (-1.0, 0.6328, -1.0, 0.14068, 0.8888),
                ],
            ),
            (
                20,
                [
                    (1.0, -1.9003, 1.0, 0.07338, 0.373),
                    (1.0, 0.71, -1.0, 0.01927, 0.8085),
                    (-1.0, 0.6721, -1.0, 0.10051, 0.8812),
                ],
            ),
        ];
        for (d, rows) in table {
            let found = stable(d, &stripe);
            assert_eq!(found.len(), 3, "d = {d}");
            for (a, (s, z, beta_sign, growth, lambda)) in found.iter().zip(rows) {
                assert_eq!((a.s, a.beta_sign), (s, beta_sign), "d = {d}");
                // Half a unit of the last printed digit.
                assert!((a.z.abs() - z.abs()).abs() < 5.1e-5, "d = {d}: {} {z}", a.z);
                assert!((a.growth - growth).abs() < 5.1e-6);
                assert!((a.lambda_over_sqrtp - lambda).abs() < 5.1e-5);
            }
        }
    }

    #[test]
    fn distant_fixed_points_are_found() {
        // Window (.5, 2): z* grows with d, beyond 8 at d = 20 (computed independently).
        let window = AxisLabels::stripe(0.5, 2.0, 1.0).unwrap();
        for (d, z) in [(5, 3.6), (10, 7.2)] {
            assert!(
                attractors(d, &window)
                    .unwrap()
                    .iter()
                    .any(|a| (a.z.abs() - z).abs() < 0.06),
                "d = {d}"
            );
        }
        for d in [20, 200] {
            let far = attractors(d, &window).unwrap();
            assert!(far.iter().any(|a| a.z.abs() > 8.0), "d = {d}");
        }
    }

    #[test]
    fn a_fixed_point_can_repel_in_the_plane_only() {
        let window = AxisLabels::stripe(-0.643, 0.434, 1.0).unwrap();
        let found = attractors(5, &window).unwrap();
        let point = found
            .iter()
            .find(|a| a.s > 0.0 && (a.z + 1.178).abs() < 1e-3)
            .unwrap();
        assert!((point.perp_factor - 0.72).abs() < 5e-3);
        assert!(!point.inplane_stable && !point.stable);
    }

    #[test]
    fn the_other_sign_of_the_labels_flips_beta_only() {
        let plus = AxisLabels::stripe(-0.3, 1.18549, 1.0).unwrap();
        let minus = AxisLabels::stripe(-0.3, 1.18549, -1.0).unwrap();
        for (a, b) in stable(5, &plus).iter().zip(stable(5, &minus)) {
            assert_eq!((a.s, a.z, a.growth), (b.s, b.z, b.growth));
            assert_eq!(a.beta_sign, -b.beta_sign);
        }
    }

    #[test]
    fn a_symmetric_balanced_window_has_no_noise_roots() {
        // C_1 and C_b vanish to rounding where everything is active.
        let half = 0.674489750196082;
        let window = AxisLabels::stripe(-half, half, 1.0).unwrap();
        for a in attractors(5, &window).unwrap() {
            assert!(a.z.abs() < 8.0, "{a:?}");
        }
    }

    #[test]
    fn time_of_the_first_fit() {
        // d = 5, h = 200, alpha = 1e-6 : 4994 from rounded constants.
        let time = characteristic_time(200.0, 1e-6, 0.1955756983450233).unwrap();
        assert!((time - 4994.0).abs() < 2.0);
        assert!(characteristic_time(0.0, 1e-6, 0.1).is_err());
        assert!(characteristic_time(1.0, 1.5, 0.1).is_err());
        assert!(characteristic_time(1.0, 0.5, -0.1).is_err());
    }
}
