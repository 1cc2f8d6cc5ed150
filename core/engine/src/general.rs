//! Work that is rarely where the time goes, as plain loops over elements.
use edgemill_kernels::int8::{Output, quantized};
use edgemill_model::graph::Reduction;
use edgemill_model::tensor::{DType, Quantization};

/// Of one input.
pub(crate) enum General {
    /// The elements of each of `kept` at each of `reduced`.
    Reduce { by: Reduction, kept: Vec<usize>, reduced: Vec<usize>, sums: Sums },
    /// The place among `reduced` of the greatest element.
    ArgMax { kept: Vec<usize>, reduced: Vec<usize>, least: bool, last: bool, dtype: DType },
    /// Rows of so many elements; powers of each number of steps below the greatest.
    LogSoftmax {
        axis: usize,
        powers: Box<[f32; 256]>,
        scale: f32,
        rule: Quantization,
        output: Output,
    },
    /// Real numbers to bytes of 0 to 255.
    QuantizeU8 { scale: f32, output: Output },
    /// Bytes of 0 to 255 to real numbers.
    DequantizeU8 { scale: f32, zero_point: i32 },
    /// Numbers as they stand.
    Cast { from: DType, to: DType },
}

/// How sums of steps from a zero point become elements.
#[derive(Clone, Copy)]
pub(crate) struct Sums {
    pub zero_point: i32,
    pub multiplier: f32,
    pub output: Output,
}

impl General {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Reduce { .. } => "reduce",
            Self::ArgMax { .. } => "greatest",
            Self::LogSoftmax { .. } => "log softmax",
            Self::QuantizeU8 { .. } => "quantize",
            Self::DequantizeU8 { .. } => "dequantize",
            Self::Cast { .. } => "cast",
        }
    }

    pub fn run(&self, flip: u8, x: &[u8], y: &mut [u8]) {
        match self {
            Self::Reduce { by, kept, reduced, sums } => {
                for (y, &at) in y.iter_mut().zip(kept) {
                    let values = reduced.iter().map(|&r| value(x[at + r], flip));
                    *y = reduce(*by, values, sums).cast_unsigned() ^ flip;
                }
            }
            Self::ArgMax { kept, reduced, least, last, dtype } => {
                for (y, &at) in y.as_chunks_mut().0.iter_mut().zip(kept) {
                    let number = |r: &usize| real(*dtype, flip, &x[at + r..]);
                    let better = |new: f64, old: f64| match (least, last) {
                        (false, false) => new > old,
                        (false, true) => new >= old,
                        (true, false) => new < old,
                        (true, true) => new <= old,
                    };
                    *y = best(reduced.iter().map(number), better).to_le_bytes();
                }
            }
            Self::LogSoftmax { axis, powers, scale, rule, output } => {
                for (x, y) in x.chunks_exact(*axis).zip(y.chunks_exact_mut(*axis)) {
                    log_softmax(flip, powers, *scale, *rule, *output, x, y);
                }
            }
            Self::QuantizeU8 { scale, output } => {
                for (y, &x) in y.iter_mut().zip(x.as_chunks().0) {
                    *y = quantized(f32::from_le_bytes(x), *scale, *output).cast_unsigned() ^ 0x80;
                }
            }
            Self::DequantizeU8 { scale, zero_point } => {
                for (y, &x) in y.as_chunks_mut().0.iter_mut().zip(x) {
                    *y = (steps(i32::from(x) - zero_point) * scale).to_le_bytes();
                }
            }
            Self::Cast { from, to } => cast(flip, *from, *to, x, y),
        }
    }
}

/// Of two inputs.
pub(crate) enum Two {
    /// Where a is not at its zero point, b by a table; elsewhere what is there stays.
    Choose { zero_point: i32, table: Box<[u8; 256]> },
}

impl Two {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Choose { .. } => "select",
        }
    }

    pub fn run(&self, flip: u8, a: &[u8], b: &[u8], y: &mut [u8]) {
        let all = y.iter_mut().zip(a.iter().zip(b));
        match self {
            Self::Choose { zero_point, table } => {
                for (y, (&a, &b)) in all {
                    if value(a, flip) != *zero_point {
                        *y = table[usize::from(b)];
                    }
                }
            }
        }
    }
}

fn value(byte: u8, flip: u8) -> i32 {
    (byte ^ flip).cast_signed().into()
}

#[expect(clippy::cast_precision_loss, reason = "far below 2²⁴")]
fn steps(steps: i32) -> f32 {
    steps as f32
}

fn reduce(by: Reduction, values: impl Iterator<Item = i32>, sums: &Sums) -> i8 {
    let least = i32::from(i8::MIN);
    let element = match by {
        Reduction::Max => values.max().unwrap_or(least),
        Reduction::Min => values.min().unwrap_or(least),
        _ => {
            let sum = values.map(|value| value - sums.zero_point).fold(0, i32::wrapping_add);
            return sums.output.of_sum(sum, sums.multiplier);
        }
    };
    i8::try_from(element).expect("an element's value")
}

/// An element as a number that compares as it does.
fn real(dtype: DType, flip: u8, x: &[u8]) -> f64 {
    let four = || [x[0], x[1], x[2], x[3]];
    match dtype {
        DType::U8 => x[0].into(),
        DType::I8 => value(x[0], flip).into(),
        DType::I32 => i32::from_le_bytes(four()).into(),
        DType::F32 => f32::from_le_bytes(four()).into(),
    }
}

fn best(numbers: impl Iterator<Item = f64>, better: impl Fn(f64, f64) -> bool) -> i32 {
    let mut found = (0, f64::NAN);
    for (place, number) in (0_i32..).zip(numbers) {
        if place == 0 || better(number, found.1) {
            found = (place, number);
        }
    }
    found.0
}

#[expect(clippy::cast_possible_truncation, reason = "rounded to f32 once, which is meant")]
fn log_softmax(
    flip: u8,
    powers: &[f32; 256],
    scale: f32,
    rule: Quantization,
    output: Output,
    x: &[u8],
    y: &mut [u8],
) {
    let below = |greatest: i32, byte: u8| {
        usize::try_from(greatest - value(byte, flip)).expect("none is above the greatest")
    };
    let greatest = x.iter().map(|&byte| value(byte, flip)).max().unwrap_or(0);
    let sum: f32 = x.iter().map(|&byte| powers[below(greatest, byte)]).sum();
    let log = libm::log(f64::from(sum)) as f32;
    for (y, &byte) in y.iter_mut().zip(x) {
        let steps = steps(value(byte, flip) - greatest) * rule.scale - log;
        *y = quantized(steps, scale, output).cast_unsigned() ^ flip;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a conversion from real numbers drops the fraction and saturates"
)]
fn cast(flip: u8, from: DType, to: DType, x: &[u8], y: &mut [u8]) {
    let count = y.len() / to.bytes();
    for i in 0..count {
        let number = real(from, flip, &x[i * from.bytes()..]);
        let out = &mut y[i * to.bytes()..][..to.bytes()];
        match to {
            DType::U8 => out[0] = number as u8,
            DType::I8 => out[0] = (number as i8).cast_unsigned() ^ flip,
            DType::I32 => out.copy_from_slice(&(number as i32).to_le_bytes()),
            DType::F32 => out.copy_from_slice(&(number as f32).to_le_bytes()),
        }
    }
}
