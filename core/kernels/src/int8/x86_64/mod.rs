//! x86-64.
use std::sync::OnceLock;

mod avx2;
mod avx512;
mod avxvnni;
mod table;
mod tiles;

use super::Kernel;

/// Fastest first.
pub(super) fn available() -> impl Iterator<Item = &'static dyn Kernel> {
    static AVX_VNNI: OnceLock<Option<avxvnni::AvxVnni>> = OnceLock::new();
    let avx512 = avx512::Avx512Vnni::new().map(|kernel| kernel as &dyn Kernel);
    let avxvnni = AVX_VNNI.get_or_init(avxvnni::AvxVnni::new).as_ref();
    let avxvnni = avxvnni.map(|kernel| kernel as &dyn Kernel);
    let avx2 = avx2::Avx2::new().map(|kernel| kernel as &dyn Kernel);
    [avx512, avxvnni, avx2].into_iter().flatten()
}
