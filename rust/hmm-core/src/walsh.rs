//! The Walsh-Hadamard transform in place, one order of additions on every machine.
//!
//! Stage `h` adds and subtracts entries at distance `h = 1, 2, 4, ...`. Stages inside a vector are taken in registers,
//! three of the others in one pass over memory; which of them are taken together depends on the machine, what is added to
//! what does not.

/// Entries of the longest vector there is.
const LONGEST: usize = 16;
/// Stages inside it.
const INSIDE: usize = 4;

macro_rules! walsh {
    ($type:ident, $vectors:ident, $as_simd:ident, $as_mut_simd:ident, $add:ident, $sub:ident,
     $mul_add:ident) => {
        /// The transform of one precision.
        #[expect(
            clippy::indexing_slicing,
            reason = "places of arrays whose lengths are constants here: a vector has at most LONGEST entries, \
                      `eights` splits each part into eight rows of `step` vectors"
        )]
        pub mod $type {
            use super::{INSIDE, LONGEST};
            use pulp::{Simd, WithSimd};

            /// 1 where an entry's partner lies above it, -1 where it lies below, for distances 1, 2, 4 and 8.
            const SIDES: [[$type; LONGEST]; INSIDE] = {
                let mut sides = [[1.0; LONGEST]; INSIDE];
                let mut place = 0;
                while place < INSIDE * LONGEST {
                    let (stage, i) = (place / LONGEST, place % LONGEST);
                    if i >> stage & 1 == 1 {
                        sides[stage][i] = -1.0;
                    }
                    place += 1;
                }
                sides
            };

            /// The stages inside a vector; `sides` are the first vectors of [`SIDES`].
            #[inline(always)]
            fn within<S: Simd, const LANES: usize>(
                simd: S,
                mut x: S::$vectors,
                sides: &[S::$vectors; INSIDE],
            ) -> S::$vectors {
                for (stage, &sides) in sides.iter().enumerate() {
                    let half = 1 << stage;
                    if half < LANES {
                        let mut entries = [0.0; LANES];
                        let (as_vector, _) = S::$as_mut_simd(&mut entries);
                        as_vector[0] = x;
                        let swapped: [$type; LANES] = std::array::from_fn(
                            #[inline(always)]
                            |i| entries[i ^ half],
                        );
                        // The product with ±1 is exact: a sum or a difference with one rounding.
                        x = simd.$mul_add(x, sides, S::$as_simd(&swapped).0[0]);
                    }
                }
                x
            }

            /// Stages between `RADIX` vectors.
            #[inline(always)]
            fn between<S: Simd, const RADIX: usize>(simd: S, x: &mut [S::$vectors; RADIX]) {
                let mut half = 1;
                while half < RADIX {
                    for k in 0..RADIX {
                        if k & half == 0 {
                            let (a, b) = (x[k], x[k + half]);
                            x[k] = simd.$add(a, b);
                            x[k + half] = simd.$sub(a, b);
                        }
                    }
                    half *= 2;
                }
            }

            /// The stages inside vectors, and those between `RADIX` neighbours.
            #[inline(always)]
            fn first<S: Simd, const LANES: usize, const RADIX: usize>(
                simd: S,
                vectors: &mut [S::$vectors],
            ) {
                let sides: [S::$vectors; INSIDE] = std::array::from_fn(
                    #[inline(always)]
                    |stage| S::$as_simd(&SIDES[stage]).0[0],
                );
                for part in vectors.as_chunks_mut::<RADIX>().0 {
                    let mut x = *part;
                    for x in &mut x {
                        *x = within::<S, LANES>(simd, *x, &sides);
                    }
                    between(simd, &mut x);
                    *part = x;
                }
            }

            /// [`first`] for the vectors of this machine.
            #[inline(always)]
            fn first_of<S: Simd, const RADIX: usize>(simd: S, vectors: &mut [S::$vectors]) {
                match size_of::<S::$vectors>() / size_of::<$type>() {
                    1 => first::<S, 1, RADIX>(simd, vectors),
                    2 => first::<S, 2, RADIX>(simd, vectors),
                    4 => first::<S, 4, RADIX>(simd, vectors),
                    8 => first::<S, 8, RADIX>(simd, vectors),
                    _ => first::<S, LONGEST, RADIX>(simd, vectors),
                }
            }

            /// Three stages: between vectors `step`, `2 step` and `4 step` apart.
            #[inline(always)]
            fn eights<S: Simd>(simd: S, vectors: &mut [S::$vectors], step: usize) {
                for part in vectors.chunks_exact_mut(8 * step) {
                    let mut rest = part;
                    let mut rows: [&mut [S::$vectors]; 8] = std::array::from_fn(
                        #[inline(always)]
                        |_| rest.split_off_mut(..step).unwrap_or_default(),
                    );
                    for j in 0..step {
                        let mut x: [S::$vectors; 8] = std::array::from_fn(
                            #[inline(always)]
                            |k| rows[k][j],
                        );
                        between(simd, &mut x);
                        for (row, x) in rows.iter_mut().zip(x) {
                            row[j] = x;
                        }
                    }
                }
            }

            struct Transform<'a>(&'a mut [$type]);

            impl WithSimd for Transform<'_> {
                type Output = ();

                #[inline(always)]
                fn with_simd<S: Simd>(self, simd: S) {
                    let (vectors, short) = S::$as_mut_simd(self.0);
                    let stages = vectors.len().checked_ilog2().unwrap_or_default();
                    // What is left between vectors takes threes of stages.
                    match stages % 3 {
                        0 => first_of::<S, 1>(simd, vectors),
                        1 => first_of::<S, 2>(simd, vectors),
                        _ => first_of::<S, 4>(simd, vectors),
                    }
                    let mut step = 1 << (stages % 3);
                    while 8 * step <= vectors.len() {
                        eights(simd, vectors, step);
                        step *= 8;
                    }
                    // Fewer entries than a vector has.
                    let mut half = 1;
                    while half < short.len() {
                        for pair in short.chunks_exact_mut(2 * half) {
                            let (low, high) = pair.split_at_mut(half);
                            for (a, b) in low.iter_mut().zip(high) {
                                (*a, *b) = (*a + *b, *a - *b);
                            }
                        }
                        half *= 2;
                    }
                }
            }

            /// The transform of a power-of-two length, unnormalised, in Sylvester order.
            #[inline]
            pub fn transform(values: &mut [$type]) {
                crate::instructions::arch().dispatch(Transform(values));
            }
        }
    };
}

walsh!(
    f32,
    f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    add_f32s,
    sub_f32s,
    mul_add_f32s
);
walsh!(
    f64,
    f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    add_f64s,
    sub_f64s,
    mul_add_f64s
);

#[cfg(test)]
mod tests {
    /// One stage after the other, as the definition says.
    macro_rules! as_defined {
        ($type:ident) => {
            for length in (0..14).map(|stages| 1_usize << stages) {
                let start: Vec<$type> = (0..length)
                    .map(|i| (7919.0 * 0.37 * i as $type).sin())
                    .collect();
                let mut want = start.clone();
                let mut half = 1;
                while half < length {
                    for i in (0..length).filter(|i| i & half == 0) {
                        (want[i], want[i + half]) =
                            (want[i] + want[i + half], want[i] - want[i + half]);
                    }
                    half *= 2;
                }
                let mut found = start;
                super::$type::transform(&mut found);
                assert_eq!(found, want, "{length}");
            }
        };
    }

    #[test]
    fn the_bits_are_those_of_one_stage_after_the_other() {
        as_defined!(f32);
        as_defined!(f64);
    }
}
