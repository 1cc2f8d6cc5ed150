//! Sums of pairs of elements, sixteen at once.
use std::arch::aarch64::{
    uint8x16_t, vdupq_n_f32, vdupq_n_s8, vdupq_n_s16, vreinterpretq_u8_f32, vreinterpretq_u8_s8,
    vreinterpretq_u8_s16,
};
use std::arch::asm;

use super::requantize::WHOLE;
use crate::int8::pairs::{Addend, Spread};
use crate::int8::rounding::Output;

const WIDTH: usize = 16;

/// A byte of 128 more than its value, and these bytes above it, are 2²³ + 128 + the value.
const ABOVE: f32 = 8_388_608.0;

/// Places of each four bytes, below three of [`ABOVE`], which begins at 16.
static PLACES: [[u8; WIDTH]; 4] = places();

#[expect(clippy::cast_possible_truncation, reason = "below 32")]
const fn places() -> [[u8; WIDTH]; 4] {
    let mut places = [[0; WIDTH]; 4];
    let mut i = 0;
    while i < 4 * WIDTH {
        let byte = i % 4;
        places[i / WIDTH][i % WIDTH] = if byte == 0 { i / 4 } else { WIDTH + byte } as u8;
        i += 1;
    }
    places
}

/// Whether both sides have as many elements, and no sum is beyond 16 bits.
pub fn fits([p, q]: [Addend; 2], spread: &Spread) -> bool {
    let even = spread.single() == [false; 2] && spread.elements() == spread.run();
    even && spread.run() >= WIDTH && 255.0 * (p.ratio.abs() + q.ratio.abs()) < 32_000.0
}

/// `y` = `a` + `b`, of `count` elements each, where that [`fits`].
pub fn add([p, q]: [Addend; 2], output: Output, count: usize, [a, b]: [&[u8]; 2], y: &mut [u8]) {
    assert!(count >= WIDTH, "{count} elements are no vector");
    let (a, b, y) = (&a[..count], &b[..count], &mut y[..count]);
    let run = Run::new(p, q, output);
    let (whole, last) = (count / WIDTH * WIDTH, count - WIDTH);
    // SAFETY: the first is a multiple of the width and above 0; both end with the slices.
    unsafe {
        run.make(a.as_ptr(), b.as_ptr(), y.as_mut_ptr(), whole);
        // The last are made with some before them.
        if whole < count {
            let (a, b) = (a.as_ptr().add(last), b.as_ptr().add(last));
            run.make(a, b, y.as_mut_ptr().add(last), WIDTH);
        }
    }
}

/// What a run needs, as vectors.
struct Run {
    vectors: [uint8x16_t; 10],
    /// Nothing is added to whole numbers, and saturation clamps them.
    plain: bool,
}

