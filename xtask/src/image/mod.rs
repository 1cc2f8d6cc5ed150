//! `cargo xtask image`: Debian packages, and an image for `board/qemu-virt` that has them installed.
use std::path::{Path, PathBuf};

use anyhow::Result;

/// What goes into the image besides this tree.
#[derive(Default)]
pub struct Options {
    /// Programs and libraries are taken from here where they are here, instead of those built.
    pub binaries: Option<PathBuf>,
}

/// What a virtual board is started with.
pub struct Image {
    /// Debian's kernel for arm64.
    pub kernel: PathBuf,
    /// Finds the root file system (`root=/dev/vda`, `ro` or `rw`, `init=`) and hands over to systemd.
    pub initrd: PathBuf,
    /// An ext4 file system, for a virtio disk. It is shared: start QEMU with `snapshot=on` or copy it.
    pub root: PathBuf,
    /// The packages for arm64: `edgemill`, `edgemill-tools`, `edgemill-dev`.
    pub packages: Vec<PathBuf>,
}

/// What the kernel must be told; more words may follow.
pub const COMMAND_LINE: &str = "console=ttyAMA0 root=/dev/vda rw quiet";

/// Builds what is missing or has changed, and says where it is.
///
/// # Errors
/// Something cannot be built; the message says what to do.
pub fn ensure(_root: &Path, _options: &Options) -> Result<Image> {
    anyhow::bail!("not yet")
}
