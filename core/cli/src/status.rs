//! `edgemill status`: what the running daemon does, asked over its socket.
use std::fmt::{self, Display};

use edgemill_control::{
    Client, EdgeStatus, PathStatus, PipelineStatus, Quantiles, StageStatus, Status,
};

use crate::board::BoardArgs;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `edgemill status`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill status --board target/demo/board.toml")]
pub struct Args {
    #[command(flatten)]
    board: BoardArgs,
}

/// Asks and prints.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let board = args.board.load()?;
    let status = Client::connect(&board.paths.run).and_then(Client::status)?;
    output.result(&status, Page(&status))
}

/// The status as a person reads it.
struct Page<'a>(&'a Status);

impl Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let daemon = &self.0.daemon;
        write!(
            f,
            "edgemilld {} (pid {}) on {}: {:?}, up {:.1} s",
            daemon.version,
            daemon.pid,
            daemon.board,
            daemon.state,
            daemon.uptime_ms as f64 / 1e3
        )?;
        if let Some(why) = &daemon.reload_refused {
            write!(f, "\nthe last reload was refused: {why}")?;
        }
        self.0.pipelines.iter().try_for_each(|pipeline| show_pipeline(f, pipeline))
    }
}

fn show_pipeline(f: &mut fmt::Formatter<'_>, pipeline: &PipelineStatus) -> fmt::Result {
    write!(
        f,
        "\n\n{}\n  {:<14}{:<11}{:<8}{:>10}{:>10}{:>8}{:>10}{:>10}",
        pipeline.name, "stage", "state", "cpus", "received", "passed", "faults", "p50 µs", "p99 µs"
    )?;
    pipeline.stages.iter().try_for_each(|stage| show_stage(f, stage))?;
    pipeline.edges.iter().try_for_each(|edge| show_edge(f, edge))?;
    pipeline.paths.iter().try_for_each(|path| show_path(f, path))
}

fn show_stage(f: &mut fmt::Formatter<'_>, stage: &StageStatus) -> fmt::Result {
    let cpus: Vec<String> = stage.cpus.iter().map(usize::to_string).collect();
    write!(
        f,
        "\n  {:<14}{:<11}{:<8}{:>10}{:>10}{:>8}{:>10.0}{:>10.0}",
        stage.name,
        stage.state,
        cpus.join(","),
        stage.received,
        stage.passed,
        stage.faulted,
        stage.call.p50_us,
        stage.call.p99_us
    )?;
    if let Some(latency) = &stage.latency {
        let Quantiles { p50_us, p99_us, p999_us, .. } = latency;
        write!(
            f,
            "\n    capture to here p50 {p50_us:.0} µs, p99 {p99_us:.0} µs, p99.9 {p999_us:.0} µs"
        )?;
    }
    match &stage.reason {
        Some(reason) => write!(f, "\n    {reason}"),
        None => Ok(()),
    }
}

fn show_path(f: &mut fmt::Formatter<'_>, path: &PathStatus) -> fmt::Result {
    let PathStatus { source, sink, sent, delivered, consumed, dropped, queued } = path;
    let lost: u64 = dropped.values().sum();
    write!(
        f,
        "\n  {source} ⇒ {sink}: sent {sent}, delivered {delivered}, consumed {consumed}, dropped {lost}, \
         under way {queued}"
    )
}

fn show_edge(f: &mut fmt::Formatter<'_>, edge: &EdgeStatus) -> fmt::Result {
    let lost: Vec<String> =
        edge.dropped.iter().filter(|(_, n)| **n > 0).map(|(why, n)| format!("{why} {n}")).collect();
    if lost.is_empty() {
        return Ok(());
    }
    write!(f, "\n  {} → {}: of {} lost {}", edge.from, edge.to, edge.sent, lost.join(", "))
}