/// A loop over 16 elements at a time; `$whole` is done to whole numbers, `$byte` to bytes.
macro_rules! run {
    ($run:ident, $a:ident, $b:ident, $y:ident, $count:ident, [$($whole:literal)*], [$($byte:literal)*]) => {
        asm!(
            "ld1 {{v16.16b-v19.16b}}, [{places}]",
            "ld1 {{v20.16b-v23.16b}}, [{vectors}], #64",
            "ld1 {{v24.16b-v27.16b}}, [{vectors}], #64",
            "ld1 {{v28.16b-v29.16b}}, [{vectors}]",
            "mov v1.16b, v29.16b",
            "mov v3.16b, v29.16b",
            "2:",
            "ldr q0, [{a}], #16",
            "ldr q2, [{b}], #16",
            "eor v0.16b, v0.16b, v28.16b",
            "eor v2.16b, v2.16b, v28.16b",
            "tbl v4.16b, {{v0.16b, v1.16b}}, v16.16b",
            "tbl v5.16b, {{v0.16b, v1.16b}}, v17.16b",
            "tbl v6.16b, {{v0.16b, v1.16b}}, v18.16b",
            "tbl v7.16b, {{v0.16b, v1.16b}}, v19.16b",
            "tbl v8.16b, {{v2.16b, v3.16b}}, v16.16b",
            "tbl v9.16b, {{v2.16b, v3.16b}}, v17.16b",
            "tbl v10.16b, {{v2.16b, v3.16b}}, v18.16b",
            "tbl v11.16b, {{v2.16b, v3.16b}}, v19.16b",
            "fsub v4.4s, v4.4s, v20.4s",
            "fsub v5.4s, v5.4s, v20.4s",
            "fsub v6.4s, v6.4s, v20.4s",
            "fsub v7.4s, v7.4s, v20.4s",
            "fsub v8.4s, v8.4s, v21.4s",
            "fsub v9.4s, v9.4s, v21.4s",
            "fsub v10.4s, v10.4s, v21.4s",
            "fsub v11.4s, v11.4s, v21.4s",
            "fmul v4.4s, v4.4s, v22.4s",
            "fmul v5.4s, v5.4s, v22.4s",
            "fmul v6.4s, v6.4s, v22.4s",
            "fmul v7.4s, v7.4s, v22.4s",
            "fmul v8.4s, v8.4s, v23.4s",
            "fmul v9.4s, v9.4s, v23.4s",
            "fmul v10.4s, v10.4s, v23.4s",
            "fmul v11.4s, v11.4s, v23.4s",
            "fadd v4.4s, v4.4s, v8.4s",
            "fadd v5.4s, v5.4s, v9.4s",
            "fadd v6.4s, v6.4s, v10.4s",
            "fadd v7.4s, v7.4s, v11.4s",
            "fadd v4.4s, v4.4s, v24.4s",
            "fadd v5.4s, v5.4s, v24.4s",
            "fadd v6.4s, v6.4s, v24.4s",
            "fadd v7.4s, v7.4s, v24.4s",
            "uzp1 v4.8h, v4.8h, v5.8h",
            "uzp1 v6.8h, v6.8h, v7.8h",
            $($whole,)*
            "sqxtn v4.8b, v4.8h",
            "sqxtn2 v4.16b, v6.8h",
            $($byte,)*
            "str q4, [{y}], #16",
            "subs {count}, {count}, #16",
            "b.ne 2b",
            places = in(reg) PLACES.as_ptr(),
            vectors = inout(reg) $run.vectors.as_ptr() => _,
            a = inout(reg) $a => _,
            b = inout(reg) $b => _,
            y = inout(reg) $y => _,
            count = inout(reg) $count => _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _,
            out("v28") _, out("v29") _,
            options(nostack),
        )
    };
}

impl Run {
    fn new(p: Addend, q: Addend, output: Output) -> Self {
        let [low, high] = output.limits(0).map(u8::cast_signed);
        let zero_point = output.wide_zero_point(0);
        // What is added before a number is rounded must be even, else ties would go to the odd ones.
        let before = zero_point & !1;
        #[expect(clippy::cast_precision_loss, reason = "at most 255")]
        let zero = |side: Addend| ABOVE + (side.zero_point + 128) as f32;
        // SAFETY: every 64-bit ARM has NEON.
        unsafe {
            let clamps = (output.low(), output.high()) != (-128, 127);
            let real = |number: f32| vreinterpretq_u8_f32(vdupq_n_f32(number));
            Self {
                vectors: [
                    real(zero(p)),
                    real(zero(q)),
                    real(p.ratio),
                    real(q.ratio),
                    real(WHOLE + f32::from(before)),
                    vreinterpretq_u8_s16(vdupq_n_s16(zero_point - before)),
                    vreinterpretq_u8_s8(vdupq_n_s8(low)),
                    vreinterpretq_u8_s8(vdupq_n_s8(high)),
                    vreinterpretq_u8_s8(vdupq_n_s8(-128)),
                    real(ABOVE),
                ],
                plain: before == zero_point && !clamps,
            }
        }
    }

    /// # Safety
    /// `count` is a multiple of 16 and above 0; so many bytes can be read and written.
    unsafe fn make(&self, a: *const u8, b: *const u8, y: *mut u8, count: usize) {
        // SAFETY: the caller's promise; the loop reads and writes 16 bytes each time, besides the tables before it.
        unsafe {
            if self.plain {
                run!(self, a, b, y, count, [], []);
            } else {
                run!(
                    self,
                    a,
                    b,
                    y,
                    count,
                    ["sqadd v4.8h, v4.8h, v25.8h" "sqadd v6.8h, v6.8h, v25.8h"],
                    ["smax v4.16b, v4.16b, v26.16b" "smin v4.16b, v4.16b, v27.16b"]
                );
            }
        }
    }
}
