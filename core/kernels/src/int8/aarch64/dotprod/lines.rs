//! Rows of pixels by `sdot`, four windows and 16 columns at once. The windows of 3×3 taps over a picture of 16 or 32
//! channels that move by one column are read together: a pixel's elements serve three windows.
use super::super::lines::{
    Line, add, bytes, convert, eight, four, halve, halve_low, limit, line, nearest, nearest_low,
    scale, scale_positive, sixteen, write,
};

macro_rules! dot {
    ($sum:literal, $w:literal, $x:literal, $lane:literal) => {
        concat!("sdot v", $sum, ".4s, v", $w, ".16b, v", $x, ".4b[", $lane, "]\n")
    };
}

/// Four vectors of columns of one window.
macro_rules! window {
    ($a:literal, $b:literal, $c:literal, $d:literal, $x:literal, $lane:literal) => {
        concat!(
            dot!($a, 0, $x, $lane),
            dot!($b, 1, $x, $lane),
            dot!($c, 2, $x, $lane),
            dot!($d, 3, $x, $lane),
        )
    };
}

/// Four elements of each window, in a lane of a vector; one lane of `$x0` to `$x3` where it is the same.
macro_rules! step {
    ($x0:literal $l0:literal, $x1:literal $l1:literal, $x2:literal $l2:literal, $x3:literal $l3:literal) => {
        concat!(
            "ld1 {{v0.16b-v3.16b}}, [{w}], #64\n",
            window!(16, 17, 18, 19, $x0, $l0),
            window!(20, 21, 22, 23, $x1, $l1),
            window!(24, 25, 26, 27, $x2, $l2),
            window!(28, 29, 30, 31, $x3, $l3),
        )
    };
    ($x0:literal, $x1:literal, $x2:literal, $x3:literal, $lane:literal) => {
        step!($x0 $lane, $x1 $lane, $x2 $lane, $x3 $lane)
    };
}

/// 16 elements of each window.
macro_rules! steps {
    ($x0:literal, $x1:literal, $x2:literal, $x3:literal) => {
        concat!(
            step!($x0, $x1, $x2, $x3, 0),
            step!($x0, $x1, $x2, $x3, 1),
            step!($x0, $x1, $x2, $x3, 2),
            step!($x0, $x1, $x2, $x3, 3),
        )
    };
}

/// # Safety
/// The processor has the dot product. The line's panel has starts, multipliers and as many weights as there are steps; 16
/// bytes of each window may be read where a step is left; there is room for 16 columns of every pixel.
#[target_feature(enable = "neon,dotprod")]
pub unsafe fn run(line: &Line<'_>) {
    // SAFETY: the caller's promise; where windows lie side by side, all that is read together belongs to one of the four.
    unsafe {
        match (line.segments.elements, line.steps[0]) {
            (9..=12, _) => twelve(line),
            (16, 16) => sixteen_each(line),
            (24, 24) => twenty_four_each(line),
            (32, 32) => thirty_two_each(line),
            (48, 16) => sixteen_channels(line),
            (96, 32) => thirty_two_channels(line),
            _ => any(line),
        }
    }
}

#[target_feature(enable = "neon,dotprod")]
unsafe fn any(line: &Line<'_>) {
    let steps = line.segments.elements.div_ceil(4);
    // SAFETY: as in `run`.
    unsafe {
        line!(
            line,
            {
                blocks = in(reg) steps / 8,
                four = in(reg) steps & 4,
                rest = in(reg) steps & 3,
                x1 = out(reg) _, x2 = out(reg) _, x3 = out(reg) _,
                left = out(reg) _,
            },
            "add {x1}, {x0}, {input}",
            "add {x2}, {x0}, {input}, lsl #1",
            "add {x3}, {x1}, {input}, lsl #1",
            "cbz {blocks}, 12f",
            "mov {left}, {blocks}",
            "11:",
            "ldp q4, q5, [{x0}], #32",
            "ldp q6, q7, [{x1}], #32",
            "ldp q8, q9, [{x2}], #32",
            "ldp q10, q11, [{x3}], #32",
            steps!(4, 6, 8, 10),
            steps!(5, 7, 9, 11),
            "subs {left}, {left}, #1",
            "b.ne 11b",
            "12:",
            "cbz {four}, 13f",
            "ldr q4, [{x0}], #16",
            "ldr q6, [{x1}], #16",
            "ldr q8, [{x2}], #16",
            "ldr q10, [{x3}], #16",
            steps!(4, 6, 8, 10),
            "13:",
            "cbz {rest}, 14f",
            "ldr q4, [{x0}]",
            "ldr q6, [{x1}]",
            "ldr q8, [{x2}]",
            "ldr q10, [{x3}]",
            step!(4, 6, 8, 10, 0),
            "cmp {rest}, #2",
            "b.lo 14f",
            step!(4, 6, 8, 10, 1),
            "b.eq 14f",
            step!(4, 6, 8, 10, 2),
            "14:",
        );
    }
}

