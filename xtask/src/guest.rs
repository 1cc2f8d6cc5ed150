//! A 64-bit ARM machine for what the host cannot show: QEMU, Debian's kernel, a RAM disk with busybox, a few modules
//! and our own programs. It boots in seconds, runs the cases of a shell script, and powers off.
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::command::{output, run as run_command};
use crate::host_packages::{self, Need};

/// Modules by name; what they need in turn is looked up.
const MODULES: [&str; 1] = ["vivid"];
/// What a dynamic program is loaded with.
const LIBRARIES: [&str; 4] = ["ld-linux-aarch64.so.1", "libc.so.6", "libm.so.6", "libgcc_s.so.1"];
/// Many times a run's usual length, since a hosted machine may be slow.
const LIMIT_S: &str = "300";

/// One file for the guest: where it is here, and where it goes there.
pub struct Put<'a> {
    pub from: PathBuf,
    pub to: &'a str,
}

/// Boots a guest with `files`, runs `cases` (a shell script), writes the console to `log`, and returns it.
///
/// # Errors
/// The machine cannot be set up, or the guest did not come to its end.
pub fn boot(root: &Path, files: &[Put<'_>], cases: &Path, log: &Path) -> Result<String> {
    host_packages::ensure(&[
        Need::Arm64Packages,
        Need::Arm64Libc,
        Need::GuestTools,
        Need::QemuSystem,
    ])?;
    let cache = root.join("target/guest");
    let kernel = Kernel::fetch(&cache)?;
    let disk = ram_disk(root, &cache, &kernel, files, cases)?;
    run_qemu(&kernel.image, &disk, log)?;
    let console = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    let console = String::from_utf8_lossy(&console).replace('\r', "");
    ensure!(
        console.lines().any(|line| line == "DONE"),
        "the guest did not finish; its console is in {}",
        log.display()
    );
    Ok(console)
}

/// The cases that a console reports: `CASE name: passed`, or why not.
pub fn cases(console: &str) -> Vec<(&str, &str)> {
    console.lines().filter_map(|line| line.strip_prefix("CASE ")?.split_once(": ")).collect()
}

/// Debian's kernel for arm64 and busybox, unpacked in a folder of our own and kept there.
struct Kernel {
    folder: PathBuf,
    image: PathBuf,
    version: String,
}

impl Kernel {
    fn fetch(cache: &Path) -> Result<Self> {
        let folder = cache.join("debian");
        if !folder.join("complete").exists() {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder)?;
            let meta =
                output(Command::new("apt-cache").args(["depends", "linux-image-arm64:arm64"]))?;
            let image = meta
                .lines()
                .find_map(|line| line.trim().strip_prefix("Depends: "))
                .context("apt knows no linux-image-arm64; run `sudo apt-get update`")?;
            for package in [image, "busybox-static:arm64"] {
                unpack(package, &folder)?;
            }
            File::create(folder.join("complete"))?;
        }
        Self::open(folder)
    }

    fn open(folder: PathBuf) -> Result<Self> {
        let modules = folder.join("lib/modules");
        let mut versions = fs::read_dir(&modules)
            .with_context(|| format!("no kernel in {}; delete that folder", folder.display()))?;
        let version = versions.next().context("the kernel has no modules")??.file_name();
        let version = version.to_string_lossy().into_owned();
        run_command(
            Command::new("depmod").env("PATH", sbin()).arg("-b").arg(&folder).arg(&version),
        )?;
        Ok(Self { image: folder.join("boot").join(format!("vmlinuz-{version}")), folder, version })
    }

    /// Files in the order in which they must be loaded.
    fn modules(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for module in MODULES {
            let mut modprobe = Command::new("modprobe");
            modprobe.env("PATH", sbin()).arg("-d").arg(&self.folder);
            modprobe.args(["-S", &self.version, "--show-depends", module]);
            for line in output(&mut modprobe)?.lines() {
                if let Some(file) = line.strip_prefix("insmod ") {
                    let file = PathBuf::from(file.trim());
                    if !files.contains(&file) {
                        files.push(file);
                    }
                }
            }
        }
        Ok(files)
    }
}

