//! `cargo xtask cross`: everything that runs on a board, built for 64-bit ARM through `cross.toml`.
//!
//! The standard library for that target may come from rustup, which is the usual way, or from Debian's own compiler,
//! which Cargo is then told to use.
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command::{output, run as run_command};
use crate::host_packages::{self, Need};

/// The board's target.
pub const TARGET: &str = "aarch64-unknown-linux-gnu";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_RUSTDOC: &str = "/usr/bin/rustdoc";
/// The linter of the same compiler.
pub const DEBIAN_CLIPPY: &str = "/usr/bin/cargo-clippy";
/// Longer than any honest run of our tests under emulation.
const TEST_LIMIT_S: &str = "1800";

/// Builds the whole workspace but the tasks themselves, which run on the host.
pub fn run(root: &Path) -> Result<()> {
    build(root, &["--workspace", "--exclude", "xtask"])?;
    eprintln!("Built for {TARGET} in {}", built(root).display());
    Ok(())
}

/// Builds for the board's target what `selection` says in Cargo's words (`-p`, `--example`, …).
pub fn build(root: &Path, selection: &[&str]) -> Result<()> {
    let compiler = prepare()?;
    run_command(
        with_target(Command::new(env!("CARGO")).arg("build"), root, compiler).args(selection),
    )
}

/// Clippy on what `selection` says, compiled for the board's target: code of that architecture is seen by no other.
pub fn lint(root: &Path, selection: &[&str]) -> Result<()> {
    let compiler = prepare()?;
    let mut clippy = match compiler {
        Compiler::Own => Command::new(env!("CARGO")),
        Compiler::Debian => {
            host_packages::ensure(&[Need::CrossClippy])?;
            Command::new(DEBIAN_CLIPPY)
        }
    };
    with_target(clippy.arg("clippy"), root, compiler).args(selection);
    run_command(clippy.args(["--all-targets", "--", "-D", "warnings"]))
}

/// Runs `cargo test` for the board's target under emulation, with further arguments of Cargo's. What hangs under
/// emulation hangs for ever, so that the run has a limit; the build before it has none.
pub fn cargo_test(root: &Path, args: &[&str]) -> Result<()> {
    let compiler = prepare()?;
    host_packages::ensure(&[Need::QemuUser, Need::Arm64Libc])?;
    let mut build = Command::new(env!("CARGO"));
    build.arg("test");
    let selection = args.split(|arg| *arg == "--").next().unwrap_or_default();
    run_command(with_target(&mut build, root, compiler).args(selection).arg("--no-run"))?;
    let mut test = Command::new("timeout");
    test.args(["--kill-after=10", TEST_LIMIT_S, env!("CARGO"), "test"]);
    run_command(with_target(&mut test, root, compiler).args(args))
}

/// As [`cargo_test`], on an emulated processor of that name.
pub fn cargo_test_on(root: &Path, processor: &str, args: &[&str]) -> Result<()> {
    let compiler = prepare()?;
    host_packages::ensure(&[Need::QemuUser, Need::Arm64Libc])?;
    let mut test = Command::new("timeout");
    test.args(["--kill-after=10", TEST_LIMIT_S, env!("CARGO"), "test"]);
    // What names the target comes before what `cross.toml` says of all of its kind.
    let runner = format!("qemu-aarch64-static -cpu {processor}");
    test.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", runner);
    run_command(with_target(&mut test, root, compiler).args(args))
}

/// Builds one test program for the board's target, without running it, and says where it is.
pub fn test_program(root: &Path, selection: &[&str]) -> Result<PathBuf> {
    let compiler = prepare()?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo.arg("test");
    with_target(&mut cargo, root, compiler)
        .args(selection)
        .args(["--no-run", "--message-format=json"]);
    let messages = output(&mut cargo)?;
    let mut programs = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    });
    programs.next_back().with_context(|| format!("cargo built no test program for {selection:?}"))
}

/// Where the built programs and libraries lie.
pub fn built(root: &Path) -> PathBuf {
    target(root).join(TARGET).join("release")
}

/// Where Cargo builds.
pub fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into)
}

/// Which compiler has the target's standard library.
#[derive(Clone, Copy)]
enum Compiler {
    /// The one that Cargo finds by itself.
    Own,
    /// The one in /usr/bin.
    Debian,
}

fn with_target<'a>(cargo: &'a mut Command, root: &Path, compiler: Compiler) -> &'a mut Command {
    cargo.current_dir(root).args(["--release", "--locked", "--config", "cross.toml"]);
    if let Compiler::Debian = compiler {
        cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTDOC", DEBIAN_RUSTDOC);
    }
    host_packages::prepare(cargo);
    cargo
}

/// Sets the machine up, and finds the compiler.
fn prepare() -> Result<Compiler> {
    host_packages::ensure(&[Need::CCompiler, Need::CrossCompiler, Need::Libclang])?;
    if has_std("rustc") {
        return Ok(Compiler::Own);
    }
    host_packages::ensure(&[Need::CrossStd]).with_context(|| {
        format!("no compiler here has Rust's standard library for {TARGET}; `rustup target add {TARGET}` brings it")
    })?;
    Ok(Compiler::Debian)
}

/// Whether Debian's compiler has the target's standard library.
pub fn debian_has_std() -> bool {
    has_std(DEBIAN_RUSTC)
}

fn has_std(rustc: &str) -> bool {
    let asked = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
    let Ok(answer) = asked.map(|answer| String::from_utf8_lossy(&answer.stdout).into_owned())
    else {
        return false;
    };
    let entries = std::fs::read_dir(answer.trim()).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|name| {
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
}
