//! What a plugin's author writes.
use crate::Result;
use crate::call::Call;
use crate::contract::Contract;
use crate::host::Host;
use crate::params::ParamSet;
use crate::ports::Ports;
use crate::setup::Setup;

/// A plugin. A value of the type is one instance; several may exist at once, so a plugin has no mutable globals.
///
/// The callbacks of one instance never overlap. A panic in any of them is caught, written to the log and answered
/// as a fault; afterwards only [`Actuator::fail_safe`] and teardown reach the instance.
pub trait Plugin: Sized + Send + 'static {
    /// What the pipeline's file may set; `()` for nothing.
    type Params: ParamSet;

    /// What lives from activate to the end of deactivate: buffers kept, weights repacked, the model itself. `()` for a
    /// plugin that needs nothing of the kind.
    type Active<'m>: Send;

    /// Whether process neither allocates nor blocks.
    const REALTIME: bool = false;

    /// Makes an instance. Runs on the preparing thread.
    ///
    /// # Errors
    /// A parameter that makes no sense.
    fn create(host: Host<'_>, params: Self::Params) -> Result<Self>;

    /// Says what the instance takes and gives; called once. `contract` is given where the stage names one. Runs on
    /// the preparing thread.
    ///
    /// # Errors
    /// A contract that the plugin cannot serve, or none where it needs one.
    fn ports(&mut self, contract: Option<Contract>) -> Result<Ports>;

    /// Makes all that process needs, so that process need not allocate. Runs on the preparing thread.
    ///
    /// # Errors
    /// A model or device that cannot be used.
    fn activate<'m>(&mut self, setup: Setup<'m>) -> Result<Self::Active<'m>>;

    /// One call, see [`Reason`](crate::Reason). Runs on the stage's thread.
    ///
    /// # Errors
    /// Each counts as a fault of this stage, but for those of [`Error::is_no_fault`](crate::Error::is_no_fault).
    fn process<'m>(&mut self, active: &mut Self::Active<'m>, call: &Call<'_, 'm>) -> Result<()>;

    /// Undoes activate; what it does not drop, the sdk does. Also called after a panic. Runs on the stage's thread.
    ///
    /// # Errors
    /// They are only written to the log: the instance is inactive afterwards, come what may.
    fn deactivate<'m>(&mut self, host: Host<'m>, active: Self::Active<'m>) -> Result<()> {
        let _ = (host, active);
        Ok(())
    }
}

/// A plugin that drives the world. Export it by `export!(actuator Type)`.
pub trait Actuator: Plugin {
    /// What [`Actuator::fail_safe`] does, in words a person can check against the wiring.
    fn safe_state(&self) -> String;

    /// Puts the output in its safe state. Idempotent; may be called at any time after create.
    ///
    /// # Errors
    /// The output cannot be reached.
    fn fail_safe(&mut self, host: Host<'_>) -> Result<()>;
}
