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
    /// Its proportional set size, plugins, pools and models included, in KiB; 0 where the kernel does not tell.
    pub pss_kib: u64,
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
    /// In the order of flow.
    pub stages: Vec<StageStatus>,
    /// In the order of the stages they end at.
    pub edges: Vec<EdgeStatus>,
    /// From every source to every sink, where no stage between joins.
    pub paths: Vec<PathStatus>,
}

/// One stage. received = passed + bypassed + consumed + delivered + faulted + no_buffer + in_call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// The cores it may run on, as the kernel says; empty before its thread runs.
    pub cpus: Vec<usize>,
    /// Its SCHED_FIFO priority, as the kernel says, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// Inputs that it was called with.
    pub received: u64,
    /// Inputs of calls that emitted.
    pub passed: u64,
    /// Inputs handed on unchanged while the stage was out of order.
    pub bypassed: u64,
    /// Inputs of calls that emitted nothing, by design.
    pub consumed: u64,
    /// Inputs that ended here well, of a stage without outputs.
    pub delivered: u64,
    /// Inputs of calls that failed or hung.
    pub faulted: u64,
    /// Inputs lost for want of a free buffer.
    pub no_buffer: u64,
    /// Inputs of the call that is going on.
    pub in_call: u64,
    /// Packets given out, over all ports; the copies of a tee count as one.
    pub emitted: u64,
    /// Samples of the world that a source lost before it could emit them.
    pub skipped: u64,
    /// Buffers asked for and not had.
    pub refusals: u64,
    /// Calls that failed.
    pub faults: u64,
    /// Calls that never came back.
    pub hangs: u64,
    /// New instances after a fault or a hang.
    pub restarts: u64,
    /// Time of one call.
    pub call: Quantiles,
    /// From capture to the end of its call, of a stage without outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Quantiles>,
    /// What it measures of itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
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

/// From one source to one sink. sent = delivered + consumed + Σ dropped + queued, where one packet becomes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathStatus {
    /// The stage it begins at.
    pub source: String,
    /// The stage it ends at.
    pub sink: String,
    /// Put on this path by the source.
    pub sent: u64,
    /// Taken by the sink.
    pub delivered: u64,
    /// Taken by a stage between that made nothing of it, by design.
    pub consumed: u64,
    /// Lost, by reason: `overflow`, `stale`, `restart`, `unmatched`, `stopped`, `fault`, `no_buffer`.
    pub dropped: BTreeMap<String, u64>,
    /// Waiting on edges or in a call.
    pub queued: u64,
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

/// Milliseconds from the first line of the program until each step was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartTimes {
    /// Configuration read and checked.
    pub configured_ms: f64,
    /// Store open, models verified and decrypted, plugins verified and loaded.
    pub loaded_ms: f64,
    /// All stages active.
    pub running_ms: f64,
}
