//! What a box believes in: a root document that pinned root keys signed.
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use thiserror::Error;

use crate::keys::{KeyRole, PublicSigningKey, parse_public_line};
use crate::roles::{Role, RootDocument};
use crate::signed::{DocumentError, Unverified, read_bounded};

/// Trust that cannot be loaded.
#[derive(Debug, Error)]
pub enum TrustError {
    /// `trust.json`, or the pin, cannot be read or is not signed as it must be.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The pin is not lines of root keys.
    #[error(
        "{0:?} is not lines `edgemill-public-1 root HEX`, with `threshold N` before them where \
         not all must sign: copy root.pub from the keys folder"
    )]
    Pin(std::path::PathBuf),
}

/// A verified root document.
#[derive(Clone, Debug)]
pub struct Trust {
    document: RootDocument,
}

impl Trust {
    /// Loads `trust.json` and judges it by the keys in `root.pub` beside it. Whoever can write that folder
    /// decides what the box believes: keep it root's.
    ///
    /// # Errors
    /// Any [`TrustError`].
    pub fn load(trust_json: &Path) -> Result<Self, TrustError> {
        Self::load_pinned(trust_json, &trust_json.with_file_name("root.pub"))
    }

    /// As [`Trust::load`], with the pinned root keys in another place.
    ///
    /// # Errors
    /// Any [`TrustError`].
    pub fn load_pinned(trust_json: &Path, root_pub: &Path) -> Result<Self, TrustError> {
        let pin = read_pin(root_pub)?;
        let root = Unverified::<RootDocument>::read(trust_json)?;
        // By the pinned keys, so that a stranger's document is refused, and by its own root role, so that
        // one whose keys nobody holds is never accepted (TUF 5.3).
        root.judge(&root.claims().roles.root)?;
        Ok(Self { document: root.verify(&pin)? })
    }

    /// The document's version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.document.version.get()
    }

    /// Who may sign packages and plugin lists.
    #[must_use]
    pub fn targets(&self) -> &Role {
        &self.document.roles.targets
    }

    /// Who may sign root documents.
    #[must_use]
    pub fn root(&self) -> &Role {
        &self.document.roles.root
    }

    /// When it ended, if it has by then.
    #[must_use]
    pub fn expired_at(&self, now_unix_s: u64) -> Option<u64> {
        self.document.expires_unix_s.filter(|&end| end <= now_unix_s)
    }
}

/// Lines of public root keys, before them `threshold N` unless all of them must sign.
fn read_pin(path: &Path) -> Result<Role, TrustError> {
    let bytes = read_bounded(path, "copy trust.json and root.pub from the keys folder")?;
    let text = std::str::from_utf8(&bytes).ok();
    text.and_then(parse_pin).ok_or_else(|| TrustError::Pin(path.into()))
}

pub(crate) fn parse_pin(text: &str) -> Option<Role> {
    let mut lines = text.lines().peekable();
    let threshold = lines.next_if(|line| line.starts_with("threshold "));
    let key = |line: &str| PublicSigningKey::from_bytes(&parse_public_line(line, KeyRole::Root)?);
    let keys: Vec<_> = lines.map(key).collect::<Option<_>>()?;
    let threshold = match threshold {
        Some(line) => line.strip_prefix("threshold ")?.parse().ok()?,
        None => keys.len(),
    };
    Role::new(keys, threshold)
}

/// The system's time, in seconds since 1970-01-01 UTC; 0 where the clock is before that.
#[must_use]
pub fn now_unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::num::NonZeroU64;
    use std::path::PathBuf;

    use super::*;
    use crate::keys::{SigningKey, public_line};
    use crate::roles::Roles;
    use crate::signed;

    /// A folder with a pin of `pinned` and a root document of `role`, signed by `signers`.
    fn folder(
        name: &str,
        pinned: &SigningKey,
        role: &SigningKey,
        signers: &[&SigningKey],
    ) -> PathBuf {
        let path =
            std::env::temp_dir().join(format!("edgemill-trust-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let role = Role::new(vec![role.public().clone()], 1).unwrap();
        let roles = Roles { root: role.clone(), targets: role };
        let version = NonZeroU64::new(2).unwrap();
        let document = RootDocument { version, expires_unix_s: Some(9), roles };
        let text = signed::sign(&document, signers).unwrap();
        fs::write(path.join("trust.json"), text).unwrap();
        let pin = public_line(KeyRole::Root, pinned.public().as_bytes());
        fs::write(path.join("root.pub"), pin).unwrap();
        path
    }

    #[test]
    fn a_new_root_key_is_believed_when_the_pinned_one_and_itself_sign() {
        let (old, new) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let cases = [
            ("both", vec![&old, &new], true),
            ("old", vec![&old], false),
            ("new", vec![&new], false),
            ("none", vec![], false),
        ];
        for (name, signers, believed) in cases {
            let folder = folder(name, &old, &new, &signers);
            let loaded = Trust::load(&folder.join("trust.json"));
            assert_eq!(loaded.is_ok(), believed, "{name}: {loaded:?}");
            fs::remove_dir_all(folder).unwrap();
        }
    }

    #[test]
    fn a_document_ends_at_its_second() {
        let key = SigningKey::generate().unwrap();
        let folder = folder("ends", &key, &key, &[&key]);
        let trust = Trust::load(&folder.join("trust.json")).unwrap();
        assert_eq!((trust.version(), trust.expired_at(8), trust.expired_at(9)), (2, None, Some(9)));
        fs::remove_dir_all(folder).unwrap();
    }
}
