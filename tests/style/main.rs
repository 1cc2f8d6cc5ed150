//! The laws of the house that a program can read off: who may use whom, and where `unsafe` may stand.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Who may use whom among our crates; nothing else.
const LAW: &[(&str, &[&str])] = &[
    ("abi", &[]),
    ("linux", &[]),
    ("kernels", &[]),
    ("model", &[]),
    ("import", &["model"]),
    ("config", &[]),
    ("store", &["model", "linux"]),
    ("engine", &["model", "kernels"]),
    ("reference", &["model"]),
    ("learn", &["model", "engine", "kernels", "reference"]),
    ("pipeline", &["abi", "linux"]),
    ("capture", &["pipeline", "linux", "kernels", "abi"]),
    ("host", &["model", "pipeline", "abi", "linux"]),
    ("control", &["linux", "abi"]),
    ("supervisor", &["config", "store", "host", "capture", "pipeline", "control", "linux"]),
    (
        "cli",
        &[
            "config", "model", "store", "import", "learn", "engine", "host", "pipeline", "capture",
            "control", "linux",
        ],
    ),
    ("sdk", &["abi"]),
    ("preprocess-image", &["sdk", "kernels"]),
    ("decode-detections", &["sdk", "kernels"]),
    ("infer-int8", &["sdk", "engine"]),
    ("infer-candle", &["sdk", "reference"]),
    ("decide-rule", &["sdk"]),
    ("actuate-log", &["sdk"]),
    ("actuate-gpio", &["sdk"]),
    ("probe", &["sdk"]),
];

/// Where `unsafe` may stand: folders and, where one module has it alone, files.
const UNSAFE: &[&str] = &[
    "core/abi/src",
    "core/linux/src",
    "core/host/src",
    "core/kernels/src",
    "core/capture/src/camera/ioctl.rs",
    "core/pipeline/src/pool.rs",
    "plugins/sdk/src",
];

/// Crates that candle may be linked into; the supervisor is not among them.
const CANDLE: &[&str] = &["reference", "learn"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie in the workspace").into()
}

fn packages() -> Vec<Value> {
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    cargo.current_dir(root()).args(["metadata", "--format-version", "1", "--no-deps", "--offline"]);
    let output = cargo.output().expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    metadata["packages"].as_array().expect("packages are a list").clone()
}

fn short(name: &str) -> &str {
    name.strip_prefix("edgemill-").unwrap_or(name)
}

/// Names of what a package is linked with when it runs.
fn dependencies(package: &Value) -> BTreeSet<String> {
    let all = package["dependencies"].as_array().expect("dependencies are a list");
    let linked = all.iter().filter(|dependency| dependency["kind"].is_null());
    linked.filter_map(|dependency| dependency["name"].as_str()).map(String::from).collect()
}

#[test]
fn crates_use_only_whom_they_may() {
    let law: BTreeMap<&str, &[&str]> = LAW.iter().copied().collect();
    let packages = packages();
    let ours: BTreeSet<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    let mut broken = Vec::new();
    for package in &packages {
        let name = short(package["name"].as_str().expect("a package has a name"));
        if ["tests", "xtask"].contains(&name) {
            continue;
        }
        let Some(allowed) = law.get(name) else {
            broken.push(format!("{name} is not in the law: say whom it may use"));
            continue;
        };
        for used in dependencies(package).iter().filter(|used| ours.contains(used.as_str())) {
            if !allowed.contains(&short(used)) {
                broken.push(format!("{name} uses {used}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn candle_is_linked_only_where_it_may_be() {
    let packages = packages();
    let users = packages.iter().filter(|package| dependencies(package).contains("candle-core"));
    let users: Vec<&str> =
        users.filter_map(|package| package["name"].as_str()).map(short).collect();
    assert!(users.iter().all(|user| CANDLE.contains(user)), "{users:?}");
    assert!(!users.is_empty(), "nothing uses candle: this test looks at the wrong thing");
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of ours is readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Lines of code, without comments and without attributes that merely speak of unsafe code.
fn has_unsafe(text: &str) -> bool {
    text.lines().map(str::trim_start).filter(|line| !line.starts_with("//")).any(|line| {
        ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"]
            .iter()
            .any(|word| line.contains(word))
    })
}

#[test]
fn unsafe_stands_only_in_its_places() {
    let root = root();
    let mut files = Vec::new();
    for folder in ["core", "plugins"] {
        rust_files(&root.join(folder), &mut files);
    }
    let mut seen = 0;
    let mut broken = Vec::new();
    for file in
        files.iter().filter(|file| !file.components().any(|part| part.as_os_str() == "tests"))
    {
        let name = file.strip_prefix(&root).expect("it was found there");
        if has_unsafe(&fs::read_to_string(file).expect("source is text")) {
            seen += 1;
            if !UNSAFE.iter().any(|place| name.starts_with(place)) {
                broken.push(name.to_path_buf());
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(seen > 3, "hardly any unsafe code was found: this test looks at the wrong thing");
}
