//! The one rounding rule. A sum becomes an element by
//!
//! ```text
//! element = zero point + round(clamp(f32(sum) × multiplier))
//! ```
//!
//! where the conversion and the product round as IEEE 754 does by default, and `round` is to nearest, ties to even.
//! Each step has one result, so that every machine and every kernel gives the same bits.

/// The numbers that come out: their zero point, and the least and greatest element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    zero_point: i32,
    low: i32,
    high: i32,
}

impl Output {
    /// Elements from `low` to `high`, of which `zero_point` stands for the real 0. All are brought within
    /// -128..=127, and `high` to at least `low`.
    #[must_use]
    pub fn new(zero_point: i32, low: i32, high: i32) -> Self {
        let [zero_point, low, high] = [zero_point, low, high].map(|v| v.clamp(-128, 127));
        Self { zero_point, low, high: high.max(low) }
    }

    /// Element of the real 0.
    #[must_use]
    pub const fn zero_point(self) -> i32 {
        self.zero_point
    }

    /// The least element.
    #[must_use]
    pub const fn low(self) -> i32 {
        self.low
    }

    /// The greatest element.
    #[must_use]
    pub const fn high(self) -> i32 {
        self.high
    }

    /// The rule: the element that a sum becomes.
    #[must_use]
    #[inline]
    pub fn of_sum(self, sum: i32, multiplier: f32) -> i8 {
        self.element(sum, multiplier)
    }

    /// The least and the greatest step from the zero point; whole numbers.
    #[expect(clippy::cast_precision_loss, reason = "at most 255")]
    pub(crate) const fn steps(self) -> (f32, f32) {
        ((self.low - self.zero_point) as f32, (self.high - self.zero_point) as f32)
    }

    /// The least and the greatest byte in memory, which differs from its value by `flip`.
    #[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), expect(dead_code))]
    pub(crate) fn limits(self, flip: u8) -> [u8; 2] {
        [self.low, self.high].map(|element| low8(element).cast_unsigned() ^ flip)
    }

    /// The zero point, 128 above where bytes are.
    #[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), expect(dead_code))]
    pub(crate) fn wide_zero_point(self, flip: u8) -> i16 {
        i16::from(low8(self.zero_point)) + i16::from(flip)
    }

    /// The rule.
    #[inline(always)]
    pub(crate) fn element(self, sum: i32, multiplier: f32) -> i8 {
        self.nearest(to_f32(sum) * multiplier)
    }

    /// Its second half: from steps away from the zero point.
    #[inline(always)]
    pub(crate) fn nearest(self, steps: f32) -> i8 {
        let (low, high) = self.steps();
        low8(self.zero_point + round(within(steps, low, high)))
    }
}

/// What is no number is `low`; of 0 and -0 either may come. Each way to say it is one instruction each on its processor.
#[inline(always)]
#[cfg(not(target_arch = "aarch64"))]
fn within(steps: f32, low: f32, high: f32) -> f32 {
    let steps = if steps > low { steps } else { low };
    if steps < high { steps } else { high }
}

#[inline(always)]
#[cfg(target_arch = "aarch64")]
fn within(steps: f32, low: f32, high: f32) -> f32 {
    steps.max(low).min(high)
}

/// Steps of an element, whose byte in memory differs by `flip` from its value, from a zero point.
#[inline(always)]
pub(super) fn steps(byte: u8, flip: u8, zero_point: i32) -> i32 {
    // Bytes of value + 128 are widened as they stand.
    if flip == 0 {
        i32::from(byte.cast_signed()) - zero_point
    } else {
        i32::from(byte) - (zero_point + 128)
    }
}

/// `real` ÷ `scale` as an element of `output`: the quotient in f32, then the rule's second half.
#[must_use]
pub fn quantized(real: f32, scale: f32, output: Output) -> i8 {
    output.nearest(real / scale)
}

#[inline(always)]
#[expect(
    clippy::cast_precision_loss,
    reason = "rounded to nearest, ties to even: part of the rule"
)]
fn to_f32(sum: i32) -> f32 {
    sum as f32
}

/// To nearest, ties to even, for |value| ≤ 2²². Adding 1.5 × 2²³ leaves no fractional bit in the sum, whose lowest
/// bits then are the rounded value.
#[inline(always)]
fn round(value: f32) -> i32 {
    const WHOLE: f32 = 12_582_912.0;
    (value + WHOLE).to_bits().cast_signed() - WHOLE.to_bits().cast_signed()
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "an `Output` is within -128..=127")]
fn low8(value: i32) -> i8 {
    value as i8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_even() {
        let cases = [
            (0.5, 0),
            (1.5, 2),
            (2.5, 2),
            (-0.5, 0),
            (-1.5, -2),
            (2.500_001, 3),
            (-3.499_999, -3),
            (254.5, 254),
        ];
        for (value, nearest) in cases {
            assert_eq!(round(value), nearest, "{value}");
            assert_eq!(round(value) as f32, value.round_ties_even(), "{value}");
        }
    }

    #[test]
    fn elements_are_clamped_before_they_are_rounded() {
        let output = Output::new(-5, -128, 100);
        let cases = [(0, -5), (3, -2), (i32::MAX, 100), (i32::MIN, -128), (-124, -128), (106, 100)];
        for (sum, element) in cases {
            assert_eq!(output.element(sum, 1.0), element, "{sum}");
        }
    }
}
