//! Signed documents, and how signatures are counted.
//!
//! A document is JSON of the form `{"signed": …, "signatures": [{"key": HEX, "signature": HEX}, …]}`. What is
//! signed is a line that names the kind, followed by the exact bytes of the value of `signed`, as they stand.
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use edgemill_model::package::{Prefix, SignatureEntry};
use edgemill_model::text::{from_hex, shown, to_hex};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::keys::{Fingerprint, PublicSigningKey, SigningKey};
use crate::roles::Role;

/// Signatures that do not make a role's word.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SignatureFault {
    /// There is none.
    #[error("is unsigned: sign it with `edgemill model sign` or `edgemill plugin sign`")]
    Unsigned,
    /// One does not verify by the key that it names.
    #[error("has a wrong signature by key {key}: what was signed has been changed, copy it again")]
    Wrong {
        /// The key that it names.
        key: Fingerprint,
    },
    /// None is by a key of the role.
    #[error(
        "is signed by unknown key {key}: sign it with a key that trust.json names for this role"
    )]
    UnknownKey {
        /// The first key that it names.
        key: Fingerprint,
    },
    /// Good ones, but too few.
    #[error("is signed by {have} of the {need} keys its role needs: have the others sign it too")]
    Threshold {
        /// Different keys of the role whose signature is good.
        have: usize,
        /// The role's threshold.
        need: usize,
    },
}

/// What a package's signatures are made of: a line that names the kind, the header, the manifest.
pub(crate) fn package_message(prefix: &Prefix) -> Vec<u8> {
    let mut message = b"edgemill package 1\n".to_vec();
    message.extend(prefix.header.to_bytes());
    message.extend(&prefix.manifest_bytes);
    message
}

/// Whether enough different keys of `role` signed `message`. Every signature must hold for the key that it
/// names, so that no byte of them can change unseen; one by a key that the role does not have counts for nothing.
pub(crate) fn judge(
    role: &Role,
    message: &[u8],
    signatures: &[SignatureEntry],
) -> Result<(), SignatureFault> {
    let signers = signers(message, signatures)?;
    let first = signers.first().ok_or(SignatureFault::Unsigned)?;
    let known = signers.iter().filter(|key| role.keys().contains(key));
    match (known.count(), role.threshold()) {
        (0, _) => Err(SignatureFault::UnknownKey { key: first.fingerprint() }),
        (have, need) if have < need => Err(SignatureFault::Threshold { have, need }),
        _ => Ok(()),
    }
}

/// The different keys that signed `message`, which anyone may have made.
pub(crate) fn signers(
    message: &[u8],
    signatures: &[SignatureEntry],
) -> Result<Vec<PublicSigningKey>, SignatureFault> {
    let mut signers = Vec::new();
    for entry in signatures {
        let key = PublicSigningKey::from_bytes(&entry.key)
            .filter(|key| key.verifies(message, &entry.signature))
            .ok_or_else(|| SignatureFault::Wrong { key: Fingerprint::of(&entry.key) })?;
        if !signers.contains(&key) {
            signers.push(key);
        }
    }
    Ok(signers)
}

