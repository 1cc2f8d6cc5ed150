//! The wiring, as the parameters describe it, and the pin.
use std::path::PathBuf;

use edgemill_sdk::{Error, Name, Result};
use gpiocdev::Request;
use gpiocdev::chip::{Chip, chips};
use gpiocdev::line::{Offset, Value};
use gpiocdev::request::Config;

use crate::params::{Params, Safe};

/// Who has the line, in the eyes of `gpioinfo`.
const CONSUMER: &str = "edgemill";

/// What is connected where, checked.
pub struct Wiring {
    line: String,
    chip: Option<String>,
    on: Vec<Name>,
    active_low: bool,
    safe: Safe,
}

impl Wiring {
    pub fn new(params: Params) -> Result<Self> {
        let Params { chip, line, on, active_low, safe } = params;
        if line.is_empty() {
            return Err(Error::unfit("parameter `line` is empty"));
        }
        if chip.is_none() && line.parse::<Offset>().is_ok() {
            let text = format!("line {line} is an offset: say of which chip by `chip`");
            return Err(Error::unfit(text));
        }
        let on: Vec<_> =
            on.split(',').map(str::trim).filter(|e| !e.is_empty()).map(Name::fitted).collect();
        if on.is_empty() {
            return Err(Error::unfit("parameter `on` names no event"));
        }
        Ok(Self { line, chip, on, active_low, safe })
    }

    /// Level at the pin that an event asks for.
    pub fn level(&self, event: &Name) -> Value {
        let active = self.on.contains(event);
        if active == self.active_low { Value::Inactive } else { Value::Active }
    }

    /// In words, for whoever checks the wiring.
    pub fn safe_state(&self) -> String {
        let state = match self.safe {
            Safe::Low => "driven low",
            Safe::High => "driven high",
            Safe::Input => "an input",
        };
        format!("{} is {state}", self.place())
    }

    fn place(&self) -> String {
        match &self.chip {
            Some(chip) => format!("GPIO line {} of {chip}", self.line),
            None => format!("GPIO line {}", self.line),
        }
    }

    /// What the pin must be in its safe state; `None` for an input.
    fn safe_level(&self) -> Option<Value> {
        match self.safe {
            Safe::Low => Some(Value::Inactive),
            Safe::High => Some(Value::Active),
            Safe::Input => None,
        }
    }

    fn failed(&self, doing: &str, error: &gpiocdev::Error) -> Error {
        Error::io(format!("cannot {doing} {}: {error}", self.place()))
    }

    /// Device and offset of the line.
    fn find(&self) -> Result<(PathBuf, Offset)> {
        let Some(chip) = &self.chip else { return self.search() };
        let opened = open(chip).map_err(|error| self.failed("find", &error))?;
        let named = || opened.find_line_info(&self.line).map(|info| info.offset);
        let offset = self.line.parse().ok().or_else(named).ok_or_else(|| self.absent())?;
        Ok((opened.path().to_owned(), offset))
    }

    fn search(&self) -> Result<(PathBuf, Offset)> {
        let name = self.line.as_str();
        let names = [name];
        let found = gpiocdev::find_named_lines(&names, true);
        let mut found = found.map_err(|error| self.failed("find", &error))?;
        let line = found.remove(name).ok_or_else(|| self.absent())?;
        Ok((line.chip, line.info.offset))
    }

    fn absent(&self) -> Error {
        Error::io(format!("there is no {}: gpioinfo lists what there is", self.place()))
    }
}

/// The chip of that path, name or label. A label stays the same where the number in a name does not.
fn open(chip: &str) -> gpiocdev::Result<Chip> {
    if chip.contains('/') {
        return Chip::from_path(chip);
    }
    Chip::from_name(chip).or_else(|error| {
        let labelled = |found: &Chip| found.info().is_ok_and(|info| info.label == chip);
        let mut all = chips()?.into_iter().filter_map(|path| Chip::from_path(path).ok());
        all.find(labelled).ok_or(error)
    })
}

/// The line, requested from the kernel. Without libgpiod's active-low: levels are those at the pin.
pub struct Pin {
    request: Request,
    offset: Offset,
    /// The level it is driven to; `None` while it is an input.
    driven: Option<Value>,
}

impl Pin {
    /// Requests the line in its safe state, so that it is in no other for a moment.
    pub fn request(wiring: &Wiring) -> Result<Self> {
        let (chip, offset) = wiring.find()?;
        let driven = wiring.safe_level();
        let mut builder = Request::builder();
        builder.on_chip(chip).with_consumer(CONSUMER).with_line(offset);
        match driven {
            Some(level) => builder.as_output(level),
            None => builder.as_input(),
        };
        let request = builder.request().map_err(|error| wiring.failed("request", &error))?;
        Ok(Self { request, offset, driven })
    }

    /// Drives the pin.
    pub fn drive(&mut self, wiring: &Wiring, level: Value) -> Result<()> {
        match self.driven {
            Some(now) if now == level => return Ok(()),
            Some(_) => self.request.set_value(self.offset, level),
            None => {
                let mut config = Config::default();
                self.request.reconfigure(config.with_line(self.offset).as_output(level))
            }
        }
        .map_err(|error| wiring.failed("drive", &error))?;
        self.driven = Some(level);
        Ok(())
    }

    /// Puts the pin in its safe state, whatever it is in: the kernel is told again even if it should be there.
    pub fn make_safe(&mut self, wiring: &Wiring) -> Result<()> {
        let mut config = Config::default();
        config.with_line(self.offset);
        match wiring.safe_level() {
            Some(level) => config.as_output(level),
            None => config.as_input(),
        };
        let done = self.request.reconfigure(&config);
        done.map_err(|error| wiring.failed("make safe", &error))?;
        self.driven = wiring.safe_level();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(line: &str, on: &str) -> Params {
        let (chip, line, on) = (None, line.to_owned(), on.to_owned());
        Params { chip, line, on, active_low: false, safe: Safe::Low }
    }

    #[test]
    fn events_ask_for_levels() {
        let cases = [
            ("red", false, Value::Active),
            ("yellow", false, Value::Active),
            ("green", false, Value::Inactive),
            ("red", true, Value::Inactive),
            ("green", true, Value::Active),
        ];
        for (event, active_low, level) in cases {
            let params = Params { active_low, ..params("LAMP", "red, yellow,") };
            let wiring = Wiring::new(params).expect("valid");
            assert_eq!(wiring.level(&Name::fitted(event)), level, "{event} {active_low}");
        }
    }

    #[test]
    fn wirings_that_make_no_sense_are_refused() {
        let cases = [("", "red", "`line`"), ("7", "red", "`chip`"), ("LAMP", " , ", "`on`")];
        for (line, on, named) in cases {
            let error = Wiring::new(params(line, on)).err().expect("refused").to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
