//! Settings of the whole process. See prctl(2).
use nix::sys::prctl;

use crate::error::{Context, Result};

/// No core dump, and no ptrace by others of the same user: PR_SET_DUMPABLE 0.
///
/// # Errors
/// An emulator that does not know the call.
pub fn forbid_dumps() -> Result<()> {
    prctl::set_dumpable(false).context("prctl", || "PR_SET_DUMPABLE".into())
}

/// Keeps transparent huge pages from rounding small mappings up to 2 MiB: PR_SET_THP_DISABLE.
///
/// # Errors
/// An emulator that does not know the call.
pub fn forbid_huge_pages() -> Result<()> {
    prctl::set_thp_disable(true).context("prctl", || "PR_SET_THP_DISABLE".into())
}

/// The effective user id: geteuid(2).
#[must_use]
pub fn user() -> u32 {
    nix::unistd::geteuid().as_raw()
}
