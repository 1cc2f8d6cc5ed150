//! Debian's own part of the root file system, by mmdebstrap: kept as an archive under the hash of what it is made of.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::files::{self, fingerprint};
use super::lock::Lock;
use crate::command::{output, run};

/// The release that the image is made of.
const SUITE: &str = "bookworm";
/// No file of the base bears a later time. It changes nothing else, so that it need not change.
const EPOCH: &str = "1764504000";
/// Of the package mmdebstrap: makes /bin and its like links into /usr from the start, as Debian's own installer does.
const MERGED_USR: &str = "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr";
/// The host's apt, set up for the new system, says what is in it.
const DESCRIBE: &str = r#"APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-cache show $(
    dpkg-query --admindir="$1/var/lib/dpkg" -W -f '${Package}=${Version} ') >"$1/.packages"
rm -f "$1/etc/apt/preferences.d/lock""#;

/// The archive.
pub struct Base {
    pub tar: PathBuf,
    /// Of what it is made of.
    pub key: String,
}

/// Makes the base as the lock file says, unless it is there.
///
/// # Errors
/// mmdebstrap or the emulator cannot be used, or the archive has other bytes than the lock says.
pub fn ensure(root: &Path) -> Result<Base> {
    let (from, cache) = (root.join("board/image"), root.join("target/image"));
    let lock_file = from.join("packages.lock");
    let lock = Lock::read(&lock_file)?;
    let inputs = [lock_file, from.join("packages"), from.join("lean.cfg")];
    let inputs: Vec<_> = inputs.iter().map(PathBuf::as_path).collect();
    let key = fingerprint(&inputs, &[SUITE, EPOCH, MERGED_USR, DESCRIBE])?;
    let tar = cache.join(format!("base-{}.tar", &key[..16]));
    if !tar.exists() {
        remove_old(&cache)?;
        let made = cache.join("base.new");
        bootstrap(&from, &made, Some(&lock))?;
        for line in lock.moved_on(&described(&made, &cache.join("packages.lock"))?)? {
            eprintln!("board/image/packages.lock: {line}");
        }
        fs::rename(made, &tar)?;
    }
    Ok(Base { tar, key })
}

/// Writes the lock file anew, with what Debian has now.
pub fn update_lock(root: &Path) -> Result<()> {
    let cache = root.join("target/image");
    let _alone = files::alone(&cache)?;
    let made = cache.join("base.new");
    bootstrap(&root.join("board/image"), &made, None)?;
    described(&made, &root.join("board/image/packages.lock"))?;
    Ok(fs::remove_file(made)?)
}

fn remove_old(cache: &Path) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("base-")) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// What is in the archive; also written to `file`.
fn described(tar: &Path, file: &Path) -> Result<Lock> {
    let lock = Lock::of_apt(&output(Command::new("tar").arg("-xOf").arg(tar).arg("./.packages"))?)?;
    lock.write(file)?;
    Ok(lock)
}

fn bootstrap(from: &Path, to: &Path, lock: Option<&Lock>) -> Result<()> {
    emulator()?;
    eprintln!("Making Debian's base system: minutes, once");
    let packages = fs::read_to_string(from.join("packages"))?;
    let include: Vec<_> = packages.lines().collect();
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap.env("SOURCE_DATE_EPOCH", EPOCH).args(["--quiet", "--arch=arm64"]);
    mmdebstrap.args(["--variant=minbase", "--skip=check/qemu", MERGED_USR]);
    mmdebstrap.args(["--aptopt=APT::Install-Recommends \"false\""]);
    mmdebstrap.arg(format!("--dpkgopt={}", from.join("lean.cfg").display()));
    mmdebstrap.arg(format!("--include={}", include.join(",")));
    let preferences = to.with_file_name("preferences");
    if let Some(lock) = lock {
        fs::write(&preferences, lock.preferences())?;
        let upload = format!("upload '{}' /etc/apt/preferences.d/lock", preferences.display());
        mmdebstrap.arg(format!("--setup-hook={upload}"));
    }
    mmdebstrap.arg(format!("--customize-hook={DESCRIBE}"));
    run(mmdebstrap.args(["--format=tar", SUITE]).arg(to))
}

/// Has the kernel start arm64 programs by the emulator, also inside a new root.
pub fn emulator() -> Result<()> {
    if cfg!(target_arch = "aarch64") {
        return Ok(());
    }
    let registry = Path::new("/proc/sys/fs/binfmt_misc");
    let entry = registry.join("qemu-aarch64");
    let opens_at_once = || {
        let text = fs::read_to_string(&entry).unwrap_or_default();
        text.lines().any(|line| line.starts_with("flags:") && line.contains('F'))
    };
    if opens_at_once() {
        return Ok(());
    }
    let line = "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc; \
                cat /usr/lib/binfmt.d/qemu-aarch64.conf > /proc/sys/fs/binfmt_misc/register";
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "the kernel does not start arm64 programs by itself; as root, once per boot:\n\n    {line}\n"
        );
    }
    if !registry.join("register").exists() {
        run(Command::new("mount").args(["-t", "binfmt_misc", "binfmt_misc"]).arg(registry))?;
    }
    if !opens_at_once() {
        let rule = fs::read("/usr/lib/binfmt.d/qemu-aarch64.conf")
            .context("qemu-user-static is not installed")?;
        fs::write(registry.join("register"), rule)
            .context("the kernel takes no rule for arm64 programs")?;
    }
    Ok(())
}
