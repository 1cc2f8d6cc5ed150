//! What the host machine must have, found by probing for files and programs rather than by asking a package manager,
//! so that a machine set up in any other way is left alone. On Debian, root installs what is missing; anyone else is
//! told the exact command.
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::command::{exists, output, run};

/// Something that the host may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// `cc` and the C library's headers, for the C plugin and for crates with C in them.
    CCompiler,
    /// libclang and its own headers: bindgen reads linux/videodev2.h with it for the `v4l` crate.
    Libclang,
    /// Python's installer, which fetches the pictures.
    Pip,
    /// A C compiler and the C library's headers for aarch64.
    CrossCompiler,
    /// Debian's Rust compiler with the standard library for aarch64, where rustup has not brought it.
    CrossStd,
    /// The linter of that compiler.
    CrossClippy,
    /// Runs one aarch64 program.
    QemuUser,
    /// The C library that an aarch64 program is loaded with.
    Arm64Libc,
    /// Runs an aarch64 machine.
    QemuSystem,
    /// Programs that take a kernel package apart and pack a RAM disk.
    GuestTools,
    /// Programs that make a root file system of Debian's packages.
    ImageTools,
    /// Packages of Debian's arm64 can be downloaded.
    Arm64Packages,
    /// Judges the unit that we ship.
    Systemd,
    /// ONNX's own cases, which the importer is tried on.
    OnnxCases,
}

impl Need {
    fn met(self) -> bool {
        match self {
            Self::CCompiler => exists("cc") && Path::new("/usr/include/linux/videodev2.h").exists(),
            Self::Libclang => std::env::var_os("LIBCLANG_PATH").is_some() || libclang().is_some(),
            Self::Pip => python_has_pip(),
            Self::CrossCompiler => {
                exists("aarch64-linux-gnu-gcc")
                    && Path::new("/usr/aarch64-linux-gnu/include/linux/videodev2.h").exists()
            }
            Self::CrossStd => crate::cross::debian_has_std(),
            Self::CrossClippy => Path::new(crate::cross::DEBIAN_CLIPPY).exists(),
            Self::QemuUser => exists("qemu-aarch64-static"),
            Self::Arm64Libc => ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-aarch64.so.1"]
                .iter()
                .all(|file| Path::new("/lib/aarch64-linux-gnu").join(file).exists()),
            Self::QemuSystem => exists("qemu-system-aarch64"),
            Self::GuestTools => ["depmod", "modprobe", "cpio", "gzip", "xz"].into_iter().all(found),
            Self::ImageTools => {
                ["debugfs", "dpkg-deb", "mke2fs", "mmdebstrap", "newuidmap"].into_iter().all(found)
            }
            Self::Arm64Packages => arm64_enabled(),
            Self::Systemd => exists("systemd-analyze"),
            Self::OnnxCases => Path::new("/usr/share/libonnx-testdata/data").is_dir(),
        }
    }

    fn packages(self) -> Vec<String> {
        let fixed: &[&str] = match self {
            Self::CCompiler => &["gcc", "libc6-dev"],
            Self::Libclang => return libclang_packages(),
            Self::Pip => &["python3-pip"],
            Self::CrossCompiler => &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
            Self::CrossStd => &["rustc-web", "libstd-rust-web-dev:arm64"],
            Self::CrossClippy => &["rust-web-clippy"],
            Self::QemuUser => &["qemu-user-static"],
            Self::Arm64Libc => &["libc6:arm64", "libgcc-s1:arm64"],
            Self::QemuSystem => &["qemu-system-arm"],
            Self::GuestTools => &["kmod", "cpio", "gzip", "xz-utils"],
            Self::ImageTools => &["dpkg", "e2fsprogs", "mmdebstrap", "uidmap"],
            Self::Arm64Packages => &[],
            Self::Systemd => &["systemd"],
            Self::OnnxCases => &["libonnx-testdata"],
        };
        fixed.iter().map(ToString::to_string).collect()
    }

    /// Debian must first be told that packages of another architecture are wanted.
    fn is_foreign(self) -> bool {
        matches!(self, Self::CrossStd | Self::Arm64Libc | Self::Arm64Packages)
    }
}

/// Makes sure that the host has all of `needs`.
///
/// # Errors
/// Something is missing and this user cannot install it: the message is the command to run. Or it was installed
/// and is still not found.
pub fn ensure(needs: &[Need]) -> Result<()> {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    if !nix::unistd::geteuid().is_root() || !exists("apt-get") {
        bail!(
            "this machine lacks {missing:?}; on Debian, install it with:\n\n    {}\n",
            line(&missing)
        );
    }
    eprintln!("Installing what is missing for {missing:?}:\n    {}", line(&missing));
    for mut step in steps(&missing) {
        run(&mut step)?;
    }
    let still: Vec<_> = missing.into_iter().filter(|need| !need.met()).collect();
    if !still.is_empty() {
        bail!("{still:?} is still not found after installing {:?}", packages(&still));
    }
    Ok(())
}

