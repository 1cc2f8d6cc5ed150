//! Every kernel of this processor against sums written down plainly, bit for bit, over random shapes.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the plain arithmetic that the kernels are held against"
)]
use edgemill_kernels::int8::{
    self, Addend, Border, Convolution, Depthwise, Elementwise, Filter, Kernel, Matrices, Mean,
    Output, Pair, Place, Pool, Real, Resize, SLACK, Spread,
};

/// Counts the cases that each kernel has run, so that one that is available and was not tried fails the test.
#[derive(Default)]
struct Tried(Vec<(&'static str, usize)>);

impl Tried {
    /// To be called where a kernel has run a case.
    fn ran(&mut self, kernel: &dyn Kernel) {
        match self.0.iter_mut().find(|(name, _)| *name == kernel.name()) {
            Some((_, cases)) => *cases += 1,
            None => self.0.push((kernel.name(), 1)),
        }
    }

    /// Fails for a kernel of this processor that has not run as many cases as there were.
    fn all(&self, cases: usize) {
        let ran = |name| self.0.iter().find(|tried| tried.0 == name).map_or(0, |tried| tried.1);
        for name in int8::available().iter().map(|kernel| kernel.name()) {
            let ran = ran(name);
            assert_eq!(ran, cases, "the kernel {name} is available and ran {ran} of {cases} cases");
        }
        println!("compared over {cases} cases: {:?}", self.0);
    }
}

/// A small generator of known quality (`SplitMix64`), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    /// Every byte is as likely; a tenth of all arrays hold extremes only.
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let extreme = self.below(10) == 0;
        let byte = |r: u64| if extreme { [0x80, 0x7F][(r & 1) as usize] } else { (r >> 20) as u8 };
        (0..count).map(|_| byte(self.next())).collect()
    }

    /// As [`Self::bytes`]; in every other array there is no -128, as usual in models.
    fn weights(&mut self, count: usize) -> Vec<u8> {
        let least = [0x80, 0x81][self.below(2)];
        self.bytes(count).into_iter().map(|w| if w == 0x80 { least } else { w }).collect()
    }
}

/// Shape, weights and numbers of one convolution.
struct Case {
    job: Convolution,
    weights: Vec<u8>,
    bias: Option<Vec<u8>>,
    multipliers: Vec<f32>,
    zero_point: i32,
    x: Vec<u8>,
}

impl Case {
    fn random(random: &mut Random) -> Self {
        let (height, width) = (1 + random.below(6), 1 + random.below(9));
        let (segments, segment) = (1 + random.below(5), 1 + random.below(40));
        let most = [8, 40, 150][random.below(3)];
        let channels = 1 + random.below(most);
        let column_step = 1 + random.below(50);
        let zero_point = random.below(256) as i32 - 128;
        let limits = [random.below(256) as i32 - 128, random.below(256) as i32 - 128];
        let limits = [limits, [-128, 127]][random.below(2)];
        let pixel_step = channels + random.below(3) * 5;
        let weights = random.weights(channels * segments * segment);
        let job = Convolution {
            height,
            width,
            row_step: column_step * width + random.below(9),
            column_step,
            members: (0..1 + random.below(int8::MAX_MEMBERS)).map(|_| random.below(99)).collect(),
            offsets: (0..segments).map(|_| random.below(300)).collect(),
            segment,
            channels,
            pixel_step,
            out_row_step: pixel_step * width + random.below(3) * 7,
            output: if random.below(3) == 0 {
                Output::new(-128, -128, 127)
            } else {
                let zero_point = random.below(256) as i32 - 128;
                Output::new(zero_point, limits[0], limits[1].max(limits[0]))
            },
            two_products_fit: !weights.contains(&0x80),
        };
        // Some are so great that no product fits into 32 bits.
        let unit = [1e-6, 1e-6, 1e-3, 1e4][random.below(4)];
        let multiplier = |r: &mut Random| (1 + r.below(1000)) as f32 * unit;
        Self {
            weights,
            bias: (random.below(4) > 0).then(|| {
                (0..channels).flat_map(|_| (random.next() as i32 >> 12).to_le_bytes()).collect()
            }),
            multipliers: (0..channels).map(|_| multiplier(random)).collect(),
            zero_point,
            x: random.bytes(job.input_bytes() + SLACK),
            job,
        }
    }

    /// Elements of the output, one after the other.
    fn plain(&self) -> Vec<i8> {
        let job = &self.job;
        let mut out = Vec::new();
        for pixel in 0..job.height * job.width {
            let base = pixel / job.width * job.row_step + pixel % job.width * job.column_step;
            for channel in 0..job.channels {
                out.push(self.plain_element(base, channel));
            }
        }
        out
    }

