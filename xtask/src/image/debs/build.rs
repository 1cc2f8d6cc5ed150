//! From the workspace to `.deb` files.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::control::{Control, Facts, Stanza};
use super::stage::Sources;
use super::{Arch, Changelog, elf, generated};
use crate::command::{output, run};
use crate::image::{epoch, files};
use crate::{cross, host_packages};

/// What both targets are built with, so that Cargo never has to build a dependency with other features.
const SELECTION: [&str; 3] = ["--workspace", "--exclude", "xtask"];
const SCRIPTS: [&str; 4] = ["preinst", "postinst", "prerm", "postrm"];

/// One build of all packages.
struct Build<'a> {
    root: &'a Path,
    arch: Arch,
    changelog: Changelog,
    control: Control,
    epoch: String,
    out: PathBuf,
}

/// Builds the programs, and those packages for `arch` that are not there or have changed; where `replaced` has a
/// program, it is taken from there, and the packages lie in another folder.
///
/// # Errors
/// Something cannot be built.
pub fn ensure(root: &Path, arch: Arch, replaced: Option<&Path>) -> Result<Vec<PathBuf>> {
    build_natively(root)?;
    if arch == Arch::Arm64 {
        cross::build(root, &SELECTION)?;
    }
    let cache = root.join("target/image");
    let _alone = files::alone(&cache)?;
    let changelog = Changelog::read(root)?;
    let generated = cache.join("generated");
    generated::write(root, &cross::target(root).join("release"), &generated, &changelog.version)?;
    let out = replaced.map_or_else(|| cache.clone(), |_| cache.join("replaced"));
    let control = Control::read(root)?;
    let build = Build { root, arch, changelog, control, epoch: epoch(root)?, out };
    let built = arch.built(root);
    let sources = Sources { root, built: &built, replaced, generated: &generated };
    build.control.packages.iter().map(|package| build.package(package, &sources)).collect()
}

/// The host's own programs write manual pages and completions.
fn build_natively(root: &Path) -> Result<()> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).args(["build", "--release", "--locked"]).args(SELECTION);
    host_packages::prepare(&mut cargo);
    run(cargo.args(["--lib", "--bins", "--example", "man"]))
}

impl Build<'_> {
    fn package(&self, package: &Stanza, sources: &Sources<'_>) -> Result<PathBuf> {
        let name = package.get("Package").context("debian/control: a package has no name")?;
        let arch = match package.get("Architecture") {
            Some("all") => "all",
            _ => self.arch.name(),
        };
        let tree = self.out.join("stage").join(self.arch.name()).join(name);
        files::fresh(&tree)?;
        let programs = sources.lay_out(name, &tree)?;
        for (program, _) in programs.iter().filter(|(_, strip)| *strip) {
            let notes = ["--remove-section=.comment", "--strip-unneeded"];
            run(Command::new(self.arch.strip()).args(notes).arg(program))?;
        }
        self.documents(name, &tree)?;
        let files = files::under(&tree)?;
        let elf: Vec<_> = programs.iter().map(|(program, _)| program.as_path()).collect();
        let facts = Facts {
            version: &self.changelog.version,
            arch,
            libraries: &elf::depends(&elf)?,
            installed_kib: installed_kib(&files)?,
        };
        self.describe(name, &tree, &files, &self.control.of(package, &facts)?)?;
        let deb = format!("{name}_{}_{arch}.deb", self.changelog.version);
        self.pack(&tree, &self.out.join(deb))
    }

    /// What Debian asks of every package: its changes and its licence.
    fn documents(&self, name: &str, tree: &Path) -> Result<()> {
        let (from, to) = (self.root.join("debian"), tree.join("usr/share/doc").join(name));
        files::put(&from.join("copyright"), &to.join("copyright"), 0o644)?;
        files::put(&from.join("changelog"), &to.join("changelog"), 0o644)?;
        run(Command::new("gzip").args(["-9", "-n"]).arg(to.join("changelog")))
    }

    fn describe(&self, name: &str, tree: &Path, files: &[PathBuf], control: &str) -> Result<()> {
        let folder = tree.join("DEBIAN");
        fs::create_dir(&folder)?;
        fs::write(folder.join("control"), control)?;
        let inside: Vec<_> = files.iter().filter_map(|file| file.strip_prefix(tree).ok()).collect();
        let sums = output(Command::new("md5sum").current_dir(tree).args(&inside))?;
        fs::write(folder.join("md5sums"), sums)?;
        let own = inside.iter().filter(|file| file.starts_with("etc"));
        let conffiles: String = own.map(|file| format!("/{}\n", file.display())).collect();
        if !conffiles.is_empty() {
            fs::write(folder.join("conffiles"), conffiles)?;
        }
        for script in SCRIPTS {
            let from = self.root.join(format!("debian/{name}.{script}"));
            if from.exists() {
                files::put(&from, &folder.join(script), 0o755)?;
            }
        }
        Ok(())
    }

    /// Packs the tree, unless the same tree was packed before.
    fn pack(&self, tree: &Path, deb: &Path) -> Result<PathBuf> {
        let key = files::fingerprint(&[tree], &[&self.epoch])?;
        let made = deb.with_extension("deb.key");
        if !deb.exists() || fs::read_to_string(&made).ok().as_deref() != Some(&key) {
            let _ = fs::remove_file(&made);
            // Whatever the umask of whoever builds.
            run(Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(tree))?;
            let mut pack = Command::new("dpkg-deb");
            pack.env("SOURCE_DATE_EPOCH", &self.epoch).args(["--root-owner-group", "-Zxz"]);
            run(pack.arg("--build").arg(tree).arg(deb))?;
            fs::write(made, key)?;
        }
        Ok(deb.into())
    }
}

/// As Debian counts: each file in whole KiB.
fn installed_kib(files: &[PathBuf]) -> Result<u64> {
    let mut kib = 0;
    for file in files {
        kib += fs::metadata(file)?.len().div_ceil(1024);
    }
    Ok(kib)
}
