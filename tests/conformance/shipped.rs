//! The suite over every plugin that Edgemill ships.
use crate::Case;

pub fn cases() -> Vec<Case> {
    Vec::new()
}