    /// Member by member, each rounded, then the greatest: pool after convolution.
    fn plain_element(&self, base: usize, channel: usize) -> i8 {
        let rounded = |member: &usize| {
            let sum = self.plain_sum(base + member, channel);
            plain_rounding(sum as f32 * self.multipliers[channel], self.job.output)
        };
        self.job.members.iter().map(rounded).max().unwrap()
    }

    fn plain_sum(&self, base: usize, channel: usize) -> i64 {
        let Convolution { offsets, segment, .. } = &self.job;
        let mut sum = self.bias.as_ref().map_or(0, |bias| {
            i64::from(i32::from_le_bytes(bias[4 * channel..][..4].try_into().unwrap()))
        });
        for (s, offset) in offsets.iter().enumerate() {
            for i in 0..*segment {
                let x = i64::from(self.x[base + offset + i] as i8) - i64::from(self.zero_point);
                let w = self.weights[(channel * offsets.len() + s) * segment + i] as i8;
                sum += x * i64::from(w);
            }
        }
        sum
    }

    fn by(&self, kernel: &dyn Kernel) -> Vec<i8> {
        let (job, panels) = (&self.job, kernel.panels());
        let needed = panels.packed_bytes(job.channels, job.offsets.len(), job.segment);
        let mut packed = vec![0xEE; needed];
        panels.pack(
            &self.filter(&|c| self.multipliers[c]),
            job.channels,
            kernel.flip(),
            &mut packed,
        );
        let x: Vec<u8> = self.x.iter().map(|x| x ^ kernel.flip()).collect();
        let mut y = vec![0x55; job.output_bytes()];
        kernel.convolve(job, &packed, &x, &mut y);
        elements(job, kernel, &y)
    }

    fn filter<'a>(&'a self, multipliers: &'a dyn Fn(usize) -> f32) -> Filter<'a> {
        Filter {
            weights: &self.weights,
            segments: self.job.offsets.len(),
            segment: self.job.segment,
            bias: self.bias.as_deref(),
            multipliers,
            zero_point: self.zero_point,
        }
    }
}

/// The elements that a kernel has written, one after the other, if it has written nothing between them.
fn elements(job: &Convolution, kernel: &dyn Kernel, y: &[u8]) -> Vec<i8> {
    let mut y = y.to_vec();
    let mut elements = Vec::new();
    for pixel in 0..job.height * job.width {
        let at = pixel / job.width * job.out_row_step + pixel % job.width * job.pixel_step;
        for byte in &mut y[at..at + job.channels] {
            elements.push((std::mem::replace(byte, 0x55) ^ kernel.flip()) as i8);
        }
    }
    assert!(y.iter().all(|&gap| gap == 0x55), "{} wrote between pixels", kernel.name());
    elements
}

/// The rule, by other means than the kernels': f64 holds the product of two f32 exactly.
fn plain_rounding(steps: f32, output: Output) -> i8 {
    let element = f64::from(steps).round_ties_even() + f64::from(output.zero_point());
    element.clamp(f64::from(output.low()), f64::from(output.high())) as i8
}

#[test]
fn every_kernel_equals_plain_sums() {
    let kernels = int8::available();
    assert_eq!(kernels.last().unwrap().name(), "scalar");
    let (mut random, mut tried) = (Random(2026), Tried::default());
    for number in 0..400 {
        let case = Case::random(&mut random);
        let plain = case.plain();
        for kernel in &kernels {
            let name = kernel.name();
            assert_eq!(case.by(*kernel), plain, "{name}, case {number}: {:?}", case.job);
            tried.ran(*kernel);
        }
    }
    tried.all(400);
}

#[test]
fn kernels_are_found_by_name() {
    for kernel in int8::available() {
        assert_eq!(int8::by_name(kernel.name()).unwrap().name(), kernel.name());
    }
    assert!(int8::by_name("m68k").is_none());
    #[cfg(target_arch = "aarch64")]
    let needs = [
        ("aarch64-neon", std::arch::is_aarch64_feature_detected!("neon")),
        ("aarch64-neon-dotprod", std::arch::is_aarch64_feature_detected!("dotprod")),
        ("aarch64-neon-i8mm", std::arch::is_aarch64_feature_detected!("i8mm")),
    ];
    #[cfg(target_arch = "x86_64")]
    let needs = [
        ("x86_64-avx2", is_x86_feature_detected!("avx2")),
        ("x86_64-avxvnni", is_x86_feature_detected!("avxvnni")),
        ("x86_64-avx512vnni", is_x86_feature_detected!("avx512vnni")),
    ];
    for (name, has) in needs {
        assert_eq!(int8::by_name(name).is_some(), has, "{name}");
    }
    assert_eq!(int8::best().name(), int8::available()[0].name());
}

#[test]
#[should_panic(expected = "bytes in")]
fn a_short_input_is_refused() {
    let mut case = Case::random(&mut Random(1));
    case.x.truncate(case.job.input_bytes() - 1);
    case.by(int8::best());
}

