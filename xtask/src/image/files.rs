//! Files: what is in a folder, what it hashes to, and what may be done by one process alone.
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Waits until no other process works in `folder`; the file is to be kept while this one does.
pub fn alone(folder: &Path) -> Result<File> {
    fs::create_dir_all(folder)?;
    let file = File::create(folder.join(".alone"))?;
    file.lock()?;
    Ok(file)
}

/// Files under `path`, or it itself, in an order that does not change.
pub fn under(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() || path.is_symlink() {
        return Ok(vec![path.into()]);
    }
    let entries = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut children = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    children.sort();
    let mut files = Vec::new();
    for child in children {
        files.extend(under(&child)?);
    }
    Ok(files)
}

/// A hash of names, modes and bytes of everything under the paths, and of further words.
pub fn fingerprint(paths: &[&Path], words: &[&str]) -> Result<String> {
    let mut hash = Sha256::new();
    for word in words {
        hash.update(format!("{}:{word}", word.len()));
    }
    for path in paths {
        for file in under(path)? {
            let content =
                fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let mode = fs::metadata(&file)?.permissions().mode();
            let name = file.strip_prefix(path).unwrap_or(&file).display().to_string();
            hash.update(format!("{}:{name}:{mode:o}:{}:", name.len(), content.len()));
            hash.update(content);
        }
    }
    Ok(hex(&hash.finalize()))
}

/// As `sha256sum` prints it.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Copies one file, making its folder, with the mode given.
pub fn put(from: &Path, to: &Path, mode: u32) -> Result<()> {
    fs::create_dir_all(to.parent().context("a file in no folder")?)?;
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(fs::set_permissions(to, PermissionsExt::from_mode(mode))?)
}

/// An empty folder.
pub fn fresh(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(fs::create_dir_all(folder)?)
}
