//! `edgemill plugin list`: the plugins of a folder, each looked into by a child process.
use std::fs;
use std::path::{Path, PathBuf};

use edgemill_host::inspect;
use serde::Serialize;

use crate::board::BoardArgs;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `edgemill plugin list`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill plugin list target/demo/plugins")]
pub struct Args {
    /// The folder; the board's when none is named.
    folder: Option<PathBuf>,
    #[command(flatten)]
    board: BoardArgs,
}

/// One file of the folder.
#[derive(Serialize)]
struct Entry {
    file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Prints a line for each; a file that is no plugin says why.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => args.board.load()?.paths.plugins,
    };
    let entries: Vec<Entry> = libraries(&folder)?.into_iter().map(look).collect();
    let lines: Vec<String> = entries.iter().map(line).collect();
    let text = if lines.is_empty() {
        format!("no plugin (*.so) is in {}", folder.display())
    } else {
        lines.join("\n")
    };
    output.result(&entries, text)
}

/// The shared objects of a folder, in the order of their names.
pub fn libraries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let cannot = |error| Failure::plugin(format!("{}: cannot list it: {error}", folder.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.extension().is_some_and(|extension| extension == "so") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn look(file: PathBuf) -> Entry {
    match inspect(&file) {
        Ok(found) => {
            let descriptor = found.descriptor;
            let (id, version) = (Some(descriptor.id), Some(descriptor.version));
            Entry { file, id, version, summary: Some(descriptor.summary), error: None }
        }
        Err(error) => {
            let error = Some(error.to_string());
            Entry { file, id: None, version: None, summary: None, error }
        }
    }
}

fn line(entry: &Entry) -> String {
    match (&entry.id, &entry.version, &entry.summary, &entry.error) {
        (Some(id), Some(version), Some(summary), _) => format!("{id:<18}{version:<10}{summary}"),
        (_, _, _, Some(error)) => error.clone(),
        _ => entry.file.display().to_string(),
    }
}
