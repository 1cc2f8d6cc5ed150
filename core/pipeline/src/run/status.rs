//! How a pipeline is at one moment: plain data.
use crate::account::{EdgeAccount, StageAccount};
use crate::histogram::Quantiles;
use crate::slot::State;

/// How a pipeline is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Of the pipeline.
    pub name: String,
    /// In the order of the spec.
    pub stages: Vec<StageStatus>,
    /// In the order of the stages and ports that receive.
    pub edges: Vec<EdgeAccount>,
    /// Of every output that has buffers.
    pub pools: Vec<PoolStatus>,
}

/// How a stage is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageStatus {
    /// Of the stage.
    pub name: String,
    /// Now.
    pub state: State,
    /// What led to a state that is not `running`.
    pub why: Option<String>,
    /// Cores that its thread may run on, as the kernel tells.
    pub cores: Vec<usize>,
    /// Its SCHED_FIFO priority, as the kernel tells.
    pub fifo: Option<u8>,
    /// What the kernel refused.
    pub warning: Option<String>,
    /// Time inside the stage's code, per call.
    pub process: Quantiles,
    /// From capture to the end of the call; only of a stage without outputs.
    pub latency: Quantiles,
    /// Its numbers.
    pub account: StageAccount,
}

/// How a pool is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolStatus {
    /// `stage.port` that it belongs to.
    pub port: String,
    /// How many it has.
    pub buffers: usize,
    /// Bytes of each.
    pub buffer_bytes: usize,
    /// How many are in use.
    pub in_use: usize,
}
