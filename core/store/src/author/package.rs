//! Packing: payload and release → [`Package`] → [`SealedPackage`], which is signed then or later.
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use edgemill_linux::file::write_atomic;
use edgemill_model::limits;
use edgemill_model::manifest::{Manifest, ManifestError, Payload, Release, Sha256Digest};
use edgemill_model::package::{
    CHUNK_BYTES, Header, PackageError, Prefix, Section, SignatureEntry, TAG_BYTES, body_bytes,
};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::author::KeyRing;
use crate::cipher::{ChunkCipher, ContentKey, manifest_digest};
use crate::device::VerifyError;
use crate::keys::{Fingerprint, KeyError, PublicDeviceKey, PublicSigningKey};
use crate::secret::wipe_stack;
use crate::signed::{package_message, signers};

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
    /// A package to be signed cannot be read, is not whole, or has a wrong signature already.
    #[error("{path:?}: {fault}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: VerifyError,
    },
    /// It has those of others.
    #[error("package would have {0} signatures, at most {most} are allowed: pack it again", most = limits::SIGNATURES)]
    TooManySignatures(usize),
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

/// A package as devices take it once it is signed.
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
        let measured = Payload { bytes: payload.len() as u64, sha256: digest(payload) };
        let manifest = Manifest::new(release, measured)?;
        let manifest_bytes = manifest.to_bytes()?;
        let content_key = ContentKey::generate()?;
        let body = encrypt(payload, &content_key.chunks(&digest(&manifest_bytes).0));
        wipe_stack();
        let header = Header {
            manifest_bytes: u32::try_from(manifest_bytes.len())
                .expect("`to_bytes` holds the limit"),
            body_bytes: body_bytes(measured.bytes),
            body_sha256: digest(&body),
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

    /// Seals the content key to each of `recipients`.
    ///
    /// # Errors
    /// [`PackError::Recipients`] or `BadRecipient`.
    pub fn seal(self, recipients: &[PublicDeviceKey]) -> Result<SealedPackage, PackError> {
        let Package { mut prefix, body, content_key } = self;
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

impl SealedPackage {
    /// What it says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.prefix.manifest
    }

    /// Signs header and manifest with every targets key of the ring, and leaves the signatures of others.
    #[must_use]
    pub fn sign(mut self, keys: &KeyRing) -> Self {
        let message = package_message(&self.prefix);
        for key in keys.targets() {
            let entry =
                SignatureEntry { key: *key.public().as_bytes(), signature: key.sign(&message) };
            self.prefix.signatures.retain(|other| other.key != entry.key);
            self.prefix.signatures.push(entry);
        }
        self
    }

    /// Reads a package whole, and checks that its body is the one that its signatures speak of.
    ///
    /// # Errors
    /// [`VerifyError::Package`] or `BodyDigest`.
    pub fn read(reader: &mut impl Read) -> Result<Self, VerifyError> {
        let prefix = Prefix::read(reader)?;
        let mut body = Vec::new();
        let mut bounded = reader.take(prefix.header.body_bytes);
        bounded.read_to_end(&mut body).map_err(PackageError::Io)?;
        if body.len() as u64 != prefix.header.body_bytes {
            return Err(PackageError::Truncated(Section::Body).into());
        }
        if reader.read(&mut [0]).map_err(PackageError::Io)? != 0 {
            return Err(PackageError::Trailing.into());
        }
        if digest(&body) != prefix.header.body_sha256 {
            return Err(VerifyError::BodyDigest);
        }
        Ok(Self { prefix, body })
    }

    /// Every byte of the package.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.prefix.to_bytes(), self.body.clone()].concat()
    }

    /// Puts the package at `path`, whole or not at all.
    ///
    /// # Errors
    /// [`PackError::Write`].
    pub fn write_file(&self, path: &Path) -> Result<(), PackError> {
        write_atomic(path, &self.to_bytes(), 0o644).map_err(PackError::Write)
    }
}

/// Adds the signatures of every targets key of the ring to the package at `path`. Where a threshold is held by
/// several people, each does so in turn; none needs the content key. Gives all whose signature it now has.
///
/// # Errors
/// [`PackError::Read`], `TooManySignatures` or `Write`; the package is then as it was.
pub fn sign_package(path: &Path, keys: &KeyRing) -> Result<Vec<Fingerprint>, PackError> {
    let read = |fault| PackError::Read { path: path.into(), fault };
    let file = File::open(path).map_err(|fault| read(PackageError::Io(fault).into()))?;
    let package = SealedPackage::read(&mut BufReader::new(file)).map_err(read)?.sign(keys);
    let signatures = &package.prefix.signatures;
    if signatures.len() > usize::from(limits::SIGNATURES) {
        return Err(PackError::TooManySignatures(signatures.len()));
    }
    let signers = signers(&package_message(&package.prefix), signatures);
    let signers = signers.map_err(|fault| read(fault.into()))?;
    package.write_file(path)?;
    Ok(signers.iter().map(PublicSigningKey::fingerprint).collect())
}

fn digest(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest(Sha256::digest(bytes).into())
}
