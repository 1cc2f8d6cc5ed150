//! What the supervising thread hears.
use super::super::build::Layout;
use super::super::error::RunError;
use super::super::wiring::Instance;
use crate::slot::Stop;
use crate::spec::Spec;

/// What the supervising thread hears.
pub(in super::super) enum Report {
    // From stages.
    /// The thread is on its cores, or could not get there.
    Settled {
        slot: u64,
        result: Result<(), String>,
    },
    /// An instance serves.
    Running {
        slot: u64,
    },
    /// The instance has failed and is gone.
    Fault {
        slot: u64,
        error: String,
    },
    /// The old instance is gone as it should, and another one is to come.
    Vacant {
        slot: u64,
    },
    /// The new wiring is in place.
    Switched {
        slot: u64,
    },
    /// The safe state was applied.
    FailSafe {
        slot: u64,
        why: String,
        error: Option<String>,
    },
    /// Something worth a line.
    Warning {
        slot: u64,
        text: String,
    },
    /// The thread has ended.
    Ended {
        slot: u64,
    },
    // From the preparing thread.
    Built {
        spec: Spec,
        result: Result<Box<Layout>, RunError>,
    },
    Made {
        slot: u64,
        turn: u64,
        result: Result<Instance, RunError>,
    },
    // From the owner.
    Stop(Stop),
    Reload(Spec),
}
