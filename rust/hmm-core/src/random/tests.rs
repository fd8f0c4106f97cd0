//! The law of the normals, the independence of the streams, and the bits themselves.

use super::*;

const SEED: Seed = [1, 2, 3, 4, 5, 6, 7, 8];

fn normals(stream: Stream, unit: u32, block: u64, count: usize) -> Vec<f64> {
    let mut out = vec![0.0; count];
    fill_normal(&mut stream.generator(unit, block), &mut out);
    out
}

fn sample(count: usize) -> Vec<f64> {
    normals(Stream::new(&SEED, Purpose::Sample), 0, 0, count)
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

fn pair(radius_word: u64, angle_word: u64) -> (f64, f64) {
    let halves = |word: u64| [word as u32, (word >> 32) as u32];
    normal::normal_pair(halves(radius_word), halves(angle_word))
}

/// `E x^k` of a standard normal, `(k - 1)!!` for even `k`.
fn moment(k: i32) -> f64 {
    if k % 2 == 1 {
        return 0.0;
    }
    (1..k).step_by(2).map(f64::from).product()
}

#[test]
fn bulk_words_are_the_words_of_the_generator() {
    // The last start crosses the carry into the upper word of the block counter.
    for (unit, block, start) in [
        (0, 0, 0),
        (77, 1234, 7),
        (0x00ff_ffff, u64::MAX, (1 << 32) - 5),
    ] {
        let mut generator = Stream::new(&SEED, Purpose::Weights).generator(unit, block);
        generator.set_word_pos(start * 16);
        let mut position = next_block(&generator);
        for _ in 0..3 {
            let mut words = [[0; BLOCKS]; 16];
            vectorised(|| position.next_blocks(&mut words));
            for lane in 0..BLOCKS {
                for row in &words {
                    assert_eq!(row[lane], generator.next_u32());
                }
            }
        }
    }
}

#[test]
fn vectorised_normals_are_the_scalar_transform_of_the_words() {
    let stream = Stream::new(&SEED, Purpose::Sample);
    let mut generator = stream.generator(9, 9);
    // Word w of block b of a group, for the whole group.
    let words: Vec<[u32; 16]> = (0..BLOCKS)
        .map(|_| std::array::from_fn(|_| generator.next_u32()))
        .collect();
    let values = normals(stream, 9, 9, GROUP);
    for (lane, block) in words.iter().enumerate() {
        for (pair, w) in block.chunks_exact(4).enumerate() {
            let word = |i: usize| [w[i], w[i + 1]];
            let (x, y) = normal::normal_pair(word(0), word(2));
            let place = 2 * pair * BLOCKS + lane;
            assert_eq!((values[place], values[place + BLOCKS]), (x, y));
        }
    }
}

#[test]
fn streams_have_the_published_keystream() {
    // ChaCha8, 256-bit zero key, zero nonce: first words of draft-strombergson-chacha-test-vectors-01, TC1.
    let mut generator = Stream::new(&[0; 8], Purpose::Disorder).generator(0, 0);
    let words: [u32; 4] = std::array::from_fn(|_| generator.next_u32());
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(
        bytes,
        [
            0x3e, 0x00, 0xef, 0x2f, 0x89, 0x5f, 0x40, 0xd6, 0x7f, 0x5b, 0xb8, 0xe8, 0x1f, 0x09,
            0xa5, 0xa1
        ]
    );
}

#[test]
fn purpose_unit_and_block_make_the_stream_number() {
    let stream = Stream::new(&SEED, Purpose::Disorder).with_purpose(Purpose::InputNoise);
    let number = stream.generator(0xab12_3456, 0xcd_8765_4321).get_stream();
    assert_eq!(number, 0x0512_3456_8765_4321);
}

#[test]
fn the_stream_never_changes() {
    // Golden values: a change here changes every result anybody has stored.
    let values = normals(Stream::new(&SEED, Purpose::Test), 3, 5, 130);
    let golden = [
        (0, 0.2313995755451816),
        (1, -0.730505712245708),
        (15, 1.2809534913569796),
        (16, 0.42745673429063274),
        (31, 0.19521538190314602),
        (64, -1.6047779720911164),
        (127, -0.7556649387177798),
        (128, -0.3487860504431375),
        (129, -1.6246823558461398),
    ];
    for (i, value) in golden {
        assert_eq!(values[i], value, "number {i}");
    }
}

#[test]
fn longer_slices_and_whole_pieces_give_the_same_numbers() {
    let whole = sample(1000);
    for count in [0, 1, 2, 127, 128, 129, 500] {
        assert_eq!(sample(count), whole[..count]);
    }
    let mut generator = Stream::new(&SEED, Purpose::Sample).generator(0, 0);
    let mut pieces = vec![0.0; 1000];
    let (first, rest) = pieces.split_at_mut(GROUP);
    let (second, third) = rest.split_at_mut(5 * GROUP);
    for piece in [first, second, third] {
        fill_normal(&mut generator, piece);
    }
    assert_eq!(pieces, whole);
}

#[test]
fn a_call_takes_whole_blocks() {
    let mut generator = Stream::new(&SEED, Purpose::Sample).generator(0, 0);
    generator.next_u32();
    fill_normal(&mut generator, &mut [0.0; 129]);
    // One block touched before, two groups of 16 blocks.
    assert_eq!(generator.get_word_pos(), 16 + 2 * 256);
    fill_normal::<f64>(&mut generator, &mut []);
    assert_eq!(generator.get_word_pos(), 16 + 2 * 256);
}

#[test]
fn single_precision_rounds_the_same_numbers() {
    let mut rounded = vec![0.0_f32; 1000];
    let stream = Stream::new(&SEED, Purpose::Sample);
    fill_normal(&mut stream.generator(0, 0), &mut rounded);
    for (single, double) in rounded.iter().zip(sample(1000)) {
        assert_eq!(*single, double as f32);
    }
}

#[test]
fn the_transform_is_accurate() {
    let mut generator = Stream::new(&SEED, Purpose::Resample).generator(0, 0);
    for i in 0..200_000 {
        // All sizes of 1 - u and of u.
        let radius_word = match i % 3 {
            0 => generator.next_u64(),
            1 => generator.next_u64() >> (i % 64),
            _ => !(generator.next_u64() >> (i % 64)),
        };
        let angle_word = generator.next_u64();
        let u = ((radius_word >> 11) + 1) as f64 / 2_f64.powi(53);
        let radius = (-2.0 * libm::log(u)).sqrt();
        let phi = std::f64::consts::TAU * (angle_word as f64 / 2_f64.powi(64));
        let (x, y) = pair(radius_word, angle_word);
        // The rounding of phi up to 2 pi costs the comparison 4.4e-16 (absolute, times the radius);
        // the transform itself a few 1.1e-16, relative.
        let tolerance = 1.5e-15 * radius;
        assert!(
            (x - radius * libm::cos(phi)).abs() <= tolerance,
            "{x} {u} {phi}"
        );
        assert!(
            (y - radius * libm::sin(phi)).abs() <= tolerance,
            "{y} {u} {phi}"
        );
        assert!(
            (x.hypot(y) - radius).abs() <= 1e-15 * radius,
            "{x} {y} {radius}"
        );
    }
}

#[test]
fn edges_of_the_transform() {
    let largest = (2.0 * 53.0 * std::f64::consts::LN_2).sqrt();
    for (radius_word, radius) in [(0, largest), ((1 << 11) - 1, largest), (u64::MAX, 0.0)] {
        let turns = [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)];
        for (quadrant, (x, y)) in turns.into_iter().enumerate() {
            let found = pair(radius_word, (quadrant as u64) << 62);
            assert_eq!(found, (radius * x, radius * y));
        }
    }
}

