//! Formulas of losses.

/// `ln(1 + exp(x))` without overflow.
pub fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::softplus;

    #[test]
    fn softplus_neither_overflows_nor_loses_what_is_small() {
        assert_eq!(softplus(1e300), 1e300);
        assert_eq!(softplus(-800.0), 0.0);
        assert!((softplus(-30.0) / (-30.0_f64).exp() - 1.0).abs() < 1e-12);
        assert!((softplus(0.0) - std::f64::consts::LN_2).abs() < 1e-16);
    }
}
