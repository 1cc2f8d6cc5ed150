//! Writes each decision as a line of JSON to a file: what the box decided, when it saw it, and when it acted.
//!
//! Input `in`: events. A line is written by one call, so that readers see whole lines:
//!
//! ```json
//! {"stream":1,"sequence":7,"capture_ns":12,"acted_ns":34,"event":"red","values":{"score":0.98}}
//! {"acted_ns":56,"event":"fail-safe"}
//! ```
//!
//! Times are CLOCK_MONOTONIC. A value that is not a number is `null`.
#![forbid(unsafe_code)]

mod params;
mod process;

use edgemill_sdk::{
    Actuator, Call, Contract, Error, Host, Plugin, Port, Ports, Range, Result, Setup,
};

use params::Params;
use process::Log;

struct ActuateLog {
    params: Params,
    log: Option<Log>,
}

impl ActuateLog {
    fn log(&mut self) -> Result<&mut Log> {
        match &mut self.log {
            Some(log) => Ok(log),
            none => Ok(none.insert(Log::open(&self.params.path)?)),
        }
    }
}

impl Plugin for ActuateLog {
    type Params = Params;
    type Active<'m> = ();

    fn create(_: Host<'_>, params: Params) -> Result<Self> {
        if params.path.is_empty() {
            return Err(Error::unfit("parameter `path` is empty"));
        }
        Ok(Self { params, log: None })
    }

    fn ports(&mut self, _: Option<Contract>) -> Result<Ports> {
        Ok(Ports::new().input(Port::new("in", Range::event())))
    }

    fn activate<'m>(&mut self, _: Setup<'m>) -> Result<()> {
        self.log().map(|_| ())
    }

    fn process<'m>(&mut self, (): &mut (), call: &Call<'_, 'm>) -> Result<()> {
        let (Some(input), Some(event)) = (call.input(0), call.event(0)?) else { return Ok(()) };
        self.log()?.decision(input.origin(), call.host().now_ns(), &event)
    }

    fn deactivate<'m>(&mut self, _: Host<'m>, (): ()) -> Result<()> {
        self.log = None;
        Ok(())
    }
}

impl Actuator for ActuateLog {
    fn safe_state(&self) -> String {
        format!("a line with the event \"fail-safe\" at the end of {}", self.params.path)
    }

    fn fail_safe(&mut self, host: Host<'_>) -> Result<()> {
        self.log()?.fail_safe(host.now_ns())
    }
}

edgemill_sdk::export!(actuator ActuateLog);

#[cfg(test)]
mod tests;
