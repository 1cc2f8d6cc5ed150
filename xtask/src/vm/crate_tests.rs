//! Tests of single crates that wait for a kernel with a camera and GPIO lines, in one guest for each crate.
use std::path::Path;

use anyhow::{Result, ensure};

use super::console::Line;
use super::ramdisk::{Guest, Put};
use crate::cross;

/// Runs them all.
///
/// # Errors
/// The first that fails.
pub fn run(root: &Path) -> Result<()> {
    let capture = cross::test_program(root, &["-p", "edgemill-capture", "--test", "camera"])?;
    guest(root, "camera", vec![Put::new(capture, "/bin/capture")])?;
    daemon(root)?;
    let gpio = cross::test_program(root, &["-p", "actuate-gpio", "--lib"])?;
    guest(root, "gpio", vec![Put::new(gpio, "/bin/actuate-gpio")])
}

/// The daemon itself, with a camera that is refused, goes away and comes back.
fn daemon(root: &Path) -> Result<()> {
    cross::build(root, &["-p", "edgemill-supervisor", "-p", "probe"])?;
    let (built, ours) = (cross::built(root), root.join("tests/vm/daemon"));
    let files = vec![
        Put::new(built.join("edgemilld"), "/bin/edgemilld"),
        Put::new(built.join("libprobe.so"), "/edgemill/plugins/probe.so"),
        Put::new(ours.join("board.toml"), "/edgemill/board.toml"),
        Put::new(ours.join("camera.toml"), "/edgemill/pipelines/camera.toml"),
    ];
    guest(root, "daemon", files)
}

fn guest(root: &Path, name: &str, files: Vec<Put>) -> Result<()> {
    let (script, log) = (format!("{name}.sh"), super::log(root, name));
    let console = Guest { root, name, files, script: &script, log: log.clone() }.run()?;
    let cases = cases(&console);
    ensure!(!cases.is_empty(), "the guest ran no case; its console is in {}", log.display());
    for (case, outcome) in cases {
        let see = log.display();
        ensure!(outcome == "passed", "{case}: {outcome}; the guest's console is in {see}");
    }
    Ok(())
}

/// The cases that a console reports: `CASE name: passed`, or why not.
fn cases(console: &[Line]) -> Vec<(&str, &str)> {
    let texts = console.iter().map(|line| line.text.as_str());
    texts.filter_map(|text| text.strip_prefix("CASE ")?.split_once(": ")).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Line;

    #[test]
    fn a_case_is_a_whole_line() {
        let texts = ["CASE grey: passed", "noise CASE x: passed", "CASE busy: not", "CASE odd"];
        let lines = texts.map(|text| Line { at: Duration::ZERO, text: text.into() });
        assert_eq!(super::cases(&lines), [("grey", "passed"), ("busy", "not")]);
    }
}
