//! `edgemill model sign`: the author vouches for a package.
use std::path::PathBuf;

use edgemill_store::author::{KeyRing, sign_package};
use serde_json::json;

use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `edgemill model sign`.
#[derive(clap::Args)]
#[command(
    after_help = "Where several keys must sign, each of their holders runs it in turn.\n\nExample: edgemill model sign lights.emp --keys keys"
)]
pub struct Args {
    /// The package.
    file: PathBuf,
    /// The folder of signing keys.
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
}

/// Adds the signatures of every targets key in the folder.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let keys = KeyRing::open(&args.keys)?;
    let signers = sign_package(&args.file, &keys)?;
    let signers: Vec<String> = signers.iter().map(ToString::to_string).collect();
    let text = format!("{} is signed by {}", args.file.display(), signers.join(", "));
    output.result(&json!({ "signed_by": signers }), text)
}
