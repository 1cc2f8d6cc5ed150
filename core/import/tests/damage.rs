//! Damaged files are refused, or become another whole graph; nothing panics.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]
mod making;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use edgemill_import::{MAX_BYTES, Options, import};
use making::{model, node};

/// The smaller files of the folder that `EDGEMILL_DATA` names.
fn files() -> Vec<PathBuf> {
    let Ok(data) = std::env::var("EDGEMILL_DATA") else { return Vec::new() };
    let Ok(folder) = std::fs::read_dir(PathBuf::from(data).join("models")) else {
        return Vec::new();
    };
    let small = |path: &PathBuf| path.metadata().is_ok_and(|m| m.len() < 1 << 19);
    let mut files: Vec<PathBuf> = folder.map(|e| e.unwrap().path()).filter(small).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "onnx" || e == "tflite"));
    files.sort();
    files
}

#[test]
fn nothing_panics_on_damaged_files() {
    let files = files();
    if files.is_empty() {
        eprintln!("skipped: EDGEMILL_DATA names no folder with models");
    }
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(state >> 33).unwrap()
    };
    for file in files {
        let whole = std::fs::read(&file).unwrap();
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            let mut damaged = whole.clone();
            for _ in 0..1 + random() % 8 {
                // Structure lies at both ends of such a file, weights between.
                let at = random() % damaged.len().min(16_384);
                let at = if random().is_multiple_of(2) { at } else { damaged.len() - 1 - at };
                damaged[at] = random().to_le_bytes()[0];
            }
            if random().is_multiple_of(8) {
                damaged.truncate(random() % damaged.len());
            }
            if let Ok(graph) = import(&damaged, &Options::default()) {
                graph.check().unwrap();
            }
        }
    }
}

#[test]
fn what_is_no_model_is_refused() {
    for bytes in [&b""[..], b"hello", b"\x08\x01", b"\0\0\0\0TFL3", b"\xff\xff\xff\xffTFL3\0\0"] {
        assert!(import(bytes, &Options::default()).is_err(), "{bytes:?}");
    }
}

#[test]
fn a_cycle_is_refused() {
    let bytes = model(&[1], &[node("Relu", &["y"], "z"), node("Relu", &["z"], "y")], &[]);
    let error = import(&bytes, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("reads what it makes"), "{error}");
}

#[test]
fn an_unknown_operator_is_named_with_its_node() {
    let bytes = model(&[1], &[node("Constellation", &["x"], "y")], &[]);
    let error = import(&bytes, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("Constellation") && error.contains("\"y\""), "{error}");
}

#[test]
fn a_file_beyond_the_limit_is_refused() {
    assert!(import(&vec![0; MAX_BYTES + 1], &Options::default()).is_err());
}
