//! What one frame costs in our pipeline of four stages, beside GStreamer's: the same number of hops, the same
//! capacity, the same core, in the same run.
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Row, median};
use crate::command::{output, run};

const ROUNDS: usize = 7;
const COMMAND: &str = "edgemill bench pipeline";

/// Flat out, and paced at 300 µs.
pub fn measure(root: &Path) -> Result<[Row; 2]> {
    let peer = peer(root)?;
    let flat = ratio(root, peer.as_deref(), 100_000, 0, "us_per_frame")?;
    let paced = ratio(root, peer.as_deref(), 3_000, 300, "p99_us")?;
    Ok([row("hop_ratio", 0.5, flat), row("paced_p99_ratio", 0.3, paced)])
}

fn row(name: &'static str, at_most: f64, (ours, theirs): (f64, Option<f64>)) -> Row {
    let medians = [("edgemill", Some(ours)), ("gstreamer", theirs)];
    Row {
        name,
        value: theirs.map(|theirs| ours / theirs),
        unit: "ratio",
        at_most,
        command: COMMAND,
        medians: medians.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
    }
}

/// Medians of ours and of the peer's, round by round in turn.
fn ratio(
    root: &Path,
    peer: Option<&Path>,
    frames: u32,
    pace: u32,
    key: &str,
) -> Result<(f64, Option<f64>)> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(once(tool(root, frames, pace), key)?);
        if let Some(peer) = peer {
            let mut command = pinned(peer);
            command.args([frames.to_string(), pace.to_string(), "614400".into()]);
            theirs.push(once(command, key)?);
        }
    }
    Ok((median(&mut ours), peer.map(|_| median(&mut theirs))))
}

fn tool(root: &Path, frames: u32, pace: u32) -> Command {
    let mut command = pinned(&root.join("target/release/edgemill"));
    command.args(["bench", "pipeline", "--json", "--bytes", "614400"]);
    command.args(["--frames", &frames.to_string(), "--pace", &pace.to_string()]);
    command
}

fn pinned(program: &Path) -> Command {
    let last = std::thread::available_parallelism().map_or(1, usize::from) - 1;
    let mut command = Command::new("taskset");
    command.args(["-c", &last.min(1).to_string()]).arg(program);
    command
}

fn once(mut command: Command, key: &str) -> Result<f64> {
    let printed: Value = serde_json::from_str(output(&mut command)?.trim())?;
    printed[key].as_f64().with_context(|| format!("no {key} in {printed}"))
}

/// Builds the peer's program, where its source and its libraries are.
fn peer(root: &Path) -> Result<Option<PathBuf>> {
    let Some(source) =
        std::env::var_os("EDGEMILL_BENCH").map(|dir| PathBuf::from(dir).join("hop_gst.c"))
    else {
        eprintln!("no peer: EDGEMILL_BENCH names no folder with hop_gst.c");
        return Ok(None);
    };
    let Ok(flags) =
        output(Command::new("pkg-config").args(["--cflags", "--libs", "gstreamer-app-1.0"]))
    else {
        eprintln!(
            "no peer: sudo apt-get install -y libgstreamer-plugins-base1.0-dev gstreamer1.0-plugins-base"
        );
        return Ok(None);
    };
    let program = root.join("target/hop_gst");
    run(Command::new("cc")
        .args(["-O2", "-o"])
        .arg(&program)
        .arg(&source)
        .args(flags.split_whitespace()))?;
    Ok(Some(program))
}
