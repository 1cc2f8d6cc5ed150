//! The tile in which most of the work is done, as a whole loop: a compiler brings so many products forward that sums go
//! to memory and back.
use std::arch::aarch64::{int32x4_t, vdupq_n_s32};
use std::arch::asm;

use super::super::windows::Segments;

/// Sums `$a` to `$d` of one window, with the weights `$w` and `$v` of one step, and `$u` and `$t` of the next; the elements
/// of the two steps are in `$x` and `$y`.
macro_rules! two_steps {
    ($a:literal, $b:literal, $c:literal, $d:literal, $w:literal, $v:literal, $u:literal, $t:literal, $x:literal, $y:literal) => {
        concat!(
            "smull v4.8h, v",
            $w,
            ".8b, v",
            $x,
            ".8b\n",
            "smull2 v5.8h, v",
            $w,
            ".16b, v",
            $x,
            ".16b\n",
            "smull v6.8h, v",
            $v,
            ".8b, v",
            $x,
            ".8b\n",
            "smull2 v7.8h, v",
            $v,
            ".16b, v",
            $x,
            ".16b\n",
            "smlal v4.8h, v",
            $u,
            ".8b, v",
            $y,
            ".8b\n",
            "smlal2 v5.8h, v",
            $u,
            ".16b, v",
            $y,
            ".16b\n",
            "smlal v6.8h, v",
            $t,
            ".8b, v",
            $y,
            ".8b\n",
            "smlal2 v7.8h, v",
            $t,
            ".16b, v",
            $y,
            ".16b\n",
            "sadalp v",
            $a,
            ".4s, v4.8h\n",
            "sadalp v",
            $b,
            ".4s, v5.8h\n",
            "sadalp v",
            $c,
            ".4s, v6.8h\n",
            "sadalp v",
            $d,
            ".4s, v7.8h\n",
        )
    };
}

/// 16 elements of the window at `$x`, each four of which are brought four times.
macro_rules! sixteen {
    ($x:literal, $a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "ld4r {{v0.4s-v3.4s}}, [{",
            $x,
            "}], #16\n",
            two_steps!($a, $b, $c, $d, 8, 9, 10, 11, 0, 1),
            two_steps!($a, $b, $c, $d, 12, 13, 14, 15, 2, 3),
        )
    };
}

macro_rules! eight {
    ($x:literal, $a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "ld2r {{v0.4s, v1.4s}}, [{",
            $x,
            "}], #8\n",
            two_steps!($a, $b, $c, $d, 8, 9, 10, 11, 0, 1),
        )
    };
}

macro_rules! four {
    ($x:literal, $a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "ld1r {{v0.4s}}, [{",
            $x,
            "}]\n",
            "smull v4.8h, v8.8b, v0.8b\n",
            "smull2 v5.8h, v8.16b, v0.16b\n",
            "smull v6.8h, v9.8b, v0.8b\n",
            "smull2 v7.8h, v9.16b, v0.16b\n",
            "sadalp v",
            $a,
            ".4s, v4.8h\n",
            "sadalp v",
            $b,
            ".4s, v5.8h\n",
            "sadalp v",
            $c,
            ".4s, v6.8h\n",
            "sadalp v",
            $d,
            ".4s, v7.8h\n",
        )
    };
}

/// What four windows have in common.
macro_rules! windows {
    ($each:ident) => {
        concat!(
            $each!("x0", 16, 17, 18, 19),
            $each!("x1", 20, 21, 22, 23),
            $each!("x2", 24, 25, 26, 27),
            $each!("x3", 28, 29, 30, 31),
        )
    };
}

/// Sums of four windows, of a panel of two vectors; the products of two steps fit into 16 bits.
///
/// # Safety
/// As `Windows::sums`.
#[inline(always)]
pub unsafe fn tile(
    segments: Segments<'_>,
    packed: *const u8,
    x: *const u8,
    windows: [usize; 4],
) -> [[int32x4_t; 2]; 4] {
    let steps = segments.elements.div_ceil(4);
    // SAFETY: every 64-bit ARM has NEON.
    let mut sums = unsafe { [[vdupq_n_s32(0); 2]; 4] };
    // SAFETY: the caller's promise: `packed` has starts, multipliers and as many weights as there are steps.
    unsafe {
        asm!(
            "ld1 {{v16.4s-v19.4s}}, [{starts}]",
            "ld1 {{v20.4s-v23.4s}}, [{starts}]",
            "ld1 {{v24.4s-v27.4s}}, [{starts}]",
            "ld1 {{v28.4s-v31.4s}}, [{starts}]",
            "2:",
            "ldr {x0}, [{offsets}], #8",
            "mov {left}, {sixteens}",
            "add {x0}, {x0}, {x}",
            "add {x1}, {x0}, {x1_}",
            "add {x2}, {x0}, {x2_}",
            "add {x3}, {x0}, {x3_}",
            "cbz {left}, 4f",
            "3:",
            "ld1 {{v8.16b-v11.16b}}, [{w}], #64",
            "ld1 {{v12.16b-v15.16b}}, [{w}], #64",
            windows!(sixteen),
            "subs {left}, {left}, #1",
            "b.ne 3b",
            "4:",
            "tbz {rest}, #1, 5f",
            "ld1 {{v8.16b-v11.16b}}, [{w}], #64",
            windows!(eight),
            "5:",
            "tbz {rest}, #0, 6f",
            "ldp q8, q9, [{w}], #32",
            windows!(four),
            "6:",
            "subs {segments}, {segments}, #1",
            "b.ne 2b",
            "addp v16.4s, v16.4s, v17.4s",
            "addp v17.4s, v18.4s, v19.4s",
            "addp v20.4s, v20.4s, v21.4s",
            "addp v21.4s, v22.4s, v23.4s",
            "addp v24.4s, v24.4s, v25.4s",
            "addp v25.4s, v26.4s, v27.4s",
            "addp v28.4s, v28.4s, v29.4s",
            "addp v29.4s, v30.4s, v31.4s",
            starts = in(reg) segments.starts,
            w = inout(reg) packed.wrapping_add(64) => _,
            offsets = inout(reg) segments.offsets.as_ptr() => _,
            segments = inout(reg) segments.offsets.len() => _,
            sixteens = in(reg) steps / 4,
            rest = in(reg) steps % 4,
            x = in(reg) x.wrapping_add(windows[0]),
            x1_ = in(reg) windows[1].wrapping_sub(windows[0]),
            x2_ = in(reg) windows[2].wrapping_sub(windows[0]),
            x3_ = in(reg) windows[3].wrapping_sub(windows[0]),
            x0 = out(reg) _, x1 = out(reg) _, x2 = out(reg) _, x3 = out(reg) _,
            left = out(reg) _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") sums[0][0], out("v17") sums[0][1], out("v18") _, out("v19") _,
            out("v20") sums[1][0], out("v21") sums[1][1], out("v22") _, out("v23") _,
            out("v24") sums[2][0], out("v25") sums[2][1], out("v26") _, out("v27") _,
            out("v28") sums[3][0], out("v29") sums[3][1], out("v30") _, out("v31") _,
            options(readonly, nostack),
        );
    }
    sums
}
