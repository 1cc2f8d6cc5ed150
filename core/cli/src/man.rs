//! `edgemill man`: the manual pages, one for each verb.
use std::path::PathBuf;

use clap::CommandFactory;

use crate::exit::Failure;

/// Arguments of `edgemill man`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill man /usr/local/share/man/man1")]
pub struct Args {
    /// Where to write them.
    folder: PathBuf,
}

/// Writes them.
pub fn run(args: &Args) -> Result<(), Failure> {
    clap_mangen::generate_to(crate::Cli::command(), &args.folder).map_err(|error| {
        let why = format!("cannot write manual pages into {}: {error}", args.folder.display());
        Failure::internal(why)
    })
}
