//! Plugins in C, built with nothing but the headers, in the real daemon beside those in Rust.
use std::path::Path;

use edgemill_tests::compiler::{cc, succeed};

use crate::counts::{balances, pipeline, stage};
use crate::site::Site;

/// Builds a plugin of the site from this source.
pub fn build(site: &Site, source: &Path, id: &str) {
    let library = site.folder.join(format!("plugins/{id}.so"));
    succeed(cc().args(["-fPIC", "-fvisibility=hidden", "-shared", "-o"]).arg(library).arg(source));
}

fn here(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A sink for pictures, which nothing that we ship is.
pub fn picture_sink(site: &Site) {
    build(site, &here("functional/picture_sink.c"), "picture-sink");
}

#[test]
fn a_plugin_in_c_stands_between_two_in_rust() {
    let site = Site::new();
    build(&site, &here("../plugins/examples/c/debounce.c"), "debounce");
    let stages = "[[stage]]\nname = \"source\"\nplugin = \"probe\"\n\
        params = { role = \"source\", kind = \"event\", count = 100 }\n\
        [[stage]]\nname = \"debounce\"\nplugin = \"debounce\"\nparams = { count = 3 }\n\
        input = { from = \"source\", overflow = \"block\" }\n\
        [[stage]]\nname = \"act\"\nplugin = \"actuate-log\"\nparams = { path = \"../decisions.jsonl\" }\n\
        input = { from = \"debounce\", overflow = \"block\" }\n";
    site.plugin("probe").plugin("actuate-log").pipeline("p", stages);
    let report = site.run();
    let pipeline = pipeline(&report, "p");
    balances(pipeline);
    let debounce = stage(pipeline, "debounce");
    assert_eq!((debounce.passed, debounce.consumed), (98, 2), "{debounce:?}");
    assert_eq!(stage(pipeline, "act").delivered, 98);
    let log = std::fs::read_to_string(site.folder.join("decisions.jsonl")).unwrap();
    assert_eq!(log.lines().filter(|line| line.contains("\"probe\"")).count(), 98, "{log}");
}

#[test]
fn a_pattern_of_pictures_reaches_a_sink() {
    let site = Site::new();
    picture_sink(&site);
    let stages = "[[stage]]\nname = \"camera\"\nsource = \"pattern\"\nparams = { frames = 50 }\n\
        [[stage]]\nname = \"sink\"\nplugin = \"picture-sink\"\n\
        input = { from = \"camera\", overflow = \"block\" }\n";
    site.pipeline("p", stages);
    let report = site.run();
    let pipeline = pipeline(&report, "p");
    balances(pipeline);
    assert_eq!(stage(pipeline, "sink").delivered, 50);
    assert!(stage(pipeline, "sink").latency.is_some_and(|latency| latency.count == 50));
}
