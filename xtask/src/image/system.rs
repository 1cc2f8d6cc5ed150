//! The root file system: the base, our packages, the board's own files, and a kernel's modules.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::files::{self, fingerprint, put};
use super::{Base, Image, epoch, kernel};
use crate::command::output;
use crate::vm::ramdisk::sbin;

/// Of the file system, and the seed of its folders' hash: given, so that every build makes the same bytes.
const UUID: &str = "0b6fa5ad-7a0b-4d1f-9d5a-3c0f2a6c9e11";
/// Below 250 MB, and about half of it free.
const SIZE: &str = "236M";
/// Changes whenever this code makes other bytes of the same inputs.
const FORMAT: &str = "1";

/// Assembles the image unless it is there. One with `replaced` programs has a folder of its own, and its key differs.
pub fn build(root: &Path, base: &Base, packages: Vec<PathBuf>, replaced: bool) -> Result<Image> {
    let cache = root.join("target/image");
    let out = if replaced { cache.join("replaced") } else { cache.clone() };
    fs::create_dir_all(&out)?;
    let kernel = kernel::fetch(root)?;
    let installed: Vec<_> =
        packages.iter().filter(|deb| !deb.to_string_lossy().contains("-dev_")).collect();
    let key = key(root, base, &installed, &kernel::identity(&kernel)?)?;
    let (file, initrd, made) = (out.join("root.img"), out.join("initrd.img"), out.join("root.key"));
    let done = fs::read_to_string(&made).unwrap_or_default();
    let used = match done.split_once(' ') {
        Some((is, used)) if is == key && file.exists() && initrd.exists() => used.trim().parse()?,
        _ => {
            eprintln!("Making {}", file.display());
            let _ = fs::remove_file(&made);
            let work = out.join("work");
            let from = root.join("board/image");
            kernel::initrd(&kernel, &from.join("init"), &work, &initrd)?;
            kernel::modules(&kernel, &from.join("modules"), &work)?;
            let modules = work.join("lib/modules").join(&kernel.version);
            let files = out.join("files");
            board_files(root, &files)?;
            let used = assemble(root, base, [&files, &modules, &file], &installed)?;
            fs::write(&made, format!("{key} {used}\n"))?;
            used
        }
    };
    Ok(Image { kernel: kernel.image, initrd, root: file, root_used: used, packages })
}

fn key(root: &Path, base: &Base, packages: &[&PathBuf], kernel: &str) -> Result<String> {
    let (image, board) = (root.join("board/image"), root.join("board/qemu-virt"));
    let mut paths = vec![image.as_path()];
    paths.extend(board.exists().then_some(board.as_path()));
    paths.extend(packages.iter().map(|deb| deb.as_path()));
    fingerprint(&paths, &[FORMAT, UUID, SIZE, &base.key, kernel, &epoch(root)?])
}

/// Everything that is laid over the packages: `board/image/root`, the board's facts, and the units that are masked.
fn board_files(root: &Path, to: &Path) -> Result<()> {
    files::fresh(to)?;
    let ours = root.join("board/image/root");
    for file in files::under(&ours)? {
        put(&file, &to.join(file.strip_prefix(&ours)?), 0o644)?;
    }
    let board = root.join("board/qemu-virt/board.toml");
    if board.exists() {
        put(&board, &to.join("etc/edgemill/board.toml"), 0o644)?;
    }
    let units = to.join("etc/systemd/system");
    fs::create_dir_all(&units)?;
    let masked = fs::read_to_string(root.join("board/image/masked"))?;
    for unit in masked.lines().filter(|line| !line.starts_with('#')) {
        std::os::unix::fs::symlink("/dev/null", units.join(unit))?;
    }
    Ok(())
}

/// Runs the script that needs root, or root's place in a user namespace, and returns the bytes of all files.
fn assemble(
    root: &Path,
    base: &Base,
    [files, modules, image]: [&Path; 3],
    packages: &[&PathBuf],
) -> Result<u64> {
    let mut script = in_roots_place(&root.join("board/image/assemble.sh"))?;
    script.env("SOURCE_DATE_EPOCH", epoch(root)?).arg(&base.tar);
    script.args([files, modules, image]).args([SIZE, UUID]).args(packages);
    let used = output(&mut script)?;
    let kib: u64 = used.trim().parse().with_context(|| format!("not a size: {used}"))?;
    Ok(kib * 1024)
}

/// A script of ours, to be run as root or in root's place in a user namespace, with mounts of its own.
pub fn in_roots_place(script: &Path) -> Result<Command> {
    super::base::emulator()?;
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private"]);
    if !nix::unistd::geteuid().is_root() {
        unshare.args(["--map-root-user", "--map-auto"]);
    }
    unshare.env("PATH", sbin()).arg(script);
    Ok(unshare)
}
