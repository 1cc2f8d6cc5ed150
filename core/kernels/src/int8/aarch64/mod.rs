//! AArch64.
mod dotprod;
mod loads;
mod neon;
mod requantize;
mod table;
mod tiles;

use super::{Elementwise, Kernel};

/// Fastest first.
pub(super) fn available() -> impl Iterator<Item = &'static dyn Kernel> {
    let dotprod = dotprod::DotProd::new().map(|kernel| kernel as &dyn Kernel);
    let neon = neon::Neon::new().map(|kernel| kernel as &dyn Kernel);
    [dotprod, neon].into_iter().flatten()
}

/// What NEON has instructions for; the rest as plain loops.
fn elementwise(job: Elementwise<'_>) {
    match job {
        // SAFETY: both kernels prove NEON.
        Elementwise::Translate { table, x, y } => unsafe { table::translate(table, x, y) },
        job => job.run(0),
    }
}
