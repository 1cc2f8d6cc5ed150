//! x86-64.
mod avx2;
mod avx512;
mod table;

use super::Kernel;

/// Fastest first.
pub(super) fn available() -> impl Iterator<Item = &'static dyn Kernel> {
    let vnni = avx512::Avx512Vnni::new().map(|kernel| kernel as &dyn Kernel);
    let avx2 = avx2::Avx2::new().map(|kernel| kernel as &dyn Kernel);
    [vnni, avx2].into_iter().flatten()
}
