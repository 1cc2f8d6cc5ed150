//! ONNX files. One that was accepted is a graph whose bytes can be read again.
#![no_main]

use edgemill_import::{Options, import};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if !edgemill_import::is_tflite(bytes) && let Ok(graph) = import(bytes, &Options::default()) {
        assert!(graph.check().is_ok());
    }
});
