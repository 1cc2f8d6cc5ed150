//! `edgemill plugin sign`: vouches for the plugins of a folder, by name and SHA-256.
use std::path::{Path, PathBuf};

use edgemill_host::inspect;
use edgemill_store::author::{KeyRing, PluginName, sign_plugins};

use super::list::libraries;
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `edgemill plugin sign`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill plugin sign plugins --keys keys")]
pub struct Args {
    /// The folder of plugins; the list becomes `plugins.json` in it.
    folder: PathBuf,
    /// The folder of signing keys.
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
}

/// Signs every *.so of the folder; one that is no plugin is refused.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let keys = KeyRing::open(&args.keys).map_err(Failure::model)?;
    let files = libraries(&args.folder)?;
    if files.is_empty() {
        return Err(Failure::plugin(format!("no plugin (*.so) is in {}", args.folder.display())));
    }
    let names: Vec<PluginName> = files.iter().map(|file| name(file)).collect::<Result<_, _>>()?;
    let signed = sign_plugins(&args.folder, &names, &keys).map_err(Failure::plugin)?;
    let text: Vec<String> =
        signed.iter().map(|entry| format!("signed {} {}", entry.id, entry.version)).collect();
    output.result(&signed, text.join("\n"))
}

fn name(file: &Path) -> Result<PluginName, Failure> {
    let descriptor = inspect(file).map_err(Failure::plugin)?.descriptor;
    let file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(PluginName { file, id: descriptor.id, version: descriptor.version })
}
