//! AVX2 with VNNI: `vpdpbusd` adds four products of an unsigned and a signed byte to each of eight sums. All but convolutions is
//! [`super::avx2`]'s.
mod convolution;

use super::avx2::{Avx2, PANELS};
use crate::int8::convolution::{Convolution, Operands};
use crate::int8::depthwise::Depthwise;
use crate::int8::packing::{Filter, Panels};
use crate::int8::{Elementwise, Kernel};

/// Proof that the processor has AVX-VNNI, and of AVX2.
pub(super) struct AvxVnni(&'static Avx2);

impl AvxVnni {
    pub fn new() -> Option<Self> {
        let avx2 = Avx2::new()?;
        is_x86_feature_detected!("avxvnni").then_some(Self(avx2))
    }
}

impl Kernel for AvxVnni {
    fn name(&self) -> &'static str {
        "x86_64-avxvnni"
    }

    fn flip(&self) -> u8 {
        self.0.flip()
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
        self.0.depthwise_bytes(job)
    }

    fn pack_depthwise(&self, job: &Depthwise, filter: &Filter<'_>, out: &mut [u8]) {
        self.0.pack_depthwise(job, filter, out);
    }

    fn depthwise(&self, job: &Depthwise, packed: &[u8], x: &[u8], y: &mut [u8]) {
        self.0.depthwise(job, packed, x, y);
    }

    fn elementwise(&self, job: Elementwise<'_>) {
        self.0.elementwise(job);
    }
}
