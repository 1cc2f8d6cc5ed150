//! What a stage is to the pipeline: something with ports that is prepared, activated and then called with packets.
//! Plugins (crate `host`) and sources (crate `capture`) are the two kinds there are; the pipeline knows neither.
use std::sync::Arc;

use edgemill_abi::Reason;
use edgemill_abi::raw::FormatRange;

use crate::format::Format;
use crate::outlet::Outlet;
use crate::packet::Packet;

/// One port as the stage declares it. See `plugin.h`, `edgemill_port`.
#[derive(Clone, Debug)]
pub struct Port {
    /// Unique among the inputs, or among the outputs, of its stage.
    pub name: String,
    /// Best first; never empty.
    pub ranges: Vec<FormatRange>,
    /// Inputs: packets the stage may keep after a call.
    pub held: u32,
    /// Outputs: buffers or emits in one call, at most.
    pub burst: u32,
}

/// All ports of a stage.
#[derive(Clone, Debug, Default)]
pub struct Ports {
    /// What it takes.
    pub inputs: Vec<Port>,
    /// What it gives.
    pub outputs: Vec<Port>,
    /// How often it wants a [`Reason::Timer`] call, in nanoseconds; 0 for never.
    pub timer_ns: u64,
}

/// What a call of [`Stage::process`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Call again.
    Continue,
    /// A source has ended.
    End,
}

/// A prepared instance of a stage. Made, activated and destroyed on the preparing thread, called on its own.
pub trait Stage: Send {
    /// The same answer for the life of the instance.
    fn ports(&self) -> &Ports;

    /// Fixes the formats, in the order of [`Stage::ports`], and hands over the way out. May allocate.
    ///
    /// # Errors
    /// Whatever keeps the stage from running: a device that is absent, a model that does not fit.
    fn activate(
        &mut self,
        inputs: &[Format],
        outputs: &[Format],
        outlet: Arc<Outlet>,
    ) -> Result<(), StageError>;

    /// Asked after an activation that failed: its device is absent and may come later, so that the pipeline can run
    /// without it until then.
    fn awaits_device(&self) -> bool {
        false
    }

    /// One call; `inputs` has an entry for each input port. Never allocates in a stage that is realtime.
    ///
    /// # Errors
    /// A fault of this stage, counted and answered by its failure policy.
    fn process(&mut self, reason: Reason, inputs: &[Option<&Packet>]) -> Result<Flow, StageError>;

    /// Gives back what it kept.
    fn deactivate(&mut self);

    /// Puts an actuator in its safe state; `None` for a stage that drives nothing.
    fn fail_safe(&mut self) -> Option<Result<(), StageError>> {
        None
    }
}

/// Why a stage could not do what it was asked, in words for a person.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct StageError(pub String);
