//! What can go wrong with a store.
use std::io;
use std::path::PathBuf;

use edgemill_model::manifest::Sha256Digest;
use edgemill_model::package::PackageError;
use edgemill_model::text::shown;
use thiserror::Error;

use crate::device::grants::Refused;
use crate::device::{OpenError, VerifyError};
use crate::keys::KeyError;

/// A store that did not do what was asked. Where it was asked for a change, nothing has changed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// There is none yet.
    #[error("there is no model store at {0:?}: install a model, which makes it")]
    Absent(PathBuf),
    /// One is there already.
    #[error("{0:?} holds files already: give an empty folder for a new store")]
    Exists(PathBuf),
    /// Another process writes it.
    #[error("store {dir:?} is in use by process {}: stop it, or ask it by `edgemill model …`", pid_text(.pid))]
    Busy {
        /// The store.
        dir: PathBuf,
        /// Who, where the kernel tells.
        pid: Option<u32>,
    },
    /// The state is not the one that was written under this key.
    #[error(
        "state of store {0:?} was changed, damaged or written under another store key: \
         give the right store.key, or set the box up again"
    )]
    StateTampered(PathBuf),
    /// Objects without a state.
    #[error("store {0:?} holds models but its state is gone: restore it, or set the box up again")]
    StateMissing(PathBuf),
    /// A later format.
    #[error(
        "state of store {dir:?} is of format {found}, later than this program: update Edgemill"
    )]
    UnsupportedState {
        /// The store.
        dir: PathBuf,
        /// The format.
        found: u8,
    },
    /// A root document older than one seen before.
    #[error(
        "trust.json is version {version}, this box has seen {seen}: install the newer one again"
    )]
    OldRoot {
        /// Of the document given.
        version: u64,
        /// The highest seen.
        seen: u64,
    },
    /// No rule of access.toml allows it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// There is no model of that name.
    #[error("store has no model `{}`: see `edgemill model list`", shown(.0))]
    NoModel(String),
    /// The slot is empty.
    #[error("model `{}` has no {slot} package: see `edgemill model list`", shown(.model))]
    EmptySlot {
        /// Which model.
        model: String,
        /// Which slot.
        slot: SlotName,
    },
    /// The floor has passed it.
    #[error("model `{}`: its {slot} package has counter {counter}, below the floor {floor}: install a newer one", shown(.model))]
    BelowFloor {
        /// Which model.
        model: String,
        /// Which slot.
        slot: SlotName,
        /// Of the package.
        counter: u64,
        /// Of the model.
        floor: u64,
    },
    /// An object is not the one that the state names.
    #[error("object {object} of model `{}` was changed or damaged ({fault}): install the model again", shown(.model))]
    ObjectTampered {
        /// Which model.
        model: String,
        /// Its name in the store.
        object: Sha256Digest,
        /// What was found.
        fault: String,
    },
    /// What is to be installed is not whole.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The package must not be believed here.
    #[error(transparent)]
    Verify(VerifyError),
    /// The package does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No random bytes or memory.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No room.
    #[error("disk is full while writing {0:?}: make room and try again; nothing was changed")]
    DiskFull(PathBuf),
    /// The system would not.
    #[error("cannot {doing} {path:?}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The system would not lock.
    #[error("cannot lock the store: {0}")]
    Lock(#[source] edgemill_linux::Error),
}

impl From<VerifyError> for StoreError {
    fn from(fault: VerifyError) -> Self {
        match fault {
            VerifyError::Package(fault) => Self::Package(fault),
            fault => Self::Verify(fault),
        }
    }
}

/// The three places of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotName {
    /// What runs.
    Active,
    /// What was installed and does not run yet.
    Candidate,
    /// What ran before.
    Previous,
}

impl std::fmt::Display for SlotName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Candidate => "candidate",
            Self::Previous => "previous",
        })
    }
}

fn pid_text(pid: &Option<u32>) -> String {
    pid.map_or_else(|| "(not shown)".into(), |pid| pid.to_string())
}

/// Names what was tried, and tells a full disk from the rest.
pub(crate) fn io_fault(
    doing: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_path_buf();
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::DiskFull(path),
        _ => StoreError::Io { doing, path, source },
    }
}
