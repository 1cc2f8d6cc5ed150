//! The signed list of the plugin files that a box may load.
use std::path::Path;

use edgemill_model::manifest::Sha256Digest;
use thiserror::Error;

use crate::device::trust::Trust;
use crate::plugin_list::{BadFile, PluginDocument, PluginEntry, check_files};
use crate::signed::{DocumentError, Unverified};

/// A list that is not to be believed.
#[derive(Debug, Error)]
pub enum PluginListError {
    /// It cannot be read, or the role *targets* did not sign it.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The root document has ended.
    #[error("trust.json expired at {ended} (Unix time): install a newer one, or set the clock")]
    RootExpired {
        /// When.
        ended: u64,
    },
    /// A name is given twice, or is not one of a file in the folder.
    #[error(transparent)]
    File(#[from] BadFile),
}

/// A verified list.
#[derive(Clone, Debug)]
pub struct PluginList(Vec<PluginEntry>);

impl PluginList {
    /// Reads `plugins.json` and judges it by `trust`.
    ///
    /// # Errors
    /// Any [`PluginListError`].
    pub fn verify(path: &Path, trust: &Trust, now_unix_s: u64) -> Result<Self, PluginListError> {
        if let Some(ended) = trust.expired_at(now_unix_s) {
            return Err(PluginListError::RootExpired { ended });
        }
        let document = Unverified::<PluginDocument>::read(path)?.verify(trust.targets())?;
        check_files(&document.plugins)?;
        Ok(Self(document.plugins))
    }

    /// All files, in the list's order.
    #[must_use]
    pub fn entries(&self) -> &[PluginEntry] {
        &self.0
    }

    /// The SHA-256 that the file of this name must have; `None` where it is not listed.
    #[must_use]
    pub fn digest_of(&self, file: &str) -> Option<&Sha256Digest> {
        self.0.iter().find(|entry| entry.file == file).map(|entry| &entry.sha256)
    }
}
