//! AVX-512 with VNNI: `vpdpbusd` adds four products of an unsigned and a signed byte to each of 16 sums.
mod convolution;
mod depthwise;
mod requantize;

use crate::int8::convolution::{Convolution, Operands};
use crate::int8::depthwise::{self as plain, Depthwise};
use crate::int8::packing::{Filter, Panels};
use crate::int8::{Elementwise, Kernel};

use super::table;

/// Columns of a vector.
const LANES: usize = 16;
const PANELS: Panels = Panels { widest: 4 * LANES, grain: LANES, step: 4 };
const FLIP: u8 = 0x80;

/// Proof that the processor has AVX-512 F, BW, VL and VNNI.
pub(super) struct Avx512Vnni(());

impl Avx512Vnni {
    pub fn new() -> Option<&'static Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        has.then_some(&Self(()))
    }
}

impl Kernel for Avx512Vnni {
    fn name(&self) -> &'static str {
        "x86_64-avx512vnni"
    }

    fn flip(&self) -> u8 {
        FLIP
    }

    fn panels(&self) -> Panels {
        PANELS
    }

    fn convolve(&self, job: &Convolution, packed: &[u8], x: &[u8], y: &mut [u8]) {
        let mut operands = Operands::new(job, PANELS, packed, x, y);
        // SAFETY: `self` proves the instructions; `Operands` has checked the memory.
        unsafe { convolution::run(&mut operands) }
    }

    fn depthwise_bytes(&self, job: &Depthwise) -> usize {
        plain::packed_bytes::<depthwise::Wide, depthwise::Narrow>(job)
    }

    fn pack_depthwise(&self, job: &Depthwise, filter: &Filter<'_>, out: &mut [u8]) {
        plain::pack::<depthwise::Wide, depthwise::Narrow>(job, filter, FLIP, out);
    }

    fn depthwise(&self, job: &Depthwise, packed: &[u8], x: &[u8], y: &mut [u8]) {
        // SAFETY: `self` proves the instructions.
        unsafe { depthwise::run(job, packed, x, y) }
    }

    fn elementwise(&self, job: Elementwise<'_>) {
        // SAFETY: `self` proves the instructions, but those that are asked for here.
        unsafe {
            match job {
                Elementwise::Translate { table, x, y } => {
                    if is_x86_feature_detected!("avx512vbmi") {
                        table::translate_vbmi(table, x, y);
                    } else {
                        table::translate_wide(table, x, y);
                    }
                }
                job => elementwise(job),
            }
        }
    }
}

/// The plain loops, for the compiler to make vectors of.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn elementwise(job: Elementwise<'_>) {
    job.run(FLIP);
}