/// Numbers whose products overflow must not pass for small ones.
#[test]
fn sizes_beyond_all_memory_are_refused() {
    let case = Case::random(&mut Random(1));
    let changes: [fn(&mut Convolution); 5] = [
        |job| job.row_step = usize::MAX / 2,
        |job| job.column_step = usize::MAX,
        |job| job.offsets[0] = usize::MAX,
        |job| job.members = vec![usize::MAX - 3],
        |job| job.segment = usize::MAX,
    ];
    for (i, change) in changes.into_iter().enumerate() {
        let mut job = Convolution { height: 4, width: 4, ..case.job.clone() };
        change(&mut job);
        for kernel in int8::available() {
            let (x, packed, mut y) = (vec![0; 1 << 16], vec![0; 1 << 20], vec![0; 1 << 16]);
            let run = || kernel.convolve(&job, &packed, &x, &mut y);
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
            assert!(result.is_err(), "{}, change {i}", kernel.name());
        }
    }
}

/// A depthwise convolution as one of the general kind, whose taps lie where it says.
fn depthwise_case(random: &mut Random) -> (Depthwise, Case) {
    let mut case = Case::random(random);
    let channels = [1 + random.below(40), 1 + random.below(200), 8 << random.below(6)];
    let channels = channels[random.below(3)];
    let taps = [[3, 3], [3, 3], [5, 5], [1 + random.below(6), 1 + random.below(6)]];
    let taps = taps[random.below(4)];
    let right = channels * (1 + random.below(5) / 4);
    let column_step = right * (1 + random.below(3));
    let width = case.job.width;
    let row_step = (column_step * width + right * taps[1]) + random.below(9);
    let pixel_step = channels + random.below(4) / 3 * 5;
    let job = Depthwise {
        height: case.job.height,
        width,
        row_step,
        column_step,
        taps,
        tap_steps: [row_step, right],
        channels,
        pixel_step,
        out_row_step: pixel_step * width + random.below(2) * 7,
        output: case.job.output,
    };
    let places = (0..taps[0]).flat_map(|y| (0..taps[1]).map(move |x| y * row_step + x * right));
    case.job = Convolution {
        row_step,
        column_step,
        members: vec![0],
        offsets: places.collect(),
        segment: 1,
        channels,
        pixel_step,
        out_row_step: job.out_row_step,
        ..case.job
    };
    case.weights = random.weights(channels * taps[0] * taps[1]);
    case.bias = case.bias.map(|_| (0..4 * channels).map(|i| (i % 4 == 1).into()).collect());
    let unit = [1e-5, 1e-5, 1e-3, 1e4][random.below(4)];
    case.multipliers = (0..channels).map(|_| (1 + random.below(1000)) as f32 * unit).collect();
    case.x = random.bytes(job.input_bytes() + SLACK);
    (job, case)
}

#[test]
fn every_kernels_depthwise_equals_plain_sums() {
    let (mut random, mut tried) = (Random(7), Tried::default());
    for number in 0..400 {
        let (job, case) = depthwise_case(&mut random);
        let mut plain = Vec::new();
        for pixel in 0..job.height * job.width {
            let base = pixel / job.width * job.row_step + pixel % job.width * job.column_step;
            plain.extend((0..job.channels).map(|c| case.plain_element(base + c, c)));
        }
        let multipliers = |c: usize| case.multipliers[c];
        let taps = job.taps[0] * job.taps[1];
        let filter = Filter { segments: 1, segment: taps, ..case.filter(&multipliers) };
        for kernel in int8::available() {
            let mut packed = vec![0xEE; kernel.depthwise_bytes(&job)];
            kernel.pack_depthwise(&job, &filter, &mut packed);
            let x: Vec<u8> = case.x.iter().map(|x| x ^ kernel.flip()).collect();
            let mut y = vec![0x55; job.output_bytes()];
            kernel.depthwise(&job, &packed, &x, &mut y);
            let name = kernel.name();
            assert_eq!(elements(&case.job, kernel, &y), plain, "{name}, case {number}: {job:?}");
            tried.ran(kernel);
        }
    }
    tried.all(400);
}

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
            ratio: (random.below(2000) as f32 - 1000.0) * most / 1000.0,
        };
        let (p, q) = (addend(3.0), addend(1.0));
        let zero_points = [p.zero_point, q.zero_point];
        let by = [Real::Divide, Real::Least, Real::Greatest, Real::Slope][number / 3 % 4];
        let pair = match number % 3 {
            0 => Pair::Add(p, q),
            1 => Pair::Multiply { zero_points, multiplier: q.ratio / 40.0 },
            _ => Pair::Real { by, sides: [p, q], scale: 0.37 },
        };
        let output = Output::new(random.below(256) as i32 - 128, -120, 99);
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
