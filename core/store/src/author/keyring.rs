//! A folder of keys: `root.key`, `targets.key` (further ones `root-2.key`, …), `device.key`, `device.pub`,
//! `store.key`, `root.pub` (the pin) and `trust.json`. The device's and the store's keys are made here for a
//! box that is set up from a desk; a key ring itself never holds them.
use std::fmt::Write;
use std::fs;
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use edgemill_linux::file::sync_folder;
use edgemill_model::text::to_hex;

use crate::device::{DeviceKey, StoreKey, Trust, TrustError};
use crate::keys::{
    Fingerprint, KeyError, KeyRole, PublicDeviceKey, PublicSigningKey, SigningKey, public_line,
    write_new, write_secret,
};
use crate::roles::{Role, Roles, RootDocument};
use crate::signed;

/// How many keys a role gets, and how many of them must sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Root keys, 1 to 16.
    pub root_keys: usize,
    /// How many of them must sign a root document.
    pub root_threshold: usize,
    /// Targets keys, 1 to 16.
    pub targets_keys: usize,
    /// How many of them must sign a package or a plugin list.
    pub targets_threshold: usize,
    /// When the root document ends, in seconds since 1970-01-01 UTC; `None` where it stays.
    pub expires_unix_s: Option<u64>,
}

impl Default for Plan {
    /// One key a role: what one person can keep.
    fn default() -> Self {
        Self {
            root_keys: 1,
            root_threshold: 1,
            targets_keys: 1,
            targets_threshold: 1,
            expires_unix_s: None,
        }
    }
}

/// An author's signing keys.
#[derive(Debug)]
pub struct KeyRing {
    root: Vec<SigningKey>,
    targets: Vec<SigningKey>,
}

impl KeyRing {
    /// Makes a whole new set of keys at `folder`: there all at once, or not at all.
    ///
    /// # Errors
    /// [`KeyError::Exists`] where the folder holds anything, or any of writing.
    pub fn init(folder: &Path) -> Result<Self, KeyError> {
        Self::init_with(folder, &Plan::default())
    }

    /// As [`KeyRing::init`], by a plan.
    ///
    /// # Errors
    /// Also [`KeyError::Malformed`] where the plan's numbers do not fit each other.
    pub fn init_with(folder: &Path, plan: &Plan) -> Result<Self, KeyError> {
        let folder = &std::path::absolute(folder)
            .map_err(|source| io_fault("make folder", folder, source))?;
        refuse_used(folder)?;
        let new = beside(folder);
        fs::create_dir_all(&new).map_err(|source| io_fault("make folder", &new, source))?;
        let made = make_keys(&new, plan).and_then(|ring| {
            fs::rename(&new, folder).map_err(|source| io_fault("rename to", folder, source))?;
            sync_folder(folder).map_err(KeyError::Write)?;
            Ok(ring)
        });
        if made.is_err() {
            let _ = fs::remove_dir_all(&new);
        }
        made
    }

    /// Loads those signing keys that lie in `folder`: not every signer has them all.
    ///
    /// # Errors
    /// [`KeyError::Absent`] where there is no targets key, or any of reading.
    pub fn open(folder: &Path) -> Result<Self, KeyError> {
        let root = load_all(folder, KeyRole::Root)?;
        let targets = load_all(folder, KeyRole::Targets)?;
        if targets.is_empty() {
            return Err(KeyError::Absent(folder.join(key_file(KeyRole::Targets, 1))));
        }
        Ok(Self { root, targets })
    }

    pub(crate) fn targets(&self) -> Vec<&SigningKey> {
        self.targets.iter().collect()
    }

    /// Fingerprints of the signing keys held, by role.
    #[must_use]
    pub fn held(&self) -> Vec<(KeyRole, Fingerprint)> {
        let held = |role, keys: &[SigningKey]| {
            keys.iter().map(|key| (role, key.public().fingerprint())).collect::<Vec<_>>()
        };
        [held(KeyRole::Root, &self.root), held(KeyRole::Targets, &self.targets)].concat()
    }
}

/// A public part of a keys folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicPart {
    /// What the key does.
    pub role: KeyRole,
    /// SHA-256 of the public key.
    pub fingerprint: Fingerprint,
    /// The public key, in hexadecimal digits.
    pub public: String,
}

