//! Signing the list of plugins.
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use edgemill_linux::file::write_atomic;
use edgemill_model::manifest::Sha256Digest;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::author::KeyRing;
use crate::plugin_list::{BadFile, PluginDocument, PluginEntry, check_files};
use crate::signed;

/// What a plugin calls itself, by its descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginName {
    /// Name of its file in the folder.
    pub file: String,
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
}

/// A list that cannot be made.
#[derive(Debug, Error)]
pub enum SignPluginsError {
    /// A plugin file cannot be read.
    #[error("cannot read plugin {0:?}: {1}")]
    Read(PathBuf, #[source] io::Error),
    /// A name is given twice, or is not one of a file in the folder.
    #[error(transparent)]
    File(#[from] BadFile),
    /// The list is not JSON.
    #[error("cannot write the list: {0}")]
    Json(#[from] serde_json::Error),
    /// The system would not write it.
    #[error("cannot write the list: {0}")]
    Write(#[source] edgemill_linux::Error),
}

/// Hashes the named files in `folder`, signs the list with every targets key of the ring and puts it at
/// `folder/plugins.json`. Gives what was signed.
///
/// # Errors
/// Any [`SignPluginsError`]; an older list stands then.
pub fn sign_plugins(
    folder: &Path,
    names: &[PluginName],
    keys: &KeyRing,
) -> Result<Vec<PluginEntry>, SignPluginsError> {
    let plugins: Vec<_> = names.iter().map(|name| entry(folder, name)).collect::<Result<_, _>>()?;
    check_files(&plugins)?;
    let document = PluginDocument { plugins };
    let text = signed::sign(&document, &keys.targets())?;
    write_atomic(&folder.join("plugins.json"), text.as_bytes(), 0o644)
        .map_err(SignPluginsError::Write)?;
    Ok(document.plugins)
}

fn entry(folder: &Path, name: &PluginName) -> Result<PluginEntry, SignPluginsError> {
    let path = folder.join(&name.file);
    let sha256 = digest_file(&path).map_err(|fault| SignPluginsError::Read(path, fault))?;
    let PluginName { file, id, version } = name.clone();
    Ok(PluginEntry { file, id, version, sha256 })
}

fn digest_file(path: &Path) -> io::Result<Sha256Digest> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut Hashing(&mut hash))?;
    Ok(Sha256Digest(hash.finalize().into()))
}

struct Hashing<'a>(&'a mut Sha256);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
