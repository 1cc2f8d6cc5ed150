//! From a plugin's id to its loaded library: listed, signed, whole.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use edgemill_config::{Board, Located, nearest, printable};
use edgemill_host::Library;
use edgemill_store::device::{PluginList, now_unix_s};

use crate::exit::{Exit, Failure};
use crate::models::TrustFile;

/// The signed list's name in the plugins folder.
pub const LIST: &str = "plugins.json";

/// The board's folder of plugins.
#[derive(Debug)]
pub struct Plugins {
    folder: PathBuf,
    /// `None` where there is no list: then nothing is signed.
    list: Option<PluginList>,
    allow_unsigned: bool,
}

impl Plugins {
    /// Reads and verifies the list, where there is one.
    ///
    /// # Errors
    /// A list that is there and not to be believed.
    pub fn open(board: &Board, trust: &TrustFile) -> Result<Self, Failure> {
        let path = board.paths.plugins.join(LIST);
        let list = path.exists().then(|| verify(&path, trust)).transpose()?;
        Ok(Self { folder: board.paths.plugins.clone(), list, allow_unsigned: board.allow_unsigned })
    }

    /// Loads the plugin of that id. An unsigned one only where the board, or the stage itself, allows it.
    ///
    /// # Errors
    /// It is absent, unsigned, changed, no plugin of this host, or another plugin than its file's name says.
    pub fn load(&self, id: &Located<String>, stage_allows: bool) -> Result<Arc<Library>, Failure> {
        let failed = |problem: String| Failure::new(Exit::Plugin, format!("{}: {problem}", id.at));
        let file = format!("{}.so", id.value);
        let path = self.folder.join(&file);
        if !path.exists() {
            return Err(failed(self.absent(&id.value)));
        }
        let expected =
            self.list.as_ref().and_then(|list| list.digest_of(&file)).map(|digest| digest.0);
        if expected.is_none() && !(self.allow_unsigned || stage_allows) {
            return Err(failed(self.unsigned(&path)));
        }
        let library = Library::open(&path, expected).map_err(|error| failed(error.to_string()))?;
        let found = &library.descriptor().id;
        if *found != id.value {
            return Err(failed(format!(
                "{} holds the plugin `{}`; name the file after it, or name the plugin here",
                shown(&path),
                printable(found, 48)
            )));
        }
        Ok(library)
    }

    fn absent(&self, id: &str) -> String {
        let there = self.ids();
        let meant = nearest(id, there.iter().map(String::as_str));
        let meant = meant.map(|id| format!("; did you mean `{id}`?")).unwrap_or_default();
        let there = match there.as_slice() {
            [] => "there are none".to_owned(),
            ids => format!("there are {}", printable(&ids.join(", "), 600)),
        };
        let folder = shown(&self.folder);
        format!(
            "plugin `{id}` is not in {folder}{meant}; {there}; build it and copy it there as {id}.so"
        )
    }

    fn unsigned(&self, path: &Path) -> String {
        let (path, folder) = (shown(path), shown(&self.folder));
        let why = if self.list.is_some() { "does not name it" } else { "is not there" };
        format!(
            "{path} is not signed: {folder}/{LIST} {why}; sign it (edgemill plugin sign {folder}), or set \
             allow-unsigned = true on the stage or the board if you trust it"
        )
    }

    /// Names of the files that could be plugins.
    fn ids(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut ids: Vec<String> =
            names.filter_map(|name| Some(name.strip_suffix(".so")?.to_owned())).collect();
        ids.sort();
        ids
    }
}

fn verify(path: &Path, trust: &TrustFile) -> Result<PluginList, Failure> {
    PluginList::verify(path, trust.load()?, now_unix_s())
        .map_err(|error| Failure::new(Exit::Plugin, format!("{}: {error}", shown(path))))
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy(), 300)
}
