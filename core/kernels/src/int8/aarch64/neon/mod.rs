//! NEON without the dot product.
mod convolution;
mod depthwise;

use crate::int8::convolution::{Convolution, Operands};
use crate::int8::depthwise::{self as plain, Depthwise};
use crate::int8::packing::{Filter, Panels};
use crate::int8::{Elementwise, Kernel};

use super::tiles::LANES;
use depthwise::Channels;

const PANELS: Panels = Panels { widest: 2 * LANES, grain: LANES };

/// Proof that the processor has NEON.
pub(super) struct Neon(());

impl Neon {
    pub fn new() -> Option<&'static Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(&Self(()))
    }
}

impl Kernel for Neon {
    fn name(&self) -> &'static str {
        "aarch64-neon"
    }

    fn flip(&self) -> u8 {
        0
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
        plain::pack::<Channels, Channels>(job, filter, 0, out);
    }

    fn depthwise(&self, job: &Depthwise, packed: &[u8], x: &[u8], y: &mut [u8]) {
        // SAFETY: `self` proves the instructions.
        unsafe { depthwise::run(job, packed, x, y) }
    }

    fn elementwise(&self, job: Elementwise<'_>) {
        super::elementwise(job);
    }
}
