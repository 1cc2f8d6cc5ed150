//! Debian's kernel with only the modules that the board needs, and the RAM disk that finds the root file system.
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::files::{self, put};
use crate::command::{output, run};
use crate::vm::ramdisk::{Kernel, archive, sbin};

/// What must be loaded before there is a root file system; the watchdog and a console too, which systemd opens as it
/// starts.
const EARLY: [&str; 5] = ["virtio_pci", "virtio_blk", "virtio_console", "ext4", "i6300esb"];

/// Copies the modules named in `list`, and what they need, to `to`/VERSION, with the tables that modprobe reads.
pub fn modules(kernel: &Kernel, list: &Path, to: &Path) -> Result<()> {
    let text = fs::read_to_string(list)?;
    let names: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    // depmod wants the tree as it will be.
    let tree = to.join("lib/modules").join(&kernel.version);
    files::fresh(to)?;
    let from = kernel.folder.join("lib/modules").join(&kernel.version);
    for file in kernel.modules(&names)? {
        let inside = file.strip_prefix(&from).context("a module of another kernel")?;
        put(&file, &tree.join(inside), 0o644)?;
    }
    for file in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
        put(&from.join(file), &tree.join(file), 0o644)?;
    }
    run(Command::new("depmod").env("PATH", sbin()).arg("-b").arg(to).arg(&kernel.version))
}

/// Packs busybox, the early modules and `init` for the kernel.
pub fn initrd(kernel: &Kernel, init: &Path, work: &Path, to: &Path) -> Result<()> {
    files::fresh(work)?;
    for folder in ["bin", "dev", "proc", "root", "sys"] {
        fs::create_dir_all(work.join(folder))?;
    }
    put(&kernel.folder.join("bin/busybox"), &work.join("bin/busybox"), 0o755)?;
    put(init, &work.join("init"), 0o755)?;
    for (index, module) in kernel.modules(&EARLY)?.iter().enumerate() {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        put(module, &work.join("modules").join(format!("{index:02}-{name}")), 0o644)?;
    }
    archive(work, to)?;
    Ok(())
}

/// Debian's kernel, unpacked.
pub fn fetch(root: &Path) -> Result<Kernel> {
    Kernel::fetch(&root.join("target/guest"))
}

/// A line that no other kernel has.
pub fn identity(kernel: &Kernel) -> Result<String> {
    output(Command::new("sha256sum").arg(&kernel.image))
}
