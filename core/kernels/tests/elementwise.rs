//! What every kernel of this processor does beside sums of products, against plain loops, bit for bit, over random shapes.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the plain arithmetic that the kernels are held against"
)]
mod common;

use edgemill_kernels::int8::{
    self, Addend, Border, Elementwise, Matrices, Mean, Output, Pair, Place, Pool, Real, Resize,
    Spread,
};

use common::{Random, Tried, plain_rounding};

#[test]
fn pools_equal_plain_loops() {
    let (mut random, mut tried) = (Random(3), Tried::default());
    for number in 0..300 {
        let [size, kernel] = [7, 4].map(|most| [1 + random.below(most), 1 + random.below(most)]);
        let stride = [1 + random.below(3), 1 + random.below(3)];
        let border = kernel.map(|k| random.below(k));
        // The last window begins in the picture.
        let place = |axis: usize| (size[axis] - 1 + border[axis]) / stride[axis] + 1;
        let channels = 1 + random.below(40);
        let pool = Pool { size, places: [place(0), place(1)], channels, kernel, stride, border };
        let zero_point = random.below(256) as i32 - 128;
        let output = Output::new(random.below(256) as i32 - 128, -100, 127);
        let values = random.bytes(size[0] * size[1] * channels);
        for kernel in int8::available() {
            let flip = kernel.flip();
            let x: Vec<u8> = values.iter().map(|x| x ^ flip).collect();
            let mut greatest = vec![0; pool.places[0] * pool.places[1] * channels];
            let mut mean = greatest.clone();
            let (pool, x) = (&pool, &x[..]);
            kernel.elementwise(Elementwise::MaxPool { pool, x, y: &mut greatest });
            let rule = Mean { zero_point, ratio: 0.75, output };
            kernel.elementwise(Elementwise::AveragePool { pool, mean: rule, x, y: &mut mean });
            for (i, (y, m)) in greatest.iter().zip(&mean).enumerate() {
                let seen = plain_window(pool, i, &values);
                let name = format!("{}, case {number}, element {i}", kernel.name());
                assert_eq!((y ^ flip) as i8, *seen.iter().max().unwrap(), "{name}");
                let sum: i32 = seen.iter().map(|&v| i32::from(v) - zero_point).sum();
                let multiplier = (0.75 / seen.len() as f64) as f32;
                let expected = plain_rounding(sum as f32 * multiplier, output);
                assert_eq!((m ^ flip) as i8, expected, "{name}");
            }
            tried.ran(kernel);
        }
    }
    tried.all(300);
}

fn plain_window(pool: &Pool, element: usize, values: &[u8]) -> Vec<i8> {
    let (pixel, c) = (element / pool.channels, element % pool.channels);
    let place = [pixel / pool.places[1], pixel % pool.places[1]];
    let mut seen = Vec::new();
    for row in 0..pool.size[0] {
        for column in 0..pool.size[1] {
            let inside = [row, column].iter().enumerate().all(|(axis, &at)| {
                let start = place[axis] * pool.stride[axis];
                (start..start + pool.kernel[axis]).contains(&(at + pool.border[axis]))
            });
            if inside {
                seen.push(values[(row * pool.size[1] + column) * pool.channels + c] as i8);
            }
        }
    }
    seen
}

/// Shapes of a pair's sides: along some axes one is repeated.
fn sides(random: &mut Random) -> Vec<(usize, [bool; 2])> {
    let most = [5, 40, 150][random.below(3)];
    let axis = |random: &mut Random, most| {
        (1 + random.below(most), [[true, true], [true, false], [false, true]][random.below(3)])
    };
    let outer = random.below(4);
    let mut axes: Vec<_> = (0..outer).map(|_| axis(random, 4)).collect();
    axes.push(axis(random, most));
    axes
}

/// Where an element of the result is on one side.
fn place_on_side(axes: &[(usize, [bool; 2])], side: usize, element: usize) -> usize {
    let (mut left, mut at, mut step) = (element, 0, 1);
    for (count, moves) in axes.iter().rev() {
        if moves[side] {
            at += left % count * step;
            step *= count;
        }
        left /= count;
    }
    at
}

