//! `edgemill run`: the daemon in the foreground, in this process's place.
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::exit::{Code, Failure};

/// Arguments of `edgemill run`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill run pipelines/traffic-light.toml")]
pub struct Args {
    /// Pipelines; board.toml and access.toml are found beside the first, or in its parent folder.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Write the final account here when the pipelines have ended.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Does not come back unless the daemon cannot be started.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut daemon = daemon();
    daemon.arg("run");
    for file in &args.files {
        daemon.arg("--config").arg(file);
    }
    if let Some(report) = &args.report {
        daemon.arg("--report").arg(report);
    }
    let error = daemon.exec();
    Err(Failure::new(
        Code::Internal,
        format!("cannot start {}: {error}", daemon.get_program().display()),
    ))
}

/// The daemon beside this tool, else the one on the path.
pub fn daemon() -> Command {
    let beside = std::env::current_exe().ok().map(|tool| tool.with_file_name("edgemilld"));
    match beside {
        Some(path) if path.exists() => Command::new(path),
        _ => Command::new("edgemilld"),
    }
}
