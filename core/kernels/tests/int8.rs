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
    self, Addend, Border, Convolution, Filter, Kernel, Output, Pool, SLACK,
};

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
        let job = Convolution {
            height,
            width,
            row_step: column_step * width + random.below(9),
            column_step,
            members: (0..1 + random.below(int8::MAX_MEMBERS)).map(|_| random.below(99)).collect(),
            offsets: (0..segments).map(|_| random.below(300)).collect(),
            segment,
            channels,
            pixel_step: channels + random.below(3) * 5,
            output: Output::new(
                random.below(256) as i32 - 128,
                limits[0],
                limits[1].max(limits[0]),
            ),
        };
        let multiplier = |r: &mut Random| (1 + r.below(1000)) as f32 * 1e-6;
        Self {
            weights: random.bytes(channels * segments * segment),
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
        let gaps = y.chunks(job.pixel_step).flat_map(|pixel| pixel.iter().skip(job.channels));
        assert!(gaps.into_iter().all(|&gap| gap == 0x55), "{} wrote between pixels", kernel.name());
        let elements = y.chunks(job.pixel_step).flat_map(|pixel| &pixel[..job.channels]);
        elements.map(|y| (y ^ kernel.flip()) as i8).collect()
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

/// The rule, by other means than the kernels': f64 holds the product of two f32 exactly.
fn plain_rounding(steps: f32, output: Output) -> i8 {
    let element = f64::from(steps).round_ties_even() + f64::from(output.zero_point());
    element.clamp(f64::from(output.low()), f64::from(output.high())) as i8
}

#[test]
fn every_kernel_equals_plain_sums() {
    let kernels = int8::available();
    assert_eq!(kernels.last().unwrap().name(), "scalar");
    let mut random = Random(2026);
    for number in 0..400 {
        let case = Case::random(&mut random);
        let plain = case.plain();
        for kernel in &kernels {
            let name = kernel.name();
            assert_eq!(case.by(*kernel), plain, "{name}, case {number}: {:?}", case.job);
        }
    }
    println!("compared: {}", kernels.iter().map(|k| k.name()).collect::<Vec<_>>().join(", "));
}

#[test]
fn kernels_are_found_by_name() {
    for kernel in int8::available() {
        assert_eq!(int8::by_name(kernel.name()).unwrap().name(), kernel.name());
    }
    assert!(int8::by_name("m68k").is_none());
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

#[test]
fn depthwise_equals_plain_sums() {
    let mut random = Random(7);
    for number in 0..200 {
        let mut case = Case::random(&mut random);
        // A segment of one element for each channel; taps lie anywhere.
        let (taps, channels) = (case.job.offsets.len(), case.job.channels);
        case.job.segment = 1;
        case.job.members = vec![0];
        case.x = random.bytes(case.job.input_bytes() + channels + SLACK);
        let multipliers = |c: usize| case.multipliers[c];
        let filter = Filter { segments: 1, segment: taps, ..case.filter(&multipliers) };
        for flip in [0, 0x80] {
            let mut packed = vec![0; int8::packed_depthwise_bytes(channels, taps)];
            int8::pack_depthwise(&filter, channels, &mut packed);
            let x: Vec<u8> = case.x.iter().map(|x| x ^ flip).collect();
            let mut y = vec![0; case.job.output_bytes()];
            int8::depthwise(&case.job, flip, &packed, &x, &mut y);
            for pixel in 0..case.job.height * case.job.width {
                for c in 0..channels {
                    let (row, column) = (pixel / case.job.width, pixel % case.job.width);
                    let base = row * case.job.row_step + column * case.job.column_step + c;
                    let given = (y[pixel * case.job.pixel_step + c] ^ flip) as i8;
                    assert_eq!(given, case.plain_element(base, c), "case {number}, flip {flip}");
                }
            }
        }
    }
}

#[test]
fn pools_equal_plain_loops() {
    let mut random = Random(3);
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
        for flip in [0, 0x80] {
            let x: Vec<u8> = values.iter().map(|x| x ^ flip).collect();
            let mut greatest = vec![0; pool.places[0] * pool.places[1] * channels];
            let mut mean = greatest.clone();
            int8::max_pool(&pool, flip, &x, &mut greatest);
            int8::average_pool(&pool, flip, zero_point, 0.75, output, &x, &mut mean);
            for (i, (y, m)) in greatest.iter().zip(&mean).enumerate() {
                let seen = plain_window(&pool, i, &values);
                let name = format!("case {number}, flip {flip}, element {i}");
                assert_eq!((y ^ flip) as i8, *seen.iter().max().unwrap(), "{name}");
                let sum: i32 = seen.iter().map(|&v| i32::from(v) - zero_point).sum();
                let multiplier = (0.75 / seen.len() as f64) as f32;
                let expected = plain_rounding(sum as f32 * multiplier, output);
                assert_eq!((m ^ flip) as i8, expected, "{name}");
            }
        }
    }
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

#[test]
fn sums_equal_plain_ones() {
    let mut random = Random(5);
    let (p, q) = (random.bytes(1000), random.bytes(1000));
    let (a, b) = (Addend { zero_point: -7, ratio: 0.37 }, Addend { zero_point: 90, ratio: 1.93 });
    let output = Output::new(11, -120, 99);
    for flip in [0, 0x80] {
        let flipped = |v: &[u8]| v.iter().map(|b| b ^ flip).collect::<Vec<_>>();
        let mut y = vec![0; 1000];
        int8::add(flip, (a, &flipped(&p)), (b, &flipped(&q)), output, &mut y);
        for i in 0..1000 {
            let side = |a: Addend, v: u8| (i32::from(v as i8) - a.zero_point) as f32 * a.ratio;
            let expected = plain_rounding(side(a, p[i]) + side(b, q[i]), output);
            assert_eq!((y[i] ^ flip) as i8, expected);
        }
    }
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
    for flip in [0, 0x80] {
        let mut q = vec![0; 6];
        int8::quantize(flip, 1.0, output, &real, &mut q);
        let values: Vec<i8> = q.iter().map(|b| (b ^ flip) as i8).collect();
        assert_eq!(values, [10, 10, 12, 9, 127, -128]);
        let mut back = vec![0; 24];
        int8::dequantize(flip, 2.0, 10, &q, &mut back);
        let back: Vec<f32> = back.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        assert_eq!(back, [0.0, 0.0, 4.0, -2.0, 234.0, -276.0]);
    }
}