#[test]
fn pairs_equal_plain_ones() {
    let (mut random, mut tried) = (Random(5), Tried::default());
    for number in 0..400 {
        let axes = sides(&mut random);
        let spread = Spread::new(&axes);
        let count = spread.elements();
        let values = [random.bytes(count), random.bytes(count)];
        let mut addend = |most: f32| Addend {
            zero_point: random.below(256) as i32 - 128,
            // A quarter makes many sums that lie between two whole numbers.
            ratio: [0.25, (random.below(2000) as f32 - 1000.0) * most / 1000.0]
                [random.below(4).min(1)],
        };
        let (p, q) = (addend(3.0), addend(1.0));
        let zero_points = [p.zero_point, q.zero_point];
        let by = [Real::Divide, Real::Least, Real::Greatest, Real::Slope][number / 3 % 4];
        let pair = match number % 3 {
            0 => Pair::Add(p, q),
            1 => Pair::Multiply { zero_points, multiplier: q.ratio / 40.0 },
            _ => Pair::Real { by, sides: [p, q], scale: 0.37 },
        };
        let limits = [[-120, 99], [-128, 127]][random.below(2)];
        let output = Output::new(random.below(256) as i32 - 128, limits[0], limits[1]);
        let plain: Vec<i8> = (0..count)
            .map(|i| {
                let side = |side: usize| values[side][place_on_side(&axes, side, i)] as i8;
                plain_pair(pair, [side(0).into(), side(1).into()], output)
            })
            .collect();
        for kernel in int8::available() {
            let flip = kernel.flip();
            let values = values.each_ref().map(|v| v.iter().map(|b| b ^ flip).collect::<Vec<_>>());
            let sides = [&values[0][..], &values[1][..]];
            let mut y = vec![0; count];
            let (spread, y_) = (&spread, &mut y[..]);
            kernel.elementwise(Elementwise::Pairs { pair, output, spread, sides, y: y_ });
            let made: Vec<i8> = y.iter().map(|b| (b ^ flip) as i8).collect();
            assert_eq!(made, plain, "{}, case {number}: {pair:?} {axes:?}", kernel.name());
            tried.ran(kernel);
        }
    }
    tried.all(400);
}

fn plain_pair(pair: Pair, [a, b]: [i32; 2], output: Output) -> i8 {
    let worth = |side: Addend, value: i32| (value - side.zero_point) as f32 * side.ratio;
    let steps = match pair {
        Pair::Add(p, q) => worth(p, a) + worth(q, b),
        Pair::Multiply { zero_points, multiplier } => {
            ((a - zero_points[0]) * (b - zero_points[1])) as f32 * multiplier
        }
        Pair::Real { by, sides: [p, q], scale } => {
            let (a, b) = (worth(p, a), worth(q, b));
            let real = match by {
                Real::Divide => a / b,
                Real::Least => a.min(b),
                Real::Greatest => a.max(b),
                Real::Slope => a.max(0.0) + a.min(0.0) * b,
            };
            real / scale
        }
    };
    // What is no number is the least.
    plain_rounding(if steps.is_nan() { f32::NEG_INFINITY } else { steps }, output)
}

#[test]
fn matrices_equal_plain_sums() {
    let (mut random, mut tried) = (Random(12), Tried::default());
    for number in 0..150 {
        let (rows, columns) = (1 + random.below(9), 1 + random.below(80));
        let depth = 1 + random.below([20, 600][number % 2]);
        let pairs = 1 + random.below(3);
        let values = [random.bytes(pairs * rows * depth), random.bytes(depth * columns)];
        let zero_points = [random.below(256) as i32 - 128, random.below(256) as i32 - 128];
        let output = Output::new(random.below(256) as i32 - 128, -128, 100);
        let places = (0..pairs).map(|pair| [pair * rows * depth, 0]).collect();
        let multiplier = 1.0 / (1 + random.below(100_000)) as f32;
        let matrices = Matrices { places, rows, depth, columns, zero_points, multiplier, output };
        let steps = |side: usize, at: usize| i32::from(values[side][at] as i8) - zero_points[side];
        let plain: Vec<i8> = (0..pairs * rows * columns)
            .map(|i| {
                let (row, column) = (i / columns, i % columns);
                let product = |k: usize| steps(0, row * depth + k) * steps(1, k * columns + column);
                let sum: i32 = (0..depth).map(product).sum();
                plain_rounding(sum as f32 * multiplier, output)
            })
            .collect();
        for kernel in int8::available() {
            let flip = kernel.flip();
            let values = values.each_ref().map(|v| v.iter().map(|b| b ^ flip).collect::<Vec<_>>());
            let sides = [&values[0][..], &values[1][..]];
            let mut y = vec![0; plain.len()];
            let (matrices, y_) = (&matrices, &mut y[..]);
            kernel.elementwise(Elementwise::Matrices { matrices, sides, y: y_ });
            let made: Vec<i8> = y.iter().map(|b| (b ^ flip) as i8).collect();
            assert_eq!(made, plain, "{}, case {number}: {matrices:?}", kernel.name());
            tried.ran(kernel);
        }
    }
    tried.all(150);
}

#[test]
fn tables_are_looked_up() {
    let (mut random, mut tried) = (Random(6), Tried::default());
    for count in [0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 200, 1000] {
        let table: [u8; 256] = random.bytes(256).try_into().unwrap();
        let x: Vec<u8> = (0..count).map(|_| random.next() as u8).collect();
        let plain: Vec<u8> = x.iter().map(|&x| table[usize::from(x)]).collect();
        for kernel in int8::available() {
            let mut y = vec![0; count];
            kernel.elementwise(Elementwise::Translate { table: &table, x: &x, y: &mut y });
            assert_eq!(y, plain, "{}, {count} bytes", kernel.name());
            tried.ran(kernel);
        }
    }
    tried.all(14);
}

