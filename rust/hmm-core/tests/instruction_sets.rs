//! Every vector path of this machine beside the scalar one. The choice holds for the whole process: one test.

use hmm_core::instructions::{InstructionSet, choose};
use hmm_core::packed::PackedRows;
use hmm_core::random::{Purpose, Stream, fill_normal};
use hmm_core::{Error, Real, Result, special};

/// Lengths around those of vectors and of groups of vectors.
const LENGTHS: [usize; 13] = [0, 1, 3, 7, 8, 15, 16, 31, 33, 64, 100, 127, 1000];

fn numbers<T: Real>(count: usize, phase: f64) -> Vec<T> {
    (0..count)
        .map(|i| T::from_f64((phase + 1.7 * i as f64).sin()))
        .collect()
}

/// What a set of instructions makes of the same numbers.
struct Made {
    name: String,
    /// Bits that are the same on every set: each operation is exactly rounded.
    exact: Vec<u64>,
    /// Sums, whose order follows the width of the vectors.
    sums: Vec<f64>,
}

/// Products of nine rows with packed ones.
fn products<T: Real>(rows: usize) -> Result<Vec<f64>> {
    let width = 130;
    let stored = numbers::<T>(rows * width, 0.4);
    let packed = PackedRows::new((rows, width), ["", ""], |row, entries| {
        entries.copy_from_slice(&stored[row * width..(row + 1) * width]);
    })?;
    let mut out = vec![T::ZERO; 9 * rows];
    packed.product(&numbers::<T>(9 * width, 0.6), T::from_f64(0.3), &mut out)?;
    Ok(out.iter().map(|x| x.to_f64()).collect())
}

fn make<T: Real>() -> Result<Made> {
    let mut exact = Vec::new();
    let mut sums = Vec::new();
    let stream = Stream::new(&[7; 8], Purpose::Sample);
    for length in LENGTHS {
        let mut normals = vec![T::ZERO; length];
        fill_normal(&mut stream.generator(0, 3), &mut normals);
        let mut values = numbers::<T>(length, 0.1);
        for function in [T::erf_sqrt2, T::hyperbolic_tangent, T::exponential] {
            special::map_in_place(&mut values, function);
            exact.extend(values.iter().map(|x| x.to_f64().to_bits()));
        }
        exact.extend(normals.iter().map(|x| x.to_f64().to_bits()));

        let (mut w, x) = (numbers::<T>(length, 0.2), numbers::<T>(length, 0.3));
        let (keep, change) = (T::from_f64(0.9), T::from_f64(-0.3));
        sums.push(T::dot(&w, &x).to_f64());
        let mut twice = w.clone();
        let once = T::update_dot(&mut w, keep, change, &x, &values);
        T::update(&mut twice, keep, change, &x);
        // One pass has the bits of two, on every set.
        assert_eq!(w, twice);
        assert_eq!(
            once.to_f64().to_bits(),
            T::dot(&twice, &values).to_f64().to_bits()
        );
        sums.push(once.to_f64());
        sums.extend(w.iter().map(|w| w.to_f64()));
    }
    // Whole panels, and a last one that is not full.
    for rows in [3, 48, 77] {
        sums.extend(products::<T>(rows)?);
    }
    Ok(Made {
        name: special::instruction_set(),
        exact,
        sums,
    })
}

fn sets_agree<T: Real>() -> Result<()> {
    let made = InstructionSet::available()
        .into_iter()
        .map(|set| choose(Some(set)).and_then(|()| make::<T>()))
        .collect::<Result<Vec<Made>>>()?;
    choose(None)?;
    assert_eq!(made[0].name, "scalar");
    for (i, one) in made.iter().enumerate() {
        // A path that was not taken would pass as the scalar one.
        assert!(made[..i].iter().all(|other| other.name != one.name));
        assert!(one.exact == made[0].exact, "{}", one.name);
        for (sum, scalar) in one.sums.iter().zip(&made[0].sums) {
            // A thousand terms below one, each rounded once.
            let allowed = 1000.0 * T::EPSILON;
            assert!(
                (sum - scalar).abs() < allowed,
                "{}: {sum} {scalar}",
                one.name
            );
        }
    }
    Ok(())
}

#[test]
fn every_set_gives_what_the_scalar_one_gives() -> Result<()> {
    sets_agree::<f64>()?;
    sets_agree::<f32>()?;
    let foreign = if InstructionSet::Neon.is_available() {
        InstructionSet::Avx2
    } else {
        InstructionSet::Neon
    };
    let refused = choose(Some(foreign));
    assert!(
        matches!(refused, Err(Error::InvalidParameter { .. })),
        "{refused:?}"
    );
    let best = special::instruction_set();
    choose(InstructionSet::available().last().copied())?;
    assert_eq!(special::instruction_set(), best);
    Ok(())
}
