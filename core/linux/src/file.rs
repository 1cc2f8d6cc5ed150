//! Files that are whole or not there at all, and locks on them. See rename(2), fsync(2), flock(2).
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::error::{Context, Error, Result};

/// Puts `bytes` at `path` with permissions `mode`, so that a cut at any moment leaves the old file or the new
/// one: writes a new file beside it, syncs it, renames it over and syncs the folder.
///
/// # Errors
/// A step failed; the new file is removed again and the old one stands.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let temporary = beside(path);
    let written = write_new(&temporary, bytes, mode)
        .and_then(|()| fs::rename(&temporary, path).context("rename", || show(path)));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_folder(path)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .context("open", || show(path))?;
    // The umask and a leftover of an earlier cut may have given it other permissions.
    file.set_permissions(fs::Permissions::from_mode(mode)).context("chmod", || show(path))?;
    file.write_all(bytes).context("write", || show(path))?;
    file.sync_all().context("fsync", || show(path))
}

/// Makes the names in the folder that holds `path` last through a loss of power.
///
/// # Errors
/// The folder cannot be opened or synced.
pub fn sync_folder(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|file| file.sync_all()).context("fsync", || show(folder))
}

/// One name per process and file, so that two processes never write the same new file.
fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

fn show(path: &Path) -> String {
    format!("{path:?}")
}

/// Holds a file's lock until dropped, or until the process ends however it ends.
#[derive(Debug)]
pub struct LockFile(#[expect(dead_code, reason = "held for its drop")] Flock<File>);

/// Takes the one exclusive lock of the file at `path`, which is made if it is not there.
///
/// # Errors
/// The file cannot be opened, or another process holds the lock ([`is_held`] tells).
pub fn lock_exclusive(path: &Path) -> Result<LockFile> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .context("open", || show(path))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map(LockFile)
        .map_err(|(_, errno)| Error::new("flock", show(path), errno.into()))
}

/// Whether [`lock_exclusive`] failed because another holds the lock.
#[must_use]
pub fn is_held(error: &Error) -> bool {
    error.source.kind() == std::io::ErrorKind::WouldBlock
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path =
            std::env::temp_dir().join(format!("edgemill-linux-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_file_is_replaced_whole_with_its_mode_and_nothing_is_left_beside_it() {
        let folder = folder("atomic");
        let path = folder.join("state");
        write_atomic(&path, b"old", 0o644).unwrap();
        write_atomic(&path, b"new", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_failed_replacement_leaves_the_old_and_no_new() {
        let folder = folder("failed");
        let path = folder.join("state");
        fs::create_dir(&path).unwrap();
        let error = write_atomic(&path, b"new", 0o600).unwrap_err();
        assert_eq!(error.call, "rename");
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_lock_is_held_by_one_until_dropped() {
        let folder = folder("lock");
        let path = folder.join("lock");
        let first = lock_exclusive(&path).unwrap();
        assert!(is_held(&lock_exclusive(&path).unwrap_err()));
        drop(first);
        lock_exclusive(&path).unwrap();
        assert!(!is_held(&lock_exclusive(&folder).unwrap_err()));
        fs::remove_dir_all(folder).unwrap();
    }
}