/// The public parts of the keys folder, read from `trust.json`, its pin and `device.pub`; no secret is opened.
///
/// # Errors
/// [`TrustError`], also for a `device.pub` that is there and malformed.
pub fn show(folder: &Path) -> Result<Vec<PublicPart>, ShowError> {
    let trust = Trust::load(&folder.join("trust.json"))?;
    let signing = |role, keys: &[PublicSigningKey]| {
        keys.iter().map(|key| part(role, key.fingerprint(), key.as_bytes())).collect::<Vec<_>>()
    };
    let mut parts = signing(KeyRole::Root, trust.root().keys());
    parts.extend(signing(KeyRole::Targets, trust.targets().keys()));
    match PublicDeviceKey::load(&folder.join("device.pub")) {
        Ok(key) => parts.push(part(KeyRole::Device, key.fingerprint(), key.as_bytes())),
        Err(KeyError::Absent(_)) => {}
        Err(fault) => return Err(fault.into()),
    }
    Ok(parts)
}

/// A keys folder that cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// No trust is there.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// `device.pub` is not one.
    #[error(transparent)]
    Key(#[from] KeyError),
}

fn part(role: KeyRole, fingerprint: Fingerprint, public: &[u8; 32]) -> PublicPart {
    PublicPart { role, fingerprint, public: to_hex(public) }
}

fn make_keys(folder: &Path, plan: &Plan) -> Result<KeyRing, KeyError> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
        .map_err(|source| io_fault("chmod", folder, source))?;
    let root = make_role(folder, KeyRole::Root, plan.root_keys)?;
    let targets = make_role(folder, KeyRole::Targets, plan.targets_keys)?;
    let ring = KeyRing { root, targets };
    DeviceKey::create(folder)?;
    StoreKey::create(folder)?;
    write_pin(folder, &ring, plan)?;
    write_trust(folder, &ring, plan)?;
    Ok(ring)
}

fn make_role(folder: &Path, role: KeyRole, count: usize) -> Result<Vec<SigningKey>, KeyError> {
    let make = |number| {
        let key = SigningKey::generate()?;
        write_secret(&folder.join(key_file(role, number)), role, key.secret())?;
        Ok(key)
    };
    (1..=count).map(make).collect()
}

fn load_all(folder: &Path, role: KeyRole) -> Result<Vec<SigningKey>, KeyError> {
    let mut keys = Vec::new();
    for number in 1..=MOST_KEYS {
        match SigningKey::load(&folder.join(key_file(role, number)), role) {
            Ok(key) => keys.push(key),
            Err(KeyError::Absent(_)) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(keys)
}

/// As many as a role may have.
const MOST_KEYS: usize = 16;

fn key_file(role: KeyRole, number: usize) -> String {
    if number == 1 { format!("{role}.key") } else { format!("{role}-{number}.key") }
}

fn write_pin(folder: &Path, ring: &KeyRing, plan: &Plan) -> Result<(), KeyError> {
    let mut text = String::new();
    if plan.root_threshold != plan.root_keys {
        let _ = writeln!(text, "threshold {}", plan.root_threshold);
    }
    text.extend(ring.root.iter().map(|key| public_line(KeyRole::Root, key.public().as_bytes())));
    write_new(&folder.join("root.pub"), text.as_bytes(), 0o444)
}

fn write_trust(folder: &Path, ring: &KeyRing, plan: &Plan) -> Result<(), KeyError> {
    let path = folder.join("trust.json");
    let role = |keys: &[SigningKey], threshold| {
        let keys = keys.iter().map(|key| key.public().clone()).collect();
        Role::new(keys, threshold).ok_or_else(|| KeyError::Malformed {
            path: path.clone(),
            wanted: "of 1 to 16 keys a role with a threshold of 1 to their number".into(),
        })
    };
    let document = RootDocument {
        version: NonZeroU64::MIN,
        expires_unix_s: plan.expires_unix_s,
        roles: Roles {
            root: role(&ring.root, plan.root_threshold)?,
            targets: role(&ring.targets, plan.targets_threshold)?,
        },
    };
    let signers: Vec<_> = ring.root.iter().collect();
    let text = signed::sign(&document, &signers)
        .map_err(|fault| io_fault("write", &path, io::Error::other(fault)))?;
    write_new(&path, text.as_bytes(), 0o444)
}

/// An empty folder may become one of keys; any other is someone's.
fn refuse_used(folder: &Path) -> Result<(), KeyError> {
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => Err(KeyError::Exists(folder.into())),
    }
}

fn beside(folder: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(folder.file_name().unwrap_or_default());
    name.push(format!(".{}.new", std::process::id()));
    folder.with_file_name(name)
}

fn io_fault(doing: &'static str, path: &Path, source: io::Error) -> KeyError {
    KeyError::Io { doing, path: path.into(), source }
}
