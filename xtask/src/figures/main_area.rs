//! The area `main`: the pipeline's cost, the daemon's memory and its start, on the demo's own pipeline.
use std::path::Path;

use anyhow::Result;

use super::{Row, hops, median};
use crate::demo;

const STARTS: usize = 20;

/// Measures the area; makes the demo first.
pub fn measure(root: &Path) -> Result<Vec<Row>> {
    let demo = demo::prepare(root)?;
    let mut starts = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..STARTS {
        let played = demo.play()?;
        starts.push(played.first_decision_ms);
        memory.push(played.pss_kb as f64 * 1024.0 / 1e6);
    }
    let mut rows = Vec::from(hops::measure(root)?);
    rows.push(plain("pss_mb", median(&mut memory), "MB", 10.0));
    rows.push(plain("start_ms", median(&mut starts), "ms", 25.0));
    Ok(rows)
}

fn plain(name: &'static str, value: f64, unit: &'static str, at_most: f64) -> Row {
    let command = "cargo xtask demo --json";
    Row { name, value: Some(value), unit, at_most, command, medians: Vec::new() }
}
