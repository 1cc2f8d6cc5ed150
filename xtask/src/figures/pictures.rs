//! What it costs to make a network's input of a frame of YUYV, beside OpenCV's fastest way: the same frame's size, the same
//! core, round by round in turn in the same run.
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use serde_json::Value;

use super::{Row, median};
use crate::command::{output, run};
use crate::cross;

const ROUNDS: usize = 5;
const EXAMPLE: &str = "cargo run --release -p edgemill-kernels --example pictures";
const OUTPUTS: [&str; 2] = ["int8_nhwc", "f32_nchw"];
/// Name, side of the tensor, filter and aim.
const CASES: [(&str, u64, &str, f64); 4] = [
    ("preprocess_bilinear_96", 96, "bilinear", 0.15),
    ("preprocess_bilinear_224", 224, "bilinear", 0.30),
    ("preprocess_area_96", 96, "area", 0.1),
    ("preprocess_area_224", 224, "area", 0.1),
];

/// The ratio of each case, of int8 and f32 the worse.
pub fn measure(root: &Path) -> Result<Vec<Row>> {
    run(Command::new(env!("CARGO")).current_dir(root).args([
        "build",
        "--release",
        "-p",
        "edgemill-kernels",
        "--example",
        "pictures",
    ]))?;
    let peer = peer(root)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.extend(lines(pinned(&cross::target(root).join("release/examples/pictures")))?);
        if let Some([python, script]) = &peer {
            let mut command = pinned(python);
            command.arg(script);
            theirs.extend(lines(command)?);
        }
    }
    Ok(CASES.iter().map(|case| row(case, &ours, &theirs)).collect())
}

fn row(
    &(name, size, resize, at_most): &(&'static str, u64, &str, f64),
    ours: &[Value],
    theirs: &[Value],
) -> Row {
    let of = |lines, output| middle(lines, size, resize, output);
    let pairs = OUTPUTS.iter().filter_map(|output| Some([of(ours, output)?, of(theirs, output)?]));
    let worst = pairs.max_by(|[a, b], [c, d]| (a / b).total_cmp(&(c / d)));
    let medians = worst.map(|[own, peer]| vec![("edgemill_us", own), ("opencv_us", peer)]);
    Row {
        name,
        value: worst.map(|[own, peer]| own / peer),
        unit: "ratio",
        at_most,
        command: EXAMPLE,
        medians: medians.unwrap_or_default(),
    }
}

/// The median of the rounds' medians.
fn middle(lines: &[Value], size: u64, resize: &str, output: &str) -> Option<f64> {
    let same = |line: &&Value| {
        line["size"] == size
            && line["resize"] == resize
            && line["output"] == output
            && line.get("format").is_none_or(|format| format == "Yuyv")
    };
    let mut medians: Vec<f64> =
        lines.iter().filter(same).filter_map(|line| line["median_us"].as_f64()).collect();
    (!medians.is_empty()).then(|| median(&mut medians))
}

fn lines(mut command: Command) -> Result<Vec<Value>> {
    let text = output(&mut command)?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn pinned(program: &Path) -> Command {
    let last = std::thread::available_parallelism().map_or(1, usize::from) - 1;
    let mut command = Command::new("taskset");
    command.args(["-c", &last.min(1).to_string()]).arg(program);
    command
}

/// A Python that has OpenCV, and the program to run with it.
fn peer(root: &Path) -> Result<Option<[PathBuf; 2]>> {
    let Some(script) = std::env::var_os("EDGEMILL_BENCH")
        .map(|dir| PathBuf::from(dir).join("preprocess_opencv.py"))
    else {
        eprintln!("no peer: EDGEMILL_BENCH names no folder with preprocess_opencv.py");
        return Ok(None);
    };
    let environment = cross::target(root).join("opencv");
    let python = environment.join("bin/python");
    if output(Command::new(&python).args(["-c", "import cv2"])).is_err() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        run(Command::new(&python).args([
            "-m",
            "pip",
            "--quiet",
            "install",
            "opencv-python-headless",
            "numpy",
        ]))?;
    }
    Ok(Some([python, script]))
}
