//! The parts of the test run.
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail, ensure};

use crate::command::{exists, run};
use crate::host_packages::{self, Need};
use crate::{cross, demo, image, vm};

type Part = (&'static str, fn(&Path) -> Result<()>);

/// In the order in which they fail fastest.
pub const ALL: [Part; 10] = [
    ("packages", packages),
    ("style", style),
    ("build", build),
    ("demo", demo),
    ("native", native),
    ("aarch64", aarch64),
    ("outputs", outputs),
    ("deb", deb),
    ("guest", vm::crate_tests::run),
    ("vm", vm::prove),
];

/// Crates whose tests say something about the board's processor or its kernel calls.
const ON_THE_BOARD: [&str; 13] = [
    "actuate-log",
    "decide-rule",
    "edgemill-abi",
    "edgemill-engine",
    "edgemill-host",
    "edgemill-kernels",
    "edgemill-linux",
    "edgemill-model",
    "edgemill-pipeline",
    "edgemill-sdk",
    "edgemill-store",
    "edgemill-tests",
    "probe",
];

fn packages(_: &Path) -> Result<()> {
    host_packages::ensure(&[
        Need::CCompiler,
        Need::Libclang,
        Need::Pip,
        Need::CrossCompiler,
        Need::QemuUser,
        Need::Arm64Libc,
        Need::Arm64Packages,
        Need::QemuSystem,
        Need::GuestTools,
        Need::ImageTools,
        Need::Systemd,
        Need::OnnxCases,
    ])
}

fn cargo(root: &Path, words: &[&str]) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).args(words);
    host_packages::prepare(&mut cargo);
    cargo
}

/// Form, lints, documentation; licences too, where the tool for them is.
fn style(root: &Path) -> Result<()> {
    run(&mut cargo(root, &["fmt", "--all", "--check"]))?;
    let clippy =
        ["clippy", "--release", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
    run(&mut cargo(root, &clippy))?;
    let mut doc = cargo(root, &["doc", "--release", "--locked", "--workspace", "--no-deps"]);
    run(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    if exists("cargo-deny") {
        run(&mut cargo(root, &["deny", "check", "licenses", "bans", "sources"]))?;
    }
    Ok(())
}

fn build(root: &Path) -> Result<()> {
    run(&mut cargo(root, &["build", "--release", "--locked", "--workspace", "--exclude", "xtask"]))
}

fn demo(root: &Path) -> Result<()> {
    demo::prove(root)
}

fn native(root: &Path) -> Result<()> {
    run(&mut cargo(root, &["test", "--release", "--locked", "--workspace", "--no-fail-fast"]))
}

/// Processors that have other instructions than the emulator's best: neither has the dot product.
const OLDER_PROCESSORS: [&str; 2] = ["cortex-a53", "cortex-a72"];

/// The same tests as a board would run them, and pipelines of the plugins built for it; those of the kernels on older
/// processors as well. Before them the lints of the code that is written for this architecture.
fn aarch64(root: &Path) -> Result<()> {
    cross::lint(root, &["-p", "edgemill-kernels"])?;
    cross::run(root)?;
    let mut words = Vec::new();
    for name in ON_THE_BOARD {
        words.extend(["-p", name]);
    }
    cross::cargo_test(root, &words)?;
    for processor in OLDER_PROCESSORS {
        eprintln!("-- on {processor}");
        let kernels = ["-p", "edgemill-kernels", "-p", "edgemill-engine"];
        cross::cargo_test_on(root, processor, &kernels)?;
    }
    Ok(())
}

/// The int8 outputs of every test picture, on both processors, byte for byte; and of pictures prepared wrongly, which
/// must score lower.
fn outputs(root: &Path) -> Result<()> {
    // The whole workspace, so that dependencies keep the features that they were built with.
    let example = ["--workspace", "--exclude", "xtask", "--example", "outputs"];
    run(cargo(root, &["build", "--release", "--locked"]).args(example))?;
    cross::build(root, &example)?;
    let mut emulator = Command::new("qemu-aarch64-static");
    emulator.args(["-cpu", "max"]).arg(cross::built(root).join("examples/outputs"));
    let demo = demo::prepare(root)?;
    let program = || Command::new(root.join("target/release/examples/outputs"));
    let native = demo::outputs::of(&demo, program(), None)?;
    same_bytes(&native, &demo::outputs::of(&demo, emulator, None)?)?;
    let right = demo::outputs::accuracy(&demo, &native)?;
    for (field, value) in demo::outputs::wrong_contracts() {
        let change = format!("{field} {value}");
        let lines = demo::outputs::of(&demo, program(), Some((field, value)))?;
        let wrong = demo::outputs::accuracy(&demo, &lines)?;
        ensure!(wrong < right, "with {change} the accuracy is {wrong}, not below {right}");
        eprintln!("with {change} the accuracy falls from {right:.4} to {wrong:.4}");
    }
    Ok(())
}

fn same_bytes(native: &str, emulated: &str) -> Result<()> {
    let pictures = native.lines().count();
    ensure!(pictures == 297, "{pictures} outputs, not 297");
    let differ = native.lines().zip(emulated.lines()).filter(|(a, b)| a != b).count();
    if differ > 0 || emulated.lines().count() != pictures {
        bail!("{differ} of {pictures} int8 outputs differ between x86-64 and aarch64");
    }
    eprintln!("{pictures} int8 outputs are the same, byte for byte, on x86-64 and on aarch64");
    Ok(())
}

/// The package of a box, from its installation to its purging.
fn deb(root: &Path) -> Result<()> {
    image::prove_packages(root)
}
