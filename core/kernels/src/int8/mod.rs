//! Quantized arithmetic: int8 activations and weights, 32-bit sums, one rounding rule ([`Output`]).
//!
//! A [`Kernel`] is what one kind of processor runs a convolution with. All kernels give the same bits. In a run's
//! memory an activation byte is its int8 value XOR [`Kernel::flip`], because x86's dot products want one side
//! unsigned. Where a convolution reads the last elements of a window it may read up to [`SLACK`] bytes more, and
//! weigh them with 0.

mod convolution;
mod depthwise;
mod elementwise;
mod matrices;
mod packing;
mod pairs;
mod peak;
mod pool;
mod resize;
mod rounding;
mod scalar;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use convolution::{Convolution, MAX_MEMBERS, SLACK};
pub use depthwise::Depthwise;
pub use elementwise::{Border, Elementwise, flip_into, pad, softmax};
pub use matrices::Matrices;
pub use packing::{Filter, Panels};
pub use pairs::{Addend, Pair, Real, Spread, Starts};
pub use peak::peak_macs_per_us;
pub use pool::{Mean, Pool};
pub use resize::{Place, Resize};
pub use rounding::{Output, quantized};

/// Convolutions on one kind of processor. Only a processor that has the instructions gets a value of it.
pub trait Kernel: Send + Sync {
    /// Architecture, family and instructions, such as `x86_64-avx2`.
    fn name(&self) -> &'static str;

    /// What an activation's byte in memory differs by from its int8 value: 0, or 0x80 for value + 128.
    fn flip(&self) -> u8;

    /// How it wants weights packed.
    fn panels(&self) -> Panels;

    /// Whether rows of so many pixels are made as fast if they do not follow each other in memory: no tile goes over the end
    /// of a row.
    fn suits_rows(&self, _width: usize) -> bool {
        true
    }

    /// Computes `y` from `x` with weights that were packed as [`Kernel::panels`] says.
    ///
    /// # Panics
    /// If a slice is smaller than `job` says.
    fn convolve(&self, job: &Convolution, packed: &[u8], x: &[u8], y: &mut [u8]);

    /// Bytes of packed weights.
    fn depthwise_bytes(&self, job: &Depthwise) -> usize;

    /// Packs weights \[channel\]\[tap\], which `filter` has as one segment of all taps, row by row, into the first bytes of
    /// `out`.
    ///
    /// # Panics
    /// If `out` is smaller than [`Kernel::depthwise_bytes`].
    fn pack_depthwise(&self, job: &Depthwise, filter: &Filter<'_>, out: &mut [u8]);

    /// Computes `y` from `x`, with weights that this kernel has packed.
    ///
    /// # Panics
    /// If a slice is smaller than `job` says; `x` is to have [`SLACK`] bytes more.
    fn depthwise(&self, job: &Depthwise, packed: &[u8], x: &[u8], y: &mut [u8]);

    /// What is done element by element.
    ///
    /// # Panics
    /// If a slice is smaller than `job` says.
    fn elementwise(&self, job: Elementwise<'_>);
}

/// The kernels that this processor can run, fastest first; the scalar reference is always last.
#[must_use]
pub fn available() -> Vec<&'static dyn Kernel> {
    let mut kernels: Vec<&'static dyn Kernel> = Vec::new();
    #[cfg(target_arch = "x86_64")]
    kernels.extend(x86_64::available());
    #[cfg(target_arch = "aarch64")]
    kernels.extend(aarch64::available());
    kernels.push(&scalar::Scalar);
    kernels
}

/// The fastest kernel of this processor.
#[must_use]
pub fn best() -> &'static dyn Kernel {
    available()[0]
}

/// The kernel of that name, if this processor can run it.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn Kernel> {
    available().into_iter().find(|kernel| kernel.name() == name)
}
