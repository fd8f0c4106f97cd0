//! Gaussian averages of the linear unit, g(x) = x: nothing but covariances.

/// I2 = E\[a b\] = C_ab.
#[inline(always)]
pub fn i2(_c_aa: f64, c_ab: f64, _c_bb: f64) -> f64 {
    c_ab
}
