//! The graph format. One that was accepted is written as the bytes that it was read from.
#![no_main]

use edgemill_model::graph::{Graph, Limits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(graph) = Graph::from_bytes(bytes, Limits::default()) {
        assert_eq!(graph.to_bytes(), bytes);
    }
});
