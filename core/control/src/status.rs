//! How it goes: what `status` answers, and the report that a run leaves behind.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All of a daemon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// The process.
    pub daemon: DaemonStatus,
    /// In the order of their files.
    pub pipelines: Vec<PipelineStatus>,
}

/// The process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaemonStatus {
    /// Of Edgemill.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Name of the board.
    pub board: String,
    /// Milliseconds since it began.
    pub uptime_ms: u64,
    /// The worst state of its pipelines, in a word.
    pub state: DaemonState,
    /// Whether its memory is locked.
    pub memory_locked: bool,
    /// Reloads that were carried out.
    pub reloads: u64,
    /// Why the last reload was refused, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload_refused: Option<String>,
}

/// The state of the daemon in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DaemonState {
    /// No pipeline is configured.
    Idle,
    /// All stages run.
    Running,
    /// Some stage does not.
    Degraded,
    /// On its way out.
    Stopping,
}

/// One pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineStatus {
    /// Its name.
    pub name: String,
    /// From end to end.
    pub account: Account,
    /// In the order of flow.
    pub stages: Vec<StageStatus>,
    /// In the order of the stages they end at.
    pub edges: Vec<EdgeStatus>,
    /// The stages where packets end.
    pub sinks: Vec<SinkStatus>,
}

/// What became of packets, each counted where it happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Emitted by stages without inputs.
    pub sent: u64,
    /// Taken in by sinks without fault.
    pub delivered: u64,
    /// Ended by design at a stage that is no sink: no emit followed.
    pub consumed: u64,
    /// Lost, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Waiting on edges.
    pub queued: u64,
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageStatus {
    /// Its name.
    pub name: String,
    /// `source replay` or `plugin preprocess-image 0.1.0`.
    pub work: String,
    /// `starting`, `running`, `degraded`, `restarting`, `held` or `stopped`.
    pub state: String,
    /// Why, where it is not running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The cores it may run on, as the kernel says.
    pub cpus: Vec<usize>,
    /// Its SCHED_FIFO priority, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// Packets taken in, or for a stage without inputs, its turns that emitted.
    pub received: u64,
    /// Of these, those followed by an emit.
    pub passed: u64,
    /// Of these, those followed by none, by design.
    pub consumed: u64,
    /// Of these, those whose call failed.
    pub faulted: u64,
    /// Of these, those lost for want of a free buffer.
    pub no_buffer: u64,
    /// Packets given out, over all ports.
    pub emitted: u64,
    /// New instances after a fault or a hang.
    pub restarts: u64,
    /// Instances that were abandoned.
    pub hangs: u64,
    /// Time inside its code for one call.
    pub call: Quantiles,
    /// What it measures of itself.
    pub metrics: BTreeMap<String, f64>,
}

/// One edge. sent = received + Σ dropped + queued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeStatus {
    /// `stage.port`
    pub from: String,
    /// `stage.port`
    pub to: String,
    /// `block`, `drop-oldest`, `drop-newest` or `latest`.
    pub overflow: String,
    /// Packets that may wait.
    pub capacity: u32,
    /// Offered by the stage it begins at.
    pub sent: u64,
    /// Taken by the stage it ends at.
    pub received: u64,
    /// Lost on the way, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Waiting now.
    pub queued: u64,
}

/// A stage where packets end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkStatus {
    /// Its name.
    pub stage: String,
    /// From capture until its call came back.
    pub latency: Quantiles,
}

/// Of a histogram of times, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantiles {
    /// Times in it.
    pub count: u64,
    /// Half are below.
    pub p50_us: f64,
    /// 99 of 100 are below.
    pub p99_us: f64,
    /// 999 of 1000 are below.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
}

/// What a run leaves behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// As the process exits.
    pub exit_code: u8,
    /// Why it ended, for a person.
    pub ended: String,
    /// How long starting took.
    pub start: StartTimes,
    /// The last state, with all counts final.
    pub status: Status,
}

/// Milliseconds from exec (as the kernel counts the process's age) until each step was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartTimes {
    /// The first line of main.
    pub main_ms: f64,
    /// Configuration read and checked.
    pub configured_ms: f64,
    /// Store open, models verified and decrypted, plugins verified and loaded.
    pub loaded_ms: f64,
    /// All stages active.
    pub running_ms: f64,
}
