//! Why a pipeline cannot be run, or not be changed.
use crate::negotiate::PlanError;
use crate::pool::PoolError;
use crate::stage::StageError;

/// Why a pipeline cannot be run, or not be changed. [`RunError::stage`] says where to look.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named in the message above it")]
pub enum RunError {
    /// Ports, formats or edges do not fit.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The factory could not make it.
    #[error("stage {stage} cannot be prepared: {source}")]
    Prepare { stage: String, source: StageError },
    /// Its formats are fixed, and it cannot begin; if its device is absent, not yet.
    #[error("stage {stage} cannot begin: {source}")]
    Activate { stage: String, source: StageError, absent: bool },
    /// No memory for its buffers.
    #[error("output {port} cannot have its buffers: {source}")]
    Pool { stage: String, port: String, source: PoolError },
    /// Not on the cores it asks for.
    #[error("stage {stage} cannot be pinned: {why}; change its cpu")]
    Pin { stage: String, why: String },
    /// Nobody tells which cores there are.
    #[error("the cores that this process may use cannot be read: {0}")]
    Cores(edgemill_linux::Error),
    /// No thread.
    #[error("stage {stage} cannot have a thread: {source}")]
    Thread { stage: String, source: std::io::Error },
    /// A thread of the pipeline's own could not be made, or is gone.
    #[error("the pipeline's {thread} thread {problem}")]
    Service { thread: &'static str, problem: String },
    /// One change at a time, and none while it stops.
    #[error("the pipeline is {0}; try again when that is over")]
    Busy(&'static str),
}

impl RunError {
    /// The stage whose entry in the configuration is to be looked at first.
    #[must_use]
    pub fn stage(&self) -> Option<&str> {
        match self {
            Self::Plan(error) => Some(error.stage()).filter(|stage| !stage.is_empty()),
            Self::Prepare { stage, .. }
            | Self::Activate { stage, .. }
            | Self::Pool { stage, .. }
            | Self::Pin { stage, .. }
            | Self::Thread { stage, .. } => Some(stage),
            Self::Cores(_) | Self::Service { .. } | Self::Busy(_) => None,
        }
    }
}