/// A signed document that cannot be read.
#[derive(Debug, Error)]
pub enum DocumentError {
    /// It is not there.
    #[error("{0:?} is absent: {1}")]
    Absent(PathBuf, &'static str),
    /// The system would not read it.
    #[error("cannot read {0:?}: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// Longer than [`DOCUMENT_BYTES`].
    #[error("{0:?} is longer than {DOCUMENT_BYTES} bytes: it is no such document")]
    TooLong(PathBuf),
    /// Not a document of its kind; the text says where.
    #[error("{0:?} is malformed: {1}: make it again")]
    Malformed(PathBuf, String),
    /// Not signed by its role.
    #[error("{0:?} {1}")]
    Signature(PathBuf, #[source] SignatureFault),
}

/// A fleet's roles, or a thousand plugins, are much shorter.
pub const DOCUMENT_BYTES: u64 = 1 << 20;

/// A kind of document: its name is signed with it, so that none passes for another.
pub(crate) trait Kind: Serialize + DeserializeOwned {
    const NAME: &'static str;
    /// What to do where the file is absent.
    const REMEDY: &'static str;
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    signed: Box<RawValue>,
    signatures: Vec<RawSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSignature {
    key: String,
    signature: String,
}

/// A document that was read and not yet believed.
pub(crate) struct Unverified<T> {
    path: PathBuf,
    message: Vec<u8>,
    signatures: Vec<SignatureEntry>,
    document: T,
}

impl<T: Kind> Unverified<T> {
    pub(crate) fn read(path: &Path) -> Result<Self, DocumentError> {
        let text = read_bounded(path, T::REMEDY)?;
        Self::parse(path, &text)
            .map_err(|fault| DocumentError::Malformed(path.into(), shown(&fault)))
    }

    fn parse(path: &Path, text: &[u8]) -> Result<Self, String> {
        let envelope: Envelope = serde_json::from_slice(text).map_err(|fault| fault.to_string())?;
        let signed = envelope.signed.get();
        let document = serde_json::from_str(signed).map_err(|fault| fault.to_string())?;
        let signatures = envelope.signatures.iter().map(RawSignature::check);
        let signatures: Option<_> = signatures.collect();
        let signatures = signatures.ok_or("a signature is not hexadecimal")?;
        Ok(Self { path: path.into(), message: message::<T>(signed), signatures, document })
    }

    /// What it says, for choosing by what role to judge it: not yet to be believed.
    pub(crate) fn claims(&self) -> &T {
        &self.document
    }

    pub(crate) fn judge(&self, role: &Role) -> Result<(), DocumentError> {
        judge(role, &self.message, &self.signatures)
            .map_err(|fault| DocumentError::Signature(self.path.clone(), fault))
    }

    /// The only way to the document.
    pub(crate) fn verify(self, role: &Role) -> Result<T, DocumentError> {
        self.judge(role)?;
        Ok(self.document)
    }
}

impl RawSignature {
    fn check(&self) -> Option<SignatureEntry> {
        Some(SignatureEntry { key: from_hex(&self.key)?, signature: from_hex(&self.signature)? })
    }
}

pub(crate) fn read_bounded(path: &Path, remedy: &'static str) -> Result<Vec<u8>, DocumentError> {
    let fault = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => DocumentError::Absent(path.into(), remedy),
        _ => DocumentError::Io(path.into(), source),
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(fault)?;
    file.take(DOCUMENT_BYTES + 1).read_to_end(&mut bytes).map_err(fault)?;
    if bytes.len() as u64 > DOCUMENT_BYTES {
        return Err(DocumentError::TooLong(path.into()));
    }
    Ok(bytes)
}

fn message<T: Kind>(signed: &str) -> Vec<u8> {
    let mut bytes = format!("edgemill {} 1\n", T::NAME).into_bytes();
    bytes.extend(signed.as_bytes());
    bytes
}

/// The text of `document` with a signature by each of `keys`.
pub(crate) fn sign<T: Kind>(
    document: &T,
    keys: &[&SigningKey],
) -> Result<String, serde_json::Error> {
    // Indented as it will stand: JSON has no newline inside a string.
    let text = serde_json::to_string_pretty(document)?.replace('\n', "\n  ");
    let signed = RawValue::from_string(text)?;
    let message = message::<T>(signed.get());
    let signature = |key: &&SigningKey| RawSignature {
        key: to_hex(key.public().as_bytes()),
        signature: to_hex(&key.sign(&message)),
    };
    let envelope = Envelope { signatures: keys.iter().map(signature).collect(), signed };
    serde_json::to_string_pretty(&envelope).map(|text| text + "\n")
}
