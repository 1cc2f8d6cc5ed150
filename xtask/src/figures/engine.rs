//! The area `engine`: one run of each network of the bench folder beside the engines that a user would pick instead, by
//! time on this machine and by executed instructions on 64-bit ARM; and what the engine needs by itself.
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Row, median};
use crate::command::{output, run};
use crate::cross;

/// A network, and the aims for the ratio of ours to the best peer's: time here, then instructions on each of [`CPUS`].
struct Aim {
    model: &'static str,
    here: f64,
    names: [&'static str; 4],
}

const AIMS: [Aim; 5] = [
    aim("seed28", 0.70, ["seed28_ratio", "seed28_a76", "seed28_a72", "seed28_max"]),
    aim("seed32", 0.70, ["seed32_ratio", "seed32_a76", "seed32_a72", "seed32_max"]),
    aim("resnet8", 0.85, ["resnet8_ratio", "resnet8_a76", "resnet8_a72", "resnet8_max"]),
    aim("mbv1_025_96", 0.60, ["mbv1_ratio", "mbv1_a76", "mbv1_a72", "mbv1_max"]),
    aim("mbv2_224", 0.75, ["mbv2_ratio", "mbv2_a76", "mbv2_a72", "mbv2_max"]),
];

/// With the dot product, with NEON only, with matrix products.
const CPUS: [(&str, f64); 3] = [("cortex-a76", 0.60), ("cortex-a72", 0.75), ("max", 0.75)];
const TIMED: &str = "bench model {model} --threads 1 --seconds 1 --json";
const COUNTED: &str = "bench model {model} --threads 1 --seconds 0.02 --json";
const PEERS: &str = "peers.py --check";
const AARCH64: &str = "aarch64.py";
const ROUNDS: usize = 7;

const fn aim(model: &'static str, here: f64, names: [&'static str; 4]) -> Aim {
    Aim { model, here, names }
}

/// Measures the area, as far as the peers' scripts are there: without them, as much is said and their aims are not met.
pub fn measure(root: &Path) -> Result<Vec<Row>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).args(["build", "--release", "-p", "edgemill-cli", "-p", "infer-int8"]);
    run(&mut cargo)?;
    let bench = std::env::var_os("EDGEMILL_BENCH").map(PathBuf::from);
    if bench.is_none() {
        eprintln!("no peers: EDGEMILL_BENCH names no folder with peers.py, aarch64.py and models");
    }
    let bench = bench.as_deref();
    let mut rows = times(root, bench)?;
    rows.extend(instructions(root, bench)?);
    rows.extend(alone(root, bench)?);
    Ok(rows)
}

/// Ours and the peers in turn, in one run; our outputs are LiteRT's.
fn times(root: &Path, bench: Option<&Path>) -> Result<Vec<Row>> {
    let mut table = Value::Null;
    if let Some(bench) = bench {
        let ours = format!("{} {TIMED}", tool(root).display());
        let mut command = Command::new(bench.join("peers.py"));
        table = parsed(command.args(["--ours", &ours, "--check", "--json"]))?;
        for Aim { model, .. } in &AIMS {
            let difference = &table[model]["max_diff_vs_litert"];
            ensure!(difference == 0, "{model}: our output and LiteRT's differ by {difference}");
        }
    }
    let row = |aim: &Aim| {
        let measured = &table[aim.model];
        let peer = measured["best_peer"].as_str().unwrap_or_default();
        let medians =
            [("edgemill_us", &measured["us"]["ours"]), ("peer_us", &measured["us"][peer])];
        ratio(aim.names[0], aim.here, PEERS, &measured["ratio"], medians)
    };
    Ok(AIMS.iter().map(row).collect())
}

