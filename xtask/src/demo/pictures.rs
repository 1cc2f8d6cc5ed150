//! The demo's pictures, and what each of them shows.
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Real traffic lights, split by their makers into training and test sets.
pub struct Pictures {
    /// Folders of classes to learn from.
    pub train_folder: PathBuf,
    /// Folders of classes never learnt from.
    pub test_folder: PathBuf,
    /// Every test picture, in the order in which the replay camera plays them: sorted by path.
    pub test: Vec<PathBuf>,
}

impl Pictures {
    /// Fetches them once, then finds them.
    pub fn fetch(root: &Path) -> Result<Self> {
        let folder =
            crate::data::fetch_traffic_lights(root, &mut |step| eprintln!("      {step}"))?;
        let test_folder = folder.join("test");
        let mut test = Vec::new();
        for class in files(&test_folder)? {
            test.extend(files(&class)?);
        }
        test.sort();
        Ok(Self { train_folder: folder.join("train"), test_folder, test })
    }

    /// What the n-th test picture shows: the name of its folder.
    pub fn truth(&self, index: usize) -> Option<&str> {
        self.test.get(index)?.parent()?.file_name()?.to_str()
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}