/// Segments of three steps.
#[target_feature(enable = "neon,dotprod")]
unsafe fn twelve(line: &Line<'_>) {
    // SAFETY: as in `run`.
    unsafe {
        line!(
            line,
            {},
            "ldr q4, [{x0}]",
            "ldr q5, [{x0}, {input}]",
            "add {x0}, {x0}, {input}, lsl #1",
            "ldr q6, [{x0}]",
            "ldr q7, [{x0}, {input}]",
            step!(4, 5, 6, 7, 0),
            step!(4, 5, 6, 7, 1),
            step!(4, 5, 6, 7, 2),
        );
    }
}

/// Segments of 16 elements of four pixels, which follow each other.
#[target_feature(enable = "neon,dotprod")]
unsafe fn sixteen_each(line: &Line<'_>) {
    // SAFETY: as in `run`.
    unsafe {
        line!(line, {}, "ld1 {{v4.16b-v7.16b}}, [{x0}]", steps!(4, 5, 6, 7));
    }
}

/// The same of 24 elements.
#[target_feature(enable = "neon,dotprod")]
unsafe fn twenty_four_each(line: &Line<'_>) {
    // SAFETY: as in `run`.
    unsafe {
        line!(
            line,
            {},
            "ld1 {{v4.16b-v7.16b}}, [{x0}], #64",
            "ld1 {{v8.16b-v9.16b}}, [{x0}]",
            step!(4 0, 5 2, 7 0, 8 2),
            step!(4 1, 5 3, 7 1, 8 3),
            step!(4 2, 6 0, 7 2, 9 0),
            step!(4 3, 6 1, 7 3, 9 1),
            step!(5 0, 6 2, 8 0, 9 2),
            step!(5 1, 6 3, 8 1, 9 3),
        );
    }
}

/// The same of 32 elements.
#[target_feature(enable = "neon,dotprod")]
unsafe fn thirty_two_each(line: &Line<'_>) {
    // SAFETY: as in `run`.
    unsafe {
        line!(
            line,
            {},
            "ld1 {{v4.16b-v7.16b}}, [{x0}], #64",
            "ld1 {{v8.16b-v11.16b}}, [{x0}]",
            steps!(4, 6, 8, 10),
            steps!(5, 7, 9, 11),
        );
    }
}

/// Three taps of 16 channels, of four neighbouring pixels.
#[target_feature(enable = "neon,dotprod")]
unsafe fn sixteen_channels(line: &Line<'_>) {
    // SAFETY: as in `run`.
    unsafe {
        line!(
            line,
            {},
            "ld1 {{v4.16b-v7.16b}}, [{x0}], #64",
            "ld1 {{v8.16b-v9.16b}}, [{x0}]",
            steps!(4, 5, 6, 7),
            steps!(5, 6, 7, 8),
            steps!(6, 7, 8, 9),
        );
    }
}

/// Three taps of 32 channels.
#[target_feature(enable = "neon,dotprod")]
unsafe fn thirty_two_channels(line: &Line<'_>) {
    // SAFETY: as in `run`.
    unsafe {
        line!(
            line,
            {},
            "ld1 {{v4.16b-v7.16b}}, [{x0}], #64",
            "ld1 {{v8.16b-v11.16b}}, [{x0}], #64",
            "ld1 {{v12.16b-v15.16b}}, [{x0}]",
            steps!(4, 6, 8, 10),
            steps!(5, 7, 9, 11),
            steps!(6, 8, 10, 12),
            steps!(7, 9, 11, 13),
            steps!(8, 10, 12, 14),
            steps!(9, 11, 13, 15),
        );
    }
}
