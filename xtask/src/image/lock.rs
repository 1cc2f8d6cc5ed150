//! The lock file: each package of Debian's that the image is made of, with its version and the SHA-256 of its file.
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

const HEAD: &str = "# Debian's packages in the image: name, version, SHA-256. Written by `cargo xtask image --update-lock`.\n";

/// Packages by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock(BTreeMap<String, (String, String)>);

impl Lock {
    /// Reads a file of ours.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file)
            .with_context(|| format!("cannot read {}; --update-lock makes it", file.display()))?;
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let parse = |line: &str| {
            let words: Vec<_> = line.split(' ').collect();
            match words[..] {
                [name, version, hash] => Ok((name.to_owned(), (version.into(), hash.into()))),
                _ => bail!("{}: not a name, a version and a hash: {line}", file.display()),
            }
        };
        Ok(Self(lines.map(parse).collect::<Result<_>>()?))
    }

    /// Reads what `apt-cache show` said of each package.
    pub fn of_apt(text: &str) -> Result<Self> {
        let mut lock = Self::default();
        for stanza in text.split("\n\n").filter(|stanza| !stanza.trim().is_empty()) {
            let field = |name: &str| {
                let value = stanza.lines().find_map(|line| line.strip_prefix(name));
                value.with_context(|| format!("apt says no {name} of a package:\n{stanza}"))
            };
            let about = (field("Version: ")?.to_owned(), field("SHA256: ")?.to_owned());
            lock.0.insert(field("Package: ")?.to_owned(), about);
        }
        Ok(lock)
    }

    pub fn write(&self, file: &Path) -> Result<()> {
        let lines =
            self.0.iter().map(|(name, (version, hash))| format!("{name} {version} {hash}\n"));
        let text = HEAD.to_owned() + &lines.collect::<String>();
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// What apt must be told so that it takes these versions wherever the archive still has them.
    pub fn preferences(&self) -> String {
        let pin = |(name, (version, _)): (&String, &(String, String))| {
            format!("Package: {name}\nPin: version {version}\nPin-Priority: 1001\n\n")
        };
        self.0.iter().map(pin).collect()
    }

    /// What differs in `actual`, a line for each package.
    ///
    /// # Errors
    /// A package of the same version has other bytes: somebody has changed the archive.
    pub fn moved_on(&self, actual: &Self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for (name, (version, hash)) in &actual.0 {
            match self.0.get(name) {
                None => lines.push(format!("{name} {version} is new")),
                Some((locked, _)) if locked != version => {
                    lines.push(format!("{name} moved on from {locked} to {version}"));
                }
                Some((_, locked)) if locked != hash => {
                    bail!("{name} {version} is not the file in the lock: {hash} is not {locked}")
                }
                Some(_) => {}
            }
        }
        let gone = self.0.keys().filter(|name| !actual.0.contains_key(*name));
        lines.extend(gone.map(|name| format!("{name} is gone")));
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::Lock;

    const SHOWN: &str =
        "Package: a\nVersion: 1:2\nSHA256: 00\n\nPackage: b\nVersion: 3\nSHA256: 11\n\n";

    #[test]
    fn what_moved_on_is_named() {
        let old = Lock::of_apt(SHOWN).unwrap();
        assert_eq!(old.moved_on(&old).unwrap(), [""; 0]);
        let new = SHOWN.replace("Version: 3", "Version: 4").replace("Package: a", "Package: c");
        let lines = old.moved_on(&Lock::of_apt(&new).unwrap()).unwrap();
        assert_eq!(lines, ["b moved on from 3 to 4", "c 1:2 is new", "a is gone"]);
    }

    #[test]
    fn other_bytes_of_the_same_version_are_refused() {
        let old = Lock::of_apt(SHOWN).unwrap();
        let new = Lock::of_apt(&SHOWN.replace("11", "12")).unwrap();
        assert!(old.moved_on(&new).unwrap_err().to_string().contains("b 3"));
    }

    #[test]
    fn a_lock_reads_what_it_wrote() {
        let lock = Lock::of_apt(SHOWN).unwrap();
        let file = std::env::temp_dir().join(format!("edgemill-lock-{}", std::process::id()));
        lock.write(&file).unwrap();
        let read = Lock::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(read, lock);
    }
}