#[test]
fn moments_are_those_of_the_normal_law() {
    let xs = sample(1 << 20);
    for k in 1..=8 {
        let measured = mean(xs.iter().map(|x| x.powi(k)));
        let variance = moment(2 * k) - moment(k).powi(2);
        // Five standard errors of the mean.
        let error = (variance / xs.len() as f64).sqrt();
        assert!(
            (measured - moment(k)).abs() < 5.0 * error,
            "moment {k}: {measured}"
        );
    }
}

#[test]
fn the_distribution_is_normal() {
    // Kolmogorov-Smirnov: sqrt(n) D exceeds 1.95 with probability 1e-3; every one of the 128
    // positions in a group has its own test, and all together one more.
    let statistic = |mut xs: Vec<f64>| {
        xs.sort_by(f64::total_cmp);
        let n = xs.len() as f64;
        let distance = xs.iter().enumerate().fold(0.0, |largest: f64, (i, x)| {
            let law = 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
            largest
                .max(law - i as f64 / n)
                .max((i + 1) as f64 / n - law)
        });
        distance * n.sqrt()
    };
    let xs = sample(1 << 19);
    // 1e-5 for each of the 128.
    for position in 0..GROUP {
        let value = statistic(xs.iter().copied().skip(position).step_by(GROUP).collect());
        assert!(value < 2.47, "position {position}: {value}");
    }
    assert!(statistic(xs) < 1.95);
}