fn unpack(package: &str, folder: &Path) -> Result<()> {
    eprintln!("Fetching {package}");
    let downloads = folder.join("download");
    let _ = fs::remove_dir_all(&downloads);
    fs::create_dir_all(&downloads)?;
    let mut apt = Command::new("apt-get");
    // Root's apt would fetch as a user of its own, who may not write here.
    apt.current_dir(&downloads).args(["-q", "-o", "APT::Sandbox::User=root", "download", package]);
    run_command(&mut apt)?;
    let deb = fs::read_dir(&downloads)?.next().context("apt downloaded nothing")??.path();
    run_command(Command::new("dpkg").arg("-x").arg(deb).arg(folder))?;
    Ok(fs::remove_dir_all(&downloads)?)
}

/// Programs of the administrator are often not on a user's path.
fn sbin() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// Everything the guest has, in a cpio archive, which the kernel unpacks into memory.
fn ram_disk(
    root: &Path,
    cache: &Path,
    kernel: &Kernel,
    files: &[Put<'_>],
    cases: &Path,
) -> Result<PathBuf> {
    let tree = cache.join("root");
    let _ = fs::remove_dir_all(&tree);
    for folder in ["bin", "dev", "etc", "lib", "modules", "proc", "sys", "tmp"] {
        fs::create_dir_all(tree.join(folder))?;
    }
    put(&kernel.folder.join("bin/busybox"), &tree.join("bin/busybox"), 0o755)?;
    std::os::unix::fs::symlink("busybox", tree.join("bin/sh"))?;
    put(&root.join("tests/vm/init.sh"), &tree.join("init"), 0o755)?;
    put(cases, &tree.join("cases.sh"), 0o644)?;
    for library in LIBRARIES {
        put(
            &Path::new("/lib/aarch64-linux-gnu").join(library),
            &tree.join("lib").join(library),
            0o755,
        )?;
    }
    for (index, module) in kernel.modules()?.iter().enumerate() {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        put(module, &tree.join("modules").join(format!("{index:02}-{name}")), 0o644)?;
    }
    for file in files {
        put(&file.from, &tree.join(file.to.trim_start_matches('/')), 0o755)?;
    }
    archive(&tree, &cache.join("root.cpio"))
}

fn put(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let parent = to.parent().context("a file in no folder")?;
    fs::create_dir_all(parent)?;
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(fs::set_permissions(to, PermissionsExt::from_mode(mode))?)
}

fn archive(tree: &Path, disk: &Path) -> Result<PathBuf> {
    let mut find =
        Command::new("find").current_dir(tree).arg(".").stdout(Stdio::piped()).spawn()?;
    let names = find.stdout.take().context("find has no output")?;
    let mut cpio = Command::new("cpio");
    cpio.current_dir(tree).args(["--quiet", "-o", "-H", "newc", "-R", "0:0"]);
    let status = cpio.stdin(names).stdout(File::create(disk)?).status()?;
    ensure!(find.wait()?.success() && status.success(), "cannot pack {}", tree.display());
    Ok(disk.to_path_buf())
}

fn run_qemu(image: &Path, disk: &Path, log: &Path) -> Result<()> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut qemu = Command::new("timeout");
    qemu.args(["--kill-after=10", LIMIT_S, "qemu-system-aarch64"]);
    qemu.args(["-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "512"]);
    qemu.args(["-accel", "tcg,thread=multi", "-nographic", "-no-reboot", "-nic", "none"]);
    qemu.arg("-kernel").arg(image).arg("-initrd").arg(disk);
    qemu.args(["-append", "console=ttyAMA0 quiet panic=-1"]);
    let status = qemu.stdin(Stdio::null()).stdout(File::create(log)?).status()?;
    if !status.success() {
        bail!("QEMU ended with {status}; the guest's console is in {}", log.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_case_is_a_whole_line() {
        let console = "CASE grey: passed\nnoise CASE x: passed\nCASE busy: it was not\nCASE odd\n";
        assert_eq!(super::cases(console), [("grey", "passed"), ("busy", "it was not")]);
    }
}
