//! From the file of a real detector to boxes in real pictures, by the commands of docs/detection.md and the shipped contract
//! and pipeline: YOLOX-Nano, as it is and in int8, from the folder that `EDGEMILL_DATA` names.
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::keys::{sign, signed_site};
use crate::programs;
use crate::site::{Site, board};

const PLUGINS: [&str; 6] = [
    "preprocess-image",
    "infer-candle",
    "infer-int8",
    "decode-detections",
    "decide-rule",
    "actuate-log",
];
const CAMERA: &str = "[[camera]]\nname = \"front\"\ndevice = \"driver:uvcvideo\"\nformat = \"YUYV\"\n\
    width = 640\nheight = 480\n";

/// File, class and edges in pixels, by ONNX Runtime from pictures prepared as the network's authors do it.
const FOUND: [(&str, &str, [f64; 4]); 4] = [
    ("bird.bmp", "bird", [35.7, 65.7, 477.7, 337.9]),
    ("cat.bmp", "cat", [34.2, 59.3, 387.3, 329.3]),
    ("grace_hopper.bmp", "person", [11.9, 40.3, 509.2, 580.9]),
    ("grace_hopper.bmp", "tie", [220.7, 407.6, 295.1, 531.3]),
];

/// The folder, or nothing, which is told.
fn data() -> Option<PathBuf> {
    let data = std::env::var_os("EDGEMILL_DATA").map(PathBuf::from);
    let data = data.filter(|data| data.join("models/yolox_nano.onnx").exists());
    if data.is_none() {
        eprintln!("skipped: EDGEMILL_DATA names no folder with models/yolox_nano.onnx");
    }
    data
}

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../board/host").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// A signed box with the shipped pipeline and contract.
fn site() -> Site {
    let (site, ring) = signed_site();
    PLUGINS.iter().for_each(|id| {
        site.plugin(id);
    });
    sign(&site, &ring, &PLUGINS);
    site.write("board.toml", &board(CAMERA));
    for name in ["access.toml", "pipelines/street.toml", "contracts/yolox.toml"] {
        site.write(name, &shipped(name));
    }
    site
}

/// Runs `edgemill` in the site's folder; what it prints.
fn edgemill(site: &Site, arguments: &[&str]) -> String {
    let mut command = programs::program("edgemill");
    let output = command.args(arguments).current_dir(&site.folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "edgemill {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Brings the network in `file` to the box and looks at the pictures.
fn look(site: &Site, file: &str, pictures: &str) -> Vec<Value> {
    let contract = ["--contract", "contracts/yolox.toml"];
    let rest = ["--counter", "1", "--recipient", "keys/device.pub", "--output", "street.emp"];
    edgemill(site, &[&["model", "pack", file][..], &contract, &rest].concat());
    edgemill(site, &["model", "sign", "street.emp", "--keys", "keys"]);
    edgemill(site, &["model", "install", "street.emp", "--board", "board.toml"]);
    let street = ["run", "pipelines/street.toml", "--annotate", "marked", "--json"];
    let told = edgemill(site, &[&street[..], &["--input", pictures]].concat());
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What two boxes share, over both together.
fn iou(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let area = |edges: &[f64; 4]| (edges[2] - edges[0]).max(0.0) * (edges[3] - edges[1]).max(0.0);
    let [left, top] = [0, 1].map(|i| a[i].max(b[i]));
    let [right, bottom] = [2, 3].map(|i| a[i].min(b[i]));
    let shared = area(&[left, top, right, bottom]);
    shared / (area(a) + area(b) - shared)
}

fn compare(lines: &[Value], least: f64) {
    assert_eq!(lines.len(), FOUND.len(), "{lines:?}");
    for (file, class, expected) in FOUND {
        let line = lines.iter().find(|line| line["file"] == file && line["class"] == class);
        let line = line.unwrap_or_else(|| panic!("no {class} in {file}: {lines:?}"));
        let edges = [0, 1, 2, 3].map(|i| line["box"][i].as_f64().unwrap());
        let share = iou(&edges, &expected);
        assert!(share > least, "{class} in {file}: {edges:?}, {share}");
    }
}

#[test]
fn a_real_detector_finds_what_is_in_real_pictures() {
    let Some(data) = data() else { return };
    let site = site();
    let (model, pictures) = (data.join("models/yolox_nano.onnx"), data.join("images"));
    let lines = look(&site, model.to_str().unwrap(), pictures.to_str().unwrap());
    compare(&lines, 0.95);
    for file in ["bird", "cat", "grace_hopper"] {
        assert!(site.folder.join(format!("marked/{file}.png")).exists(), "{file}");
    }
}

#[test]
fn in_int8_it_finds_the_same() {
    let Some(data) = data() else { return };
    let site = site();
    let (model, pictures) = (data.join("models/yolox_nano.onnx"), data.join("images"));
    let (model, pictures) = (model.to_str().unwrap(), pictures.to_str().unwrap());
    let compress = ["model", "compress", model, "--contract", "contracts/yolox.toml"];
    edgemill(&site, &[&compress[..], &["--data", pictures, "--output", "int8.graph"]].concat());
    let street = shipped("pipelines/street.toml").replace("infer-candle\"", "infer-int8\"");
    site.write("pipelines/street.toml", &street);
    compare(&look(&site, "int8.graph", pictures), 0.8);
}
