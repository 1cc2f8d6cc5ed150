//! TensorFlow Lite files. One that was accepted is a whole graph.
#![no_main]

use edgemill_import::{Options, import, is_tflite};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if is_tflite(bytes) && let Ok(graph) = import(bytes, &Options::default()) {
        assert!(graph.check().is_ok());
    }
});
