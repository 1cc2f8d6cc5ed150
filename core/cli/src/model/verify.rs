//! `edgemill model verify`: whether a package is whole, who signed it and, with keys, whether it opens.
use std::fmt::Display;
use std::path::{Path, PathBuf};

use edgemill_store::device::{DeviceKey, ModelView, Place, Policy, Trust, now_unix_s};
use serde_json::json;

use super::inspect::{page, read};
use crate::exit::Failure;
use crate::output::Output;

/// Arguments of `edgemill model verify`.
#[derive(clap::Args)]
#[command(after_help = "Example: edgemill model verify lights.emp --keys keys")]
pub struct Args {
    /// The package.
    file: PathBuf,
    /// A folder with trust.json and root.pub, to know the signers by, and device.key, to decrypt with.
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
}

/// Checks as far as the keys given allow, and says how far that was.
pub fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    match &args.keys {
        Some(keys) => verify(&args.file, keys, output),
        None => examine(&args.file, output),
    }
}

fn examine(file: &Path, output: &Output) -> Result<(), Failure> {
    let mut sealed = read(file)?;
    let signers = sealed.examine().map_err(|error| named(file, &error))?;
    let signers: Vec<String> = signers.iter().map(ToString::to_string).collect();
    let text = format!(
        "{}\nwhole; signed by {}; whether to trust them needs --keys",
        page(sealed.manifest_unverified()),
        if signers.is_empty() { "nobody".into() } else { signers.join(", ") }
    );
    output
        .result(&json!({ "whole": true, "signers": signers, "trusted": null, "opens": null }), text)
}

fn verify(file: &Path, keys: &Path, output: &Output) -> Result<(), Failure> {
    let view = open(file, keys)?;
    output.result(
        &json!({ "whole": true, "trusted": true, "opens": true }),
        format!("{}\nwhole, signed by trusted keys, and opens", page(view.manifest())),
    )
}

/// Verifies and decrypts a package by the keys of a folder.
pub fn open(file: &Path, keys: &Path) -> Result<ModelView, Failure> {
    let trust = Trust::load(&keys.join("trust.json"))?;
    let policy = Policy { trust: &trust, place: Place::Desk, now_unix_s: now_unix_s() };
    let verified = read(file)?.verify(&policy, 0).map_err(|error| named(file, &error))?;
    let device = DeviceKey::load(&keys.join("device.key"))?;
    verified.open(&device).map_err(|error| named(file, &error))
}

fn named(file: &Path, error: &dyn Display) -> Failure {
    Failure::model(format!("{}: {error}", file.display()))
}
