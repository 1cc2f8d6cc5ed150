//! `edgemill check`: what `edgemilld check` says of a pipeline; plugins are loaded only in that process.
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use crate::exit::{Code, Failure};
use crate::output::Output;
use crate::run::daemon;

/// Arguments of `edgemill check`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill check pipelines/traffic-light.toml")]
pub struct Args {
    /// The pipeline; board.toml and access.toml are found beside it, or in its parent folder.
    file: PathBuf,
}

/// Becomes `edgemilld check`.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let mut daemon = daemon();
    daemon.arg("check");
    if output.is_json() {
        daemon.arg("--json");
    }
    let error = daemon.arg(&args.file).exec();
    Err(Failure::new(
        Code::Internal,
        format!("cannot start {}: {error}", daemon.get_program().display()),
    ))
}
