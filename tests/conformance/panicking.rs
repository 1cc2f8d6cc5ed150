//! A plugin made with the sdk that panics in the callback it is told to.
#![forbid(unsafe_code)]
use edgemill_sdk::{
    Actuator, Call, Contract, Host, Plugin, Port, Ports, Range, Result, Setup, choices, params,
};

choices! {
    /// Names of the callbacks.
    pub enum Callback {
        Create = "create", Ports = "ports", Activate = "activate", Process = "process",
        Deactivate = "deactivate", Destroy = "destroy", FailSafe = "fail-safe",
    }
}

params! {
    /// What a test sets.
    pub struct Params {
        /// The callback that panics.
        callback: Callback,
    }
}

struct Panicking(Callback);

impl Panicking {
    fn reach(&self, callback: Callback) {
        assert!(self.0 != callback, "as told");
    }
}

impl Plugin for Panicking {
    type Params = Params;
    type Active<'m> = ();

    fn create(_: Host<'_>, params: Params) -> Result<Self> {
        let this = Self(params.callback);
        this.reach(Callback::Create);
        Ok(this)
    }

    fn ports(&mut self, _: Option<Contract>) -> Result<Ports> {
        self.reach(Callback::Ports);
        Ok(Ports::new().input(Port::new("in", Range::event())))
    }

    fn activate<'m>(&mut self, _: Setup<'m>) -> Result<()> {
        self.reach(Callback::Activate);
        Ok(())
    }

    fn process<'m>(&mut self, (): &mut (), _: &Call<'_, 'm>) -> Result<()> {
        self.reach(Callback::Process);
        Ok(())
    }

    fn deactivate<'m>(&mut self, _: Host<'m>, (): ()) -> Result<()> {
        self.reach(Callback::Deactivate);
        Ok(())
    }
}

impl Actuator for Panicking {
    fn safe_state(&self) -> String {
        "nothing moves".to_owned()
    }

    fn fail_safe(&mut self, _: Host<'_>) -> Result<()> {
        self.reach(Callback::FailSafe);
        Ok(())
    }
}

impl Drop for Panicking {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.reach(Callback::Destroy);
        }
    }
}

edgemill_sdk::export!(actuator Panicking);
