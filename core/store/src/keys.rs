//! Keys: their kinds, their files, and their public sides.
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use edgemill_linux::file::write_atomic;
use edgemill_model::text::{from_hex, to_hex};
use hpke::{Deserializable, Kem, Serializable};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::secret::{SECRET_BYTES, Secret, wipe_stack};

/// A key that cannot be made, read or written.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file is not there.
    #[error(
        "key file {0:?} is absent, and no systemd credential stands for it: restore it, or make keys with \
         `edgemill key init DIR`"
    )]
    Absent(PathBuf),
    /// Others than its owner may read or write it.
    #[error("key file {path:?} has mode {mode:04o}, others can reach it: run `chmod 0400` on it")]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not one line `edgemill-key-1 ROLE HEX`, or for a public key `edgemill-public-1 ROLE HEX`.
    #[error("key file {path:?} is not {wanted}: give the file that `edgemill key init` made")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The kind of key that was wanted.
        wanted: String,
    },
    /// A key is there already.
    #[error(
        "{0:?} exists already, keys are never overwritten: move it away, or give another folder"
    )]
    Exists(PathBuf),
    /// The system would not read or write.
    #[error("cannot {doing} {path:?}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The system would not write.
    #[error("cannot write key file: {0}")]
    Write(#[source] edgemill_linux::Error),
    /// The kernel gave no random bytes.
    #[error("the kernel gave no random bytes ({0}): try again once the system has started")]
    Random(String),
    /// The kernel gave no memory.
    #[error("no memory for a key: {0}")]
    Memory(#[source] edgemill_linux::Error),
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRole {
    /// Signs the root document.
    Root,
    /// Signs packages and plugin lists.
    Targets,
    /// Unwraps content keys on one device.
    Device,
    /// Authenticates a store and wraps its content keys.
    Store,
}

impl KeyRole {
    /// Its name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Device => "device",
            Self::Store => "store",
        }
    }
}

impl std::fmt::Display for KeyRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// SHA-256 of a public key: how keys are told apart by people and in stanzas.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    pub(crate) fn of(public: &[u8; 32]) -> Self {
        Self(Sha256::digest(public).into())
    }
}

impl std::fmt::Display for Fingerprint {
    /// The first 16 of 64 digits are enough to compare by eye; `{:#}` gives all.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = to_hex(&self.0);
        f.write_str(if f.alternate() { &digits } else { &digits[..16] })
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// An Ed25519 public key that is a point of full order, so that no signature holds for two messages.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicSigningKey(ed25519_dalek::VerifyingKey);

impl PublicSigningKey {
    /// `None` where the bytes are no key, or a weak one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).ok()?;
        (!key.is_weak()).then_some(Self(key))
    }

    /// RFC 8032.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// SHA-256 of it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.as_bytes())
    }

    /// Strict in the sense of Chalkias et al., "Taming the many EdDSAs": no malleable or mixed-order signature.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0.verify_strict(message, &signature).is_ok()
    }
}

impl std::fmt::Debug for PublicSigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicSigningKey({})", self.fingerprint())
    }
}

/// An Ed25519 key pair.
#[derive(Debug)]
pub struct SigningKey {
    secret: Secret,
    public: PublicSigningKey,
}

impl SigningKey {
    pub(crate) fn generate() -> Result<Self, KeyError> {
        Secret::generate().map(Self::new)
    }

    pub(crate) fn load(path: &Path, role: KeyRole) -> Result<Self, KeyError> {
        read_secret(path, role, Reach::OwnerOnly).map(Self::new)
    }

    fn new(secret: Secret) -> Self {
        let pair = ed25519_dalek::SigningKey::from_bytes(secret.expose());
        Self { public: PublicSigningKey(pair.verifying_key()), secret }
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Its public side.
    #[must_use]
    pub fn public(&self) -> &PublicSigningKey {
        &self.public
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        use ed25519_dalek::Signer;
        ed25519_dalek::SigningKey::from_bytes(self.secret.expose()).sign(message).to_bytes()
    }
}

pub(crate) type DeviceKem = hpke::kem::X25519HkdfSha256;

/// The X25519 public key of a device: what an author seals to.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicDeviceKey([u8; 32]);

impl PublicDeviceKey {
    /// Reads `device.pub`.
    ///
    /// # Errors
    /// Any [`KeyError`] of reading.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        read_public(path, KeyRole::Device).map(Self)
    }

