//! AArch64. What differs between processors is how windows are summed up, and channels one by one.
mod dotprod;
mod i8mm;
mod lines;
mod loads;
mod neon;
mod requantize;
mod rounding;
mod rows;
mod store;
mod sums;
mod table;
mod tiles;
mod windows;

use std::arch::is_aarch64_feature_detected as has;

use super::convolution::{Convolution, Operands};
use super::depthwise::Depthwise;
use super::packing::{Filter, Panels};
use super::scalar::Scalar;
use super::{Elementwise, Kernel, Pair};

/// Fastest first.
pub(super) fn available() -> impl Iterator<Item = &'static dyn Kernel> {
    let dotprod = has!("neon") && has!("dotprod");
    let i8mm = dotprod && has!("i8mm");
    let kernels: [(bool, &'static Family); 3] =
        [(i8mm, &i8mm::FAMILY), (dotprod, &dotprod::FAMILY), (has!("neon"), &neon::FAMILY)];
    kernels.into_iter().filter(|(has, _)| *has).map(|(_, family)| family as &dyn Kernel)
}

/// A kernel. Only [`available`] hands it out, so that who has it may use its instructions.
struct Family {
    name: &'static str,
    panels: Panels,
    convolve: unsafe fn(&mut Operands<'_>),
    depthwise_bytes: fn(&Depthwise) -> usize,
    pack_depthwise: fn(&Depthwise, &Filter<'_>, &mut [u8]),
    depthwise: unsafe fn(&Depthwise, &[u8], &[u8], &mut [u8]),
}

impl Kernel for Family {
    fn name(&self) -> &'static str {
        self.name
    }

    fn flip(&self) -> u8 {
        0
    }

    fn panels(&self) -> Panels {
        self.panels
    }

    fn suits_rows(&self, width: usize) -> bool {
        width.is_multiple_of(tiles::LEAST_PIXELS)
    }

    fn convolve(&self, job: &Convolution, packed: &[u8], x: &[u8], y: &mut [u8]) {
        let mut operands = Operands::new(job, self.panels, packed, x, y);
        // SAFETY: `self` proves the instructions; `Operands` has checked the memory.
        unsafe { (self.convolve)(&mut operands) }
    }

    fn depthwise_bytes(&self, job: &Depthwise) -> usize {
        (self.depthwise_bytes)(job)
    }

    fn pack_depthwise(&self, job: &Depthwise, filter: &Filter<'_>, out: &mut [u8]) {
        (self.pack_depthwise)(job, filter, out);
    }

    fn depthwise(&self, job: &Depthwise, packed: &[u8], x: &[u8], y: &mut [u8]) {
        // SAFETY: `self` proves the instructions.
        unsafe { (self.depthwise)(job, packed, x, y) }
    }

    fn elementwise(&self, job: Elementwise<'_>) {
        match job {
            // SAFETY: `self` proves NEON.
            Elementwise::Translate { table, x, y } => unsafe { table::translate(table, x, y) },
            Elementwise::Pairs { pair: Pair::Add(p, q), output, spread, sides, y }
                if sums::fits([p, q], spread) =>
            {
                sums::add([p, q], output, spread.run(), sides, y);
            }
            // Every 64-bit ARM has NEON: these loops are compiled for it once.
            job => Scalar.elementwise(job),
        }
    }
}