#[test]
fn tails_hold_what_they_should() {
    let xs = sample(1 << 22);
    for bound in [2.0_f64, 3.0, 4.0, 4.5, 5.0] {
        for sign in [1.0, -1.0] {
            let count = xs.iter().filter(|x| sign * **x > bound).count() as f64;
            let expected =
                xs.len() as f64 * 0.5 * libm::erfc(bound * std::f64::consts::FRAC_1_SQRT_2);
            // Poisson: four standard deviations, and one count for the skewness of the smallest.
            assert!(
                (count - expected).abs() < 4.0 * expected.sqrt() + 1.0,
                "{sign} {bound}: {count}, not {expected}"
            );
        }
    }
}

#[test]
fn streams_and_positions_are_uncorrelated() {
    const COUNT: usize = 1 << 15;
    let stream = Stream::new(&SEED, Purpose::Sample);
    let mut other_seed = SEED;
    other_seed[7] ^= 1;
    let mut series = vec![
        normals(stream, 0, 0, COUNT),
        normals(stream, 0, 1, COUNT),
        normals(stream, 0, 1 << 31, COUNT),
        normals(stream, 1, 0, COUNT),
        normals(stream, 1 << 23, 0, COUNT),
        normals(stream.with_purpose(Purpose::Test), 0, 0, COUNT),
        normals(stream.with_purpose(Purpose::Resample), 0, 0, COUNT),
        normals(Stream::new(&other_seed, Purpose::Sample), 0, 0, COUNT),
    ];
    // The same numbers shifted: neighbours, the two members of a pair, the next pair, the next group.
    let long = normals(stream, 2, 0, COUNT + 2 * GROUP);
    for shift in [0, 1, BLOCKS, 2 * BLOCKS, GROUP] {
        series.push(long[shift..shift + COUNT].to_vec());
    }
    for (i, a) in series.iter().enumerate() {
        for b in &series[..i] {
            let linear = mean(a.iter().zip(b).map(|(x, y)| x * y));
            let quadratic = mean(a.iter().zip(b).map(|(x, y)| (x * x - 1.0) * (y * y - 1.0))) / 2.0;
            // Both have variance 1 / COUNT; 156 numbers, none beyond 4.5 deviations (7e-6 each).
            let bound = 4.5 / (COUNT as f64).sqrt();
            assert!(
                linear.abs() < bound && quadratic.abs() < bound,
                "{linear} {quadratic}"
            );
        }
    }
}
