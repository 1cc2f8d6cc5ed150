//! AArch64.
mod dotprod;
mod loads;
mod neon;
mod requantize;
mod tiles;

use super::Kernel;

/// Fastest first.
pub(super) fn available() -> impl Iterator<Item = &'static dyn Kernel> {
    let dotprod = dotprod::DotProd::new().map(|kernel| kernel as &dyn Kernel);
    let neon = neon::Neon::new().map(|kernel| kernel as &dyn Kernel);
    [dotprod, neon].into_iter().flatten()
}
