//! Cases on the image: systemd, the shipped units, the packages installed.
use super::Case;

/// All of them.
pub const CASES: [Case; 0] = [];
