//! Patience with decisions that waver.
use edgemill_sdk::Name;

use crate::params::Params;

/// The decision that stands, and the one that may replace it.
pub struct Patience {
    hold: u32,
    unknown: Name,
    standing: Name,
    candidate: Name,
    /// How many times in a row the candidate came.
    seen: u32,
}

impl Patience {
    pub fn new(params: &Params) -> Self {
        let unknown = Name::fitted(&params.unknown);
        Self { hold: params.hold, unknown, standing: unknown, candidate: unknown, seen: 0 }
    }

    /// As if nothing had been decided yet.
    pub fn forget(&mut self) {
        (self.standing, self.candidate, self.seen) = (self.unknown, self.unknown, 0);
    }

    /// What stands after this decision; `None` is that nothing is decided.
    pub fn settle(&mut self, decided: Option<Name>) -> Name {
        let name = decided.unwrap_or(self.unknown);
        self.seen = if name == self.candidate { self.seen.saturating_add(1) } else { 1 };
        self.candidate = name;
        if self.seen >= self.hold {
            self.standing = name;
        }
        self.standing
    }
}
