//! The few commands a person types: `cargo xtask demo`, `cargo xtask test`, and what they are made of.
mod command;
mod cross;
mod data;
mod demo;
mod figures;
mod host_packages;
mod image;
mod progress;
mod test;
mod vm;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Builds, shows, tests and measures Edgemill."
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Does the main job from nothing: data, training, packing, and a daemon that reads traffic lights.
    Demo(demo::Args),
    /// Builds everything for 64-bit ARM boards.
    Cross,
    /// Makes Debian packages, and a bootable image for the board qemu-virt.
    Image(image::Args),
    /// Runs every test, natively and as aarch64.
    Test(test::Args),
    /// Boots Edgemill in virtual machines and shows what it does there, case by case.
    Vm(vm::Args),
    /// Measures the figures that the project publishes.
    Figures(figures::Args),
}

fn main() -> ExitCode {
    let root = root();
    let done = match Cli::parse().verb {
        Verb::Demo(args) => demo::run(&root, &args),
        Verb::Cross => cross::run(&root),
        Verb::Image(args) => image::run(&root, &args),
        Verb::Test(args) => test::run(&root, &args),
        Verb::Vm(args) => vm::run(&root, &args),
        Verb::Figures(args) => figures::run(&root, &args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder: the parent of this package's.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").into()
}
