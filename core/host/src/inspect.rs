//! What a plugin's file says of itself, asked in a child process.
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::child::{self, ChildError, Job};
use crate::descriptor::Descriptor;
use crate::library::Library;
use crate::text::{hex, printable};

/// How long a library may take to load. Constructors of what we ship take milliseconds; an emulator is slower.
const LIMIT: Duration = Duration::from_secs(10);

/// A plugin's file, looked into.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// Digest of the file, as a signed list has it.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// What the plugin says.
    pub descriptor: Descriptor,
}

/// Why a file could not be looked into.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It is no plugin that this host takes. The words are [`crate::LoadError`]'s, file first.
    #[error("{0}")]
    Refused(String),
    /// The child that loaded it did not answer.
    #[error("{}: {cause}", printable(&.path.to_string_lossy(), 300))]
    Child {
        /// The file.
        path: PathBuf,
        /// What became of the child.
        cause: ChildError,
    },
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Request {
    path: PathBuf,
}

/// Loads the file in a child process and says what is in it. The binary's `main` must begin with
/// [`child::maybe_run`].
///
/// # Errors
/// The file is no plugin, or loading it crashes or hangs.
pub fn inspect(path: &Path) -> Result<Inspection, InspectError> {
    let job = Job::Inspect(Request { path: path.to_owned() });
    let answer: Result<Inspection, String> = child::run(&job, &[], &[], LIMIT)
        .map_err(|cause| InspectError::Child { path: path.to_owned(), cause })?;
    answer.map_err(InspectError::Refused)
}

/// The child's part.
pub(crate) fn perform(request: &Request) -> Result<Inspection, String> {
    let library = Library::open(&request.path, None).map_err(|e| e.to_string())?;
    Ok(Inspection {
        sha256: hex(library.sha256()),
        bytes: library.bytes(),
        descriptor: library.descriptor().clone(),
    })
}
