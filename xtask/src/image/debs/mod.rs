//! Our Debian packages, from `debian/`: a tree for each is laid out from its list of files, and `dpkg-deb` packs it.
//! The files in `debian/` have the names and the form that Debian's developers know.
mod build;
mod control;
mod elf;
mod generated;
mod stage;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

pub use build::ensure;

use crate::command::output;
use crate::cross;

/// What packages are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    Arm64,
    Amd64,
}

impl Arch {
    /// As Debian calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::Amd64 => "amd64",
        }
    }

    /// Where Cargo puts what it builds for it.
    fn built(self, root: &Path) -> PathBuf {
        match self {
            Self::Arm64 => cross::built(root),
            Self::Amd64 => cross::target(root).join("release"),
        }
    }

    /// The program that strips its files.
    fn strip(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-linux-gnu-strip",
            Self::Amd64 => "strip",
        }
    }
}

/// The host's architecture, where it is not the board's own.
pub fn native() -> Option<Arch> {
    cfg!(target_arch = "x86_64").then_some(Arch::Amd64)
}

/// The newest entry of `debian/changelog`.
pub struct Changelog {
    pub version: String,
    /// In the form of RFC 5322.
    pub date: String,
}

impl Changelog {
    pub fn read(root: &Path) -> Result<Self> {
        let file = root.join("debian/changelog");
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let odd = "debian/changelog has no version, or no date";
        let (_, rest) = text.split_once(" (").context(odd)?;
        let (version, rest) = rest.split_once(')').context(odd)?;
        let (_, date) = rest.split_once(">  ").context(odd)?;
        ensure!(
            version.split(['-', '~', '+']).next() == Some(env!("CARGO_PKG_VERSION")),
            "debian/changelog says {version}, Cargo.toml {}",
            env!("CARGO_PKG_VERSION")
        );
        let date = date.lines().next().context(odd)?;
        Ok(Self { version: version.into(), date: date.into() })
    }
}

/// Bytes of the files in a package, as they lie on a disk.
pub fn installed_size(deb: &Path) -> Result<u64> {
    let size = output(Command::new("dpkg-deb").arg("--field").arg(deb).arg("Installed-Size"))?;
    let kib: u64 = size.trim().parse().with_context(|| format!("not a size: {size}"))?;
    Ok(kib * 1024)
}
