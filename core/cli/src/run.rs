//! `edgemill run`: the daemon in the foreground, in this process's place; with `--input`, only a look at pictures.
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::exit::{Code, Failure};
use crate::output::Output;

/// Arguments of `edgemill run`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples: edgemill run pipelines/traffic-light.toml
          edgemill run pipelines/street.toml --input pictures --annotate marked --json")]
pub struct Args {
    /// Pipelines; board.toml and access.toml are found beside the first, or in its parent folder.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Write the final account here when the pipelines have ended.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Look for what one pipeline finds in the pictures of this folder, which take the place of its source; nothing is
    /// driven. Prints a line for each box: file, class, score, and left, top, right and bottom edge in pixels.
    #[arg(long, value_name = "DIR", conflicts_with = "report")]
    input: Option<PathBuf>,
    /// Write the pictures here, as PNG, with what was found marked.
    #[arg(long, value_name = "DIR", requires = "input")]
    annotate: Option<PathBuf>,
}

/// Does not come back unless the daemon cannot be started.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let mut daemon = daemon();
    match &args.input {
        Some(input) => look(&mut daemon, args, input, output.is_json()),
        None => forever(&mut daemon, args),
    }
    let error = daemon.exec();
    Err(Failure::new(
        Code::Internal,
        format!("cannot start {}: {error}", daemon.get_program().display()),
    ))
}

fn forever(daemon: &mut Command, args: &Args) {
    daemon.arg("run");
    for file in &args.files {
        daemon.arg("--config").arg(file);
    }
    if let Some(report) = &args.report {
        daemon.arg("--report").arg(report);
    }
}

fn look(daemon: &mut Command, args: &Args, input: &Path, json: bool) {
    daemon.arg("look").arg("--input").arg(input);
    if let Some(folder) = &args.annotate {
        daemon.arg("--annotate").arg(folder);
    }
    if json {
        daemon.arg("--json");
    }
    daemon.arg("--").args(&args.files);
}

/// The daemon beside this tool, else the one on the path.
pub fn daemon() -> Command {
    let beside = std::env::current_exe().ok().map(|tool| tool.with_file_name("edgemilld"));
    match beside {
        Some(path) if path.exists() => Command::new(path),
        _ => Command::new("edgemilld"),
    }
}
