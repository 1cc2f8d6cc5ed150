//! Packing: payload and release → [`Package`] → signed → sealed → a file. No step can be left out.
use std::io;
use std::path::Path;

use edgemill_linux::file::write_atomic;
use edgemill_model::limits;
use edgemill_model::manifest::{Manifest, ManifestError, Payload, Release, Sha256Digest};
use edgemill_model::package::{CHUNK_BYTES, Header, Prefix, SignatureEntry, TAG_BYTES, body_bytes};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::author::KeyRing;
use crate::cipher::{ChunkCipher, ContentKey, manifest_digest};
use crate::keys::{Fingerprint, KeyError, PublicDeviceKey};
use crate::secret::wipe_stack;
use crate::signed::package_message;

/// A package that cannot be made.
#[derive(Debug, Error)]
pub enum PackError {
    /// The payload or what is said of it breaks a rule.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// No random bytes or no memory for the content key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There are no recipients, or too many.
    #[error("cannot seal to {0} devices, only to 1..={most}: make a package a group", most = limits::STANZAS)]
    Recipients(usize),
    /// A recipient's public key is one that no secret belongs to.
    #[error("device key {0} is not one that a device can have: give the device.pub of the box")]
    BadRecipient(Fingerprint),
    /// The system would not write.
    #[error("cannot write package: {0}")]
    Write(#[source] edgemill_linux::Error),
}

/// A payload, encrypted under a key of its own, and what is said of it.
#[derive(Debug)]
pub struct Package {
    prefix: Prefix,
    body: Vec<u8>,
    content_key: ContentKey,
}

/// A package that the role *targets* vouches for.
#[derive(Debug)]
pub struct SignedPackage(Package);

/// A package as devices take it.
#[derive(Debug)]
pub struct SealedPackage {
    prefix: Prefix,
    body: Vec<u8>,
}

impl Package {
    /// Checks `release`, measures and encrypts `payload`.
    ///
    /// # Errors
    /// [`PackError::Manifest`] or `Key`.
    pub fn pack(payload: &[u8], release: Release) -> Result<Self, PackError> {
        let measured = Payload {
            bytes: payload.len() as u64,
            sha256: Sha256Digest(Sha256::digest(payload).into()),
        };
        let manifest = Manifest::new(release, measured)?;
        let manifest_bytes = manifest.to_bytes()?;
        let content_key = ContentKey::generate()?;
        let digest = Sha256::digest(&manifest_bytes).into();
        let body = encrypt(payload, &content_key.chunks(&digest));
        wipe_stack();
        let header = Header {
            manifest_bytes: u32::try_from(manifest_bytes.len())
                .expect("`to_bytes` holds the limit"),
            body_bytes: body_bytes(measured.bytes),
            body_sha256: Sha256Digest(Sha256::digest(&body).into()),
        };
        let (signatures, stanzas, seal) = (Vec::new(), Vec::new(), [0; 32]);
        let prefix = Prefix { header, manifest_bytes, manifest, signatures, stanzas, seal };
        Ok(Self { prefix, body, content_key })
    }

    /// What it says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.prefix.manifest
    }

    /// Signs header and manifest with every targets key of the ring.
    #[must_use]
    pub fn sign(mut self, keys: &KeyRing) -> SignedPackage {
        let message = package_message(&self.prefix);
        self.prefix.signatures.extend(keys.targets().into_iter().map(|key| SignatureEntry {
            key: *key.public().as_bytes(),
            signature: key.sign(&message),
        }));
        SignedPackage(self)
    }
}

/// In a frame of its own, which is gone when its caller wipes.
#[inline(never)]
fn encrypt(payload: &[u8], cipher: &ChunkCipher) -> Vec<u8> {
    let chunk_bytes = CHUNK_BYTES as usize;
    let tags = payload.len().div_ceil(chunk_bytes) * TAG_BYTES;
    let mut body = Vec::with_capacity(payload.len() + tags);
    let mut chunks = payload.chunks(chunk_bytes).zip(0_u32..).peekable();
    while let Some((chunk, index)) = chunks.next() {
        let start = body.len();
        body.extend(chunk);
        let tag = cipher.seal(index, chunks.peek().is_none(), &mut body[start..]);
        body.extend(tag);
    }
    body
}

impl SignedPackage {
    /// Seals the content key to each of `recipients`.
    ///
    /// # Errors
    /// [`PackError::Recipients`] or `BadRecipient`.
    pub fn seal(self, recipients: &[PublicDeviceKey]) -> Result<SealedPackage, PackError> {
        let Package { mut prefix, body, content_key } = self.0;
        if !(1..=usize::from(limits::STANZAS)).contains(&recipients.len()) {
            return Err(PackError::Recipients(recipients.len()));
        }
        let digest = manifest_digest(&prefix);
        for recipient in recipients {
            let stanza = content_key.wrap_for_device(recipient, &digest);
            let bad = || PackError::BadRecipient(recipient.fingerprint());
            prefix.stanzas.push(stanza.ok_or_else(bad)?);
        }
        prefix.seal = content_key.seal_prefix(&prefix.sealed_bytes());
        Ok(SealedPackage { prefix, body })
    }
}

impl SealedPackage {
    /// What it says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.prefix.manifest
    }

    /// Every byte of the package.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.prefix.to_bytes(), self.body.clone()].concat()
    }

    /// Writes the package.
    ///
    /// # Errors
    /// Those of `writer`.
    pub fn write(&self, writer: &mut impl io::Write) -> io::Result<()> {
        writer.write_all(&self.prefix.to_bytes())?;
        writer.write_all(&self.body)
    }

    /// Puts the package at `path`, whole or not at all.
    ///
    /// # Errors
    /// [`PackError::Write`].
    pub fn write_file(&self, path: &Path) -> Result<(), PackError> {
        write_atomic(path, &self.to_bytes(), 0o644).map_err(PackError::Write)
    }
}
