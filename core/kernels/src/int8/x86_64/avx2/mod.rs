//! AVX2: `vpmaddwd` adds two products of 16-bit numbers. (`vpmaddubsw` would saturate.)
mod convolution;
mod depthwise;
pub(super) mod requantize;

use crate::int8::convolution::{Convolution, Operands};
use crate::int8::depthwise::{self as plain, Depthwise};
use crate::int8::packing::{Filter, Panels};
use crate::int8::{Elementwise, Kernel};

use super::table;
use depthwise::Channels;

/// Columns of a vector.
pub(super) const LANES: usize = 8;
pub(super) const PANELS: Panels = Panels { widest: 2 * LANES, grain: LANES, step: 4 };
const FLIP: u8 = 0x80;

/// Proof that the processor has AVX2.
pub(super) struct Avx2(());

impl Avx2 {
    pub fn new() -> Option<&'static Self> {
        is_x86_feature_detected!("avx2").then_some(&Self(()))
    }
}

impl Kernel for Avx2 {
    fn name(&self) -> &'static str {
        "x86_64-avx2"
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
        plain::packed_bytes::<Channels, Channels>(job)
    }

    fn pack_depthwise(&self, job: &Depthwise, filter: &Filter<'_>, out: &mut [u8]) {
        plain::pack::<Channels, Channels>(job, filter, FLIP, out);
    }

    fn depthwise(&self, job: &Depthwise, packed: &[u8], x: &[u8], y: &mut [u8]) {
        // SAFETY: `self` proves the instructions.
        unsafe { depthwise::run(job, packed, x, y) }
    }

    fn elementwise(&self, job: Elementwise<'_>) {
        // SAFETY: `self` proves the instructions.
        unsafe {
            match job {
                Elementwise::Translate { table, x, y } => table::translate(table, x, y),
                job => elementwise(job),
            }
        }
    }
}

/// The plain loops, for the compiler to make vectors of.
#[target_feature(enable = "avx2")]
fn elementwise(job: Elementwise<'_>) {
    job.run(FLIP);
}
