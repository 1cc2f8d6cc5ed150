//! What the plugin `probe` counted, held against what the daemon reports.
use std::collections::BTreeMap;
use std::path::Path;

use edgemill_control::{EdgeStatus, PipelineStatus, Report, StageStatus};
use serde::Deserialize;

/// The sum over all instances of one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub received: u64,
    pub emitted: u64,
    pub faulted: u64,
    pub no_buffer: u64,
    pub instances: u64,
}

#[derive(Deserialize)]
struct Line {
    instance: u64,
    received: u64,
    emitted: u64,
    faulted: u64,
    no_buffer: u64,
}

/// Reads the file that a probe appended its counts to: the last line of each instance is the one that counts.
pub fn read(path: &Path) -> Counts {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str::<Line>(line).unwrap());
    let last: BTreeMap<u64, Line> = lines.map(|line| (line.instance, line)).collect();
    let mut sum = Counts::default();
    for line in last.values() {
        sum.received += line.received;
        sum.emitted += line.emitted;
        sum.faulted += line.faulted;
        sum.no_buffer += line.no_buffer;
        sum.instances += 1;
    }
    sum
}

pub fn pipeline<'a>(report: &'a Report, name: &str) -> &'a PipelineStatus {
    let found = report.status.pipelines.iter().find(|pipeline| pipeline.name == name);
    found.unwrap_or_else(|| panic!("no pipeline {name} in {report:#?}"))
}

pub fn stage<'a>(pipeline: &'a PipelineStatus, name: &str) -> &'a StageStatus {
    let found = pipeline.stages.iter().find(|stage| stage.name == name);
    found.unwrap_or_else(|| panic!("no stage {name} in {pipeline:#?}"))
}

/// The edge that ends at this port.
pub fn edge<'a>(pipeline: &'a PipelineStatus, to: &str) -> &'a EdgeStatus {
    let found = pipeline.edges.iter().find(|edge| edge.to == to);
    found.unwrap_or_else(|| panic!("no edge to {to} in {pipeline:#?}"))
}

pub fn lost(edge: &EdgeStatus) -> u64 {
    edge.dropped.values().sum()
}

/// Every identity that holds of a pipeline in which nothing moves any more.
pub fn balances(pipeline: &PipelineStatus) {
    for edge in &pipeline.edges {
        assert_eq!(edge.sent, edge.received + lost(edge) + edge.queued, "{edge:?}");
    }
    for stage in &pipeline.stages {
        let outcomes = stage.passed
            + stage.bypassed
            + stage.consumed
            + stage.delivered
            + stage.faulted
            + stage.no_buffer
            + stage.in_call;
        assert_eq!(stage.received, outcomes, "{stage:?}");
        let arrived = pipeline.edges.iter().filter(|edge| ends_at(edge, &stage.name));
        assert_eq!(stage.received, arrived.map(|edge| edge.received).sum::<u64>(), "{stage:?}");
    }
    for path in &pipeline.paths {
        let dropped: u64 = path.dropped.values().sum();
        assert_eq!(path.sent, path.delivered + path.consumed + dropped + path.queued, "{path:?}");
    }
}

fn ends_at(edge: &EdgeStatus, stage: &str) -> bool {
    edge.to.split_once('.').is_some_and(|(name, _)| name == stage)
}