#[test]
fn pictures_are_resized_as_the_formula_says() {
    let (mut random, mut tried) = (Random(8), Tried::default());
    for number in 0..120 {
        let size = [1 + random.below(6), 1 + random.below(6)];
        let channels = [1 + random.below(5), 1 + random.below(80), 1000 + random.below(60)];
        let channels = channels[number % 3];
        let mut places = |size: usize| -> Vec<Place> {
            let place = |random: &mut Random| {
                let before = random.below(size);
                let part = random.below(1000) as f32 / 1000.0;
                Place { before, after: (before + 1).min(size - 1), part }
            };
            (0..1 + random.below(20)).map(|_| place(&mut random)).collect()
        };
        let (rows, columns) = (places(size[0]), places(size[1]));
        let zero_point = random.below(256) as i32 - 128;
        let output = Output::new(random.below(256) as i32 - 128, -128, 101);
        let (width, multiplier) = (size[1], 0.8);
        let resize = Resize { width, channels, rows, columns, zero_point, multiplier, output };
        let values = random.bytes(size[0] * size[1] * channels);
        let plain = plain_resize(&resize, &values);
        for kernel in int8::available() {
            let flip = kernel.flip();
            let x: Vec<u8> = values.iter().map(|x| x ^ flip).collect();
            let mut y = vec![0; plain.len()];
            kernel.elementwise(Elementwise::Resize { resize: &resize, x: &x, y: &mut y });
            let made: Vec<i8> = y.iter().map(|b| (b ^ flip) as i8).collect();
            assert_eq!(made, plain, "{}, case {number}: {size:?} {channels}", kernel.name());
            tried.ran(kernel);
        }
    }
    tried.all(120);
}

fn plain_resize(resize: &Resize, values: &[u8]) -> Vec<i8> {
    let Resize { width, channels, rows, columns, zero_point, multiplier, output } = resize;
    let mut out = Vec::new();
    for down in rows {
        for right in columns {
            for c in 0..*channels {
                let x = |row: usize, column: usize| {
                    let value = values[(row * width + column) * channels + c] as i8;
                    (i32::from(value) - zero_point) as f32
                };
                let between = |row: usize| {
                    x(row, right.before) * (1.0 - right.part) + x(row, right.after) * right.part
                };
                let (upper, lower) = (between(down.before), between(down.after));
                let steps = (upper * (1.0 - down.part) + lower * down.part) * multiplier;
                out.push(plain_rounding(steps, *output));
            }
        }
    }
    out
}

#[test]
fn a_border_is_laid_around() {
    let border = Border { height: 2, row: 2, above: 1, below: 1, before: 1, after: 2 };
    let mut y = vec![0; border.bytes()];
    int8::pad(&border, 9, &[1, 2, 3, 4], &mut y);
    assert_eq!(y, [9, 9, 9, 9, 9, 9, 1, 2, 9, 9, 9, 3, 4, 9, 9, 9, 9, 9, 9, 9]);
}

#[test]
fn softmax_is_close_to_real_and_adds_up() {
    let scale = 0.1_f32;
    let table = std::array::from_fn(|d| (-(d as f64) * f64::from(scale)).exp() as f32);
    let output = Output::new(-128, -128, 127);
    let x: Vec<u8> = [10_i8, 20, -30, 127, 127, -128].map(|v| v as u8).to_vec();
    let mut y = vec![0; 6];
    int8::softmax(0, 3, &table, 1.0 / 256.0, output, &x, &mut y);
    let real = |v: f64| (v * 0.1).exp();
    for (row, out) in [[10.0, 20.0, -30.0], [127.0, 127.0, -128.0]].iter().zip(y.chunks(3)) {
        let sum: f64 = row.iter().map(|&v| real(v)).sum();
        for (v, out) in row.iter().zip(out) {
            let probability = (f64::from(*out as i8) + 128.0) / 256.0;
            assert!((probability - real(*v) / sum).abs() <= 1.0 / 256.0);
        }
    }
}

#[test]
fn real_numbers_there_and_back() {
    let output = Output::new(10, -128, 127);
    let real: Vec<u8> =
        [0.0_f32, 0.5, 1.5, -1.0, 1e9, -1e9].iter().flat_map(|r| r.to_le_bytes()).collect();
    for kernel in int8::available() {
        let flip = kernel.flip();
        let mut q = [0; 6];
        let (x, y) = (&real[..], &mut q[..]);
        kernel.elementwise(Elementwise::Quantize { scale: 1.0, output, x, y });
        let values: Vec<i8> = q.iter().map(|b| (b ^ flip) as i8).collect();
        assert_eq!(values, [10, 10, 12, 9, 127, -128]);
        let mut back = [0; 24];
        let (x, y) = (&q[..], &mut back[..]);
        kernel.elementwise(Elementwise::Dequantize { scale: 2.0, zero_point: 10, x, y });
        let back: Vec<f32> = back.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        assert_eq!(back, [0.0, 0.0, 4.0, -2.0, 234.0, -276.0]);
    }
}