    /// RFC 7748.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// SHA-256 of it: the recipient in a stanza.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.0)
    }

    pub(crate) fn of_secret(secret: &Secret) -> Self {
        Self(DeviceKem::sk_to_pk(&kem_secret(secret)).to_bytes().into())
    }

    pub(crate) fn kem(&self) -> <DeviceKem as Kem>::PublicKey {
        <DeviceKem as Kem>::PublicKey::from_bytes(&self.0).expect("any 32 bytes are an X25519 key")
    }
}

impl std::fmt::Debug for PublicDeviceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicDeviceKey({})", self.fingerprint())
    }
}

pub(crate) fn kem_secret(secret: &Secret) -> <DeviceKem as Kem>::PrivateKey {
    <DeviceKem as Kem>::PrivateKey::from_bytes(secret.expose())
        .expect("any 32 bytes are an X25519 key")
}

/// Who may reach a file of secrets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Nobody but its owner, by its mode.
    OwnerOnly,
    /// Whoever the credentials folder lets in: systemd guards that, and an access list shows up as group bits.
    CredentialsFolder,
}

const SECRET_WORD: &str = "edgemill-key-1";
const PUBLIC_WORD: &str = "edgemill-public-1";
/// A key file is one line of under a hundred characters.
const KEY_FILE_BYTES: u64 = 256;

pub(crate) fn read_secret(path: &Path, role: KeyRole, reach: Reach) -> Result<Secret, KeyError> {
    let (file, mode) = open_key(path)?;
    if reach == Reach::OwnerOnly && mode & 0o077 != 0 {
        return Err(KeyError::Permissions { path: path.into(), mode });
    }
    let secret = read_key(file, path, SECRET_WORD, role).and_then(Secret::from_bytes);
    wipe_stack();
    secret
}

pub(crate) fn read_public(path: &Path, role: KeyRole) -> Result<[u8; 32], KeyError> {
    let (file, _) = open_key(path)?;
    read_key(file, path, PUBLIC_WORD, role).map(|bytes| *bytes)
}

fn open_key(path: &Path) -> Result<(File, u32), KeyError> {
    let doing = "open";
    let fault = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => KeyError::Absent(path.into()),
        _ => KeyError::Io { doing, path: path.into(), source },
    };
    let file = File::open(path).map_err(fault)?;
    let mode = file.metadata().map_err(fault)?.permissions().mode() & 0o7777;
    Ok((file, mode))
}

/// In a frame of its own, which is gone when its caller wipes.
#[inline(never)]
fn read_key(
    file: File,
    path: &Path,
    word: &str,
    role: KeyRole,
) -> Result<Zeroizing<[u8; SECRET_BYTES]>, KeyError> {
    // Room for the whole file at once, so that growth leaves no copy behind.
    let mut line = Zeroizing::new(String::with_capacity(512));
    let malformed = || KeyError::Malformed {
        path: path.into(),
        wanted: format!("one line `{word} {role} HEX`"),
    };
    file.take(KEY_FILE_BYTES).read_to_string(&mut line).map_err(|source| match source.kind() {
        io::ErrorKind::InvalidData => malformed(),
        _ => KeyError::Io { doing: "read", path: path.into(), source },
    })?;
    parse_line(&line, word, role).ok_or_else(malformed)
}

/// The key of one line `WORD ROLE HEX`.
pub(crate) fn parse_line(
    line: &str,
    word: &str,
    role: KeyRole,
) -> Option<Zeroizing<[u8; SECRET_BYTES]>> {
    let rest = line.strip_prefix(word)?.strip_prefix(' ')?.strip_prefix(role.name())?;
    from_hex(rest.strip_prefix(' ')?.trim_end_matches('\n')).map(Zeroizing::new)
}

pub(crate) fn public_line(role: KeyRole, public: &[u8; 32]) -> String {
    format!("{PUBLIC_WORD} {role} {}\n", to_hex(public))
}

pub(crate) fn parse_public_line(line: &str, role: KeyRole) -> Option<[u8; 32]> {
    parse_line(line, PUBLIC_WORD, role).map(|bytes| *bytes)
}

pub(crate) fn write_secret(path: &Path, role: KeyRole, secret: &Secret) -> Result<(), KeyError> {
    let digits = Zeroizing::new(to_hex(secret.expose()));
    let line = Zeroizing::new(format!("{SECRET_WORD} {role} {}\n", *digits));
    write_new(path, line.as_bytes(), 0o400)
}

pub(crate) fn write_public(path: &Path, role: KeyRole, public: &[u8; 32]) -> Result<(), KeyError> {
    write_new(path, public_line(role, public).as_bytes(), 0o444)
}

/// Writes a file that must not be there yet.
pub(crate) fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), KeyError> {
    if path.exists() {
        return Err(KeyError::Exists(path.into()));
    }
    write_atomic(path, bytes, mode).map_err(KeyError::Write)
}
