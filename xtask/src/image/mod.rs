//! `cargo xtask image`: Debian packages of Edgemill, and an image for `board/qemu-virt` that has them installed.
//!
//! Everything is made of inputs that are named: Debian's packages in `board/image/packages.lock`, our own packages in
//! `debian/`, the image's own files in `board/image`. The same inputs give the same bytes, so that what was made is
//! kept under the hash of what it was made of.
mod base;
pub mod debs;
mod files;
mod kernel;
mod lock;
mod system;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

pub use base::Base;

use crate::command::{output, run as run_command};
use crate::host_packages::{self, Need};

/// Options of `cargo xtask image`.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask image --json")]
pub struct Args {
    /// Take programs and libraries from this folder where they are there, named as Cargo names them; the image then
    /// lies in target/image/replaced.
    #[arg(long, value_name = "DIR")]
    binaries: Option<PathBuf>,
    /// Write board/image/packages.lock anew, with what Debian has today.
    #[arg(long)]
    update_lock: bool,
    /// Print one JSON object on stdout: paths, and sizes in bytes.
    #[arg(long)]
    json: bool,
}

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
    /// Bytes of the files in it.
    pub root_used: u64,
    /// The packages for arm64: `edgemill`, `edgemill-tools`, `edgemill-dev`.
    pub packages: Vec<PathBuf>,
}

/// What the kernel must be told; more words may follow.
pub const COMMAND_LINE: &str = "console=ttyAMA0 root=/dev/vda rw quiet panic=-1";

/// Builds packages and image, and prints where they are and how large.
///
/// # Errors
/// Something cannot be built; the message says what to do.
pub fn run(root: &Path, args: &Args) -> Result<()> {
    if args.update_lock {
        base::update_lock(root)?;
    }
    let image = ensure(root, &Options { binaries: args.binaries.clone() })?;
    let mut packages = image.packages.clone();
    if let Some(native) = debs::native() {
        packages.extend(debs::ensure(root, native, args.binaries.as_deref())?);
    }
    packages.sort();
    packages.dedup();
    let sizes = sizes(&image, &packages)?;
    if args.json {
        println!("{sizes}");
    } else {
        print!("{}", table(&sizes));
    }
    Ok(())
}

/// Builds what is missing or has changed, and says where it is.
///
/// # Errors
/// Something cannot be built; the message says what to do.
pub fn ensure(root: &Path, options: &Options) -> Result<Image> {
    host_packages::ensure(&[
        Need::Arm64Packages,
        Need::GuestTools,
        Need::QemuUser,
        Need::ImageTools,
    ])?;
    let packages = debs::ensure(root, debs::Arch::Arm64, options.binaries.as_deref())?;
    let _alone = files::alone(&root.join("target/image"))?;
    let base = base::ensure(root)?;
    system::build(root, &base, packages, options.binaries.is_some())
}

/// Installs, upgrades, removes and purges the package as Debian's users would, in a throw-away system.
///
/// # Errors
/// A step did not do what it must.
pub fn prove_packages(root: &Path) -> Result<()> {
    host_packages::ensure(&[Need::QemuUser, Need::ImageTools])?;
    let packages = debs::ensure(root, debs::Arch::Arm64, None)?;
    let _alone = files::alone(&root.join("target/image"))?;
    let base = base::ensure(root)?;
    let box_package = packages.first().context("debian/control names no package")?;
    let mut script = system::in_roots_place(&root.join("debian/tests/lifecycle"))?;
    run_command(script.arg(&base.tar).arg(box_package))
}

/// The time that files bear at most, as Debian's tools take it: that of the newest entry in `debian/changelog`.
fn epoch(root: &Path) -> Result<String> {
    let changelog = debs::Changelog::read(root)?;
    let mut date = Command::new("date");
    date.args(["--utc", "+%s", "--date"]).arg(&changelog.date);
    Ok(output(&mut date)?.trim().to_owned())
}

fn sizes(image: &Image, packages: &[PathBuf]) -> Result<serde_json::Value> {
    let mut list = serde_json::Map::new();
    for deb in packages {
        let name = deb.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let installed = debs::installed_size(deb)?;
        list.insert(name, json!({"bytes": bytes(deb)?, "installed": installed}));
    }
    Ok(json!({
        "kernel": {"file": image.kernel, "bytes": bytes(&image.kernel)?},
        "initrd": {"file": image.initrd, "bytes": bytes(&image.initrd)?},
        "root": {"file": image.root, "bytes": bytes(&image.root)?, "used": image.root_used},
        "packages": list,
    }))
}

fn table(sizes: &serde_json::Value) -> String {
    let megabytes =
        |value: &serde_json::Value| format!("{:>8.1} MB", value.as_f64().unwrap_or_default() / 1e6);
    let mut text = String::new();
    for name in ["kernel", "initrd", "root"] {
        let file = sizes[name]["file"].as_str().unwrap_or_default();
        text += &format!("{name:<36}{}  {file}\n", megabytes(&sizes[name]["bytes"]));
    }
    text += &format!("{:<36}{}\n", "files in root", megabytes(&sizes["root"]["used"]));
    for (name, size) in sizes["packages"].as_object().into_iter().flatten() {
        let installed = megabytes(&size["installed"]);
        text += &format!("{name:<36}{}{installed} installed\n", megabytes(&size["bytes"]));
    }
    text
}

fn bytes(file: &Path) -> Result<u64> {
    let about = std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()));
    Ok(about?.len())
}
