//! The fast way to a guest: Debian's kernel and a RAM disk with busybox, a few modules and our own programs. It boots in
//! seconds, runs a shell script, and powers off.
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

use super::console::Line;
use super::machine::{Machine, Setup};
use crate::command::{output, run as run_command};
use crate::host_packages::{self, Need};

/// Modules by name, and their folder; what they need in turn is looked up. Those of the camera wait until a script
/// loads them.
const MODULES: [(&str, &[&str]); 2] =
    [("modules", &["virtio_pci", "virtio_blk", "ext4"]), ("modules/camera", &["vivid"])];
/// What a dynamic program is loaded with.
const LIBRARIES: [&str; 4] = ["ld-linux-aarch64.so.1", "libc.so.6", "libm.so.6", "libgcc_s.so.1"];
/// One file for the guest: where it is here, and where it goes there.
pub struct Put {
    pub from: PathBuf,
    pub to: String,
}

impl Put {
    pub fn new(from: impl Into<PathBuf>, to: impl Into<String>) -> Self {
        Self { from: from.into(), to: to.into() }
    }
}

/// What one guest is to do.
pub struct Guest<'a> {
    pub root: &'a Path,
    /// Of its RAM disk.
    pub name: &'a str,
    pub files: Vec<Put>,
    /// The shell script that it runs, in `tests/vm`.
    pub script: &'a str,
    pub log: PathBuf,
}

impl Guest<'_> {
    /// Packs the RAM disk, and says how to start a machine with it.
    ///
    /// # Errors
    /// A package cannot be had, or a file is not there.
    pub fn prepare(&self) -> Result<Setup> {
        host_packages::ensure(&[Need::Arm64Packages, Need::Arm64Libc, Need::GuestTools])?;
        let cache = self.root.join("target/guest");
        let kernel = Kernel::fetch(&cache)?;
        let mut setup = Setup::new(&kernel.image, &self.log);
        setup.initrd = Some(self.ram_disk(&cache, &kernel)?);
        Ok(setup)
    }

    /// Boots, waits until the script has come to its end, and returns what the console said.
    ///
    /// # Errors
    /// The machine cannot be set up, or the guest did not come to its end.
    pub fn run(&self) -> Result<Vec<Line>> {
        let setup = self.prepare()?;
        let mut machine = Machine::start(&setup)?;
        let end = |machine: &mut Machine| {
            machine.console.wait_for("DONE", setup.limit)?;
            machine.wait_end(setup.limit)
        };
        let see = || format!("the guest did not finish; its console is in {}", self.log.display());
        end(&mut machine).with_context(see)?;
        Ok(machine.console.lines())
    }
}

/// Debian's kernel for arm64 and busybox, unpacked in a folder of our own and kept there.
pub struct Kernel {
    pub folder: PathBuf,
    pub image: PathBuf,
    pub version: String,
}

impl Kernel {
    /// One at a time, since several guests may be set up side by side.
    pub fn fetch(cache: &Path) -> Result<Self> {
        static FETCHING: Mutex<()> = Mutex::new(());
        let _alone = FETCHING.lock().unwrap_or_else(PoisonError::into_inner);
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
    pub fn modules(&self, names: &[&str]) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for module in names {
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
pub fn sbin() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

impl Guest<'_> {
    /// Everything the guest has, in a cpio archive, which the kernel unpacks into memory.
    fn ram_disk(&self, cache: &Path, kernel: &Kernel) -> Result<PathBuf> {
        let (tree, scripts) = (cache.join(self.name), self.root.join("tests/vm"));
        let _ = fs::remove_dir_all(&tree);
        for folder in ["bin", "dev", "etc", "lib", "modules", "proc", "sys", "tmp"] {
            fs::create_dir_all(tree.join(folder))?;
        }
        put(&kernel.folder.join("bin/busybox"), &tree.join("bin/busybox"), 0o755)?;
        std::os::unix::fs::symlink("busybox", tree.join("bin/sh"))?;
        put(&scripts.join("init.sh"), &tree.join("init"), 0o755)?;
        put(&scripts.join(self.script), &tree.join("cases.sh"), 0o644)?;
        for library in LIBRARIES {
            let from = Path::new("/lib/aarch64-linux-gnu").join(library);
            put(&from, &tree.join("lib").join(library), 0o755)?;
        }
        for (folder, names) in MODULES {
            for (index, module) in kernel.modules(names)?.iter().enumerate() {
                let name = module.file_name().unwrap_or_default().to_string_lossy();
                put(module, &tree.join(folder).join(format!("{index:02}-{name}")), 0o644)?;
            }
        }
        for file in &self.files {
            put(&file.from, &tree.join(file.to.trim_start_matches('/')), 0o755)?;
        }
        archive(&tree, &cache.join(format!("{}.cpio", self.name)))
    }
}

fn put(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let parent = to.parent().context("a file in no folder")?;
    fs::create_dir_all(parent)?;
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(fs::set_permissions(to, PermissionsExt::from_mode(mode))?)
}

pub fn archive(tree: &Path, disk: &Path) -> Result<PathBuf> {
    let mut find =
        Command::new("find").current_dir(tree).arg(".").stdout(Stdio::piped()).spawn()?;
    let names = find.stdout.take().context("find has no output")?;
    let mut cpio = Command::new("cpio");
    cpio.current_dir(tree).args(["--quiet", "-o", "-H", "newc", "-R", "0:0"]);
    let status = cpio.stdin(names).stdout(File::create(disk)?).status()?;
    ensure!(find.wait()?.success() && status.success(), "cannot pack {}", tree.display());
    Ok(disk.to_path_buf())
}
