//! The event: the one payload that travels inside its packet.
use crate::format::{FormatError, within};
use crate::name::Name;
use crate::raw;

/// A decision with its name and values checked. Values may be any number, also not finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    name: Name,
    values: [(Name, f64); raw::MAX_VALUES],
    count: usize,
}

impl Event {
    /// A decision without values.
    #[must_use]
    pub fn named(name: Name) -> Self {
        Self { name, values: [(name, 0.0); raw::MAX_VALUES], count: 0 }
    }

    /// With one more value; `None` when there are [`raw::MAX_VALUES`] already.
    #[must_use]
    pub fn with(mut self, name: Name, value: f64) -> Option<Self> {
        *self.values.get_mut(self.count)? = (name, value);
        self.count += 1;
        Some(self)
    }

    /// Checks an event of a packet.
    ///
    /// # Errors
    /// A name that is none, or more values than an event can hold.
    pub fn new(raw: &raw::Event) -> Result<Self, FormatError> {
        let count = within("value_count", raw.value_count, 0, 4)? as usize;
        let mut event = Self::named(Name::from_raw(&raw.name)?);
        for (to, from) in event.values.iter_mut().zip(&raw.values[..count]) {
            *to = (Name::from_raw(&from.name)?, from.value);
        }
        event.count = count;
        Ok(event)
    }

    /// What was decided.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Numbers with names, in the order they were given.
    #[must_use]
    pub fn values(&self) -> &[(Name, f64)] {
        &self.values[..self.count]
    }

    /// As it crosses the boundary.
    #[must_use]
    pub fn raw(&self) -> raw::Event {
        let mut event = raw::Event { name: self.name.raw(), ..raw::Event::default() };
        for (to, (name, value)) in event.values.iter_mut().zip(self.values()) {
            *to = raw::Value { name: name.raw(), value: *value };
            event.value_count += 1;
        }
        event
    }
}
