//! Every kernel of this processor against sums written down plainly, bit for bit, over random shapes.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the plain arithmetic that the kernels are held against"
)]
mod common;

use edgemill_kernels::int8::{self, Convolution, Depthwise, Filter, Kernel, Output, SLACK};

use common::{Random, Tried, plain_rounding};

/// Shape, weights and numbers of one convolution.
struct Case {
    job: Convolution,
    weights: Vec<u8>,
    bias: Option<Vec<u8>>,
    multipliers: Vec<f32>,
    zero_point: i32,
    x: Vec<u8>,
}

/// Bytes from a window to the next and elements of a segment, for which kernels have loops of their own.
const SIDE_BY_SIDE: [(usize, usize); 7] =
    [(16, 16), (24, 24), (32, 32), (16, 48), (32, 96), (3, 9), (64, 64)];

impl Case {
    fn random(random: &mut Random) -> Self {
        let (height, width) = (1 + random.below(6), 1 + random.below(9));
        let segments = 1 + random.below(5);
        let most = [8, 40, 150][random.below(3)];
        let channels = 1 + random.below(most);
        let any = (1 + random.below(50), 1 + random.below(40));
        let (column_step, segment) = [any, SIDE_BY_SIDE[random.below(7)]][random.below(3) / 2];
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
            members: (0..[1, 1 + random.below(int8::MAX_MEMBERS)][random.below(2)])
                .map(|_| random.below(99))
                .collect(),
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
        // Others are such that many products lie between two whole numbers.
        let half = (random.below(3) == 0).then(|| 0.5_f32.powi(2 + random.below(7) as i32));
        let multiplier = |r: &mut Random| half.unwrap_or((1 + r.below(1000)) as f32 * unit);
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
    let half = (random.below(3) == 0).then(|| 0.5_f32.powi(2 + random.below(7) as i32));
    let mut multiplier = || half.unwrap_or((1 + random.below(1000)) as f32 * unit);
    case.multipliers = (0..channels).map(|_| multiplier()).collect();
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
