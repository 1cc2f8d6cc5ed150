//! The area `appliance`: what Edgemill costs a box that boots it, in QEMU.
use std::path::Path;

use anyhow::Result;

use super::{Row, median};
use crate::vm::{self, Context};

/// Sets up a box and boots it ten times.
pub fn measure(root: &Path) -> Result<Vec<Row>> {
    let context = Context::new(root, None);
    let mut all = vm::system::measure(&context)?;
    let without = median(&mut all.without);
    let ratio = |name, seconds: f64| Row {
        value: Some(seconds / without),
        medians: vec![("with", seconds), ("without", without)],
        ..plain(name, 0.0, "ratio", 1.1)
    };
    Ok(vec![
        ratio("boot_ready_ratio", median(&mut all.ready)),
        ratio("boot_decision_ratio", median(&mut all.decided)),
        plain("root_mb", all.root, "MB", 250.0),
        plain("package_mb", all.package, "MB", 12.0),
        plain("pss_aarch64_mb", median(&mut all.pss), "MB", 10.0),
        plain("exposure", all.exposure, "points", 2.0),
    ])
}

fn plain(name: &'static str, value: f64, unit: &'static str, at_most: f64) -> Row {
    let command = "cargo xtask figures appliance";
    Row { name, value: Some(value), unit, at_most, command, medians: Vec::new() }
}
