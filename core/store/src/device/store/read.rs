//! A store that is only read.
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use edgemill_model::manifest::{Manifest, Sha256Digest};
use edgemill_model::package::PackageError;
use sha2::{Digest, Sha256};

use crate::device::grants::Grant;
use crate::device::store::error::{SlotName, StoreError, io_fault};
use crate::device::store::state::{STATE_BYTES, Slot, Slots, State, StateFault};
use crate::device::{ModelView, OpenError, Policy, Sealed, StoreKey, Trust, VerifyError};

/// A store as it was when opened: nothing is locked and nothing is written.
#[derive(Debug)]
pub struct ReadStore {
    pub(crate) dir: PathBuf,
    pub(crate) key: StoreKey,
    pub(crate) state: State,
}

impl ReadStore {
    /// Reads and authenticates the state of the store at `dir`.
    ///
    /// # Errors
    /// [`StoreError::Absent`], `StateMissing`, `StateTampered`, `UnsupportedState` or `Io`.
    pub fn open(dir: &Path, key: StoreKey) -> Result<Self, StoreError> {
        let state = read_state(dir, &key)?;
        Ok(Self { dir: dir.into(), key, state })
    }

    /// What it holds.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The slots of one model.
    ///
    /// # Errors
    /// [`StoreError::NoModel`].
    pub fn slots(&self, model: &str) -> Result<&Slots, StoreError> {
        self.state.models.get(model).ok_or_else(|| StoreError::NoModel(model.into()))
    }

    /// The package in one slot of a model.
    ///
    /// # Errors
    /// [`StoreError::NoModel`] or `EmptySlot`.
    pub fn slot(&self, model: &str, slot: SlotName) -> Result<&Slot, StoreError> {
        let slots = self.slots(model)?;
        let found = match slot {
            SlotName::Active => &slots.active,
            SlotName::Candidate => &slots.candidate,
            SlotName::Previous => &slots.previous,
        };
        found.as_ref().ok_or_else(|| StoreError::EmptySlot { model: model.into(), slot })
    }

    /// What the author says of the package in a slot. It needs no grant: a manifest is in clear.
    ///
    /// # Errors
    /// [`StoreError::NoModel`], `EmptySlot`, `ObjectTampered` or `Io`.
    pub fn manifest(&self, model: &str, slot: SlotName) -> Result<Manifest, StoreError> {
        let sealed = self.sealed(model, self.slot(model, slot)?)?;
        Ok(sealed.manifest_unverified().clone())
    }

    /// Verifies and decrypts the active package of `model` for the stage that the grant names.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where the grant is for another model; else any of reading.
    pub fn open_model(
        &self,
        model: &str,
        grant: &Grant,
        policy: &Policy<'_>,
    ) -> Result<ModelView, StoreError> {
        grant.check(model)?;
        self.open_slot(model, SlotName::Active, policy)
    }

    fn open_slot(
        &self,
        model: &str,
        slot: SlotName,
        policy: &Policy<'_>,
    ) -> Result<ModelView, StoreError> {
        self.check_root(policy.trust)?;
        let slot = self.slot(model, slot)?;
        let floor = self.slots(model)?.floor;
        let tampered = |fault: String| tampered(model, &slot.object, fault);
        // The prefix is the one that was installed, so that any other fault is a judgement, not damage.
        let verified =
            self.sealed(model, slot)?.verify(policy, floor).map_err(|fault| match fault {
                VerifyError::Package(fault) => self.reading(model, slot, fault),
                VerifyError::BodyDigest => tampered(fault.to_string()),
                fault => StoreError::Verify(fault),
            })?;
        verified.open_with(&self.key).map_err(|fault| match fault {
            OpenError::Memory(_) | OpenError::Key(_) => StoreError::Open(fault),
            fault => tampered(fault.to_string()),
        })
    }

    /// A root document older than one seen before is a replay.
    pub(crate) fn check_root(&self, trust: &Trust) -> Result<(), StoreError> {
        let (version, seen) = (trust.version(), self.state.root_version);
        if version < seen { Err(StoreError::OldRoot { version, seen }) } else { Ok(()) }
    }

    /// The object of a slot, whose prefix is the one the state names.
    fn sealed(&self, model: &str, slot: &Slot) -> Result<Sealed<File>, StoreError> {
        let path = object_path(&self.dir, &slot.object);
        let file = File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => tampered(model, &slot.object, "it is gone".into()),
            _ => io_fault("open", &path)(source),
        })?;
        let sealed = Sealed::read(file).map_err(|fault| self.reading(model, slot, fault))?;
        if object_name(&sealed.prefix().to_bytes()) != slot.object {
            return Err(tampered(model, &slot.object, "its prefix is another".into()));
        }
        Ok(sealed)
    }

    fn reading(&self, model: &str, slot: &Slot, fault: PackageError) -> StoreError {
        match fault {
            PackageError::Io(source) => {
                io_fault("read", &object_path(&self.dir, &slot.object))(source)
            }
            fault => tampered(model, &slot.object, fault.to_string()),
        }
    }
}

fn tampered(model: &str, object: &Sha256Digest, fault: String) -> StoreError {
    StoreError::ObjectTampered { model: model.into(), object: *object, fault }
}

pub(crate) fn object_name(prefix: &[u8]) -> Sha256Digest {
    Sha256Digest(Sha256::digest(prefix).into())
}

pub(crate) fn object_path(dir: &Path, object: &Sha256Digest) -> PathBuf {
    dir.join("objects").join(object.to_string())
}

pub(crate) fn state_path(dir: &Path) -> PathBuf {
    dir.join("state")
}

pub(crate) fn read_state(dir: &Path, key: &StoreKey) -> Result<State, StoreError> {
    let path = state_path(dir);
    let file = match File::open(&path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Err(without_state(dir)),
        opened => opened.map_err(io_fault("open", &path))?,
    };
    let mut bytes = Vec::new();
    file.take(STATE_BYTES).read_to_end(&mut bytes).map_err(io_fault("read", &path))?;
    State::from_bytes(&bytes, key).map_err(|fault| match fault {
        StateFault::Tampered => StoreError::StateTampered(dir.into()),
        StateFault::UnsupportedFormat(found) => {
            StoreError::UnsupportedState { dir: dir.into(), found }
        }
    })
}

/// A store that was never made has no objects; one that has lost its state does, and must not start anew with
/// its floors forgotten.
fn without_state(dir: &Path) -> StoreError {
    let objects = fs::read_dir(dir.join("objects")).ok().and_then(|mut entries| entries.next());
    match objects {
        None => StoreError::Absent(dir.into()),
        Some(_) => StoreError::StateMissing(dir.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::author::KeyRing;

    #[test]
    fn a_root_document_older_than_one_seen_is_a_replay() {
        let name = format!("edgemill-root-{}", std::process::id());
        let keys = std::env::temp_dir().join(name);
        KeyRing::init(&keys).unwrap();
        let trust = Trust::load(&keys.join("trust.json")).unwrap();
        let key = StoreKey::load(&keys.join("store.key")).unwrap();
        let mut store = ReadStore { dir: keys.clone(), key, state: State::default() };
        for (seen, replayed) in [(0, false), (1, false), (2, true)] {
            store.state.root_version = seen;
            let found = matches!(
                store.check_root(&trust),
                Err(StoreError::OldRoot { version: 1, seen: 2 })
            );
            assert_eq!(found, replayed, "seen {seen}");
        }
        fs::remove_dir_all(keys).unwrap();
    }
}
