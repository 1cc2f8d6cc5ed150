//! Who may sign what, in the manner of The Update Framework (TUF, specification 1.0): a root document, signed
//! by root keys, names the keys and thresholds of the roles *root* and *targets*; *targets* signs packages and
//! plugin lists.
use edgemill_model::text::{from_hex, to_hex};
use serde::{Deserialize, Serialize};

use crate::keys::PublicSigningKey;
use crate::signed::Kind;

/// Keys and how many of them must sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    keys: Vec<PublicSigningKey>,
    threshold: usize,
}

/// More keys than a role would ever have.
const KEYS: usize = 16;

impl Role {
    /// `None` unless there are 1 to 16 different keys and 1 ≤ `threshold` ≤ their number.
    #[must_use]
    pub fn new(keys: Vec<PublicSigningKey>, threshold: usize) -> Option<Self> {
        let different = keys.iter().enumerate().all(|(at, key)| !keys[..at].contains(key));
        let sound = different && keys.len() <= KEYS && (1..=keys.len()).contains(&threshold);
        sound.then_some(Self { keys, threshold })
    }

    /// Its keys.
    #[must_use]
    pub fn keys(&self) -> &[PublicSigningKey] {
        &self.keys
    }

    /// How many different ones must sign.
    #[must_use]
    pub fn threshold(&self) -> usize {
        self.threshold
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRole {
    threshold: usize,
    keys: Vec<String>,
}

impl Serialize for Role {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let keys = self.keys.iter().map(|key| to_hex(key.as_bytes())).collect();
        RawRole { threshold: self.threshold, keys }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawRole::deserialize(deserializer)?;
        let key = |text: &String| PublicSigningKey::from_bytes(&from_hex(text)?);
        let keys: Option<Vec<_>> = raw.keys.iter().map(key).collect();
        keys.and_then(|keys| Self::new(keys, raw.threshold)).ok_or_else(|| {
            serde::de::Error::custom(
                "a role has 1 to 16 different Ed25519 keys and a threshold of 1 to their number",
            )
        })
    }
}

/// The roles of a root document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// Signs root documents.
    pub root: Role,
    /// Signs packages and plugin lists.
    pub targets: Role,
}

/// What root keys say: `signed` in `trust.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootDocument {
    /// From 1; a store refuses one below the highest it has seen.
    pub version: std::num::NonZeroU64,
    /// Seconds since 1970-01-01 UTC after which nothing is verified by it; absent where it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_unix_s: Option<u64>,
    /// Who may sign what.
    pub roles: Roles,
}

impl Kind for RootDocument {
    const NAME: &'static str = "root";
    const REMEDY: &'static str = "copy trust.json and root.pub from the keys folder";
}
