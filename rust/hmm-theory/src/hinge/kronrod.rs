//! The 21-point Kronrod rule with its 10-point Gauss rule (QUADPACK `qk21`).

/// Kronrod nodes on (0, 1]; every second one, from the second on, is a Gauss node.
const NODES: [f64; 10] = [
    0.995_657_163_025_808_1,
    0.973_906_528_517_171_7,
    0.930_157_491_355_708_2,
    0.865_063_366_688_984_5,
    0.780_817_726_586_416_9,
    0.679_409_568_299_024_4,
    0.562_757_134_668_604_7,
    0.433_395_394_129_247_2,
    0.294_392_862_701_460_2,
    0.148_874_338_981_631_22,
];
/// Weights of [`NODES`] in the Kronrod rule.
const KRONROD: [f64; 10] = [
    0.011_694_638_867_371_874,
    0.032_558_162_307_964_725,
    0.054_755_896_574_351_995,
    0.075_039_674_810_919_96,
    0.093_125_454_583_697_6,
    0.109_387_158_802_297_64,
    0.123_491_976_262_065_84,
    0.134_709_217_311_473_34,
    0.142_775_938_577_060_09,
    0.147_739_104_901_338_49,
];
/// Weight of the midpoint in the Kronrod rule (the Gauss rule does not use it).
const KRONROD_MIDDLE: f64 = 0.149_445_554_002_916_9;
/// Weights of the Gauss nodes.
const GAUSS: [f64; 5] = [
    0.066_671_344_308_688_14,
    0.149_451_349_150_580_6,
    0.219_086_362_515_982_04,
    0.269_266_719_309_996_35,
    0.295_524_224_714_752_87,
];

/// Kronrod value of the integral over `[from, to]` and its distance to the Gauss value.
pub(super) fn integral(f: impl Fn(f64) -> f64, from: f64, to: f64) -> (f64, f64) {
    let (middle, half) = (0.5 * (from + to), 0.5 * (to - from));
    let mut kronrod = KRONROD_MIDDLE * f(middle);
    let mut gauss = 0.0;
    for (k, (node, weight)) in NODES.iter().zip(KRONROD).enumerate() {
        let pair = f(middle - half * node) + f(middle + half * node);
        kronrod += weight * pair;
        if k % 2 == 1 {
            gauss += GAUSS[k / 2] * pair;
        }
    }
    (half * kronrod, half * (kronrod - gauss).abs())
}

/// Integral over `[from, to]` by bisection until both rules agree to `relative` on every piece.
///
/// The Kronrod value is far closer to the integral than the two rules are to each other.
pub(super) fn adaptive(f: impl Fn(f64) -> f64, from: f64, to: f64, relative: f64) -> f64 {
    let whole = integral(&f, from, to).0.abs();
    let mut open = vec![(from, to)];
    let mut total = 0.0;
    while let Some((from, to)) = open.pop() {
        let (value, difference) = integral(&f, from, to);
        let middle = 0.5 * (from + to);
        let narrow = (to - from).abs() <= 1e-14 * from.abs().max(to.abs());
        // The second term ends the bisection where a piece no longer matters.
        if difference <= relative * value.abs() + 1e-17 * whole || narrow || !value.is_finite() {
            total += value;
        } else {
            open.push((middle, to));
            open.push((from, middle));
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_are_integrated_exactly() {
        // The Kronrod rule is exact to degree 31, the Gauss rule to degree 19.
        for degree in 0..=31 {
            let exact =
                (2.0_f64.powi(degree + 1) - (-1.0_f64).powi(degree + 1)) / f64::from(degree + 1);
            let (value, difference) = integral(|x| x.powi(degree), -1.0, 2.0);
            assert!(
                (value / exact - 1.0).abs() < 1e-14,
                "{degree}: {value} {exact}"
            );
            assert!(degree > 19 || difference < 1e-13 * exact);
        }
    }

    #[test]
    fn kinks_are_bisected() {
        let value = adaptive(|x| (x - 0.3).abs(), 0.0, 1.0, 1e-12);
        assert!((value - 0.29).abs() < 1e-14);
    }
}
