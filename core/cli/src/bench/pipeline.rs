//! `edgemill bench pipeline`: a real daemon, four stages of the plugin `probe`, three channels of capacity 4, buffers
//! passed by reference, with accounting, histograms and a deadline on.
use std::fs;
use std::path::{Path, PathBuf};

use edgemill_control::{Quantiles, Report};
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::output::Output;
use crate::run::daemon;

/// Arguments of `edgemill bench pipeline`.
#[derive(clap::Args)]
#[command(
    after_help = "Example: taskset -c 1 edgemill bench pipeline --frames 100000 --pace 0 --bytes 614400"
)]
pub struct Args {
    /// How many frames.
    #[arg(long, default_value_t = 100_000)]
    frames: u64,
    /// Time from one frame to the next in µs; 0 for as fast as they are taken.
    #[arg(long, value_name = "US", default_value_t = 0)]
    pace: u64,
    /// Size of a frame's buffer.
    #[arg(long, default_value_t = 614_400)]
    bytes: u64,
    /// The plugin `probe`; the one beside this tool when none is named.
    #[arg(long, value_name = "FILE")]
    probe: Option<PathBuf>,
}

/// What it came to.
#[derive(Serialize)]
struct Measured {
    frames: u64,
    us_per_frame: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
}

/// The line that the sink's probe writes when it ends.
#[derive(Deserialize)]
struct Counts {
    received: u64,
    first_capture_ns: u64,
    flushed_ns: u64,
}

/// Runs a daemon to its end and reads what it and the sink counted.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let folder = Folder::new()?;
    let probe = args.probe.clone().unwrap_or_else(beside);
    fs::create_dir(folder.0.join("plugins")).map_err(Failure::internal)?;
    fs::copy(&probe, folder.0.join("plugins/probe.so")).map_err(|error| {
        let named = probe.display();
        Failure::plugin(format!("{named}: {error}; name the plugin `probe` with --probe FILE"))
    })?;
    write(&folder.0.join("board.toml"), BOARD)?;
    write(&folder.0.join("bench.toml"), &pipeline(args))?;
    let report = folder.0.join("report.json");
    let mut daemon = daemon();
    daemon.arg("run").arg("--config").arg(folder.0.join("bench.toml")).arg("--report").arg(&report);
    let status = daemon.status().map_err(Failure::internal)?;
    if !status.success() {
        return Err(Failure::internal(format!(
            "edgemilld ended with {status}; its messages are above"
        )));
    }
    let measured = read(&folder.0, &report, args.frames)?;
    let text = format!(
        "{:.2} µs a frame over three hops; capture to sink p50 {:.1} µs, p99 {:.1} µs, p99.9 {:.1} µs",
        measured.us_per_frame, measured.p50_us, measured.p99_us, measured.p999_us
    );
    output.result(&measured, text)
}

fn read(folder: &Path, report: &Path, frames: u64) -> Result<Measured, Failure> {
    let counts: Counts = json(&folder.join("sink.jsonl"))?;
    if counts.received != frames {
        let message = format!("only {} of {frames} frames reached the sink", counts.received);
        return Err(Failure::internal(message));
    }
    let report: Report = json(report)?;
    let latency = latency(&report).ok_or_else(|| Failure::internal("the report has no sink"))?;
    let elapsed_us = (counts.flushed_ns - counts.first_capture_ns) as f64 / 1e3;
    Ok(Measured {
        frames,
        us_per_frame: elapsed_us / frames as f64,
        p50_us: latency.p50_us,
        p99_us: latency.p99_us,
        p999_us: latency.p999_us,
    })
}

fn latency(report: &Report) -> Option<Quantiles> {
    report.status.pipelines.first()?.stages.iter().find_map(|stage| stage.latency)
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let cannot =
        |error: &dyn std::fmt::Display| Failure::internal(format!("{}: {error}", path.display()));
    let text = fs::read(path).map_err(|error| cannot(&error))?;
    serde_json::from_slice(&text).map_err(|error| cannot(&error))
}

const BOARD: &str =
    "name = \"bench\"\nallow-unsigned = true\n\n[paths]\nplugins = \"plugins\"\nrun = \"run\"\n";

/// Cores are left as they are, so that the caller chooses them, with taskset for instance.
fn pipeline(args: &Args) -> String {
    let Args { frames, pace, bytes, .. } = args;
    let stage = |name: &str, input: &str, params: &str| {
        format!(
            "[[stage]]\nname = \"{name}\"\nplugin = \"probe\"\n{input}params = {{ bytes = {bytes}, {params} }}\n\n"
        )
    };
    let from =
        |stage| format!("input = {{ from = \"{stage}\", overflow = \"block\", capacity = 4 }}\n");
    let source = format!("role = \"source\", count = {frames}, pace-us = {pace}");
    let sink = "role = \"sink\", path = \"sink.jsonl\"";
    [
        "name = \"bench\"\n\n".to_string(),
        stage("source", "deadline-ms = 10000\n", &source),
        stage("first", &from("source"), "role = \"pass\""),
        stage("second", &from("first"), "role = \"pass\""),
        stage("sink", &from("second"), sink),
    ]
    .concat()
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| Failure::internal(format!("{}: {error}", path.display())))
}

/// As Cargo names it, or as it is installed.
fn beside() -> PathBuf {
    let tool = std::env::current_exe().unwrap_or_default();
    let built = tool.with_file_name("libprobe.so");
    if built.exists() { built } else { PathBuf::from("/usr/lib/edgemill/plugins/probe.so") }
}

/// A folder that goes when this does.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("edgemill-bench-{}", std::process::id()));
        fs::create_dir(&path)
            .map_err(|error| Failure::internal(format!("{}: {error}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
