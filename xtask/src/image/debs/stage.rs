//! The tree of one package, laid out from `debian/PACKAGE.install` and `debian/PACKAGE.dirs`.
//!
//! A line `SOURCE => TARGET` puts a file, a folder, or with `*` the files of a folder, at a path of the package. `built/`
//! stands for what Cargo built, `generated/` for what the build writes; any other source is a path in the workspace.
//! A line with `${board}` counts once for each board there is.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::image::files::{put, under};

/// Where the sources of a package's files are.
pub struct Sources<'a> {
    pub root: &'a Path,
    pub built: &'a Path,
    /// Looked into before `built`.
    pub replaced: Option<&'a Path>,
    pub generated: &'a Path,
}

impl Sources<'_> {
    /// Lays out the files of `package` in `tree`, and returns those that Cargo built, with whether they are to be
    /// stripped.
    pub fn lay_out(&self, package: &str, tree: &Path) -> Result<Vec<(PathBuf, bool)>> {
        for folder in self.lines(&format!("{package}.dirs"))? {
            fs::create_dir_all(tree.join(folder))?;
        }
        let mut programs = Vec::new();
        for line in self.lines(&format!("{package}.install"))? {
            for line in self.for_each_board(&line)? {
                let (source, target) = line
                    .split_once(" => ")
                    .with_context(|| format!("debian/{package}.install: no ` => ` in `{line}`"))?;
                self.install(source, &tree.join(target), &mut programs)?;
            }
        }
        Ok(programs)
    }

    fn lines(&self, name: &str) -> Result<Vec<String>> {
        let file = self.root.join("debian").join(name);
        if !file.exists() {
            return Ok(Vec::new());
        }
        Ok(fs::read_to_string(file)?.lines().map(str::to_owned).collect())
    }

    fn for_each_board(&self, line: &str) -> Result<Vec<String>> {
        if !line.contains("${board}") {
            return Ok(vec![line.to_owned()]);
        }
        let mut boards = Vec::new();
        for entry in fs::read_dir(self.root.join("board"))? {
            let entry = entry?;
            if entry.path().join("board.toml").exists() {
                boards.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        boards.sort();
        Ok(boards.iter().map(|board| line.replace("${board}", board)).collect())
    }

    fn install(
        &self,
        source: &str,
        target: &Path,
        programs: &mut Vec<(PathBuf, bool)>,
    ) -> Result<()> {
        if let Some(name) = source.strip_prefix("built/") {
            let given = self.replaced.map(|folder| folder.join(name)).filter(|file| file.exists());
            let strip = given.is_none();
            let mode = if name.ends_with(".so") { 0o644 } else { 0o755 };
            put(&given.unwrap_or_else(|| self.built.join(name)), target, mode)?;
            programs.push((target.into(), strip));
            return Ok(());
        }
        let path = match source.strip_prefix("generated/") {
            Some(name) => self.generated.join(name),
            None => self.root.join(source),
        };
        for (from, to) in pairs(&path, target)? {
            let runs = fs::metadata(&from)?.permissions().mode() & 0o100 != 0;
            put(&from, &to, if runs { 0o755 } else { 0o644 })?;
        }
        Ok(())
    }
}

/// Each file that a source stands for, and where it goes.
fn pairs(source: &Path, target: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let pattern = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some((head, tail)) = pattern.split_once('*') else {
        ensure!(source.exists(), "{} is not there", source.display());
        let inside = |file: &Path| match file.strip_prefix(source) {
            Ok(rest) if !rest.as_os_str().is_empty() => target.join(rest),
            _ => target.into(),
        };
        return Ok(under(source)?.into_iter().map(|file| (file.clone(), inside(&file))).collect());
    };
    let mut found = Vec::new();
    for file in under(source.parent().context("a pattern in no folder")?)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(head) && name.ends_with(tail) {
            found.push((file, target.join(name)));
        }
    }
    ensure!(!found.is_empty(), "nothing is like {}", source.display());
    Ok(found)
}
