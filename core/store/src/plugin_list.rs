//! The list of plugin files: the document that authors sign and devices verify.
use std::collections::BTreeSet;
use std::path::Path;

use edgemill_model::manifest::Sha256Digest;
use edgemill_model::text::shown;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::signed::Kind;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginEntry {
    /// Its name in the plugins folder, without one.
    pub file: String,
    /// The plugin's id, by its descriptor.
    pub id: String,
    /// The plugin's version, by its descriptor.
    pub version: String,
    /// Of the whole file.
    pub sha256: Sha256Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PluginDocument {
    pub(crate) plugins: Vec<PluginEntry>,
}

impl Kind for PluginDocument {
    const NAME: &'static str = "plugins";
    const REMEDY: &'static str = "make it with `edgemill plugin sign`";
}

/// A name that is given twice, or is not one of a file in the folder.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("plugin list names file `{}`, which is no file name or named twice: sign it again", shown(.0))]
pub struct BadFile(String);

pub(crate) fn check_files(entries: &[PluginEntry]) -> Result<(), BadFile> {
    let mut seen = BTreeSet::new();
    for entry in entries {
        let plain = Path::new(&entry.file).file_name().is_some_and(|name| name == &*entry.file);
        if !plain || !seen.insert(&entry.file) {
            return Err(BadFile(entry.file.clone()));
        }
    }
    Ok(())
}
