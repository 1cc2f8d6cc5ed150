//! The area `engine`: one run of each network of the bench folder beside the engines that a user would pick instead, by
//! time on this machine and by executed instructions on 64-bit ARM.
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Row;
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
const OURS: &str = "bench model {model} --threads 1 --seconds 1 --json";
const COUNTED: &str = "bench model {model} --threads 1 --seconds 0.02 --json";
const ROUNDS: usize = 5;

const fn aim(model: &'static str, here: f64, names: [&'static str; 4]) -> Aim {
    Aim { model, here, names }
}

/// Measures the area, as far as the peers' scripts are there.
pub fn measure(root: &Path) -> Result<Vec<Row>> {
    run(Command::new(env!("CARGO")).current_dir(root).args([
        "build",
        "--release",
        "--package=edgemill-cli",
        "--package=infer-int8",
    ]))?;
    let bench = std::env::var_os("EDGEMILL_BENCH").map(PathBuf::from);
    if bench.is_none() {
        eprintln!("no peers: EDGEMILL_BENCH names no folder with peers.py");
    }
    let mut rows = times(root, bench.as_deref())?;
    rows.extend(instructions(root, bench.as_deref())?);
    rows.extend(alone(root, bench.as_deref())?);
    Ok(rows)
}

/// Ours and the peers in turn, in one run.
fn times(root: &Path, bench: Option<&Path>) -> Result<Vec<Row>> {
    let table = bench.map(|bench| {
        let mut command = Command::new(bench.join("peers.py"));
        let ours = format!("{} {OURS}", tool(root).display());
        command.args(["--ours", &ours, "--rounds", "3", "--check", "--json"]);
        parsed(&mut command)
    });
    let table = table.transpose()?.unwrap_or_default();
    let row = |aim: &Aim| {
        let measured = &table[aim.model];
        let peer = measured["best_peer"].as_str().unwrap_or_default();
        let medians = [("edgemill", &measured["us"]["ours"]), ("peer", &measured["us"][peer])];
        ratio(aim.names[0], aim.here, "peers.py", measured["ratio"].as_f64(), medians)
    };
    Ok(AIMS.iter().map(row).collect())
}

/// Instructions that a run executes in an emulated guest, beside LiteRT's.
fn instructions(root: &Path, bench: Option<&Path>) -> Result<Vec<Row>> {
    let table = bench.map(|bench| {
        cross::build(root, &["--package=edgemill-cli"])?;
        let program = cross::built(root).join("edgemill");
        let mut command = Command::new(bench.join("aarch64.py"));
        command.arg("--ours").arg(program).args([COUNTED, "--json"]);
        parsed(&mut command)
    });
    let table = table.transpose()?.unwrap_or_default();
    let mut rows = Vec::new();
    for aim in &AIMS {
        for ((cpu, at_most), name) in CPUS.into_iter().zip(&aim.names[1..]) {
            let measured = &table[cpu][aim.model];
            let medians = [("edgemill", &measured["ours"]), ("litert", &measured["litert"])];
            rows.push(ratio(name, at_most, "aarch64.py", measured["ratio"].as_f64(), medians));
        }
    }
    Ok(rows)
}

/// What needs no peer: a second thread, memory, and the plugin's size.
fn alone(root: &Path, bench: Option<&Path>) -> Result<Vec<Row>> {
    let runs = bench.map(|bench| both(root, &bench.join("models/mbv2_224.int8.tflite")));
    let [one, two, bytes] = runs.transpose()?.map_or([None; 3], |figures| figures.map(Some));
    let plugin = std::fs::metadata(root.join("target/release/libinfer_int8.so"));
    let plugin = plugin.context("no libinfer_int8.so was built")?.len();
    let command = "edgemill bench model";
    let plain = |name, value: Option<f64>, unit, at_most| Row {
        name,
        value,
        unit,
        at_most,
        command,
        medians: Vec::new(),
    };
    let threads = one.zip(two).map(|(one, two)| two / one);
    Ok(vec![
        plain("mbv2_two_threads", threads, "ratio", 0.65),
        plain("mbv2_memory_mb", bytes.map(|bytes| bytes / 1e6), "MB", 8.0),
        #[expect(clippy::cast_precision_loss, reason = "a file's size, to be shown")]
        plain("plugin_mb", Some(plugin as f64 / 1e6), "MB", 2.0),
    ])
}

/// The median with one thread and with two, round by round in turn, and the bytes of weights and arena.
fn both(root: &Path, model: &Path) -> Result<[f64; 3]> {
    let once = |threads: &str| {
        let mut command = Command::new(tool(root));
        command.args(["bench", "model", "--json", "--seconds", "0.5", "--threads", threads]);
        parsed(command.arg(model))
    };
    let figure = |printed: &Value, key: &str| {
        printed[key].as_f64().with_context(|| format!("no {key} in {printed}"))
    };
    let (mut one, mut two, mut bytes) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..ROUNDS {
        let printed = once("1")?;
        bytes = figure(&printed, "weights_bytes")? + figure(&printed, "arena_bytes")?;
        one.push(figure(&printed, "median_us")?);
        two.push(figure(&once("2")?, "median_us")?);
    }
    Ok([super::median(&mut one), super::median(&mut two), bytes])
}

fn tool(root: &Path) -> PathBuf {
    root.join("target/release/edgemill")
}

fn parsed(command: &mut Command) -> Result<Value> {
    let printed = output(command)?;
    let line = printed.lines().rev().find(|line| line.starts_with('{'));
    Ok(serde_json::from_str(line.with_context(|| format!("no JSON in {printed}"))?)?)
}

fn ratio(
    name: &'static str,
    at_most: f64,
    command: &'static str,
    value: Option<f64>,
    medians: [(&'static str, &Value); 2],
) -> Row {
    let known = |(name, value): (&'static str, &Value)| Some((name, value.as_f64()?));
    let medians = medians.into_iter().filter_map(known).collect();
    Row { name, value, unit: "ratio", at_most, command, medians }
}
