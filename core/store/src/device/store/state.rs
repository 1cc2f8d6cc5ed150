//! The one file that says what a store holds. Its bytes: the magic `EMSTATE` and a format version of one byte,
//! the length of the JSON as u32 little-endian, the JSON, and HMAC-SHA256 of all that under the store's key.
use std::collections::BTreeMap;

use edgemill_model::manifest::Sha256Digest;
use serde::{Deserialize, Deserializer, Serialize};

use super::SlotName;
use crate::cipher::{check_state, seal_state};
use crate::device::StoreKey;

const MAGIC: [u8; 7] = *b"EMSTATE";
/// What this crate writes. A later one adds the head of the audit log.
const FORMAT: u8 = 1;
/// Some thousand models.
pub(crate) const STATE_BYTES: u64 = 4 << 20;
const HEAD_BYTES: usize = 12;
const SEAL_BYTES: usize = 32;

/// One installed package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// SHA-256 of everything before the body in the object; that names the body's digest.
    pub object: Sha256Digest,
    /// The package's version, for people.
    pub version: String,
    /// Its security counter.
    pub counter: u64,
    /// Bytes of the object.
    pub bytes: u64,
}

/// The slots of one model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slots {
    /// The lowest security counter still taken. It never goes down.
    pub floor: u64,
    /// What runs.
    pub active: Option<Slot>,
    /// What was installed, or rolled back, and does not run.
    pub candidate: Option<Slot>,
    /// What ran before, and is gone back to.
    pub previous: Option<Slot>,
    /// What the active one has still to do: until it has proven itself the floor does not rise.
    #[serde(deserialize_with = "probation")]
    pub probation: Option<Probation>,
}

/// A package that has not proven itself yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probation {
    /// So often may the daemon still start with it before the previous one is gone back to: a package that kills the
    /// daemon must not do so for ever. A start that ends in order is given back.
    pub starts_left: u32,
}

impl Default for Probation {
    fn default() -> Self {
        Self { starts_left: 3 }
    }
}

/// The first boxes wrote only whether there was one.
fn probation<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Probation>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Flag(bool),
        Probation(Option<Probation>),
    }
    Ok(match Written::deserialize(from)? {
        Written::Flag(on) => on.then(Probation::default),
        Written::Probation(probation) => probation,
    })
}

impl Slots {
    /// Those that hold something, with their names.
    pub fn filled(&self) -> impl Iterator<Item = (SlotName, &Slot)> {
        let named = [
            (SlotName::Active, &self.active),
            (SlotName::Candidate, &self.candidate),
            (SlotName::Previous, &self.previous),
        ];
        named.into_iter().filter_map(|(name, slot)| Some((name, slot.as_ref()?)))
    }

    /// The probation of an active package that could be gone back from.
    #[must_use]
    pub fn trial(&self) -> Option<&Probation> {
        self.previous.as_ref().and(self.probation.as_ref())
    }

    fn all(&self) -> impl Iterator<Item = &Slot> {
        [&self.active, &self.candidate, &self.previous].into_iter().flatten()
    }
}

/// The whole state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// One more with every change.
    pub generation: u64,
    /// The highest version of a root document seen.
    pub root_version: u64,
    /// By name.
    pub models: BTreeMap<String, Slots>,
}

/// Why a state was not believed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StateFault {
    /// A later format.
    UnsupportedFormat(u8),
    /// Changed, cut, or of another store's key.
    Tampered,
}

impl State {
    /// The objects that slots name.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Sha256Digest> {
        self.models.values().flat_map(Slots::all).map(|slot| &slot.object)
    }

    pub(crate) fn to_bytes(&self, key: &StoreKey) -> Result<Vec<u8>, serde_json::Error> {
        let json = serde_json::to_vec_pretty(self)?;
        let length = u32::try_from(json.len()).unwrap_or(u32::MAX);
        let mut bytes = [&MAGIC[..], &[FORMAT], &length.to_le_bytes(), &json].concat();
        let seal = seal_state(key.secret(), &bytes);
        bytes.extend(seal);
        Ok(bytes)
    }

    pub(crate) fn from_bytes(bytes: &[u8], key: &StoreKey) -> Result<Self, StateFault> {
        let (sealed, seal) = bytes.split_last_chunk::<SEAL_BYTES>().ok_or(StateFault::Tampered)?;
        check_state(key.secret(), sealed, seal).map_err(|_| StateFault::Tampered)?;
        let (head, json) = sealed.split_first_chunk::<HEAD_BYTES>().ok_or(StateFault::Tampered)?;
        match head[MAGIC.len()] {
            FORMAT if head[..MAGIC.len()] == MAGIC => {}
            FORMAT => return Err(StateFault::Tampered),
            later => return Err(StateFault::UnsupportedFormat(later)),
        }
        let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        if usize::try_from(length) != Ok(json.len()) {
            return Err(StateFault::Tampered);
        }
        serde_json::from_slice(json).map_err(|_| StateFault::Tampered)
    }
}