/// Those of `needs` that the host does not meet.
pub fn missing(needs: &[Need]) -> Vec<Need> {
    needs.iter().copied().filter(|need| !need.met()).collect()
}

/// Tells a build where libclang is, unless the user has.
pub fn prepare(cargo: &mut Command) {
    if std::env::var_os("LIBCLANG_PATH").is_none()
        && let Some(folder) = libclang()
    {
        cargo.env("LIBCLANG_PATH", folder);
    }
}

/// The commands as a person would type them.
pub fn line(missing: &[Need]) -> String {
    let mut line = String::new();
    if missing.iter().any(|need| need.is_foreign()) && !arm64_enabled() {
        line += "sudo dpkg --add-architecture arm64; ";
    }
    line += "sudo apt-get update";
    let packages = packages(missing);
    if !packages.is_empty() {
        line += "; sudo apt-get install -y --no-install-recommends ";
        line += &packages.join(" ");
    }
    line
}

fn steps(missing: &[Need]) -> Vec<Command> {
    let mut steps = Vec::new();
    if missing.iter().any(|need| need.is_foreign()) && !arm64_enabled() {
        let mut dpkg = Command::new("dpkg");
        dpkg.args(["--add-architecture", "arm64"]);
        steps.push(dpkg);
    }
    let mut update = apt();
    update.arg("update");
    steps.push(update);
    let packages = packages(missing);
    if !packages.is_empty() {
        let mut install = apt();
        install.args(["install", "-y", "--no-install-recommends"]).args(packages);
        steps.push(install);
    }
    steps
}

/// Waits for another run of apt instead of failing beside it, and asks nothing.
fn apt() -> Command {
    let mut apt = Command::new("apt-get");
    apt.args(["-q", "-o", "DPkg::Lock::Timeout=300"]).env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

fn packages(needs: &[Need]) -> Vec<String> {
    let mut packages: Vec<_> = needs.iter().flat_map(|need| need.packages()).collect();
    packages.dedup();
    packages
}

/// Programs of the administrator are often not on a user's path.
fn found(program: &str) -> bool {
    exists(program)
        || ["/sbin", "/usr/sbin"].iter().any(|dir| Path::new(dir).join(program).exists())
}

fn python_has_pip() -> bool {
    let asked = Command::new("python3").args(["-m", "pip", "--version"]).output();
    asked.is_ok_and(|answer| answer.status.success())
}

fn arm64_enabled() -> bool {
    let native = cfg!(target_arch = "aarch64");
    let foreign = || output(Command::new("dpkg").arg("--print-foreign-architectures"));
    native || (exists("dpkg") && foreign().is_ok_and(|list| list.lines().any(|a| a == "arm64")))
}

/// The newest of Debian's LLVM folders that has both the library and the compiler's own headers (stddef.h): by that
/// folder libclang finds the headers, by a link to the library elsewhere it does not.
fn libclang() -> Option<PathBuf> {
    let complete = |folder: &PathBuf| {
        children(folder)
            .any(|file| file.starts_with("libclang.so") || file.starts_with("libclang-"))
            && children(&folder.join("clang"))
                .any(|v| folder.join("clang").join(v).join("include/stddef.h").exists())
    };
    children(Path::new("/usr/lib"))
        .filter_map(|name| Some((name.strip_prefix("llvm-")?.parse::<u32>().ok()?, name.clone())))
        .map(|(version, name)| (version, Path::new("/usr/lib").join(name).join("lib")))
        .filter(|(_, folder)| complete(folder))
        .max()
        .map(|(_, folder)| folder)
}

fn children(folder: &Path) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok())
}

/// The two small packages out of the large `libclang-dev`, whose dependency names this release's version.
fn libclang_packages() -> Vec<String> {
    let depends = exists("apt-cache")
        .then(|| output(Command::new("apt-cache").args(["depends", "libclang-dev"])).ok())
        .flatten()
        .unwrap_or_default();
    let version = depends.lines().find_map(|line| {
        line.trim().strip_prefix("Depends: libclang-")?.strip_suffix("-dev").map(str::to_owned)
    });
    match version {
        Some(v) => vec![format!("libclang1-{v}"), format!("libclang-common-{v}-dev")],
        None => vec!["libclang-dev".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::{Need, line};

    #[test]
    fn the_line_names_each_package_once_and_updates_first() {
        let text = line(&[Need::CCompiler, Need::Pip]);
        assert_eq!(
            text,
            "sudo apt-get update; \
             sudo apt-get install -y --no-install-recommends gcc libc6-dev python3-pip"
        );
    }

    #[test]
    fn every_need_of_a_package_names_one() {
        let needs = [
            Need::CCompiler,
            Need::Libclang,
            Need::Pip,
            Need::CrossCompiler,
            Need::CrossStd,
            Need::CrossClippy,
            Need::QemuUser,
            Need::Arm64Libc,
            Need::QemuSystem,
            Need::GuestTools,
            Need::ImageTools,
            Need::OnnxCases,
        ];
        for need in needs {
            assert!(!need.packages().is_empty(), "{need:?}");
        }
        assert!(Need::Arm64Packages.packages().is_empty());
    }
}