/// Instructions that a run executes in an emulated guest, beside LiteRT's.
fn instructions(root: &Path, bench: Option<&Path>) -> Result<Vec<Row>> {
    let mut table = Value::Null;
    if let Some(bench) = bench {
        cross::build(root, &["--package=edgemill-cli"])?;
        let mut command = Command::new(bench.join("aarch64.py"));
        command.arg("--ours").arg(cross::built(root).join("edgemill")).args([COUNTED, "--json"]);
        table = parsed(&mut command)?;
    }
    let mut rows = Vec::new();
    for aim in &AIMS {
        for ((cpu, at_most), name) in CPUS.into_iter().zip(&aim.names[1..]) {
            let measured = &table[cpu][aim.model];
            let counts = [("edgemill", &measured["ours"]), ("litert", &measured["litert"])];
            rows.push(ratio(name, at_most, AARCH64, &measured["ratio"], counts));
        }
    }
    Ok(rows)
}

/// What needs no peer: a second thread, memory, and the plugin's size.
fn alone(root: &Path, bench: Option<&Path>) -> Result<Vec<Row>> {
    let model = bench.map(|bench| bench.join("models/mbv2_224.int8.tflite"));
    let threads = model.as_deref().map(|model| threads(root, model)).transpose()?;
    let memory = model.as_deref().map(|model| memory(root, model)).transpose()?;
    let plugin = cross::target(root).join("release/libinfer_int8.so");
    let plugin = std::fs::metadata(&plugin).with_context(|| format!("no {}", plugin.display()))?;
    #[expect(clippy::cast_precision_loss, reason = "a file's size, to be shown")]
    let plugin = plugin.len() as f64 / 1e6;
    let row = |name, value, unit, at_most, command| {
        let medians = Vec::new();
        Row { name, value, unit, at_most, command, medians }
    };
    let bench = "edgemill bench model mbv2_224.int8.tflite --json";
    Ok(vec![
        Row {
            medians: threads.map_or_else(Vec::new, |us| vec![("one_us", us[0]), ("two_us", us[1])]),
            ..row("mbv2_two_threads", threads.map(|us| us[1] / us[0]), "ratio", 0.65, bench)
        },
        row("mbv2_memory_mb", memory, "MB", 8.0, "edgemill bench model mbv2_224.graph --json"),
        row("plugin_mb", Some(plugin), "MB", 2.0, "cargo build --release -p infer-int8"),
    ])
}

/// The median with one thread and with two, round by round in turn.
fn threads(root: &Path, model: &Path) -> Result<[f64; 2]> {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (threads, times) in ["1", "2"].into_iter().zip(&mut times) {
            let args = ["--seconds", "0.5", "--threads", threads];
            times.push(benched(root, model, &args, "median_us")?);
        }
    }
    Ok(times.map(|mut times| median(&mut times)))
}

/// MB that loading the network, as a box has it, and a first run add to a process.
fn memory(root: &Path, model: &Path) -> Result<f64> {
    let graph = cross::target(root).join("mbv2_224.graph");
    let mut import = Command::new(tool(root));
    run(import.args(["model", "import"]).arg(model).arg("--output").arg(&graph))?;
    Ok(benched(root, &graph, &["--seconds", "0"], "memory_bytes")? / 1e6)
}

fn benched(root: &Path, model: &Path, args: &[&str], key: &str) -> Result<f64> {
    let mut command = Command::new(tool(root));
    let printed = parsed(command.args(["bench", "model", "--json"]).args(args).arg(model))?;
    printed[key].as_f64().with_context(|| format!("no {key} in {printed}"))
}

fn tool(root: &Path) -> PathBuf {
    cross::target(root).join("release/edgemill")
}

/// The last line of what it prints that is JSON.
fn parsed(command: &mut Command) -> Result<Value> {
    let printed = output(command)?;
    let line = printed.lines().rev().find(|line| line.starts_with('{'));
    Ok(serde_json::from_str(line.with_context(|| format!("no JSON in {printed}"))?)?)
}

fn ratio(
    name: &'static str,
    at_most: f64,
    command: &'static str,
    value: &Value,
    medians: [(&'static str, &Value); 2],
) -> Row {
    let known = |(name, value): (&'static str, &Value)| Some((name, value.as_f64()?));
    let medians = medians.into_iter().filter_map(known).collect();
    Row { name, value: value.as_f64(), unit: "ratio", at_most, command, medians }
}
