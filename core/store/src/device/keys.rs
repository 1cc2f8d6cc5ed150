//! The two secrets of a box.
use std::path::Path;

use edgemill_model::package::Stanza;

use crate::cipher::{ContentKey, UnwrapFault};
use crate::keys::{
    Fingerprint, KeyError, KeyRole, PublicDeviceKey, Reach, read_secret, write_public, write_secret,
};
use crate::secret::Secret;

/// The X25519 key pair to which authors seal.
#[derive(Debug)]
pub struct DeviceKey {
    secret: Secret,
    public: PublicDeviceKey,
}

impl DeviceKey {
    /// Reads `device.key`, which only its owner may reach.
    ///
    /// # Errors
    /// Any [`KeyError`] of reading.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        read_secret(path, KeyRole::Device, Reach::OwnerOnly).map(Self::new)
    }

    /// Reads the systemd credential `device.key` where the service has one, else the file at `path`.
    ///
    /// # Errors
    /// Any [`KeyError`] of reading.
    pub fn find(path: &Path) -> Result<Self, KeyError> {
        find_secret(path, DEVICE_KEY_NAME, KeyRole::Device).map(Self::new)
    }

    /// Makes a pair and writes `device.key` and `device.pub` in `folder`.
    ///
    /// # Errors
    /// [`KeyError::Exists`], or any of writing.
    pub fn create(folder: &Path) -> Result<Self, KeyError> {
        let key = Self::new(Secret::generate()?);
        write_secret(&folder.join(DEVICE_KEY_NAME), KeyRole::Device, &key.secret)?;
        write_public(&folder.join("device.pub"), KeyRole::Device, key.public.as_bytes())?;
        Ok(key)
    }

    fn new(secret: Secret) -> Self {
        Self { public: PublicDeviceKey::of_secret(&secret), secret }
    }

    /// Its public side.
    #[must_use]
    pub fn public(&self) -> &PublicDeviceKey {
        &self.public
    }
}

/// The key under which one store is authenticated and its content keys are wrapped.
#[derive(Debug)]
pub struct StoreKey(Secret);

/// The credentials, and the files, that hold them.
const DEVICE_KEY_NAME: &str = "device.key";
const STORE_KEY_NAME: &str = "store.key";

/// The systemd credential of this name where the service has one, else the file at `path`: see systemd.exec(5),
/// `LoadCredentialEncrypted=`.
fn find_secret(path: &Path, name: &str, role: KeyRole) -> Result<Secret, KeyError> {
    match std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| Path::new(&folder).join(name)) {
        Some(credential) if credential.exists() => {
            read_secret(&credential, role, Reach::CredentialsFolder)
        }
        _ => read_secret(path, role, Reach::OwnerOnly),
    }
}

impl StoreKey {
    /// Reads `store.key`, which only its owner may reach.
    ///
    /// # Errors
    /// Any [`KeyError`] of reading.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        read_secret(path, KeyRole::Store, Reach::OwnerOnly).map(Self)
    }

    /// Reads the systemd credential `store.key` where the service has one, else the file at `path`.
    ///
    /// # Errors
    /// Any [`KeyError`] of reading.
    pub fn find(path: &Path) -> Result<Self, KeyError> {
        find_secret(path, STORE_KEY_NAME, KeyRole::Store).map(Self)
    }

    /// Makes a key and writes `store.key` in `folder`.
    ///
    /// # Errors
    /// [`KeyError::Exists`], or any of writing.
    pub fn create(folder: &Path) -> Result<Self, KeyError> {
        let secret = Secret::generate()?;
        write_secret(&folder.join(STORE_KEY_NAME), KeyRole::Store, &secret)?;
        Ok(Self(secret))
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.0
    }
}

/// No content key for this holder.
pub(crate) enum NoKey {
    /// No stanza is addressed to it.
    NoStanza(String),
    /// Its stanza does not open.
    WrongKey(String),
    /// No memory.
    Key(KeyError),
}

/// Who can take a content key out of a package's stanzas.
pub(crate) trait Holder {
    fn unwrap(&self, stanzas: &[Stanza], manifest_digest: &[u8; 32]) -> Result<ContentKey, NoKey>;
}

impl Holder for DeviceKey {
    fn unwrap(&self, stanzas: &[Stanza], manifest_digest: &[u8; 32]) -> Result<ContentKey, NoKey> {
        let mine = self.public.fingerprint();
        let found = stanzas.iter().find_map(|stanza| match stanza {
            Stanza::Device { recipient, encapsulated, wrapped }
                if Fingerprint(*recipient) == mine =>
            {
                Some((encapsulated, wrapped))
            }
            _ => None,
        });
        let (encapsulated, wrapped) = found.ok_or_else(|| NoKey::NoStanza(mine.to_string()))?;
        ContentKey::unwrap_for_device(&self.secret, encapsulated, wrapped, manifest_digest)
            .map_err(|fault| no_key(fault, || format!("device key {mine}")))
    }
}

impl Holder for StoreKey {
    fn unwrap(&self, stanzas: &[Stanza], manifest_digest: &[u8; 32]) -> Result<ContentKey, NoKey> {
        let found = stanzas.iter().find_map(|stanza| match stanza {
            Stanza::Store { nonce, wrapped } => Some((nonce, wrapped)),
            Stanza::Device { .. } => None,
        });
        let (nonce, wrapped) = found.ok_or_else(|| NoKey::NoStanza("store".into()))?;
        ContentKey::unwrap_for_store(&self.0, nonce, wrapped, manifest_digest)
            .map_err(|fault| no_key(fault, || "store key".into()))
    }
}

fn no_key(fault: UnwrapFault, whose: impl FnOnce() -> String) -> NoKey {
    match fault {
        UnwrapFault::Tampered => NoKey::WrongKey(whose()),
        UnwrapFault::Key(source) => NoKey::Key(source),
    }
}
