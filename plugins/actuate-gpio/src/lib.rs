//! Drives one line of a GPIO chip, by the kernel's character device (GPIO v2): active for some events, inactive for the
//! others.
//!
//! Input `in`: events. From activate on the line is in its safe state until the first event; the fail-safe puts
//! it back there, and so does deactivate before the line is let go. What a line does once nobody holds it is the
//! chip's business: a pull resistor should agree with the safe state.
#![forbid(unsafe_code)]

mod params;
mod process;

use edgemill_sdk::{Actuator, Call, Contract, Host, Plugin, Port, Ports, Range, Result, Setup};

use params::Params;
use process::{Pin, Wiring};

struct Gpio {
    wiring: Wiring,
    pin: Option<Pin>,
}

impl Gpio {
    fn pin(&mut self) -> Result<&mut Pin> {
        match &mut self.pin {
            Some(pin) => Ok(pin),
            none => Ok(none.insert(Pin::request(&self.wiring)?)),
        }
    }

    fn make_safe(&mut self) -> Result<()> {
        self.pin()?;
        self.pin.as_mut().map_or(Ok(()), |pin| pin.make_safe(&self.wiring))
    }
}

impl Plugin for Gpio {
    type Params = Params;
    type Active<'m> = ();

    fn create(_: Host<'_>, params: Params) -> Result<Self> {
        Ok(Self { wiring: Wiring::new(params)?, pin: None })
    }

    fn ports(&mut self, _: Option<Contract>) -> Result<Ports> {
        Ok(Ports::new().input(Port::new("in", Range::event())))
    }

    fn activate<'m>(&mut self, _: Setup<'m>) -> Result<()> {
        self.make_safe()
    }

    fn process<'m>(&mut self, (): &mut (), call: &Call<'_, 'm>) -> Result<()> {
        let Some(event) = call.event(0)? else { return Ok(()) };
        let level = self.wiring.level(event.name());
        self.pin.as_mut().map_or(Ok(()), |pin| pin.drive(&self.wiring, level))
    }

    fn deactivate<'m>(&mut self, _: Host<'m>, (): ()) -> Result<()> {
        let safe = self.make_safe();
        self.pin = None;
        safe
    }
}

impl Actuator for Gpio {
    fn safe_state(&self) -> String {
        self.wiring.safe_state()
    }

    fn fail_safe(&mut self, _: Host<'_>) -> Result<()> {
        self.make_safe()
    }
}

edgemill_sdk::export!(actuator Gpio);

#[cfg(test)]
mod tests;
