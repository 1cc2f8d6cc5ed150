//! The graph format. One that was accepted survives being written and read again.
#![no_main]

use edgemill_model::graph::Graph;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(graph) = Graph::from_bytes(bytes, Limits::default()) {
        let written = graph.to_bytes();
        assert_eq!(Graph::from_bytes(&written).map(|graph| graph.to_bytes()), Ok(written));
    }
});
